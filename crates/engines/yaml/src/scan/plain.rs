//! Plain scalars.

use super::cursor::{break_len, is_blank};
use super::{Outcome, Scanner, TokenKind};
use crate::node::Style;
use std::borrow::Cow;

/// The white space between two words, read as folding reads it.
#[derive(Debug, Default)]
pub(super) struct Gap<'a> {
    /// Blanks, as long as there is no line break.
    blanks: &'a str,
    first_break: &'static str,
    further_breaks: String,
    pub(super) has_break: bool,
}

impl<'a> Gap<'a> {
    /// Appends what the gap stands for.
    pub(super) fn join(&self, text: &mut String) {
        if !self.has_break {
            text.push_str(self.blanks);
            return;
        }
        match (self.first_break, self.further_breaks.as_str()) {
            ("\n", "") => text.push(' '),
            ("\n", breaks) => text.push_str(breaks),
            (first, breaks) => {
                text.push_str(first);
                text.push_str(breaks);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.has_break && self.blanks.is_empty()
    }

    /// Takes blanks; those after a line break are indentation.
    pub(super) fn add_blanks(&mut self, blanks: &'a str) {
        if !self.has_break {
            self.blanks = blanks;
        }
    }

    pub(super) fn add_break(&mut self, line_break: &'static str) {
        if self.has_break {
            self.further_breaks.push_str(line_break);
        } else {
            self.first_break = line_break;
            self.has_break = true;
        }
    }
}

impl<'a> Scanner<'a> {
    pub(super) fn plain(&mut self) -> Outcome {
        self.may_be_key()?;
        self.key_allowed = false;
        let start = self.cursor.mark;
        let mut end = start;
        let mut text = Cow::Borrowed("");
        let mut gap = Gap::default();
        loop {
            if self.cursor.at_document_marker() || self.cursor.byte() == b'#' {
                break;
            }
            let word = self.cursor.advance_to(self.plain_word_end());
            if !word.is_empty() {
                if text.is_empty() && gap.is_empty() {
                    text = Cow::Borrowed(word);
                } else {
                    let joined = text.to_mut();
                    gap.join(joined);
                    joined.push_str(word);
                }
                gap = Gap::default();
                end = self.cursor.mark;
            }
            if !is_blank(self.cursor.byte()) && !self.cursor.at_break() {
                break;
            }
            self.plain_gap(&mut gap, start)?;
            if !self.in_flow() && self.column() <= self.indent {
                break;
            }
        }
        if gap.has_break {
            self.key_allowed = true;
        }
        let kind = TokenKind::Scalar {
            text,
            style: Style::Plain,
        };
        self.queue.push_back(super::Token { kind, start, end });
        Ok(())
    }

    /// Returns where the run of characters ends that a plain scalar goes on with here.
    fn plain_word_end(&self) -> usize {
        let bytes = self.cursor.text.as_bytes();
        let in_flow = self.in_flow();
        let mut at = self.cursor.mark.offset;
        while let Some(byte) = bytes.get(at) {
            let ends = match byte {
                b' ' | b'\t' | b'\n' | b'\r' => true,
                b':' => self
                    .cursor
                    .is_space_or_end(at + 1 - self.cursor.mark.offset),
                b',' | b'?' | b'[' | b']' | b'{' | b'}' => in_flow,
                0xc2 | 0xe2 => break_len(bytes, at) > 0,
                _ => false,
            };
            if ends {
                break;
            }
            at += 1;
        }
        at
    }

    fn plain_gap(&mut self, gap: &mut Gap<'a>, start: super::Mark) -> Outcome {
        loop {
            let from = self.cursor.mark.offset;
            while is_blank(self.cursor.byte()) {
                let in_indent = gap.has_break && self.column() <= self.indent;
                if in_indent && self.cursor.byte() == b'\t' {
                    return self.fault("found a tab character that violates indentation", start);
                }
                self.cursor.skip(1);
            }
            gap.add_blanks(self.cursor.since(from));
            if !self.cursor.at_break() {
                return Ok(());
            }
            gap.add_break(self.cursor.take_break());
        }
    }
}
