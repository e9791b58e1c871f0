//! Makes events of tokens: the grammar of libyaml, with explicit states in place of recursion.

mod block;
mod flow;

use crate::event::{Event, Properties};
use crate::node::Style;
use crate::scan::{Comment, Fault, Mark, Scanner, Token, TokenKind};
use std::borrow::Cow;
use std::collections::HashMap;

/// The namespace `!!` stands for.
const NAMESPACE: &str = "tag:yaml.org,2002:";

/// What is expected next.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// A document, or the end; the first one needs no marker.
    Document {
        is_first: bool,
    },
    DocumentContent,
    DocumentEnd,
    BlockNode,
    BlockEntry,
    IndentlessEntry,
    BlockKey,
    BlockValue,
    FlowEntry {
        is_first: bool,
    },
    /// `[key: value]`, a mapping of one pair without braces.
    PairKey,
    PairValue,
    PairEnd,
    FlowKey {
        is_first: bool,
    },
    FlowValue,
    FlowMissingValue,
    End,
}

/// An event with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step<'a> {
    pub(crate) event: Event<'a>,
    /// Where the node begins, its anchor and tag included.
    pub(crate) start: Mark,
    /// Where its content begins.
    pub(crate) content: Mark,
    pub(crate) end: Mark,
}

/// Makes events of a text.
#[derive(Debug)]
pub(crate) struct Grammar<'a> {
    scanner: Scanner<'a>,
    state: State,
    /// What follows once the current node is complete.
    states: Vec<State>,
    /// Where the open block collections begin.
    marks: Vec<Mark>,
    tags: HashMap<&'a str, String>,
}

type Outcome<T> = Result<T, Box<Fault>>;

impl<'a> Grammar<'a> {
    pub(crate) fn new(scanner: Scanner<'a>) -> Self {
        Self {
            scanner,
            state: State::Document { is_first: true },
            states: Vec::new(),
            marks: Vec::new(),
            tags: HashMap::new(),
        }
    }

    /// Returns the comments passed so far, if the scanner keeps them.
    pub(crate) fn take_comments(&mut self) -> Vec<Comment<'a>> {
        self.scanner.take_comments()
    }

    /// Returns how far the text has been read.
    pub(crate) fn offset(&self) -> usize {
        self.scanner.offset()
    }

    /// Returns the line and column of an offset.
    pub(crate) fn mark_of(&self, offset: usize) -> Mark {
        self.scanner.mark_of(offset)
    }

    /// Returns the next event, or `None` at the end of the stream.
    pub(crate) fn next(&mut self) -> Outcome<Option<Step<'a>>> {
        match self.state {
            State::End => Ok(None),
            State::Document { is_first } => self.document(is_first),
            State::DocumentContent => self.document_content().map(Some),
            State::DocumentEnd => self.document_end().map(Some),
            State::BlockNode => self.node(true, false).map(Some),
            State::BlockEntry => self.block_entry().map(Some),
            State::IndentlessEntry => self.indentless_entry().map(Some),
            State::BlockKey => self.block_key().map(Some),
            State::BlockValue => self.block_value().map(Some),
            State::FlowEntry { is_first } => self.flow_entry(is_first).map(Some),
            State::PairKey => self.pair_key().map(Some),
            State::PairValue => self.pair_value().map(Some),
            State::PairEnd => {
                self.state = State::FlowEntry { is_first: false };
                let at = self.scanner.peek()?.start;
                Ok(Some(step(Event::CollectionEnd, at, at)))
            }
            State::FlowKey { is_first } => self.flow_key(is_first).map(Some),
            State::FlowValue => self.flow_value().map(Some),
            State::FlowMissingValue => {
                self.state = State::FlowKey { is_first: false };
                self.empty_here().map(Some)
            }
        }
    }

    fn kind(&mut self) -> Outcome<&TokenKind<'a>> {
        self.scanner.peek().map(|token| &token.kind)
    }

    /// Takes the next token, which was peeked at.
    fn take(&mut self) -> Outcome<Token<'a>> {
        let at = self.scanner.peek()?.start;
        Ok(self.scanner.take().unwrap_or(Token {
            kind: TokenKind::StreamEnd,
            start: at,
            end: at,
        }))
    }

    fn pop(&mut self) -> State {
        self.states.pop().unwrap_or(State::End)
    }

    fn fault<T>(&mut self, message: &'static str, context: Option<Mark>) -> Outcome<T> {
        let problem = self.scanner.peek()?.start;
        Err(Box::new(Fault {
            message,
            context,
            problem,
            in_scanner: false,
        }))
    }

    /// Returns the empty scalar that stands where a node is left out, before the next token.
    fn empty_here(&mut self) -> Outcome<Step<'a>> {
        let at = self.scanner.peek()?.start;
        Ok(empty(at, Properties::default(), at))
    }

    fn document(&mut self, is_first: bool) -> Outcome<Option<Step<'a>>> {
        if !is_first {
            while *self.kind()? == TokenKind::DocumentEnd {
                self.take()?;
            }
        }
        let starts_bare = is_first
            && !matches!(
                self.kind()?,
                TokenKind::Version(..)
                    | TokenKind::TagDirective(_)
                    | TokenKind::DocumentStart
                    | TokenKind::StreamEnd
            );
        let start = self.scanner.peek()?.start;
        if starts_bare {
            self.states.push(State::DocumentEnd);
            self.state = State::BlockNode;
            return Ok(Some(step(Event::DocumentStart, start, start)));
        }
        if *self.kind()? == TokenKind::StreamEnd {
            self.state = State::End;
            return Ok(None);
        }
        self.directives()?;
        if *self.kind()? != TokenKind::DocumentStart {
            return self.fault("did not find expected <document start>", None);
        }
        let token = self.take()?;
        self.states.push(State::DocumentEnd);
        self.state = State::DocumentContent;
        Ok(Some(step(Event::DocumentStart, start, token.end)))
    }

    fn directives(&mut self) -> Outcome<()> {
        let mut has_version = false;
        self.tags.clear();
        loop {
            match self.kind()? {
                TokenKind::Version(..) if has_version => {
                    return self.fault("found duplicate %YAML directive", None);
                }
                TokenKind::Version(1, 1) => has_version = true,
                TokenKind::Version(..) => {
                    return self.fault("found incompatible YAML document", None);
                }
                TokenKind::TagDirective(part) => {
                    let (handle, prefix) = (part.handle, part.rest.clone());
                    if self.tags.contains_key(handle) {
                        return self.fault("found duplicate %TAG directive", None);
                    }
                    self.tags.insert(handle, prefix);
                }
                _ => return Ok(()),
            }
            self.take()?;
        }
    }

    fn document_content(&mut self) -> Outcome<Step<'a>> {
        match self.kind()? {
            TokenKind::Version(..)
            | TokenKind::TagDirective(_)
            | TokenKind::DocumentStart
            | TokenKind::DocumentEnd
            | TokenKind::StreamEnd => {
                self.state = self.pop();
                self.empty_here()
            }
            _ => self.node(true, false),
        }
    }

    fn document_end(&mut self) -> Outcome<Step<'a>> {
        let start = self.scanner.peek()?.start;
        let mut end = start;
        if *self.kind()? == TokenKind::DocumentEnd {
            end = self.take()?.end;
        }
        self.tags.clear();
        self.state = State::Document { is_first: false };
        Ok(step(Event::DocumentEnd, start, end))
    }

    /// Reads a node: properties and what they belong to.
    fn node(&mut self, in_block: bool, may_be_indentless: bool) -> Outcome<Step<'a>> {
        let start = self.scanner.peek()?.start;
        if matches!(self.kind()?, TokenKind::Alias(_)) {
            let Token { kind, start, end } = self.take()?;
            self.state = self.pop();
            let name = if let TokenKind::Alias(name) = kind {
                name
            } else {
                ""
            };
            return Ok(step(Event::Alias(Cow::Borrowed(name)), start, end));
        }
        let (properties, after) = self.properties(start)?;
        let has_properties = properties != Properties::default();
        let (style, is_sequence, next) = match self.kind()? {
            TokenKind::BlockEntry if may_be_indentless => {
                (Style::Block, true, State::IndentlessEntry)
            }
            TokenKind::Scalar { .. } => return self.scalar(properties, start),
            TokenKind::FlowSequenceStart => {
                (Style::Flow, true, State::FlowEntry { is_first: true })
            }
            TokenKind::FlowMappingStart => (Style::Flow, false, State::FlowKey { is_first: true }),
            TokenKind::BlockSequenceStart if in_block => (Style::Block, true, State::BlockEntry),
            TokenKind::BlockMappingStart if in_block => (Style::Block, false, State::BlockKey),
            _ if has_properties => {
                self.state = self.pop();
                return Ok(empty(start, properties, after));
            }
            _ => return self.fault("did not find expected node content", Some(start)),
        };
        self.state = next;
        let token = self.scanner.peek()?;
        let (content, end) = (token.start, token.end);
        if next != State::IndentlessEntry {
            self.marks.push(content);
            self.take()?;
        }
        let event = if is_sequence {
            Event::SequenceStart { style, properties }
        } else {
            Event::MappingStart { style, properties }
        };
        Ok(Step {
            event,
            start,
            content,
            end,
        })
    }

    fn scalar(&mut self, properties: Properties<'a>, start: Mark) -> Outcome<Step<'a>> {
        let Token {
            kind,
            start: content,
            end,
        } = self.take()?;
        self.state = self.pop();
        let (text, style) = match kind {
            TokenKind::Scalar { text, style } => (text, style),
            _ => (Cow::Borrowed(""), Style::Plain),
        };
        Ok(Step {
            event: Event::Scalar {
                text,
                style,
                properties,
            },
            start,
            content,
            end,
        })
    }

    /// Reads anchor and tag in either order; returns where they end.
    fn properties(&mut self, start: Mark) -> Outcome<(Properties<'a>, Mark)> {
        let mut properties = Properties::default();
        let mut tag = None;
        let mut end = start;
        loop {
            match self.kind()? {
                TokenKind::Anchor(name) if properties.anchor.is_none() => {
                    properties.anchor = Some(Cow::Borrowed(name));
                    end = self.take()?.end;
                }
                TokenKind::Tag(_) if tag.is_none() => {
                    let token = self.take()?;
                    end = token.end;
                    tag = Some(token);
                }
                _ => break,
            }
        }
        // Go looks a handle up only once it has the token after it.
        if let Some(Token {
            kind: TokenKind::Tag(part),
            start: problem,
            ..
        }) = tag
        {
            let Some(tag) = self.resolve_tag(part.handle, part.rest) else {
                let message = "found undefined tag handle";
                return Err(Box::new(Fault {
                    message,
                    context: Some(start),
                    problem,
                    in_scanner: false,
                }));
            };
            properties.tag = Some(Cow::Owned(tag));
        }
        Ok((properties, end))
    }

    fn resolve_tag(&self, handle: &str, suffix: String) -> Option<String> {
        if handle.is_empty() {
            return Some(suffix);
        }
        if let Some(prefix) = self.tags.get(handle) {
            return Some(format!("{prefix}{suffix}"));
        }
        match handle {
            "!" => Some(format!("!{suffix}")),
            "!!" => Some(format!("{NAMESPACE}{suffix}")),
            _ => None,
        }
    }

    /// Ends the collection whose last token comes next.
    fn close(&mut self) -> Outcome<Step<'a>> {
        let Token { start, end, .. } = self.take()?;
        self.marks.pop();
        self.state = self.pop();
        Ok(step(Event::CollectionEnd, start, end))
    }

    /// Reads a node that may be left out, in which case one of `ends` follows; goes on with `next`.
    fn optional_node(
        &mut self,
        next: State,
        is_end: impl Fn(&TokenKind<'a>) -> bool,
        in_block: bool,
        may_be_indentless: bool,
        at: Mark,
    ) -> Outcome<Step<'a>> {
        if is_end(self.kind()?) {
            self.state = next;
            return Ok(empty(at, Properties::default(), at));
        }
        self.states.push(next);
        self.node(in_block, may_be_indentless)
    }
}

fn step(event: Event<'_>, start: Mark, end: Mark) -> Step<'_> {
    Step {
        event,
        start,
        content: start,
        end,
    }
}

/// The scalar that stands where a node is left out.
fn empty(start: Mark, properties: Properties<'_>, end: Mark) -> Step<'_> {
    let event = Event::Scalar {
        text: Cow::Borrowed(""),
        style: Style::Plain,
        properties,
    };
    Step {
        event,
        start,
        content: end,
        end,
    }
}
