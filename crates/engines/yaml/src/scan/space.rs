//! What stands between tokens.

use super::cursor::is_blank;
use super::{Comment, Mark, Scanner, TokenKind};

/// How far go-yaml v3 looks for a comment, in bytes.
const COMMENT_BYTES: usize = 512;

impl Scanner<'_> {
    /// Steps over blanks, comments and line breaks; returns where the last token ended, a comment on
    /// its line included.
    pub(super) fn skip_to_token(&mut self) -> Mark {
        if self.ahead > 0 {
            self.line_comment();
        }
        let end = self.cursor.mark;
        loop {
            // A tab where a key may begin would be indentation.
            let tabs = self.in_flow() || !self.key_allowed;
            while self.cursor.byte() == b' ' || (tabs && self.cursor.byte() == b'\t') {
                self.cursor.skip(1);
            }
            if self.cursor.byte() == b'#' {
                self.comment();
                while self.ahead > 0 && self.skip_to_comment() {
                    self.comment();
                }
            }
            if !self.cursor.at_break() {
                return end;
            }
            self.cursor.take_break();
            if !self.in_flow() {
                self.key_allowed = true;
            }
        }
    }

    /// Takes a comment on the last token's line, as v3 does: with tabs before it wherever it stands.
    pub(super) fn line_comment(&mut self) {
        let Some(token) = self.queue.back() else {
            return;
        };
        // What follows these belongs to the next token.
        let is_leading = matches!(
            token.kind,
            TokenKind::BlockEntry
                | TokenKind::DocumentStart
                | TokenKind::DocumentEnd
                | TokenKind::Version(..)
                | TokenKind::TagDirective(_)
        );
        if is_leading || token.end.line() != self.cursor.mark.line() {
            return;
        }
        let rest = self.cursor.rest().as_bytes();
        let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
        if blanks < COMMENT_BYTES && rest.get(blanks) == Some(&b'#') {
            self.cursor.skip(blanks);
            self.comment();
        }
    }

    /// Goes on to the next comment if nothing but white space is before it, as v3 does after a
    /// comment: tabs at the start of those lines count as white space, too.
    pub(super) fn skip_to_comment(&mut self) -> bool {
        let rest = self.cursor.rest();
        let gap = rest
            .find(|c: char| !matches!(c, ' ' | '\t' | '\r' | '\n'))
            .unwrap_or(rest.len());
        if gap >= COMMENT_BYTES || !rest[gap..].starts_with('#') {
            return false;
        }
        let target = self.cursor.mark.offset + gap;
        while self.cursor.mark.offset < target {
            self.cursor.skip_blanks();
            self.cursor.take_break();
        }
        true
    }

    pub(super) fn comment(&mut self) {
        let start = self.cursor.mark;
        let text = self.cursor.skip_to_line_end();
        if let Some(comments) = &mut self.comments {
            comments.push(Comment { start, text });
        }
    }
}
