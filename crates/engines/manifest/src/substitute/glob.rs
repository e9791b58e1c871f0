//! Shell patterns: `*`, `?`, `[a-z]`, `[^a]`, `\x`. They cross slashes.

/// A compiled pattern.
pub(super) struct Glob {
    tokens: Vec<Token>,
}

enum Token {
    Any,
    One,
    Char(char),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Token {
    fn matches(&self, c: char) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::Char(wanted) => *wanted == c,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

impl Glob {
    /// Compiles a pattern; `None` when it is malformed.
    pub(super) fn new(pattern: &str) -> Option<Self> {
        let mut chars = pattern.chars().peekable();
        let mut tokens = Vec::new();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::Any,
                '?' => Token::One,
                '\\' => Token::Char(chars.next()?),
                '[' => class(&mut chars)?,
                c => Token::Char(c),
            });
        }
        Some(Self { tokens })
    }

    /// Returns the shortest and the longest prefix, in characters and not empty, that match.
    ///
    /// Runs all positions of the pattern side by side: time is the product of both lengths.
    pub(super) fn prefixes(&self, text: impl Iterator<Item = char>) -> Option<(usize, usize)> {
        let mut states = vec![false; self.tokens.len() + 1];
        states[0] = true;
        self.skip_stars(&mut states);
        let mut found = None;
        for (index, c) in text.enumerate() {
            let mut next = vec![false; states.len()];
            for (at, token) in self.tokens.iter().enumerate().filter(|(at, _)| states[*at]) {
                if token.matches(c) {
                    next[if matches!(token, Token::Any) {
                        at
                    } else {
                        at + 1
                    }] = true;
                }
            }
            self.skip_stars(&mut next);
            states = next;
            if states.last() == Some(&true) {
                found = found.map_or(Some((index + 1, index + 1)), |(shortest, _)| {
                    Some((shortest, index + 1))
                });
            }
            if !states.contains(&true) {
                break;
            }
        }
        found
    }

    fn skip_stars(&self, states: &mut [bool]) {
        for (at, token) in self.tokens.iter().enumerate() {
            if states[at] && matches!(token, Token::Any) {
                states[at + 1] = true;
            }
        }
    }
}

fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Token> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        let low = match chars.next()? {
            ']' if !ranges.is_empty() => return Some(Token::Class { negated, ranges }),
            ']' | '-' => return None,
            '\\' => chars.next()?,
            c => c,
        };
        let mut high = low;
        if chars.next_if_eq(&'-').is_some() {
            high = match chars.next()? {
                ']' | '-' => return None,
                '\\' => chars.next()?,
                c => c,
            };
        }
        ranges.push((low, high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_found() {
        for (pattern, text, expected) in [
            ("a", "abc", Some((1, 1))),
            ("*", "abc", Some((1, 3))),
            ("*.", "a.b.c", Some((2, 4))),
            ("*/", "a/b/c", Some((2, 4))),
            ("?b", "abc", Some((2, 2))),
            ("[a-c]*", "bxx", Some((1, 3))),
            ("[^a]", "abc", None),
            ("\\*", "*x", Some((1, 1))),
            ("x", "abc", None),
            ("", "abc", None),
        ] {
            let glob = Glob::new(pattern).unwrap();
            assert_eq!(glob.prefixes(text.chars()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in ["[", "[]", "[a", "[a-", "[a-]", "[-a]", "\\"] {
            assert!(Glob::new(pattern).is_none(), "{pattern}");
        }
    }

    #[test]
    fn time_is_bounded_on_hostile_patterns() {
        let glob = Glob::new(&"*a".repeat(200)).unwrap();
        assert_eq!(glob.prefixes(std::iter::repeat_n('b', 20_000)), None);
    }
}
