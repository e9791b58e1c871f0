//! Rewrites an expression from Go's syntax to the `regex` crate's, with Go's errors.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::SyntaxError;

type Result<T> = std::result::Result<T, SyntaxError>;

/// The most repetitions Go allows.
const MAX_REPEAT: u32 = 1000;

pub(super) fn translate(expression: &str) -> Result<String> {
    let mut translator = Translator {
        whole: expression,
        at: 0,
        out: String::with_capacity(expression.len() + 16),
        depth: 0,
        repeatable: false,
        last_repeat: None,
        names: BTreeMap::new(),
    };
    translator.run()?;
    Ok(translator.out)
}

struct Translator<'a> {
    whole: &'a str,
    at: usize,
    out: String,
    depth: usize,
    /// Whether something stands before that a repetition can apply to.
    repeatable: bool,
    /// Where the repetition directly before began.
    last_repeat: Option<usize>,
    names: BTreeMap<&'a str, usize>,
}

impl<'a> Translator<'a> {
    fn rest(&self) -> &'a str {
        &self.whole[self.at..]
    }

    fn run(&mut self) -> Result<()> {
        while let Some(c) = self.rest().chars().next() {
            let begin = self.at;
            let mut repeat = None;
            match c {
                '(' => self.group()?,
                ')' => {
                    if self.depth == 0 {
                        return Err(SyntaxError::new("unexpected )", self.whole));
                    }
                    self.depth -= 1;
                    self.copy(1, true);
                }
                '|' => self.copy(1, false),
                '*' | '+' | '?' => {
                    self.repetition(1)?;
                    repeat = Some(begin);
                }
                '{' => match counted(self.rest())? {
                    Some(length) => {
                        self.repetition(length)?;
                        repeat = Some(begin);
                    }
                    None => self.literal(c),
                },
                '[' => self.class()?,
                '\\' => self.escape()?,
                '^' | '$' | '.' => self.copy(1, true),
                other => self.literal(other),
            }
            self.last_repeat = repeat;
        }
        if self.depth > 0 {
            return Err(SyntaxError::new("missing closing )", self.whole));
        }
        Ok(())
    }

    fn copy(&mut self, length: usize, repeatable: bool) {
        self.out.push_str(&self.whole[self.at..self.at + length]);
        self.at += length;
        self.repeatable = repeatable;
    }

    fn literal(&mut self, c: char) {
        push_literal(&mut self.out, c);
        self.at += c.len_utf8();
        self.repeatable = true;
    }

    fn repetition(&mut self, length: usize) -> Result<()> {
        let begin = self.at;
        let mut end = begin + length;
        if self.whole[end..].starts_with('?') {
            end += 1;
        }
        if let Some(previous) = self.last_repeat {
            let part = &self.whole[previous..end];
            return Err(SyntaxError::new("invalid nested repetition operator", part));
        }
        if !self.repeatable {
            let part = &self.whole[begin..begin + length];
            return Err(SyntaxError::new(
                "missing argument to repetition operator",
                part,
            ));
        }
        self.out.push_str(&self.whole[begin..end]);
        self.at = end;
        Ok(())
    }

    fn group(&mut self) -> Result<()> {
        let rest = self.rest();
        self.repeatable = false;
        if !rest.starts_with("(?") {
            self.depth += 1;
            self.copy(1, false);
            return Ok(());
        }
        if rest.starts_with("(?P<") || rest.starts_with("(?<") {
            return self.named_group();
        }
        let body = &rest[2..];
        for (i, c) in body.char_indices() {
            match c {
                ':' => {
                    self.depth += 1;
                    self.copy(2 + i + 1, false);
                    return Ok(());
                }
                ')' if i > 0 && !body[..i].ends_with('-') => {
                    self.copy(2 + i + 1, false);
                    return Ok(());
                }
                'i' | 'm' | 's' | 'U' => {}
                '-' if !body[..i].contains('-') => {}
                _ => {
                    let part = &rest[..2 + i + c.len_utf8()];
                    return Err(SyntaxError::new("invalid or unsupported Perl syntax", part));
                }
            }
        }
        Err(SyntaxError::new("missing closing )", self.whole))
    }

    fn named_group(&mut self) -> Result<()> {
        let rest = self.rest();
        let open = rest.find('<').unwrap_or(0) + 1;
        let Some(close) = rest.find('>') else {
            return Err(SyntaxError::new("invalid named capture", rest));
        };
        let name = rest.get(open..close).unwrap_or_default();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(SyntaxError::new("invalid named capture", &rest[..=close]));
        }
        let again = self.names.entry(name).or_default();
        *again += 1;
        self.depth += 1;
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            // The crate wants a letter first; such a group can only be reached by its number.
            self.out.push('(');
        } else {
            self.out.push_str("(?P<");
            self.out.push_str(name);
            if *again > 1 {
                // Go takes a name twice, the crate does not: no name of Go's has a dot.
                self.out.push('.');
                self.out.push_str(&again.to_string());
            }
            self.out.push('>');
        }
        self.at += close + 1;
        Ok(())
    }

    fn escape(&mut self) -> Result<()> {
        let rest = self.rest();
        self.repeatable = true;
        let Some(c) = rest[1..].chars().next() else {
            return Err(SyntaxError::new(
                "trailing backslash at end of expression",
                "",
            ));
        };
        let plain = match c {
            'A' => r"\A",
            'z' => r"\z",
            'b' => r"(?-u:\b)",
            'B' => r"(?-u:\B)",
            'C' => r"(?s-u:.)",
            'd' => "[0-9]",
            'D' => "[^0-9]",
            's' => r"[\t\n\x0c\r ]",
            'S' => r"[^\t\n\x0c\r ]",
            'w' => "[0-9A-Za-z_]",
            'W' => "[^0-9A-Za-z_]",
            'Q' => {
                let (text, after) = rest[2..]
                    .split_once(r"\E")
                    .map_or((&rest[2..], ""), |(text, after)| (text, after));
                self.repeatable = !text.is_empty();
                text.chars().for_each(|c| push_literal(&mut self.out, c));
                self.at = self.whole.len() - after.len();
                return Ok(());
            }
            _ => "",
        };
        if !plain.is_empty() {
            self.out.push_str(plain);
            self.at += 2;
            return Ok(());
        }
        self.at += escaped_char_or_class(rest, &mut self.out)?;
        Ok(())
    }

    fn class(&mut self) -> Result<()> {
        let rest = self.rest();
        let mut out = String::from("[");
        let mut at = 1;
        if rest[at..].starts_with('^') {
            out.push('^');
            at += 1;
        }
        let mut first = true;
        loop {
            let Some(c) = rest[at..].chars().next() else {
                return Err(SyntaxError::new("missing closing ]", rest));
            };
            if c == ']' && !first {
                out.push(']');
                self.out.push_str(&out);
                self.at += at + 1;
                self.repeatable = true;
                return Ok(());
            }
            first = false;
            at += class_item(rest, at, &mut out)?;
        }
    }
}

/// Reads one member of a class at `at`; its length.
fn class_item(class: &str, at: usize, out: &mut String) -> Result<usize> {
    let rest = &class[at..];
    if let Some(body) = rest.strip_prefix("[:")
        && let Some(end) = body.find(":]")
    {
        let name = &rest[..end + 4];
        if !is_posix_class(body[..end].trim_start_matches('^')) {
            return Err(SyntaxError::new("invalid character class range", name));
        }
        out.push_str(name);
        return Ok(name.len());
    }
    if let Some(c) = rest.strip_prefix('\\').and_then(|r| r.chars().next()) {
        let set = match c {
            'd' => "0-9",
            'D' => "[^0-9]",
            's' => r"\t\n\x0c\r ",
            'S' => r"[^\t\n\x0c\r ]",
            'w' => "0-9A-Za-z_",
            'W' => "[^0-9A-Za-z_]",
            _ => "",
        };
        if !set.is_empty() {
            out.push_str(set);
            return Ok(2);
        }
        if matches!(c, 'p' | 'P') {
            return unicode_class(rest, out);
        }
    }
    let (low, length) = class_char(class, rest)?;
    let tail = &rest[length..];
    if tail.starts_with('-') && tail.len() > 1 && !tail[1..].starts_with(']') {
        let (high, more) = class_char(class, &tail[1..])?;
        let total = length + 1 + more;
        if high < low {
            return Err(SyntaxError::new(
                "invalid character class range",
                &rest[..total],
            ));
        }
        push_literal(out, low);
        out.push('-');
        push_literal(out, high);
        return Ok(total);
    }
    push_literal(out, low);
    Ok(length)
}

fn class_char(class: &str, text: &str) -> Result<(char, usize)> {
    match text.chars().next() {
        None => Err(SyntaxError::new("missing closing ]", class)),
        Some('\\') => escaped_char(text),
        Some(c) => Ok((c, c.len_utf8())),
    }
}

fn is_posix_class(name: &str) -> bool {
    matches!(
        name,
        "alnum"
            | "alpha"
            | "ascii"
            | "blank"
            | "cntrl"
            | "digit"
            | "graph"
            | "lower"
            | "print"
            | "punct"
            | "space"
            | "upper"
            | "word"
            | "xdigit"
    )
}

/// An escape outside of a class that is no Perl class: a character or a Unicode class.
fn escaped_char_or_class(text: &str, out: &mut String) -> Result<usize> {
    if text[1..].starts_with(['p', 'P']) {
        return unicode_class(text, out);
    }
    let (c, length) = escaped_char(text)?;
    push_literal(out, c);
    Ok(length)
}

fn unicode_class(text: &str, out: &mut String) -> Result<usize> {
    let body = &text[2..];
    let length = if body.starts_with('{') {
        body.find('}').map(|end| 2 + end + 1)
    } else {
        body.chars().next().map(|c| 2 + c.len_utf8())
    };
    let Some(length) = length else {
        return Err(SyntaxError::new("invalid character class range", text));
    };
    let name = &text[..length];
    if regex::bytes::Regex::new(name).is_err() {
        return Err(SyntaxError::new("invalid character class range", name));
    }
    out.push_str(name);
    Ok(length)
}

/// Reads an escape that stands for one character.
fn escaped_char(text: &str) -> Result<(char, usize)> {
    let mut chars = text[1..].chars();
    let Some(c) = chars.next() else {
        return Err(SyntaxError::new(
            "trailing backslash at end of expression",
            "",
        ));
    };
    let invalid = |length: usize| {
        SyntaxError::new(
            "invalid escape sequence",
            text.get(..length).unwrap_or(text),
        )
    };
    let simple = match c {
        'a' => '\u{7}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '0'..='7' => {
            let digits = text[1..]
                .bytes()
                .take(3)
                .take_while(|b| (b'0'..=b'7').contains(b))
                .count();
            if c != '0' && digits < 2 {
                return Err(invalid(2));
            }
            let code = u32::from_str_radix(&text[1..=digits], 8).map_err(|_| invalid(2))?;
            return char::from_u32(code)
                .map(|c| (c, 1 + digits))
                .ok_or_else(|| invalid(2));
        }
        'x' => {
            let body = &text[2..];
            let (digits, length) = match body.strip_prefix('{') {
                Some(inner) => {
                    let end = inner.find('}').ok_or_else(|| invalid(3))?;
                    (&inner[..end], 2 + end + 2)
                }
                None => (body.get(..2).ok_or_else(|| invalid(2 + body.len()))?, 4),
            };
            let code = u32::from_str_radix(digits, 16)
                .ok()
                .and_then(char::from_u32);
            return code.map(|c| (c, length)).ok_or_else(|| invalid(length));
        }
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
        c => return Err(invalid(1 + c.len_utf8())),
    };
    Ok((simple, 2))
}

/// The length of `{n}`, `{n,}` or `{n,m}`; `None` where the brace is a literal.
fn counted(text: &str) -> Result<Option<usize>> {
    let Some(end) = text.find('}') else {
        return Ok(None);
    };
    let body = &text[1..end];
    let (low, high) = body
        .split_once(',')
        .map_or((body, None), |(low, high)| (low, Some(high)));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if low.is_empty() || !digits(low) || !high.is_none_or(digits) {
        return Ok(None);
    }
    if low.len() > 1 && low.starts_with('0') {
        return Ok(None);
    }
    let bad = || SyntaxError::new("invalid repeat count", &text[..=end]);
    let number = |t: &str| {
        t.parse::<u32>()
            .ok()
            .filter(|n| *n <= MAX_REPEAT)
            .ok_or_else(bad)
    };
    let least = number(low)?;
    if let Some(high) = high.filter(|h| !h.is_empty())
        && number(high)? < least
    {
        return Err(bad());
    }
    Ok(Some(end + 1))
}

/// Writes a character so that it means itself inside and outside of classes.
fn push_literal(out: &mut String, c: char) {
    if c.is_ascii() && !c.is_ascii_alphanumeric() && !matches!(c, '_' | ' ' | ',' | '/' | ':') {
        let _ = write!(out, "\\x{:02x}", u32::from(c));
    } else {
        out.push(c);
    }
}
