//! The `--set` grammar: `a.b[0].c=v,d={x,y}`.

use serde_json::{Map, Value as Json};

/// The largest index of a list that can be set.
const MAX_INDEX: usize = 65_536;
/// How many names a path may join.
const MAX_NAMES: usize = 30;

/// How values after `=` are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetKind {
    /// `--set`: null, booleans and integers are recognised.
    Typed,
    /// `--set-string`: everything is text.
    Text,
    /// `--set-literal`: the rest of the expression is one text.
    Literal,
    /// `--set-json`: the value is JSON.
    Json,
}

/// A malformed expression. The texts are upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// Nothing follows a key.
    #[error("key {0:?} has no value")]
    NoValue(String),
    /// A comma follows a key.
    #[error("key {0:?} has no value (cannot end with ,)")]
    Comma(String),
    /// Nothing follows a path.
    #[error("key map {0:?} has no value")]
    NoMapValue(String),
    /// An index is malformed.
    #[error("error parsing index: {0}")]
    Index(String),
    /// An index is too large.
    #[error("index of {0} is greater than maximum supported index of {MAX_INDEX}")]
    LargeIndex(usize),
    /// An index is negative.
    #[error("negative {0} index not allowed")]
    NegativeIndex(i64),
    /// Text stands between an index and what must follow it.
    #[error("unexpected data at end of array index: {0:?}")]
    AfterIndex(String),
    /// A path is too long.
    #[error(
        "value name nesting level is greater than maximum supported nesting level of {MAX_NAMES}"
    )]
    Nesting,
    /// A list is not closed.
    #[error("list must terminate with '}}'")]
    OpenList,
    /// A path leads through what is no map or list.
    #[error("unable to parse key: interface conversion: interface {{}} is {found}, not {want}")]
    Conversion {
        /// What is there.
        found: &'static str,
        /// What the path needs.
        want: &'static str,
    },
    /// The JSON is malformed.
    #[error("invalid JSON value: {0}")]
    Json(String),
}

/// Sets what an expression says.
pub fn set(
    target: &mut Map<String, Json>,
    expression: &str,
    kind: SetKind,
) -> Result<(), SetError> {
    let mut parser = Parser {
        rest: expression.chars().collect(),
        at: 0,
        kind,
    };
    while parser.at < parser.rest.len() {
        parser.key(target, 0)?;
    }
    Ok(())
}

struct Parser {
    rest: Vec<char>,
    at: usize,
    kind: SetKind,
}

impl Parser {
    /// Reads up to one of the stops; the text and which stop ended it.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut text = String::new();
        while let Some(c) = self.rest.get(self.at).copied() {
            self.at += 1;
            if stops.contains(&c) {
                return (text, Some(c));
            }
            if c == '\\' && self.kind != SetKind::Literal {
                if let Some(next) = self.rest.get(self.at) {
                    text.push(*next);
                    self.at += 1;
                }
                continue;
            }
            text.push(c);
        }
        (text, None)
    }

    fn key(&mut self, data: &mut Map<String, Json>, names: usize) -> Result<(), SetError> {
        let stops: &[char] = if self.kind == SetKind::Literal {
            &['=', '[', '.']
        } else {
            &['=', '[', ',', '.']
        };
        let (name, stop) = self.until(stops);
        match stop {
            None if name.is_empty() => Ok(()),
            None => Err(SetError::NoValue(name)),
            Some('[') => {
                let index = self.index()?;
                let mut list = match data.remove(&name) {
                    None => Vec::new(),
                    Some(Json::Array(items)) => items,
                    Some(other) => return Err(conversion(&other, "[]interface {}")),
                };
                self.item(&mut list, index, names)?;
                put(data, name, Json::Array(list));
                Ok(())
            }
            Some('=') => {
                let value = self.value()?;
                put(data, name, value);
                Ok(())
            }
            Some('.') => {
                if names + 1 > MAX_NAMES {
                    return Err(SetError::Nesting);
                }
                let mut inner = match data.remove(&name) {
                    None => Map::new(),
                    Some(Json::Object(map)) => map,
                    Some(other) => return Err(conversion(&other, "map[string]interface {}")),
                };
                self.key(&mut inner, names + 1)?;
                if inner.is_empty() {
                    return Err(SetError::NoMapValue(name));
                }
                put(data, name, Json::Object(inner));
                Ok(())
            }
            Some(_) => Err(SetError::Comma(name)),
        }
    }

    fn index(&mut self) -> Result<usize, SetError> {
        let (text, stop) = self.until(&[']']);
        if stop.is_none() {
            return Err(SetError::Index("EOF".to_owned()));
        }
        let number: i64 = text.parse().map_err(|_| {
            SetError::Index(format!("strconv.Atoi: parsing {text:?}: invalid syntax"))
        })?;
        let index = usize::try_from(number).map_err(|_| SetError::NegativeIndex(number))?;
        if index > MAX_INDEX {
            Err(SetError::LargeIndex(index))
        } else {
            Ok(index)
        }
    }

    fn item(&mut self, list: &mut Vec<Json>, index: usize, names: usize) -> Result<(), SetError> {
        let (text, stop) = self.until(&['[', '.', '=']);
        if !text.is_empty() {
            return Err(SetError::AfterIndex(text));
        }
        let existing = list.get_mut(index).map(Json::take).unwrap_or_default();
        let value = match stop {
            None => return Ok(()),
            Some('=') => self.value()?,
            Some('[') => {
                let next = self.index()?;
                let mut inner = match existing {
                    Json::Null => Vec::new(),
                    Json::Array(items) => items,
                    other => return Err(conversion(&other, "[]interface {}")),
                };
                if names + 1 > MAX_NAMES {
                    return Err(SetError::Nesting);
                }
                self.item(&mut inner, next, names + 1)?;
                Json::Array(inner)
            }
            Some(_) => {
                let mut inner = match existing {
                    Json::Object(map) => map,
                    _ => Map::new(),
                };
                if names + 1 > MAX_NAMES {
                    return Err(SetError::Nesting);
                }
                self.key(&mut inner, names)?;
                Json::Object(inner)
            }
        };
        if list.len() <= index {
            list.resize(index + 1, Json::Null);
        }
        list[index] = value;
        Ok(())
    }

    fn value(&mut self) -> Result<Json, SetError> {
        match self.kind {
            SetKind::Literal => {
                let text = self.rest[self.at..].iter().collect();
                self.at = self.rest.len();
                Ok(Json::String(text))
            }
            SetKind::Json => self.json(),
            SetKind::Typed | SetKind::Text => {
                if self.rest.get(self.at) == Some(&'{') {
                    self.at += 1;
                    return self.list();
                }
                let (text, _) = self.until(&[',']);
                Ok(self.typed(text))
            }
        }
    }

    fn list(&mut self) -> Result<Json, SetError> {
        let mut items = Vec::new();
        loop {
            let (text, stop) = self.until(&[',', '}']);
            match stop {
                None => return Err(SetError::OpenList),
                Some('}') => {
                    items.push(self.typed(text));
                    if self.rest.get(self.at) == Some(&',') {
                        self.at += 1;
                    }
                    return Ok(Json::Array(items));
                }
                Some(_) => items.push(self.typed(text)),
            }
        }
    }

    fn json(&mut self) -> Result<Json, SetError> {
        let text: String = self.rest[self.at..].iter().collect();
        let mut stream = serde_json::Deserializer::from_str(&text).into_iter::<Json>();
        let value = stream.next().unwrap_or(Ok(Json::Null));
        let value = value.map_err(|e| SetError::Json(e.to_string()))?;
        self.at += text[..stream.byte_offset()].chars().count();
        self.until(&[',']);
        Ok(super::floats(value))
    }

    fn typed(&self, text: String) -> Json {
        if self.kind == SetKind::Text {
            return Json::String(text);
        }
        if text.eq_ignore_ascii_case("true") {
            return Json::Bool(true);
        }
        if text.eq_ignore_ascii_case("false") {
            return Json::Bool(false);
        }
        if text.eq_ignore_ascii_case("null") {
            return Json::Null;
        }
        if (text == "0" || !text.starts_with('0'))
            && let Ok(number) = text.parse::<i64>()
        {
            return Json::Number(number.into());
        }
        Json::String(text)
    }
}

/// An empty name sets nothing.
fn put(data: &mut Map<String, Json>, name: String, value: Json) {
    if !name.is_empty() {
        data.insert(name, value);
    }
}

fn conversion(found: &Json, want: &'static str) -> SetError {
    let found = match found {
        Json::Null => "nil",
        Json::Bool(_) => "bool",
        Json::Number(n) if n.is_f64() => "float64",
        Json::Number(_) => "int64",
        Json::String(_) => "string",
        Json::Array(_) => "[]interface {}",
        Json::Object(_) => "map[string]interface {}",
    };
    SetError::Conversion { found, want }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(expression: &str, kind: SetKind) -> Result<Json, String> {
        let mut map = Map::new();
        set(&mut map, expression, kind).map_err(|e| e.to_string())?;
        Ok(Json::Object(map))
    }

    /// covers: HE-004
    #[test]
    fn expressions_set_typed_values() {
        for (expression, expect) in [
            (
                "a=1,b=true,c=null,d=x",
                json!({"a": 1, "b": true, "c": null, "d": "x"}),
            ),
            (
                "a=007,b=0,c=1.5,d=-3",
                json!({"a": "007", "b": 0, "c": "1.5", "d": -3}),
            ),
            ("a.b.c=1", json!({"a": {"b": {"c": 1}}})),
            ("a[1]=x", json!({"a": [null, "x"]})),
            ("a[0].b=1,a[0].c=2", json!({"a": [{"b": 1, "c": 2}]})),
            ("a[0][1]=x", json!({"a": [[null, "x"]]})),
            ("a={x,1,y}", json!({"a": ["x", 1, "y"]})),
            ("a={}", json!({"a": [""]})),
            (r"a\.b=c\,d", json!({"a.b": "c,d"})),
            ("a=,b=1", json!({"a": "", "b": 1})),
            ("a=", json!({"a": ""})),
            ("a=b=c", json!({"a": "b=c"})),
            ("a.b=1,a.c=2", json!({"a": {"b": 1, "c": 2}})),
        ] {
            assert_eq!(
                parsed(expression, SetKind::Typed),
                Ok(expect),
                "{expression}"
            );
        }
        assert_eq!(parsed("a=1", SetKind::Text), Ok(json!({"a": "1"})));
        assert_eq!(
            parsed("a.b=1,x={", SetKind::Literal),
            Ok(json!({"a": {"b": "1,x={"}}))
        );
        assert_eq!(
            parsed("a={\"x\":[1]},b=2", SetKind::Json),
            Ok(json!({"a": {"x": [1.0]}, "b": 2.0}))
        );
    }

    #[test]
    fn malformed_expressions_are_refused() {
        for (expression, message) in [
            ("a", "key \"a\" has no value"),
            ("a,b=1", "key \"a\" has no value (cannot end with ,)"),
            ("a.=1", "key map \"a\" has no value"),
            (
                "a[x]=1",
                "error parsing index: strconv.Atoi: parsing \"x\": invalid syntax",
            ),
            ("a[-1]=1", "negative -1 index not allowed"),
            (
                "a[999999999]=x",
                "index of 999999999 is greater than maximum supported index of 65536",
            ),
            ("a={x", "list must terminate with '}'"),
            ("a[0]b=1", "unexpected data at end of array index: \"b\""),
            (
                "a=1,a.b=2",
                "unable to parse key: interface conversion: interface {} is int64, not map[string]interface {}",
            ),
        ] {
            assert_eq!(
                parsed(expression, SetKind::Typed),
                Err(message.to_owned()),
                "{expression}"
            );
        }
        let deep = vec!["a"; 40].join(".") + "=1";
        assert!(
            parsed(&deep, SetKind::Typed)
                .unwrap_err()
                .contains("nesting level")
        );
    }
}
