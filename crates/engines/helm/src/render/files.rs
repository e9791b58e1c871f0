//! `.Files`.

use std::collections::BTreeMap;

use gotemplate::funcs::Arguments as _;
use gotemplate::value::{MapKind, Method, NamedType, Type, Value};
use gotemplate::{Fault, List, Map as Table, Str};

const NAME: &[Type] = &[Type::String];

pub(super) static FILES: NamedType = NamedType {
    name: "engine.files",
    element: "[]uint8",
    methods: &[
        Method {
            name: "Get",
            params: NAME,
            variadic: false,
            call: |files, args| {
                Ok(Value::Str(
                    bytes(files, &args.string(0)).unwrap_or_else(|| Str::from("")),
                ))
            },
        },
        Method {
            name: "GetBytes",
            params: NAME,
            variadic: false,
            call: |files, args| {
                Ok(Value::Bytes(
                    bytes(files, &args.string(0)).unwrap_or_else(|| Str::from("")),
                ))
            },
        },
        Method {
            name: "Glob",
            params: NAME,
            variadic: false,
            call: |files, args| {
                let pattern = args.text(0);
                let found = entries(files)
                    .into_iter()
                    .filter(|(name, _)| glob(&pattern, &name.text()));
                Ok(Value::Map(Table::of(
                    MapKind::Named(&FILES),
                    found.collect(),
                )))
            },
        },
        Method {
            name: "AsConfig",
            params: &[],
            variadic: false,
            call: |files, _| Ok(by_base_name(files, |data| Value::Str(data.clone()))),
        },
        Method {
            name: "AsSecrets",
            params: &[],
            variadic: false,
            call: |files, _| {
                use base64::Engine as _;
                Ok(by_base_name(files, |data| {
                    Value::from(base64::engine::general_purpose::STANDARD.encode(data.as_bytes()))
                }))
            },
        },
        Method {
            name: "Lines",
            params: NAME,
            variadic: false,
            call: lines,
        },
    ],
    key: None,
};

fn entries(files: &Value) -> BTreeMap<Str, Value> {
    match files {
        Value::Map(map) => map.entries().into_iter().collect(),
        _ => BTreeMap::new(),
    }
}

fn bytes(files: &Value, name: &Str) -> Option<Str> {
    match files {
        Value::Map(map) => match map.get(name.as_bytes())? {
            Value::Bytes(data) => Some(data),
            _ => None,
        },
        _ => None,
    }
}

fn by_base_name(files: &Value, show: impl Fn(&Str) -> Value) -> Value {
    let mut out = BTreeMap::new();
    for (name, data) in entries(files) {
        if let Value::Bytes(data) = data {
            out.insert(Str::from(go::path::base(&name.text())), show(&data));
        }
    }
    if out.is_empty() {
        return Value::empty();
    }
    let text = super::encoding::yaml(&Value::Map(Table::new(out))).unwrap_or_default();
    Value::from(text.strip_suffix('\n').unwrap_or(&text))
}

fn lines(files: &Value, args: &[Value]) -> Result<Value, Fault> {
    let Some(data) = bytes(files, &args.string(0)) else {
        return Ok(Value::List(List::strings(Vec::<&str>::new())));
    };
    if data.is_empty() {
        return Err(Fault::new("runtime error: index out of range [-1]"));
    }
    let text = data.as_bytes();
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    Ok(Value::List(List::strings(text.split(|b| *b == b'\n'))))
}

/// Whether a path matches a pattern of gobwas/glob: `*` stays inside a folder, `**` does not, `?`,
/// `[abc]`, `[!a-z]`, `{a,b}`. A malformed pattern matches everything.
pub fn glob(pattern: &str, path: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    match parse(&pattern, 0, 0) {
        Some((tokens, _)) => {
            let path: Vec<char> = path.chars().collect();
            let mut budget = 100_000_u32;
            matches(&tokens, &path, &mut budget)
        }
        None => true,
    }
}

#[derive(Debug)]
enum Token {
    Literal(char),
    One,
    Any,
    Super,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    Alternatives(Vec<Vec<Self>>),
}

const MAX_BRACES: usize = 20;

/// Reads tokens up to the end, or inside braces up to a comma or their end.
fn parse(pattern: &[char], start: usize, depth: usize) -> Option<(Vec<Token>, usize)> {
    let mut tokens = Vec::new();
    let mut at = start;
    if depth > MAX_BRACES {
        return None;
    }
    while let Some(c) = pattern.get(at) {
        match c {
            '\\' => {
                tokens.push(Token::Literal(*pattern.get(at + 1)?));
                at += 2;
                continue;
            }
            '*' if pattern.get(at + 1) == Some(&'*') => {
                tokens.push(Token::Super);
                at += 2;
                continue;
            }
            '*' => tokens.push(Token::Any),
            '?' => tokens.push(Token::One),
            '[' => {
                let (token, next) = class(pattern, at + 1)?;
                tokens.push(token);
                at = next;
                continue;
            }
            '{' => {
                let mut options = Vec::new();
                loop {
                    let (option, end) = parse(pattern, at + 1, depth + 1)?;
                    options.push(option);
                    at = end;
                    match pattern.get(at)? {
                        ',' => {}
                        _ => break,
                    }
                }
                tokens.push(Token::Alternatives(options));
            }
            ',' | '}' if depth > 0 => return Some((tokens, at)),
            other => tokens.push(Token::Literal(*other)),
        }
        at += 1;
    }
    (depth == 0).then_some((tokens, at))
}

fn class(pattern: &[char], start: usize) -> Option<(Token, usize)> {
    let mut at = start;
    let negated = pattern.get(at) == Some(&'!');
    if negated {
        at += 1;
    }
    let mut ranges = Vec::new();
    while *pattern.get(at)? != ']' || ranges.is_empty() {
        let low = *pattern.get(at)?;
        if pattern.get(at + 1) == Some(&'-') && pattern.get(at + 2).is_some_and(|c| *c != ']') {
            ranges.push((low, pattern[at + 2]));
            at += 3;
        } else {
            ranges.push((low, low));
            at += 1;
        }
    }
    Some((Token::Class { negated, ranges }, at + 1))
}

fn matches(tokens: &[Token], path: &[char], budget: &mut u32) -> bool {
    if *budget == 0 {
        return false;
    }
    *budget -= 1;
    let Some((first, rest)) = tokens.split_first() else {
        return path.is_empty();
    };
    let one = |fits: &dyn Fn(char) -> bool, budget: &mut u32| {
        path.first().is_some_and(|c| fits(*c)) && matches(rest, &path[1..], budget)
    };
    match first {
        Token::Literal(wanted) => one(&|c| c == *wanted, budget),
        Token::One => one(&|c| c != '/', budget),
        Token::Class { negated, ranges } => {
            let inside = |c: char| ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
            one(&|c| inside(c) != *negated, budget)
        }
        Token::Any | Token::Super => {
            let limit = if matches!(first, Token::Any) {
                path.iter().position(|c| *c == '/').unwrap_or(path.len())
            } else {
                path.len()
            };
            (0..=limit).any(|skip| matches(rest, &path[skip..], budget))
        }
        Token::Alternatives(options) => options.iter().any(|option| {
            (0..=path.len()).any(|end| {
                matches(option, &path[..end], budget) && matches(rest, &path[end..], budget)
            })
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: HE-092
    #[test]
    fn patterns_match_as_gobwas() {
        for (pattern, path, expect) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "x/a.yaml", false),
            ("**.yaml", "x/y/a.yaml", true),
            ("**/x", "x", false),
            ("**/x", "a/b/x", true),
            ("a/?", "a/b", true),
            ("a/[bc]", "a/c", true),
            ("a/[!bc]", "a/c", false),
            ("{a,b}.txt", "b.txt", true),
            ("files/**", "files/a/b", true),
            ("[", "anything", true),
        ] {
            assert_eq!(glob(pattern, path), expect, "{pattern} {path}");
        }
    }
}
