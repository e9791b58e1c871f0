//! Which style a string is printed in.

use super::Flavor;
use crate::node::{Kind, Style};
use crate::resolve::{Schema, implicit};
use crate::timestamp::Timestamp;

/// What forbids a style.
#[derive(Debug, Default, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent findings of one scan"
)]
struct Findings {
    indicators: bool,
    line_breaks: bool,
    special: bool,
    tabs: bool,
    leading_space: bool,
    trailing_space: bool,
    edge_break: bool,
    break_space: bool,
    space_break: bool,
}

/// Chooses the style of a string: what the encoder asks for, corrected by what the text allows.
pub(super) fn style(text: &str, flavor: Flavor, is_simple_key: bool) -> Style {
    if is_plain_word(text) {
        return Style::Plain;
    }
    let wanted = wanted(text);
    if wanted == Style::DoubleQuoted {
        return wanted;
    }
    let found = scan(text, flavor);
    if wanted == Style::Literal {
        let refused = is_simple_key || found.trailing_space || found.space_break || found.special;
        return if refused {
            Style::DoubleQuoted
        } else {
            Style::Literal
        };
    }
    let escapes = found.break_space || found.space_break || found.tabs || found.special;
    let edges = found.leading_space || found.trailing_space || found.edge_break;
    if escapes || (is_simple_key && found.line_breaks) {
        Style::DoubleQuoted
    } else if edges || found.line_breaks || found.indicators {
        Style::SingleQuoted
    } else {
        Style::Plain
    }
}

/// Tells at a glance that nothing speaks against a text without quotes, as is so for most: it is a
/// word of letters, digits and a few marks, and too long for one that has a meaning.
fn is_plain_word(text: &str) -> bool {
    const LONGEST_MEANING: usize = "false".len();
    let (first, rest) = match text.as_bytes() {
        [first, rest @ ..] => (*first, rest),
        [] => return false,
    };
    let may_mean = matches!(first | 0x20, b'y' | b'n' | b't' | b'f' | b'o');
    first.is_ascii_alphabetic()
        && (!may_mean || text.len() > LONGEST_MEANING)
        && rest
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'))
}

/// Tells whether a string is read back as that string, by either reading, when nothing quotes it.
pub(crate) fn fits_plain(text: &str, in_flow: bool) -> bool {
    let special = |c: char| matches!(c, ',' | '?' | '[' | ']' | '{' | '}');
    style(text, Flavor::V2, false) == Style::Plain
        && !(in_flow && (text.contains(special) || text.starts_with(':') || text.ends_with(':')))
}

/// Tells whether a string can stand in single quotes on one line.
pub(crate) fn fits_single_quotes(text: &str) -> bool {
    let Findings {
        special,
        line_breaks,
        tabs,
        ..
    } = scan(text, Flavor::V2);
    !special && !line_breaks && !tabs
}

fn wanted(text: &str) -> Style {
    if text.contains('\n') {
        Style::Literal
    } else if reads_as_string(text) {
        Style::Plain
    } else {
        Style::DoubleQuoted
    }
}

/// Tells whether Go reads the text back as a string when nothing quotes it.
fn reads_as_string(text: &str) -> bool {
    !text.is_empty()
        && matches!(implicit(text, Schema::Legacy), Kind::String)
        && !is_base_60(text.as_bytes())
        && Timestamp::parse(text).is_none()
}

/// Matches `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`, the base 60 numbers of YAML 1.1.
pub(super) fn is_base_60(text: &[u8]) -> bool {
    let text = match text {
        [b'-' | b'+', rest @ ..] => rest,
        all => all,
    };
    if !text.first().is_some_and(u8::is_ascii_digit) {
        return false;
    }
    let digits = |b: &u8| b.is_ascii_digit() || *b == b'_';
    let mut rest = &text[text.iter().take_while(|b| digits(b)).count()..];
    let mut parts = 0;
    while let [b':', after @ ..] = rest {
        rest = match after {
            [b'0'..=b'5', b'0'..=b'9', rest @ ..] | [b'0'..=b'9', rest @ ..] => rest,
            _ => return false,
        };
        parts += 1;
    }
    if let [b'.', after @ ..] = rest {
        rest = &after[after.iter().take_while(|b| digits(b)).count()..];
    }
    parts > 0 && rest.is_empty()
}

fn scan(text: &str, flavor: Flavor) -> Findings {
    scan_line(text.as_bytes()).unwrap_or_else(|| scan_any(text, flavor))
}

/// Scans a text of printable ASCII, as most are; `None` for any other.
fn scan_line(text: &[u8]) -> Option<Findings> {
    let is_printable = |byte: &u8| byte.wrapping_sub(b' ') <= b'~' - b' ';
    if !text.iter().fold(true, |all, byte| all & is_printable(byte)) {
        return None;
    }
    let (Some(first), Some(last)) = (text.first(), text.last()) else {
        return Some(Findings::default());
    };
    let second = text.get(1).map(|byte| char::from(*byte));
    let ends_or_changes = || {
        let neighbour = |at: usize| text.get(at).map(|byte| char::from(*byte));
        (1..).zip(&text[1..]).any(|(at, byte)| {
            matches!(byte, b':' | b'#')
                && is_indicator(char::from(*byte), neighbour(at - 1), neighbour(at + 1))
        })
    };
    Some(Findings {
        indicators: text.starts_with(b"---")
            || text.starts_with(b"...")
            || is_indicator(char::from(*first), None, second)
            || ends_or_changes(),
        leading_space: *first == b' ',
        trailing_space: *last == b' ',
        ..Findings::default()
    })
}

fn scan_any(text: &str, flavor: Flavor) -> Findings {
    let mut found = Findings {
        indicators: text.starts_with("---") || text.starts_with("..."),
        ..Findings::default()
    };
    let mut before = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        found.indicators |= is_indicator(c, before, next);
        if c == '\t' && flavor == Flavor::V3 {
            found.tabs = true;
        } else if !is_printable(c) {
            found.special = true;
        }
        if c == ' ' {
            found.leading_space |= before.is_none();
            found.trailing_space |= next.is_none();
            found.break_space |= before.is_some_and(is_break);
        } else if is_break(c) {
            found.line_breaks = true;
            found.edge_break |= before.is_none() || next.is_none();
            found.space_break |= before == Some(' ');
        }
        before = Some(c);
    }
    found
}

/// Tells whether a character at its place would end or change a plain scalar in block context.
fn is_indicator(c: char, before: Option<char>, next: Option<char>) -> bool {
    let space_follows = matches!(next, None | Some(' ' | '\t'));
    match (c, before) {
        (
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
            | '@' | '`',
            None,
        ) => true,
        ('?' | '-', None) | (':', _) => space_follows,
        ('#', Some(c)) => matches!(c, ' ' | '\t' | '\0') || is_break(c),
        _ => false,
    }
}

/// Tells whether a character is a line break of YAML 1.1.
pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Tells whether the emitters print a character as it is: no tab, no control, nothing past U+FFFD.
pub(super) fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_scanned_as_any_text_is() {
        let parts = [
            "", " ", "a", ":", "#", "-", "--", "?", "...", "~", ",", "'", "{", ": ", " #", "a:b",
        ];
        for one in parts {
            for two in parts {
                for three in parts {
                    let text = [one, two, three].concat();
                    let line = scan_line(text.as_bytes());
                    for flavor in [Flavor::V2, Flavor::V3] {
                        assert_eq!(line, Some(scan_any(&text, flavor)), "{text:?}");
                    }
                }
            }
        }
        for other in ["\t", "a\nb", "ü", "\u{7f}"] {
            assert_eq!(scan_line(other.as_bytes()), None, "{other:?}");
        }
    }
}
