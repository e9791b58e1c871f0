//! Walks trees.

mod call;
mod field;
mod range;
mod state;

use std::rc::Rc;

use crate::ast::{Branch, Invoke, Node, Pipe, Tree};
use crate::engine::{Shared, Templates};
use crate::error::Fault;
use crate::value::{Value, truth};
use state::{Evaluated, Site, State};

type Result<T> = std::result::Result<T, Fault>;

/// How a list of nodes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// Executes one template with data; its output.
pub(crate) fn run(
    templates: &Rc<Templates>,
    tree: &Tree,
    data: Value,
    shared: &Shared,
) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    execute(
        templates,
        tree,
        &Evaluated::concrete(data),
        shared,
        &mut out,
    )?;
    Ok(out)
}

fn execute(
    templates: &Rc<Templates>,
    tree: &Tree,
    data: &Evaluated,
    shared: &Shared,
    out: &mut Vec<u8>,
) -> Result<()> {
    shared.enter()?;
    let mut state = State::new(templates, tree, data.clone(), shared, out);
    let result = state.walk(data, &tree.root);
    shared.leave();
    result.map(|_| ())
}

impl<'t> State<'t, '_> {
    fn walk(&mut self, dot: &Evaluated, nodes: &'t [Node]) -> Result<Flow> {
        for node in nodes {
            self.shared.spend_steps(1)?;
            match node {
                Node::Text(place) => {
                    let text = self.text(place);
                    self.write(text.as_bytes())?;
                }
                Node::Action(pipe) => {
                    let value = self.pipeline(dot, pipe)?;
                    if pipe.declared.is_empty() {
                        self.print(pipe, &value)?;
                    }
                }
                Node::Break => return Ok(Flow::Break),
                Node::Continue => return Ok(Flow::Continue),
                Node::If(branch) => match self.branch(dot, branch, false)? {
                    Flow::Next => {}
                    flow => return Ok(flow),
                },
                Node::With(branch) => match self.branch(dot, branch, true)? {
                    Flow::Next => {}
                    flow => return Ok(flow),
                },
                Node::Range(branch) => match self.range(dot, branch)? {
                    Flow::Next => {}
                    flow => return Ok(flow),
                },
                Node::Template(invoke) => self.invoke(dot, invoke)?,
            }
        }
        Ok(Flow::Next)
    }

    fn branch(&mut self, dot: &Evaluated, branch: &'t Branch, with: bool) -> Result<Flow> {
        let mark = self.mark();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = if truth(&value.value) {
            let inner = if with { &value } else { dot };
            self.walk(inner, &branch.body)
        } else {
            self.walk(dot, &branch.otherwise)
        };
        self.pop(mark);
        flow
    }

    fn invoke(&mut self, dot: &Evaluated, invoke: &'t Invoke) -> Result<()> {
        self.at(Site::Invoke(invoke));
        let Some(tree) = self.templates.get(&invoke.name) else {
            let name = crate::lex::quote(&invoke.name);
            return Err(self.fail(format!("template {name} not defined")));
        };
        let data = match &invoke.pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Evaluated::invalid(),
        };
        execute(self.templates, &tree, &data, self.shared, self.out)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.shared.spend_bytes(bytes.len())?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn print(&mut self, pipe: &'t Pipe, value: &Evaluated) -> Result<()> {
        self.at(Site::Pipe(pipe));
        if value.is_invalid() {
            return self.write(b"<no value>");
        }
        if let Value::Str(text) = &value.value {
            return self.write(text.as_bytes());
        }
        let printed = value.value.printed();
        self.write(&printed)
    }

    /// Evaluates commands left to right, each result the last argument of the next.
    fn pipeline(&mut self, dot: &Evaluated, pipe: &'t Pipe) -> Result<Evaluated> {
        self.at(Site::Pipe(pipe));
        let mut value: Option<Evaluated> = None;
        for command in &pipe.commands {
            let next = self.command(dot, command, value.take())?;
            // What an interface holds comes out of it; an empty one is no value at all.
            value = Some(next.unboxed());
        }
        let value = value.unwrap_or_else(Evaluated::invalid);
        for name in &pipe.declared {
            if pipe.assign {
                self.assign(name, value.clone())?;
            } else {
                self.declare(name, value.clone());
            }
        }
        Ok(value)
    }
}
