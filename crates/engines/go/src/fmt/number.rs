//! Printing booleans, numbers and texts with flags, width and precision.

use super::Printer;
use crate::strconv::{self, Charset, FloatStyle, decode_rune, runes};

/// What stands between `%` and the verb.
#[derive(Debug, Default, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are Go's independent flags"
)]
pub(super) struct Flags {
    pub(super) plus: bool,
    pub(super) minus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    pub(super) plus_v: bool,
    pub(super) sharp_v: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}

impl Printer {
    /// Writes text, filled up to the width.
    pub(super) fn pad(&mut self, text: &[u8]) {
        let length = runes(text).count();
        let fill = self.flags.width.map_or(0, |w| w.saturating_sub(length));
        let byte = if self.flags.zero && !self.flags.minus {
            b'0'
        } else {
            b' '
        };
        if !self.flags.minus {
            self.out.extend(std::iter::repeat_n(byte, fill));
        }
        self.out.extend_from_slice(text);
        if self.flags.minus {
            self.out.extend(std::iter::repeat_n(b' ', fill));
        }
    }

    pub(super) fn boolean(&mut self, value: bool, verb: char) -> bool {
        if !matches!(verb, 't' | 'v') {
            return false;
        }
        self.pad(if value { b"true" } else { b"false" });
        true
    }

    pub(super) fn integer(&mut self, value: u64, negative: bool, signed: bool, verb: char) -> bool {
        match verb {
            'v' if self.flags.sharp_v && !signed => {
                self.flags.sharp = true;
                self.digits(value, negative, 16, 'v');
            }
            'v' | 'd' => self.digits(value, negative, 10, verb),
            'b' => self.digits(value, negative, 2, verb),
            'o' | 'O' => self.digits(value, negative, 8, verb),
            'x' | 'X' => self.digits(value, negative, 16, verb),
            'c' => {
                let mut buffer = [0; 4];
                let text = rune(value, negative).encode_utf8(&mut buffer);
                self.pad(text.as_bytes());
            }
            'q' => {
                let charset = self.charset();
                let text = strconv::quote_rune(rune(value, negative), charset);
                self.pad(text.as_bytes());
            }
            'U' => self.unicode(value),
            _ => return false,
        }
        true
    }

    fn unicode(&mut self, value: u64) {
        let width = self.flags.precision.filter(|p| *p > 4).unwrap_or(4);
        let mut text = format!("U+{value:0width$X}");
        if let Some(c) = u32::try_from(value).ok().and_then(char::from_u32)
            && self.flags.sharp
            && strconv::is_print(c)
        {
            text.extend([' ', '\'', c, '\'']);
        }
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(text.as_bytes());
        self.flags.zero = zero;
    }

    fn digits(&mut self, value: u64, negative: bool, base: u32, verb: char) {
        let flags = self.flags;
        let mut text = match base {
            2 => format!("{value:b}"),
            8 => format!("{value:o}"),
            16 if verb == 'X' => format!("{value:X}"),
            16 => format!("{value:x}"),
            _ => value.to_string(),
        };
        let signed = negative || flags.plus || flags.space;
        if let Some(precision) = flags.precision {
            if precision == 0 && value == 0 {
                self.flags.zero = false;
                self.out
                    .extend(std::iter::repeat_n(b' ', flags.width.unwrap_or(0)));
                return;
            }
            text = format!("{text:0>precision$}");
        } else if flags.zero && !flags.minus {
            let width = flags.width.unwrap_or(0).saturating_sub(usize::from(signed));
            text = format!("{text:0>width$}");
        }
        if flags.sharp {
            let prefix = match (base, verb) {
                (2, _) => "0b",
                (8, _) if !text.starts_with('0') => "0",
                (16, 'X') => "0X",
                (16, _) => "0x",
                _ => "",
            };
            text.insert_str(0, prefix);
        }
        if verb == 'O' {
            text.insert_str(0, "0o");
        }
        if negative {
            text.insert(0, '-');
        } else if flags.plus {
            text.insert(0, '+');
        } else if flags.space {
            text.insert(0, ' ');
        }
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(text.as_bytes());
        self.flags.zero = zero;
    }

    pub(super) fn float(&mut self, value: f64, verb: char) -> bool {
        let (style, default) = match verb {
            'v' | 'g' | 'G' => (FloatStyle::General, None),
            'e' | 'E' => (FloatStyle::Exponent, Some(6)),
            'f' | 'F' => (FloatStyle::Fixed, Some(6)),
            _ => return false,
        };
        let flags = self.flags;
        let mut text = strconv::format_float(value, style, flags.precision.or(default));
        if matches!(verb, 'E' | 'G') {
            text = text.to_ascii_uppercase();
        }
        let finite = value.is_finite();
        if !text.starts_with(['+', '-']) {
            text.insert(0, '+');
        }
        if flags.sharp && finite {
            text = with_point(&text, verb, flags.precision.or(default));
        }
        if flags.space && text.starts_with('+') && !flags.plus {
            text.replace_range(..1, " ");
        }
        if !finite {
            self.flags.zero = false;
        }
        if flags.plus || !text.starts_with('+') {
            let width = flags.width.unwrap_or(0);
            if self.flags.zero && !flags.minus && width > text.len() {
                let fill = "0".repeat(width - text.len());
                text.insert_str(1, &fill);
            }
            self.pad(text.as_bytes());
        } else {
            self.pad(&text.as_bytes()[1..]);
        }
        self.flags.zero = flags.zero;
        true
    }

    pub(super) fn text(&mut self, text: &[u8], verb: char) -> bool {
        match verb {
            'v' if self.flags.sharp_v => self.quoted(text),
            'v' | 's' => {
                let cut = self.cut(text);
                self.pad(cut);
            }
            'q' => self.quoted(text),
            'x' | 'X' => self.hex(text, verb == 'X'),
            _ => return false,
        }
        true
    }

    pub(super) fn bytes(&mut self, bytes: &[u8], type_name: &str, verb: char) -> bool {
        if !matches!(verb, 'v' | 'd') {
            return self.text(bytes, verb);
        }
        if self.flags.sharp_v {
            self.out.extend_from_slice(type_name.as_bytes());
            self.out.push(b'{');
            for (i, byte) in bytes.iter().enumerate() {
                if i > 0 {
                    self.out.extend_from_slice(b", ");
                }
                self.out.extend_from_slice(format!("{byte:#x}").as_bytes());
            }
            self.out.push(b'}');
            return true;
        }
        self.out.push(b'[');
        for (i, byte) in bytes.iter().enumerate() {
            if i > 0 {
                self.out.push(b' ');
            }
            self.digits(u64::from(*byte), false, 10, 'd');
        }
        self.out.push(b']');
        true
    }

    fn charset(&self) -> Charset {
        if self.flags.plus {
            Charset::Ascii
        } else {
            Charset::Unicode
        }
    }

    /// The first `precision` characters.
    fn cut<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        let Some(precision) = self.flags.precision else {
            return text;
        };
        let mut end = 0;
        for _ in 0..precision {
            match decode_rune(&text[end..]) {
                Some((_, width)) => end += width,
                None => break,
            }
        }
        &text[..end]
    }

    fn quoted(&mut self, text: &[u8]) {
        let cut = self.cut(text);
        let backquote = self.flags.sharp
            && std::str::from_utf8(cut).is_ok_and(|t| {
                t.chars()
                    .all(|c| c == '\t' || c >= ' ' && !matches!(c, '`' | '\x7f' | '\u{feff}'))
            });
        if backquote {
            let text = [b"`", cut, b"`"].concat();
            self.pad(&text);
        } else {
            let text = strconv::quote(cut, self.charset());
            self.pad(text.as_bytes());
        }
    }

    fn hex(&mut self, text: &[u8], upper: bool) {
        let cut = &text[..self.flags.precision.unwrap_or(text.len()).min(text.len())];
        let prefix = match (self.flags.sharp, upper) {
            (true, true) => "0X",
            (true, false) => "0x",
            (false, _) => "",
        };
        let mut out = String::with_capacity(cut.len() * 2);
        for (i, byte) in cut.iter().enumerate() {
            if i > 0 && self.flags.space {
                out.push(' ');
            }
            if i == 0 || self.flags.space {
                out.push_str(prefix);
            }
            let pair = if upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            };
            out.push_str(&pair);
        }
        self.pad(out.as_bytes());
    }
}

fn rune(value: u64, negative: bool) -> char {
    u32::try_from(value)
        .ok()
        .filter(|_| !negative)
        .and_then(char::from_u32)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Adds the decimal point that `#` asks for, and for `g` the trailing zeros.
fn with_point(text: &str, verb: char, precision: Option<usize>) -> String {
    let split = text.find(['e', 'E']).unwrap_or(text.len());
    let (mantissa, tail) = text.split_at(split);
    let mut out = mantissa.to_owned();
    if !out.contains('.') {
        out.push('.');
    }
    if matches!(verb, 'v' | 'g' | 'G') {
        let wanted = precision.unwrap_or(6);
        let shown = out
            .trim_start_matches(['+', '-', '0', '.'])
            .bytes()
            .filter(u8::is_ascii_digit);
        let missing = wanted.saturating_sub(shown.count().max(1));
        out.push_str(&"0".repeat(missing));
    }
    out.push_str(tail);
    out
}
