//! Words: case, initials, wrapping.

use super::Function;
use super::args::Arguments;
use crate::engine::Call;
use crate::error::Fault;
use crate::text::Str;
use crate::value::{Type, Value};

type Result = std::result::Result<Value, Fault>;

const INT: Type = Type::Int;
const STR: Type = Type::String;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("camelcase", &[STR], |_, a| {
        Ok(Value::from(pascal_case(&a.text(0))))
    }),
    Function::fixed("initials", &[STR], |_, a| {
        Ok(Value::from(initials(&a.text(0))))
    }),
    Function::fixed("kebabcase", &[STR], |_, a| {
        Ok(Value::from(joined_case(&a.text(0), '-')))
    }),
    Function::fixed("snakecase", &[STR], |_, a| {
        Ok(Value::from(joined_case(&a.text(0), '_')))
    }),
    Function::fixed("lower", &[STR], |_, a| {
        Ok(cased(&a.string(0), |t| t.chars().map(lower).collect()))
    }),
    Function::fixed("upper", &[STR], |_, a| {
        Ok(cased(&a.string(0), |t| t.chars().map(upper).collect()))
    }),
    Function::fixed("nospace", &[STR], |_, a| {
        // Upstream takes each byte for a character.
        let text = a.string(0);
        let kept = text
            .as_bytes()
            .iter()
            .map(|b| char::from(*b))
            .filter(|c| !c.is_whitespace());
        Ok(Value::from(kept.collect::<String>()))
    }),
    Function::fixed("swapcase", &[STR], |_, a| {
        let swap = |c: char| if c.is_uppercase() { lower(c) } else { upper(c) };
        Ok(Value::from(a.text(0).chars().map(swap).collect::<String>()))
    }),
    Function::fixed("title", &[STR], |_, a| Ok(Value::from(title(&a.text(0))))),
    Function::fixed("untitle", &[STR], |_, a| {
        Ok(Value::from(untitle(&a.text(0))))
    }),
    Function::fixed("wrap", &[INT, STR], |_, a| {
        Ok(Value::str(wrapped(
            a.string(1).as_bytes(),
            a.int(0),
            b"\n",
            false,
        )))
    }),
    Function::fixed("wrapWith", &[INT, STR, STR], wrap_with),
];

/// The single lower-case character, as Go maps one to one.
fn lower(c: char) -> char {
    let mut mapped = c.to_lowercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        // The only one that Rust expands: capital I with a dot.
        _ => 'i',
    }
}

fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

fn cased(text: &Str, map: impl Fn(&str) -> String) -> Value {
    Value::from(map(&text.text()))
}

fn is_connector(c: char) -> bool {
    matches!(c, '-' | '_') || c.is_whitespace()
}

/// Go counts as punctuation what ASCII symbols are not.
fn is_punctuation(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_punctuation()
            && !matches!(c, '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~');
    }
    let mut buffer = [0; 4];
    go::regexp::Regexp::new(r"^\pP$")
        .is_ok_and(|re| re.is_match(c.encode_utf8(&mut buffer).as_bytes()))
}

/// Capitalises each word and drops the connectors between them; leading ones stay.
fn pascal_case(text: &str) -> String {
    let start = text.find(|c| !is_connector(c)).unwrap_or(text.len());
    let (leading, body) = text.split_at(start);
    let mut out = leading.to_owned();
    let mut chars = body.chars();
    let Some(first) = chars.next() else {
        return out;
    };
    let mut run_upper = first.is_uppercase();
    let mut current = upper(first);
    for next in chars {
        let previous = current;
        current = next;
        if is_connector(current) && is_connector(previous) {
            out.push(previous);
        } else if is_connector(previous) {
            run_upper = current.is_uppercase();
            current = upper(current);
        } else {
            if run_upper {
                if current.is_uppercase() {
                    current = lower(current);
                } else {
                    run_upper = false;
                }
            }
            out.push(previous);
        }
    }
    out.push(current);
    out
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Number,
    Upper,
    Alphabet,
    Connector,
    Punctuation,
    Other,
}

/// Cuts into runs of one kind; a capital takes the small letters after it, a run of capitals
/// leaves its last one to the word that follows.
fn words(text: &str) -> Vec<(Word, String)> {
    let chars: Vec<char> = text.chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    let small = |c: char| c.is_alphabetic() && !c.is_uppercase();
    let run = |from: usize, fits: &dyn Fn(char) -> bool| {
        from + chars[from..].iter().take_while(|c| fits(**c)).count()
    };
    while at < chars.len() {
        let c = chars[at];
        let (kind, end) = if is_connector(c) {
            (Word::Connector, run(at, &is_connector))
        } else if is_punctuation(c) {
            (Word::Punctuation, run(at, &is_punctuation))
        } else if c.is_uppercase() {
            let capitals = run(at, &char::is_uppercase);
            let end = if capitals - at > 1 {
                let word_follows = chars.get(capitals).is_some_and(|c| c.is_alphabetic());
                capitals - usize::from(word_follows)
            } else {
                run(capitals, &small)
            };
            (Word::Upper, end)
        } else if c.is_alphabetic() {
            (Word::Alphabet, run(at, &small))
        } else if c.is_numeric() {
            (Word::Number, run(at, &char::is_numeric))
        } else {
            let other = |c: char| !(is_connector(c) || c.is_alphanumeric() || is_punctuation(c));
            (Word::Other, run(at, &other))
        };
        out.push((kind, chars[at..end].iter().collect()));
        at = end;
    }
    out
}

/// Words in lower case with a connector between them; digits stay with the letters around them.
fn joined_case(text: &str, connector: char) -> String {
    let words = words(text);
    let mut out = String::new();
    let push = |out: &mut String, i: usize| {
        if let Some((kind, word)) = words.get(i) {
            match kind {
                Word::Connector => out.extend(word.chars().map(|_| connector)),
                Word::Upper => out.extend(word.chars().map(lower)),
                _ => out.push_str(word),
            }
        }
    };
    let kind = |i: usize| words.get(i).map(|(kind, _)| *kind);
    let breaks = |k: Option<Word>| !matches!(k, None | Some(Word::Punctuation | Word::Connector));
    let letters = |k: Option<Word>| matches!(k, Some(Word::Alphabet | Word::Number));
    let mut i = 0;
    while i + 1 < words.len() {
        let current = kind(i);
        push(&mut out, i);
        i += 1;
        match current {
            Some(Word::Connector | Word::Punctuation) => {}
            Some(Word::Number) => {
                while letters(kind(i)) {
                    push(&mut out, i);
                    i += 1;
                }
                if breaks(kind(i)) {
                    out.push(connector);
                }
            }
            _ if kind(i) != Some(Word::Number) => {
                if breaks(kind(i)) {
                    out.push(connector);
                }
            }
            _ if i + 1 == words.len() => {}
            _ if kind(i + 1) == Some(Word::Alphabet) => {
                // Small letters after a number draw it away from the word before.
                out.push(connector);
                while letters(kind(i)) {
                    push(&mut out, i);
                    i += 1;
                }
                if breaks(kind(i)) {
                    out.push(connector);
                }
            }
            _ => {
                push(&mut out, i);
                i += 1;
                if breaks(kind(i)) {
                    out.push(connector);
                }
            }
        }
    }
    push(&mut out, i);
    out
}

/// The first byte of each word, which upstream takes for a character.
fn initials(text: &str) -> String {
    let mut gap = true;
    let mut out = String::new();
    for c in text.bytes().map(char::from) {
        if c.is_whitespace() {
            gap = true;
        } else if std::mem::take(&mut gap) {
            out.push(c);
        }
    }
    out
}

/// Capitalises each letter that no letter, digit, underscore or mark stands before.
fn title(text: &str) -> String {
    let mut previous = ' ';
    text.chars()
        .map(|c| {
            let separator = if previous.is_ascii() {
                !(previous.is_ascii_alphanumeric() || previous == '_')
            } else {
                !previous.is_alphanumeric() && previous.is_whitespace()
            };
            previous = c;
            if separator { upper(c) } else { c }
        })
        .collect()
}

fn untitle(text: &str) -> String {
    let mut begins = true;
    text.chars()
        .map(|c| {
            if c.is_whitespace() {
                begins = true;
                c
            } else if std::mem::take(&mut begins) {
                lower(c)
            } else {
                c
            }
        })
        .collect()
}

fn wrap_with(_: &Call<'_>, args: &[Value]) -> Result {
    let separator = args.string(1);
    let line = if separator.is_empty() {
        b"\n"
    } else {
        separator.as_bytes()
    };
    Ok(Value::str(wrapped(
        args.string(2).as_bytes(),
        args.int(0),
        line,
        true,
    )))
}

/// Breaks lines at spaces; words longer than a line are cut where asked.
fn wrapped(text: &[u8], width: i64, line: &[u8], cut_words: bool) -> Vec<u8> {
    let width = usize::try_from(width.max(1)).unwrap_or(1);
    let mut out = Vec::with_capacity(text.len() + text.len() / width * line.len());
    let mut at = 0;
    while text.len() - at > width {
        if text[at] == b' ' {
            at += 1;
            continue;
        }
        let end = at + width;
        let cut = if let Some(space) = text[at..=end].iter().rposition(|b| *b == b' ') {
            Some((at + space, 1))
        } else if cut_words {
            Some((end, 0))
        } else {
            text[end..]
                .iter()
                .position(|b| *b == b' ')
                .map(|space| (end + space, 1))
        };
        let Some((stop, skip)) = cut else { break };
        out.extend_from_slice(&text[at..stop]);
        out.extend_from_slice(line);
        at = stop + skip;
    }
    out.extend_from_slice(&text[at..]);
    out
}
