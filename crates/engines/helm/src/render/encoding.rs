//! YAML and JSON as Helm's functions write and read them.

use base64::Engine as _;
use gotemplate::funcs::string_of;
use gotemplate::value::{Struct, Value};
use gotemplate::{Map as Table, Str};
use serde_json::{Map, Number, Value as Json};
use yaml::Schema;

const MAX_DEPTH: usize = 500;

/// A value as `toYaml` writes it, with a final newline.
pub(super) fn yaml(value: &Value) -> Result<String, String> {
    yaml::emit::v2(&tree(value, 0)?).map_err(|e| e.to_string())
}

/// A value as `toYamlPretty` writes it, with a final newline.
pub(super) fn yaml_pretty(value: &Value) -> Result<String, String> {
    yaml::emit::v3(&tree(value, 0)?).map_err(|e| e.to_string())
}

fn tree(value: &Value, depth: usize) -> Result<Json, String> {
    if depth > MAX_DEPTH {
        let of = value.type_name();
        return Err(format!(
            "json: unsupported value: encountered a cycle via {of}"
        ));
    }
    Ok(match value {
        Value::Nil => Json::Null,
        Value::Bool(b) => Json::Bool(*b),
        Value::Int(n) | Value::Int64(n) => Json::Number((*n).into()),
        Value::Uint64(n) => Json::Number((*n).into()),
        Value::Byte(n) => Json::Number((*n).into()),
        Value::Float(f) => Json::Number(Number::from_f64(*f).ok_or_else(|| {
            format!(
                "json: unsupported value: {}",
                go::strconv::format_general(*f)
            )
        })?),
        Value::Str(text) => Json::String(text.text().into_owned()),
        Value::Bytes(bytes) => {
            Json::String(base64::engine::general_purpose::STANDARD.encode(bytes.as_bytes()))
        }
        Value::Duration(d) => Json::Number(d.nanos().into()),
        Value::Time(time) => Json::String(time.format("2006-01-02T15:04:05.999999999Z07:00")),
        Value::List(list) if list.is_nil() => Json::Null,
        Value::List(list) => {
            let items: Result<Vec<_>, _> = list
                .items()
                .iter()
                .map(|item| tree(item, depth + 1))
                .collect();
            Json::Array(items?)
        }
        Value::Map(map) => {
            let entries: Result<Map<_, _>, String> = map.with(|entries| {
                let entry = |(key, item): (&Str, &Value)| {
                    Ok((key.text().into_owned(), tree(item, depth + 1)?))
                };
                entries.iter().map(entry).collect()
            });
            Json::Object(entries?)
        }
        Value::Struct(s) => structure(s, value, depth)?,
    })
}

fn structure(s: &Struct, value: &Value, depth: usize) -> Result<Json, String> {
    let mut out = Map::new();
    for (name, field) in &s.fields {
        if name.starts_with(char::is_uppercase) {
            out.insert((*name).to_owned(), tree(field, depth + 1)?);
        }
    }
    if out.is_empty() && s.of.text.is_some() {
        return Ok(Json::String(string_of(value).text().into_owned()));
    }
    Ok(Json::Object(out))
}

fn error_map(text: String) -> Value {
    Value::Map(std::iter::once((Str::from("Error"), Value::from(text))).collect::<Table>())
}

/// The Go kind of a value, as JSON errors name it.
fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Str(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "object",
        _ => "number",
    }
}

fn read(text: &str) -> Result<Value, String> {
    let node = yaml::Reader::new(Schema::Legacy)
        .read_first(text.as_bytes(), "")
        .map_err(|e| format!("error converting YAML to JSON: {}", e.go_text()))?;
    let Some(node) = node else {
        return Ok(Value::Nil);
    };
    yaml::to_json(&node)
        .map(|json| Value::from_json(&json))
        .map_err(|e| e.to_string())
}

/// A map; what is wrong is under `Error`.
pub(super) fn from_yaml(text: &str) -> Value {
    match read(text) {
        Ok(Value::Nil) => Value::Map(Table::new(std::collections::BTreeMap::new())),
        Ok(Value::Map(map)) => Value::Map(map),
        Ok(other) => error_map(format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            json_kind(&other)
        )),
        Err(text) => error_map(text),
    }
}

/// A list; what is wrong is its only element.
pub(super) fn from_yaml_array(text: &str) -> Value {
    let error = match read(text) {
        Ok(Value::Nil) => return Value::List(gotemplate::List::nil()),
        Ok(Value::List(list)) => return Value::List(list),
        Ok(other) => format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value of type []interface {{}}",
            json_kind(&other)
        ),
        Err(text) => text,
    };
    Value::list(vec![Value::from(error)])
}

/// A map of parsed JSON; what is wrong is under `Error`.
pub(super) fn from_json(parsed: Result<Value, String>) -> Value {
    match parsed {
        Ok(Value::Nil) => Value::Map(Table::new(std::collections::BTreeMap::new())),
        Ok(Value::Map(map)) => Value::Map(map),
        Ok(other) => error_map(format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            json_kind(&other)
        )),
        Err(text) => error_map(text),
    }
}

/// A list of parsed JSON; what is wrong is its only element.
pub(super) fn from_json_array(parsed: Result<Value, String>) -> Value {
    let error = match parsed {
        Ok(Value::Nil) => return Value::List(gotemplate::List::nil()),
        Ok(Value::List(list)) => return Value::List(list),
        Ok(other) => format!(
            "json: cannot unmarshal {} into Go value of type []interface {{}}",
            json_kind(&other)
        ),
        Err(text) => text,
    };
    Value::list(vec![Value::from(error)])
}
