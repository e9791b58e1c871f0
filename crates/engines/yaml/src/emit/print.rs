//! Writes block style text: columns, indentation, folding, escapes.

use super::order::sort_by_key;
use super::scalar::{is_break, is_printable, style};
use super::shape::{Shape, Tree};
use super::{EmitError, Flavor};
use crate::node::Style;
use crate::number::{go_float, go_json_float, parse_integer};
use std::borrow::Cow;
use std::fmt::Write as _;

/// Columns of one level.
const INDENT: usize = 2;
/// Text is broken at the first space past this column in the v2 print.
const WIDTH: usize = 80;
/// Longest key, in bytes, that is printed without `?`.
const SIMPLE_KEY_BYTES: usize = 128;
/// Longest key, in characters with quotes, the reader between JSON and the v2 print accepts.
const JSON_KEY_CHARS: usize = 1024;

/// A collection whose print is not complete.
enum Open<'a, T: ?Sized> {
    Sequence {
        items: std::vec::IntoIter<&'a T>,
        indent: usize,
    },
    Mapping {
        pairs: std::vec::IntoIter<(&'a str, &'a T)>,
        indent: usize,
    },
}

impl<'a, T: ?Sized> Open<'a, T> {
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
    out: &'o mut String,
    flavor: Flavor,
    column: usize,
    /// The last character allows the next token to follow without a space.
    whitespace: bool,
    /// Only indentation and indicators that nest stand on the line so far.
    indention: bool,
}

impl<'o> Printer<'o> {
    pub(super) fn new(out: &'o mut String, flavor: Flavor) -> Self {
        Self {
            out,
            flavor,
            column: 0,
            whitespace: true,
            indention: true,
        }
    }

    /// Prints a whole document.
    pub(super) fn document<T: Tree + ?Sized>(mut self, root: &T) -> Result<(), EmitError> {
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
    fn node<'a, T: Tree + ?Sized>(
        &mut self,
        tree: &'a T,
        place: Place,
    ) -> Result<Option<Open<'a, T>>, EmitError> {
        match tree.shape()? {
            Shape::Null => self.word("null"),
            Shape::Bool(value) => self.word(if value { "true" } else { "false" }),
            Shape::Int(value) => self.word(&value.to_string()),
            Shape::Uint(value) => self.word(&value.to_string()),
            Shape::Float(value) => self.word(&float(value, self.flavor)),
            Shape::String(text) => {
                let text = self.readable(&text)?;
                self.string(&text, place.inner_indent(), false);
            }
            Shape::Sequence(items) if items.is_empty() => self.word("[]"),
            Shape::Sequence(items) => {
                return Ok(Some(Open::Sequence {
                    items: items.into_iter(),
                    indent: self.sequence_indent(place),
                }));
            }
            Shape::Mapping(pairs) if pairs.is_empty() => self.word("{}"),
            Shape::Mapping(mut pairs) => {
                sort_by_key(&mut pairs, self.flavor);
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
        if self.flavor == Flavor::V2 && json_chars(key) > JSON_KEY_CHARS {
            return Err(EmitError::Key {
                text: key.to_owned(),
            });
        }
        let text = self.readable(key)?;
        if self.flavor == Flavor::V2 && key.contains('\u{85}') {
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
        if self.flavor == Flavor::V3 || text.bytes().all(|b| b < 0x7f) {
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

    fn string(&mut self, text: &str, indent: usize, is_simple_key: bool) {
        match style(text, self.flavor, is_simple_key) {
            Style::Literal => self.literal(text, indent),
            Style::DoubleQuoted => self.double_quoted(text, indent, !is_simple_key),
            Style::SingleQuoted => self.single_quoted(text, indent, !is_simple_key),
            Style::Plain | Style::Folded | Style::Block | Style::Flow => {
                self.plain(text, indent, !is_simple_key);
            }
        }
    }

    fn plain(&mut self, text: &str, indent: usize, breakable: bool) {
        self.separate();
        if self.fits(text, breakable) {
            self.write(text);
        } else {
            let mut after_space = false;
            let mut chars = text.chars().peekable();
            while let Some(c) = chars.next() {
                let is_space = c == ' ';
                let breaks = is_space && !after_space && self.column > WIDTH;
                if breaks && chars.peek() != Some(&' ') {
                    self.indent(indent);
                } else {
                    self.put(c);
                }
                self.indention &= is_space;
                after_space = is_space;
            }
        }
        self.whitespace = false;
        self.indention = false;
    }

    fn single_quoted(&mut self, text: &str, indent: usize, breakable: bool) {
        self.separate();
        self.put('\'');
        self.indention = false;
        let breakable = breakable && self.flavor == Flavor::V2;
        let (mut after_space, mut after_break) = (false, false);
        let mut chars = text.chars().enumerate().peekable();
        while let Some((at, c)) = chars.next() {
            let next = chars.peek().map(|(_, c)| *c);
            if c == ' ' {
                let breaks = breakable && !after_space && self.column > WIDTH && at > 0;
                if breaks && next.is_some_and(|next| next != ' ') {
                    self.indent(indent);
                } else {
                    self.put(c);
                }
                after_space = true;
            } else if is_break(c) {
                self.break_char(c);
                self.indention = true;
                after_break = true;
            } else {
                if after_break {
                    self.indent(indent);
                }
                if c == '\'' {
                    self.put(c);
                }
                self.put(c);
                self.indention = false;
                (after_space, after_break) = (false, false);
            }
        }
        self.put('\'');
        self.whitespace = false;
        self.indention = false;
    }

    pub(super) fn double_quoted(&mut self, text: &str, indent: usize, breakable: bool) {
        self.separate();
        self.put('"');
        let breakable = breakable && self.flavor == Flavor::V2;
        // libyaml's Go descendants take every character for a byte order mark once the first is one.
        let escape_all = text.starts_with('\u{feff}');
        let mut after_space = false;
        let mut chars = text.chars().enumerate().peekable();
        while let Some((at, c)) = chars.next() {
            let next = chars.peek().map(|(_, c)| *c);
            if c == ' ' && !escape_all {
                let breaks = breakable && !after_space && self.column > WIDTH && at > 0;
                match next {
                    Some(next) if breaks => {
                        // The break stands for the space; a second space must not look like indent.
                        self.indention = false;
                        self.indent(indent);
                        if next == ' ' {
                            self.put('\\');
                        }
                    }
                    _ => self.put(c),
                }
                after_space = true;
                continue;
            }
            after_space = false;
            if escape_all || !is_printable(c) || is_break(c) || c == '"' || c == '\\' {
                self.escape(c);
            } else {
                self.put(c);
            }
        }
        self.put('"');
        self.whitespace = false;
        self.indention = false;
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.separate();
        self.put('|');
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            self.put('2');
        }
        let mut ending = text.chars().rev();
        match (ending.next(), ending.next()) {
            (Some(last), _) if !is_break(last) => self.put('-'),
            (Some(_), None) => self.put('+'),
            (Some(_), Some(before)) if is_break(before) => self.put('+'),
            _ => {}
        }
        self.line_end();
        self.whitespace = true;
        let mut after_break = true;
        for c in text.chars() {
            if is_break(c) {
                self.break_char(c);
                self.indention = true;
                after_break = true;
                continue;
            }
            if after_break {
                self.indent(indent);
            }
            self.put(c);
            self.indention = false;
            after_break = false;
        }
    }

    fn escape(&mut self, c: char) {
        self.put('\\');
        let short = match c {
            '\0' => '0',
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{b}' => 'v',
            '\u{c}' => 'f',
            '\r' => 'r',
            '\u{1b}' => 'e',
            '"' | '\\' => c,
            '\u{85}' => 'N',
            '\u{a0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => {
                let code = u32::from(c);
                let before = self.out.len();
                // Writing to a String cannot fail.
                let _ = match code {
                    0..=0xff => write!(self.out, "x{code:02X}"),
                    0x100..=0xffff => write!(self.out, "u{code:04X}"),
                    _ => write!(self.out, "U{code:08X}"),
                };
                self.column += self.out.len() - before;
                return;
            }
        };
        self.put(short);
    }

    /// Tells whether a text cannot reach the column where breaking begins.
    fn fits(&self, text: &str, breakable: bool) -> bool {
        !breakable || self.flavor == Flavor::V3 || self.column + text.len() <= WIDTH
    }

    /// Prints an indicator that needs a space before it and lets nested blocks follow on its line.
    fn indicator(&mut self, indicator: &str, nests: bool) {
        self.separate();
        self.out.push_str(indicator);
        self.column += indicator.len();
        self.whitespace = false;
        self.indention &= nests;
    }

    fn separate(&mut self) {
        if !self.whitespace {
            self.put(' ');
        }
    }

    /// Goes to a column, on a new line unless only indentation stands on this one.
    fn indent(&mut self, indent: usize) {
        let passed = self.column > indent || (self.column == indent && !self.whitespace);
        if !self.indention || passed {
            self.line_end();
        }
        self.out
            .extend(std::iter::repeat_n(' ', indent.saturating_sub(self.column)));
        self.column = self.column.max(indent);
        self.whitespace = true;
        self.indention = true;
    }

    fn line_end(&mut self) {
        self.out.push('\n');
        self.column = 0;
        self.indention = true;
    }

    fn break_char(&mut self, c: char) {
        self.out.push(c);
        self.column = 0;
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn write(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }
}

/// Prints a float; the v2 print sees it after its way through JSON.
fn float(value: f64, flavor: Flavor) -> String {
    if flavor == Flavor::V3 {
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
