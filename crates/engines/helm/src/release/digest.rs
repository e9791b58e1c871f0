//! The texts that Flux hashes into the status of a release.
//!
//! The algorithm is the caller's: an empty text is hashed as such (`sha256:e3b0c442…`).
//!
//! Source: fluxcd/pkg `chartutil`, helm-controller v1.6.3 `internal/release`.

use serde_json::{Map, Value as Json};

use super::json::{self, Object};
use super::{Record, chart, write_hook};
use crate::manifest::Event;

/// What of values is hashed into a config digest: YAML with keys sorted by their bytes; nothing
/// for no values.
///
/// # Errors
/// Where the values have no YAML text, which values read from JSON always have.
pub fn values_text(values: &Map<String, Json>) -> Result<String, yaml::emit::EmitError> {
    if values.is_empty() {
        return Ok(String::new());
    }
    let integers = values
        .iter()
        .map(|(key, value)| (key.clone(), with_integers(value)))
        .collect();
    yaml::emit::v2_ordered(&Json::Object(integers))
}

/// Turns floats that are whole into integers.
fn with_integers(json: &Json) -> Json {
    match json {
        Json::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap_or_default();
            integer(float).map_or_else(|| json.clone(), Json::Number)
        }
        Json::Array(items) => Json::Array(items.iter().map(with_integers).collect()),
        Json::Object(members) => Json::Object(
            members
                .iter()
                .map(|(key, value)| (key.clone(), with_integers(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the ranges are checked"
)]
fn integer(float: f64) -> Option<serde_json::Number> {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    if float.fract() != 0.0 {
        None
    } else if (-TWO_TO_63..TWO_TO_63).contains(&float) {
        Some((float as i64).into())
    } else if (0.0..2.0 * TWO_TO_63).contains(&float) {
        Some((float as u64).into())
    } else {
        None
    }
}

/// What of a release is hashed into a snapshot's digest: one line of JSON.
///
/// Hooks that are tests are left out, so that running them by hand changes nothing. `oci_digest`
/// is empty for charts that did not come from a registry.
pub fn observation(record: &Record, oci_digest: &str) -> String {
    let mut out = String::new();
    let mut object = Object::begin(&mut out);
    json::string(object.field("name"), &record.name);
    object
        .field("version")
        .push_str(&record.version.to_string());
    record.write_info(object.field("info"));
    match record.chart_metadata() {
        Json::Null => object.field("chartMetadata").push_str("{}"),
        metadata => chart::write_metadata(object.field("chartMetadata"), metadata),
    }
    let config = object.field("config");
    if record.config.is_empty() {
        config.push_str("null");
    } else {
        json::map(config, &record.config);
    }
    json::string(object.field("manifest"), &record.manifest);
    let hooks: Vec<_> = record
        .hooks
        .iter()
        .filter(|h| !h.hook.events.contains(&Event::Test))
        .collect();
    let text = object.field("hooks");
    if hooks.is_empty() {
        text.push_str("null");
    } else {
        json::list(text, &hooks, |out, hook| write_hook(out, hook));
    }
    json::string(object.field("namespace"), &record.namespace);
    object.text("ociDigest", oci_digest);
    object.end();
    out.push('\n');
    out
}

/// JSON as Go's encoder writes it to a hash: HTML characters escaped, a newline at its end.
///
/// Takes the compact text of a struct whose fields come in Go's order, such as
/// `spec.postRenderers`.
pub fn encoded(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        match c {
            // These only occur inside strings.
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            other => out.push(other),
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use sha2::Digest as _;

    fn sha256(text: &str) -> String {
        hex::encode(sha2::Sha256::digest(text))
    }

    fn values(json: Json) -> Map<String, Json> {
        let Json::Object(map) = json else {
            panic!("a map")
        };
        map
    }

    /// The digests that helm-controller 1.6.3 gave.
    #[test]
    fn digests_are_upstreams() {
        let text = values_text(&values(json!({"replicaCount": 2.0}))).unwrap();
        assert_eq!(
            sha256(&text),
            "e15c415d62760896bd8bec192a44c5716dc224db9e0fc609b9ac14718f8f9e56"
        );
        assert_eq!(values_text(&Map::new()).unwrap(), "");
        let record = Record {
            name: "foo".to_owned(),
            ..Record::default()
        };
        assert_eq!(
            observation(&record, ""),
            "{\"name\":\"foo\",\"version\":0,\"info\":{},\"chartMetadata\":{},\"config\":null,\"manifest\":\"\",\"hooks\":null,\"namespace\":\"\"}\n"
        );
        assert_eq!(
            sha256(&observation(&record, "")),
            "f1498f27a16a09cd7e1ee610d924df065c03d30035638babc95dd9a8d412ce4d"
        );
    }

    #[test]
    fn values_are_printed_in_byte_order() {
        let text = values_text(&values(json!({
            "b10": 1e6, "b9": 1.5, "B": null, "y": "yes", "big": 1e20, "u": 1e19,
            "l": [{"z": 1, "a": {}}], "e": [], "c": "\u{7f}",
        })));
        assert_eq!(
            text.unwrap(),
            "B: null\nb10: 1000000\nb9: 1.5\nbig: 1e+20\nc: \"\\x7F\"\ne: []\nl:\n- a: {}\n  z: 1\nu: 10000000000000000000\n\"y\": \"yes\"\n"
        );
    }

    #[test]
    fn html_is_escaped() {
        assert_eq!(
            encoded(r#"[{"patch":"a<b>&c"}]"#),
            "[{\"patch\":\"a\\u003cb\\u003e\\u0026c\"}]\n"
        );
    }
}
