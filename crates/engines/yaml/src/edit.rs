//! Changing single values of a text while every other byte stays as it is.
//!
//! [`fields`] finds the values with their comments, [`Field::replace`] makes an [`Edit`] of one,
//! [`apply`] makes the new text.

use crate::emit::{double_quoted, fits_plain, fits_single_quotes};
use crate::error::Error;
use crate::event::{Comment, Event, Located};
use crate::node::Style;
use crate::parse::Reader;
use crate::resolve::Schema;
use crate::span::Position;
use std::borrow::Cow;
use std::ops::Range;

/// A scalar that is a value of a mapping, an item of a sequence or a whole document; never a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Field<'a> {
    /// Its value, quotes and folding undone.
    pub value: Cow<'a, str>,
    /// How it is written.
    pub style: Style,
    /// Where it stands.
    pub start: Position,
    /// Its bytes, quotes or block header included, anchor and tag not.
    pub range: Range<usize>,
    /// Number of its document in the stream, from 0.
    pub document: usize,
    /// The comment after it on its line, `#` included; for a block scalar the one after its header.
    pub comment: Option<Cow<'a, str>>,
    /// For an item of a block sequence, the comment lines directly above it, topmost first.
    pub above: Vec<Cow<'a, str>>,
    in_flow: bool,
    is_item: bool,
}

/// New text for a range of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The bytes to go.
    pub range: Range<usize>,
    /// What comes in their place.
    pub text: String,
}

/// Edits that cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// Two edits change the same bytes.
    #[error("edits overlap at byte {0}")]
    Overlap(usize),
    /// An edit lies outside of the text or inside of a character.
    #[error("edit at byte {0} is outside of the text")]
    OutOfText(usize),
}

/// Finds all fields of a stream, in order.
///
/// Positions and ranges count from the start of `text`, a byte order mark included.
pub fn fields<'a>(text: &'a str, file: &str) -> Result<Vec<Field<'a>>, Error> {
    let mut finder = Finder::default();
    let comments = Reader::new(Schema::Core).visit(text, file, &mut |step| finder.step(step))?;
    let mut found = finder.found;
    for field in &mut found {
        attach(field, text, &comments);
    }
    Ok(found)
}

/// Follows the structure to tell values from keys.
#[derive(Default)]
struct Finder<'a> {
    found: Vec<Field<'a>>,
    /// For each open collection: is it a mapping, is the next node its key, is it in flow style.
    open: Vec<(bool, bool, bool)>,
    documents: usize,
}

impl<'a> Finder<'a> {
    fn step(&mut self, step: Located<'a>) {
        let Located {
            event,
            content,
            end,
            ..
        } = step;
        match event {
            Event::DocumentStart => {}
            Event::DocumentEnd => self.documents += 1,
            Event::Alias(_) => drop(self.enter_node()),
            Event::Scalar { text, style, .. } => {
                let Some((in_flow, is_item)) = self.enter_node() else {
                    return;
                };
                self.found.push(Field {
                    value: text,
                    style,
                    start: content,
                    range: content.offset..end,
                    document: self.documents,
                    comment: None,
                    above: Vec::new(),
                    in_flow,
                    is_item,
                });
            }
            Event::SequenceStart { style, .. } => {
                self.enter_node();
                self.open.push((false, false, style == Style::Flow));
            }
            Event::MappingStart { style, .. } => {
                self.enter_node();
                self.open.push((true, true, style == Style::Flow));
            }
            Event::CollectionEnd => drop(self.open.pop()),
        }
    }

    /// Notes that a node begins; returns `None` for a key, else whether it stands in flow style and
    /// whether it is a block sequence's item.
    fn enter_node(&mut self) -> Option<(bool, bool)> {
        let Some((is_mapping, expects_key, in_flow)) = self.open.last_mut() else {
            return Some((false, false));
        };
        if !*is_mapping {
            return Some((*in_flow, !*in_flow));
        }
        *expects_key = !*expects_key;
        if *expects_key {
            Some((*in_flow, false))
        } else {
            None
        }
    }
}

/// Finds the comments that belong to a field.
fn attach<'a>(field: &mut Field<'a>, text: &'a str, comments: &[Comment<'a>]) {
    let is_block = matches!(field.style, Style::Literal | Style::Folded);
    let from = if is_block {
        field.range.start
    } else {
        field.range.end
    };
    let next = comments.partition_point(|comment| comment.start.offset < from);
    if let Some(comment) = comments.get(next) {
        let between = text.get(from..comment.start.offset).unwrap_or_default();
        let apart = |c: char| matches!(c, ' ' | '\t') || (c == ',' && field.in_flow);
        let header = |c: char| matches!(c, '|' | '>' | '+' | '-') || c.is_ascii_digit();
        if between.chars().all(|c| apart(c) || (is_block && header(c))) {
            field.comment = Some(comment.text.clone());
        }
    }
    if !field.is_item {
        return;
    }
    let mut line = field.start.line;
    for comment in comments[..comments.partition_point(|c| c.start.offset < field.range.start)]
        .iter()
        .rev()
    {
        let before = text.get(..comment.start.offset).unwrap_or_default();
        let alone = before.trim_end_matches([' ', '\t']);
        let is_alone = alone.is_empty() || alone.ends_with(['\n', '\r']);
        if comment.start.line + 1 != line || !is_alone {
            break;
        }
        line = comment.start.line;
        field.above.push(comment.text.clone());
    }
    field.above.reverse();
}

impl Field<'_> {
    /// Returns the edit that gives the field another value, written as it was where that is possible.
    ///
    /// Quotes stay. A plain text that would be read as something else (`1.10`, `on`, `a: b`) gets
    /// double quotes. A block scalar keeps its header and indentation.
    pub fn replace(&self, text: &str, value: &str) -> Edit {
        match self.style {
            Style::Literal | Style::Folded => self.replace_block(text, value),
            Style::SingleQuoted if fits_single_quotes(value) => {
                self.edit(format!("'{}'", value.replace('\'', "''")))
            }
            Style::SingleQuoted | Style::DoubleQuoted => self.edit(double_quoted(value)),
            Style::Plain | Style::Block | Style::Flow => {
                let plain = fits_plain(value, self.in_flow);
                let written = if plain {
                    value.to_owned()
                } else {
                    double_quoted(value)
                };
                // A value that was left out stands right after its indicator.
                let before = text.as_bytes().get(self.range.start.wrapping_sub(1));
                let glued =
                    self.range.is_empty() && matches!(before, Some(b':' | b'-' | b'?' | b','));
                self.edit(if glued {
                    format!(" {written}")
                } else {
                    written
                })
            }
        }
    }

    fn edit(&self, text: String) -> Edit {
        Edit {
            range: self.range.clone(),
            text,
        }
    }

    fn replace_block(&self, text: &str, value: &str) -> Edit {
        let scalar = text.get(self.range.clone()).unwrap_or_default();
        let header_end = scalar.find(['\n', '\r']).unwrap_or(scalar.len());
        let line_break = if scalar[header_end..].starts_with("\r\n") {
            "\r\n"
        } else {
            "\n"
        };
        let body_start = (header_end + line_break.len()).min(scalar.len());
        let body_end = scalar.trim_end_matches([' ', '\t', '\n', '\r']).len();
        let spaces = |line: &str| line.len() - line.trim_start_matches(' ').len();
        let first = |text: &str| {
            text.lines()
                .find(|line| !line.trim().is_empty())
                .map(spaces)
        };
        let old = first(scalar.get(body_start..).unwrap_or_default()).zip(first(&self.value));
        let lines = value.strip_suffix('\n').unwrap_or(value);
        let fits = fits_block(lines, self.style == Style::Folded);
        match old {
            Some((column, inside)) if fits && column >= inside && body_start <= body_end => {
                let indent = " ".repeat(column - inside);
                let body: Vec<String> = lines
                    .split('\n')
                    .map(|line| {
                        if line.is_empty() {
                            String::new()
                        } else {
                            format!("{indent}{line}")
                        }
                    })
                    .collect();
                let start = self.range.start;
                let range = start + body_start..start + body_end;
                Edit {
                    range,
                    text: body.join(line_break),
                }
            }
            _ => {
                // The header becomes a quoted scalar; what else stands on its line stays.
                let header = scalar.get(..header_end).unwrap_or_default();
                let indicators = |c: char| matches!(c, '|' | '>' | '+' | '-') || c.is_ascii_digit();
                let rest = header.trim_start_matches(indicators);
                let tail = scalar.get(body_end.max(header_end)..).unwrap_or_default();
                self.edit(format!("{}{rest}{tail}", double_quoted(value)))
            }
        }
    }
}

/// Tells whether a text is read back from the body of a block scalar as it is.
fn fits_block(lines: &str, is_folded: bool) -> bool {
    let is_bad = |c: char| {
        c != '\n' && (c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'))
    };
    !lines.is_empty()
        && !lines.starts_with([' ', '\n'])
        && !lines.ends_with([' ', '\n'])
        && !lines.contains(is_bad)
        && (!is_folded || !lines.contains('\n'))
}

/// Applies edits, which may come in any order, to a text.
pub fn apply(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    let mut sorted: Vec<&Edit> = edits.iter().collect();
    sorted.sort_by_key(|edit| edit.range.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for Edit { range, text: new } in sorted {
        if range.start < at {
            return Err(EditError::Overlap(range.start));
        }
        let kept = text
            .get(at..range.start)
            .filter(|_| text.get(range.clone()).is_some());
        out.push_str(kept.ok_or(EditError::OutOfText(range.start))?);
        out.push_str(new);
        at = range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives every field with a comment the value the comment names.
    fn set(text: &str) -> String {
        let edits: Vec<Edit> = fields(text, "f.yaml")
            .unwrap()
            .iter()
            .filter_map(|field| {
                let above = field.above.first();
                let new = field
                    .comment
                    .as_ref()
                    .or(above)?
                    .trim_start_matches(['#', ' '])
                    .to_owned();
                Some(field.replace(text, &new))
            })
            .collect();
        apply(text, &edits).unwrap()
    }

    #[test]
    fn only_the_scalar_changes() {
        for (text, expected) in [
            (
                "a:   old   # new\r\nb: x\r\n",
                "a:   new   # new\r\nb: x\r\n",
            ),
            (
                "- 'old'  # it's\n- \"é\" # \"q\"\n",
                "- 'it''s'  # it's\n- \"\\\"q\\\"\" # \"q\"\n",
            ),
            ("tag: 1.2 # 1.10\n", "tag: \"1.10\" # 1.10\n"),
            ("tag: 'x' # 1.10\n", "tag: '1.10' # 1.10\n"),
            ("tag: !!str x # v1\n", "tag: !!str v1 # v1\n"),
            (
                "tag: &t x # v1\nother: *t\n",
                "tag: &t v1 # v1\nother: *t\n",
            ),
            ("image: # a:b\n", "image: a:b # a:b\n"),
            ("- # x\n  old\n", "- # x\n  old\n"),
            ("# new\n- old\n", "# new\n- new\n"),
            ("# new\nkey: old\n", "# new\nkey: old\n"),
            ("{a: x, # yy\n b: z} # w\n", "{a: yy, # yy\n b: z} # w\n"),
            ("{a: x, # p,q\n b: z}", "{a: \"p,q\", # p,q\n b: z}"),
            ("\u{feff}a: old # new", "\u{feff}a: new # new"),
            ("? key # c\n: v\n", "? key # c\n: v\n"),
        ] {
            assert_eq!(set(text), expected, "{text:?}");
        }
    }

    #[test]
    fn block_scalars_keep_header_and_indentation() {
        for (text, expected) in [
            (
                "a: |  # new\n    old\n    lines\n\nb: x\n",
                "a: |  # new\n    new\n\nb: x\n",
            ),
            (
                "a: >- # new\r\n  old\r\nb: x\r\n",
                "a: >- # new\r\n  new\r\nb: x\r\n",
            ),
            ("a: |2 # new\n    old\n", "a: |2 # new\n  new\n"),
            ("a: | # new\nb: x\n", "a: \"new\" # new\nb: x\n"),
        ] {
            assert_eq!(set(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_text_a_block_cannot_hold_becomes_quoted() {
        let text = "a: |- # c\n  old\nb: x\n";
        let field = fields(text, "f.yaml").unwrap().remove(0);
        let edit = field.replace(text, " new");
        assert_eq!(apply(text, &[edit]).unwrap(), "a: \" new\" # c\nb: x\n");
    }

    #[test]
    fn every_value_is_read_back_from_what_was_written() {
        let texts = [
            "a: x\n",
            "a: 'x'\n",
            "a: \"x\"\n",
            "a: |\n  x\n",
            "- x\n- >-\n  x\n",
            "[x, {a: x}]\n",
            "a:\n",
        ];
        let values = [
            "v1", "1.10", "a: b", "#", "it's", "\"", "a\nb", " x ", "a,b", "[", "", "\t", "null",
            "😀", "- a", "a #b", "?x", "a\\b",
        ];
        for (text, value) in texts
            .iter()
            .flat_map(|text| values.iter().map(move |value| (text, value)))
        {
            for at in 0..fields(text, "f").unwrap().len() {
                let field = fields(text, "f").unwrap().remove(at);
                let new = apply(text, &[field.replace(text, value)]).unwrap();
                let again = fields(&new, "f").unwrap().remove(at);
                // A block scalar that is not chomped ends with the line break it had.
                let read = if field.style == Style::Literal {
                    again.value.trim_end_matches('\n')
                } else {
                    &again.value
                };
                assert_eq!(read, value.trim_end_matches('\n'), "{text:?} {new:?}");
            }
        }
    }

    #[test]
    fn edits_that_do_not_fit_are_refused() {
        let edit = |range| Edit {
            range,
            text: String::new(),
        };
        assert_eq!(
            apply("abc", &[edit(0..2), edit(1..3)]),
            Err(EditError::Overlap(1))
        );
        assert_eq!(apply("abc", &[edit(2..4)]), Err(EditError::OutOfText(2)));
        assert_eq!(apply("é", &[edit(1..2)]), Err(EditError::OutOfText(1)));
    }
}
