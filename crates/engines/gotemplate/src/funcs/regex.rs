//! Regular expressions.

use go::regexp::{self, Regexp};

use super::Function;
use super::args::Arguments;
use crate::engine::Call;
use crate::error::Fault;
use crate::value::{List, Type, Value};

const STR: Type = Type::String;
const INT: Type = Type::Int;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("regexMatch", &[STR, STR], |_, a| {
        Ok(Value::Bool(
            Regexp::new(&a.text(0)).is_ok_and(|re| re.is_match(a.string(1).as_bytes())),
        ))
    }),
    Function::fixed("mustRegexMatch", &[STR, STR], |_, a| {
        Ok(Value::Bool(must(a)?.is_match(a.string(1).as_bytes())))
    }),
    Function::fixed("regexFind", &[STR, STR], |_, a| Ok(find(&panicking(a)?, a))),
    Function::fixed("mustRegexFind", &[STR, STR], |_, a| Ok(find(&must(a)?, a))),
    Function::fixed("regexFindAll", &[STR, STR, INT], |_, a| {
        Ok(find_all(&panicking(a)?, a))
    }),
    Function::fixed("mustRegexFindAll", &[STR, STR, INT], |_, a| {
        Ok(find_all(&must(a)?, a))
    }),
    Function::fixed("regexReplaceAll", &[STR, STR, STR], |c, a| {
        replace(c, &panicking(a)?, a)
    }),
    Function::fixed("mustRegexReplaceAll", &[STR, STR, STR], |c, a| {
        replace(c, &must(a)?, a)
    }),
    Function::fixed("regexReplaceAllLiteral", &[STR, STR, STR], |c, a| {
        replace_literal(c, &panicking(a)?, a)
    }),
    Function::fixed("mustRegexReplaceAllLiteral", &[STR, STR, STR], |c, a| {
        replace_literal(c, &must(a)?, a)
    }),
    Function::fixed("regexSplit", &[STR, STR, INT], |_, a| {
        Ok(split(&panicking(a)?, a))
    }),
    Function::fixed("mustRegexSplit", &[STR, STR, INT], |_, a| {
        Ok(split(&must(a)?, a))
    }),
    Function::fixed("regexQuoteMeta", &[STR], |_, a| {
        Ok(Value::str(regexp::quote_meta(a.string(0).as_bytes())))
    }),
];

fn must(args: &[Value]) -> Result<Regexp, Fault> {
    Regexp::new(&args.text(0)).map_err(|e| Fault::new(e.to_string()))
}

/// As the functions without `must`, which panic with the expression in the text.
fn panicking(args: &[Value]) -> Result<Regexp, Fault> {
    let expression = args.text(0);
    Regexp::new(&expression).map_err(|e| {
        let shown = if expression.contains('`') {
            crate::lex::quote(&expression)
        } else {
            format!("`{expression}`")
        };
        Fault::new(format!("regexp: Compile({shown}): {e}"))
    })
}

fn find(re: &Regexp, args: &[Value]) -> Value {
    Value::str(re.find(args.string(1).as_bytes()).unwrap_or_default())
}

fn find_all(re: &Regexp, args: &[Value]) -> Value {
    let text = args.string(1);
    let found = re.find_all(text.as_bytes(), args.int(2));
    // Upstream answers a nil slice where nothing matches.
    if found.is_empty() {
        return Value::List(List::nil().of_strings());
    }
    Value::List(List::strings(found))
}

fn replace(call: &Call<'_>, re: &Regexp, args: &[Value]) -> Result<Value, Fault> {
    spend_growth(call, re, args)?;
    let out = re.replace_all(args.string(1).as_bytes(), args.string(2).as_bytes());
    call.shared.spend_bytes(out.len())?;
    Ok(Value::str(out))
}

/// Counts what a replacement may write before it is written: a small text can ask for a lot.
fn spend_growth(call: &Call<'_>, re: &Regexp, args: &[Value]) -> Result<(), Fault> {
    const HARMLESS_BYTES: usize = 1 << 20;
    let (text, template) = (args.string(1), args.string(2));
    let groups = template.as_bytes().split(|b| *b == b'$').count() - 1;
    let most = |places: usize| {
        let copies = groups.saturating_mul(text.len());
        places.saturating_mul(template.len()).saturating_add(copies)
    };
    if most(text.len() + 1) <= HARMLESS_BYTES {
        return Ok(());
    }
    call.shared
        .spend_bytes(most(re.find_all(text.as_bytes(), -1).len()))
}

fn replace_literal(call: &Call<'_>, re: &Regexp, args: &[Value]) -> Result<Value, Fault> {
    spend_growth(call, re, args)?;
    let out = re.replace_all_literal(args.string(1).as_bytes(), args.string(2).as_bytes());
    call.shared.spend_bytes(out.len())?;
    Ok(Value::str(out))
}

fn split(re: &Regexp, args: &[Value]) -> Value {
    let text = args.string(1);
    if args.int(2) == 0 {
        return Value::List(List::nil().of_strings());
    }
    Value::List(List::strings(re.split(text.as_bytes(), args.int(2))))
}
