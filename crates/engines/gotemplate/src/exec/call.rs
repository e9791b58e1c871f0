//! Calls of functions and methods, and the checking of their arguments.

use super::Result;
use super::state::{Evaluated, Site, State};
use crate::ast::{Term, TermKind};
use crate::engine::Call;
use crate::funcs::Body;
use crate::value::{ANY, MapKind, Method, Type, Value, truth};

impl<'t> State<'t, '_> {
    pub(super) fn function(
        &mut self,
        dot: &Evaluated,
        term: &'t Term,
        site: Site<'t>,
        name: &str,
        args: &'t [Term],
        last: Option<Evaluated>,
    ) -> Result<Evaluated> {
        self.at(Site::Term(term));
        self.shared.spend_steps(1)?;
        let Some(function) = self.shared.functions.get(name) else {
            let name = crate::lex::quote(name);
            return Err(self.fail(format!("{name} is not a defined function")));
        };
        self.check_count(
            name,
            function.params,
            function.variadic,
            args.len(),
            last.is_some(),
        )?;
        let body = match function.body {
            Body::And => return self.short_circuit(dot, args, last, false),
            Body::Or => return self.short_circuit(dot, args, last, true),
            Body::Native(body) => body,
        };
        let values = self.arguments(dot, function.params, function.variadic, args, last)?;
        let call = Call {
            templates: self.templates,
            shared: self.shared,
        };
        let made = body(&call, &values).and_then(|value| {
            // Functions whose texts can be much larger than their arguments have counted them before
            // they made them; the others count here.
            if let Value::Str(text) = &value {
                self.shared.spend_bytes(text.len())?;
            }
            Ok(value)
        });
        match made {
            Ok(value) => Ok(Evaluated::concrete(value)),
            Err(fault) => {
                self.at(site);
                Err(self.fail_call(name, fault))
            }
        }
    }

    pub(super) fn method(
        &mut self,
        dot: &Evaluated,
        term: &'t Term,
        method: &Method,
        args: &'t [Term],
        last: Option<Evaluated>,
        receiver: &Value,
    ) -> Result<Evaluated> {
        let name = method.name;
        self.check_count(
            name,
            method.params,
            method.variadic,
            args.len(),
            last.is_some(),
        )?;
        let values = self.arguments(dot, method.params, method.variadic, args, last)?;
        (method.call)(receiver, &values)
            .map(Evaluated::concrete)
            .map_err(|fault| {
                self.at(Site::Term(term));
                self.fail_call(name, fault)
            })
    }

    fn check_count(
        &self,
        name: &str,
        params: &[Type],
        variadic: bool,
        given: usize,
        piped: bool,
    ) -> Result<()> {
        let total = given + usize::from(piped);
        if variadic {
            let least = params.len() - 1;
            if total < least {
                let text =
                    format!("wrong number of args for {name}: want at least {least} got {given}");
                return Err(self.fail(text));
            }
        } else if total != params.len() {
            let want = params.len();
            let text = format!("wrong number of args for {name}: want {want} got {total}");
            return Err(self.fail(text));
        }
        Ok(())
    }

    fn arguments(
        &mut self,
        dot: &Evaluated,
        params: &[Type],
        variadic: bool,
        args: &'t [Term],
        last: Option<Evaluated>,
    ) -> Result<Vec<Value>> {
        let fixed = if variadic {
            params.len() - 1
        } else {
            params.len()
        };
        let wanted = |i: usize| {
            if i < fixed {
                params.get(i)
            } else {
                params.last()
            }
            .copied()
            .unwrap_or(Type::Any)
        };
        let mut values = Vec::with_capacity(args.len() + 1);
        for (i, arg) in args.iter().enumerate() {
            values.push(self.argument(dot, wanted(i), arg)?);
        }
        if let Some(last) = last {
            let value = self.validated(last, wanted(values.len()))?;
            values.push(value);
        }
        Ok(values)
    }

    fn short_circuit(
        &mut self,
        dot: &Evaluated,
        args: &'t [Term],
        last: Option<Evaluated>,
        stop_at: bool,
    ) -> Result<Evaluated> {
        let mut value = Value::Nil;
        for arg in args {
            value = self.argument(dot, Type::Reflect, arg)?;
            if truth(&value) == stop_at {
                return Ok(Evaluated::concrete(value));
            }
        }
        if let Some(last) = last {
            value = last.value;
        }
        Ok(Evaluated::concrete(value))
    }

    fn argument(&mut self, dot: &Evaluated, want: Type, term: &'t Term) -> Result<Value> {
        self.at(Site::Term(term));
        let evaluated = match &term.kind {
            TermKind::Nil => {
                if want == Type::Length {
                    return Ok(crate::value::no_value());
                }
                if want.takes_nil() {
                    return Ok(Value::Nil);
                }
                return Err(self.fail(format!("cannot assign nil to {}", want.name())));
            }
            TermKind::Dot => dot.clone(),
            TermKind::Field(_) | TermKind::Variable(_) | TermKind::Chain(..) => {
                self.accessor(dot, term, &[], None)?
            }
            TermKind::Pipe(pipe) => self.pipeline(dot, pipe)?,
            TermKind::Function(name) => {
                self.function(dot, term, Site::Term(term), name, &[], None)?
            }
            TermKind::Bool(_) | TermKind::Number(_) | TermKind::Text(_) => {
                return self.literal(dot, want, term);
            }
        };
        self.validated(evaluated, want)
    }

    /// A constant where a parameter's type is known.
    fn literal(&mut self, dot: &Evaluated, want: Type, term: &'t Term) -> Result<Value> {
        match (want, &term.kind) {
            (Type::Any | Type::Reflect | Type::Length, _) => {
                self.constant(dot, term).map(|e| e.value)
            }
            (Type::Bool, TermKind::Bool(b)) => Ok(Value::Bool(*b)),
            (Type::Bool, _) => Err(self.fail(format!("expected bool; found {term}"))),
            (Type::String, TermKind::Text(text)) => Ok(Value::Str(text.value.clone())),
            (Type::String, _) => Err(self.fail(format!("expected string; found {term}"))),
            (Type::Int | Type::Int64, kind) => match kind {
                TermKind::Number(n) if n.int.is_some() => {
                    let int = n.int.unwrap_or_default();
                    Ok(if want == Type::Int {
                        Value::Int(int)
                    } else {
                        Value::Int64(int)
                    })
                }
                _ => Err(self.fail(format!("expected integer; found {term}"))),
            },
            (Type::Uint32, kind) => match kind {
                TermKind::Number(n) if n.uint.is_some() => {
                    Ok(Value::Uint64(n.uint.unwrap_or_default() & 0xffff_ffff))
                }
                _ => Err(self.fail(format!("expected unsigned integer; found {term}"))),
            },
            (Type::Float, TermKind::Number(n)) if n.float.is_some() => {
                Ok(Value::Float(n.float.unwrap_or_default()))
            }
            (Type::Float, _) => Err(self.fail(format!("expected float; found {term}"))),
            (Type::Dict | Type::List | Type::Time | Type::Named(_), _) => {
                let want = want.name();
                Err(self.fail(format!("can't handle {term} for arg of type {want}")))
            }
        }
    }

    fn validated(&self, evaluated: Evaluated, want: Type) -> Result<Value> {
        if evaluated.is_invalid() {
            if want == Type::Length {
                return Ok(crate::value::no_value());
            }
            if want.takes_nil() {
                return Ok(Value::Nil);
            }
            return Err(self.fail(format!("invalid value; expected {}", want.name())));
        }
        if want.accepts(&evaluated.value) {
            return Ok(match evaluated.value {
                // The parameter's type is the plain one, so the argument takes it.
                Value::Map(map) if want == Type::Dict => Value::Map(map.retyped(MapKind::Any)),
                value => value,
            });
        }
        // An interface that holds nothing has only its own type to show.
        let got = if evaluated.value.is_nil() {
            ANY.to_owned()
        } else {
            evaluated.value.type_name()
        };
        let want = want.name();
        Err(self.fail(format!("wrong type for value; expected {want}; got {got}")))
    }
}
