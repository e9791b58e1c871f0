//! Builds trees from tokens.

mod number;
mod pipeline;

use std::rc::Rc;

use crate::ast::{Branch, Invoke, Node, Tree};
use crate::error::{Fault, FaultKind};
use crate::lex::{Lexer, Token, TokenKind, quote};

type Result<T> = std::result::Result<T, Fault>;

/// How deep actions and parentheses may nest.
const MAX_DEPTH: usize = 500;

/// Parses a text into its own template and those it defines, the text's own first.
pub(crate) fn parse(
    name: &str,
    source: &Rc<str>,
    has_function: &dyn Fn(&str) -> bool,
) -> Result<Vec<Tree>> {
    let mut parser = Parser {
        lexer: Lexer::new(source),
        pushed: Vec::new(),
        name: Rc::from(name),
        source: Rc::clone(source),
        line: 1,
        action_line: 0,
        variables: vec!["$".to_owned()],
        range_depth: 0,
        depth: 0,
        defined: Vec::new(),
        has_function,
    };
    let mut root = Vec::new();
    loop {
        let token = parser.peek();
        if token.kind == TokenKind::Eof {
            break;
        }
        if token.kind == TokenKind::LeftDelim {
            let delim = parser.next();
            let word = parser.next_solid();
            if word.is_keyword("define") {
                parser.definition()?;
                continue;
            }
            parser.push(word);
            parser.push(delim);
        }
        match parser.element()? {
            Element::Node(node) => root.push(node),
            Element::End => return Err(parser.fail("unexpected {{end}}")),
            Element::Else => return Err(parser.fail("unexpected {{else}}")),
        }
    }
    let own = parser.tree(name, root);
    parser.add(own)?;
    Ok(parser.defined)
}

struct Parser<'s, 'f> {
    lexer: Lexer<'s>,
    /// Tokens put back, the next one last.
    pushed: Vec<Token<'s>>,
    name: Rc<str>,
    source: Rc<str>,
    line: usize,
    /// The line on which the innermost action began, for errors about unfinished ones.
    action_line: usize,
    variables: Vec<String>,
    range_depth: usize,
    depth: usize,
    defined: Vec<Tree>,
    has_function: &'f dyn Fn(&str) -> bool,
}

enum Element {
    Node(Node),
    End,
    Else,
}

impl<'s> Parser<'s, '_> {
    fn next(&mut self) -> Token<'s> {
        let token = self.pushed.pop().unwrap_or_else(|| self.lexer.next());
        self.line = token.line;
        token
    }

    fn push(&mut self, token: Token<'s>) {
        self.pushed.push(token);
    }

    fn peek(&mut self) -> Token<'s> {
        let token = self.next();
        self.push(token.clone());
        token
    }

    fn next_solid(&mut self) -> Token<'s> {
        loop {
            let token = self.next();
            if token.kind != TokenKind::Space {
                return token;
            }
        }
    }

    fn peek_solid(&mut self) -> Token<'s> {
        let token = self.next_solid();
        self.push(token.clone());
        token
    }

    fn fail(&self, message: impl AsRef<str>) -> Fault {
        let text = format!(
            "template: {}:{}: {}",
            self.name,
            self.line,
            message.as_ref()
        );
        Fault::of(FaultKind::Parse, text)
    }

    fn unexpected(&self, token: &Token<'_>, context: &str) -> Fault {
        if token.kind != TokenKind::Error {
            return self.fail(format!("unexpected {} in {context}", token.shown()));
        }
        let mut extra = String::new();
        if self.action_line != 0 && self.action_line != token.line {
            extra = format!(" in action started at {}:{}", self.name, self.action_line);
            if token.error.ends_with(" action") {
                extra.drain(.." in action".len());
            }
        }
        self.fail(format!("{}{extra}", token.shown()))
    }

    fn tree(&self, name: &str, root: Vec<Node>) -> Tree {
        Tree {
            name: name.to_owned(),
            parse_name: Rc::clone(&self.name),
            source: Rc::clone(&self.source),
            root,
        }
    }

    /// Keeps a template. A blank one never replaces another; two that are not blank clash.
    fn add(&mut self, tree: Tree) -> Result<()> {
        if let Some(slot) = self.defined.iter().position(|t| t.name == tree.name) {
            if self.defined[slot].is_blank() {
                self.defined[slot] = tree;
            } else if !tree.is_blank() {
                let name = quote(&tree.name);
                return Err(self.fail(format!("template: multiple definition of template {name}")));
            }
        } else {
            self.defined.push(tree);
        }
        Ok(())
    }

    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.fail("exceeded maximum nesting depth"));
        }
        Ok(())
    }

    /// `define "name"}} … {{end}}`, after the keyword.
    fn definition(&mut self) -> Result<()> {
        const CONTEXT: &str = "define clause";
        let token = self.next_solid();
        let name = self.template_name(&token, CONTEXT)?;
        let close = self.next_solid();
        if close.kind != TokenKind::RightDelim {
            return Err(self.unexpected(&close, CONTEXT));
        }
        let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let outer_range = std::mem::take(&mut self.range_depth);
        let (root, end) = self.list()?;
        if !end {
            return Err(self.fail(format!("unexpected {{{{else}}}} in {CONTEXT}")));
        }
        self.variables = outer;
        self.range_depth = outer_range;
        let tree = self.tree(&name, root);
        self.add(tree)
    }

    fn template_name(&mut self, token: &Token<'s>, context: &str) -> Result<String> {
        if !matches!(token.kind, TokenKind::String | TokenKind::RawString) {
            return Err(self.unexpected(token, context));
        }
        let bytes = go::strconv::unquote(token.text).ok_or_else(|| self.fail("invalid syntax"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Elements up to `end` (true) or `else` (false).
    fn list(&mut self) -> Result<(Vec<Node>, bool)> {
        self.enter()?;
        let mut nodes = Vec::new();
        while self.peek_solid().kind != TokenKind::Eof {
            match self.element()? {
                Element::Node(node) => nodes.push(node),
                Element::End => {
                    self.depth -= 1;
                    return Ok((nodes, true));
                }
                Element::Else => {
                    self.depth -= 1;
                    return Ok((nodes, false));
                }
            }
        }
        Err(self.fail("unexpected EOF"))
    }

    fn element(&mut self) -> Result<Element> {
        let token = self.next_solid();
        match token.kind {
            TokenKind::Text => {
                let end = token.at + token.text.len();
                Ok(Element::Node(Node::Text(token.at..end)))
            }
            TokenKind::LeftDelim => {
                self.action_line = token.line;
                let element = self.action()?;
                self.action_line = 0;
                Ok(element)
            }
            _ => Err(self.unexpected(&token, "input")),
        }
    }

    fn action(&mut self) -> Result<Element> {
        let token = self.next_solid();
        if token.kind == TokenKind::Keyword {
            let node = match token.text {
                "block" => self.block()?,
                "break" => self.loop_word(Node::Break, "{{break}}")?,
                "continue" => self.loop_word(Node::Continue, "{{continue}}")?,
                "else" => return self.else_word(),
                "end" => {
                    self.close("end")?;
                    return Ok(Element::End);
                }
                "if" => Node::If(self.branch("if")?),
                "range" => Node::Range(self.branch("range")?),
                "template" => self.invoke()?,
                "with" => Node::With(self.branch("with")?),
                _ => return Err(self.unexpected(&token, "command")),
            };
            return Ok(Element::Node(node));
        }
        self.push(token);
        let pipe = self.pipeline("command", TokenKind::RightDelim)?;
        Ok(Element::Node(Node::Action(pipe)))
    }

    fn close(&mut self, context: &str) -> Result<()> {
        let token = self.next_solid();
        if token.kind == TokenKind::RightDelim {
            Ok(())
        } else {
            Err(self.unexpected(&token, context))
        }
    }

    fn loop_word(&mut self, node: Node, shown: &str) -> Result<Node> {
        self.close(shown)?;
        if self.range_depth == 0 {
            return Err(self.fail(format!("{shown} outside {{{{range}}}}")));
        }
        Ok(node)
    }

    /// `else`, which may stand directly before `if` or `with`.
    fn else_word(&mut self) -> Result<Element> {
        let next = self.peek_solid();
        if !next.is_keyword("if") && !next.is_keyword("with") {
            self.close("else")?;
        }
        Ok(Element::Else)
    }

    fn branch(&mut self, context: &str) -> Result<Branch> {
        let scope = self.variables.len();
        let pipe = self.pipeline(context, TokenKind::RightDelim)?;
        let looping = usize::from(context == "range");
        self.range_depth += looping;
        let (body, ended) = self.list()?;
        self.range_depth -= looping;
        let otherwise = if ended {
            Vec::new()
        } else {
            self.otherwise(context)?
        };
        self.variables.truncate(scope);
        Ok(Branch {
            pipe,
            body,
            otherwise,
        })
    }

    fn otherwise(&mut self, context: &str) -> Result<Vec<Node>> {
        let next = self.peek();
        if next.is_keyword("if") || next.is_keyword("with") {
            if next.text != context {
                let token = self.next();
                return Err(self.unexpected(&token, "input"));
            }
            self.next();
            self.enter()?;
            let branch = self.branch(context)?;
            self.depth -= 1;
            let node = if context == "if" {
                Node::If(branch)
            } else {
                Node::With(branch)
            };
            return Ok(vec![node]);
        }
        let (nodes, ended) = self.list()?;
        if ended {
            Ok(nodes)
        } else {
            Err(self.fail("expected end; found {{else}}"))
        }
    }

    fn block(&mut self) -> Result<Node> {
        const CONTEXT: &str = "block clause";
        let literal = self.next_solid();
        let name = self.template_name(&literal, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, TokenKind::RightDelim)?;
        let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let outer_range = std::mem::take(&mut self.range_depth);
        let (root, ended) = self.list()?;
        if !ended {
            return Err(self.fail(format!("unexpected {{{{else}}}} in {CONTEXT}")));
        }
        self.variables = outer;
        self.range_depth = outer_range;
        let tree = self.tree(&name, root);
        self.add(tree)?;
        Ok(Node::Template(Invoke {
            at: literal.at,
            name,
            pipe: Some(pipe),
        }))
    }

    fn invoke(&mut self) -> Result<Node> {
        const CONTEXT: &str = "template clause";
        let literal = self.next_solid();
        let name = self.template_name(&literal, CONTEXT)?;
        let next = self.next_solid();
        let pipe = if next.kind == TokenKind::RightDelim {
            None
        } else {
            self.push(next);
            Some(self.pipeline(CONTEXT, TokenKind::RightDelim)?)
        };
        Ok(Node::Template(Invoke {
            at: literal.at,
            name,
            pipe,
        }))
    }
}
