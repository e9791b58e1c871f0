//! Label selectors in the text form of `kubectl -l`: `a=b,c!=d,e in (x,y),f notin (z),g,!h`.

use std::str::FromStr;

/// A parsed label selector: all requirements must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Missing,
    In(Vec<String>),
    NotIn(Vec<String>),
}

/// Text that is no label selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unable to parse requirement {requirement:?}")]
pub struct ParseLabelSelectorError {
    requirement: String,
}

impl LabelSelector {
    /// Tells whether labels, looked up by key, meet every requirement.
    ///
    /// `!=` and `notin` also hold where the label is missing.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|requirement| {
            let found = label(&requirement.key);
            match &requirement.test {
                Test::Exists => found.is_some(),
                Test::Missing => found.is_none(),
                Test::In(values) => found.is_some_and(|it| values.iter().any(|value| value == it)),
                Test::NotIn(values) => {
                    found.is_none_or(|it| !values.iter().any(|value| value == it))
                }
            }
        })
    }
}

impl FromStr for LabelSelector {
    type Err = ParseLabelSelectorError;

    fn from_str(text: &str) -> Result<Self, ParseLabelSelectorError> {
        let requirements = split(text)
            .map(|part| {
                let part = part.trim();
                parse(part).ok_or_else(|| ParseLabelSelectorError {
                    requirement: part.into(),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { requirements })
    }
}

/// Splits at commas outside parentheses.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    text.split(move |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
}

fn parse(part: &str) -> Option<Requirement> {
    let make = |key: &str, test| {
        let key = key.trim();
        let is_key = !key.is_empty()
            && key
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        is_key.then(|| Requirement {
            key: key.into(),
            test,
        })
    };
    let one = |value: &str| vec![value.trim().to_string()];
    if let Some(key) = part.strip_prefix('!') {
        return make(key, Test::Missing);
    }
    if let Some((key, value)) = part.split_once("!=") {
        return make(key, Test::NotIn(one(value)));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return make(key, Test::In(one(value)));
    }
    if let Some((head, values)) = part.strip_suffix(')').and_then(|part| part.split_once('(')) {
        let values = values
            .split(',')
            .map(|value| value.trim().to_string())
            .collect();
        let (key, operator) = head.trim().rsplit_once(char::is_whitespace)?;
        return match operator {
            "in" => make(key, Test::In(values)),
            "notin" => make(key, Test::NotIn(values)),
            _ => None,
        };
    }
    make(part, Test::Exists)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: KC-114
    #[test]
    fn selectors_hold_or_not() {
        let labels = [("app", "web"), ("tier", "front"), ("x.io/y", "")];
        for (text, expected) in [
            ("app=web", true),
            ("app==web", true),
            ("app = web , tier=front", true),
            ("app=api", false),
            ("app!=api", true),
            ("other!=api", true),
            ("app in (api, web)", true),
            ("app notin (api,web)", false),
            ("other notin (a)", true),
            ("other in (a)", false),
            ("app", true),
            ("!app", false),
            ("!other", true),
            ("x.io/y", true),
            ("x.io/y=", true),
            ("app in (web),tier", true),
        ] {
            let selector: LabelSelector = text.parse().unwrap();
            let found = |key: &str| labels.iter().find(|(it, _)| *it == key).map(|(_, v)| *v);
            assert_eq!(selector.matches(found), expected, "{text}");
        }
    }

    #[test]
    fn malformed_selectors_are_refused() {
        for text in ["app web", "app in", "app in (a", "=x", "a like (b)", "a,,b"] {
            assert!(text.parse::<LabelSelector>().is_err(), "{text}");
        }
    }
}
