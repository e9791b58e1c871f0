//! Scalars, keys and short lists on one line.

use yaml::Kind;

use super::{MAX_KEY_BYTES, SCHEMA};

/// Whether a text has only characters that may stand anywhere in YAML and break no line but `\n`.
pub(super) fn is_allowed(bytes: &[u8]) -> bool {
    let mut at = 0;
    while at < bytes.len() {
        let allowed = match bytes[at] {
            b'\t' | b'\n' | b' '..=b'~' => true,
            // Byte order marks and what is no character begin with the last of these.
            0..=0x1f | 0x7f | 0xef => false,
            0xc2 => bytes.get(at + 1).is_some_and(|next| *next >= 0xa0),
            0xe2 => {
                bytes.get(at + 1).is_some_and(|next| *next != 0x80)
                    || bytes
                        .get(at + 2)
                        .is_some_and(|next| !matches!(next, 0xa8 | 0xa9))
            }
            _ => true,
        };
        if !allowed {
            return false;
        }
        at += 1;
    }
    true
}

/// Whether nothing but a comment follows a value.
pub(super) fn ends(rest: &str) -> Option<()> {
    let next = rest.trim_start_matches(' ');
    let is_comment = next.starts_with('#') && next.len() < rest.len();
    (next.is_empty() || is_comment).then_some(())
}

/// A plain scalar, or a line of one.
pub(super) struct Plain<'a> {
    pub(super) text: &'a str,
    /// Whether a comment ends it.
    pub(super) has_comment: bool,
}

impl<'a> Plain<'a> {
    /// Reads a line; `None` where it may be something else.
    pub(super) fn read(content: &'a str) -> Option<Self> {
        let (text, has_comment) = match content.find(" #") {
            Some(at) => (content[..at].trim_end_matches(' '), true),
            None => (content, false),
        };
        let is_plain = !text.is_empty() && !text.contains(": ") && !text.ends_with(':');
        is_plain.then_some(Self { text, has_comment })
    }

    /// What a whole scalar means; `None` where it begins as no plain scalar does, or JSON cannot hold it.
    pub(super) fn kind(&self) -> Option<Kind> {
        let first = *self.text.as_bytes().first()?;
        if b"-?:,[]{}#&*!|>'\"%@`".contains(&first) {
            let after = self.text.as_bytes().get(1);
            let is_number = first == b'-' && after.is_some_and(u8::is_ascii_alphanumeric);
            if !is_number {
                return None;
            }
        }
        match yaml::resolve(self.text, SCHEMA) {
            Kind::Float(float) if !float.is_finite() => None,
            Kind::Timestamp => Some(Kind::String),
            kind => Some(kind),
        }
    }
}

/// A quoted scalar that ends on its line.
pub(super) struct Quoted<'a> {
    quote: u8,
    inner: &'a str,
    pub(super) rest: &'a str,
}

impl<'a> Quoted<'a> {
    /// Reads the scalar that a text begins with; `None` where it has an unusual escape or no end.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let quote = *bytes.first()?;
        let mut at = 1;
        loop {
            match bytes.get(at)? {
                b'\\' if quote == b'"' => {
                    if !matches!(bytes.get(at + 1)?, b'\\' | b'"' | b'n' | b't') {
                        return None;
                    }
                    at += 2;
                }
                byte if *byte == quote => {
                    if quote == b'\'' && bytes.get(at + 1) == Some(&quote) {
                        at += 2;
                        continue;
                    }
                    return Some(Self {
                        quote,
                        inner: &text[1..at],
                        rest: &text[at + 1..],
                    });
                }
                _ => at += 1,
            }
        }
    }

    /// The text, where it needs no more than its quotes taken off.
    pub(super) fn text(&self) -> Option<String> {
        let escape = if self.quote == b'"' { '\\' } else { '\'' };
        (!self.inner.contains(escape)).then(|| self.inner.to_owned())
    }
}

/// The key that a line begins with and what follows its colon; `Some(None)` where there is none, `None`
/// where that is not sure.
#[expect(clippy::option_option, reason = "a key, surely none, or unsure")]
pub(super) fn key(content: &str) -> Option<Option<(&str, &str)>> {
    if content.starts_with(['"', '\'']) {
        let quoted = Quoted::read(content)?;
        let Some(rest) = quoted.rest.strip_prefix(':') else {
            let is_value = ends(quoted.rest).is_some();
            return is_value.then_some(None);
        };
        let is_simple = (rest.is_empty() || rest.starts_with(' '))
            && is_key(quoted.inner)
            && !quoted.inner.is_empty();
        return is_simple.then_some(Some((quoted.inner, rest)));
    }
    let colon = match content.find(": ") {
        Some(at) => at,
        None if content.ends_with(':') => content.len() - 1,
        None => return Some(None),
    };
    let (key, rest) = (&content[..colon], &content[colon + 1..]);
    let is_simple = is_key(key) && !matches!(key, "null" | "Null" | "NULL");
    is_simple.then_some(Some((key, rest)))
}

fn is_key(key: &str) -> bool {
    let allowed =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'/' | b'$' | b'-');
    let first = key.bytes().next();
    key.len() <= MAX_KEY_BYTES
        && first.is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'$' | b'/'))
        && key.bytes().all(allowed)
}

/// What follows `{}` or a list of words and quoted scalars; `None` for any other flow collection.
pub(super) fn flow(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix("{}") {
        return Some(rest);
    }
    let mut rest = text.strip_prefix('[')?.trim_start_matches(' ');
    if let Some(rest) = rest.strip_prefix(']') {
        return Some(rest);
    }
    loop {
        rest = if rest.starts_with(['"', '\'']) {
            Quoted::read(rest)?.rest
        } else {
            let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
            let after = rest.trim_start_matches(is_word);
            let word = &rest[..rest.len() - after.len()];
            word.starts_with(|c: char| c.is_ascii_alphanumeric())
                .then_some(after)?
        };
        rest = rest.trim_start_matches(' ');
        match rest.strip_prefix(',') {
            Some(next) => rest = next.trim_start_matches(' '),
            None => return rest.strip_prefix(']'),
        }
    }
}
