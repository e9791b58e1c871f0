//! The tree of a parsed template, and how its nodes print in error texts.

use std::fmt;
use std::ops::Range;
use std::rc::Rc;

/// A parsed template.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The template's name.
    pub(crate) name: String,
    /// The name of the text it was parsed from, shown as the location.
    pub(crate) parse_name: Rc<str>,
    /// The text it was parsed from, to count lines.
    pub(crate) source: Rc<str>,
    pub(crate) root: Vec<Node>,
}

impl Tree {
    /// Whether the template holds nothing but white space and comments.
    pub(crate) fn is_blank(&self) -> bool {
        self.root.iter().all(|node| match node {
            Node::Text(place) => self
                .text(place)
                .trim_matches([' ', '\t', '\r', '\n'])
                .is_empty(),
            _ => false,
        })
    }

    /// What stands at a place of the source.
    pub(crate) fn text(&self, place: &Range<usize>) -> &str {
        self.source.get(place.clone()).unwrap_or_default()
    }

    /// `name:line:column` of a byte position, the column counted from 0.
    pub(crate) fn location(&self, at: usize) -> String {
        let before = self.source.get(..at).unwrap_or(&self.source);
        let line = before.matches('\n').count() + 1;
        let column = before.rfind('\n').map_or(at, |i| at - i - 1);
        format!("{}:{line}:{column}", self.parse_name)
    }
}

#[derive(Debug)]
pub(crate) enum Node {
    /// Text that is printed: its place in the source.
    Text(Range<usize>),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template(Invoke),
    Break,
    Continue,
}

/// `if`, `with` and `range`.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) body: Vec<Node>,
    pub(crate) otherwise: Vec<Node>,
}

/// `{{template "name" pipeline}}`
#[derive(Debug)]
pub(crate) struct Invoke {
    pub(crate) at: usize,
    pub(crate) name: String,
    pub(crate) pipe: Option<Pipe>,
}

#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) at: usize,
    pub(crate) assign: bool,
    pub(crate) declared: Vec<String>,
    pub(crate) commands: Vec<Command>,
}

#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) at: usize,
    pub(crate) args: Vec<Term>,
}

#[derive(Debug)]
pub(crate) struct Term {
    pub(crate) at: usize,
    pub(crate) kind: TermKind,
}

#[derive(Debug)]
pub(crate) enum TermKind {
    Bool(bool),
    Dot,
    Nil,
    Number(Number),
    /// The value and the literal as written.
    Text(crate::text::TextLiteral),
    Field(Vec<String>),
    /// `$name` and fields.
    Variable(Vec<String>),
    Function(String),
    Pipe(Box<Pipe>),
    /// A parenthesised pipeline with fields after it.
    Chain(Box<Term>, Vec<String>),
}

/// A number constant and what it can be read as.
#[derive(Debug, Clone)]
pub(crate) struct Number {
    pub(crate) literal: String,
    pub(crate) int: Option<i64>,
    pub(crate) uint: Option<u64>,
    pub(crate) float: Option<f64>,
}

impl fmt::Display for Invoke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {:?}", self.name)?;
        if let Some(pipe) = &self.pipe {
            write!(f, " {pipe}")?;
        }
        f.write_str("}}")
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.declared.is_empty() {
            let mark = if self.assign { "=" } else { ":=" };
            write!(f, "{} {mark} ", self.declared.join(", "))?;
        }
        for (i, command) in self.commands.iter().enumerate() {
            if i > 0 {
                f.write_str(" | ")?;
            }
            fmt::Display::fmt(command, f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, term) in self.args.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            match &term.kind {
                TermKind::Pipe(pipe) => write!(f, "({pipe})")?,
                _ => fmt::Display::fmt(term, f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            TermKind::Bool(b) => write!(f, "{b}"),
            TermKind::Dot => f.write_str("."),
            TermKind::Nil => f.write_str("nil"),
            TermKind::Number(n) => f.write_str(&n.literal),
            TermKind::Text(text) => f.write_str(&text.literal),
            TermKind::Field(names) => write!(f, ".{}", names.join(".")),
            TermKind::Variable(names) => f.write_str(&names.join(".")),
            TermKind::Function(name) => f.write_str(name),
            TermKind::Pipe(pipe) => fmt::Display::fmt(pipe, f),
            TermKind::Chain(head, names) => {
                match &head.kind {
                    TermKind::Pipe(pipe) => write!(f, "({pipe})")?,
                    _ => fmt::Display::fmt(head, f)?,
                }
                write!(f, ".{}", names.join("."))
            }
        }
    }
}
