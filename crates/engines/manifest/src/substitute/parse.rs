//! Reads templates: text with `${…}` expressions.

/// How deep expressions may be nested.
const MAX_DEPTH: usize = 100;

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub(super) parts: Vec<Part>,
}

/// A stretch of text or one expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Expression(Expression),
}

/// `${name<operation>}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expression {
    pub(super) name: String,
    pub(super) operation: Operation,
}

/// What is done with a variable's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// `${v}`
    Value,
    /// `${#v}`
    Length,
    /// `${v^}`, `${v^^}`, `${v,}`, `${v,,}`
    Case(Case),
    /// `${v:offset}` and `${v:offset:length}`
    Slice(Cut),
    /// `${v#glob}` and its like
    Trim {
        side: Side,
        longest: bool,
        pattern: Box<Part>,
    },
    /// `${v/from/to}` and its like; a missing `to` removes
    Replace {
        scope: Scope,
        from: Box<Part>,
        to: Option<Box<Part>>,
    },
    /// `${v=text}`, `${v:-text}` and the others that fall back when there is no value
    Default(Vec<Part>),
}

/// Where a slice starts, and how long it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) offset: Box<Part>,
    pub(super) length: Option<Box<Part>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    UpperFirst,
    Upper,
    LowerFirst,
    Lower,
    /// Two different marks, which upstream reads and then ignores.
    Same,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Prefix,
    Suffix,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    First,
    All,
    Prefix,
    Suffix,
}

/// A malformed expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// Something else than the expected sign.
    #[error("bad substitution")]
    Bad,
    /// A name that no brace follows.
    #[error("missing closing brace")]
    MissingBrace,
    /// No name after the opening brace.
    #[error("unable to parse variable name")]
    Name,
    /// An argument is missing.
    #[error("unable to parse substitution within function")]
    Argument,
}

impl Template {
    /// Parses a text. It ends at the first NUL byte, as upstream's does.
    ///
    /// # Errors
    /// [`SyntaxError`] at the first malformed expression.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let end = text.find('\0').unwrap_or(text.len());
        let mut parser = Parser { rest: &text[..end] };
        let mut parts = Vec::new();
        while !parser.rest.is_empty() {
            parts.push(parser.text_or_expression(&[], Escapes::Dollar, 0)?);
        }
        Ok(Self { parts })
    }

    /// Tells whether a variable is read without a default, anywhere in the template.
    pub fn refers_to(&self, name: &str) -> bool {
        self.parts.iter().any(|part| part.refers_to(name))
    }
}

impl Part {
    fn refers_to(&self, name: &str) -> bool {
        let Self::Expression(expression) = self else {
            return false;
        };
        expression
            .arguments()
            .iter()
            .any(|part| part.refers_to(name))
            || (expression.name == name && !matches!(expression.operation, Operation::Default(_)))
    }
}

impl Expression {
    fn arguments(&self) -> Vec<&Part> {
        match &self.operation {
            Operation::Value | Operation::Length | Operation::Case(_) => Vec::new(),
            Operation::Slice(cut) => std::iter::once(&*cut.offset)
                .chain(cut.length.as_deref())
                .collect(),
            Operation::Trim { pattern, .. } => vec![pattern],
            Operation::Replace { from, to, .. } => {
                std::iter::once(&**from).chain(to.as_deref()).collect()
            }
            Operation::Default(parts) => parts.iter().collect(),
        }
    }
}

/// Which sequences stand for the sign after them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    None,
    /// `$$`
    Dollar,
    /// `$$`, `\/` and `\\`
    All,
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn take(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn close(&mut self) -> Result<(), SyntaxError> {
        if self.take("}") {
            Ok(())
        } else {
            Err(SyntaxError::Bad)
        }
    }

    /// Reads one expression, or text up to one of the `stops` or the next expression.
    fn text_or_expression(
        &mut self,
        stops: &[char],
        escapes: Escapes,
        depth: usize,
    ) -> Result<Part, SyntaxError> {
        if self.take("${") {
            return self.expression(depth).map(Part::Expression);
        }
        let mut text = String::new();
        let mut chars = self.rest.char_indices().peekable();
        let mut end = self.rest.len();
        while let Some((index, c)) = chars.next() {
            let next = chars.peek().map(|(_, next)| *next);
            let escaped = match (c, next) {
                ('$', Some('$')) => escapes != Escapes::None,
                ('\\', Some('/' | '\\')) => escapes == Escapes::All,
                _ => false,
            };
            if escaped {
                text.extend(chars.next().map(|(_, next)| next));
            } else if stops.contains(&c) || (c == '$' && next == Some('{')) {
                end = index;
                break;
            } else {
                text.push(c);
            }
        }
        if end == 0 {
            return Err(SyntaxError::Argument);
        }
        self.rest = &self.rest[end..];
        Ok(Part::Text(text))
    }

    /// Reads one argument, which must not be empty.
    fn argument(
        &mut self,
        stops: &[char],
        escapes: Escapes,
        depth: usize,
    ) -> Result<Box<Part>, SyntaxError> {
        if self.rest.is_empty() {
            return Err(SyntaxError::Argument);
        }
        self.text_or_expression(stops, escapes, depth).map(Box::new)
    }

    fn name(&mut self) -> String {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        name.into()
    }

    /// Reads an expression after its opening brace.
    fn expression(&mut self, depth: usize) -> Result<Expression, SyntaxError> {
        let depth = depth + 1;
        if depth > MAX_DEPTH {
            return Err(SyntaxError::Bad);
        }
        if self.take("#") {
            let name = self.name();
            if name.is_empty() {
                return Err(SyntaxError::Bad);
            }
            self.close()?;
            return Ok(Expression {
                name,
                operation: Operation::Length,
            });
        }
        let name = self.name();
        if name.is_empty() {
            return Err(SyntaxError::Name);
        }
        let operation = self.operation(depth)?;
        Ok(Expression { name, operation })
    }

    fn operation(&mut self, depth: usize) -> Result<Operation, SyntaxError> {
        if self.take("}") {
            return Ok(Operation::Value);
        }
        for mark in ["=", ":=", ":-", ":?", ":+"] {
            if self.take(mark) {
                return self.default(depth);
            }
        }
        if self.take(":") {
            return self.slice(depth);
        }
        for (mark, scope) in [
            ("//", Scope::All),
            ("/#", Scope::Prefix),
            ("/%", Scope::Suffix),
            ("/", Scope::First),
        ] {
            if self.take(mark) {
                return self.replace(scope, depth);
            }
        }
        for (mark, side, longest) in [
            ("##", Side::Prefix, true),
            ("#", Side::Prefix, false),
            ("%%", Side::Suffix, true),
            ("%", Side::Suffix, false),
        ] {
            if self.take(mark) {
                let pattern = self.argument(&['}'], Escapes::None, depth)?;
                self.close()?;
                return Ok(Operation::Trim {
                    side,
                    longest,
                    pattern,
                });
            }
        }
        for (mark, case) in [
            ("^^", Case::Upper),
            (",,", Case::Lower),
            ("^,", Case::Same),
            (",^", Case::Same),
            ("^", Case::UpperFirst),
            (",", Case::LowerFirst),
        ] {
            if self.take(mark) {
                self.close()?;
                return Ok(Operation::Case(case));
            }
        }
        Err(SyntaxError::MissingBrace)
    }

    fn default(&mut self, depth: usize) -> Result<Operation, SyntaxError> {
        let mut parts = Vec::new();
        while !self.take("}") {
            parts.push(*self.argument(&['}'], Escapes::None, depth)?);
        }
        Ok(Operation::Default(parts))
    }

    fn slice(&mut self, depth: usize) -> Result<Operation, SyntaxError> {
        let offset = self.argument(&[':', '}'], Escapes::None, depth)?;
        if self.take("}") {
            return Ok(Operation::Slice(Cut {
                offset,
                length: None,
            }));
        }
        if !self.take(":") {
            return Err(SyntaxError::Bad);
        }
        while self.take(":") {}
        let length = Some(self.argument(&['}'], Escapes::None, depth)?);
        self.close()?;
        Ok(Operation::Slice(Cut { offset, length }))
    }

    fn replace(&mut self, scope: Scope, depth: usize) -> Result<Operation, SyntaxError> {
        // `${v/#/x}` has an empty pattern.
        let from = if self.rest.starts_with('/') {
            Box::new(Part::Text(String::new()))
        } else {
            self.argument(&['/'], Escapes::All, depth)?
        };
        if !self.take("/") {
            return Err(SyntaxError::Bad);
        }
        while self.take("/") {}
        let mut to = None;
        if !self.rest.starts_with('}') {
            to = Some(self.argument(&['}'], Escapes::All, depth)?);
        }
        self.close()?;
        Ok(Operation::Replace { scope, from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: KC-094
    #[test]
    fn malformed_expressions_say_what_is_wrong() {
        for (text, error) in [
            ("${", SyntaxError::Name),
            ("${}", SyntaxError::Name),
            ("${-a}", SyntaxError::Name),
            ("${a", SyntaxError::MissingBrace),
            ("${a-b}", SyntaxError::MissingBrace),
            ("${a+b}", SyntaxError::MissingBrace),
            ("${a?b}", SyntaxError::MissingBrace),
            ("${a b}", SyntaxError::MissingBrace),
            ("${#}", SyntaxError::Bad),
            ("${#a b}", SyntaxError::Bad),
            ("${a^^^}", SyntaxError::Bad),
            ("${a:}", SyntaxError::Argument),
            ("${a:1:}", SyntaxError::Argument),
            ("${a:${b}c}", SyntaxError::Bad),
            ("${a#}", SyntaxError::Argument),
            ("${a/b}", SyntaxError::Bad),
            ("${a=b", SyntaxError::Argument),
            ("${a:=", SyntaxError::Argument),
        ] {
            assert_eq!(Template::parse(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |depth: usize| format!("{}x{}", "${a=".repeat(depth), "}".repeat(depth));
        assert!(Template::parse(&deep(MAX_DEPTH)).is_ok());
        assert_eq!(Template::parse(&deep(MAX_DEPTH + 1)), Err(SyntaxError::Bad));
        assert_eq!(Template::parse(&deep(1_000_000)), Err(SyntaxError::Bad));
    }

    #[test]
    fn references_without_default_are_found() {
        for (text, refers) in [
            ("${a}", true),
            ("${a^^}", true),
            ("${b:=${a}}", true),
            ("${a:=x}", false),
            ("$a $${a}", false),
            ("${b}", false),
        ] {
            assert_eq!(
                Template::parse(text).unwrap().refers_to("a"),
                refers,
                "{text}"
            );
        }
    }
}
