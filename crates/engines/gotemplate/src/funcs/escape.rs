//! Escaping for HTML, JavaScript and URLs, as `text/template` does.

use go::strconv::{decode_rune, is_print};

pub(super) fn html(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            0 => out.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            other => out.push(*other),
        }
    }
    out
}

pub(super) fn js(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((rune, width)) = decode_rune(rest) {
        let raw = &rest[..width];
        rest = &rest[width..];
        match rune {
            Ok('\\') => out.extend_from_slice(b"\\\\"),
            Ok('\'') => out.extend_from_slice(b"\\'"),
            Ok('"') => out.extend_from_slice(b"\\\""),
            Ok(c @ ('<' | '>' | '&' | '=')) => push_code(&mut out, u32::from(c)),
            Ok(c) if c.is_ascii_control() || !c.is_ascii() && !is_print(c) => {
                push_code(&mut out, u32::from(c));
            }
            Ok(_) => out.extend_from_slice(raw),
            Err(_) => push_code(&mut out, 0xfffd),
        }
    }
    out
}

fn push_code(out: &mut Vec<u8>, code: u32) {
    out.extend_from_slice(format!("\\u{code:04X}").as_bytes());
}

/// `url.QueryEscape`: spaces become plus signs.
pub(super) fn url_query(text: &[u8]) -> Vec<u8> {
    percent(text, b"", true)
}

/// Escapes all but letters, digits, `-_.~` and the bytes kept.
pub(super) fn percent(text: &[u8], keep: &[u8], plus: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b' ' if plus => out.push(b'+'),
            b if b.is_ascii_alphanumeric() || b"-_.~".contains(b) || keep.contains(b) => {
                out.push(*b);
            }
            b => out.extend_from_slice(format!("%{b:02X}").as_bytes()),
        }
    }
    out
}
