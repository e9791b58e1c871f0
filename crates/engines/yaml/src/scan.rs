//! Splits a text into tokens as libyaml does.
//!
//! Indentation becomes block start and end tokens. A key shows only at the `:` that follows it, so
//! tokens wait in a queue until nothing can be put before them any more.

mod block_scalar;
mod cursor;
mod flow_scalar;
mod keys;
mod plain;
mod property;
mod space;

pub(crate) use cursor::Mark;

use crate::node::Style;
use cursor::Cursor;
use keys::Slot;
use std::borrow::Cow;
use std::collections::VecDeque;

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind<'a> {
    Version(u32, u32),
    TagDirective(Box<TagPart<'a>>),
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(&'a str),
    Anchor(&'a str),
    Tag(Box<TagPart<'a>>),
    Scalar { text: Cow<'a, str>, style: Style },
    StreamEnd,
}

/// A handle, and the suffix or prefix that stands after it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TagPart<'a> {
    pub(crate) handle: &'a str,
    pub(crate) rest: String,
}

/// A token with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind<'a>,
    pub(crate) start: Mark,
    pub(crate) end: Mark,
}

/// A rule of the syntax the text breaks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    pub(crate) message: &'static str,
    /// Where the construct begins that is broken.
    pub(crate) context: Option<Mark>,
    pub(crate) problem: Mark,
    /// Found while making tokens; Go counts the lines of these differently.
    pub(crate) in_scanner: bool,
}

/// A comment, from its `#` to the end of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Comment<'a> {
    pub(crate) start: Mark,
    pub(crate) text: &'a str,
}

/// Makes tokens of a text.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    cursor: Cursor<'a>,
    queue: VecDeque<Token<'a>>,
    /// How many tokens have left the queue.
    taken: usize,
    /// How many tokens are made ahead; go-yaml v3 looks further than v2 does, for comments.
    ahead: usize,
    ended: bool,
    /// The head of the queue is known to be the next token.
    is_filled: bool,
    /// Column of the current block collection, -1 outside of all.
    indent: isize,
    indents: Vec<isize>,
    key_allowed: bool,
    /// One slot for block context and one for each open flow collection.
    keys: Vec<Slot>,
    /// Token numbers and slots of possible keys, oldest first; those no longer possible linger.
    key_slots: VecDeque<(usize, usize)>,
    comments: Option<Vec<Comment<'a>>>,
}

/// A fault is rare and large, and every token passes by here.
type Outcome<T = ()> = Result<T, Box<Fault>>;

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str, ahead: usize) -> Self {
        Self {
            cursor: Cursor::new(text),
            queue: VecDeque::new(),
            taken: 0,
            ahead,
            ended: false,
            is_filled: false,
            indent: -1,
            indents: Vec::new(),
            key_allowed: true,
            keys: vec![Slot::default()],
            key_slots: VecDeque::new(),
            comments: None,
        }
    }

    /// Makes the scanner keep comments for [`Self::take_comments`].
    pub(crate) fn keep_comments(&mut self) {
        self.comments = Some(Vec::new());
    }

    /// Returns the comments passed so far.
    pub(crate) fn take_comments(&mut self) -> Vec<Comment<'a>> {
        self.comments
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Returns how far the text has been read.
    pub(crate) fn offset(&self) -> usize {
        self.cursor.mark.offset
    }

    /// Returns the line and column of an offset.
    pub(crate) fn mark_of(&self, offset: usize) -> Mark {
        let mut cursor = Cursor::new(self.cursor.text);
        while cursor.line_end() < offset {
            cursor.skip_to_line_end();
            cursor.take_break();
        }
        cursor.advance_to(offset);
        cursor.mark
    }

    /// Returns the next token and leaves it; after the end of the stream the end again.
    pub(crate) fn peek(&mut self) -> Outcome<&Token<'a>> {
        if !self.is_filled {
            self.fill()?;
            self.is_filled = true;
        }
        if self.queue.is_empty() {
            let end = self.cursor.mark;
            self.queue.push_back(Token {
                kind: TokenKind::StreamEnd,
                start: end,
                end,
            });
        }
        Ok(&self.queue[0])
    }

    /// Takes the token [`Self::peek`] showed.
    pub(crate) fn take(&mut self) -> Option<Token<'a>> {
        let token = self.queue.pop_front()?;
        self.is_filled = false;
        self.taken += 1;
        Some(token)
    }

    fn fill(&mut self) -> Outcome {
        loop {
            let is_enough = self.ended || self.queue.len() > self.ahead;
            if (is_enough && !self.head_may_follow_key()?) || self.ended {
                return Ok(());
            }
            self.fetch()?;
        }
    }

    fn fault<T>(&self, message: &'static str, context: Mark) -> Outcome<T> {
        let problem = self.cursor.mark;
        Err(Box::new(Fault {
            message,
            context: Some(context),
            problem,
            in_scanner: true,
        }))
    }

    fn in_flow(&self) -> bool {
        self.keys.len() > 1
    }

    /// Appends the next token or tokens.
    fn fetch(&mut self) -> Outcome {
        let before = self.skip_to_token();
        // Go's v3 ends blocks where the last token ended, v2 where the next one begins.
        let end = if self.ahead > 0 {
            before
        } else {
            self.cursor.mark
        };
        self.close_blocks(self.column(), end);
        let cursor = &self.cursor;
        if cursor.at_end() {
            return self.stream_end();
        }
        if cursor.mark.column() == 0 && cursor.byte() == b'%' {
            self.leave_blocks()?;
            return self.directive();
        }
        if cursor.at_document_marker() {
            return self.document_marker();
        }
        let loose = self.in_flow() || cursor.is_space_or_end(1);
        match cursor.byte() {
            b'[' => self.open_flow(TokenKind::FlowSequenceStart),
            b'{' => self.open_flow(TokenKind::FlowMappingStart),
            b']' => self.close_flow(TokenKind::FlowSequenceEnd),
            b'}' => self.close_flow(TokenKind::FlowMappingEnd),
            b',' => self.flow_entry(),
            b'-' if cursor.is_space_or_end(1) => self.block_entry(),
            b'?' if loose => self.explicit_key(),
            b':' if loose => self.value(),
            b'*' | b'&' => self.anchor(),
            b'!' => self.tag(),
            b'|' if !self.in_flow() => self.block_scalar(Style::Literal),
            b'>' if !self.in_flow() => self.block_scalar(Style::Folded),
            b'\'' => self.quoted(Style::SingleQuoted),
            b'"' => self.quoted(Style::DoubleQuoted),
            b'|' | b'>' | b'%' | b'@' | b'`' | b'\t' => {
                self.fault("found character that cannot start any token", cursor.mark)
            }
            _ => self.plain(),
        }
    }

    fn column(&self) -> isize {
        isize::try_from(self.cursor.mark.column()).unwrap_or(isize::MAX)
    }

    /// Appends a token of `length` ASCII characters that stands here.
    fn push_mark(&mut self, kind: TokenKind<'a>, length: usize) {
        let start = self.cursor.mark;
        self.cursor.skip(length);
        self.push(kind, start);
    }

    /// Appends a token that ends here.
    fn push(&mut self, kind: TokenKind<'a>, start: Mark) {
        self.queue.push_back(Token {
            kind,
            start,
            end: self.cursor.mark,
        });
    }

    /// Opens a block collection at a column unless one is open there; `before` is the number of the
    /// token it comes before.
    fn open_block(
        &mut self,
        column: usize,
        kind: TokenKind<'a>,
        mark: Mark,
        before: Option<usize>,
    ) {
        let column = isize::try_from(column).unwrap_or(isize::MAX);
        if self.in_flow() || self.indent >= column {
            return;
        }
        self.indents.push(self.indent);
        self.indent = column;
        self.insert(
            Token {
                kind,
                start: mark,
                end: mark,
            },
            before,
        );
    }

    fn insert(&mut self, token: Token<'a>, before: Option<usize>) {
        match before {
            Some(number) if number >= self.taken => {
                self.queue.insert(number - self.taken, token);
            }
            _ => self.queue.push_back(token),
        }
    }

    /// Closes the block collections that a token at this column no longer belongs to.
    fn close_blocks(&mut self, column: isize, end: Mark) {
        if self.in_flow() {
            return;
        }
        while self.indent > column {
            self.queue.push_back(Token {
                kind: TokenKind::BlockEnd,
                start: end,
                end,
            });
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    /// Ends all block collections, as a document marker or directive does.
    fn leave_blocks(&mut self) -> Outcome {
        self.close_blocks(-1, self.cursor.mark);
        self.forget_key()?;
        self.key_allowed = false;
        Ok(())
    }

    fn stream_end(&mut self) -> Outcome {
        let mark = &mut self.cursor.mark;
        // The end counts as a new line, whether or not the last one is complete.
        if mark.column() != 0 {
            mark.next_line(0);
        }
        self.leave_blocks()?;
        self.ended = true;
        self.push(TokenKind::StreamEnd, self.cursor.mark);
        Ok(())
    }

    fn document_marker(&mut self) -> Outcome {
        self.leave_blocks()?;
        let is_start = self.cursor.byte() == b'-';
        self.push_mark(
            if is_start {
                TokenKind::DocumentStart
            } else {
                TokenKind::DocumentEnd
            },
            3,
        );
        Ok(())
    }

    fn open_flow(&mut self, kind: TokenKind<'a>) -> Outcome {
        self.may_be_key()?;
        let token = self.taken + self.queue.len();
        self.keys.push(Slot { key: None, token });
        self.key_allowed = true;
        self.push_mark(kind, 1);
        Ok(())
    }

    fn close_flow(&mut self, kind: TokenKind<'a>) -> Outcome {
        self.forget_key()?;
        if self.in_flow()
            && let Some(closed) = self.keys.pop()
            && let Some(key) = self.keys.last_mut().and_then(|slot| slot.key.as_mut())
            && key.token == closed.token
        {
            // libyaml's Go descendants lose sight of an empty collection as a possible key.
            key.held = false;
        }
        self.key_allowed = false;
        self.push_mark(kind, 1);
        Ok(())
    }

    fn flow_entry(&mut self) -> Outcome {
        self.forget_key()?;
        self.key_allowed = true;
        self.push_mark(TokenKind::FlowEntry, 1);
        Ok(())
    }

    fn block_entry(&mut self) -> Outcome {
        let mark = self.cursor.mark;
        if !self.in_flow() {
            if !self.key_allowed {
                return self.fault(
                    "block sequence entries are not allowed in this context",
                    mark,
                );
            }
            self.open_block(mark.column(), TokenKind::BlockSequenceStart, mark, None);
        }
        self.forget_key()?;
        self.key_allowed = true;
        self.push_mark(TokenKind::BlockEntry, 1);
        Ok(())
    }

    fn explicit_key(&mut self) -> Outcome {
        let mark = self.cursor.mark;
        if !self.in_flow() {
            if !self.key_allowed {
                return self.fault("mapping keys are not allowed in this context", mark);
            }
            self.open_block(mark.column(), TokenKind::BlockMappingStart, mark, None);
        }
        self.forget_key()?;
        self.key_allowed = !self.in_flow();
        self.push_mark(TokenKind::Key, 1);
        Ok(())
    }

    fn value(&mut self) -> Outcome {
        let slot = self.keys.len() - 1;
        let mut key = self.keys[slot].key;
        if let Some(possible) = key
            && !self.is_valid(slot, possible)?
        {
            key = None;
        }
        let mark = self.cursor.mark;
        if let Some(key) = key {
            self.keys[slot].key = None;
            let token = Token {
                kind: TokenKind::Key,
                start: key.mark,
                end: key.mark,
            };
            self.insert(token, Some(key.token));
            let (column, start) = (key.mark.column(), TokenKind::BlockMappingStart);
            self.open_block(column, start, key.mark, Some(key.token));
            self.key_allowed = false;
        } else {
            if !self.in_flow() {
                if !self.key_allowed {
                    return self.fault("mapping values are not allowed in this context", mark);
                }
                self.open_block(mark.column(), TokenKind::BlockMappingStart, mark, None);
            }
            self.key_allowed = !self.in_flow();
        }
        self.push_mark(TokenKind::Value, 1);
        Ok(())
    }
}
