//! Texts: cutting, joining, padding, encoding.

use base64::Engine as _;
use go::strconv::{self, Charset};

use super::Function;
use super::args::{Arguments, string_of, strings_of};
use crate::engine::Call;
use crate::error::Fault;
use crate::text::Str;
use crate::value::{List, Map, MapKind, Type, Value};

type Result = std::result::Result<Value, Fault>;

const ANY: Type = Type::Any;
const INT: Type = Type::Int;
const STR: Type = Type::String;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("abbrev", &[INT, STR], abbrev),
    Function::fixed("abbrevboth", &[INT, INT, STR], abbrev_both),
    Function::fixed("b64enc", &[STR], |_, a| {
        Ok(Value::from(BASE64.encode(a.string(0).as_bytes())))
    }),
    Function::fixed("b64dec", &[STR], |_, a| {
        Ok(base64_decoded(a.string(0).as_bytes()))
    }),
    Function::fixed("b32enc", &[STR], |_, a| {
        Ok(Value::from(base32_encode(a.string(0).as_bytes())))
    }),
    Function::fixed("b32dec", &[STR], |_, a| {
        Ok(base32_decode(a.string(0).as_bytes()))
    }),
    Function::variadic("cat", &[ANY], cat),
    Function::fixed("contains", &[STR, STR], |_, a| {
        Ok(Value::Bool(
            find(a.string(1).as_bytes(), a.string(0).as_bytes()).is_some(),
        ))
    }),
    Function::fixed("hasPrefix", &[STR, STR], |_, a| {
        Ok(Value::Bool(
            a.string(1).as_bytes().starts_with(a.string(0).as_bytes()),
        ))
    }),
    Function::fixed("hasSuffix", &[STR, STR], |_, a| {
        Ok(Value::Bool(
            a.string(1).as_bytes().ends_with(a.string(0).as_bytes()),
        ))
    }),
    Function::fixed("indent", &[INT, STR], |c, a| indent(c, a, b"")),
    Function::fixed("nindent", &[INT, STR], |c, a| indent(c, a, b"\n")),
    Function::fixed("join", &[STR, ANY], join),
    Function::fixed("plural", &[STR, STR, INT], |_, a| {
        Ok(a.any(usize::from(a.int(2) != 1)))
    }),
    Function::variadic("quote", &[ANY], quote),
    Function::variadic("squote", &[ANY], squote),
    Function::fixed("repeat", &[INT, STR], repeat),
    Function::fixed("replace", &[STR, STR, STR], replace),
    Function::fixed("split", &[STR, STR], |c, a| split_map(c, a, -1)),
    Function::fixed("splitList", &[STR, STR], split_list),
    Function::fixed("splitn", &[STR, INT, STR], |c, a| {
        split_map(c, &[a.any(0), a.any(2)], a.int(1))
    }),
    Function::fixed("substr", &[INT, INT, STR], substr),
    Function::fixed("trim", &[STR], |_, a| {
        Ok(Value::from(a.text_kept(0, |t| t.trim())))
    }),
    Function::fixed("trimAll", &[STR, STR], trim_all),
    Function::fixed("trimall", &[STR, STR], trim_all),
    Function::fixed("trimPrefix", &[STR, STR], |_, a| {
        let text = a.string(1);
        let cut = text.as_bytes().strip_prefix(a.string(0).as_bytes());
        Ok(cut.map_or_else(|| Value::Str(text.clone()), Value::str))
    }),
    Function::fixed("trimSuffix", &[STR, STR], |_, a| {
        let text = a.string(1);
        let cut = text.as_bytes().strip_suffix(a.string(0).as_bytes());
        Ok(cut.map_or_else(|| Value::Str(text.clone()), Value::str))
    }),
    Function::fixed("trunc", &[INT, STR], trunc),
];

const BASE64: base64::engine::GeneralPurpose = base64::engine::general_purpose::STANDARD;

/// Trimming by characters keeps bytes that are no UTF-8.
trait TextKept {
    fn text_kept(&self, i: usize, cut: impl Fn(&str) -> &str) -> Str;
}

impl TextKept for [Value] {
    fn text_kept(&self, i: usize, cut: impl Fn(&str) -> &str) -> Str {
        let whole = self.string(i);
        match std::str::from_utf8(whole.as_bytes()) {
            Ok(text) => Str::from(cut(text)),
            Err(_) => Str::from(whole.as_bytes().trim_ascii()),
        }
    }
}

impl From<Str> for Value {
    fn from(text: Str) -> Self {
        Self::Str(text)
    }
}

pub(super) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    text.windows(part.len()).position(|w| w == part)
}

fn count(n: i64) -> usize {
    usize::try_from(n).unwrap_or(0)
}

/// Cuts to `width` bytes, the last three of them dots.
fn abbreviated(text: &[u8], width: usize) -> Vec<u8> {
    if text.len() <= width {
        return text.to_vec();
    }
    [&text[..width - 3], b"..."].concat()
}

fn abbrev(_: &Call<'_>, args: &[Value]) -> Result {
    let (width, text) = (args.int(0), args.string(1));
    Ok(if width < 4 {
        Value::Str(text)
    } else {
        Value::str(abbreviated(text.as_bytes(), count(width)))
    })
}

fn abbrev_both(_: &Call<'_>, args: &[Value]) -> Result {
    let (left, right, whole) = (args.int(0), args.int(1), args.string(2));
    let text = whole.as_bytes();
    if right < 4 || left > 0 && right < 7 || text.len() <= count(right) {
        return Ok(Value::Str(whole));
    }
    let width = count(right);
    let mut offset = count(left).min(text.len());
    if left >= 0 && text.len() - offset < width - 3 {
        offset = text.len() - (width - 3);
    }
    if left <= 4 && offset <= 4 {
        return Ok(Value::str([&text[..width - 3], b"..."].concat()));
    }
    if offset + width - 3 < text.len() {
        let inner = abbreviated(&text[offset..], width - 3);
        return Ok(Value::str([b"...".as_slice(), &inner].concat()));
    }
    Ok(Value::str(
        [b"...", &text[text.len() - (width - 3)..]].concat(),
    ))
}

/// Decodes standard base64; what is wrong becomes the text.
fn base64_decoded(text: &[u8]) -> Value {
    match base64_decode(text) {
        Ok(bytes) => Value::str(bytes),
        Err(at) => Value::from(format!("illegal base64 data at input byte {at}")),
    }
}

fn is_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Decodes as Go does: line breaks skipped, trailing bits ignored; the error is a position.
pub(super) fn base64_decode(text: &[u8]) -> std::result::Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut filled) = (0_u32, 0);
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        let Some(digit) = base64_digit(byte) else {
            if is_break(byte) {
                at += 1;
                continue;
            }
            if byte != b'=' || filled < 2 {
                return Err(at);
            }
            base64_padding(text, at, filled)?;
            bits <<= 6 * (4 - filled);
            out.extend_from_slice(&bits.to_be_bytes()[1..filled]);
            return Ok(out);
        };
        bits = bits << 6 | digit;
        filled += 1;
        at += 1;
        if filled == 4 {
            out.extend_from_slice(&bits.to_be_bytes()[1..]);
            (bits, filled) = (0, 0);
        }
    }
    if filled == 0 {
        Ok(out)
    } else {
        Err(text.len() - filled)
    }
}

fn base64_digit(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

/// Checks what follows the first padding character at `at`.
fn base64_padding(text: &[u8], at: usize, filled: usize) -> std::result::Result<(), usize> {
    let next = |from: usize| from + text[from..].iter().take_while(|b| is_break(**b)).count();
    let mut end = next(at + 1);
    if filled == 2 {
        match text.get(end) {
            None => return Err(text.len()),
            Some(b'=') => end = next(end + 1),
            Some(_) => return Err(end - 1),
        }
    }
    if end < text.len() { Err(end) } else { Ok(()) }
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32_encode(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len().div_ceil(5) * 8);
    for chunk in text.chunks(5) {
        let mut block = [0_u8; 5];
        block[..chunk.len()].copy_from_slice(chunk);
        let bits = block.iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        let used = (chunk.len() * 8).div_ceil(5);
        for i in 0..8 {
            let index = usize::try_from(bits >> (35 - 5 * i) & 31).unwrap_or(0);
            out.push(if i < used {
                char::from(BASE32[index])
            } else {
                '='
            });
        }
    }
    out
}

/// Decodes standard base32 as Go does; what is wrong becomes the text.
fn base32_decode(text: &[u8]) -> Value {
    let clean: Vec<u8> = text.iter().copied().filter(|b| !is_break(*b)).collect();
    let mut out = Vec::with_capacity(clean.len() / 8 * 5);
    for start in (0..clean.len()).step_by(8) {
        match base32_block(&clean, start) {
            Ok((bytes, more)) => {
                out.extend_from_slice(&bytes);
                if !more {
                    break;
                }
            }
            Err(at) => return Value::from(format!("illegal base32 data at input byte {at}")),
        }
    }
    Value::str(out)
}

/// Decodes eight characters; whether more may follow. The error is a position.
fn base32_block(text: &[u8], start: usize) -> std::result::Result<(Vec<u8>, bool), usize> {
    let mut bits = 0_u64;
    for filled in 0..8 {
        let at = start + filled;
        let Some(byte) = text.get(at) else {
            return Err(start);
        };
        let left = text.len() - at - 1;
        if *byte == b'=' && filled >= 2 && left < 8 {
            if left + filled < 7 {
                return Err(text.len());
            }
            for k in 0..7 - filled {
                if text.get(at + 1 + k).is_some_and(|b| *b != b'=') {
                    return Err(at + k);
                }
            }
            if matches!(filled, 3 | 6) {
                return Err(at);
            }
            let bytes = bits << (40 - 5 * filled);
            return Ok((bytes.to_be_bytes()[3..3 + filled * 5 / 8].to_vec(), false));
        }
        let digit = BASE32.iter().position(|b| b == byte).ok_or(at)?;
        bits = bits << 5 | digit as u64;
    }
    Ok((bits.to_be_bytes()[3..].to_vec(), true))
}

fn cat(_: &Call<'_>, args: &[Value]) -> Result {
    let parts: Vec<Vec<u8>> = args
        .iter()
        .filter(|v| !v.is_nil())
        .map(Value::printed)
        .collect();
    Ok(Value::str(parts.join(b" ".as_slice())))
}

fn indent(call: &Call<'_>, args: &[Value], before: &[u8]) -> Result {
    let (spaces, text) = (args.int(0), args.string(1));
    if spaces < 0 {
        return Err(Fault::new("strings: negative Repeat count"));
    }
    let lines = text.as_bytes().split(|b| *b == b'\n').count();
    let size = count(spaces)
        .saturating_mul(lines)
        .saturating_add(text.len());
    call.shared.spend_bytes(size)?;
    let pad = vec![b' '; count(spaces)];
    let mut out = Vec::with_capacity(size + 1);
    out.extend_from_slice(before);
    out.extend_from_slice(&pad);
    for byte in text.as_bytes() {
        out.push(*byte);
        if *byte == b'\n' {
            out.extend_from_slice(&pad);
        }
    }
    Ok(Value::str(out))
}

fn join(call: &Call<'_>, args: &[Value]) -> Result {
    let strings = strings_of(&args.any(1));
    let parts: Vec<&[u8]> = strings.iter().map(Str::as_bytes).collect();
    let out = parts.join(args.string(0).as_bytes());
    call.shared.spend_bytes(out.len())?;
    Ok(Value::str(out))
}

fn quote(_: &Call<'_>, args: &[Value]) -> Result {
    let parts: Vec<String> = args
        .iter()
        .filter(|v| !v.is_nil())
        .map(|v| strconv::quote(string_of(v).as_bytes(), Charset::Unicode))
        .collect();
    Ok(Value::from(parts.join(" ")))
}

fn squote(_: &Call<'_>, args: &[Value]) -> Result {
    let parts: Vec<Vec<u8>> = args
        .iter()
        .filter(|v| !v.is_nil())
        .map(|v| [b"'".as_slice(), &v.printed(), b"'"].concat())
        .collect();
    Ok(Value::str(parts.join(b" ".as_slice())))
}

fn repeat(call: &Call<'_>, args: &[Value]) -> Result {
    let (times, text) = (args.int(0), args.string(1));
    if times < 0 {
        return Err(Fault::new("strings: negative Repeat count"));
    }
    call.shared
        .spend_bytes(count(times).saturating_mul(text.len()))?;
    Ok(Value::str(text.as_bytes().repeat(count(times))))
}

fn replace(call: &Call<'_>, args: &[Value]) -> Result {
    let (old, new, text) = (args.string(0), args.string(1), args.string(2));
    let mut rest = text.as_bytes();
    // Counted before anything is written: a small text can ask for a lot.
    let places = if old.is_empty() {
        rest.len() + 1
    } else {
        rest.len() / old.len()
    };
    if places.saturating_mul(new.len()) > rest.len() {
        call.shared
            .spend_bytes(growth(rest, old.as_bytes(), new.len()))?;
    }
    let mut out = Vec::with_capacity(text.len());
    if old.is_empty() {
        out.extend_from_slice(new.as_bytes());
        while let Some((_, width)) = strconv::decode_rune(rest) {
            out.extend_from_slice(&rest[..width]);
            out.extend_from_slice(new.as_bytes());
            rest = &rest[width..];
        }
    } else {
        while let Some(at) = find(rest, old.as_bytes()) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(new.as_bytes());
            rest = &rest[at + old.len()..];
        }
        out.extend_from_slice(rest);
    }
    call.shared.spend_bytes(text.len())?;
    Ok(Value::str(out))
}

/// How many bytes a replacement writes in the places that it finds.
fn growth(text: &[u8], old: &[u8], new_bytes: usize) -> usize {
    let places = if old.is_empty() {
        text.len() + 1
    } else {
        let (mut rest, mut count) = (text, 0);
        while let Some(at) = find(rest, old) {
            count += 1;
            rest = &rest[at + old.len()..];
        }
        count
    };
    new_bytes.saturating_mul(places)
}

/// `strings.SplitN`: at most `limit` pieces, all for a negative limit.
fn pieces<'a>(text: &'a [u8], separator: &[u8], limit: i64) -> Vec<&'a [u8]> {
    if limit == 0 {
        return Vec::new();
    }
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut out = Vec::new();
    let mut rest = text;
    while out.len() + 1 < most {
        let cut = if separator.is_empty() {
            strconv::decode_rune(rest)
                .map(|(_, width)| width)
                .filter(|w| *w < rest.len())
        } else {
            find(rest, separator)
        };
        let Some(at) = cut else { break };
        out.push(&rest[..at]);
        rest = &rest[at + separator.len()..];
    }
    if !(separator.is_empty() && rest.is_empty()) {
        out.push(rest);
    }
    out
}

fn split_list(_: &Call<'_>, args: &[Value]) -> Result {
    let (separator, text) = (args.string(0), args.string(1));
    Ok(Value::List(List::strings(pieces(
        text.as_bytes(),
        separator.as_bytes(),
        -1,
    ))))
}

fn split_map(_: &Call<'_>, args: &[Value], limit: i64) -> Result {
    let (separator, text) = (args.string(0), args.string(1));
    let parts = pieces(text.as_bytes(), separator.as_bytes(), limit);
    let entries = parts
        .into_iter()
        .enumerate()
        .map(|(i, part)| (Str::from(format!("_{i}")), Value::str(part)))
        .collect();
    Ok(Value::Map(Map::of(MapKind::Strings, entries)))
}

fn substr(_: &Call<'_>, args: &[Value]) -> Result {
    let (start, end, whole) = (args.int(0), args.int(1), args.string(2));
    let text = whole.as_bytes();
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let out_of_range = |what: String| {
        Err(Fault::new(format!(
            "runtime error: slice bounds out of range {what}"
        )))
    };
    if start < 0 {
        return match text.get(..count(end)) {
            Some(cut) if end >= 0 => Ok(Value::str(cut)),
            _ if end < 0 => out_of_range(format!("[:{end}]")),
            _ => out_of_range(format!("[:{end}] with length {length}")),
        };
    }
    if end < 0 || end > length {
        return match text.get(count(start)..) {
            Some(cut) => Ok(Value::str(cut)),
            None => out_of_range(format!("[{start}:{length}]")),
        };
    }
    match text.get(count(start)..count(end)) {
        Some(cut) => Ok(Value::str(cut)),
        None => out_of_range(format!("[{start}:{end}]")),
    }
}

fn trim_all(_: &Call<'_>, args: &[Value]) -> Result {
    let cutset = args.text(0);
    let cut = args.text_kept(1, |t| t.trim_matches(|c| cutset.contains(c)));
    Ok(Value::Str(cut))
}

fn trunc(_: &Call<'_>, args: &[Value]) -> Result {
    let (width, whole) = (args.int(0), args.string(1));
    let text = whole.as_bytes();
    let size = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
    if size >= text.len() {
        return Ok(Value::Str(whole));
    }
    Ok(Value::str(if width < 0 {
        &text[text.len() - size..]
    } else {
        &text[..size]
    }))
}
