//! What upstream's schemas refuse is refused.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::{
    cluster::{Answer, Served, Server, named, versions},
    facts::Facts,
    objects::{Extent, merge, object},
};

/// A value that one of upstream's validations forbids.
struct Case {
    /// Where the value goes: `spec.include[].toPath`.
    path: String,
    /// The value; `None` takes what is there away.
    value: Option<Value>,
    /// The validation.
    word: String,
}

/// Values that are accepted here and were not upstream: kind, version, path, and the row of docs/compat/api.md.
const ACCEPTED: &[(&str, &str, &str)] = &[("ImageUpdateAutomation", "v1beta1", "spec.interval")];

/// Texts one or more of which every pattern refuses.
const TEXTS: &[&str] = &[
    "",
    " ",
    "1d",
    "5",
    "-1m",
    "1h 30m",
    "1h",
    "1.5.5s",
    "ftp://example.com",
    "git@example.com:org/app",
    "example.com",
    "sha256",
    "sha256:",
    "a b",
    "a\nb",
    "[x]",
    "//",
    "HTTP://example.com",
];

/// How many texts are tried on each field with a pattern, at most.
const PER_PATTERN: usize = 6;

/// Makes the values that the validations of one field forbid.
fn cases_of(path: &str, fields: &BTreeMap<String, Map<String, Value>>) -> Vec<Case> {
    let own = &fields[path];
    let mut cases = Vec::new();
    let mut refuse = |word: &str, path: String, value: Option<Value>| {
        cases.push(Case {
            path,
            value,
            word: word.to_owned(),
        });
    };
    let number = |word: &str| {
        own.get(word)
            .and_then(Value::as_u64)
            .map(|n| usize::try_from(n).unwrap())
    };
    match own.get("type").and_then(Value::as_str) {
        Some("string") => refuse("type", path.into(), Some(json!(7))),
        Some("boolean") => refuse("type", path.into(), Some(json!("yes"))),
        Some("integer") => refuse("type", path.into(), Some(json!("one"))),
        Some("array") => refuse("type", path.into(), Some(json!({ "a": 1 }))),
        Some("object") => refuse("type", path.into(), Some(json!("text"))),
        _ => {}
    }
    if own.contains_key("enum") {
        refuse("enum", path.into(), Some(json!("refused")));
    }
    if let Some(pattern) = own.get("pattern").and_then(Value::as_str) {
        let pattern = Regex::new(pattern).unwrap();
        // The patterns themselves are compared elsewhere; here it shows that they count.
        let refused = TEXTS.iter().filter(|text| !pattern.is_match(text));
        for text in refused.take(PER_PATTERN) {
            refuse("pattern", path.into(), Some(json!(text)));
        }
    }
    if let Some(most) = number("maxLength") {
        refuse("maxLength", path.into(), Some(json!("a".repeat(most + 1))));
    }
    if number("minLength").is_some_and(|least| least > 0) {
        refuse("minLength", path.into(), Some(json!("")));
    }
    if let Some(most) = number("maxItems") {
        refuse("maxItems", path.into(), Some(json!(vec!["a"; most + 1])));
    }
    if number("minItems").is_some_and(|least| least > 0) {
        refuse("minItems", path.into(), Some(json!([])));
    }
    if number("minimum").is_some() {
        refuse("minimum", path.into(), Some(json!(-1)));
    }
    for name in own
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let child = format!("{path}.{}", name.as_str().unwrap());
        if !fields[&child].contains_key("default") {
            refuse("required", child, None);
        }
    }
    cases
}

/// Sets, or takes away, what is at a path; says whether there was something.
fn set(target: &mut Value, path: &str, value: Option<&Value>) -> bool {
    let (step, rest) = path.split_once('.').unwrap_or((path, ""));
    let name = step.trim_end_matches(['[', ']', '{', '}']);
    let marks = &step[name.len()..];
    let Some(part) = target.get_mut(name) else {
        return false;
    };
    if rest.is_empty() && marks.is_empty() {
        match value {
            Some(value) => *part = value.clone(),
            None => drop(target.as_object_mut().unwrap().remove(name)),
        }
        return true;
    }
    let inner = match marks {
        "" => Some(part),
        "[]" => part.get_mut(0),
        "{}" => part.get_mut("key"),
        marks => panic!("{marks}"),
    };
    match (inner, value) {
        (None, _) => false,
        (Some(inner), Some(value)) if rest.is_empty() => {
            *inner = value.clone();
            true
        }
        (Some(inner), value) => set(inner, rest, value),
    }
}

/// Sends an object, or its status, without keeping it.
async fn attempt(server: &Server, served: &Served, object: &Value, path: &str) -> Answer {
    if path.starts_with("status") && served.status_path {
        let status = json!({ "status": object["status"] });
        return server
            .merge(served, "/subject/status?dryRun=All", &status)
            .await;
    }
    let object = named(object.clone(), "attempt");
    server.create(served, &object, "?dryRun=All").await
}

/// Makes objects with every property of a version; every property is in one of them.
fn bases(served: &Served) -> Vec<Value> {
    let Served {
        kind,
        group,
        version,
        schema,
        ..
    } = served;
    let make = |variant| object(kind, group, version, schema, Extent::Full, variant);
    let mut bases: Vec<Value> = (0..2).filter_map(make).collect();
    if kind == "HelmRelease" && bases.len() == 1 {
        // This version requires a chart, and takes a reference to one besides.
        let mut both = bases[0].clone();
        both["spec"]["chartRef"] = json!({ "apiVersion": "text", "kind": "HelmChart", "name": "text", "namespace": "text" });
        bases.push(both);
    }
    bases
}

fn newest_of(kind: &str) -> &'static str {
    let kind = api::served::kinds().find(|served| served.kind == kind);
    kind.unwrap().storage().name
}

/// Attempts all cases of a version; returns how many were refused, by validation, and what was not.
async fn attempt_all(server: &Server, served: &Served) -> (BTreeMap<String, usize>, Vec<String>) {
    let Served { kind, version, .. } = served;
    let fields = &Facts::all()[kind].versions[version].fields;
    let bases = bases(served);
    server
        .create(served, &named(bases[0].clone(), "subject"), "")
        .await
        .unwrap();
    for base in &bases {
        attempt(server, served, base, "spec").await.unwrap();
    }
    attempt(server, served, &bases[0], "status").await.unwrap();
    let (mut counts, mut accepted) = (BTreeMap::new(), Vec::new());
    let inner = fields.keys().filter(|path| path.contains('.'));
    for case in inner.flat_map(|path| cases_of(path, fields)) {
        // All versions have the same types: it is enough to try them at one.
        let is_known = case.word == "type" && *version != newest_of(kind);
        if is_known || ACCEPTED.contains(&(kind, version, &case.path)) {
            continue;
        }
        let subject = bases.iter().find_map(|base| {
            let mut subject = base.clone();
            set(&mut subject, &case.path, case.value.as_ref()).then_some(subject)
        });
        let subject = subject.unwrap_or_else(|| panic!("{kind} {version} {}", case.path));
        match attempt(server, served, &subject, &case.path).await {
            Err((422, message)) if names(&message, &case.path) => {
                *counts.entry(case.word).or_insert(0) += 1;
            }
            other => {
                let Case { path, word, value } = case;
                accepted.push(format!(
                    "{kind} {version} {path} {word} {value:?}: {other:?}"
                ));
            }
        }
    }
    server.delete(served, "subject").await;
    (counts, accepted)
}

#[tokio::test]
async fn what_the_fields_of_upstream_refuse_is_refused() {
    let server = Server::shared("refused").await;
    let mut totals = BTreeMap::new();
    for served in api::crd::all_crds().unwrap().iter().flat_map(versions) {
        let (counts, accepted) = attempt_all(&server, &served).await;
        assert_eq!(accepted, [] as [String; 0]);
        for (word, count) in counts {
            *totals.entry(word).or_insert(0) += count;
        }
    }
    let total: usize = totals.values().sum();
    println!("{total} values refused: {totals:?}");
    assert!(total > 2500, "{total} values");
    for (word, least) in [
        ("enum", 150),
        ("pattern", 900),
        ("required", 500),
        ("maxLength", 150),
    ] {
        assert!(totals[word] >= least, "{word}: {totals:?}");
    }
}

/// Says whether a message is about the field at a path.
fn names(message: &str, path: &str) -> bool {
    let path = path.replace("[]", "[0]").replace("{}", ".key");
    message.contains(&path)
}

/// What rules in CEL refuse: kind, version, variant, merge patch on an object with every property, start of the message.
const RULES: &[(&str, &str, usize, &str, &str)] = &[
    (
        "GitRepository",
        "v1",
        0,
        r#"{"provider": null}"#,
        "serviceAccountName can only be set",
    ),
    (
        "GitRepository",
        "v1",
        0,
        r#"{"provider": "github"}"#,
        "serviceAccountName can only be set",
    ),
    (
        "GitRepository",
        "v1",
        0,
        r#"{"provider": "generic"}"#,
        "serviceAccountName can only be set",
    ),
    (
        "Bucket",
        "v1",
        0,
        r#"{"provider": "azure"}"#,
        "STS configuration is only supported",
    ),
    (
        "Bucket",
        "v1",
        0,
        r#"{"provider": "gcp"}"#,
        "STS configuration is only supported",
    ),
    (
        "Bucket",
        "v1",
        0,
        r#"{"provider": "aws"}"#,
        "'aws' is the only supported STS provider",
    ),
    (
        "Bucket",
        "v1",
        1,
        r#"{"provider": "generic"}"#,
        "'ldap' is the only supported STS provider",
    ),
    (
        "Bucket",
        "v1",
        1,
        r#"{"sts": {"secretRef": {"name": "a"}}}"#,
        "spec.sts.secretRef is not required",
    ),
    (
        "Bucket",
        "v1",
        1,
        r#"{"sts": {"certSecretRef": {"name": "a"}}}"#,
        "spec.sts.certSecretRef is not required",
    ),
    (
        "Bucket",
        "v1",
        0,
        r#"{"serviceAccountName": "a", "secretRef": null}"#,
        "ServiceAccountName is not supported",
    ),
    (
        "Bucket",
        "v1",
        1,
        r#"{"secretRef": {"name": "a"}}"#,
        "cannot set both .spec.secretRef",
    ),
    (
        "Bucket",
        "v1beta2",
        0,
        r#"{"provider": "azure"}"#,
        "STS configuration is only supported",
    ),
    (
        "Bucket",
        "v1beta2",
        0,
        r#"{"provider": "aws"}"#,
        "'aws' is the only supported STS provider",
    ),
    (
        "Bucket",
        "v1beta2",
        1,
        r#"{"provider": "generic"}"#,
        "'ldap' is the only supported STS provider",
    ),
    (
        "Bucket",
        "v1beta2",
        1,
        r#"{"sts": {"secretRef": {"name": "a"}}}"#,
        "spec.sts.secretRef is not required",
    ),
    (
        "Bucket",
        "v1beta2",
        1,
        r#"{"sts": {"certSecretRef": {"name": "a"}}}"#,
        "spec.sts.certSecretRef is not",
    ),
    (
        "HelmChart",
        "v1",
        0,
        r#"{"sourceRef": {"kind": "GitRepository"}}"#,
        "spec.verify is only supported",
    ),
    (
        "HelmChart",
        "v1",
        0,
        r#"{"sourceRef": {"kind": "Bucket"}}"#,
        "spec.verify is only supported",
    ),
    (
        "Kustomization",
        "v1",
        0,
        r#"{"kubeConfig": {"secretRef": null}}"#,
        "exactly one of spec.kubeConfig",
    ),
    (
        "Kustomization",
        "v1",
        0,
        r#"{"kubeConfig": {"configMapRef": {"name": "a"}}}"#,
        "exactly one of spec.kubeConfig",
    ),
    (
        "Kustomization",
        "v1beta2",
        0,
        r#"{"kubeConfig": {"secretRef": null}}"#,
        "exactly one of spec.kubeConfig",
    ),
    (
        "Kustomization",
        "v1beta2",
        1,
        r#"{"kubeConfig": {"secretRef": {"name": "a"}}}"#,
        "exactly one of spec.kubeConfig",
    ),
    (
        "Kustomization",
        "v1beta1",
        0,
        r#"{"kubeConfig": {"secretRef": null}}"#,
        "exactly one of spec.kubeConfig",
    ),
    (
        "HelmRelease",
        "v2",
        0,
        r#"{"chart": null}"#,
        "either chart or chartRef must be set",
    ),
    (
        "HelmRelease",
        "v2",
        0,
        r#"{"chartRef": {"kind": "HelmChart", "name": "a"}}"#,
        "either chart or chartRef must be",
    ),
    (
        "HelmRelease",
        "v2beta2",
        0,
        r#"{"chart": null}"#,
        "either chart or chartRef must be set",
    ),
    (
        "HelmRelease",
        "v2beta2",
        0,
        r#"{"chartRef": {"kind": "HelmChart", "name": "a"}}"#,
        "either chart or chartRef",
    ),
    (
        "HelmRelease",
        "v2",
        0,
        r#"{"kubeConfig": {"secretRef": null}}"#,
        "exactly one of spec.kubeConfig",
    ),
    (
        "HelmRelease",
        "v2",
        1,
        r#"{"kubeConfig": {"secretRef": {"name": "a"}}}"#,
        "exactly one of spec.kubeConfig",
    ),
    (
        "HelmRelease",
        "v2beta2",
        0,
        r#"{"kubeConfig": {"secretRef": null}}"#,
        "exactly one of spec.kubeConfig",
    ),
    (
        "HelmRelease",
        "v2beta1",
        0,
        r#"{"kubeConfig": {"secretRef": null}}"#,
        "exactly one of spec.kubeConfig",
    ),
    (
        "HelmRelease",
        "v2",
        0,
        r#"{"install": {"strategy": {"name": "RemediateOnFailure"}}}"#,
        ".retryInterval cannot be",
    ),
    (
        "HelmRelease",
        "v2",
        0,
        r#"{"upgrade": {"strategy": {"name": "RemediateOnFailure"}}}"#,
        ".retryInterval can only",
    ),
    (
        "ImagePolicy",
        "v1",
        0,
        r#"{"digestReflectionPolicy": "Never"}"#,
        "spec.interval is only accepted",
    ),
    (
        "ImagePolicy",
        "v1",
        0,
        r#"{"digestReflectionPolicy": "IfNotPresent"}"#,
        "spec.interval is only accepted",
    ),
    (
        "ImagePolicy",
        "v1",
        0,
        r#"{"digestReflectionPolicy": null}"#,
        "spec.interval is only accepted",
    ),
    (
        "ImagePolicy",
        "v1",
        0,
        r#"{"interval": null}"#,
        "spec.interval must be set",
    ),
    (
        "ImagePolicy",
        "v1beta2",
        0,
        r#"{"digestReflectionPolicy": "Never"}"#,
        "spec.interval is only accepted",
    ),
    (
        "ImagePolicy",
        "v1beta2",
        0,
        r#"{"interval": null}"#,
        "spec.interval must be set",
    ),
    (
        "Provider",
        "v1beta3",
        0,
        r#"{"type": "slack"}"#,
        "spec.commitStatusExpr is only supported",
    ),
    (
        "Provider",
        "v1beta3",
        0,
        r#"{"type": "generic"}"#,
        "spec.commitStatusExpr is only supported",
    ),
    (
        "Provider",
        "v1beta3",
        0,
        r#"{"type": "giteapullrequestcomment"}"#,
        "spec.commitStatusExpr is only supported",
    ),
    (
        "Receiver",
        "v1",
        0,
        r#"{"secretRef": null}"#,
        "secretRef is required when type is not generic-oidc",
    ),
    (
        "Receiver",
        "v1",
        1,
        r#"{"secretRef": {"name": "a"}}"#,
        "secretRef cannot be set when type is generic-oidc",
    ),
    (
        "Receiver",
        "v1",
        1,
        r#"{"oidcProviders": null}"#,
        "generic-oidc receivers must define at least one",
    ),
    (
        "Receiver",
        "v1",
        1,
        r#"{"oidcProviders": []}"#,
        "generic-oidc receivers must define at least one",
    ),
    (
        "Receiver",
        "v1",
        1,
        r#"{"type": "github", "secretRef": {"name": "a"}}"#,
        "oidcProviders can only be set",
    ),
];

/// Values that a list of allowed ones had not yet at an older version: kind, version, merge patch, value.
const TOO_NEW: &[(&str, &str, &str, &str)] = &[
    (
        "GitRepository",
        "v1beta2",
        r#"{"verify": {"mode": "HEAD"}}"#,
        "HEAD",
    ),
    (
        "GitRepository",
        "v1beta1",
        r#"{"verify": {"mode": "Tag"}}"#,
        "Tag",
    ),
    (
        "GitRepository",
        "v1beta1",
        r#"{"verify": {"mode": "TagAndHEAD"}}"#,
        "TagAndHEAD",
    ),
    (
        "Bucket",
        "v1beta1",
        r#"{"provider": "azure", "sts": null}"#,
        "azure",
    ),
    (
        "Kustomization",
        "v1beta2",
        r#"{"sourceRef": {"kind": "ExternalArtifact"}}"#,
        "ExternalArtifact",
    ),
    (
        "Kustomization",
        "v1beta1",
        r#"{"sourceRef": {"kind": "ExternalArtifact"}}"#,
        "ExternalArtifact",
    ),
    (
        "Kustomization",
        "v1beta1",
        r#"{"sourceRef": {"kind": "OCIRepository"}}"#,
        "OCIRepository",
    ),
    (
        "HelmRelease",
        "v2beta1",
        r#"{"chart": {"spec": {"verify": {"provider": "notation"}}}}"#,
        "notation",
    ),
    (
        "HelmRelease",
        "v2beta1",
        r#"{"chartRef": {"kind": "ExternalArtifact", "name": "a"}}"#,
        "ExternalArtifact",
    ),
    ("Provider", "v1beta2", r#"{"type": "nats"}"#, "nats"),
    ("Provider", "v1beta2", r#"{"type": "otel"}"#, "otel"),
    (
        "Provider",
        "v1beta2",
        r#"{"type": "githubpullrequestcomment"}"#,
        "githubpullrequestcomment",
    ),
    ("Provider", "v1beta1", r#"{"type": "gitea"}"#, "gitea"),
    (
        "Provider",
        "v1beta1",
        r#"{"type": "pagerduty"}"#,
        "pagerduty",
    ),
    (
        "Provider",
        "v1beta1",
        r#"{"type": "googlepubsub"}"#,
        "googlepubsub",
    ),
    ("Receiver", "v1beta2", r#"{"type": "cdevents"}"#, "cdevents"),
    (
        "Receiver",
        "v1beta1",
        r#"{"type": "generic-oidc"}"#,
        "generic-oidc",
    ),
];

/// Values that the fields refuse that upstream does not have, at every version: kind, merge patch, field or value.
const OF_EXTENSIONS: &[(&str, &str, &str)] = &[
    ("Alert", r#"{"recovered": "yes"}"#, "recovered"),
    ("HelmRelease", r#"{"dependsOn": [{"kind": "Job"}]}"#, "name"),
    (
        "ImageUpdateAutomation",
        r#"{"git": {"pullRequest": {"provider": "sourcehut"}}}"#,
        "sourcehut",
    ),
    (
        "ImageUpdateAutomation",
        r#"{"git": {"pullRequest": {"provider": null}}}"#,
        "provider",
    ),
    (
        "ImageUpdateAutomation",
        r#"{"git": {"pullRequest": {"address": "ssh://a"}}}"#,
        "ssh://a",
    ),
    (
        "Kustomization",
        r#"{"continueOnError": "yes"}"#,
        "continueOnError",
    ),
    (
        "Kustomization",
        r#"{"dependsOn": [{"kind": 1, "name": "a"}]}"#,
        "kind",
    ),
    (
        "Kustomization",
        r#"{"driftDetection": {"mode": "on"}}"#,
        "\"on\"",
    ),
    (
        "Kustomization",
        r#"{"driftDetection": {"ignore": [{}]}}"#,
        "paths",
    ),
    (
        "Kustomization",
        r#"{"pruneGuard": {"maxCount": -1}}"#,
        "maxCount",
    ),
    (
        "Kustomization",
        r#"{"pruneGuard": {"maxPercent": 101}}"#,
        "maxPercent",
    ),
];

#[tokio::test]
async fn what_rules_and_older_versions_refuse_is_refused() {
    let server = Server::shared("rules").await;
    let all = api::crd::all_crds()
        .unwrap()
        .iter()
        .flat_map(versions)
        .collect::<Vec<_>>();
    let rules = RULES.iter().copied();
    let too_new = TOO_NEW
        .iter()
        .map(|(kind, version, patch, text)| (*kind, *version, 0, *patch, *text));
    let of_extensions = OF_EXTENSIONS.iter().flat_map(|(kind, patch, text)| {
        let versions = all.iter().filter(|served| served.kind == *kind);
        versions.map(|served| (*kind, &*served.version, 0, *patch, *text))
    });
    for (kind, version, variant, patch, text) in rules.chain(too_new).chain(of_extensions) {
        let find = |served: &&Served| served.kind == kind && served.version == version;
        let served = all.iter().find(find).unwrap();
        let Served { group, schema, .. } = served;
        let mut subject = object(kind, group, version, schema, Extent::Full, variant).unwrap();
        attempt(&server, served, &subject, "spec").await.unwrap();
        merge(
            &mut subject,
            &json!({ "spec": serde_json::from_str::<Value>(patch).unwrap() }),
        );
        match attempt(&server, served, &subject, "spec").await {
            Err((422, message)) => assert!(
                message.contains(text),
                "{kind} {version} {patch}: {message}"
            ),
            other => panic!("{kind} {version} {patch}: {other:?}"),
        }
    }
}
