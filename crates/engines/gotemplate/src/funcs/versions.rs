//! Semantic versions.

use semver::{Constraint, Version};

use super::Function;
use super::args::Arguments;
use crate::engine::Call;
use crate::error::Fault;
use crate::value::{Method, Struct, StructType, Type, Value};

const STR: Type = Type::String;
const VERSION: Type = Type::Named("*semver.Version");

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("semver", &[STR], |_, a| parse(&a.text(0)).map(|v| wrap(&v))),
    Function::fixed("semverCompare", &[STR, STR], compare),
];

fn parse(text: &str) -> Result<Version, Fault> {
    Version::parse(text).map_err(|e| Fault::new(e.to_string()))
}

fn compare(_: &Call<'_>, args: &[Value]) -> Result<Value, Fault> {
    let constraint = Constraint::parse(&args.text(0)).map_err(|e| Fault::new(e.to_string()))?;
    Ok(Value::Bool(constraint.check(&parse(&args.text(1))?)))
}

/// A version as templates hold it: the text it was read from is kept, the rest comes by methods.
static VERSION_TYPE: StructType = StructType {
    name: "semver.Version",
    pointer: true,
    text: Some(|s| unwrap_struct(s).to_string()),
    methods: &[
        Method {
            name: "Major",
            params: &[],
            variadic: false,
            call: |r, _| Ok(Value::Uint64(unwrap(r).major)),
        },
        Method {
            name: "Minor",
            params: &[],
            variadic: false,
            call: |r, _| Ok(Value::Uint64(unwrap(r).minor)),
        },
        Method {
            name: "Patch",
            params: &[],
            variadic: false,
            call: |r, _| Ok(Value::Uint64(unwrap(r).patch)),
        },
        Method {
            name: "Prerelease",
            params: &[],
            variadic: false,
            call: |r, _| Ok(Value::from(unwrap(r).prerelease())),
        },
        Method {
            name: "Metadata",
            params: &[],
            variadic: false,
            call: |r, _| Ok(Value::from(unwrap(r).metadata())),
        },
        Method {
            name: "Original",
            params: &[],
            variadic: false,
            call: |r, _| Ok(Value::from(unwrap(r).original())),
        },
        Method {
            name: "String",
            params: &[],
            variadic: false,
            call: |r, _| Ok(Value::from(unwrap(r).to_string())),
        },
        Method {
            name: "Compare",
            params: &[VERSION],
            variadic: false,
            call: |r, a| {
                Ok(Value::Int(match unwrap(r).cmp(&unwrap(&a.any(0))) {
                    std::cmp::Ordering::Less => -1,
                    std::cmp::Ordering::Equal => 0,
                    std::cmp::Ordering::Greater => 1,
                }))
            },
        },
        Method {
            name: "LessThan",
            params: &[VERSION],
            variadic: false,
            call: |r, a| Ok(Value::Bool(unwrap(r) < unwrap(&a.any(0)))),
        },
        Method {
            name: "LessThanEqual",
            params: &[VERSION],
            variadic: false,
            call: |r, a| Ok(Value::Bool(unwrap(r) <= unwrap(&a.any(0)))),
        },
        Method {
            name: "GreaterThan",
            params: &[VERSION],
            variadic: false,
            call: |r, a| Ok(Value::Bool(unwrap(r) > unwrap(&a.any(0)))),
        },
        Method {
            name: "GreaterThanEqual",
            params: &[VERSION],
            variadic: false,
            call: |r, a| Ok(Value::Bool(unwrap(r) >= unwrap(&a.any(0)))),
        },
        Method {
            name: "Equal",
            params: &[VERSION],
            variadic: false,
            call: |r, a| Ok(Value::Bool(unwrap(r) == unwrap(&a.any(0)))),
        },
        Method {
            name: "IncMajor",
            params: &[],
            variadic: false,
            call: |r, _| Ok(stepped(&unwrap(r).inc_major())),
        },
        Method {
            name: "IncMinor",
            params: &[],
            variadic: false,
            call: |r, _| Ok(stepped(&unwrap(r).inc_minor())),
        },
        Method {
            name: "IncPatch",
            params: &[],
            variadic: false,
            call: |r, _| Ok(stepped(&unwrap(r).inc_patch())),
        },
        Method {
            name: "SetPrerelease",
            params: &[STR],
            variadic: false,
            call: |r, a| changed(unwrap(r).with_prerelease(&a.text(0))),
        },
        Method {
            name: "SetMetadata",
            params: &[STR],
            variadic: false,
            call: |r, a| changed(unwrap(r).with_metadata(&a.text(0))),
        },
    ],
};

/// What the stepping methods answer: a version, not a pointer to one.
static STEPPED_TYPE: StructType = StructType {
    name: "semver.Version",
    pointer: false,
    text: VERSION_TYPE.text,
    methods: VERSION_TYPE.methods,
};

fn wrap(version: &Version) -> Value {
    Value::structure(
        &VERSION_TYPE,
        vec![("original", Value::from(version.original()))],
    )
}

fn stepped(version: &Version) -> Value {
    Value::structure(
        &STEPPED_TYPE,
        vec![("original", Value::from(version.original()))],
    )
}

fn changed(version: Result<Version, semver::VersionError>) -> Result<Value, Fault> {
    version
        .map(|v| stepped(&v))
        .map_err(|e| Fault::new(e.to_string()))
}

fn unwrap_struct(value: &Struct) -> Version {
    let original = value.field("original").map(super::args::string_of);
    original
        .and_then(|o| Version::parse(&o.text()).ok())
        .unwrap_or_else(|| Version::new(0, 0, 0))
}

fn unwrap(value: &Value) -> Version {
    match value {
        Value::Struct(s) => unwrap_struct(s),
        _ => Version::new(0, 0, 0),
    }
}
