//! Fields that an API server's schema does not know, as it names them when it refuses an object.
//!
//! Upstream drops them from built-in kinds by decoding into Go structs. Here the API server itself
//! says which they are, so a field that it knows is never dropped for being newer than we are, and
//! an object without unknown fields costs nothing.
//!
//! Shape of a refusal: `failed to create typed patch object (…): ` and then one path, or `errors:`
//! and a path a line, each followed by `: field not declared in schema`. A path reads
//! `.spec.ports[port=80,protocol="TCP"].foo`.
//!
//! Source: sigs.k8s.io/structured-merge-diff v6 `fieldpath`, `typed`; kube-apiserver 1.34, observed.

use serde_json::Value;

const UNKNOWN: &str = ": field not declared in schema";

/// Reads the paths of unknown fields from an API server's message.
pub fn from_message(message: &str) -> Vec<String> {
    message
        .lines()
        .filter_map(|line| line.strip_suffix(UNKNOWN))
        .filter_map(|line| {
            // The first line of a message has words and the object's name before its path.
            let start = if line.trim_start().starts_with('.') {
                0
            } else {
                line.rfind("): .")? + 3
            };
            Some(line[start..].trim_start().to_string())
        })
        .collect()
}

/// Removes the field at a path in the API server's notation; tells whether there was one.
pub fn remove(value: &mut Value, path: &str) -> bool {
    let Some(segment) = Segment::read(value, path) else {
        return false;
    };
    match (value, segment.rest) {
        (Value::Object(map), "") => map.remove(&segment.key).is_some(),
        (Value::Object(map), rest) => map
            .get_mut(&segment.key)
            .is_some_and(|child| remove(child, rest)),
        (Value::Array(items), rest) => segment
            .key
            .parse::<usize>()
            .ok()
            .and_then(|index| items.get_mut(index))
            .is_some_and(|child| remove(child, rest)),
        _ => false,
    }
}

/// One step of a path: a key or an index of the value, and the path from there.
struct Segment<'a> {
    key: String,
    rest: &'a str,
}

impl<'a> Segment<'a> {
    fn read(value: &Value, path: &'a str) -> Option<Self> {
        match value {
            Value::Object(map) => {
                let path = path.strip_prefix('.')?;
                // Keys are not quoted: of those that fit, the one whose rest leads somewhere is meant.
                map.iter().find_map(|(key, child)| {
                    let rest = path.strip_prefix(key.as_str())?;
                    let leads = rest.is_empty()
                        || (rest.starts_with(['.', '[']) && Segment::read(child, rest).is_some());
                    leads.then(|| Self {
                        key: key.clone(),
                        rest,
                    })
                })
            }
            Value::Array(items) => {
                let (element, rest) = Element::read(path.strip_prefix('[')?)?;
                let index = items
                    .iter()
                    .enumerate()
                    .position(|(index, item)| element.is(index, item))?;
                Some(Self {
                    key: index.to_string(),
                    rest,
                })
            }
            _ => None,
        }
    }
}

/// How a path names an element of a list.
enum Element {
    Index(usize),
    Keys(Vec<(String, Value)>),
}

impl Element {
    /// Reads up to the closing bracket.
    fn read(text: &str) -> Option<(Self, &str)> {
        if let Some((index, rest)) = text.split_once(']')
            && let Ok(index) = index.parse()
        {
            return Some((Self::Index(index), rest));
        }
        let mut keys = Vec::new();
        let mut text = text;
        loop {
            let (key, rest) = text.split_once('=')?;
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
            let value = values.next()?.ok()?;
            let rest = &rest[values.byte_offset()..];
            keys.push((key.to_string(), value));
            match rest.strip_prefix(',') {
                Some(more) => text = more,
                None => return Some((Self::Keys(keys), rest.strip_prefix(']')?)),
            }
        }
    }

    fn is(&self, index: usize, item: &Value) -> bool {
        match self {
            Self::Index(wanted) => *wanted == index,
            // A key that the item leaves out has its default there.
            Self::Keys(keys) => keys
                .iter()
                .all(|(key, value)| item.get(key).is_none_or(|found| found == value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_read_from_messages() {
        let one = "failed to create typed patch object (a/s; networking.k8s.io/v1, Kind=NetworkPolicy): .spec.ingress[0].foo: field not declared in schema";
        assert_eq!(from_message(one), [".spec.ingress[0].foo"]);
        let many = "failed to create typed patch object (a/s; /v1, Kind=Service): errors:\n  .spec.ports[port=80,protocol=\"TCP\"].foo: field not declared in schema\n  .spec.x: expected string, got 1\n  .dta: field not declared in schema";
        assert_eq!(
            from_message(many),
            [".spec.ports[port=80,protocol=\"TCP\"].foo", ".dta"]
        );
        assert_eq!(
            from_message("Service \"s\" is invalid"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn fields_are_found_and_removed() {
        let object = json!({
            "foo": {"x": 1}, "foo.bar": {"x": 1},
            "spec": {
                "ingress": [{"ok": 1}, {"foo": 1}],
                "ports": [{"port": 80, "protocol": "UDP", "foo": 1}, {"port": 80, "foo": 2}],
                "env": [{"name": "a\"].b,c", "foo": 1}],
            },
        });
        for (path, pointer) in [
            (".foo.bar", "/foo.bar"),
            (".foo.x", "/foo/x"),
            (".foo.bar.x", "/foo.bar/x"),
            (".spec.ingress[1].foo", "/spec/ingress/1/foo"),
            (
                ".spec.ports[port=80,protocol=\"UDP\"].foo",
                "/spec/ports/0/foo",
            ),
            (
                ".spec.ports[port=80,protocol=\"TCP\"].foo",
                "/spec/ports/1/foo",
            ),
            (".spec.env[name=\"a\\\"].b,c\"].foo", "/spec/env/0/foo"),
        ] {
            let mut changed = object.clone();
            assert!(object.pointer(pointer).is_some(), "{pointer}");
            assert!(remove(&mut changed, path), "{path}");
            assert!(changed.pointer(pointer).is_none(), "{path}");
        }
    }

    #[test]
    fn paths_that_lead_nowhere_change_nothing() {
        let object = json!({"spec": {"list": [1], "a": "x"}});
        for path in [
            "",
            ".",
            ".nope",
            ".spec.list[3]",
            ".spec.list[0].x",
            ".spec.list[",
            ".spec.a.b",
            "spec",
        ] {
            let mut changed = object.clone();
            assert!(!remove(&mut changed, path), "{path}");
            assert_eq!(changed, object);
        }
    }
}
