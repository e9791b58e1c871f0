//! RE2 expressions as Go reads and prints them, run by the `regex` crate.
//!
//! The expression is checked and rewritten: Go's classes are ASCII, its escapes and errors differ,
//! and characters that only the crate treats as operators must be quoted.

mod translate;

use regex::bytes::{Regex as Inner, RegexBuilder};

/// The memory a compiled expression may take.
const SIZE_LIMIT: usize = 8 << 20;

/// Why an expression was refused. The text is Go's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {what}: `{part}`")]
pub struct SyntaxError {
    /// What is wrong, such as `missing closing )`.
    pub what: String,
    /// The part of the expression at fault.
    pub part: String,
}

impl SyntaxError {
    fn new(what: &str, part: impl Into<String>) -> Self {
        Self {
            what: what.to_owned(),
            part: part.into(),
        }
    }
}

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Regexp {
    inner: Inner,
    empty: bool,
}

impl Regexp {
    /// Compiles an expression in Go's syntax.
    pub fn new(expression: &str) -> Result<Self, SyntaxError> {
        let translated = translate::translate(expression)?;
        let inner = RegexBuilder::new(&translated)
            .size_limit(SIZE_LIMIT)
            .nest_limit(200)
            .build()
            .map_err(|e| match e {
                regex::Error::CompiledTooBig(_) => {
                    SyntaxError::new("expression too large", expression)
                }
                _ => SyntaxError::new("invalid expression", expression),
            })?;
        Ok(Self {
            inner,
            empty: expression.is_empty(),
        })
    }

    /// Whether the text contains a match.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.inner.is_match(text)
    }

    /// The leftmost match.
    pub fn find<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        self.inner.find(text).map(|m| m.as_bytes())
    }

    /// Matches from the left, at most `limit` of them; negative is all.
    pub fn find_all<'t>(&self, text: &'t [u8], limit: i64) -> Vec<&'t [u8]> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.inner
            .find_iter(text)
            .filter(|m| whole_runes(text, m))
            .take(limit)
            .map(|m| m.as_bytes())
            .collect()
    }

    /// Replaces all matches; `$1`, `${name}` and `$$` in the template expand.
    pub fn replace_all(&self, text: &[u8], template: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut last = 0;
        for captures in self.inner.captures_iter(text) {
            let Some(whole) = captures.get(0).filter(|m| whole_runes(text, m)) else {
                continue;
            };
            out.extend_from_slice(&text[last..whole.start()]);
            expand(template, &captures, &mut out);
            last = whole.end();
        }
        out.extend_from_slice(&text[last..]);
        out
    }

    /// Expands the template with the groups of the leftmost match; none where nothing matches.
    pub fn expand_first(&self, text: &[u8], template: &[u8]) -> Option<Vec<u8>> {
        let captures = self.inner.captures(text)?;
        let mut out = Vec::new();
        expand(template, &captures, &mut out);
        Some(out)
    }

    /// Replaces all matches by the text as it is.
    pub fn replace_all_literal(&self, text: &[u8], replacement: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut last = 0;
        for found in self.inner.find_iter(text).filter(|m| whole_runes(text, m)) {
            out.extend_from_slice(&text[last..found.start()]);
            out.extend_from_slice(replacement);
            last = found.end();
        }
        out.extend_from_slice(&text[last..]);
        out
    }

    /// The pieces between matches, at most `limit`; negative is all, zero is none.
    pub fn split<'t>(&self, text: &'t [u8], limit: i64) -> Vec<&'t [u8]> {
        if limit == 0 {
            return Vec::new();
        }
        if !self.empty && text.is_empty() {
            return vec![text];
        }
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut pieces = Vec::new();
        let (mut begin, mut end) = (0, 0);
        for found in self
            .inner
            .find_iter(text)
            .filter(|m| whole_runes(text, m))
            .take(most)
        {
            if pieces.len() + 1 >= most {
                break;
            }
            end = found.start();
            if found.end() != 0 {
                pieces.push(&text[begin..end]);
            }
            begin = found.end();
        }
        if end != text.len() {
            pieces.push(&text[begin..]);
        }
        pieces
    }
}

/// Whether a match begins where a character does; an empty one could fall inside of it.
fn whole_runes(text: &[u8], found: &regex::bytes::Match<'_>) -> bool {
    !found.is_empty() || text.get(found.start()).is_none_or(|b| b & 0xc0 != 0x80)
}

/// Quotes what an expression would treat as an operator.
pub fn quote_meta(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        if br"\.+*?()|[]{}^$".contains(byte) {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out
}

/// Writes a replacement template with its references filled in. An unknown group is empty; a
/// dollar that begins no reference stays.
fn expand(template: &[u8], captures: &regex::bytes::Captures<'_>, out: &mut Vec<u8>) {
    let mut rest = template;
    while let Some(at) = rest.iter().position(|b| *b == b'$') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        if rest.first() == Some(&b'$') {
            out.push(b'$');
            rest = &rest[1..];
            continue;
        }
        match reference(rest) {
            Some((name, after)) => {
                let group = name
                    .parse::<usize>()
                    .map_or_else(|_| named(captures, name), |index| captures.get(index));
                out.extend_from_slice(group.map(|g| g.as_bytes()).unwrap_or_default());
                rest = after;
            }
            None => out.push(b'$'),
        }
    }
    out.extend_from_slice(rest);
}

/// Returns the first group of a name that takes part in the match: several may have it.
fn named<'t>(captures: &regex::bytes::Captures<'t>, name: &str) -> Option<regex::bytes::Match<'t>> {
    let others = (2..captures.len()).map(|number| captures.name(&format!("{name}.{number}")));
    captures.name(name).or_else(|| others.flatten().next())
}

/// Reads `name` or `{name}` after a dollar.
fn reference(text: &[u8]) -> Option<(&str, &[u8])> {
    let braced = text.first() == Some(&b'{');
    let body = if braced { &text[1..] } else { text };
    let valid = std::str::from_utf8(body)
        .unwrap_or_else(|e| std::str::from_utf8(&body[..e.valid_up_to()]).unwrap_or_default());
    let length = valid
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(valid.len());
    if length == 0 {
        return None;
    }
    let after = &body[length..];
    if !braced {
        return Some((&valid[..length], after));
    }
    after
        .strip_prefix(b"}")
        .map(|rest| (&valid[..length], rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    /// covers: HE-084
    #[test]
    fn templates_expand_the_longest_name() {
        let re = Regexp::new("a(x*)b").unwrap();
        assert_eq!(text(&re.replace_all(b"-ab-axxb-", b"${1}W")), "-W-xxW-");
        assert_eq!(text(&re.replace_all(b"-ab-axxb-", b"$1W")), "---");
        assert_eq!(text(&re.replace_all(b"-ab-", b"$$1$ ${1")), "-$1$ ${1-");
        let named = Regexp::new("(?P<n>a+)").unwrap();
        assert_eq!(text(&named.replace_all(b"baab", b"<$n>")), "b<aa>b");
        let twice = Regexp::new("(?P<n>a)|(?P<n>b)").unwrap();
        assert_eq!(text(&twice.replace_all(b"xab", b"<$n>")), "x<a><b>");
        assert_eq!(text(&re.replace_all_literal(b"ab", b"$1")), "$1");
    }

    #[test]
    fn matches_and_pieces_are_as_in_go() {
        let digits = Regexp::new("[2,4,6,8]").unwrap();
        let found: Vec<_> = digits
            .find_all(b"123456789", -1)
            .into_iter()
            .map(text)
            .collect();
        assert_eq!(found, ["2", "4", "6", "8"]);
        for (expression, input, limit, expect) in [
            ("z+", "pizza", -1, vec!["pi", "a"]),
            ("z", "pizza", 2, vec!["pi", "za"]),
            ("a", "", -1, vec![""]),
            ("", "abc", -1, vec!["a", "b", "c"]),
            ("", "hé☃", -1, vec!["h", "é", "☃"]),
            ("a", "banana", 0, vec![]),
        ] {
            let re = Regexp::new(expression).unwrap();
            let pieces: Vec<_> = re
                .split(input.as_bytes(), limit)
                .into_iter()
                .map(text)
                .collect();
            assert_eq!(pieces, expect, "{expression} {input}");
        }
    }

    #[test]
    fn classes_are_ascii_and_operators_are_gos() {
        for (expression, input, expect) in [
            (r"^\d+$", "١٢", false),
            (r"^\w$", "é", false),
            (r"^\W$", "é", true),
            (r"^.$", "é", true),
            (r"^[a&&b]+$", "&", true),
            (r"^[a[]$", "[", true),
            (r"^[~~a-b-z]$", "~", true),
            (r"\<a\>", "<a>", true),
            (r"^\Qa.b\E$", "a.b", true),
            (r"^a{,2}$", "a{,2}", true),
            (r"^[[:alpha:]]+$", "abc", true),
            (r"^[^\s\d]$", "x", true),
            (r"^\pL$", "é", true),
            (r"(?i)^ABC$", "abc", true),
            (r"^\x41\101$", "AA", true),
            (r"^a]$", "a]", true),
            (r"^[]a]$", "]", true),
        ] {
            let re = Regexp::new(expression).unwrap();
            assert_eq!(
                re.is_match(input.as_bytes()),
                expect,
                "{expression} on {input}"
            );
        }
    }

    #[test]
    fn errors_are_gos() {
        for (expression, message) in [
            ("(?!x)", "invalid or unsupported Perl syntax: `(?!`"),
            ("a(b", "missing closing ): `a(b`"),
            ("a)b", "unexpected ): `a)b`"),
            ("*a", "missing argument to repetition operator: `*`"),
            ("a**", "invalid nested repetition operator: `**`"),
            ("[a", "missing closing ]: `[a`"),
            ("[b-a]", "invalid character class range: `b-a`"),
            (r"a\Z", r"invalid escape sequence: `\Z`"),
            (r"\1", r"invalid escape sequence: `\1`"),
            ("a\\", "trailing backslash at end of expression: ``"),
            ("a{1001}", "invalid repeat count: `{1001}`"),
            (r"\p{Nope}", r"invalid character class range: `\p{Nope}`"),
            ("(?P<n", "invalid named capture: `(?P<n`"),
        ] {
            let error = Regexp::new(expression).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("error parsing regexp: {message}"),
                "{expression}"
            );
        }
    }

    #[test]
    fn meta_characters_are_quoted() {
        assert_eq!(text(&quote_meta(b"1.5-2.0?")), r"1\.5-2\.0\?");
    }
}
