//! What an expression can cost at most, on the values at hand, found without running it.
//!
//! Every node is given an upper bound of the steps to evaluate it and of how large its value can
//! be. Paths into the given values (`status.conditions`) are followed, so that the bound of an
//! everyday expression is close to its true cost also where the object is large.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use serde_json::Value;

/// The steps that a regular expression known only at run time may take to compile.
const DYNAMIC_REGEX_STEPS: f64 = 20_000.0;

/// How large a value can be.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    /// The most elements of any collection in it.
    items: f64,
    /// Characters and nodes.
    weight: f64,
}

impl Size {
    const SCALAR: Self = Self {
        items: 0.0,
        weight: 1.0,
    };

    fn join(self, other: Self) -> Self {
        Self {
            items: self.items + other.items,
            weight: self.weight + other.weight,
        }
    }

    /// Of text: it may be split into its characters.
    fn text(length: usize) -> Self {
        Self {
            items: 0.0,
            weight: 1.0 + count(length),
        }
    }

    fn of(value: &Value) -> Self {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::SCALAR,
            Value::String(text) => Self::text(text.len()),
            Value::Array(list) => Self::collection(list.len(), list.iter().map(Self::of)),
            Value::Object(map) => {
                let entry = |(key, value): (&String, &Value)| {
                    let size = Self::of(value);
                    Self {
                        weight: size.weight + count(key.len()),
                        ..size
                    }
                };
                Self::collection(map.len(), map.iter().map(entry))
            }
        }
    }

    fn collection(length: usize, elements: impl Iterator<Item = Self>) -> Self {
        let start = Self {
            items: count(length),
            weight: 1.0,
        };
        elements.fold(start, |all, element| Self {
            items: all.items.max(element.items),
            weight: all.weight + element.weight,
        })
    }
}

/// The most that any element of a collection can be.
fn largest<'a>(elements: impl Iterator<Item = &'a Value>) -> Size {
    elements
        .map(Size::of)
        .fold(Size::SCALAR, |most, size| Size {
            items: most.items.max(size.items),
            weight: most.weight.max(size.weight),
        })
}

#[expect(clippy::cast_precision_loss, reason = "a bound needs no exact numbers")]
fn count(length: usize) -> f64 {
    length as f64
}

/// What is known of a node: a part of the given values, or the size of what it makes.
#[derive(Clone, Copy, Debug)]
enum Known<'a> {
    Given(&'a Value),
    Made(Size),
}

impl Known<'_> {
    fn size(self) -> Size {
        match self {
            Self::Given(value) => Size::of(value),
            Self::Made(size) => size,
        }
    }
}

/// The bounds of a whole expression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Steps, each well under a microsecond.
    pub(crate) steps: f64,
    /// The largest value made on the way, in characters and nodes.
    pub(crate) weight: f64,
}

/// Bounds an expression over variables.
pub(crate) fn bounds(root: &IdedExpr, variables: &[(&str, &Value)]) -> Bounds {
    let mut walk = Walk {
        variables,
        bound: Vec::new(),
        heaviest: 0.0,
    };
    let (_, steps) = walk.visit(root);
    Bounds {
        steps,
        weight: walk.heaviest,
    }
}

struct Walk<'a> {
    variables: &'a [(&'a str, &'a Value)],
    bound: Vec<(&'a str, Known<'a>)>,
    heaviest: f64,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, node: &'a IdedExpr) -> (Known<'a>, f64) {
        let (known, steps) = match &node.expr {
            Expr::Unspecified => (Known::Made(Size::SCALAR), 1.0),
            Expr::Literal(literal) => (Known::Made(literal_size(literal)), 1.0),
            Expr::Ident(name) => (self.variable(name), 1.0),
            Expr::Select(select) => {
                let (operand, steps) = self.visit(&select.operand);
                (field(operand, &select.field), steps + 1.0)
            }
            Expr::List(list) => self.collection(list.elements.iter()),
            Expr::Map(map) => self.entries(map.entries.iter().map(|e| &e.expr)),
            Expr::Struct(made) => self.entries(made.entries.iter().map(|e| &e.expr)),
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(fold) => self.fold(fold),
        };
        if let Known::Made(size) = known {
            self.heaviest = self.heaviest.max(size.weight);
        }
        (known, steps)
    }

    fn variable(&self, name: &str) -> Known<'a> {
        let bound = self.bound.iter().rev().find(|(own, _)| *own == name);
        let given = || {
            let given = self.variables.iter().find(|(own, _)| *own == name);
            given.map(|(_, value)| Known::Given(value))
        };
        bound
            .map(|(_, known)| *known)
            .or_else(given)
            .unwrap_or(Known::Made(Size::SCALAR))
    }

    fn collection(&mut self, nodes: impl Iterator<Item = &'a IdedExpr>) -> (Known<'a>, f64) {
        let mut sizes = Vec::new();
        let mut steps = 1.0;
        for node in nodes {
            let (known, own) = self.visit(node);
            sizes.push(known.size());
            steps += own;
        }
        let size = Size::collection(sizes.len(), sizes.into_iter());
        (Known::Made(size), steps + size.weight)
    }

    fn entries(&mut self, entries: impl Iterator<Item = &'a EntryExpr>) -> (Known<'a>, f64) {
        let nodes = entries.flat_map(|entry| match entry {
            EntryExpr::StructField(field) => vec![&field.value],
            EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
        });
        self.collection(nodes)
    }

    fn call(&mut self, call: &'a CallExpr) -> (Known<'a>, f64) {
        let mut args = Vec::with_capacity(call.args.len() + 1);
        let mut steps = 1.0;
        for node in call.target.as_deref().into_iter().chain(&call.args) {
            let (known, own) = self.visit(node);
            args.push(known);
            steps += own;
        }
        let name = call.func_name.as_str();
        match (name, args.as_slice()) {
            ("_[_]" | "_[?_]" | "_?._", [operand, ..]) => {
                let known =
                    literal_key(call).map_or_else(|| element(*operand), |key| field(*operand, key));
                return (known, steps);
            }
            ("_&&_" | "_||_" | "!_" | "@not_strictly_false", _) => {
                return (Known::Made(Size::SCALAR), steps);
            }
            ("matches", _) if !has_literal_pattern(call) => steps += DYNAMIC_REGEX_STEPS,
            _ => {}
        }
        let sizes: Vec<Size> = args.iter().map(|known| known.size()).collect();
        let all = sizes.iter().copied().fold(Size::default(), Size::join);
        let product = sizes.iter().map(|s| s.weight.max(1.0)).product::<f64>();
        let size = match name {
            "split" => Size {
                items: all.weight,
                weight: 2.0 * all.weight,
            },
            "replace" | "join" => Size::text(0).join(Size {
                items: 0.0,
                weight: product,
            }),
            "format" => Size {
                items: 0.0,
                weight: product + 1000.0 * all.weight,
            },
            "quote" | "strings.quote" | "encode" | "base64.encode" | "string" => Size {
                items: 0.0,
                weight: 32.0 + 4.0 * all.weight,
            },
            _ => all,
        };
        let own = match name {
            "contains" | "equivalent" | "intersects" => product.min(all.weight * all.weight),
            name if name.starts_with("sets.") => product,
            "indexOf" | "lastIndexOf" => product,
            _ => (all.weight + size.weight) / 8.0,
        };
        (Known::Made(size), steps + own)
    }

    /// Macros: they add to what they gather, once per element.
    fn fold(&mut self, fold: &'a ComprehensionExpr) -> (Known<'a>, f64) {
        let (range, range_steps) = self.visit(&fold.iter_range);
        let (start, start_steps) = self.visit(&fold.accu_init);
        let turns = match range {
            Known::Given(Value::Array(list)) => count(list.len()),
            Known::Given(Value::Object(map)) => count(map.len()),
            Known::Given(_) => 0.0,
            Known::Made(size) => size.items,
        };
        let item = element(range);
        let depth = self.bound.len();
        self.bound.push((&fold.iter_var, item));
        if let Some(second) = &fold.iter_var2 {
            self.bound.push((second, item));
        }
        // What one turn adds; what was there before is counted once, below.
        let nothing = Known::Made(Size::SCALAR);
        self.bound.push((&fold.accu_var, nothing));
        let (_, condition_steps) = self.visit(&fold.loop_cond);
        let (added, turn_steps) = self.visit(&fold.loop_step);
        let (start, added) = (start, added.size());
        let whole = if turns == 0.0 {
            start
        } else {
            let start = start.size();
            Known::Made(Size {
                items: (start.items + turns).max(added.items),
                weight: start.weight + turns * added.weight,
            })
        };
        if let Some(last) = self.bound.last_mut() {
            last.1 = whole;
        }
        let (result, result_steps) = self.visit(&fold.result);
        self.bound.truncate(depth);
        let turns_steps = turns * (condition_steps + turn_steps + 1.0);
        let steps = range_steps + start_steps + turns_steps + result_steps;
        (result, steps)
    }
}

fn literal_size(literal: &LiteralValue) -> Size {
    match literal {
        LiteralValue::String(text) => Size::text(text.inner().len()),
        LiteralValue::Bytes(bytes) => Size::text(bytes.inner().len()),
        _ => Size::SCALAR,
    }
}

/// A field of what is known; a field that is not there costs nothing.
fn field<'a>(operand: Known<'a>, name: &str) -> Known<'a> {
    match operand {
        Known::Given(value) => value
            .get(name)
            .map_or(Known::Made(Size::SCALAR), Known::Given),
        made @ Known::Made(_) => made,
    }
}

/// Any element of what is known.
fn element(operand: Known<'_>) -> Known<'_> {
    match operand {
        Known::Given(Value::Array(list)) => Known::Made(largest(list.iter())),
        Known::Given(Value::Object(map)) => {
            let keys = map.keys().map(String::len).max().unwrap_or_default();
            let values = largest(map.values());
            Known::Made(Size {
                items: values.items,
                weight: values.weight.max(1.0 + count(keys)),
            })
        }
        Known::Given(_) => Known::Made(Size::SCALAR),
        made @ Known::Made(_) => made,
    }
}

fn literal_text(node: &IdedExpr) -> Option<&str> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

/// The key of `a['b']` or `a.?b`, where it is written out.
fn literal_key(call: &CallExpr) -> Option<&str> {
    call.args.last().and_then(literal_text)
}

/// Whether the pattern of `matches` is written out: it was compiled when the expression was.
fn has_literal_pattern(call: &CallExpr) -> bool {
    call.args.last().and_then(literal_text).is_some()
}
