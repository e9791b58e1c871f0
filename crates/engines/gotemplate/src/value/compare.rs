//! Truth and equality.

use super::{MapKind, Value};

/// How deep two values are compared; deeper ones count as equal, as cyclic ones must.
const MAX_DEPTH: usize = 1000;

/// Whether a condition holds: zero and empty values do not.
pub fn truth(value: &Value) -> bool {
    match value {
        Value::Nil => false,
        Value::Bool(b) => *b,
        Value::Int(n) | Value::Int64(n) => *n != 0,
        Value::Uint64(n) => *n != 0,
        Value::Byte(n) => *n != 0,
        Value::Float(f) => *f != 0.0,
        Value::Str(s) | Value::Bytes(s) => !s.is_empty(),
        Value::List(list) => !list.items().is_empty(),
        Value::Map(map) => !map.is_empty(),
        Value::Duration(d) => d.nanos() != 0,
        Value::Time(_) | Value::Struct(_) => true,
    }
}

/// Whether two values are equal in type and content: `reflect.DeepEqual`.
pub fn deep_equal(a: &Value, b: &Value) -> bool {
    equal(a, b, 0)
}

#[expect(clippy::float_cmp, reason = "Go compares floats exactly")]
#[expect(
    clippy::many_single_char_names,
    reason = "pairs are told apart by their letters"
)]
fn equal(a: &Value, b: &Value, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return true;
    }
    match (a, b) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(x), Value::Bool(y)) => x == y,
        (Value::Int(x), Value::Int(y)) | (Value::Int64(x), Value::Int64(y)) => x == y,
        (Value::Uint64(x), Value::Uint64(y)) => x == y,
        (Value::Byte(x), Value::Byte(y)) => x == y,
        (Value::Float(x), Value::Float(y)) => x == y,
        (Value::Str(x), Value::Str(y)) | (Value::Bytes(x), Value::Bytes(y)) => x == y,
        (Value::Time(x), Value::Time(y)) => x == y,
        (Value::Duration(x), Value::Duration(y)) => x == y,
        (Value::List(x), Value::List(y)) => {
            x.element() == y.element()
                && x.is_nil() == y.is_nil()
                && x.items().len() == y.items().len()
                && x.items()
                    .iter()
                    .zip(y.items())
                    .all(|(p, q)| equal(p, q, depth + 1))
        }
        (Value::Map(x), Value::Map(y)) => {
            if x.same(y) {
                return true;
            }
            let same_type = match (x.kind(), y.kind()) {
                (MapKind::Any, MapKind::Any) | (MapKind::Strings, MapKind::Strings) => true,
                (MapKind::Named(p), MapKind::Named(q)) => p.name == q.name,
                _ => false,
            };
            same_type && x.len() == y.len() && {
                let (left, right) = (x.entries(), y.entries());
                left.iter()
                    .zip(&right)
                    .all(|(p, q)| p.0 == q.0 && equal(&p.1, &q.1, depth + 1))
            }
        }
        (Value::Struct(x), Value::Struct(y)) => {
            x.of.name == y.of.name
                && x.fields
                    .iter()
                    .zip(&y.fields)
                    .all(|(p, q)| equal(&p.1, &q.1, depth + 1))
        }
        _ => false,
    }
}
