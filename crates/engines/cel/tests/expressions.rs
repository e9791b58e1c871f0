//! Expressions against what cel-go 0.26.1 answers in Flux's environment.

use expression::{CompileError, EvaluateError, Expression};
use serde_json::{Value, json};

fn object() -> Value {
    json!({
        "metadata": { "name": "abc", "generation": 2, "labels": { "app": "x" }, "annotations": {} },
        "status": {
            "observedGeneration": 2,
            "replicas": null,
            "conditions": [
                { "type": "Ready", "status": "True", "lastTransitionTime": "2024-01-01T00:00:00Z" },
                { "type": "Other", "status": "False" },
            ],
        },
        "cond": true,
    })
}

fn evaluate(source: &str) -> Result<bool, String> {
    let object = object();
    let fields = object.as_object().into_iter().flatten();
    let variables: Vec<_> = fields.map(|(name, value)| (name.as_str(), value)).collect();
    let expression = Expression::parse(source).map_err(|error| error.to_string())?;
    expression
        .evaluate_bool(&variables)
        .map_err(|error| error.to_string())
}

/// What cel-go 0.26.1 answers.
const ANSWERS: &[(&str, bool)] = &[
    (
        "status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')",
        true,
    ),
    ("has(status.foo)", false),
    ("has(status.conditions)", true),
    ("status.conditions.exists_one(e, e.type == 'Ready')", true),
    (
        "status.conditions.map(e, e.type) == ['Ready', 'Other']",
        true,
    ),
    ("metadata.generation == status.observedGeneration", true),
    (
        "metadata.generation < 3.5 && metadata.generation == 2.0 && 1 < 2u",
        true,
    ),
    (
        "status.?foo.orValue('x') == 'x' && !status.?foo.hasValue()",
        true,
    ),
    (
        "status.?conditions.optMap(c, size(c)).orValue(0) == 2",
        true,
    ),
    (
        "metadata.name.matches('^a.c$') && matches(metadata.name, 'b')",
        true,
    ),
    (
        "'a,b,c'.split(',') == ['a', 'b', 'c'] && ['a', 'b'].join('-') == 'a-b'",
        true,
    ),
    (
        "'%s is %d and %.2f'.format(['a', 3, 1.5]) == 'a is 3 and 1.50'",
        true,
    ),
    (
        "sets.contains([1, 2, 3], [2]) && sets.equivalent([1, 2], [2, 1, 1])",
        true,
    ),
    ("sets.intersects([1, 2], [2, 5])", true),
    (
        "sets.intersects([1, 2], [5]) || sets.contains([1], [2])",
        false,
    ),
    ("base64.encode(b'hello') == 'aGVsbG8='", true),
    (
        "timestamp('2024-01-01T00:00:00Z') + duration('24h') == timestamp('2024-01-02T00:00:00Z')",
        true,
    ),
    (
        "timestamp('2024-01-01T00:00:00Z').getFullYear() == 2024",
        true,
    ),
    ("(1/0 == 1) || true", true),
    ("status.foo == 'x' || true", true),
    (
        "'app' in metadata.labels && metadata.labels['app'] == 'x'",
        true,
    ),
    ("status.replicas == null", true),
    ("cond ? size('héllo') == 5 : false", true),
];

#[test]
fn results_are_those_of_cel_go() {
    for &(source, expect) in ANSWERS {
        assert_eq!(evaluate(source), Ok(expect), "{source}");
    }
}

#[test]
fn expressions_without_a_truth_value_say_why() {
    for (source, part) in [
        ("status.foo == 1", "no such key: foo"),
        ("x.y == 1", "no such attribute(s): x"),
        ("1", "failed to evaluate CEL expression as boolean: '1'"),
        (
            "status.",
            "failed to parse the CEL expression 'status.': ERROR: <input>:1:",
        ),
        ("'a'.matches('(')", "not a valid regex"),
        (
            "undefined_fn(1)",
            "failed to evaluate the CEL expression 'undefined_fn(1)'",
        ),
    ] {
        let error = evaluate(source).unwrap_err();
        assert!(error.contains(part), "{source}: {error}");
    }
}

#[test]
fn conditions_name_undeclared_variables_with_their_place() {
    let names = ["self", "dep"];
    for good in [
        "self.metadata.labels.v == dep.metadata.labels.v",
        "dep.status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')",
        "dep.?status.?x.orValue('') == string(1) && type(1) == int",
        "sets.contains(dep.a, [1]) && base64.decode(dep.b) == b'x'",
        "dep.status.ready",
    ] {
        let compiled = Expression::condition(good, &names);
        assert!(compiled.is_ok(), "{good}: {compiled:?}");
    }
    let error = Expression::condition("self.a == 1 && \n other.x", &names).unwrap_err();
    let text = "failed to parse the CEL expression 'self.a == 1 && \n other.x': \
                ERROR: <input>:2:2: undeclared reference to 'other' (in container '')\n \
                |  other.x\n | .^";
    assert_eq!(error.to_string(), text);
    assert!(Expression::condition("self.all(x, y)", &names).is_err());
    assert!(Expression::condition("nothing(self)", &names).is_err());
    let error = Expression::condition("'text'", &names).unwrap_err();
    assert_eq!(error, CompileError::NotBool("string"));
}

#[test]
fn costly_expressions_are_refused_before_they_run() {
    let list = Value::Array((0..3_000).map(Value::from).collect());
    let run = |source: &str| {
        let expression = Expression::parse(source).unwrap();
        expression.evaluate_bool(&[("list", &list)])
    };
    assert_eq!(run("list.exists(a, a == 2999)"), Ok(true));
    for source in [
        "list.all(a, list.all(b, list.all(c, a + b + c >= 0)))",
        "list.map(a, list.map(b, list)).size() > 0",
        "'abcdefghijklmnopqrstuvwxyz'.split('').map(a, list.map(b, list.map(c, 1))) == []",
        "list.exists(a, 'x'.matches('(' + string(a) + ')'))",
    ] {
        let result = run(source);
        assert!(
            matches!(result, Err(EvaluateError::TooCostly(_))),
            "{source}: {result:?}"
        );
    }
    let mut doubling = "['x']".to_owned();
    for _ in 0..60 {
        doubling.push_str(".map(v, v + v)");
    }
    let result = run(&format!("{doubling}.size() == 1"));
    assert!(
        matches!(result, Err(EvaluateError::TooCostly(_))),
        "{result:?}"
    );
}

#[test]
fn deep_expressions_overflow_no_stack() {
    let texts = [
        format!("{}1{} == 1", "(".repeat(5_000), ")".repeat(5_000)),
        format!("1{} > 0", " + 1".repeat(5_000)),
        format!("{}true", "!".repeat(5_000)),
        format!("{}true", "true ? true : ".repeat(400)),
        format!("1{} > 0", " + 1".repeat(990)),
        format!("metadata{} == 1", ".a".repeat(900)),
        format!("{}1{} == 1", "(".repeat(480), ")".repeat(480)),
        format!("{}1{} == []", "[".repeat(480), "]".repeat(480)),
        format!("{}true", "true || ".repeat(300)),
        // As deep as the caller's own stack must bear.
        format!("1{} > 0", " + 1".repeat(47)),
        format!("{}1{} == []", "[".repeat(46), "]".repeat(46)),
        format!("{}true", "!".repeat(48)),
        format!("metadata{} == 1", ".a".repeat(46)),
    ];
    for text in texts {
        // As small a stack as work of this kind is given.
        let handle = std::thread::Builder::new().stack_size(2 << 20);
        let handle = handle.spawn(move || drop(evaluate(&text))).unwrap();
        handle.join().unwrap();
    }
}
