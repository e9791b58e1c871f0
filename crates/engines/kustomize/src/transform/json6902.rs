//! JSON patches (RFC 6902), as the Go library kustomize uses reads and applies them.
//!
//! **Source:** gopkg.in/evanphx/json-patch.v4 v4.13.0.

use serde_json::Value as Json;
use yaml::{Node, Value};

use crate::error::{Error, Gathered, Place};
use crate::read::Input;

/// A list of operations.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonPatch {
    /// The file it stands in.
    file: String,
    operations: Vec<Operation>,
}

#[derive(Debug, Clone, PartialEq)]
struct Operation {
    line: u32,
    op: String,
    path: String,
    from: Option<String>,
    value: Option<Node>,
}

impl JsonPatch {
    /// Reads a patch: JSON where it begins with `[`, else YAML.
    ///
    /// # Errors
    /// Where the text is no list, or every item of it that is no operation.
    pub(crate) fn parse(input: &Input<'_>) -> Result<Self, Error> {
        let whole = || input.place(&Node::null());
        if input.bytes.is_empty() {
            return Err(Error::at(whole(), "empty json patch operations"));
        }
        let node = input.legacy();
        let (json, node) = if input.bytes.starts_with(b"[") {
            let json = serde_json::from_slice(input.bytes);
            let json = json.map_err(|error| Error::at(whole(), error.to_string()))?;
            // What is JSON reads as YAML too, but for oddities; then the lines are not known.
            (json, node.unwrap_or_default())
        } else {
            let node = node?;
            let json = yaml::to_json(&node);
            let json = json.map_err(|error| Error::at(input.place(&node), error.to_string()))?;
            (json, node)
        };
        let mut faults = Gathered::default();
        let mut operations = Vec::new();
        match json {
            Json::Null => {}
            Json::Array(items) => {
                let nodes = node.as_sequence();
                for (at, item) in items.into_iter().enumerate() {
                    let node = nodes.and_then(|nodes| nodes.get(at));
                    let place = node.map_or_else(whole, |node| input.place(node));
                    operations.extend(faults.note(operation(item, place)));
                }
            }
            _ => {
                let text = "a JSON patch is a list of operations";
                return Err(Error::at(whole(), text));
            }
        }
        faults.end()?;
        Ok(Self {
            file: input.file.to_owned(),
            operations,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Applies all operations in order, to a tree that holds what JSON holds.
    ///
    /// # Errors
    /// What the first operation that fails says; those before it stay done.
    pub(crate) fn apply(&self, document: &mut Node) -> Result<(), Error> {
        let mut operations = self.operations.iter();
        operations.try_for_each(|operation| {
            let applied = operation.apply(document);
            applied.map_err(|text| Error::at(Place::line(&self.file, operation.line), text))
        })
    }
}

fn operation(item: Json, place: Place) -> Result<Operation, Error> {
    let Json::Object(mut fields) = item else {
        let text = "an operation of a JSON patch is a mapping";
        return Err(Error::at(place, text));
    };
    let mut text = |key: &str| match fields.remove(key) {
        Some(Json::String(text)) => Some(text),
        _ => None,
    };
    let (op, path, from) = (text("op"), text("path"), text("from"));
    let op = op.unwrap_or_else(|| "unknown".to_owned());
    Ok(Operation {
        line: place.line,
        op,
        path: path.unwrap_or_default(),
        from,
        value: fields.remove("value").as_ref().map(yaml::from_json),
    })
}

/// The place an operation works at: a container and a key in it.
struct Spot<'d> {
    container: &'d mut Node,
    key: String,
}

/// Finds the container of a path; `None` where it is missing.
fn find<'d>(document: &'d mut Node, path: &str) -> Option<Spot<'d>> {
    let mut parts = path
        .split('/')
        .skip(1)
        .map(|part| part.replace("~1", "/").replace("~0", "~"));
    let mut key = parts.next()?;
    let mut container = document;
    for part in parts {
        container = get_mut(container, &key).ok()?;
        key = part;
    }
    (!container.is_scalar()).then_some(Spot { container, key })
}

/// Reads a position in a list; negative ones count from the end.
fn position(key: &str, length: usize) -> Result<usize, String> {
    let number: i64 = key
        .parse()
        .map_err(|_| format!("strconv.Atoi: parsing \"{key}\": invalid syntax"))?;
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let at = if number < 0 { number + length } else { number };
    usize::try_from(at)
        .ok()
        .filter(|_| at < length)
        .ok_or_else(|| {
            format!("Unable to access invalid index: {number}: invalid index referenced")
        })
}

fn get_mut<'d>(container: &'d mut Node, key: &str) -> Result<&'d mut Node, String> {
    match &mut container.value {
        Value::Mapping(object) => object
            .get_mut(key)
            .ok_or_else(|| format!("unable to get nonexistent key: {key}: missing value")),
        Value::Sequence(items) => {
            let at = position(key, items.len())?;
            items
                .get_mut(at)
                .ok_or_else(|| "invalid index referenced".to_owned())
        }
        Value::Scalar(_) => Err("missing value".to_owned()),
    }
}

impl Spot<'_> {
    fn add(self, value: Node) -> Result<(), String> {
        match &mut self.container.value {
            Value::Sequence(items) if self.key == "-" => {
                items.push(value);
                Ok(())
            }
            Value::Sequence(items) => {
                let at = position(&self.key, items.len() + 1)?;
                items.insert(at, value);
                Ok(())
            }
            Value::Mapping(object) => {
                object.insert(self.key, value);
                Ok(())
            }
            Value::Scalar(_) => Err("missing value".to_owned()),
        }
    }

    fn remove(self) -> Result<Node, String> {
        match &mut self.container.value {
            Value::Sequence(items) => {
                let at = position(&self.key, items.len())?;
                Ok(items.remove(at))
            }
            Value::Mapping(object) => object.remove(&self.key).ok_or_else(|| {
                format!(
                    "Unable to remove nonexistent key: {}: missing value",
                    self.key
                )
            }),
            Value::Scalar(_) => Err("missing value".to_owned()),
        }
    }
}

/// Says that a path leads nowhere.
fn missing_path(what: &str, path: &str) -> String {
    format!("{what} operation does not apply: doc is missing path: \"{path}\": missing value")
}

impl Operation {
    fn value(&self) -> Node {
        self.value.clone().unwrap_or_else(Node::null)
    }

    fn apply(&self, document: &mut Node) -> Result<(), String> {
        match self.op.as_str() {
            "add" => self.add(document),
            "remove" => self.remove(document),
            "replace" => self.replace(document),
            "move" | "copy" => self.transfer(document),
            "test" => self.test(document),
            other => Err(format!("Unexpected kind: {other}")),
        }
    }

    fn add(&self, document: &mut Node) -> Result<(), String> {
        if self.path.is_empty() {
            return self.set_root(document);
        }
        let spot = find(document, &self.path).ok_or_else(|| missing_path("add", &self.path))?;
        spot.add(self.value())
            .map_err(|e| format!("error in add for path: '{}': {e}", self.path))
    }

    fn remove(&self, document: &mut Node) -> Result<(), String> {
        let spot = find(document, &self.path).ok_or_else(|| missing_path("remove", &self.path))?;
        spot.remove()
            .map(drop)
            .map_err(|e| format!("error in remove for path: '{}': {e}", self.path))
    }

    fn set_root(&self, document: &mut Node) -> Result<(), String> {
        let value = self.value();
        if value.is_scalar() {
            return Err("replace operation hit impossible case".to_owned());
        }
        *document = value;
        Ok(())
    }

    fn replace(&self, document: &mut Node) -> Result<(), String> {
        if self.path.is_empty() {
            return self.set_root(document);
        }
        let missing = || {
            format!(
                "replace operation does not apply: doc is missing path: {}: missing value",
                self.path
            )
        };
        let Spot { container, key } = find(document, &self.path).ok_or_else(missing)?;
        if let Value::Mapping(object) = &mut container.value {
            // A key that is missing is not looked for: only what holds it must be there.
            object.insert(key, self.value());
            return Ok(());
        }
        let old = get_mut(container, &key).map_err(|error| {
            format!(
                "replace operation does not apply: doc is missing key: {}: {error}",
                self.path
            )
        })?;
        *old = self.value();
        Ok(())
    }

    fn transfer(&self, document: &mut Node) -> Result<(), String> {
        let op = &self.op;
        let from = self.from.as_deref().unwrap_or_default();
        let missing = |path: &str| {
            format!(
                "{op} operation does not apply: doc is missing {op} path: {path}: missing value"
            )
        };
        let spot = find(document, from).ok_or_else(|| missing(from))?;
        let value = if op == "move" {
            spot.remove()
        } else {
            get_mut(spot.container, &spot.key).map(|value| value.clone())
        }
        .map_err(|error| format!("error in {op} for path: '{from}': {error}"))?;
        let spot = find(document, &self.path).ok_or_else(|| missing(&self.path))?;
        spot.add(value)
            .map_err(|e| format!("error in {op} for path: '{}': {e}", self.path))
    }

    fn test(&self, document: &mut Node) -> Result<(), String> {
        let failed = || format!("testing value {} failed: test failed", self.path);
        if self.path.is_empty() {
            return if *document == self.value() {
                Ok(())
            } else {
                Err(failed())
            };
        }
        let spot = find(document, &self.path).ok_or_else(|| {
            format!(
                "test operation does not apply: is missing path: {}: missing value",
                self.path
            )
        })?;
        match get_mut(spot.container, &spot.key) {
            Ok(value) if *value == self.value() => Ok(()),
            Err(_) if self.value().is_null() => Ok(()),
            _ => Err(failed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::read::Lines;

    fn check(document: &Json, patch: &Json, expected: Result<Json, &str>) {
        let text = patch.to_string();
        let input = Input {
            bytes: text.as_bytes(),
            file: "p",
            lines: Lines::From(1),
        };
        let patch = JsonPatch::parse(&input).unwrap();
        let mut node = yaml::from_json(document);
        match (patch.apply(&mut node), expected) {
            (Ok(()), Ok(expected)) => assert_eq!(yaml::to_json(&node).unwrap(), expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
    }

    /// covers: KE-089
    #[test]
    fn operations_apply_in_order_and_name_what_is_missing() {
        let list = json!({"l": [1, 2]});
        check(
            &list,
            &json!([{"op": "add", "path": "/l/-", "value": 3}]),
            Ok(json!({"l": [1, 2, 3]})),
        );
        check(
            &list,
            &json!([{"op": "add", "path": "/l/0", "value": 3}]),
            Ok(json!({"l": [3, 1, 2]})),
        );
        check(
            &list,
            &json!([{"op": "remove", "path": "/l/-1"}]),
            Ok(json!({"l": [1]})),
        );
        check(
            &list,
            &json!([{"op": "add", "path": "/l/5", "value": 3}]),
            Err("invalid index"),
        );
        check(
            &list,
            &json!([{"op": "add", "path": "/m/x", "value": 3}]),
            Err("doc is missing path: \"/m/x\""),
        );
        check(
            &list,
            &json!([{"op": "remove", "path": "/x"}]),
            Err("nonexistent key"),
        );
        check(
            &list,
            &json!([{"op": "replace", "path": "/x/y", "value": 1}]),
            Err("missing"),
        );
        check(
            &list,
            &json!([{"op": "replace", "path": "/x", "value": 1}]),
            Ok(json!({"l": [1, 2], "x": 1})),
        );
        check(
            &list,
            &json!([{"op": "test", "path": "/l/0", "value": 2}]),
            Err("testing value /l/0 failed"),
        );
        check(
            &list,
            &json!([{"op": "move", "from": "/l", "path": "/m"}]),
            Ok(json!({"m": [1, 2]})),
        );
        check(
            &list,
            &json!([{"op": "copy", "from": "/l/0", "path": "/a~1b"}]),
            Ok(json!({"l": [1, 2], "a/b": 1})),
        );
    }

    #[test]
    fn unknown_operations_are_refused() {
        check(
            &json!({}),
            &json!([{"op": "jump", "path": "/l"}]),
            Err("Unexpected kind: jump"),
        );
    }
}
