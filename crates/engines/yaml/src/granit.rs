//! Events from `granit-parser`, bent to what libyaml reports.

use crate::compose::Rules;
use crate::error::{Error, ErrorKind};
use crate::event::{Event, Events, Located, Properties};
use crate::node::Style;
use crate::span::Position;
use granit_parser::{Event as Raw, Parser, ScalarStyle, Span, StrInput, StructureStyle, Tag};
use std::borrow::Cow;

pub(crate) struct Granit<'a> {
    text: &'a str,
    rules: &'a Rules,
    origin: Position,
    parser: Parser<'a, StrInput<'a>>,
}

impl<'a> Granit<'a> {
    pub(crate) fn new(text: &'a str, rules: &'a Rules, origin: Position) -> Self {
        let depth = rules.limits.max_depth.saturating_add(1);
        let options = granit_parser::options! {
            emit_comments: false,
            flow_nesting_limit: depth,
            block_nesting_limit: depth,
        };
        Self {
            text,
            rules,
            origin,
            parser: Parser::new_from_str_with_options(text, options),
        }
    }

    fn place(&self, line: usize, column: usize, offset: usize) -> Position {
        Position {
            offset: offset + self.origin.offset,
            line: line + self.origin.line - 1,
            column: column + 1,
        }
    }

    fn scalar(
        &self,
        text: Cow<'a, str>,
        style: ScalarStyle,
        span: Span,
        rest: Properties<'a>,
    ) -> Event<'a> {
        let range = span.byte_range().unwrap_or_default();
        let (style, text) = match style {
            ScalarStyle::Plain if range.is_empty() => (Style::Plain, Cow::Borrowed("")),
            ScalarStyle::Plain => (Style::Plain, text),
            ScalarStyle::SingleQuoted => (Style::SingleQuoted, text),
            ScalarStyle::DoubleQuoted => (Style::DoubleQuoted, text),
            ScalarStyle::Literal | ScalarStyle::Folded => {
                // libyaml ends a block scalar without a line break where the text has none.
                let at_end = range.end >= self.text.len() && !self.text.ends_with('\n');
                let cut = if at_end {
                    text.strip_suffix('\n').map(str::to_owned)
                } else {
                    None
                };
                let folded = style == ScalarStyle::Folded;
                (
                    if folded {
                        Style::Folded
                    } else {
                        Style::Literal
                    },
                    cut.map_or(text, Cow::Owned),
                )
            }
        };
        Event::Scalar {
            text,
            style,
            properties: rest,
        }
    }
}

fn properties(anchor: usize, tag: Option<Cow<'_, Tag>>) -> Properties<'static> {
    Properties {
        anchor: (anchor > 0).then(|| Cow::Owned(anchor.to_string())),
        tag: tag.map(|tag| Cow::Owned(format!("{}{}", tag.handle(), tag.suffix()))),
    }
}

fn structure(style: StructureStyle) -> Style {
    match style {
        StructureStyle::Block => Style::Block,
        StructureStyle::Flow => Style::Flow,
    }
}

impl<'a> Events<'a> for Granit<'a> {
    fn next(&mut self) -> Result<Option<Located<'a>>, Error> {
        loop {
            let Some(next) = self.parser.next_event() else {
                return Ok(None);
            };
            let (raw, span) = next.map_err(|error| {
                let mark = error.marker();
                Error {
                    file: self.rules.source.clone(),
                    at: self.place(mark.line(), mark.col(), mark.byte_offset().unwrap_or(0)),
                    kind: ErrorKind::Syntax {
                        message: "invalid YAML",
                        go_line: Some(mark.line()),
                    },
                }
            })?;
            let event = match raw {
                Raw::DocumentStart(..) => Event::DocumentStart,
                Raw::DocumentEnd => Event::DocumentEnd,
                Raw::Alias(id) => Event::Alias(Cow::Owned(id.to_string())),
                Raw::Scalar(text, style, anchor, tag) => {
                    self.scalar(text, style, span, properties(anchor, tag))
                }
                Raw::SequenceStart(style, anchor, tag) => Event::SequenceStart {
                    style: structure(style),
                    properties: properties(anchor, tag),
                },
                Raw::MappingStart(style, anchor, tag) => Event::MappingStart {
                    style: structure(style),
                    properties: properties(anchor, tag),
                },
                Raw::SequenceEnd | Raw::MappingEnd => Event::CollectionEnd,
                _ => continue,
            };
            let range = span.byte_range().unwrap_or_default();
            let start = self.place(span.start.line(), span.start.col(), range.start);
            return Ok(Some(Located {
                event,
                start,
                end: range.end + self.origin.offset,
            }));
        }
    }
}
