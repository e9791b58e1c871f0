//! Loops.

use super::field::is_container;
use super::state::{Evaluated, State};
use super::{Flow, Result};
use crate::ast::Branch;
use crate::value::{ANY, MapKind, Value};

impl<'t> State<'t, '_> {
    pub(super) fn range(&mut self, dot: &Evaluated, branch: &'t Branch) -> Result<Flow> {
        let outer = self.mark();
        let over = self.pipeline(dot, &branch.pipe)?;
        let inner = self.mark();
        let ran = self.iterate(branch, &over.value, inner)?;
        // A break in the else part belongs to the loop outside.
        let flow = if ran {
            Flow::Next
        } else {
            self.walk(dot, &branch.otherwise)?
        };
        self.pop(outer);
        Ok(flow)
    }

    /// Runs the body for each element; whether there was any.
    fn iterate(&mut self, branch: &'t Branch, over: &Value, mark: usize) -> Result<bool> {
        match over {
            Value::Nil => Ok(false),
            Value::Int(n) | Value::Int64(n) => self.count(branch, over, *n, mark),
            Value::Uint64(n) => {
                self.count(branch, over, i64::try_from(*n).unwrap_or(i64::MAX), mark)
            }
            Value::Byte(n) => self.count(branch, over, i64::from(*n), mark),
            Value::List(list) => {
                let boxed = list.element() == ANY;
                for (i, item) in (0_i64..).zip(list.items()) {
                    let element = Evaluated {
                        value: item.clone(),
                        boxed,
                    };
                    if self.turn(branch, Value::Int(i), &element, mark)? == Flow::Break {
                        break;
                    }
                }
                Ok(!list.items().is_empty())
            }
            Value::Bytes(bytes) => {
                for (i, byte) in (0_i64..).zip(bytes.as_bytes()) {
                    let element = Evaluated::concrete(Value::Byte(*byte));
                    if self.turn(branch, Value::Int(i), &element, mark)? == Flow::Break {
                        break;
                    }
                }
                Ok(!bytes.is_empty())
            }
            Value::Map(map) => {
                let boxed = match map.kind() {
                    MapKind::Any => true,
                    MapKind::Strings => false,
                    MapKind::Named(named) => named.element == ANY,
                };
                let keys = map.keys();
                for key in &keys {
                    // The body may have removed the key meanwhile.
                    let value = map.get(key.as_bytes()).unwrap_or_default();
                    let element = Evaluated { value, boxed };
                    if self.turn(branch, map.key_value(key), &element, mark)? == Flow::Break {
                        break;
                    }
                }
                Ok(!keys.is_empty())
            }
            other => {
                debug_assert!(!is_container(other), "containers are iterated above");
                let shown = String::from_utf8_lossy(&other.printed()).into_owned();
                Err(self.fail(format!("range can't iterate over {shown}")))
            }
        }
    }

    fn count(&mut self, branch: &'t Branch, over: &Value, end: i64, mark: usize) -> Result<bool> {
        if branch.pipe.declared.len() > 1 {
            let shown = String::from_utf8_lossy(&over.printed()).into_owned();
            let text = format!("can't use {shown} to iterate over more than one variable");
            return Err(self.fail(text));
        }
        for i in 0..end {
            let value = match over {
                Value::Int64(_) => Value::Int64(i),
                Value::Uint64(_) => Value::Uint64(i.unsigned_abs()),
                _ => Value::Int(i),
            };
            let element = Evaluated::concrete(value);
            if self.turn(branch, Value::Nil, &element, mark)? == Flow::Break {
                break;
            }
        }
        Ok(end > 0)
    }

    fn turn(
        &mut self,
        branch: &'t Branch,
        key: Value,
        element: &Evaluated,
        mark: usize,
    ) -> Result<Flow> {
        self.shared.spend_steps(1)?;
        let declared = &branch.pipe.declared;
        let key = Evaluated::concrete(key);
        match (declared.as_slice(), branch.pipe.assign) {
            ([one], true) => self.assign(one, element.clone())?,
            ([first, second], true) => {
                self.assign(first, key)?;
                self.assign(second, element.clone())?;
            }
            ([_], false) => self.set_top(1, element.clone()),
            ([_, _], false) => {
                self.set_top(2, key);
                self.set_top(1, element.clone());
            }
            _ => {}
        }
        let flow = self.walk(element, &branch.body)?;
        self.pop(mark);
        Ok(flow)
    }
}
