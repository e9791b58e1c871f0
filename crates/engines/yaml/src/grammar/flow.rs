//! Flow sequences and mappings.

use super::{Grammar, Outcome, State, Step, empty, step};
use crate::event::{Event, Properties};
use crate::node::Style;
use crate::scan::{Token, TokenKind};

impl<'a> Grammar<'a> {
    pub(super) fn flow_entry(&mut self, is_first: bool) -> Outcome<Step<'a>> {
        if *self.kind()? == TokenKind::FlowSequenceEnd {
            return self.close();
        }
        if !is_first {
            if *self.kind()? != TokenKind::FlowEntry {
                let context = self.marks.last().copied();
                return self.fault("did not find expected ',' or ']'", context);
            }
            self.take()?;
        }
        match self.kind()? {
            TokenKind::Key => {
                let Token { start, end, .. } = self.take()?;
                self.state = State::PairKey;
                let properties = Properties::default();
                Ok(step(
                    Event::MappingStart {
                        style: Style::Flow,
                        properties,
                    },
                    start,
                    end,
                ))
            }
            TokenKind::FlowSequenceEnd => self.close(),
            _ => {
                self.states.push(State::FlowEntry { is_first: false });
                self.node(false, false)
            }
        }
    }

    pub(super) fn pair_key(&mut self) -> Outcome<Step<'a>> {
        let token = self.scanner.peek()?;
        let at = token.end;
        let is_missing = matches!(
            token.kind,
            TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowSequenceEnd
        );
        if is_missing {
            // libyaml drops the token that shows the key is missing; so must we.
            self.take()?;
            self.state = State::PairValue;
            return Ok(empty(at, Properties::default(), at));
        }
        self.states.push(State::PairValue);
        self.node(false, false)
    }

    pub(super) fn pair_value(&mut self) -> Outcome<Step<'a>> {
        if *self.kind()? == TokenKind::Value {
            self.take()?;
            if !matches!(
                self.kind()?,
                TokenKind::FlowEntry | TokenKind::FlowSequenceEnd
            ) {
                self.states.push(State::PairEnd);
                return self.node(false, false);
            }
        }
        self.state = State::PairEnd;
        self.empty_here()
    }

    pub(super) fn flow_key(&mut self, is_first: bool) -> Outcome<Step<'a>> {
        if *self.kind()? == TokenKind::FlowMappingEnd {
            return self.close();
        }
        if !is_first {
            if *self.kind()? != TokenKind::FlowEntry {
                let context = self.marks.last().copied();
                return self.fault("did not find expected ',' or '}'", context);
            }
            self.take()?;
        }
        match self.kind()? {
            TokenKind::Key => {
                self.take()?;
                let at = self.scanner.peek()?.start;
                let is_end = |kind: &_| ends_flow_pair(kind) || *kind == TokenKind::Value;
                self.optional_node(State::FlowValue, is_end, false, false, at)
            }
            TokenKind::FlowMappingEnd => self.close(),
            _ => {
                self.states.push(State::FlowMissingValue);
                self.node(false, false)
            }
        }
    }

    pub(super) fn flow_value(&mut self) -> Outcome<Step<'a>> {
        if *self.kind()? != TokenKind::Value {
            self.state = State::FlowKey { is_first: false };
            return self.empty_here();
        }
        self.take()?;
        let at = self.scanner.peek()?.start;
        self.optional_node(
            State::FlowKey { is_first: false },
            ends_flow_pair,
            false,
            false,
            at,
        )
    }
}

fn ends_flow_pair(kind: &TokenKind<'_>) -> bool {
    matches!(kind, TokenKind::FlowEntry | TokenKind::FlowMappingEnd)
}
