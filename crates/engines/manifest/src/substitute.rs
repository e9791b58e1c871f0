//! Replaces `${variables}` in built objects, in the dialect of Flux's `postBuild`.
//!
//! Works on the YAML text of each object, so a value can become a number or a boolean. The text is
//! parsed into a [`template`](self::Template) and evaluated; glob patterns run in linear time and
//! results are bounded, since both come from tenants.
//!
//! Source: fluxcd/pkg/envsubst v1.7, fluxcd/pkg/kustomize v1.35.

mod eval;
mod glob;
mod parse;

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

pub use eval::EvalError;
pub use parse::{SyntaxError, Template};

use crate::{metadata::Owner, object, object_id::ObjectId};

/// Variables by name. Names are checked, newlines are taken out of values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    values: BTreeMap<String, String>,
}

/// A variable whose name no template could refer to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' var name is invalid, must match '^[_[:alpha:]][_[:alpha:][:digit:]]*$'")]
pub struct VariableNameError(pub String);

impl Variables {
    /// Sets a variable, over one that is there.
    ///
    /// # Errors
    /// [`VariableNameError`] unless the name is a letter or underscore, then letters, digits and
    /// underscores, all ASCII.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), VariableNameError> {
        let mut bytes = name.bytes();
        let starts = bytes
            .next()
            .is_some_and(|b| b == b'_' || b.is_ascii_alphabetic());
        if !starts || !bytes.all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
            return Err(VariableNameError(name.into()));
        }
        self.values.insert(name.into(), value.replace('\n', ""));
        Ok(())
    }

    /// Tells whether there is no variable.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

/// One variable that is not set, and where an object refers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The variable's name.
    pub name: String,
    /// The fields that refer to it, as dotted paths; empty where it spans fields.
    pub fields: Vec<String>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.name)?;
        if !self.fields.is_empty() {
            write!(f, " in {}", self.fields.join(", "))?;
        }
        Ok(())
    }
}

/// An object whose variables could not be replaced.
#[derive(Debug, thiserror::Error)]
pub enum SubstituteError {
    /// The object cannot be printed.
    #[error("{0}")]
    Print(String),
    /// A template is malformed.
    #[error("envsubst error: variable substitution failed")]
    Syntax(#[source] SyntaxError),
    /// A template's result is too large.
    #[error("envsubst error: variable substitution failed")]
    Eval(#[source] EvalError),
    /// Variables are not set and have no default; lists all of them.
    #[error("envsubst error: variable substitution failed: variable not set (strict mode): {}", join(.0))]
    Missing(Vec<Missing>),
    /// The result is no YAML.
    #[error("envsubst error: YAMLToJSON: {0}")]
    Parse(String),
    /// The result is YAML, but no object.
    #[error("envsubst error: UnmarshalJSON: expected an object")]
    NoObject,
}

fn join(missing: &[Missing]) -> String {
    missing
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Replaces the variables of one object. In `strict` mode a variable must be set or have a default;
/// otherwise it is empty.
///
/// # Errors
/// [`SubstituteError`]; in strict mode it names every missing variable of the object.
pub fn substitute(
    value: &Value,
    variables: &Variables,
    strict: bool,
) -> Result<Value, SubstituteError> {
    let text = yaml::emit::v2(value).map_err(|error| SubstituteError::Print(error.to_string()))?;
    if !text.contains('$') && !text.contains('\0') {
        return Ok(value.clone());
    }
    let template = Template::parse(&text).map_err(SubstituteError::Syntax)?;
    let result = eval::evaluate(&template, variables).map_err(SubstituteError::Eval)?;
    if strict && !result.missing.is_empty() {
        let missing = result.missing.into_iter().map(|name| Missing {
            fields: fields_with(value, &name),
            name,
        });
        return Err(SubstituteError::Missing(missing.collect()));
    }
    let node = yaml::Reader::new(yaml::Schema::Legacy)
        .read_first(result.text.as_bytes(), "")
        .map_err(|error| SubstituteError::Parse(error.to_string()))?
        .ok_or(SubstituteError::NoObject)?;
    let replaced =
        yaml::to_json(&node).map_err(|error| SubstituteError::Parse(error.to_string()))?;
    if replaced.is_object() {
        Ok(replaced)
    } else {
        Err(SubstituteError::NoObject)
    }
}

/// The objects whose variables could not be replaced, one a line.
#[derive(Debug)]
pub struct SubstituteErrors(pub Vec<(ObjectId, String, SubstituteError)>);

impl fmt::Display for SubstituteErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (id, gvk, error)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "post build failed for '{gvk}/{}': {error}", id.name)?;
            if let Some(source) = std::error::Error::source(error) {
                write!(f, ": {source}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for SubstituteErrors {}

/// Replaces the variables of all objects, but for those that opt out.
///
/// # Errors
/// [`SubstituteErrors`] with every object that failed; the objects are then partly replaced.
pub fn substitute_all(
    objects: &mut [Value],
    owner: &Owner,
    variables: &Variables,
    strict: bool,
) -> Result<(), SubstituteErrors> {
    let mut errors = Vec::new();
    for value in objects
        .iter_mut()
        .filter(|value| !owner.skips_substitution(value))
    {
        match substitute(value, variables, strict) {
            Ok(replaced) => *value = replaced,
            Err(error) => errors.push((ObjectId::of(value), engine_type(value), error)),
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(SubstituteErrors(errors))
    }
}

/// Prints a type as the build engine does: `Deployment.v1.apps`, `Secret.v1.[noGrp]`.
pub fn engine_type(value: &Value) -> String {
    let gvk = object::GroupVersionKind::of(value);
    let or = |text: String, none: &str| {
        if text.is_empty() {
            none.to_string()
        } else {
            text
        }
    };
    format!(
        "{}.{}.{}",
        or(gvk.kind, "[noKind]"),
        or(gvk.version, "[noVer]"),
        or(gvk.group, "[noGrp]")
    )
}

/// Lists the paths of strings, keys included, whose own template refers to a variable.
fn fields_with(value: &Value, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![(String::new(), value)];
    while let Some((path, value)) = pending.pop() {
        match value {
            Value::String(text) if refers(text, name) => found.push(path),
            Value::Array(items) => {
                let items = items.iter().enumerate();
                pending.extend(items.map(|(index, item)| (format!("{path}[{index}]"), item)));
            }
            Value::Object(map) => {
                for (key, child) in map {
                    let child_path = if path.is_empty() {
                        key.clone()
                    } else {
                        format!("{path}.{key}")
                    };
                    if refers(key, name) {
                        found.push(child_path.clone());
                    }
                    pending.push((child_path, child));
                }
            }
            _ => {}
        }
    }
    found.sort();
    found.dedup();
    found
}

fn refers(text: &str, name: &str) -> bool {
    text.contains("${") && Template::parse(text).is_ok_and(|template| template.refers_to(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let mut variables = Variables::default();
        for (name, value) in pairs {
            variables.set(name, value).unwrap();
        }
        variables
    }

    fn map(data: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
    }

    #[test]
    fn names_are_checked_and_newlines_removed() {
        let mut variables = Variables::default();
        for name in ["", "a-b", "1a", "a.b", "ä"] {
            assert_eq!(
                variables.set(name, "").unwrap_err().to_string(),
                format!(
                    "'{name}' var name is invalid, must match '^[_[:alpha:]][_[:alpha:][:digit:]]*$'"
                )
            );
        }
        variables.set("_a1", "x\ny\n").unwrap();
        assert_eq!(variables.get("_a1"), Some("xy"));
    }

    /// covers: KC-058
    #[test]
    fn values_take_the_type_of_their_text() {
        let vars = variables(&[("n", "3"), ("b", "true"), ("s", "web"), ("q", "\"")]);
        let replaced = substitute(
            &json!({"kind": "X", "a": "${n}", "b": "${b}", "c": "${s}", "d": "${q}${n}${q}", "e": "v${n}"}),
            &vars,
            true,
        );
        assert_eq!(
            replaced.unwrap(),
            json!({"kind": "X", "a": 3, "b": true, "c": "web", "d": "3", "e": "v3"})
        );
    }

    /// covers: KC-059, KC-093
    #[test]
    fn every_missing_variable_is_named_with_its_fields() {
        let object = map(&json!({"x": "${A} ${B}", "y": ["${A}"], "z": "${C:=ok} ${EMPTY}"}));
        let vars = variables(&[("EMPTY", "")]);
        assert_eq!(
            substitute(&object, &vars, true).unwrap_err().to_string(),
            "envsubst error: variable substitution failed: variable not set (strict mode): \
             \"A\" in data.x, data.y[0]; \"B\" in data.x"
        );
        let lenient = substitute(&object, &vars, false).unwrap();
        assert_eq!(lenient["data"]["z"], "ok");
    }

    /// covers: KC-055
    #[test]
    fn all_objects_are_tried_and_opted_out_ones_left_alone() {
        let owner = Owner {
            group: "kustomize.toolkit.fluxcd.io".into(),
            name: "a".into(),
            namespace: "b".into(),
        };
        let mut kept = map(&json!({"k": "${A}"}));
        kept["metadata"]["labels"] = json!({"kustomize.toolkit.fluxcd.io/substitute": "disabled"});
        let mut objects = vec![
            kept.clone(),
            map(&json!({"k": "${A}"})),
            map(&json!({"k": "${B"})),
        ];
        objects[2]["kind"] = json!("Other");
        objects[2]["apiVersion"] = json!("x.io/v2");
        let error =
            substitute_all(&mut objects, &owner, &variables(&[("V", "1")]), true).unwrap_err();
        assert_eq!(
            error.to_string(),
            "post build failed for 'ConfigMap.v1.[noGrp]/a': envsubst error: variable substitution failed: variable not set (strict mode): \"A\" in data.k\n\
             post build failed for 'Other.v2.x.io/a': envsubst error: variable substitution failed: missing closing brace"
        );
        assert_eq!(objects[0], kept);
    }

    #[test]
    fn a_result_that_is_no_object_is_refused() {
        let vars = variables(&[("x", "a: b: c")]);
        let error = substitute(&map(&json!({"k": "${x}"})), &vars, true).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("envsubst error: YAMLToJSON: "),
            "{error}"
        );
    }

    #[test]
    fn objects_without_dollars_pass_unchanged() {
        let object = map(&json!({"yes": "yes", "n": "1"}));
        assert_eq!(
            substitute(&object, &Variables::default(), true).unwrap(),
            object
        );
    }
}
