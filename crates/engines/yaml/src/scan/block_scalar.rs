//! Literal and folded scalars.

use super::cursor::is_blank;
use super::{Mark, Outcome, Scanner, Token, TokenKind};
use crate::node::Style;
use std::borrow::Cow;

/// What happens to line breaks at the end.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Chomp {
    Strip,
    Clip,
    Keep,
}

impl Scanner<'_> {
    pub(super) fn block_scalar(&mut self, style: Style) -> Outcome {
        self.forget_key()?;
        self.key_allowed = true;
        let start = self.cursor.mark;
        self.cursor.skip(1);
        let (chomp, increment) = self.block_header(start)?;
        let least = self.indent.max(0).unsigned_abs();
        let mut indent = increment.map(|increment| least + increment);
        let mut end = self.cursor.mark;
        let mut breaks = String::new();
        self.block_breaks(&mut indent, &mut breaks, &mut end, start)?;
        let indent = indent.unwrap_or(1);
        let mut text = String::new();
        let mut line_break = "";
        let mut after_blank = false;
        while self.cursor.mark.column() == indent && !self.cursor.at_end() {
            let blank = is_blank(self.cursor.byte());
            let folds = style == Style::Folded && line_break == "\n" && !after_blank && !blank;
            if !folds {
                text.push_str(line_break);
            } else if breaks.is_empty() {
                text.push(' ');
            }
            text.push_str(&breaks);
            breaks.clear();
            after_blank = blank;
            text.push_str(self.cursor.skip_to_line_end());
            end = self.cursor.mark;
            line_break = self.cursor.take_break();
            self.block_breaks(&mut Some(indent), &mut breaks, &mut end, start)?;
        }
        if chomp != Chomp::Strip {
            text.push_str(line_break);
        }
        if chomp == Chomp::Keep {
            text.push_str(&breaks);
        }
        let kind = TokenKind::Scalar {
            text: Cow::Owned(text),
            style,
        };
        self.queue.push_back(Token { kind, start, end });
        Ok(())
    }

    /// Reads what follows `|` or `>` on its line: chomping and indentation in either order.
    fn block_header(&mut self, start: Mark) -> Outcome<(Chomp, Option<usize>)> {
        let mut chomp = self.chomp_indicator();
        let increment = match self.cursor.byte() {
            b'0' => return self.fault("found an indentation indicator equal to 0", start),
            digit @ b'1'..=b'9' => {
                self.cursor.skip(1);
                if chomp.is_none() {
                    chomp = self.chomp_indicator();
                }
                Some(usize::from(digit - b'0'))
            }
            _ => None,
        };
        self.cursor.skip_blanks();
        if self.cursor.byte() == b'#' {
            self.comment();
        }
        if !self.cursor.at_end() && !self.cursor.at_break() {
            return self.fault("did not find expected comment or line break", start);
        }
        self.cursor.take_break();
        Ok((chomp.unwrap_or(Chomp::Clip), increment))
    }

    fn chomp_indicator(&mut self) -> Option<Chomp> {
        let chomp = match self.cursor.byte() {
            b'+' => Chomp::Keep,
            b'-' => Chomp::Strip,
            _ => return None,
        };
        self.cursor.skip(1);
        Some(chomp)
    }

    /// Reads indentation and empty lines; finds the indentation where it is not known.
    fn block_breaks(
        &mut self,
        indent: &mut Option<usize>,
        breaks: &mut String,
        end: &mut Mark,
        start: Mark,
    ) -> Outcome {
        *end = self.cursor.mark;
        let mut widest = 0;
        loop {
            while self.cursor.byte() == b' ' && indent.is_none_or(|i| self.cursor.mark.column() < i)
            {
                self.cursor.skip(1);
            }
            let column = self.cursor.mark.column();
            widest = widest.max(column);
            if self.cursor.byte() == b'\t' && indent.is_none_or(|indent| column < indent) {
                let message = "found a tab character where an indentation space is expected";
                return self.fault(message, start);
            }
            if !self.cursor.at_break() {
                break;
            }
            breaks.push_str(self.cursor.take_break());
            *end = self.cursor.mark;
        }
        if indent.is_none() {
            let least = usize::try_from(self.indent + 1).unwrap_or(0).max(1);
            *indent = Some(widest.max(least));
        }
        Ok(())
    }
}
