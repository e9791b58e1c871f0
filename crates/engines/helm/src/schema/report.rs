//! Says what does not fit a schema in the words and the layout that Helm's users know:
//! `- at '/path': message`, and below it, indented, what each alternative lacks.
//!
//! Source: santhosh-tekuri/jsonschema v6, observed through helm v4.2.1.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value as Json;

/// The lines about errors of one schema.
pub(super) fn lines(schema: &Json, errors: &[&ValidationError<'_>]) -> Vec<String> {
    let mut out = Vec::new();
    level(schema, errors, 0, 0, &mut out);
    out
}

fn line(out: &mut Vec<String>, depth: usize, path: &str, message: &str) {
    out.push(format!("{}- at '{path}': {message}", "  ".repeat(depth)));
}

/// Where in the schema an error arose: keywords and what follows them.
fn tokens(error: &ValidationError<'_>) -> Vec<String> {
    let path = error.evaluation_path().as_str();
    path.split('/').skip(1).map(str::to_owned).collect()
}

/// Writes the errors of one level; the first `from` tokens of their places are known above.
fn level(
    schema: &Json,
    errors: &[&ValidationError<'_>],
    from: usize,
    depth: usize,
    out: &mut Vec<String>,
) {
    let mut is_done = vec![false; errors.len()];
    for at in 0..errors.len() {
        if is_done[at] {
            continue;
        }
        let place = tokens(errors[at]);
        let all_of = all_of(&place, from);
        let key = &place[..all_of.map_or(place.len(), |keyword| keyword + 1)];
        let mut together = Vec::new();
        for (other, error) in errors.iter().enumerate().skip(at) {
            if !is_done[other] && tokens(error).starts_with(key) {
                is_done[other] = all_of.is_some() || is_missing(error);
                if is_done[other] {
                    together.push(*error);
                }
            }
        }
        is_done[at] = true;
        match all_of {
            Some(keyword) => {
                let inner = keyword + 2;
                let path = errors[at].instance_path().as_str();
                line(
                    out,
                    depth,
                    above(path, steps(&place[inner.min(place.len())..])),
                    "'allOf' failed",
                );
                level(schema, &together, inner, depth + 1, out);
            }
            None if together.is_empty() => one(schema, errors[at], &place, depth, out),
            None => {
                let path = errors[at].instance_path().as_str();
                line(out, depth, path, &missing(schema, &together, &place));
            }
        }
    }
}

/// The place of the first `allOf` keyword.
fn all_of(place: &[String], from: usize) -> Option<usize> {
    let mut at = from;
    while at + 1 < place.len() {
        match place[at].as_str() {
            "allOf" => return Some(at),
            "properties" | "patternProperties" | "prefixItems" | "dependentSchemas" => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// How many levels of the values a place in the schema goes down.
fn steps(place: &[String]) -> usize {
    let (mut at, mut count) = (0, 0);
    while at < place.len() {
        let is_last = at + 1 == place.len();
        match place[at].as_str() {
            "properties" | "patternProperties" | "prefixItems" => {
                count += usize::from(!is_last);
                at += 2;
            }
            "additionalProperties" | "items" | "contains" | "additionalItems" => {
                count += usize::from(!is_last);
                at += 1;
            }
            _ => at += 1,
        }
    }
    count
}

/// A path with its last levels taken off.
fn above(path: &str, levels: usize) -> &str {
    let mut path = path;
    for _ in 0..levels {
        path = path.rsplit_once('/').map_or("", |(head, _)| head);
    }
    path
}

fn is_missing(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), ValidationErrorKind::Required { .. })
}

/// All that one keyword misses, in one line.
fn missing(schema: &Json, errors: &[&ValidationError<'_>], place: &[String]) -> String {
    let names: Vec<String> = errors
        .iter()
        .filter_map(|error| match error.kind() {
            ValidationErrorKind::Required { property } => {
                Some(property.as_str().unwrap_or_default().to_owned())
            }
            _ => None,
        })
        .collect();
    let plural = if names.len() == 1 {
        "property"
    } else {
        "properties"
    };
    let wanted = listed(&names);
    let trigger = errors
        .first()
        .and_then(|error| trigger(schema, error, place, &names));
    trigger.map_or_else(
        || format!("missing {plural} {wanted}"),
        |name| format!("properties {wanted} required, if '{name}' exists"),
    )
}

/// The property that makes others necessary, where that is why they are.
fn trigger(
    schema: &Json,
    error: &ValidationError<'_>,
    place: &[String],
    names: &[String],
) -> Option<String> {
    let keyword = place.last()?;
    if keyword != "dependentRequired" && keyword != "dependencies" {
        return None;
    }
    let rules = schema.pointer(error.schema_path().as_str())?.as_object()?;
    let found = error.instance().as_object()?;
    let needs = |wanted: &Json| {
        let wanted = wanted.as_array().map_or(&[][..], Vec::as_slice);
        names.iter().all(|n| wanted.iter().any(|w| w == n))
    };
    let rule = rules
        .iter()
        .find(|(name, wanted)| found.contains_key(*name) && needs(wanted));
    rule.map(|(name, _)| name.clone())
}

fn one(
    schema: &Json,
    error: &ValidationError<'_>,
    place: &[String],
    depth: usize,
    out: &mut Vec<String>,
) {
    let path = error.instance_path().as_str();
    line(out, depth, path, &message(error));
    match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            for branch in context {
                level(
                    schema,
                    &branch.iter().collect::<Vec<_>>(),
                    place.len() + 1,
                    depth + 1,
                    out,
                );
            }
        }
        ValidationErrorKind::PropertyNames { error } => {
            line(out, depth + 1, path, &message(error));
        }
        _ => {}
    }
}

fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("'{n}'")).collect();
    quoted.join(", ")
}

fn message(error: &ValidationError<'_>) -> String {
    let found = error.instance();
    match error.kind() {
        ValidationErrorKind::Type { kind } => {
            format!("got {}, want {}", type_of(found), wanted(kind))
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            format!("missing property '{name}'")
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            format!("additional properties {} not allowed", listed(unexpected))
        }
        ValidationErrorKind::AdditionalItems { limit } => {
            let count = size(found).saturating_sub(*limit);
            format!("last {count} additionalItem(s) not allowed")
        }
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().map_or(&[][..], Vec::as_slice);
            choice("enum", options)
        }
        ValidationErrorKind::Constant { expected_value } => {
            choice("const", std::slice::from_ref(&**expected_value))
        }
        ValidationErrorKind::Pattern { pattern } => {
            format!("{} does not match pattern '{pattern}'", shown(found))
        }
        ValidationErrorKind::Format { format } => {
            format!("{} is not valid {format}", shown(found))
        }
        ValidationErrorKind::AnyOf { .. } => "'anyOf' failed".to_owned(),
        ValidationErrorKind::OneOfNotValid { .. } => "'oneOf' failed, none matched".to_owned(),
        ValidationErrorKind::OneOfMultipleValid { context } => {
            let matched = context.iter().enumerate().filter(|(_, e)| e.is_empty());
            let matched: Vec<String> = matched.map(|(i, _)| i.to_string()).collect();
            format!("'oneOf' failed, subschemas {} matched", matched.join(", "))
        }
        ValidationErrorKind::Not { .. } => "'not' failed".to_owned(),
        ValidationErrorKind::FalseSchema => "false schema".to_owned(),
        ValidationErrorKind::Contains => "no items match contains schema".to_owned(),
        ValidationErrorKind::UniqueItems => equal_items(found),
        ValidationErrorKind::PropertyNames { error } => {
            format!("invalid propertyName {}", shown(error.instance()))
        }
        _ => bound(error).unwrap_or_else(|| error.to_string()),
    }
}

/// The types in the order upstream lists them.
fn wanted(kind: &TypeKind) -> String {
    const ORDER: [&str; 7] = [
        "null", "boolean", "number", "integer", "string", "array", "object",
    ];
    let mut types: Vec<String> = match kind {
        TypeKind::Single(one) => vec![one.to_string()],
        TypeKind::Multiple(many) => many.iter().map(|t| t.to_string()).collect(),
    };
    types.sort_by_key(|name| ORDER.iter().position(|o| o == name));
    types.join(" or ")
}

fn choice(keyword: &str, options: &[Json]) -> String {
    if options.iter().any(|o| o.is_array() || o.is_object()) {
        return format!("'{keyword}' failed");
    }
    let shown: Vec<String> = options.iter().map(shown).collect();
    match shown.as_slice() {
        [one] => format!("value must be {one}"),
        many => format!("value must be one of {}", many.join(", ")),
    }
}

/// The first two items that are the same.
fn equal_items(found: &Json) -> String {
    let items = found.as_array().map_or(&[][..], Vec::as_slice);
    for (i, item) in items.iter().enumerate() {
        if let Some(other) = items[..i].iter().position(|o| o == item) {
            return format!("items at {other} and {i} are equal");
        }
    }
    "items are not unique".to_owned()
}

fn size(found: &Json) -> usize {
    match found {
        Json::String(text) => text.chars().count(),
        Json::Array(items) => items.len(),
        Json::Object(members) => members.len(),
        _ => 0,
    }
}

/// Limits of numbers and lengths: `minimum: got -5, want 0`.
fn bound(error: &ValidationError<'_>) -> Option<String> {
    let found = error.instance();
    let keyword = error.kind().keyword();
    match error.kind() {
        ValidationErrorKind::Minimum { limit }
        | ValidationErrorKind::Maximum { limit }
        | ValidationErrorKind::ExclusiveMinimum { limit }
        | ValidationErrorKind::ExclusiveMaximum { limit } => Some(format!(
            "{keyword}: got {}, want {}",
            number(found),
            number(limit)
        )),
        ValidationErrorKind::MultipleOf { multiple_of } => Some(format!(
            "{keyword}: got {}, want {}",
            number(found),
            localized(*multiple_of)
        )),
        ValidationErrorKind::MinLength { limit }
        | ValidationErrorKind::MaxLength { limit }
        | ValidationErrorKind::MinItems { limit }
        | ValidationErrorKind::MaxItems { limit }
        | ValidationErrorKind::MinProperties { limit }
        | ValidationErrorKind::MaxProperties { limit } => {
            let (found, limit) = (size(found).to_string(), limit.to_string());
            Some(format!(
                "{keyword}: got {}, want {}",
                grouped(&found),
                grouped(&limit)
            ))
        }
        _ => None,
    }
}

fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => format!("'{text}'"),
        Json::Null => "<nil>".to_owned(),
        Json::Number(_) => value
            .as_f64()
            .map_or_else(|| value.to_string(), go::strconv::format_json),
        other => other.to_string(),
    }
}

fn number(value: &Json) -> String {
    value.as_f64().map_or_else(|| value.to_string(), localized)
}

/// A number as English readers group it; a large one in powers of ten.
fn localized(value: f64) -> String {
    let text = go::strconv::format_general(value);
    let Some((mantissa, exponent)) = text.split_once('e') else {
        return grouped(&text);
    };
    let superscript = exponent.chars().filter_map(|c| match c {
        '-' => Some('⁻'),
        '0' => Some('⁰'),
        '1' => Some('¹'),
        '2' => Some('²'),
        '3' => Some('³'),
        '4'..='9' => char::from_u32(u32::from('⁴') + u32::from(c) - u32::from('4')),
        _ => None,
    });
    format!("{mantissa}×10{}", superscript.collect::<String>())
}

/// Commas between groups of three digits.
fn grouped(number: &str) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |d| ("-", d));
    let (whole, fraction) = digits
        .find('.')
        .map_or((digits, ""), |at| digits.split_at(at));
    let mut out = sign.to_owned();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

fn type_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(schema: &Json, values: &Json, expect: &[&str]) {
        let validator = jsonschema::validator_for(schema).unwrap();
        let errors: Vec<_> = validator.iter_errors(values).collect();
        assert_eq!(
            lines(schema, &errors.iter().collect::<Vec<_>>()),
            expect,
            "{schema}"
        );
    }

    /// Each layout as helm 4.2.1 prints it.
    #[test]
    fn errors_read_as_helms() {
        let on_a = |schema: Json| json!({ "properties": { "a": schema } });
        let hello = json!({ "a": "hello" });
        check(
            &on_a(json!({ "allOf": [{ "type": "number" }, { "minLength": 20 }] })),
            &hello,
            &[
                "- at '/a': 'allOf' failed",
                "  - at '/a': got string, want number",
                "  - at '/a': minLength: got 5, want 20",
            ],
        );
        let inner = json!({ "allOf": [{ "required": ["k"] }, { "required": ["m"] }] });
        check(
            &json!({ "anyOf": [{ "required": ["x"] }, on_a(json!({ "type": "number" })), inner] }),
            &hello,
            &[
                "- at '': 'anyOf' failed",
                "  - at '': missing property 'x'",
                "  - at '/a': got string, want number",
                "  - at '': 'allOf' failed",
                "    - at '': missing property 'k'",
                "    - at '': missing property 'm'",
            ],
        );
        check(
            &json!({ "allOf": [on_a(json!({ "type": "number" }))] }),
            &hello,
            &[
                "- at '': 'allOf' failed",
                "  - at '/a': got string, want number",
            ],
        );
    }

    #[test]
    fn keywords_speak_as_helms() {
        let on_a = |schema: Json| json!({ "properties": { "a": schema } });
        let hello = json!({ "a": "hello" });
        check(
            &json!({ "required": ["q", "r"] }),
            &hello,
            &["- at '': missing properties 'q', 'r'"],
        );
        check(
            &json!({ "dependentRequired": { "a": ["z", "y"] } }),
            &hello,
            &["- at '': properties 'z', 'y' required, if 'a' exists"],
        );
        check(
            &json!({ "propertyNames": { "maxLength": 0 } }),
            &hello,
            &[
                "- at '': invalid propertyName 'a'",
                "  - at '': maxLength: got 1, want 0",
            ],
        );
        check(
            &on_a(json!({ "oneOf": [{ "type": "string" }, { "minLength": 1 }] })),
            &hello,
            &["- at '/a': 'oneOf' failed, subschemas 0, 1 matched"],
        );
        check(
            &on_a(json!({ "enum": ["x", { "a": 1 }] })),
            &hello,
            &["- at '/a': 'enum' failed"],
        );
        check(
            &on_a(json!({ "type": ["number", "null"] })),
            &hello,
            &["- at '/a': got string, want null or number"],
        );
        check(
            &on_a(json!({ "uniqueItems": true })),
            &json!({ "a": [1, 2, 1] }),
            &["- at '/a': items at 0 and 2 are equal"],
        );
    }

    #[test]
    fn numbers_are_grouped() {
        for (value, expect) in [
            (999.0, "999"),
            (-12345.0, "-12,345"),
            (999_999.0, "999,999"),
            (1e6, "1×10⁰⁶"),
            (15_000_000.5, "1.50000005×10⁰⁷"),
            (0.000_01, "1×10⁻⁰⁵"),
            (-0.00012, "-0.00012"),
            (123_456.789, "123,456.789"),
        ] {
            assert_eq!(localized(value), expect);
        }
        assert_eq!(grouped("1200"), "1,200");
    }
}
