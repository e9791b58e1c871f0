//! Operands: constants, variables, fields and methods.

use super::Result;
use super::state::{Evaluated, Site, State};
use crate::ast::{Command, Number, Term, TermKind};
use crate::engine::MissingKey;
use crate::value::{ANY, Kind, MapKind, Value};

impl<'t> State<'t, '_> {
    pub(super) fn command(
        &mut self,
        dot: &Evaluated,
        command: &'t Command,
        last: Option<Evaluated>,
    ) -> Result<Evaluated> {
        let Some(first) = command.args.first() else {
            return Ok(Evaluated::invalid());
        };
        match &first.kind {
            TermKind::Field(_) | TermKind::Chain(..) | TermKind::Variable(_) => {
                self.accessor(dot, first, &command.args[1..], last)
            }
            TermKind::Function(name) => self.function(
                dot,
                first,
                Site::Command(command),
                name,
                &command.args[1..],
                last,
            ),
            TermKind::Pipe(pipe) => {
                self.not_a_function(first, &command.args[1..], last.as_ref())?;
                self.pipeline(dot, pipe)
            }
            TermKind::Nil => {
                self.at(Site::Term(first));
                self.not_a_function(first, &command.args[1..], last.as_ref())?;
                Err(self.fail("nil is not a command"))
            }
            TermKind::Bool(_) | TermKind::Dot | TermKind::Number(_) | TermKind::Text(_) => {
                self.at(Site::Term(first));
                self.not_a_function(first, &command.args[1..], last.as_ref())?;
                self.constant(dot, first)
            }
        }
    }

    /// The dot, or a constant as an empty interface takes it.
    pub(super) fn constant(&mut self, dot: &Evaluated, term: &'t Term) -> Result<Evaluated> {
        self.at(Site::Term(term));
        match &term.kind {
            TermKind::Bool(b) => Ok(Evaluated::concrete(Value::Bool(*b))),
            TermKind::Dot => Ok(dot.clone()),
            TermKind::Number(number) => self.ideal(number).map(Evaluated::concrete),
            TermKind::Text(text) => Ok(Evaluated::concrete(Value::Str(text.value.clone()))),
            _ => Err(self.fail(format!(
                "can't handle assignment of {term} to empty interface argument"
            ))),
        }
    }

    /// A number where its type is not given: float if written as one, else int.
    fn ideal(&self, number: &Number) -> Result<Value> {
        let literal = &number.literal;
        let hex = literal.len() > 2
            && literal.starts_with('0')
            && literal[1..].starts_with(['x', 'X'])
            && !literal.contains(['p', 'P']);
        let float_like =
            !hex && !literal.starts_with('\'') && literal.contains(['.', 'e', 'E', 'p', 'P']);
        match (number.float, number.int) {
            (Some(float), _) if float_like => Ok(Value::Float(float)),
            (_, Some(int)) => Ok(Value::Int(int)),
            _ => Err(self.fail(format!("{literal} overflows int"))),
        }
    }

    fn not_a_function(&self, first: &Term, args: &[Term], last: Option<&Evaluated>) -> Result<()> {
        if args.is_empty() && last.is_none() {
            return Ok(());
        }
        let shown = match &first.kind {
            TermKind::Pipe(pipe) => pipe.to_string(),
            _ => first.to_string(),
        };
        Err(self.fail(format!("can't give argument to non-function {shown}")))
    }

    /// A field chain, a variable with fields, or fields of a parenthesised pipeline.
    pub(super) fn accessor(
        &mut self,
        dot: &Evaluated,
        term: &'t Term,
        args: &'t [Term],
        last: Option<Evaluated>,
    ) -> Result<Evaluated> {
        self.at(Site::Term(term));
        let (mut receiver, names) = match &term.kind {
            TermKind::Field(names) => (dot.clone(), names.as_slice()),
            TermKind::Variable(names) => {
                let value = self.variable(&names[0])?;
                if names.len() == 1 {
                    self.not_a_function(term, args, last.as_ref())?;
                    return Ok(value);
                }
                (value, &names[1..])
            }
            TermKind::Chain(head, names) => {
                if matches!(head.kind, TermKind::Nil) {
                    return Err(self.fail(format!("indirection through explicit nil in {term}")));
                }
                (self.head(dot, head)?, names.as_slice())
            }
            _ => return Ok(Evaluated::invalid()),
        };
        let Some((final_name, inner)) = names.split_last() else {
            return Ok(receiver);
        };
        for name in inner {
            receiver = self.field(dot, term, name, &[], None, &receiver)?;
        }
        self.field(dot, term, final_name, args, last, &receiver)
    }

    /// What fields are taken from in `(pipeline).Field` and `function.Field`.
    fn head(&mut self, dot: &Evaluated, head: &'t Term) -> Result<Evaluated> {
        self.at(Site::Term(head));
        match &head.kind {
            TermKind::Pipe(pipe) => self.pipeline(dot, pipe),
            TermKind::Function(name) => self.function(dot, head, Site::Term(head), name, &[], None),
            TermKind::Field(_) | TermKind::Variable(_) | TermKind::Chain(..) => {
                self.accessor(dot, head, &[], None)
            }
            _ => self.constant(dot, head),
        }
    }

    fn field(
        &mut self,
        dot: &Evaluated,
        term: &'t Term,
        name: &str,
        args: &'t [Term],
        last: Option<Evaluated>,
        receiver: &Evaluated,
    ) -> Result<Evaluated> {
        self.shared.spend_steps(1)?;
        let strict = self.shared.missing_key == MissingKey::Error;
        if receiver.is_invalid() {
            if strict {
                let key = crate::lex::quote(name);
                return Err(self.fail(format!("nil data; no entry for key {key}")));
            }
            return Ok(Evaluated::invalid());
        }
        if receiver.value.is_nil() {
            return Err(self.fail(format!("nil pointer evaluating {ANY}.{name}")));
        }
        let methods = crate::value::methods_of(&receiver.value);
        if let Some(method) = methods.iter().find(|m| m.name == name) {
            return self.method(dot, term, method, args, last, &receiver.value);
        }
        let has_args = !args.is_empty() || last.is_some();
        match &receiver.value {
            Value::Map(map) => {
                if has_args {
                    return Err(self.fail(format!("{name} is not a method but has arguments")));
                }
                let found = map.get(name.as_bytes());
                if found.is_none() && strict {
                    let key = crate::lex::quote(name);
                    return Err(self.fail(format!("map has no entry for key {key}")));
                }
                Ok(element(map.kind(), found))
            }
            Value::Struct(s) => match s.field(name) {
                Some(_) if !name.starts_with(|c: char| c.is_uppercase()) => {
                    let of = receiver.type_name();
                    Err(self.fail(format!("{name} is an unexported field of struct type {of}")))
                }
                Some(_) if has_args => {
                    let text = format!("{name} has arguments but cannot be invoked as function");
                    Err(self.fail(text))
                }
                Some(value) => Ok(Evaluated::concrete(value.clone())),
                None => Err(self.no_field(name, receiver)),
            },
            _ => Err(self.no_field(name, receiver)),
        }
    }

    fn no_field(&self, name: &str, receiver: &Evaluated) -> crate::error::Fault {
        let of = receiver.type_name();
        self.fail(format!("can't evaluate field {name} in type {of}"))
    }
}

/// An element of a map, or the zero value of its element type.
pub(super) fn element(kind: MapKind, found: Option<Value>) -> Evaluated {
    let of = match kind {
        MapKind::Any => ANY,
        MapKind::Strings => "string",
        MapKind::Named(named) => named.element,
    };
    match (of, found) {
        (ANY, found) => Evaluated::boxed(found.unwrap_or_default()),
        (_, Some(value)) => Evaluated::concrete(value),
        ("string", None) => Evaluated::concrete(Value::empty()),
        ("[]uint8", None) => Evaluated::concrete(Value::Bytes(crate::text::Str::from(""))),
        (_, None) => Evaluated::boxed(Value::Nil),
    }
}

/// Whether the value is one that fields can be taken from.
pub(super) fn is_container(value: &Value) -> bool {
    matches!(value.kind(), Kind::Slice | Kind::Map)
}
