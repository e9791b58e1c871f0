//! Variables: `$(NAME)` in the fields that allow it.

use std::collections::{BTreeMap, BTreeSet};

use yaml::{Kind, Node, Value};

use crate::error::{Error, Gathered};
use crate::field_spec::{Create, FieldSpec};
use crate::kustomization::{At, Var};
use crate::path;
use crate::res_map::ResMap;
use crate::tree;

/// The variables that came together so far, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct VarSet {
    vars: BTreeMap<String, Var>,
}

impl VarSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.vars.is_empty()
    }

    /// Adds a variable.
    ///
    /// # Errors
    /// Where one of its name is there.
    pub(crate) fn add(&mut self, var: Var) -> Result<(), Error> {
        if let Some(old) = self.vars.get(&var.name) {
            return Err(
                Error::at(var.place, format!("var '{}' already encountered", var.name))
                    .with_place(old.place.clone()),
            );
        }
        self.vars.insert(var.name.clone(), var);
        Ok(())
    }

    /// Adds the variables of a base.
    ///
    /// # Errors
    /// Every one whose name is taken.
    pub(crate) fn merge(&mut self, other: Self) -> Result<(), Error> {
        let mut faults = Gathered::default();
        for var in other.vars.into_values() {
            faults.note(self.add(var));
        }
        faults.end()
    }
}

/// Binds a kustomization's variables to the objects they name.
///
/// # Errors
/// Where one names several objects, or its name is taken.
pub(crate) fn bind(
    resources: &mut ResMap,
    set: &mut VarSet,
    vars: &[At<Var>],
) -> Result<(), Error> {
    let schema = std::rc::Rc::clone(resources.schema());
    let mut faults = Gathered::default();
    let vars = || vars.iter().map(|var| &var.value);
    for var in vars() {
        let wanted = var.object.as_ref();
        let with_namespace = !wanted.namespace.is_empty() || wanted.is_cluster_scoped(&schema);
        let mut found = resources.named(wanted.name);
        found.retain(|at| {
            let resource = resources.get(*at);
            let fits = |id: crate::id::IdRef<'_>| {
                if with_namespace {
                    id.same(&wanted, &schema)
                } else {
                    id.same_but_namespace(&wanted)
                }
            };
            !resource.is_empty() && resource.any_ids().any(fits)
        });
        if found.len() > 1 {
            let error = Error::at(
                var.place.clone(),
                format!(
                    "found {} resId matches for var {} (unable to disambiguate)",
                    found.len(),
                    var.name
                ),
            );
            let places = found.iter().map(|at| resources.get(*at).place());
            faults.note::<()>(Err(places.fold(error, Error::with_place)));
        } else if let [at] = found.as_slice() {
            resources.get_mut(*at).vars.push(var.name.clone());
        }
    }
    for var in vars() {
        faults.note(set.add(var.clone()));
    }
    faults.end()
}

/// Gives the value each variable has.
fn values(resources: &ResMap, set: &VarSet) -> Result<BTreeMap<String, Node>, Error> {
    let mut values = BTreeMap::new();
    let mut faults = Gathered::default();
    for var in set.vars.values() {
        if let Some(value) = faults.note(value(resources, var)) {
            values.insert(var.name.clone(), value);
        }
    }
    faults.end()?;
    Ok(values)
}

fn value(resources: &ResMap, var: &Var) -> Result<Node, Error> {
    let mut all = resources.iter();
    let Some(resource) = all.find(|resource| resource.vars.contains(&var.name)) else {
        return Err(Error::at(
            var.place.clone(),
            format!(
                "var '{{{} {} {{{}}}}}' cannot be mapped to a field in the set of known resources",
                var.name, var.object.gvk, var.field_path
            ),
        ));
    };
    let parts = indexed(&path::split(&var.field_path));
    let found = path::lookup(&resource.node, &parts).ok().flatten();
    found.cloned().ok_or_else(|| {
        let text = format!(
            "field specified in var '{}' not found in corresponding resource",
            var.name
        );
        Error::at(var.place.clone(), text).with_place(resource.place())
    })
}

/// Splits `name[0]` into a name and a position.
fn indexed(parts: &[String]) -> Vec<String> {
    let split = |part: &String| -> Vec<String> {
        let inner = part
            .strip_suffix(']')
            .and_then(|rest| rest.rsplit_once('['));
        match inner {
            Some((name, index)) if index.parse::<usize>().is_ok() => {
                let names = (!name.is_empty()).then(|| name.to_owned());
                names.into_iter().chain([index.to_owned()]).collect()
            }
            _ => vec![part.clone()],
        }
    };
    parts.iter().flat_map(split).collect()
}

/// Replaces the variables everywhere; gives those nobody used.
///
/// # Errors
/// Where a variable has no value.
pub(crate) fn resolve(
    resources: &mut ResMap,
    set: &VarSet,
    specs: &[FieldSpec],
) -> Result<Vec<String>, Error> {
    if set.is_empty() {
        return Ok(Vec::new());
    }
    let values = values(resources, set)?;
    let mut used = BTreeSet::new();
    let mut faults = Gathered::default();
    for resource in resources.iter_mut() {
        for spec in specs {
            if spec.selects(resource) {
                faults.note(spec.visit(resource, Create::Nothing, &mut |node| {
                    replace(node, &values, &mut used)
                }));
            }
        }
    }
    faults.end()?;
    Ok(values
        .into_keys()
        .filter(|name| !used.contains(name))
        .collect())
}

fn replace(
    node: &mut Node,
    values: &BTreeMap<String, Node>,
    used: &mut BTreeSet<String>,
) -> Result<(), String> {
    match &mut node.value {
        Value::Scalar(_) => {
            if node.is_string() || tree::is_copied(node) {
                *node = expanded(node, values, used);
            }
        }
        Value::Mapping(mapping) => {
            for (key, value) in mapping.iter_mut() {
                if !key.is_string() {
                    return Err(format!("invalid map key: value='{}'", key.text()));
                }
                if value.is_string() || tree::is_copied(value) {
                    *value = expanded(value, values, used);
                }
            }
        }
        Value::Sequence(items) => {
            for item in items.iter_mut() {
                if !item.is_string() && !tree::is_copied(item) {
                    return Err("invalid value type expect a string".to_owned());
                }
                *item = expanded(item, values, used);
            }
        }
    }
    Ok(())
}

/// Gives a string with its references replaced; one that is a reference and nothing else takes the
/// value's type.
fn expanded(node: &Node, values: &BTreeMap<String, Node>, used: &mut BTreeSet<String>) -> Node {
    let input = node.text();
    let mut out = String::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let Some(next) = after.chars().next() else {
            rest = &rest[at..];
            break;
        };
        let close = if next == '(' { after.find(')') } else { None };
        match (next, close) {
            ('$', _) => {
                out.push('$');
                rest = &after[1..];
            }
            ('(', Some(close)) => {
                let name = &after[1..close];
                rest = &after[close + 1..];
                if let Some(value) = values.get(name).filter(|value| value.is_scalar()) {
                    used.insert(name.to_owned());
                    if out.is_empty() && rest.is_empty() {
                        return typed(value);
                    }
                    out.push_str(&plain(value));
                } else {
                    out.push_str("$(");
                    out.push_str(name);
                    out.push(')');
                }
            }
            (other, _) => {
                out.push('$');
                out.push(other);
                rest = &after[other.len_utf8()..];
            }
        }
    }
    out.push_str(rest);
    Node::string(out).with_span(node.span.clone())
}

/// Gives a value with its type: numbers and booleans as they are, all else as a string.
fn typed(value: &Node) -> Node {
    match value.kind() {
        Some(Kind::Int(_) | Kind::Uint(_) | Kind::Bool(_) | Kind::Float(_)) => Node {
            value: value.value.clone(),
            span: value.span.clone(),
            style: yaml::Style::default(),
        },
        _ => Node::string(value.text()),
    }
}

/// Gives a value as text.
fn plain(value: &Node) -> String {
    match value.kind() {
        Some(Kind::Int(number)) => number.to_string(),
        Some(Kind::Float(number)) => yaml::number::go_float(number),
        _ => value.text().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: KE-118, KE-120
    #[test]
    fn references_expand_and_whole_ones_keep_their_type() {
        let values: BTreeMap<String, Node> = [
            ("P".to_owned(), Node::int(80)),
            ("S".to_owned(), Node::string("web")),
        ]
        .into();
        let expand = |text: &str| expanded(&Node::string(text), &values, &mut BTreeSet::new());
        assert_eq!(expand("$(P)"), Node::int(80));
        for (input, output) in [
            ("$(S):$(P)", "web:80"),
            ("$$(S)", "$(S)"),
            ("$(X)", "$(X)"),
            ("$(S", "$(S"),
            ("a$", "a$"),
            ("$5", "$5"),
        ] {
            assert_eq!(expand(input), Node::string(output), "{input}");
        }
    }
}
