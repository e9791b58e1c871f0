//! Printing one value: kinds, methods, nested values, and verbs that do not fit.

use super::{MAX_DEPTH, Operand, Printer, View};

impl Printer {
    /// Prints `%!d(MISSING)` and its like.
    pub(super) fn complain(&mut self, verb: char, what: &[u8]) {
        self.out.extend_from_slice(b"%!");
        self.push_char(verb);
        self.out.push(b'(');
        self.out.extend_from_slice(what);
        self.out.push(b')');
    }

    pub(super) fn push_char(&mut self, c: char) {
        let mut buffer = [0; 4];
        self.out
            .extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
    }

    pub(super) fn operand<V: Operand>(&mut self, value: &V, verb: char) {
        if verb == 'T' {
            if value.is_interface_nil() {
                self.text(b"<nil>", 's');
            } else {
                self.text(value.type_name().as_bytes(), 's');
            }
            return;
        }
        if value.is_interface_nil() {
            if verb == 'v' {
                self.pad(b"<nil>");
            } else {
                self.bad_verb(value, verb);
            }
            return;
        }
        self.value(value, verb, 0);
    }

    fn bad_verb<V: Operand>(&mut self, value: &V, verb: char) {
        let outer = std::mem::replace(&mut self.erroring, true);
        self.out.extend_from_slice(b"%!");
        self.push_char(verb);
        self.out.push(b'(');
        if value.is_interface_nil() {
            self.out.extend_from_slice(b"<nil>");
        } else {
            self.out.extend_from_slice(value.type_name().as_bytes());
            self.out.push(b'=');
            self.value(value, 'v', 0);
        }
        self.out.push(b')');
        self.erroring = outer;
    }

    /// Prints what the value's own method says, where the verb asks for text.
    fn method<V: Operand>(&mut self, value: &V, verb: char) -> bool {
        if self.erroring || self.flags.sharp_v || !matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') {
            return false;
        }
        let Some(text) = value.text() else {
            return false;
        };
        self.text(&text, verb);
        true
    }

    fn value<V: Operand>(&mut self, value: &V, verb: char, depth: usize) {
        if depth > MAX_DEPTH {
            self.out.extend_from_slice(b"...");
            return;
        }
        if self.method(value, verb) {
            return;
        }
        let done = match value.view() {
            View::Nil => {
                if self.flags.sharp_v {
                    self.out.extend_from_slice(b"interface {}(nil)");
                } else {
                    self.out.extend_from_slice(b"<nil>");
                }
                true
            }
            View::Bool(b) => self.boolean(b, verb),
            View::Int(n) => self.integer(n.unsigned_abs(), n < 0, true, verb),
            View::Uint(n) => self.integer(n, false, false, verb),
            View::Float(f) => self.float(f, verb),
            View::Str(text) => self.text(&text, verb),
            View::Bytes(bytes) => self.bytes(&bytes, &value.type_name(), verb),
            View::List(items) => {
                self.list(value, items, verb, depth);
                true
            }
            View::Map(entries) => {
                self.map(value, entries, verb, depth);
                true
            }
            View::Struct { fields, pointer } => {
                if pointer {
                    self.out.push(b'&');
                }
                self.structure(value, &fields, verb, depth);
                true
            }
        };
        if !done {
            self.bad_verb(value, verb);
        }
    }

    fn list<V: Operand>(&mut self, value: &V, items: Option<&[V]>, verb: char, depth: usize) {
        let (open, close, gap): (u8, u8, &[u8]) = if self.flags.sharp_v {
            (b'{', b'}', b", ")
        } else {
            (b'[', b']', b" ")
        };
        if self.flags.sharp_v {
            self.out.extend_from_slice(value.type_name().as_bytes());
            if items.is_none() {
                self.out.extend_from_slice(b"(nil)");
                return;
            }
        }
        self.out.push(open);
        for (i, item) in items.unwrap_or_default().iter().enumerate() {
            if i > 0 {
                self.out.extend_from_slice(gap);
            }
            self.value(item, verb, depth + 1);
        }
        self.out.push(close);
    }

    fn map<V: Operand>(
        &mut self,
        value: &V,
        entries: Option<Vec<(Vec<u8>, V)>>,
        verb: char,
        depth: usize,
    ) {
        if self.flags.sharp_v {
            self.out.extend_from_slice(value.type_name().as_bytes());
            if entries.is_none() {
                self.out.extend_from_slice(b"(nil)");
                return;
            }
            self.out.push(b'{');
        } else {
            self.out.extend_from_slice(b"map[");
        }
        for (i, (key, item)) in entries.unwrap_or_default().iter().enumerate() {
            if i > 0 {
                let gap: &[u8] = if self.flags.sharp_v { b", " } else { b" " };
                self.out.extend_from_slice(gap);
            }
            if !self.text(key, verb) {
                self.out.extend_from_slice(b"%!");
                self.push_char(verb);
                self.out.extend_from_slice(b"(string=");
                self.text(key, 'v');
                self.out.push(b')');
            }
            self.out.push(b':');
            self.value(item, verb, depth + 1);
        }
        self.out.push(if self.flags.sharp_v { b'}' } else { b']' });
    }

    fn structure<V: Operand>(
        &mut self,
        value: &V,
        fields: &[(std::borrow::Cow<'_, str>, V)],
        verb: char,
        depth: usize,
    ) {
        if self.flags.sharp_v {
            self.out
                .extend_from_slice(value.type_name().trim_start_matches('*').as_bytes());
        }
        self.out.push(b'{');
        for (i, (name, item)) in fields.iter().enumerate() {
            if i > 0 {
                let gap: &[u8] = if self.flags.sharp_v { b", " } else { b" " };
                self.out.extend_from_slice(gap);
            }
            if self.flags.plus_v || self.flags.sharp_v {
                self.out.extend_from_slice(name.as_bytes());
                self.out.push(b':');
            }
            self.value(item, verb, depth + 1);
        }
        self.out.push(b'}');
    }
}
