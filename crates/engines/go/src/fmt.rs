//! Printing with verbs, after Go's `fmt`: `Sprint`, `Sprintln` and `Sprintf` over any value model
//! that can show itself as a [`View`].

mod number;
mod value;

use std::borrow::Cow;

use crate::strconv::decode_rune;
use number::Flags;

/// How a value looks to the printer.
#[derive(Debug)]
pub enum View<'a, V> {
    /// An empty interface.
    Nil,
    /// A boolean.
    Bool(bool),
    /// A signed integer of any width.
    Int(i64),
    /// An unsigned integer of any width.
    Uint(u64),
    /// A float of 64 bits.
    Float(f64),
    /// A string.
    Str(Cow<'a, [u8]>),
    /// A slice of bytes.
    Bytes(Cow<'a, [u8]>),
    /// A slice; `None` is a nil slice.
    List(Option<&'a [V]>),
    /// A map with string keys, sorted; `None` is a nil map.
    Map(Option<Vec<(Vec<u8>, V)>>),
    /// A struct, or a pointer to one.
    Struct {
        /// Names and values of all fields.
        fields: Vec<(Cow<'a, str>, V)>,
        /// Whether the value is a pointer.
        pointer: bool,
    },
}

/// A value that can be printed.
pub trait Operand: Clone {
    /// How the value looks.
    fn view(&self) -> View<'_, Self>;

    /// The Go type, such as `map[string]interface {}`.
    fn type_name(&self) -> Cow<'_, str>;

    /// What the value's `Error` or `String` method says, where it has one.
    fn text(&self) -> Option<Vec<u8>> {
        None
    }

    /// Whether the value is an empty interface.
    fn is_interface_nil(&self) -> bool {
        matches!(self.view(), View::Nil)
    }
}

/// The depth at which printing gives up on a value that holds itself.
const MAX_DEPTH: usize = 1000;

/// The widest padding, as in Go, beyond which a width is an error.
const MAX_WIDTH: i64 = 1_000_000;

/// Prints operands with `%v`, a space between two that are no strings.
pub fn sprint<V: Operand>(operands: &[V]) -> Vec<u8> {
    let mut printer = Printer::default();
    let mut previous_string = false;
    for (i, operand) in operands.iter().enumerate() {
        let string = matches!(operand.view(), View::Str(_));
        if i > 0 && !string && !previous_string {
            printer.out.push(b' ');
        }
        printer.operand(operand, 'v');
        previous_string = string;
    }
    printer.out
}

/// Prints operands with `%v`, always a space between them, and a line break.
pub fn sprintln<V: Operand>(operands: &[V]) -> Vec<u8> {
    let mut printer = Printer::default();
    for (i, operand) in operands.iter().enumerate() {
        if i > 0 {
            printer.out.push(b' ');
        }
        printer.operand(operand, 'v');
    }
    printer.out.push(b'\n');
    printer.out
}

/// Prints one value with `%v`.
pub fn print_value<V: Operand>(value: &V) -> Vec<u8> {
    let mut printer = Printer::default();
    printer.operand(value, 'v');
    printer.out
}

/// Prints operands as the format tells. Mistakes appear in the output, as in Go: `%!d(string=a)`.
pub fn sprintf<V: Operand>(format: &[u8], operands: &[V]) -> Vec<u8> {
    let mut directive = Directive {
        format,
        at: 0,
        operands,
        next: 0,
        reordered: false,
    };
    let mut printer = Printer::default();
    while directive.at < format.len() {
        let rest = &format[directive.at..];
        let literal = rest.iter().position(|b| *b == b'%').unwrap_or(rest.len());
        printer.out.extend_from_slice(&rest[..literal]);
        directive.at += literal;
        if directive.at < format.len() {
            directive.at += 1;
            directive.run(&mut printer);
        }
    }
    directive.report_extra(&mut printer);
    printer.out
}

#[derive(Debug, Default)]
struct Printer {
    out: Vec<u8>,
    flags: Flags,
    /// Set while an error is printed, so that methods are not called again.
    erroring: bool,
}

/// The state of reading one format.
struct Directive<'a, V> {
    format: &'a [u8],
    at: usize,
    operands: &'a [V],
    next: usize,
    reordered: bool,
}

impl<V: Operand> Directive<'_, V> {
    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    fn run(&mut self, printer: &mut Printer) {
        printer.flags = Flags::default();
        self.read_flags(&mut printer.flags);
        let mut good_index = true;
        let mut after_index = self.index(&mut good_index);
        if self.peek() == Some(b'*') {
            self.at += 1;
            self.star_width(printer);
            after_index = false;
        } else if let Some(width) = self.number() {
            printer.flags.width = Some(width);
            if after_index {
                good_index = false;
            }
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if after_index {
                good_index = false;
            }
            after_index = self.index(&mut good_index);
            if self.peek() == Some(b'*') {
                self.at += 1;
                self.star_precision(printer);
                after_index = false;
            } else {
                printer.flags.precision = Some(self.number().unwrap_or(0));
            }
        }
        if !after_index {
            self.index(&mut good_index);
        }
        let Some((verb, width)) = decode_rune(&self.format[self.at..]) else {
            printer.out.extend_from_slice(b"%!(NOVERB)");
            return;
        };
        self.at += width;
        self.verb(
            printer,
            verb.unwrap_or(char::REPLACEMENT_CHARACTER),
            good_index,
        );
    }

    fn verb(&mut self, printer: &mut Printer, verb: char, good_index: bool) {
        if verb == '%' {
            printer.out.push(b'%');
            return;
        }
        if !good_index {
            printer.complain(verb, b"BADINDEX");
            return;
        }
        let Some(operand) = self.operands.get(self.next) else {
            printer.complain(verb, b"MISSING");
            return;
        };
        self.next += 1;
        if verb == 'v' {
            let flags = &mut printer.flags;
            flags.sharp_v = std::mem::take(&mut flags.sharp);
            flags.plus_v = std::mem::take(&mut flags.plus);
        }
        printer.operand(operand, verb);
    }

    fn read_flags(&mut self, flags: &mut Flags) {
        while let Some(byte) = self.peek() {
            match byte {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = true,
                b'+' => flags.plus = true,
                b'-' => flags.minus = true,
                b' ' => flags.space = true,
                _ => break,
            }
            self.at += 1;
        }
    }

    /// Reads `[n]`; whether there was one.
    fn index(&mut self, good: &mut bool) -> bool {
        if self.peek() != Some(b'[') {
            return false;
        }
        self.reordered = true;
        let rest = &self.format[self.at..];
        let Some(end) = rest.iter().position(|b| *b == b']') else {
            *good = false;
            self.at += 1;
            return false;
        };
        let digits = std::str::from_utf8(&rest[1..end]).unwrap_or_default();
        self.at += end + 1;
        match digits.parse::<usize>() {
            Ok(n) if n >= 1 && n <= self.operands.len() => self.next = n - 1,
            _ => *good = false,
        }
        true
    }

    fn number(&mut self) -> Option<usize> {
        let rest = &self.format[self.at..];
        let length = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let digits = std::str::from_utf8(&rest[..length]).ok()?;
        let value: i64 = digits.parse().ok()?;
        if value > MAX_WIDTH {
            return None;
        }
        self.at += length;
        usize::try_from(value).ok()
    }

    fn star(&mut self) -> Option<i64> {
        let operand = self.operands.get(self.next)?;
        self.next += 1;
        match operand.view() {
            View::Int(n) if n.abs() <= MAX_WIDTH => Some(n),
            View::Uint(n) => i64::try_from(n).ok().filter(|n| *n <= MAX_WIDTH),
            _ => None,
        }
    }

    fn star_width(&mut self, printer: &mut Printer) {
        match self.star() {
            Some(n) => {
                if n < 0 {
                    printer.flags.minus = true;
                    printer.flags.zero = false;
                }
                printer.flags.width = usize::try_from(n.unsigned_abs()).ok();
            }
            None => printer.out.extend_from_slice(b"%!(BADWIDTH)"),
        }
    }

    fn star_precision(&mut self, printer: &mut Printer) {
        match self.star() {
            Some(n) => printer.flags.precision = usize::try_from(n).ok(),
            None => printer.out.extend_from_slice(b"%!(BADPREC)"),
        }
    }

    fn report_extra(&self, printer: &mut Printer) {
        if self.reordered || self.next >= self.operands.len() {
            return;
        }
        printer.flags = Flags::default();
        printer.out.extend_from_slice(b"%!(EXTRA ");
        for (i, operand) in self.operands[self.next..].iter().enumerate() {
            if i > 0 {
                printer.out.extend_from_slice(b", ");
            }
            if operand.is_interface_nil() {
                printer.out.extend_from_slice(b"<nil>");
            } else {
                printer
                    .out
                    .extend_from_slice(operand.type_name().as_bytes());
                printer.out.push(b'=');
                printer.operand(operand, 'v');
            }
        }
        printer.out.push(b')');
    }
}

#[cfg(test)]
mod tests;
