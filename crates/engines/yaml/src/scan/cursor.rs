//! A place in a text that knows its line and column.

/// A place in the text; all counts from 0. Tokens and steps are full of them: they are kept small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    /// In bytes.
    pub(crate) offset: usize,
    line: u32,
    /// In characters.
    column: u32,
}

impl Mark {
    pub(crate) fn line(self) -> usize {
        self.line as usize
    }

    /// Counts characters.
    pub(crate) fn column(self) -> usize {
        self.column as usize
    }

    /// Goes on by characters of one line.
    fn advance(&mut self, bytes: usize, characters: usize) {
        self.offset += bytes;
        let characters = u32::try_from(characters).unwrap_or(u32::MAX);
        self.column = self.column.saturating_add(characters);
    }

    /// Goes on to the start of the next line.
    pub(super) fn next_line(&mut self, bytes: usize) {
        self.offset += bytes;
        self.line = self.line.saturating_add(1);
        self.column = 0;
    }
}

/// Walks a text. Reading past the end yields zero bytes, which no checked text contains.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    pub(super) text: &'a str,
    pub(super) mark: Mark,
}

/// Returns how many bytes the line break at `at` has; 0 when there is none.
///
/// YAML 1.1 counts CR, LF, CRLF, NEL, LS and PS as breaks.
pub(super) fn break_len(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'\r') if bytes.get(at + 1) == Some(&b'\n') => 2,
        Some(b'\n' | b'\r') => 1,
        Some(0xc2) if bytes.get(at + 1) == Some(&0x85) => 2,
        Some(0xe2) if matches!(bytes.get(at + 1..at + 3), Some([0x80, 0xa8 | 0xa9])) => 3,
        _ => 0,
    }
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Tells whether a byte is one of an anchor's, a directive's or a tag handle's.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            mark: Mark::default(),
        }
    }

    /// Returns the byte `ahead` of the place.
    pub(super) fn peek(&self, ahead: usize) -> u8 {
        self.text
            .as_bytes()
            .get(self.mark.offset + ahead)
            .copied()
            .unwrap_or(0)
    }

    pub(super) fn byte(&self) -> u8 {
        self.peek(0)
    }

    pub(super) fn at_end(&self) -> bool {
        self.mark.offset >= self.text.len()
    }

    /// Returns the text from here on.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.mark.offset..).unwrap_or_default()
    }

    /// Returns the text from an offset up to here.
    pub(super) fn since(&self, offset: usize) -> &'a str {
        self.text.get(offset..self.mark.offset).unwrap_or_default()
    }

    pub(super) fn at_break(&self) -> bool {
        break_len(self.text.as_bytes(), self.mark.offset) > 0
    }

    /// Tells whether the byte `ahead` is a blank, begins a line break or lies past the end.
    pub(super) fn is_space_or_end(&self, ahead: usize) -> bool {
        let at = self.mark.offset + ahead;
        at >= self.text.len()
            || is_blank(self.peek(ahead))
            || break_len(self.text.as_bytes(), at) > 0
    }

    /// Tells whether `---` or `...` stands here at the start of a line, on its own.
    pub(super) fn at_document_marker(&self) -> bool {
        self.mark.column == 0
            && (self.rest().starts_with("---") || self.rest().starts_with("..."))
            && self.is_space_or_end(3)
    }

    /// Steps over ASCII characters that are no line breaks.
    pub(super) fn skip(&mut self, count: usize) {
        self.mark.advance(count, count);
    }

    /// Steps to a byte offset on this line and returns what lies between.
    pub(super) fn advance_to(&mut self, offset: usize) -> &'a str {
        let passed = self.text.get(self.mark.offset..offset).unwrap_or_default();
        let chars = if passed.is_ascii() {
            passed.len()
        } else {
            passed.chars().count()
        };
        self.mark.advance(passed.len(), chars);
        passed
    }

    /// Returns the offset where this line ends.
    pub(super) fn line_end(&self) -> usize {
        let bytes = self.text.as_bytes();
        let mut at = self.mark.offset;
        while at < bytes.len() {
            if matches!(bytes[at], b'\n' | b'\r' | 0xc2 | 0xe2) && break_len(bytes, at) > 0 {
                break;
            }
            at += 1;
        }
        at
    }

    pub(super) fn skip_to_line_end(&mut self) -> &'a str {
        self.advance_to(self.line_end())
    }

    pub(super) fn skip_blanks(&mut self) {
        while is_blank(self.byte()) {
            self.skip(1);
        }
    }

    /// Steps over a line break and returns what it reads as: LS and PS stay, all others are a
    /// newline; nothing where there is no break.
    pub(super) fn take_break(&mut self) -> &'static str {
        let bytes = self.text.as_bytes();
        let at = self.mark.offset;
        let length = break_len(bytes, at);
        if length == 0 {
            return "";
        }
        self.mark.next_line(length);
        match bytes.get(at + 2) {
            Some(0xa8) if length == 3 => "\u{2028}",
            Some(_) if length == 3 => "\u{2029}",
            _ => "\n",
        }
    }
}
