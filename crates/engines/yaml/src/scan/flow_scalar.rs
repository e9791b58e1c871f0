//! Quoted scalars.

use super::cursor::{break_len, is_blank};
use super::plain::Gap;
use super::{Mark, Outcome, Scanner, TokenKind};
use crate::node::Style;
use std::borrow::Cow;

impl<'a> Scanner<'a> {
    pub(super) fn quoted(&mut self, style: Style) -> Outcome {
        self.may_be_key()?;
        self.key_allowed = false;
        let start = self.cursor.mark;
        let quote = if style == Style::SingleQuoted {
            b'\''
        } else {
            b'"'
        };
        self.cursor.skip(1);
        let mut text = Cow::Borrowed("");
        loop {
            if self.cursor.at_document_marker() {
                return self.fault("found unexpected document indicator", start);
            }
            if self.cursor.at_end() {
                return self.fault("found unexpected end of stream", start);
            }
            let mut gap = Gap::default();
            self.quoted_words(quote, &mut text, &mut gap, start)?;
            if self.cursor.byte() == quote {
                break;
            }
            self.quoted_gap(&mut gap);
            if !gap.is_empty() {
                gap.join(text.to_mut());
            }
        }
        self.cursor.skip(1);
        self.push(TokenKind::Scalar { text, style }, start);
        Ok(())
    }

    /// Reads up to the closing quote, white space, or a line break an escape takes away.
    fn quoted_words(
        &mut self,
        quote: u8,
        text: &mut Cow<'a, str>,
        gap: &mut Gap<'a>,
        start: Mark,
    ) -> Outcome {
        loop {
            let word = self.cursor.advance_to(self.quoted_word_end(quote));
            if text.is_empty() {
                *text = Cow::Borrowed(word);
            } else if !word.is_empty() {
                text.to_mut().push_str(word);
            }
            match self.cursor.byte() {
                b'\'' if quote == b'\'' && self.cursor.peek(1) == b'\'' => {
                    self.cursor.skip(2);
                    text.to_mut().push('\'');
                }
                b'\\' if quote == b'"' && self.break_follows() => {
                    self.cursor.skip(1);
                    self.cursor.take_break();
                    gap.add_break("");
                    return Ok(());
                }
                b'\\' if quote == b'"' => {
                    let character = self.escape(start)?;
                    text.to_mut().push(character);
                }
                _ => return Ok(()),
            }
        }
    }

    fn break_follows(&self) -> bool {
        break_len(self.cursor.text.as_bytes(), self.cursor.mark.offset + 1) > 0
    }

    fn quoted_word_end(&self, quote: u8) -> usize {
        let bytes = self.cursor.text.as_bytes();
        let mut at = self.cursor.mark.offset;
        while let Some(&byte) = bytes.get(at) {
            let ends = match byte {
                b' ' | b'\t' | b'\n' | b'\r' => true,
                b'\\' => quote == b'"',
                0xc2 | 0xe2 => break_len(bytes, at) > 0,
                other => other == quote,
            };
            if ends {
                break;
            }
            at += 1;
        }
        at
    }

    fn quoted_gap(&mut self, gap: &mut Gap<'a>) {
        loop {
            let from = self.cursor.mark.offset;
            while is_blank(self.cursor.byte()) {
                self.cursor.skip(1);
            }
            gap.add_blanks(self.cursor.since(from));
            if !self.cursor.at_break() {
                return;
            }
            gap.add_break(self.cursor.take_break());
        }
    }

    fn escape(&mut self, start: Mark) -> Outcome<char> {
        let digits = match self.cursor.peek(1) {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            other => {
                let Some(character) = short_escape(other) else {
                    return self.fault("found unknown escape character", start);
                };
                self.cursor.skip(2);
                return Ok(character);
            }
        };
        self.cursor.skip(2);
        let mut code = 0u32;
        for ahead in 0..digits {
            let Some(digit) = char::from(self.cursor.peek(ahead)).to_digit(16) else {
                return self.fault("did not find expected hexdecimal number", start);
            };
            code = code << 4 | digit;
        }
        let Some(character) = char::from_u32(code) else {
            return self.fault("found invalid Unicode character escape code", start);
        };
        self.cursor.skip(digits);
        Ok(character)
    }
}

fn short_escape(letter: u8) -> Option<char> {
    Some(match letter {
        b'0' => '\0',
        b'a' => '\u{7}',
        b'b' => '\u{8}',
        b't' | b'\t' => '\t',
        b'n' => '\n',
        b'v' => '\u{b}',
        b'f' => '\u{c}',
        b'r' => '\r',
        b'e' => '\u{1b}',
        b' ' => ' ',
        b'"' => '"',
        b'\'' => '\'',
        b'\\' => '\\',
        b'N' => '\u{85}',
        b'_' => '\u{a0}',
        b'L' => '\u{2028}',
        b'P' => '\u{2029}',
        _ => return None,
    })
}
