//! The values of a release: ConfigMaps and Secrets in order, inline values on top.

use std::collections::BTreeMap;

use api::{
    helm::{HelmRelease, ValuesReference},
    kustomize::SubstituteKind,
};
use helm::values::{self, SetKind};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, ResourceExt};
use serde_json::{Map, Value};

type Values = Map<String, Value>;
type Data = BTreeMap<String, Vec<u8>>;

const DEFAULT_KEY: &str = "values.yaml";

/// Reads and joins the values of a release.
///
/// # Errors
/// A sentence for Ready that names the reference.
pub(super) async fn compose(client: &Client, object: &HelmRelease) -> Result<Values, String> {
    let namespace = object.namespace().unwrap_or_default();
    let mut composer = Composer::new(object.spec.values.as_ref());
    let mut known: BTreeMap<(&str, &str), Option<Data>> = BTreeMap::new();
    for reference in &object.spec.values_from {
        let kind = kind_name(reference.kind);
        let id = (kind, reference.name.as_str());
        let optional = reference.optional.unwrap_or(false);
        let failed = |reason: &str| words(reference, &namespace, reason);
        let data = if let Some(data) = known.get(&id) {
            data.clone()
        } else {
            let data = match fetch(client, &namespace, reference).await {
                Ok(data) => Some(data),
                Err(kube::Error::Api(status)) if status.code == 404 && optional => {
                    tracing::info!("could not find optional {kind} '{namespace}/{}'", id.1);
                    None
                }
                Err(kube::Error::Api(status)) if status.code == 404 => {
                    return Err(failed(&status.message));
                }
                Err(error) => return Err(runtime::failure::chain(&error)),
            };
            known.insert(id, data.clone());
            data
        };
        let Some(data) = data else {
            if optional {
                continue;
            }
            return Err(failed("resource not found"));
        };
        let Some(value) = data.get(key_of(reference)) else {
            if optional {
                tracing::info!(
                    "could not find an optional key of {kind} '{namespace}/{}'",
                    id.1
                );
                continue;
            }
            return Err(failed("key not found"));
        };
        composer
            .add(reference, value)
            .map_err(|reason| failed(&reason))?;
    }
    Ok(composer.finish())
}

fn key_of(reference: &ValuesReference) -> &str {
    let key = reference.values_key.as_deref().filter(|k| !k.is_empty());
    key.unwrap_or(DEFAULT_KEY)
}

fn words(reference: &ValuesReference, namespace: &str, reason: &str) -> String {
    let optional = match reference.optional {
        Some(true) => " optional",
        _ => "",
    };
    let (kind, name, key) = (
        kind_name(reference.kind),
        &reference.name,
        key_of(reference),
    );
    format!(
        "could not resolve{optional} {kind} chart values reference '{namespace}/{name}' with key '{key}': {reason}"
    )
}

fn kind_name(kind: SubstituteKind) -> &'static str {
    match kind {
        SubstituteKind::ConfigMap => "ConfigMap",
        SubstituteKind::Secret => "Secret",
    }
}

async fn fetch(
    client: &Client,
    namespace: &str,
    reference: &ValuesReference,
) -> kube::Result<Data> {
    let name = &reference.name;
    Ok(match reference.kind {
        SubstituteKind::ConfigMap => {
            let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
            let data = api.get(name).await?.data.unwrap_or_default();
            data.into_iter().map(|(k, v)| (k, v.into_bytes())).collect()
        }
        SubstituteKind::Secret => {
            let api = Api::<Secret>::namespaced(client.clone(), namespace);
            let data = api.get(name).await?.data.unwrap_or_default();
            data.into_iter().map(|(k, v)| (k, v.0)).collect()
        }
    })
}

/// Joins values as upstream does, with what its maps share.
///
/// Upstream joins the inline values in before each value that goes to a path, by reference: where a
/// map came from the inline values alone, a value set inside it is set in them too, and so wins over
/// them in the end.
struct Composer {
    result: Values,
    inline: Values,
}

impl Composer {
    fn new(inline: Option<&Value>) -> Self {
        let inline = match inline.cloned().map(values::floats) {
            Some(Value::Object(map)) => map,
            _ => Values::new(),
        };
        Self {
            result: Values::new(),
            inline,
        }
    }

    fn add(&mut self, reference: &ValuesReference, value: &[u8]) -> Result<(), String> {
        let target = reference.target_path.as_deref().filter(|p| !p.is_empty());
        let Some(target) = target else {
            let more = values::read(value, "").map_err(|error| error.to_string())?;
            values::overlay(&mut self.result, more);
            return Ok(());
        };
        let before = self.result.clone();
        values::overlay(&mut self.result, self.inline.clone());
        let text = String::from_utf8_lossy(value);
        let (expression, kind) = expression(target, &text, reference.literal.unwrap_or(false));
        values::set(&mut self.result, &expression, kind).map_err(|error| error.to_string())?;
        if is_shared(target, &before, &self.inline) {
            values::set(&mut self.inline, &expression, kind).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn finish(mut self) -> Values {
        values::overlay(&mut self.result, self.inline);
        self.result
    }
}

/// Returns the `--set` expression for a value and how it is read.
fn expression(target: &str, value: &str, literal: bool) -> (String, SetKind) {
    const QUOTES: [char; 2] = ['\'', '"'];
    if literal {
        let mut escaped = String::with_capacity(value.len());
        for c in value.chars() {
            if matches!(c, '\\' | ',' | '[' | ']' | '{' | '}') {
                escaped.push('\\');
            }
            escaped.push(c);
        }
        return (format!("{target}={escaped}"), SetKind::Text);
    }
    let is_quoted = QUOTES
        .iter()
        .any(|q| value.starts_with(*q) && value.ends_with(*q));
    if is_quoted {
        let bare = value.trim_matches(QUOTES);
        return (format!("{target}={bare}"), SetKind::Text);
    }
    (format!("{target}={value}"), SetKind::Typed)
}

/// Whether the map that a path leads into came from the inline values alone.
fn is_shared(target: &str, before: &Values, inline: &Values) -> bool {
    let (mut before, mut inline) = (before, inline);
    for name in containers(target) {
        let Some(Value::Object(inner)) = inline.get(&name) else {
            return false;
        };
        let Some(Value::Object(known)) = before.get(&name) else {
            return true;
        };
        (before, inline) = (known, inner);
    }
    false
}

/// Returns the names of the maps that a path leads through; lists end it.
fn containers(target: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut name = String::new();
    let mut chars = target.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => name.extend(chars.next()),
            '.' => names.push(std::mem::take(&mut name)),
            '[' => return names,
            c => name.push(c),
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reference(target: Option<&str>, literal: bool) -> ValuesReference {
        ValuesReference {
            target_path: target.map(str::to_owned),
            literal: literal.then_some(true),
            ..ValuesReference::default()
        }
    }

    fn composed(inline: &Value, steps: &[(Option<&str>, &str)]) -> Value {
        let mut composer = Composer::new(Some(inline));
        for (target, value) in steps {
            let reference = reference(*target, false);
            composer.add(&reference, value.as_bytes()).unwrap();
        }
        Value::Object(composer.finish())
    }

    #[test]
    fn later_references_win_and_inline_values_win_over_all() {
        let steps = [
            (None, "a: 1\nb: {c: 1, d: 1}"),
            (None, "b: {c: 2}"),
            (Some("e"), "true"),
        ];
        assert_eq!(
            composed(&json!({ "a": 9 }), &steps),
            json!({ "a": 9.0, "b": { "c": 2.0, "d": 1.0 }, "e": true })
        );
    }

    #[test]
    fn value_set_inside_an_inline_map_survives_and_over_an_inline_scalar_does_not() {
        let inline = json!({ "m": { "k": "inline" }, "s": "inline" });
        let steps = [(Some("m.k"), "set"), (Some("s"), "set")];
        assert_eq!(
            composed(&inline, &steps),
            json!({ "m": { "k": "set" }, "s": "inline" })
        );
        let steps = [(None, "m: {x: z}"), (Some("m.k"), "set")];
        assert_eq!(
            composed(&json!({ "m": { "k": "inline" } }), &steps),
            json!({ "m": { "k": "inline", "x": "z" } })
        );
    }

    #[test]
    fn quotes_and_literals_make_texts() {
        let mut composer = Composer::new(None);
        let mut add = |target, literal, value: &[u8]| {
            composer
                .add(&reference(Some(target), literal), value)
                .unwrap();
        };
        add("a", false, b"'123'");
        add("b", false, b"123");
        add("c", true, b"{a,b}\\");
        add("d", false, b"{a,b}");
        assert_eq!(
            Value::Object(composer.finish()),
            json!({ "a": "123", "b": 123, "c": "{a,b}\\", "d": ["a", "b"] })
        );
    }

    #[test]
    fn values_that_are_no_map_are_refused() {
        let mut composer = Composer::new(None);
        let mut error = |value: &[u8]| composer.add(&reference(None, false), value).unwrap_err();
        assert!(error(b"- a").contains("cannot unmarshal array"));
        assert!(error(b"a: [").contains("error converting YAML to JSON"));
    }
}
