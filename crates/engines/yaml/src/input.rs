//! Bytes to text: byte order marks, UTF-16, forbidden characters.

use crate::error::ErrorKind;
use std::borrow::Cow;

/// Go's reader decodes this many bytes at a time, and so finds a bad one that much ahead.
const CHUNK: usize = 512;

/// The text of an input.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    /// All of it, or what is before the first bad character.
    pub(crate) text: Cow<'a, str>,
    /// Bytes before the text, a byte order mark.
    pub(crate) skipped: usize,
    pub(crate) refused: Option<Refused>,
}

/// A character YAML 1.1 forbids, or bytes that are none.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) kind: ErrorKind,
    /// Where, in the text.
    pub(crate) offset: usize,
    /// How far the text can be read before Go's reader finds it.
    pub(crate) found_from: usize,
}

/// Decodes an input: UTF-8 with or without a byte order mark, UTF-16 with one.
pub(crate) fn decode(bytes: &[u8]) -> Input<'_> {
    let mut input = match bytes {
        [0xff, 0xfe, rest @ ..] => utf_16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf_16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => Input {
            skipped: 3,
            ..utf_8(rest)
        },
        all => utf_8(all),
    };
    if let Some(offset) = find_control(&input.text) {
        input.text = match input.text {
            Cow::Borrowed(text) => Cow::Borrowed(text.get(..offset).unwrap_or_default()),
            Cow::Owned(mut text) => {
                text.truncate(offset);
                Cow::Owned(text)
            }
        };
        input.refused = Some(refuse("control characters are not allowed", offset));
    }
    input
}

fn refuse(message: &'static str, offset: usize) -> Refused {
    let kind = ErrorKind::Encoding { message };
    Refused {
        kind,
        offset,
        found_from: (offset / CHUNK * CHUNK).saturating_sub(3),
    }
}

fn utf_8(bytes: &[u8]) -> Input<'_> {
    let (text, refused) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let offset = error.valid_up_to();
            let (valid, bad) = bytes.split_at(offset);
            let text = std::str::from_utf8(valid).unwrap_or_default();
            (text, Some(refuse(utf_8_fault(bad), offset)))
        }
    };
    Input {
        text: Cow::Borrowed(text),
        skipped: 0,
        refused,
    }
}

/// Says what is wrong with the bytes at the start, which are no character, as Go's reader does.
fn utf_8_fault(bytes: &[u8]) -> &'static str {
    let width = match bytes.first() {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf7) => 4,
        _ => return "invalid leading UTF-8 octet",
    };
    let Some(octets) = bytes.get(..width) else {
        return "incomplete UTF-8 octet sequence";
    };
    if octets[1..].iter().any(|octet| octet & 0xc0 != 0x80) {
        return "invalid trailing UTF-8 octet";
    }
    let surrogate = matches!(octets, [0xed, 0xa0..=0xff, _]);
    let too_large = matches!(octets, [0xf4, 0x90..=0xff, ..] | [0xf5..=0xff, ..]);
    if surrogate || too_large {
        "invalid Unicode character"
    } else {
        "invalid length of a UTF-8 sequence"
    }
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Input<'static> {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(pairs.len());
    let mut refused = None;
    for decoded in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        match decoded {
            Ok(character) => text.push(character),
            Err(error) => {
                let is_low = (0xdc00..=0xdfff).contains(&error.unpaired_surrogate());
                let message = if is_low {
                    "unexpected low surrogate area"
                } else {
                    "expected low surrogate area"
                };
                refused = Some(refuse(message, text.len()));
                break;
            }
        }
    }
    if refused.is_none() && !odd.is_empty() {
        refused = Some(refuse("incomplete UTF-16 character", text.len()));
    }
    Input {
        text: Cow::Owned(text),
        skipped: 0,
        refused,
    }
}

/// So many bytes are looked at in one go, without a branch for each.
const STRIDE: usize = 64;

/// Finds the first character YAML 1.1 forbids.
fn find_control(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (strides, rest) = bytes.as_chunks::<STRIDE>();
    let found = strides.iter().enumerate().find_map(|(number, stride)| {
        let start = number * STRIDE;
        (!is_usual(stride)).then(|| forbidden(bytes, start..start + STRIDE))?
    });
    found.or_else(|| forbidden(bytes, bytes.len() - rest.len()..bytes.len()))
}

/// Tells whether there is nothing but printable ASCII, blanks and line breaks.
fn is_usual(stride: &[u8; STRIDE]) -> bool {
    let mut suspicious = 0;
    for byte in stride {
        let is_unprintable = u8::from(byte.wrapping_sub(b' ') > b'~' - b' ');
        let is_space =
            u8::from(*byte == b'\n') | u8::from(*byte == b'\t') | u8::from(*byte == b'\r');
        suspicious |= is_unprintable & (is_space ^ 1);
    }
    suspicious == 0
}

/// Finds the first forbidden character that begins within a range.
fn forbidden(bytes: &[u8], mut range: std::ops::Range<usize>) -> Option<usize> {
    range.find(|at| {
        let allowed = match bytes[*at] {
            b'\t' | b'\n' | b'\r' | b' '..=b'~' => true,
            0..=0x1f | 0x7f => false,
            0xc2 => matches!(bytes.get(at + 1), Some(0x85 | 0xa0..)),
            0xef => !matches!(bytes.get(at + 1..at + 3), Some([0xbf, 0xbe | 0xbf])),
            _ => true,
        };
        !allowed
    })
}
