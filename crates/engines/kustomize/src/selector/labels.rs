//! Kubernetes' label selectors: `a=b,c in (x,y),!d`.

/// A label selector; the empty one matches everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    Missing,
    Greater,
    Less,
}

impl LabelSelector {
    /// Reads a selector.
    ///
    /// # Errors
    /// What cannot be read.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let tokens = tokens(text);
        let mut parser = Parser {
            text,
            tokens: tokens.iter().map(String::as_str).peekable(),
        };
        let mut requirements = Vec::new();
        while parser.tokens.peek().is_some() {
            requirements.push(parser.requirement()?);
            match parser.tokens.next() {
                None => break,
                Some(",") if parser.tokens.peek().is_some() => {}
                Some(_) => return Err(parser.failed()),
            }
        }
        Ok(Self { requirements })
    }

    /// Tells whether labels fit, given by key.
    pub(crate) fn matches<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.matches(get(&requirement.key)))
    }
}

impl Requirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let is_listed = |value: &str| self.values.iter().any(|wanted| wanted == value);
        match self.operator {
            Operator::In => value.is_some_and(is_listed),
            Operator::NotIn => !value.is_some_and(is_listed),
            Operator::Exists => value.is_some(),
            Operator::Missing => value.is_none(),
            Operator::Greater | Operator::Less => {
                let number = |text: &str| text.parse::<i64>().ok();
                match (
                    value.and_then(number),
                    self.values.first().and_then(|v| number(v)),
                ) {
                    (Some(value), Some(bound)) if self.operator == Operator::Greater => {
                        value > bound
                    }
                    (Some(value), Some(bound)) => value < bound,
                    _ => false,
                }
            }
        }
    }
}

/// Splits a selector into words and operators.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let is_operator = "=!(),<>".contains(c);
        if (is_operator || c.is_whitespace()) && !word.is_empty() {
            tokens.push(std::mem::take(&mut word));
        }
        if is_operator {
            let mut operator = c.to_string();
            if matches!(c, '=' | '!') && chars.peek() == Some(&'=') {
                operator.extend(chars.next());
            }
            tokens.push(operator);
        } else if !c.is_whitespace() {
            word.push(c);
        }
    }
    if !word.is_empty() {
        tokens.push(word);
    }
    tokens
}

struct Parser<'t, I: Iterator<Item = &'t str>> {
    text: &'t str,
    tokens: std::iter::Peekable<I>,
}

/// Tells whether a token is a word.
fn is_word(token: &str) -> bool {
    !token.starts_with(|c: char| "=!(),<>".contains(c))
}

impl<'t, I: Iterator<Item = &'t str>> Parser<'t, I> {
    fn failed(&self) -> String {
        format!(
            "unable to parse requirement: '{}' is no label selector",
            self.text
        )
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let negated = self.tokens.next_if_eq(&"!").is_some();
        let key = self
            .tokens
            .next()
            .filter(|token| is_word(token))
            .ok_or_else(|| self.failed())?;
        let key = key.to_owned();
        if negated {
            return Ok(Requirement {
                key,
                operator: Operator::Missing,
                values: Vec::new(),
            });
        }
        let operator = match self.tokens.peek().copied() {
            None | Some(",") => {
                return Ok(Requirement {
                    key,
                    operator: Operator::Exists,
                    values: Vec::new(),
                });
            }
            Some("=" | "==" | "in") => Operator::In,
            Some("!=" | "notin") => Operator::NotIn,
            Some(">") => Operator::Greater,
            Some("<") => Operator::Less,
            Some(_) => return Err(self.failed()),
        };
        let is_set = matches!(self.tokens.next(), Some("in" | "notin"));
        let values = if is_set {
            self.set()?
        } else {
            vec![self.value()]
        };
        let is_number = |text: &String| text.parse::<i64>().is_ok();
        if matches!(operator, Operator::Greater | Operator::Less) && !values.iter().all(is_number) {
            return Err(self.failed());
        }
        if values.iter().any(|value| !is_value(value)) {
            return Err(self.failed());
        }
        Ok(Requirement {
            key,
            operator,
            values,
        })
    }

    /// Reads one value, which may be empty.
    fn value(&mut self) -> String {
        self.tokens
            .next_if(|token| is_word(token))
            .unwrap_or_default()
            .to_owned()
    }

    /// Reads `(a, b)`.
    fn set(&mut self) -> Result<Vec<String>, String> {
        if self.tokens.next() != Some("(") {
            return Err(self.failed());
        }
        let mut values = vec![self.value()];
        loop {
            match self.tokens.next() {
                Some(",") => values.push(self.value()),
                Some(")") => return Ok(values),
                _ => return Err(self.failed()),
            }
        }
    }
}

/// Tells whether a text may be a label's value.
fn is_value(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && edge(text.chars().next())
        && edge(text.chars().last())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: KE-086
    #[test]
    fn selectors_match_as_kubernetes_says() {
        let labels = [("a", "b"), ("n", "5"), ("e", "")];
        let get = |key: &str| labels.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        let cases = [
            ("", true),
            ("a=b", true),
            ("a==b,n", true),
            ("a!=b", false),
            ("zz!=b", true),
            ("a in (x, b)", true),
            ("a notin (x,b)", false),
            ("!d", true),
            ("!a", false),
            ("n>4,n<6", true),
            ("e=", true),
        ];
        for (selector, expected) in cases {
            assert_eq!(
                LabelSelector::parse(selector).unwrap().matches(get),
                expected,
                "{selector}"
            );
        }
    }

    #[test]
    fn broken_selectors_are_refused() {
        for selector in ["a=b,", "a in x", "=b", "a in (b", "n>x", "a=b c"] {
            assert!(LabelSelector::parse(selector).is_err(), "{selector}");
        }
    }
}
