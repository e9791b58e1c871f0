//! Writes block style text: columns, indentation, folding, escapes.

use super::order::sort_by_key;
use super::scalar::is_break;
use super::shape::{Shape, Tree};
use super::{EmitError, Flavor};
use crate::number::{go_float, go_json_float, parse_integer};
use std::borrow::Cow;
use std::fmt::Write as _;

/// Indentation is copied from here.
const BLANKS: &str = "                                ";
/// Columns of one level.
const INDENT: usize = 2;
/// Longest key, in bytes, that is printed without `?`.
const SIMPLE_KEY_BYTES: usize = 128;
/// Longest key, in characters with quotes, the reader between JSON and the v2 print accepts.
const JSON_KEY_CHARS: usize = 1024;

/// A collection whose print is not complete.
enum Open<'a, T> {
    Sequence {
        items: std::slice::Iter<'a, T>,
        indent: usize,
    },
    Mapping {
        pairs: std::vec::IntoIter<(&'a str, &'a T)>,
        indent: usize,
    },
}

impl<'a, T> Open<'a, T> {
    /// Returns the next key, its node and the indent it stands at.
    fn next(&mut self) -> Option<(Option<&'a str>, &'a T, usize)> {
        match self {
            Self::Sequence { items, indent } => items.next().map(|item| (None, item, *indent)),
            Self::Mapping { pairs, indent } => {
                pairs.next().map(|(key, value)| (Some(key), value, *indent))
            }
        }
    }
}

/// Where a node stands: below which indent, and after what.
#[derive(Clone, Copy)]
enum Place {
    Root,
    /// After `- ` of a sequence at this indent.
    Item(usize),
    /// After `key:` of a mapping at this indent.
    Value(usize),
    /// After `: ` on a line of its own.
    ComplexValue(usize),
}

impl Place {
    /// Column of a scalar's further lines and of a mapping's keys.
    fn inner_indent(self) -> usize {
        match self {
            Self::Root => INDENT,
            Self::Item(indent) | Self::Value(indent) | Self::ComplexValue(indent) => {
                indent + INDENT
            }
        }
    }
}

pub(super) struct Printer<'o> {
    pub(super) out: &'o mut String,
    pub(super) flavor: Flavor,
    /// Nothing is sorted, and nothing has gone through JSON.
    pub(super) is_direct: bool,
    pub(super) column: usize,
    /// The last character allows the next token to follow without a space.
    pub(super) whitespace: bool,
    /// Only indentation and indicators that nest stand on the line so far.
    pub(super) indention: bool,
}

impl<'o> Printer<'o> {
    pub(super) fn new(out: &'o mut String, flavor: Flavor) -> Self {
        Self {
            out,
            flavor,
            is_direct: false,
            column: 0,
            whitespace: true,
            indention: true,
        }
    }

    /// Prints a whole document.
    pub(super) fn document<T: Tree>(mut self, root: &T) -> Result<(), EmitError> {
        let mut open: Vec<Open<'_, T>> = Vec::new();
        open.extend(self.node(root, Place::Root)?);
        while let Some(top) = open.last_mut() {
            let inner = match top.next() {
                None => {
                    open.pop();
                    continue;
                }
                Some((None, item, indent)) => {
                    self.indent(indent);
                    self.indicator("-", true);
                    self.node(item, Place::Item(indent))?
                }
                Some((Some(key), value, indent)) => {
                    let place = self.key(key, indent)?;
                    self.node(value, place)?
                }
            };
            open.extend(inner);
        }
        if self.column > 0 || !self.indention {
            self.line_end();
        }
        Ok(())
    }

    /// Prints a scalar or empty collection, or begins a collection.
    fn node<'a, T: Tree>(
        &mut self,
        tree: &'a T,
        place: Place,
    ) -> Result<Option<Open<'a, T>>, EmitError> {
        match tree.shape()? {
            Shape::Null => self.word("null"),
            Shape::Bool(value) => self.word(if value { "true" } else { "false" }),
            Shape::Int(value) => self.number(format_args!("{value}")),
            Shape::Uint(value) => self.number(format_args!("{value}")),
            Shape::Float(value) => {
                let plain = self.is_direct || self.flavor == Flavor::V3;
                self.word(&float(value, plain));
            }
            Shape::String(text) => {
                let text = self.readable(&text)?;
                self.string(&text, place.inner_indent(), false);
            }
            Shape::Sequence([]) => self.word("[]"),
            Shape::Sequence(items) => {
                return Ok(Some(Open::Sequence {
                    items: items.iter(),
                    indent: self.sequence_indent(place),
                }));
            }
            Shape::Mapping(pairs) if pairs.is_empty() => self.word("{}"),
            Shape::Mapping(mut pairs) => {
                if !self.is_direct {
                    sort_by_key(&mut pairs, self.flavor);
                }
                let indent = if matches!(place, Place::Root) {
                    0
                } else {
                    place.inner_indent()
                };
                return Ok(Some(Open::Mapping {
                    pairs: pairs.into_iter(),
                    indent,
                }));
            }
        }
        Ok(None)
    }

    fn sequence_indent(&self, place: Place) -> usize {
        match (place, self.flavor) {
            (Place::Root, _) => 0,
            (Place::Value(indent), Flavor::V2) => indent,
            _ => place.inner_indent(),
        }
    }

    /// Prints a key up to its colon.
    fn key(&mut self, key: &str, indent: usize) -> Result<Place, EmitError> {
        let through_json = self.flavor == Flavor::V2 && !self.is_direct;
        // A character is spelled with six at most.
        if through_json && key.len() > JSON_KEY_CHARS / 6 - 1 && json_chars(key) > JSON_KEY_CHARS {
            return Err(EmitError::Key {
                text: key.to_owned(),
            });
        }
        let text = self.readable(key)?;
        if through_json && key.contains('\u{85}') {
            return Err(EmitError::Key {
                text: key.to_owned(),
            });
        }
        self.indent(indent);
        if text.len() <= SIMPLE_KEY_BYTES && !text.contains(is_break) {
            self.string(&text, indent + INDENT, true);
            self.out.push(':');
            self.column += 1;
            self.whitespace = false;
            self.indention = false;
            return Ok(Place::Value(indent));
        }
        self.indicator("?", true);
        self.string(&text, indent + INDENT, false);
        self.indent(indent);
        self.indicator(":", true);
        Ok(Place::ComplexValue(indent))
    }

    /// Returns a string as the v2 print sees it after its way through JSON text and a YAML reader.
    fn readable<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, EmitError> {
        if self.is_direct || self.flavor == Flavor::V3 || text.bytes().all(|b| b < 0x7f) {
            return Ok(Cow::Borrowed(text));
        }
        let forbidden = |c: char| matches!(c, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
        if text.contains(forbidden) {
            return Err(EmitError::Control {
                text: text.to_owned(),
            });
        }
        if !text.contains('\u{85}') {
            return Ok(Cow::Borrowed(text));
        }
        fold_next_lines(text).map(Cow::Owned)
    }

    /// Prints a scalar that needs no quotes.
    fn word(&mut self, text: &str) {
        self.separate();
        self.out.push_str(text);
        self.column += text.len();
        self.whitespace = false;
        self.indention = false;
    }

    fn number(&mut self, digits: std::fmt::Arguments<'_>) {
        self.separate();
        let before = self.out.len();
        // Writing to a String cannot fail.
        self.out.write_fmt(digits).ok();
        self.column += self.out.len() - before;
        self.whitespace = false;
        self.indention = false;
    }

    /// Prints an indicator that needs a space before it and lets nested blocks follow on its line.
    fn indicator(&mut self, indicator: &str, nests: bool) {
        self.separate();
        self.out.push_str(indicator);
        self.column += indicator.len();
        self.whitespace = false;
        self.indention &= nests;
    }

    pub(super) fn separate(&mut self) {
        if !self.whitespace {
            self.put(' ');
        }
    }

    /// Goes to a column, on a new line unless only indentation stands on this one.
    pub(super) fn indent(&mut self, indent: usize) {
        let passed = self.column > indent || (self.column == indent && !self.whitespace);
        if !self.indention || passed {
            self.line_end();
        }
        let mut missing = indent.saturating_sub(self.column);
        while missing > 0 {
            let some = missing.min(BLANKS.len());
            self.out.push_str(&BLANKS[..some]);
            missing -= some;
        }
        self.column = self.column.max(indent);
        self.whitespace = true;
        self.indention = true;
    }

    pub(super) fn line_end(&mut self) {
        self.out.push('\n');
        self.column = 0;
        self.indention = true;
    }

    pub(super) fn break_char(&mut self, c: char) {
        self.out.push(c);
        self.column = 0;
    }

    pub(super) fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    pub(super) fn write(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += if text.is_ascii() {
            text.len()
        } else {
            text.chars().count()
        };
    }
}

/// Prints a float; the v2 print sees it after its way through JSON unless it is plain.
fn float(value: f64, plain: bool) -> String {
    if plain {
        return go_float(value);
    }
    match parse_integer(&go_json_float(value)) {
        Some(crate::number::Integer::Signed(value)) => value.to_string(),
        Some(crate::number::Integer::Unsigned(value)) => value.to_string(),
        None => go_float(value),
    }
}

/// Returns how many characters Go's JSON spends on a string, quotes included.
fn json_chars(text: &str) -> usize {
    let chars = text.chars().map(|c| match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => 6,
        _ => 1,
    });
    chars.sum::<usize>() + 2
}

/// Folds the NEL characters of a string as a reader of double quoted text folds line breaks: spaces
/// around them go, one becomes a space, more become one newline less.
fn fold_next_lines(text: &str) -> Result<String, EmitError> {
    let mut folded = String::with_capacity(text.len());
    let mut parts = text.split('\u{85}');
    folded.push_str(parts.next().unwrap_or_default());
    let mut breaks = 0usize;
    let join = |folded: &mut String, breaks: usize| match breaks {
        0 => {}
        1 => folded.push(' '),
        more => folded.extend(std::iter::repeat_n('\n', more - 1)),
    };
    for part in parts {
        if breaks == 0 {
            folded.truncate(folded.trim_end_matches(' ').len());
        }
        breaks += 1;
        if part.starts_with("---") || part.starts_with("...") {
            let after = part[3..].chars().next();
            if matches!(after, Some(' ')) || (after.is_none()) {
                return Err(EmitError::DocumentIndicator {
                    text: text.to_owned(),
                });
            }
        }
        let content = part.trim_start_matches(' ');
        if !content.is_empty() {
            join(&mut folded, breaks);
            breaks = 0;
            folded.push_str(content);
        }
    }
    join(&mut folded, breaks);
    Ok(folded)
}
