//! One path component against one glob, by the rules of Go's `path/filepath.Match`.

/// A compiled glob for one path component.
///
/// Shape: `*` any run of characters, `?` one character, `[a-z]` and `[^a]` classes, `\x` the character x.
/// `[!a]` is no negation. Source: Go 1.26 `path/filepath.Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    /// `None` where the glob is malformed: such a glob matches nothing.
    tokens: Option<Vec<Token>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    AnyChar,
    AnyRun,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Token {
    fn accepts(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::AnyChar => true,
            Self::AnyRun => false,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

impl Glob {
    pub(crate) fn compile(text: &str) -> Self {
        Self {
            tokens: compile(text),
        }
    }

    /// Whether the whole of `name` matches.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let Some(tokens) = &self.tokens else {
            return false;
        };
        let name: Vec<char> = name.chars().collect();
        let (mut t, mut n) = (0, 0);
        // Where to go on after a mismatch: behind the last `*`, with one more character given to it.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match (tokens.get(t), name.get(n)) {
                (None, None) => return true,
                (Some(Token::AnyRun), _) => {
                    retry = Some((t, n));
                    t += 1;
                    continue;
                }
                (Some(token), Some(c)) if token.accepts(*c) => {
                    t += 1;
                    n += 1;
                    continue;
                }
                _ => {}
            }
            match retry {
                Some((star, taken)) if taken < name.len() => {
                    retry = Some((star, taken + 1));
                    t = star + 1;
                    n = taken + 1;
                }
                _ => return false,
            }
        }
    }
}

fn compile(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        tokens.push(match c {
            '*' => {
                if tokens.last() == Some(&Token::AnyRun) {
                    continue;
                }
                Token::AnyRun
            }
            '?' => Token::AnyChar,
            '[' => class(&mut rest)?,
            '\\' => Token::Char(rest.next()?),
            other => Token::Char(other),
        });
    }
    Some(tokens)
}

/// Reads a class behind its `[`. `None` where it is not closed, empty, or has a stray `-`.
fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Token> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    while ranges.is_empty() || rest.peek() != Some(&']') {
        let low = class_char(rest)?;
        let high = if rest.next_if_eq(&'-').is_some() {
            class_char(rest)?
        } else {
            low
        };
        ranges.push((low, high));
    }
    rest.next();
    Some(Token::Class { negated, ranges })
}

fn class_char(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match rest.next()? {
        '-' | ']' => None,
        '\\' => rest.next(),
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;

    fn check(glob: &str, name: &str, expected: bool) {
        assert_eq!(
            Glob::compile(glob).matches(name),
            expected,
            "{glob:?} against {name:?}"
        );
    }

    #[test]
    fn component_globs_follow_go() {
        for (glob, name, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*", "", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*b*c*d*e*", "axbxcxdxe", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("**", "anything", true),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("[!a]", "b", false),
            ("[!a]", "!", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "-", true),
        ] {
            check(glob, name, expected);
        }
    }

    #[test]
    fn malformed_globs_match_nothing() {
        for glob in [
            "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "a\\", "[a",
        ] {
            for name in ["", "a", "a[", "]", "-", "x", "a]"] {
                check(glob, name, false);
            }
        }
    }
}
