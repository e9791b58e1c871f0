//! Helm's own functions.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use gotemplate::funcs::{Arguments as _, Function, JsonStyle, encode_json, parse_json};
use gotemplate::value::{Type, Value};
use gotemplate::{Call, Fault, FaultKind, Templates};

use super::trace::{END, START};
use super::{Lookup, Mode, NO_VALUE, Settings, encoding, toml};

type Result = std::result::Result<Value, Fault>;

const ANY: Type = Type::Any;
const STR: Type = Type::String;

/// How often one name may be included inside itself.
const MAX_NESTED: usize = 1000;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("include", &[STR, ANY], include),
    Function::fixed("tpl", &[STR, ANY], tpl),
    Function::fixed("required", &[STR, ANY], required),
    Function::fixed("fail", &[STR], fail),
    Function::fixed("lookup", &[STR, STR, STR, STR], lookup),
    Function::fixed("toYaml", &[ANY], |_, a| {
        Ok(Value::from(
            encoding::yaml(&a.any(0)).map(trimmed).unwrap_or_default(),
        ))
    }),
    Function::fixed("mustToYaml", &[ANY], |_, a| {
        encoding::yaml(&a.any(0))
            .map(|t| Value::from(trimmed(t)))
            .map_err(Fault::new)
    }),
    Function::fixed("toYamlPretty", &[ANY], |_, a| {
        Ok(Value::from(
            encoding::yaml_pretty(&a.any(0))
                .map(trimmed)
                .unwrap_or_default(),
        ))
    }),
    Function::fixed("fromYaml", &[STR], |_, a| {
        Ok(encoding::from_yaml(&a.text(0)))
    }),
    Function::fixed("fromYamlArray", &[STR], |_, a| {
        Ok(encoding::from_yaml_array(&a.text(0)))
    }),
    Function::fixed("toJson", &[ANY], |_, a| {
        Ok(encode_json(&a.any(0), JsonStyle::Html).map_or_else(|_| Value::empty(), Value::str))
    }),
    Function::fixed("mustToJson", &[ANY], |_, a| {
        encode_json(&a.any(0), JsonStyle::Html)
            .map(Value::str)
            .map_err(Fault::new)
    }),
    Function::fixed("fromJson", &[STR], |_, a| {
        Ok(encoding::from_json(parse_json(a.string(0).as_bytes())))
    }),
    Function::fixed("fromJsonArray", &[STR], |_, a| {
        Ok(encoding::from_json_array(parse_json(
            a.string(0).as_bytes(),
        )))
    }),
    Function::fixed("toToml", &[ANY], |_, a| {
        if a.any(0).is_nil() {
            return toml::encode(&Value::Nil)
                .map(Value::from)
                .map_err(Fault::new);
        }
        Ok(Value::from(
            toml::encode(&a.any(0)).unwrap_or_else(|error| error),
        ))
    }),
    Function::fixed("mustToToml", &[ANY], |_, a| {
        toml::encode(&a.any(0)).map(Value::from).map_err(Fault::new)
    }),
    Function::fixed("fromToml", &[STR], |_, a| Ok(toml::decode(&a.text(0)))),
];

/// What the functions need of the rendering.
#[derive(Default)]
pub(super) struct Host {
    lint: bool,
    lookup: Option<Arc<dyn Lookup + Send + Sync>>,
    included: RefCell<HashMap<String, usize>>,
}

impl Host {
    pub(super) fn new(settings: &Settings) -> Self {
        let lookup = settings
            .lookup
            .clone()
            .filter(|_| settings.mode != Mode::Lint);
        Self {
            lint: settings.mode == Mode::Lint,
            lookup,
            included: RefCell::default(),
        }
    }
}

fn host<'a>(call: &'a Call<'_>) -> std::result::Result<&'a Host, Fault> {
    call.shared
        .host
        .as_deref()
        .and_then(|host| host.downcast_ref())
        .ok_or_else(|| Fault::new("not implemented"))
}

fn trimmed(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
    }
    text
}

fn include(call: &Call<'_>, args: &[Value]) -> Result {
    let name = args.text(0);
    let included = &host(call)?.included;
    let nested = included.borrow().get(&name).copied().unwrap_or(0);
    if nested > MAX_NESTED {
        let text = format!(
            "rendering template has a nested reference name: {name}: unable to execute template"
        );
        return Err(Fault::new("unable to execute template").wrap(FaultKind::Plain, text));
    }
    included.borrow_mut().insert(name.clone(), nested + 1);
    let out = call.templates.execute(&name, args.any(1), call.shared);
    included.borrow_mut().insert(name, nested);
    out.map(Value::str)
}

fn tpl(call: &Call<'_>, args: &[Value]) -> Result {
    let text = args.text(0);
    if !text.contains("{{") {
        // Nothing to execute: the text comes out as it is.
        return Ok(Value::from(text.replace(NO_VALUE, "")));
    }
    let quoted = || go::strconv::quote(text.as_bytes(), go::strconv::Charset::Unicode);
    let mut set = Templates::on_top_of(call.templates);
    let name = set.name().to_owned();
    let template = set.parse(&name, &*text, call.shared).map_err(|fault| {
        let message = format!("cannot parse template {}: {fault}", quoted());
        fault.wrap(FaultKind::Plain, message)
    })?;
    let out = std::rc::Rc::new(set)
        .run(&template, args.any(1), call.shared)
        .map_err(|fault| {
            let message = format!(
                "error during tpl function execution for {}: {fault}",
                quoted()
            );
            fault.wrap(FaultKind::Plain, message)
        })?;
    Ok(Value::str(without_no_value(out)))
}

fn without_no_value(out: Vec<u8>) -> Vec<u8> {
    let mark = NO_VALUE.as_bytes();
    if !out.windows(mark.len()).any(|w| w == mark) {
        return out;
    }
    let mut kept = Vec::with_capacity(out.len());
    let mut rest = out.as_slice();
    while let Some(at) = rest.windows(mark.len()).position(|w| w == mark) {
        kept.extend_from_slice(&rest[..at]);
        rest = &rest[at + mark.len()..];
    }
    kept.extend_from_slice(rest);
    kept
}

fn required(call: &Call<'_>, args: &[Value]) -> Result {
    let missing = match args.any(1) {
        Value::Nil => true,
        Value::Str(text) => text.is_empty(),
        _ => false,
    };
    if !missing {
        return Ok(args.any(1));
    }
    if host(call)?.lint {
        return Ok(Value::empty());
    }
    Err(Fault::new(format!("{START}{}{END}", args.text(0))))
}

fn fail(call: &Call<'_>, args: &[Value]) -> Result {
    if host(call)?.lint {
        return Ok(Value::empty());
    }
    Err(Fault::new(format!("{START}{}{END}", args.text(0))))
}

fn lookup(call: &Call<'_>, args: &[Value]) -> Result {
    let found = match &host(call)?.lookup {
        None => serde_json::Value::Object(serde_json::Map::new()),
        Some(lookup) => lookup
            .lookup(&args.text(0), &args.text(1), &args.text(2), &args.text(3))
            .map_err(Fault::new)?,
    };
    Ok(Value::from_json_exact(&found))
}
