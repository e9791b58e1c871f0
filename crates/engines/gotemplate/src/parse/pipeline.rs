//! Pipelines, commands and operands.

use super::{Parser, Result, number};
use crate::ast::{Command, Pipe, Term, TermKind};
use crate::lex::{Token, TokenKind, quote};
use crate::text::{Str, TextLiteral};

impl<'s> Parser<'s, '_> {
    pub(super) fn pipeline(&mut self, context: &str, end: TokenKind) -> Result<Pipe> {
        self.enter()?;
        let first = self.peek_solid();
        let mut pipe = Pipe {
            at: first.at,
            assign: false,
            declared: Vec::new(),
            commands: Vec::new(),
        };
        self.declarations(&mut pipe, context)?;
        loop {
            let token = self.next_solid();
            if token.kind == end {
                self.depth -= 1;
                self.check(&pipe, context)?;
                return Ok(pipe);
            }
            if !begins_operand(token.kind) {
                return Err(self.unexpected(&token, context));
            }
            self.push(token);
            let command = self.command()?;
            pipe.commands.push(command);
        }
    }

    /// `$x :=`, `$x =` or `$i, $x :=`.
    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Result<()> {
        loop {
            let variable = self.next_solid();
            if variable.kind != TokenKind::Variable {
                self.push(variable);
                return Ok(());
            }
            let after = self.peek();
            let next = self.peek_solid();
            let comma = next.kind == TokenKind::Char && next.text == ",";
            if !comma && !matches!(next.kind, TokenKind::Assign | TokenKind::Declare) {
                if after.kind == TokenKind::Space {
                    self.push(after);
                }
                self.push(variable);
                return Ok(());
            }
            self.next_solid();
            pipe.declared.push(variable.text.to_owned());
            self.variables.push(variable.text.to_owned());
            if !comma {
                pipe.assign = next.kind == TokenKind::Assign;
                return Ok(());
            }
            if context != "range" || pipe.declared.len() >= 2 {
                return Err(self.fail(format!("too many declarations in {context}")));
            }
            let second = self.peek_solid();
            let fits = matches!(
                second.kind,
                TokenKind::Variable | TokenKind::RightDelim | TokenKind::RightParen
            );
            if !fits {
                return Err(self.fail("range can only initialize variables"));
            }
        }
    }

    fn check(&self, pipe: &Pipe, context: &str) -> Result<()> {
        if pipe.commands.is_empty() {
            return Err(self.fail(format!("missing value for {context}")));
        }
        for (i, command) in pipe.commands.iter().enumerate().skip(1) {
            let literal = command.args.first().is_some_and(|term| {
                matches!(
                    term.kind,
                    TermKind::Bool(_)
                        | TermKind::Dot
                        | TermKind::Nil
                        | TermKind::Number(_)
                        | TermKind::Text(_)
                )
            });
            if literal {
                let stage = i + 1;
                let message = format!("non executable command in pipeline stage {stage}");
                return Err(self.fail(message));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Result<Command> {
        let at = self.peek_solid().at;
        let mut args = Vec::new();
        loop {
            self.peek_solid();
            if let Some(term) = self.operand()? {
                args.push(term);
            }
            let token = self.next();
            match token.kind {
                TokenKind::Space => {}
                TokenKind::RightDelim | TokenKind::RightParen => {
                    self.push(token);
                    break;
                }
                TokenKind::Pipe => break,
                _ => return Err(self.unexpected(&token, "operand")),
            }
        }
        if args.is_empty() {
            return Err(self.fail("empty command"));
        }
        Ok(Command { at, args })
    }

    /// A term with the fields that follow it.
    fn operand(&mut self) -> Result<Option<Term>> {
        let Some(term) = self.term()? else {
            return Ok(None);
        };
        let first = self.peek();
        if first.kind != TokenKind::Field {
            return Ok(Some(term));
        }
        let mut names = Vec::new();
        while self.peek().kind == TokenKind::Field {
            names.push(self.next().text[1..].to_owned());
        }
        let kind = match term.kind {
            TermKind::Field(mut head) => {
                head.append(&mut names);
                TermKind::Field(head)
            }
            TermKind::Variable(mut head) => {
                head.append(&mut names);
                TermKind::Variable(head)
            }
            TermKind::Bool(_)
            | TermKind::Text(_)
            | TermKind::Number(_)
            | TermKind::Nil
            | TermKind::Dot => {
                let shown = quote(&term.to_string());
                return Err(self.fail(format!("unexpected . after term {shown}")));
            }
            _ => TermKind::Chain(Box::new(term), names),
        };
        Ok(Some(Term { at: first.at, kind }))
    }

    fn term(&mut self) -> Result<Option<Term>> {
        let token = self.next_solid();
        let kind = match token.kind {
            TokenKind::Identifier => {
                if !(self.has_function)(token.text) {
                    let name = quote(token.text);
                    return Err(self.fail(format!("function {name} not defined")));
                }
                TermKind::Function(token.text.to_owned())
            }
            TokenKind::Dot => TermKind::Dot,
            TokenKind::Nil => TermKind::Nil,
            TokenKind::Variable => {
                if !self.variables.iter().any(|v| v == token.text) {
                    let name = quote(token.text);
                    return Err(self.fail(format!("undefined variable {name}")));
                }
                TermKind::Variable(vec![token.text.to_owned()])
            }
            TokenKind::Field => TermKind::Field(vec![token.text[1..].to_owned()]),
            TokenKind::Bool => TermKind::Bool(token.text == "true"),
            TokenKind::CharConstant | TokenKind::Number => {
                TermKind::Number(number::read(token.text).map_err(|e| self.fail(e))?)
            }
            TokenKind::LeftParen => TermKind::Pipe(Box::new(
                self.pipeline("parenthesized pipeline", TokenKind::RightParen)?,
            )),
            TokenKind::String | TokenKind::RawString => self.literal(&token)?,
            _ => {
                self.push(token);
                return Ok(None);
            }
        };
        Ok(Some(Term { at: token.at, kind }))
    }

    fn literal(&self, token: &Token<'s>) -> Result<TermKind> {
        let bytes = go::strconv::unquote(token.text).ok_or_else(|| self.fail("invalid syntax"))?;
        let literal = token.text.to_owned();
        Ok(TermKind::Text(TextLiteral {
            value: Str::from(bytes),
            literal,
        }))
    }
}

fn begins_operand(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Bool
            | TokenKind::CharConstant
            | TokenKind::Dot
            | TokenKind::Field
            | TokenKind::Identifier
            | TokenKind::Number
            | TokenKind::Nil
            | TokenKind::RawString
            | TokenKind::String
            | TokenKind::Variable
            | TokenKind::LeftParen
    )
}
