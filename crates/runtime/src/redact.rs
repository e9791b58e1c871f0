//! The last net for credentials in texts that people read: logs, events, conditions.
//!
//! Adapters keep credentials out of their errors; this catches what a library put into its own.

use std::borrow::Cow;

const MASK: &str = "*****";
/// Names of URL parameters whose values are secret, in lower case.
const PARAMETERS: &[&str] = &[
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "password",
    "private_token",
    "secret",
    "sig",
    "signature",
    "token",
    "x-amz-credential",
    "x-amz-security-token",
    "x-amz-signature",
    "x-goog-signature",
];
/// A shorter word after `Bearer` or `Basic` is prose.
const SHORTEST_TOKEN: usize = 16;

/// Masks user information in URLs, secret URL parameters and authorization headers.
///
/// Of `ssh://git@host` only a password is masked: the user name is part of the address.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for find in [user_info, parameter, authorization] {
        let mut from = 0;
        while let Some((start, end)) = find(&text, from) {
            text = Cow::Owned(format!("{}{MASK}{}", &text[..start], &text[end..]));
            from = start + MASK.len();
        }
    }
    text
}

/// Returns where a secret lies, at or after `from`.
type Span = Option<(usize, usize)>;

fn user_info(text: &str, from: usize) -> Span {
    let mut from = from;
    while let Some(at) = text.as_bytes()[from..].windows(3).position(|w| w == b"://") {
        let scheme_end = from + at;
        let start = scheme_end + 3;
        let rest = &text[start..];
        let end = rest
            .find(|c: char| c.is_whitespace() || "/?#\"'<>\\`,".contains(c))
            .unwrap_or(rest.len());
        from = start;
        let Some(at) = rest[..end].rfind('@') else {
            continue;
        };
        let web = text[..scheme_end].ends_with("http") || text[..scheme_end].ends_with("https");
        let first = if web {
            0
        } else {
            match rest[..at].find(':') {
                Some(colon) => colon + 1,
                None => continue,
            }
        };
        if &rest[first..at] != MASK {
            return Some((start + first, start + at));
        }
    }
    None
}

fn parameter(text: &str, from: usize) -> Span {
    let mut from = from;
    while let Some(at) = text.as_bytes()[from..]
        .iter()
        .position(|b| matches!(b, b'?' | b'&'))
    {
        let start = from + at + 1;
        from = start;
        let rest = &text[start..];
        let Some(equals) = rest.find('=') else {
            break;
        };
        if !PARAMETERS.contains(&rest[..equals].to_ascii_lowercase().as_str()) {
            continue;
        }
        let value = &rest[equals + 1..];
        let end = value
            .find(|c: char| c.is_whitespace() || "&#\"'<>)\\`".contains(c))
            .unwrap_or(value.len());
        if end > 0 && &value[..end] != MASK {
            return Some((start + equals + 1, start + equals + 1 + end));
        }
    }
    None
}

fn authorization(text: &str, from: usize) -> Span {
    // Most texts end no word as these two do, and need not be copied to know that.
    let ends = |w: &[u8]| w[1] == b' ' && matches!(w[0].to_ascii_lowercase(), b'r' | b'c');
    if !text.as_bytes().windows(2).any(ends) {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let mut from = from;
    while let Some(at) = ["bearer ", "basic "]
        .iter()
        .filter_map(|word| lower[from..].find(word).map(|at| from + at + word.len()))
        .min()
    {
        from = at;
        let rest = &text[at..];
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "-._~+/=".contains(c)))
            .unwrap_or(rest.len());
        if end >= SHORTEST_TOKEN {
            return Some((at, at + end));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_addresses_stay() {
        for (text, expect) in [
            (
                "cannot clone https://bob:hunter2@example.org/a.git: refused",
                "cannot clone https://*****@example.org/a.git: refused",
            ),
            (
                "https://ghp_abc@example.org and http://x:y@z",
                "https://*****@example.org and http://*****@z",
            ),
            ("ssh://git@example.org/a", "ssh://git@example.org/a"),
            (
                "ssh://git:pw@example.org/a",
                "ssh://git:*****@example.org/a",
            ),
            (
                "see https://example.org/@bob",
                "see https://example.org/@bob",
            ),
            (
                "GET https://h/p?x=1&access_token=abc&y=2",
                "GET https://h/p?x=1&access_token=*****&y=2",
            ),
            (
                "header Authorization: Bearer abcdefghijklmnop.q-r",
                "header Authorization: Bearer *****",
            ),
            ("basic authentication failed", "basic authentication failed"),
            ("pass@word, no URL", "pass@word, no URL"),
            ("ü://ü@ü", "ü://ü@ü"),
        ] {
            assert_eq!(redact(text), expect);
            assert_eq!(redact(expect), expect, "masking again changes nothing");
        }
    }
}
