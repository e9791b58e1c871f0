//! The state of one template's execution: variables, output, and where it stands.

use std::ops::Range;
use std::rc::Rc;

use crate::ast::{Command, Invoke, Pipe, Term, Tree};
use crate::engine::{Shared, Templates};
use crate::error::{Fault, FaultKind};
use crate::value::{ANY, Value};

/// A value and whether its static type is an empty interface, as that of a map's element is. An
/// unboxed nil is no value at all.
#[derive(Debug, Clone)]
pub(super) struct Evaluated {
    pub(super) value: Value,
    pub(super) boxed: bool,
}

impl Evaluated {
    pub(super) fn concrete(value: Value) -> Self {
        Self {
            value,
            boxed: false,
        }
    }

    pub(super) fn boxed(value: Value) -> Self {
        Self { value, boxed: true }
    }

    pub(super) fn invalid() -> Self {
        Self::concrete(Value::Nil)
    }

    pub(super) fn is_invalid(&self) -> bool {
        !self.boxed && self.value.is_nil()
    }

    pub(super) fn unboxed(self) -> Self {
        Self::concrete(self.value)
    }

    /// The static type's name.
    pub(super) fn type_name(&self) -> String {
        if self.boxed {
            ANY.to_owned()
        } else {
            self.value.type_name()
        }
    }
}

/// The node that was evaluated last, which errors show.
#[derive(Debug, Clone, Copy)]
pub(super) enum Site<'t> {
    None,
    Invoke(&'t Invoke),
    Pipe(&'t Pipe),
    Command(&'t Command),
    Term(&'t Term),
}

pub(super) struct State<'t, 'r> {
    pub(super) templates: &'r Rc<Templates>,
    pub(super) shared: &'r Shared,
    pub(super) out: &'r mut Vec<u8>,
    tree: &'t Tree,
    site: Site<'t>,
    variables: Vec<(&'t str, Evaluated)>,
}

impl<'t, 'r> State<'t, 'r> {
    pub(super) fn new(
        templates: &'r Rc<Templates>,
        tree: &'t Tree,
        data: Evaluated,
        shared: &'r Shared,
        out: &'r mut Vec<u8>,
    ) -> Self {
        Self {
            templates,
            shared,
            out,
            tree,
            site: Site::None,
            variables: vec![("$", data)],
        }
    }

    pub(super) fn at(&mut self, site: Site<'t>) {
        self.site = site;
    }

    /// What the template has at a place of its source.
    pub(super) fn text(&self, place: &Range<usize>) -> &'t str {
        self.tree.text(place)
    }

    pub(super) fn mark(&self) -> usize {
        self.variables.len()
    }

    pub(super) fn pop(&mut self, mark: usize) {
        self.variables.truncate(mark);
    }

    pub(super) fn declare(&mut self, name: &'t str, value: Evaluated) {
        self.variables.push((name, value));
    }

    pub(super) fn assign(&mut self, name: &str, value: Evaluated) -> Result<(), Fault> {
        match self.variables.iter_mut().rev().find(|(n, _)| *n == name) {
            Some(slot) => {
                slot.1 = value;
                Ok(())
            }
            None => Err(self.fail(format!("undefined variable: {name}"))),
        }
    }

    /// Sets the n-th variable from the top, 1 being the last declared.
    pub(super) fn set_top(&mut self, n: usize, value: Evaluated) {
        if let Some(i) = self.variables.len().checked_sub(n) {
            self.variables[i].1 = value;
        }
    }

    pub(super) fn variable(&self, name: &str) -> Result<Evaluated, Fault> {
        self.variables
            .iter()
            .rev()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| value.clone())
            .ok_or_else(|| self.fail(format!("undefined variable: {name}")))
    }

    /// `template: file:line:column: executing "name" at <node>: `
    fn place(&self) -> String {
        let (at, node) = match self.site {
            Site::None => return format!("template: {}: ", self.tree.name),
            Site::Invoke(node) => (node.at, node.to_string()),
            Site::Pipe(node) => (node.at, node.to_string()),
            Site::Command(node) => (node.at, node.to_string()),
            Site::Term(node) => (node.at, node.to_string()),
        };
        let location = self.tree.location(at);
        let name = crate::lex::quote(&self.tree.name);
        format!("template: {location}: executing {name} at <{node}>: ")
    }

    /// An error at the node evaluated last.
    pub(super) fn fail(&self, message: impl AsRef<str>) -> Fault {
        Fault::of(
            FaultKind::Exec,
            format!("{}{}", self.place(), message.as_ref()),
        )
    }

    /// A function's error, at the node evaluated last.
    pub(super) fn fail_call(&self, function: &str, source: Fault) -> Fault {
        let text = format!("{}error calling {function}: {source}", self.place());
        source.wrap(FaultKind::Exec, text)
    }
}
