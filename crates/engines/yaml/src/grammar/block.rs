//! Block sequences and mappings.

use super::{Grammar, Outcome, State, Step, step};
use crate::event::Event;
use crate::scan::TokenKind;

impl<'a> Grammar<'a> {
    pub(super) fn block_entry(&mut self) -> Outcome<Step<'a>> {
        match self.kind()? {
            TokenKind::BlockEntry => {
                let at = self.take()?.end;
                let is_end = |kind: &_| matches!(kind, TokenKind::BlockEntry | TokenKind::BlockEnd);
                self.optional_node(State::BlockEntry, is_end, true, false, at)
            }
            TokenKind::BlockEnd => self.close(),
            _ => {
                let context = self.marks.last().copied();
                self.fault("did not find expected '-' indicator", context)
            }
        }
    }

    pub(super) fn indentless_entry(&mut self) -> Outcome<Step<'a>> {
        if *self.kind()? != TokenKind::BlockEntry {
            self.state = self.pop();
            let at = self.scanner.peek()?.start;
            return Ok(step(Event::CollectionEnd, at, at));
        }
        let at = self.take()?.end;
        let is_end = |kind: &_| {
            let ends_pair = matches!(kind, TokenKind::Key | TokenKind::Value);
            ends_pair || matches!(kind, TokenKind::BlockEntry | TokenKind::BlockEnd)
        };
        self.optional_node(State::IndentlessEntry, is_end, true, false, at)
    }

    pub(super) fn block_key(&mut self) -> Outcome<Step<'a>> {
        match self.kind()? {
            TokenKind::Key => {
                let at = self.take()?.end;
                self.optional_node(State::BlockValue, ends_block_pair, true, true, at)
            }
            TokenKind::BlockEnd => self.close(),
            _ => {
                let context = self.marks.last().copied();
                self.fault("did not find expected key", context)
            }
        }
    }

    pub(super) fn block_value(&mut self) -> Outcome<Step<'a>> {
        if *self.kind()? != TokenKind::Value {
            self.state = State::BlockKey;
            return self.empty_here();
        }
        let at = self.take()?.end;
        self.optional_node(State::BlockKey, ends_block_pair, true, true, at)
    }
}

fn ends_block_pair(kind: &TokenKind<'_>) -> bool {
    matches!(
        kind,
        TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd
    )
}
