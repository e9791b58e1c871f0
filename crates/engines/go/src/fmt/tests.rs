use std::borrow::Cow;

use super::*;

#[derive(Debug, Clone)]
enum Sample {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(&'static str),
    List(Vec<Self>),
    Map(Vec<(&'static str, Self)>),
    Named(&'static str),
}

impl Operand for Sample {
    fn view(&self) -> View<'_, Self> {
        match self {
            Self::Nil => View::Nil,
            Self::Bool(b) => View::Bool(*b),
            Self::Int(n) => View::Int(*n),
            Self::Float(f) => View::Float(*f),
            Self::Str(s) | Self::Named(s) => View::Str(Cow::Borrowed(s.as_bytes())),
            Self::List(items) => View::List(Some(items)),
            Self::Map(entries) => View::Map(Some(
                entries
                    .iter()
                    .map(|(k, v)| (k.as_bytes().to_vec(), v.clone()))
                    .collect(),
            )),
        }
    }

    fn type_name(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
            Self::Named(_) => "main.Named",
        })
    }

    fn text(&self) -> Option<Vec<u8>> {
        matches!(self, Self::Named(_)).then(|| b"named".to_vec())
    }
}

use Sample::{Bool, Float, Int, List, Map, Named, Nil, Str};

fn check(format: &str, operands: &[Sample], expect: &str) {
    let out = sprintf(format.as_bytes(), operands);
    assert_eq!(String::from_utf8_lossy(&out), expect, "{format}");
}

#[test]
fn values_print_by_kind() {
    let list = List(vec![Str("a"), Int(1), Nil]);
    check("%v", std::slice::from_ref(&list), "[a 1 <nil>]");
    check("%s", std::slice::from_ref(&list), "[a %!s(int=1) <nil>]");
    check(
        "%#v",
        &[List(vec![Int(1), Str("a"), Nil])],
        "[]interface {}{1, \"a\", interface {}(nil)}",
    );
    check(
        "%v",
        &[Map(vec![("a", Nil), ("b", List(vec![]))])],
        "map[a:<nil> b:[]]",
    );
    check("%q", &[List(vec![Str("a"), Str("b")])], "[\"a\" \"b\"]");
    check(
        "%T %T",
        &[Nil, Map(vec![])],
        "<nil> map[string]interface {}",
    );
    check("%v %s", &[Named("x"), Named("y")], "named named");
}

#[test]
fn mistakes_show_in_the_output() {
    check("%d", &[Float(5.0)], "%!d(float64=5)");
    check("%s", &[Nil], "%!s(<nil>)");
    check("%d %d", &[Int(1)], "1 %!d(MISSING)");
    check("%d", &[Int(1), Int(2)], "1%!(EXTRA int=2)");
    check("%d", &[Int(1), Nil, Str("x")], "1%!(EXTRA <nil>, string=x)");
    check("%z", &[Int(1)], "%!z(int=1)");
    check("%", &[], "%!(NOVERB)");
    check("%!", &[], "%!!(MISSING)");
    check("%s", &[Bool(true)], "%!s(bool=true)");
    check("%[5]d", &[Int(1)], "%!d(BADINDEX)");
    check("%*d", &[Str("a"), Int(1)], "%!(BADWIDTH)1");
    check("%d", &[Str("a")], "%!d(string=a)");
}

#[test]
fn flags_width_and_precision_apply() {
    for (format, operand, expect) in [
        ("%x", Str("hi"), "6869"),
        ("% x", Str("hi"), "68 69"),
        ("%#x", Str("hi"), "0x6869"),
        ("%+q", Str("☃"), "\"\\u2603\""),
        ("%.2s", Str("héllo"), "hé"),
        ("%08.3f", Float(9.87654), "0009.877"),
        ("%-6s|", Str("ab"), "ab    |"),
        ("%6s|", Str("ab"), "    ab|"),
        ("%05s", Str("ab"), "000ab"),
        ("%05d", Int(-42), "-0042"),
        ("%+d", Int(5), "+5"),
        ("%x", Int(255), "ff"),
        ("%#X", Int(255), "0XFF"),
        ("%o", Int(8), "10"),
        ("%b", Int(5), "101"),
        ("%c", Int(65), "A"),
        ("%q", Int(65), "'A'"),
        ("%U", Int(0x263a), "U+263A"),
        ("%e", Float(1234.5), "1.234500e+03"),
        ("%g", Float(1e6), "1e+06"),
        ("%6.2f|", Float(1.5), "  1.50|"),
        ("%#v", Str("a"), "\"a\""),
        ("%t", Bool(false), "false"),
        ("100%%", Nil, "100%%!(EXTRA <nil>)"),
        ("%5t|", Bool(true), " true|"),
        ("%.3d", Int(7), "007"),
        ("% d", Int(7), " 7"),
        ("%#g", Float(1.0), "1.00000"),
    ] {
        check(format, &[operand], expect);
    }
    check("%[2]d %[1]d", &[Int(1), Int(2)], "2 1");
    check("%*d", &[Int(5), Int(3)], "    3");
    check("%-*d|", &[Int(4), Int(3)], "3   |");
    check("%.*f", &[Int(1), Float(2.55)], "2.5");
}

#[test]
fn print_puts_spaces_between_non_strings() {
    let operands = [Int(1), Int(2), Str("a"), Str("b"), Int(3), Nil, Bool(true)];
    assert_eq!(sprint(&operands), b"1 2ab3 <nil> true");
    assert_eq!(sprintln(&operands[..3]), b"1 2 a\n");
}
