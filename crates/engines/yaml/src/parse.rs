//! Reading: bytes in, documents out.

use crate::compose::{Composer, Rules};
use crate::error::{Error, ErrorKind};
use crate::event::{Comment, Located};
use crate::grammar::{Grammar, Step};
use crate::input::{Input, Refused, decode};
use crate::limits::Limits;
use crate::node::Node;
use crate::resolve::Schema;
use crate::scan::{Fault, Mark, Scanner};
use crate::span::{Position, Source};
use std::borrow::Cow;

/// What a key that occurs twice in one mapping means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Duplicates {
    /// An error, as go-yaml v3 and the strict readers have it.
    Error,
    /// The last value counts, as sigs.k8s.io/yaml has it.
    LastWins,
}

/// Reads YAML with one set of rules.
#[derive(Debug, Clone)]
pub struct Reader {
    schema: Schema,
    duplicates: Duplicates,
    limits: Limits,
    origin: Position,
}

impl Reader {
    /// Makes a reader with the defaults of a schema: duplicates are errors for [`Schema::Core`], the
    /// last one wins for [`Schema::Legacy`].
    pub fn new(schema: Schema) -> Self {
        let duplicates = match schema {
            Schema::Core => Duplicates::Error,
            Schema::Legacy => Duplicates::LastWins,
        };
        Self {
            schema,
            duplicates,
            limits: Limits::default(),
            origin: Position::START,
        }
    }

    /// Sets what a repeated key means.
    #[must_use]
    pub fn duplicates(mut self, duplicates: Duplicates) -> Self {
        self.duplicates = duplicates;
        self
    }

    /// Sets the budgets.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Says where in its file the text begins, so that spans and errors point into the whole file.
    ///
    /// Shape: line from 1, byte offset from 0; the text must begin at a line's start.
    #[must_use]
    pub fn origin(mut self, line: usize, offset: usize) -> Self {
        self.origin = Position {
            offset,
            line,
            column: 1,
        };
        self
    }

    /// Reads all documents of a stream; a stream of comments has none.
    pub fn read(&self, text: &[u8], file: &str) -> Result<Vec<Node>, Error> {
        self.run(text, file, false)
    }

    /// Reads the first document and does not look at what follows it, as Go's `Unmarshal` does;
    /// `None` for a stream without documents.
    pub fn read_first(&self, text: &[u8], file: &str) -> Result<Option<Node>, Error> {
        Ok(self.run(text, file, true)?.pop())
    }

    /// Shows every step of a stream without building trees; aliases are not looked up and no budget
    /// but the size applies. Returns the comments.
    pub fn visit<'a>(
        &self,
        text: &'a str,
        file: &str,
        visit: &mut dyn FnMut(Located<'a>),
    ) -> Result<Vec<Comment<'a>>, Error> {
        let source = Source::new(file);
        self.check_size(text.len(), &source)?;
        let Input {
            text: checked,
            skipped,
            refused,
        } = decode(text.as_bytes());
        // The same text, with the caller's lifetime.
        let text = text
            .get(skipped..skipped + checked.len())
            .unwrap_or_default();
        let mut scanner = Scanner::new(text, self.lookahead());
        scanner.keep_comments();
        let grammar = Grammar::new(scanner);
        let mut steps = Steps {
            grammar,
            reader: self,
            source: &source,
            skipped,
            refused,
        };
        while let Some(located) = steps.next()? {
            visit(located);
        }
        let comments = steps.grammar.take_comments().into_iter();
        Ok(comments
            .map(|comment| Comment {
                text: Cow::Borrowed(comment.text),
                start: self.place(comment.start, skipped),
            })
            .collect())
    }

    fn run(&self, text: &[u8], file: &str, first_only: bool) -> Result<Vec<Node>, Error> {
        let rules = Rules {
            schema: self.schema,
            duplicates: self.duplicates,
            limits: self.limits,
            source: Source::new(file),
            origin: self.origin.line,
        };
        self.check_size(text.len(), &rules.source)?;
        let Input {
            text,
            skipped,
            refused,
        } = decode(text);
        let grammar = Grammar::new(Scanner::new(&text, self.lookahead()));
        let mut steps = Steps {
            grammar,
            reader: self,
            source: &rules.source,
            skipped,
            refused,
        };
        Composer::new(&rules, text.contains('*')).documents(&mut steps, first_only)
    }

    fn check_size(&self, bytes: usize, source: &Source) -> Result<(), Error> {
        let limit = self.limits.max_bytes;
        if bytes <= limit {
            return Ok(());
        }
        let kind = ErrorKind::TooLarge { bytes, limit };
        Err(self.fail(source, self.origin, kind))
    }

    /// Returns how many tokens Go's library makes ahead: it decides which of two errors shows.
    fn lookahead(&self) -> usize {
        match self.schema {
            Schema::Core => 2,
            Schema::Legacy => 0,
        }
    }

    fn place(&self, mark: Mark, skipped: usize) -> Position {
        Position {
            offset: mark.offset + skipped + self.origin.offset,
            line: mark.line() + self.origin.line,
            column: mark.column() + 1,
        }
    }

    /// Makes an error of a fault, with the line Go would print.
    ///
    /// Go counts lines from 0, prints none for the first, and corrects those of scanner errors only:
    /// v3 always, v2 only where the problem itself has the line.
    fn error(&self, fault: &Fault, source: &Source, skipped: usize) -> Error {
        let problem = fault.problem.line();
        let context = fault.context.map_or(0, Mark::line);
        let correction = usize::from(fault.in_scanner);
        let line = match self.schema {
            Schema::Core if context > 0 => context + correction,
            _ if problem > 0 => problem + correction,
            _ => context,
        };
        let go_line = (line > 0).then_some(line);
        let kind = ErrorKind::Syntax {
            message: fault.message,
            go_line,
        };
        self.fail(source, self.place(fault.problem, skipped), kind)
    }

    fn fail(&self, source: &Source, at: Position, kind: ErrorKind) -> Error {
        Error {
            file: source.clone(),
            at,
            kind,
            origin: self.origin.line,
        }
    }
}

/// Events with places as the caller counts them.
pub(crate) struct Steps<'a, 'r> {
    grammar: Grammar<'a>,
    reader: &'r Reader,
    source: &'r Source,
    skipped: usize,
    refused: Option<Refused>,
}

impl<'a> Steps<'a, '_> {
    /// Returns the next event, or `None` at the end of the stream.
    pub(crate) fn next(&mut self) -> Result<Option<Located<'a>>, Error> {
        let next = self.grammar.next();
        if let Some(Refused {
            kind,
            offset,
            found_from,
        }) = &self.refused
            && self.grammar.offset() >= *found_from
        {
            let at = self
                .reader
                .place(self.grammar.mark_of(*offset), self.skipped);
            return Err(self.reader.fail(self.source, at, kind.clone()));
        }
        let step = next.map_err(|fault| self.reader.error(&fault, self.source, self.skipped))?;
        Ok(step.map(
            |Step {
                 event,
                 start,
                 content,
                 end,
             }| Located {
                event,
                start: self.reader.place(start, self.skipped),
                content: self.reader.place(content, self.skipped),
                end: end.offset + self.skipped + self.reader.origin.offset,
            },
        ))
    }
}

/// Reads all documents of a stream with a schema's defaults; see [`Reader`] for other rules.
pub fn parse(text: &[u8], file: &str, schema: Schema, limits: &Limits) -> Result<Vec<Node>, Error> {
    Reader::new(schema).limits(*limits).read(text, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core(text: &str) -> Node {
        Reader::new(Schema::Core)
            .read(text.as_bytes(), "f.yaml")
            .unwrap()
            .remove(0)
    }

    fn legacy(text: &str) -> Node {
        Reader::new(Schema::Legacy)
            .read(text.as_bytes(), "f.yaml")
            .unwrap()
            .remove(0)
    }

    #[test]
    fn nodes_know_where_they_stand() {
        let root = core("a: 1\nb:\n  - x\n  - \"é\": y\n");
        let value = root.at(&["b", "1", "é"]).unwrap();
        assert_eq!(value.span.to_string(), "f.yaml:4:10");
        assert_eq!(value.span.range(), 24..25);
    }

    #[test]
    fn origin_moves_spans_and_errors() {
        let reader = Reader::new(Schema::Core).origin(10, 100);
        let root = reader.read_first(b"a: b", "f.yaml").unwrap().unwrap();
        assert_eq!(root.get("a").unwrap().span.to_string(), "f.yaml:10:4");
        assert_eq!(root.get("a").unwrap().span.range(), 103..104);
        let error = reader.read(b"a: 1\na: 2", "f.yaml").unwrap_err();
        assert_eq!(error.line(), 11);
        assert!(
            error
                .go_text()
                .contains("line 2: mapping key \"a\" already defined at line 1")
        );
        let error = reader.read(b"a: 1\nb: c: d", "f.yaml").unwrap_err();
        assert_eq!(error.line(), 11);
        assert_eq!(
            error.go_text(),
            "yaml: line 2: mapping values are not allowed in this context"
        );
    }

    #[test]
    fn duplicates_are_refused_or_the_last_wins() {
        let error = parse(b"a: 1\na: 2\n", "f.yaml", Schema::Core, &Limits::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "f.yaml:2:1: mapping key \"a\" already defined at line 1"
        );
        assert_eq!(
            error.go_text(),
            "yaml: unmarshal errors:\n  line 2: mapping key \"a\" already defined at line 1"
        );
        assert_eq!(legacy("a: 1\na: 2\n").get("a").unwrap().as_i64(), Some(2));
    }

    #[test]
    fn aliases_and_merge_keys_are_expanded() {
        let text = "x: &x {a: 1, b: 2}\nz:\n  b: 3\n  <<: *x\n  c: *x\n";
        let root = core(text);
        assert_eq!(
            format!("{:?}", root.get("z").unwrap()),
            r#"{"b": Int(3)(3), "c": {"a": Int(1)(1), "b": Int(2)(2)}, "a": Int(1)(1)}"#
        );
        assert_eq!(legacy(text).at(&["z", "b"]).unwrap().as_i64(), Some(2));
    }

    #[test]
    fn alias_bombs_are_refused() {
        let levels = (1..12).map(|level| {
            let before = format!("*a{}", level - 1);
            format!(
                "a{level}: &a{level} [{}]\n",
                [before.as_str(); 9].join(", ")
            )
        });
        let text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned() + &levels.collect::<String>();
        let error = Reader::new(Schema::Core)
            .read(text.as_bytes(), "f.yaml")
            .unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::ExcessiveAliasing);
    }

    #[test]
    fn keys_of_the_legacy_reading_have_their_json_text() {
        let root = legacy("yes: 1\n0x10: 2\n1.50: 3\n");
        assert_eq!(
            root.as_mapping().unwrap().keys().collect::<Vec<_>>(),
            ["true", "16", "1.5"]
        );
    }

    #[test]
    fn a_block_scalar_at_the_end_of_the_text_gets_no_line_break() {
        assert_eq!(core("a: |\n  x").get("a").unwrap().as_str(), Some("x"));
        assert_eq!(core("a: |\n  x\n").get("a").unwrap().as_str(), Some("x\n"));
    }

    #[test]
    fn budgets_bound_size_depth_and_nodes() {
        let limits = Limits {
            max_bytes: 100,
            max_depth: 3,
            max_nodes: 8,
        };
        let read = |text: &str| {
            Reader::new(Schema::Core)
                .limits(limits)
                .read(text.as_bytes(), "f")
        };
        assert!(matches!(
            read(&"x".repeat(101)).unwrap_err().kind(),
            ErrorKind::TooLarge { .. }
        ));
        assert!(read("[[[]]]").is_ok());
        assert_eq!(*read("[[[[]]]]").unwrap_err().kind(), ErrorKind::TooDeep(3));
        assert!(read("[1, 2, 3, 4, 5, 6, 7]").is_ok());
        assert_eq!(
            *read("[1, 2, 3, 4, 5, 6, 7, 8]").unwrap_err().kind(),
            ErrorKind::TooManyNodes(8)
        );
    }

    #[test]
    fn large_mappings_are_searched_by_hash() {
        let lines: Vec<String> = (0..10_000).map(|n| format!("key{n}: {n}\n")).collect();
        let mut root = core(&lines.concat());
        let mapping = root.as_mapping_mut().unwrap();
        assert_eq!(mapping.get("key9999").unwrap().as_i64(), Some(9999));
        mapping.remove("key5000");
        assert_eq!(mapping.position("key5000"), None);
        assert_eq!(mapping.position("key5001"), Some(5000));
    }
}
