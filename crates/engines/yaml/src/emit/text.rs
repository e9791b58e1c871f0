//! Writes strings in their styles.

use super::Flavor;
use super::print::Printer;
use super::scalar::{is_break, is_printable, style};
use crate::node::Style;
use std::fmt::Write as _;

/// Text is broken at the first space past this column in the v2 print.
const WIDTH: usize = 80;

impl Printer<'_> {
    pub(super) fn string(&mut self, text: &str, indent: usize, is_simple_key: bool) {
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
}
