//! Evaluates templates.

use super::{
    Variables,
    glob::Glob,
    parse::{Case, Cut, Expression, Operation, Part, Scope, Side, Template},
};

/// The largest result, in bytes: no object an API server takes is near it.
const MAX_RESULT: usize = 16 << 20;

/// A template whose result is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the result is larger than {MAX_RESULT} bytes")]
pub struct EvalError;

/// A result, and the variables that were read but are not set, each once, in order.
pub(super) struct Evaluated {
    pub(super) text: String,
    pub(super) missing: Vec<String>,
}

/// Evaluates a template; what is not set is empty.
pub(super) fn evaluate(template: &Template, variables: &Variables) -> Result<Evaluated, EvalError> {
    let mut evaluation = Evaluation {
        variables,
        missing: Vec::new(),
    };
    let text = evaluation.all(&template.parts)?;
    Ok(Evaluated {
        text,
        missing: evaluation.missing,
    })
}

struct Evaluation<'a> {
    variables: &'a Variables,
    missing: Vec<String>,
}

impl Evaluation<'_> {
    fn all(&mut self, parts: &[Part]) -> Result<String, EvalError> {
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Expression(expression) => text.push_str(&self.expression(expression)?),
            }
            check_size(text.len())?;
        }
        Ok(text)
    }

    fn one(&mut self, part: &Part) -> Result<String, EvalError> {
        self.all(std::slice::from_ref(part))
    }

    /// Evaluates arguments first: a variable in an unused default must be set too.
    fn expression(&mut self, expression: &Expression) -> Result<String, EvalError> {
        let Expression { name, operation } = expression;
        if let Operation::Default(parts) = operation {
            let fallback = self.all(parts)?;
            let value = self.variables.get(name).unwrap_or_default();
            return Ok(if value.is_empty() {
                fallback
            } else {
                value.to_string()
            });
        }
        match operation {
            Operation::Value | Operation::Default(_) => Ok(self.value(name).to_string()),
            Operation::Length => Ok(self.value(name).len().to_string()),
            Operation::Case(case) => Ok(change_case(self.value(name), *case)),
            Operation::Slice(Cut { offset, length }) => {
                let offset = self.one(offset)?;
                let length = length.as_ref().map(|part| self.one(part)).transpose()?;
                Ok(slice(self.value(name), &offset, length.as_deref()).to_string())
            }
            Operation::Trim {
                side,
                longest,
                pattern,
            } => {
                let pattern = self.one(pattern)?;
                Ok(trim(self.value(name), *side, *longest, &pattern))
            }
            Operation::Replace { scope, from, to } => {
                let from = self.one(from)?;
                let to = to.as_ref().map(|part| self.one(part)).transpose()?;
                replace(self.value(name), *scope, &from, to.as_deref())
            }
        }
    }

    fn value(&mut self, name: &str) -> &str {
        let variables = self.variables;
        variables.get(name).unwrap_or_else(|| {
            if !self.missing.iter().any(|it| it == name) {
                self.missing.push(name.into());
            }
            ""
        })
    }
}

fn check_size(size: usize) -> Result<(), EvalError> {
    if size > MAX_RESULT {
        Err(EvalError)
    } else {
        Ok(())
    }
}

/// Changes one character's case where the result is one character again.
fn change_char(c: char, upper: bool) -> char {
    let mut changed = if upper {
        c.to_uppercase().collect()
    } else {
        c.to_lowercase().collect::<String>()
    };
    match (changed.pop(), changed.is_empty()) {
        (Some(only), true) => only,
        _ => c,
    }
}

fn change_case(value: &str, case: Case) -> String {
    let first = |upper| {
        let mut chars = value.chars();
        let head = chars.next().map(|c| change_char(c, upper));
        head.into_iter().chain(chars).collect()
    };
    match case {
        Case::Same => value.into(),
        Case::UpperFirst => first(true),
        Case::LowerFirst => first(false),
        Case::Upper => value.chars().map(|c| change_char(c, true)).collect(),
        Case::Lower => value.chars().map(|c| change_char(c, false)).collect(),
    }
}

/// Cuts out bytes from an offset, of a length. Text that is no number leaves the value whole; a
/// negative offset counts from the end, a negative length leaves that much off the end.
fn slice<'a>(value: &'a str, offset: &str, length: Option<&str>) -> &'a str {
    let number = |text: &str| text.parse::<i64>().ok();
    let size = i64::try_from(value.len()).unwrap_or(i64::MAX);
    let Some(offset) = number(offset) else {
        return value;
    };
    let start = if offset < 0 {
        offset.saturating_add(size).max(0)
    } else {
        offset
    };
    let end = match length.map(number) {
        None => size,
        Some(None) => return value,
        Some(Some(length)) if length < 0 => size.saturating_add(length),
        Some(Some(length)) => start.saturating_add(length).min(size),
    };
    let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end)) else {
        return "";
    };
    if start >= end {
        return "";
    }
    // Offsets count bytes; one inside a character moves to its start.
    value
        .get(floor(value, start)..floor(value, end))
        .unwrap_or_default()
}

fn floor(value: &str, index: usize) -> usize {
    (0..=index.min(value.len()))
        .rev()
        .find(|at| value.is_char_boundary(*at))
        .unwrap_or(0)
}

/// Cuts a matching prefix or suffix off. A malformed pattern cuts nothing.
fn trim(value: &str, side: Side, longest: bool, pattern: &str) -> String {
    let reverse = |text: &str| text.chars().rev().collect::<String>();
    let length = |pattern: &str, text: &str| {
        let (shortest, all) = Glob::new(pattern)?.prefixes(text.chars())?;
        Some(if longest { all } else { shortest })
    };
    match side {
        Side::Prefix => {
            let count = length(pattern, value).unwrap_or(0);
            value.chars().skip(count).collect()
        }
        // As upstream, the pattern is turned round sign by sign: classes do not survive that.
        Side::Suffix => {
            let turned = reverse(value);
            let count = length(&reverse(pattern), &turned).unwrap_or(0);
            reverse(&turned.chars().skip(count).collect::<String>())
        }
    }
}

fn replace(value: &str, scope: Scope, from: &str, to: Option<&str>) -> Result<String, EvalError> {
    match (scope, to) {
        (Scope::All, to) => {
            let to = to.unwrap_or_default();
            let count = value.matches(from).count();
            check_size(value.len().saturating_add(count.saturating_mul(to.len())))?;
            Ok(value.replace(from, to))
        }
        (Scope::First, to) => Ok(value.replacen(from, to.unwrap_or_default(), 1)),
        (Scope::Prefix, Some(to)) => Ok(match value.strip_prefix(from) {
            Some(rest) => format!("{to}{rest}"),
            None => value.into(),
        }),
        (Scope::Suffix, Some(to)) => Ok(match value.strip_suffix(from) {
            Some(rest) => format!("{rest}{to}"),
            None => value.into(),
        }),
        // As upstream: at an end, nothing is not a replacement.
        (Scope::Prefix | Scope::Suffix, None) => Ok(value.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> String {
        let mut variables = Variables::default();
        for (name, value) in [
            ("s", "abcABC123"),
            ("path", "a/b/c.tar.gz"),
            ("slashes", "a/b"),
            ("back", "a\\b"),
            ("word", "hello"),
            ("umlaut", "äöü"),
            ("empty", ""),
            ("two", "2"),
            ("glob", "*/"),
        ] {
            variables.set(name, value).unwrap();
        }
        evaluate(&Template::parse(text).unwrap(), &variables)
            .unwrap()
            .text
    }

    #[track_caller]
    fn check(cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            assert_eq!(expand(text), *expected, "{text}");
        }
    }

    /// covers: KC-094
    #[test]
    fn values_lengths_and_cases() {
        check(&[
            ("${s}", "abcABC123"),
            ("${#s}", "9"),
            ("${#umlaut}", "6"),
            ("${word^}", "Hello"),
            ("${word^^}", "HELLO"),
            ("${s,}", "abcABC123"),
            ("${s,,}", "abcabc123"),
            ("${umlaut^^}", "ÄÖÜ"),
            ("${empty^}", ""),
            ("${unset}", ""),
            ("$s", "$s"),
            ("a $ b", "a $ b"),
        ]);
    }

    /// covers: KC-094
    #[test]
    fn slices() {
        check(&[
            ("${s:3}", "ABC123"),
            ("${s:3:3}", "ABC"),
            ("${s:${two}}", "cABC123"),
            ("${s:${two}:${two}}", "cA"),
            ("${s:20}", ""),
            ("${s:3:99}", "ABC123"),
            ("${s: -3}", "abcABC123"),
            ("${s:x}", "abcABC123"),
            ("${s:1:x}", "abcABC123"),
            ("${s:1:-1}", "bcABC12"),
            ("${s:8:-5}", ""),
        ]);
    }

    /// covers: KC-094
    #[test]
    fn defaults() {
        check(&[
            ("${s=x}", "abcABC123"),
            ("${unset=x}", "x"),
            ("${unset:=x}", "x"),
            ("${unset:-x}", "x"),
            ("${unset:+x}", "x"),
            ("${unset:?x}", "x"),
            ("${empty:=x}", "x"),
            ("${unset:=}", ""),
            ("${unset:=a${word}b}", "ahellob"),
            ("${unset:=${other:=deep}}", "deep"),
            ("${unset=${word^^}}", "HELLO"),
        ]);
    }

    /// covers: KC-095
    #[test]
    fn trims() {
        check(&[
            ("${path#*/}", "b/c.tar.gz"),
            ("${path##*/}", "c.tar.gz"),
            ("${path#*.}", "tar.gz"),
            ("${path##*.}", "gz"),
            ("${path%.*}", "a/b/c.tar"),
            ("${path%%.*}", "a/b/c"),
            ("${path%.gz}", "a/b/c.tar"),
            ("${path#x}", "a/b/c.tar.gz"),
            ("${path#${glob}}", "b/c.tar.gz"),
            ("${path#[}", "a/b/c.tar.gz"),
            ("${s##[a-c]*}", ""),
            ("${s%[0-9]}", "abcABC123"),
        ]);
    }

    /// covers: KC-095, KC-096
    #[test]
    fn replacements() {
        check(&[
            ("${word/l/L}", "heLlo"),
            ("${word//l/L}", "heLLo"),
            ("${word/#he/HE}", "HEllo"),
            ("${word/#lo/LO}", "hello"),
            ("${word/%lo/LO}", "helLO"),
            ("${word//l/}", "heo"),
            ("${word/l/}", "helo"),
            ("${word/#he/}", "hello"),
            ("${word/#/x}", "xhello"),
            ("${slashes//\\//-}", "a-b"),
            ("${back//\\\\/-}", "a-b"),
            ("${s/./x}", "abcABC123"),
            ("${word//l/${two}}", "he22o"),
        ]);
    }

    /// covers: KC-096
    #[test]
    fn escapes() {
        check(&[
            ("$${s}", "${s}"),
            ("$$$${s}", "$${s}"),
            ("$$${s}", "$abcABC123"),
            ("a$$b", "a$b"),
            ("$${unset=${word}}", "${unset=hello}"),
            ("a\\/b\\\\", "a\\/b\\\\"),
            ("a\0${", "a"),
        ]);
    }

    /// covers: KC-097
    #[test]
    fn what_is_not_set_is_reported_once_whatever_is_done_with_it() {
        let missing = |text: &str| {
            let template = Template::parse(text).unwrap();
            evaluate(&template, &Variables::default()).unwrap().missing
        };
        for text in [
            "${a}",
            "${#a}",
            "${a^}",
            "${a,,}",
            "${a:1}",
            "${a:1:2}",
            "${a#x}",
            "${a%%x}",
            "${a/x/y}",
            "${a//x/y}",
            "${b:=${a}}",
            "${a} ${a}",
        ] {
            assert_eq!(missing(text), ["a"], "{text}");
        }
        for text in [
            "${a=x}", "${a:=x}", "${a:-x}", "${a:+x}", "${a:?x}", "$a", "$${a}",
        ] {
            assert_eq!(missing(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn results_are_bounded() {
        let mut variables = Variables::default();
        variables.set("big", &"x".repeat(100_000)).unwrap();
        let template = Template::parse("${big//x/${big}}").unwrap();
        assert!(evaluate(&template, &variables).is_err());
        let template = Template::parse(&"${big}".repeat(200)).unwrap();
        assert!(evaluate(&template, &variables).is_err());
    }
}
