//! Strategic merge: a partial object laid over a whole one, lists merged as the schema says.
//!
//! **Source:** kyaml v0.21.1, with lists growing at the front, as kustomize 5.8.1 uses it.

mod list;

use yaml::{Entry, Kind, Node, Style, Value};

use crate::field_spec::Misfit;
use crate::schema::{Cursor, Schema};
use crate::tree;
use list::Other;

/// The field of a patch that says what to do with the object it stands in.
pub(super) const DIRECTIVE: &str = "$patch";

/// What a `$patch` field asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Directive {
    Merge,
    Replace,
    Delete,
}

/// Lays a patch over an object; `None` where the patch deletes it.
///
/// # Errors
/// Where a mapping, list or scalar meets something else, or a directive is unknown; the place is the
/// patch's.
pub(crate) fn merge(object: Node, patch: &Node, schema: &Schema) -> Result<Option<Node>, Misfit> {
    Merger { schema }.walk(Some(object), Some(patch), None)
}

/// Carries what every level of a merge needs.
#[derive(Clone, Copy)]
pub(super) struct Merger<'s> {
    schema: &'s Schema,
}

/// Reads the text of a directive.
fn directive(node: &Node) -> Result<Directive, Misfit> {
    match node.text() {
        "merge" => Ok(Directive::Merge),
        "replace" => Ok(Directive::Replace),
        "delete" => Ok(Directive::Delete),
        other => {
            let problem = format!("unknown patch strategy '{other}'");
            Err(Misfit::new(node, problem))
        }
    }
}

/// Reads what a mapping of a patch asks for.
pub(super) fn map_directive(patch: &Node) -> Result<Directive, Misfit> {
    patch.get(DIRECTIVE).map_or(Ok(Directive::Merge), directive)
}

impl<'s> Merger<'s> {
    /// Merges two nodes, either of which may be missing; `None` clears the field.
    pub(super) fn walk(
        self,
        dest: Option<Node>,
        patch: Option<&Node>,
        schema: Option<Cursor<'s>>,
    ) -> Result<Option<Node>, Misfit> {
        let schema = schema.or_else(|| self.schema_of(dest.as_ref(), patch));
        let solid = |node: Option<&Node>| match node {
            Some(node) if !node.is_null() => Some(tree::shape(node)),
            _ => None,
        };
        let shapes = (solid(dest.as_ref()), solid(patch));
        if let (Some(one), Some(other)) = shapes
            && let Some(patch) = patch
            && one != other
        {
            let problem = format!("wrong node kind: expected {one} but got {other}");
            return Err(Misfit::new(patch, problem));
        }
        match shapes.0.or(shapes.1) {
            None | Some("MappingNode") => self.map(dest, patch, schema),
            Some("SequenceNode") => match schema.and_then(Cursor::merge_keys) {
                Some(keys) => self.list(dest, patch, schema, &keys),
                None => Ok(patch.cloned().or(dest)),
            },
            _ => Ok(patch.cloned().or(dest)),
        }
    }

    /// Finds the schema of an object by its kind.
    fn schema_of(self, dest: Option<&Node>, patch: Option<&Node>) -> Option<Cursor<'s>> {
        [dest, patch].into_iter().flatten().find_map(|node| {
            let (kind, version) = (tree::text(node, "kind"), tree::text(node, "apiVersion"));
            if kind.is_empty() || version.is_empty() {
                return None;
            }
            self.schema.of_kind(version, kind)
        })
    }

    fn map(
        self,
        dest: Option<Node>,
        patch: Option<&Node>,
        schema: Option<Cursor<'s>>,
    ) -> Result<Option<Node>, Misfit> {
        let Some(mut dest) = dest.filter(|node| !node.is_null()) else {
            return self.map_onto_nothing(patch, schema);
        };
        let directive = match patch {
            Some(patch) if patch.is_null() => Directive::Delete,
            Some(patch) => map_directive(patch)?,
            None => Directive::Merge,
        };
        match (directive, patch) {
            (Directive::Delete, _) => Ok(None),
            (Directive::Replace, Some(patch)) => self.alone(patch, schema),
            _ => {
                self.fields(&mut dest, patch, schema)?;
                Ok(Some(dest))
            }
        }
    }

    fn map_onto_nothing(
        self,
        patch: Option<&Node>,
        schema: Option<Cursor<'s>>,
    ) -> Result<Option<Node>, Misfit> {
        match patch {
            Some(patch) if !patch.is_null() => match map_directive(patch) {
                Ok(Directive::Delete) => Ok(None),
                _ => self.alone(patch, schema),
            },
            _ => Ok(None),
        }
    }

    /// Takes what a patch brings where nothing was: its directives act within it, and its nulls
    /// leave nothing.
    pub(super) fn alone(
        self,
        patch: &Node,
        schema: Option<Cursor<'s>>,
    ) -> Result<Option<Node>, Misfit> {
        let mut patch = patch.clone();
        let known = patch
            .get(DIRECTIVE)
            .is_some_and(|node| directive(node).is_ok());
        if known {
            patch.remove(DIRECTIVE);
        }
        let Value::Mapping(mapping) = &mut patch.value else {
            return Ok(Some(patch));
        };
        for mut entry in std::mem::take(mapping) {
            let field = schema.and_then(|schema| schema.field(entry.name()));
            let value = std::mem::take(&mut entry.value);
            if let Some(value) = self.alone_value(value, field)? {
                entry.value = value;
                mapping.insert_entry(entry);
            }
        }
        Ok(Some(patch))
    }

    /// Takes a field of what a patch brings where nothing was.
    fn alone_value(self, value: Node, schema: Option<Cursor<'s>>) -> Result<Option<Node>, Misfit> {
        let schema = schema.or_else(|| self.schema_of(Some(&value), None));
        match &value.value {
            _ if value.is_null() => Ok(None),
            Value::Scalar(_) => Ok(Some(tree::quoted(value))),
            Value::Mapping(_) => match map_directive(&value)? {
                Directive::Delete => Ok(None),
                Directive::Merge | Directive::Replace => self.alone(&value, schema),
            },
            Value::Sequence(_) => {
                let Some(keys) = schema.and_then(Cursor::merge_keys) else {
                    return Ok(Some(value));
                };
                let (mut rest, directive) = list::directive(&value)?;
                if directive == Directive::Delete {
                    return Ok(None);
                }
                let elements = schema.and_then(Cursor::elements);
                list::merge(self, &mut rest, Other::Itself, elements, &keys)?;
                Ok(Some(rest))
            }
        }
    }

    /// Merges the fields of a patch into a mapping; without one, only looks the mapping through.
    fn fields(
        self,
        dest: &mut Node,
        patch: Option<&Node>,
        schema: Option<Cursor<'s>>,
    ) -> Result<(), Misfit> {
        let Value::Mapping(mapping) = &mut dest.value else {
            return Ok(());
        };
        let new = new_entries(mapping, patch);
        let mut loses_some = false;
        for (key, value) in mapping.iter_mut() {
            let field = schema.and_then(|schema| schema.field(key.text()));
            match patch.and_then(|patch| patch.get(key.text())) {
                None => self.look_through(value, field)?,
                Some(patch) => {
                    let (style, is_scalar) = (tree::style_of(value), value.is_scalar());
                    let merged = self.walk(Some(std::mem::take(value)), Some(patch), field)?;
                    *value = match merged {
                        None => gone(),
                        Some(merged) if merged.is_null() => gone(),
                        Some(merged) if is_scalar => dressed(merged, style),
                        Some(merged) => merged,
                    };
                }
            }
            loses_some |= is_gone(value);
        }
        if loses_some {
            mapping.retain(|entry| !is_gone(&entry.value));
        }
        for entry in new {
            let field = schema.and_then(|schema| schema.field(entry.name()));
            if let Some(merged) = self.walk(None, Some(&entry.value), field)?
                && !merged.is_null()
            {
                mapping.insert_entry(Entry {
                    key: entry.key.clone(),
                    value: tree::quoted(merged),
                });
            }
        }
        Ok(())
    }

    /// Does to a node that the patch does not name what every merge does: strings get the quotes
    /// they need, and fields without a value go.
    pub(super) fn look_through(
        self,
        node: &mut Node,
        schema: Option<Cursor<'s>>,
    ) -> Result<(), Misfit> {
        match &node.value {
            Value::Scalar(_) => {
                tree::quote(node);
                Ok(())
            }
            Value::Mapping(_) => {
                let schema = schema.or_else(|| self.schema_of(Some(node), None));
                self.fields(node, None, schema)
            }
            Value::Sequence(_) => match schema.and_then(Cursor::merge_keys) {
                Some(keys) => {
                    let elements = schema.and_then(Cursor::elements);
                    list::merge(self, node, Other::Nothing, elements, &keys)
                }
                None => Ok(()),
            },
        }
    }

    fn list(
        self,
        dest: Option<Node>,
        patch: Option<&Node>,
        schema: Option<Cursor<'s>>,
        keys: &[&str],
    ) -> Result<Option<Node>, Misfit> {
        let elements = schema.and_then(Cursor::elements);
        let merge = |mut list: Node, other: Other<'_>| {
            list::merge(self, &mut list, other, elements, keys)?;
            Ok(Some(list))
        };
        let dest = dest.filter(|node| !node.is_null());
        match (dest, patch) {
            (_, Some(patch)) if patch.is_null() => Ok(None),
            (None, None) => Ok(None),
            (None, Some(patch)) => merge(patch.clone(), Other::Itself),
            (Some(dest), None) => merge(dest, Other::Nothing),
            (Some(dest), Some(patch)) => {
                let (patch, directive) = list::directive(patch)?;
                match directive {
                    Directive::Delete => Ok(None),
                    Directive::Replace => merge(patch, Other::Itself),
                    Directive::Merge => merge(dest, Other::Patch(&patch)),
                }
            }
        }
    }
}

/// What stands in place of a value until its field is taken out.
fn gone() -> Node {
    Node::scalar(Kind::Null, "")
}

/// Tells whether a field goes: its value is a null that nobody spelled out.
fn is_gone(value: &Node) -> bool {
    value.is_null() && value.text().is_empty() && !tree::is_copied(value)
}

/// Gives the fields of a patch that a mapping lacks, in key order.
fn new_entries<'p>(mapping: &yaml::Mapping, patch: Option<&'p Node>) -> Vec<&'p Entry> {
    let entries = patch.and_then(Node::as_mapping).into_iter().flatten();
    let is_directive = |entry: &Entry| entry.name() == DIRECTIVE && directive(&entry.value).is_ok();
    let mut new: Vec<&Entry> = entries
        .filter(|entry| !mapping.contains_key(entry.name()) && !is_directive(entry))
        .collect();
    new.sort_by(|a, b| a.name().cmp(b.name()));
    new
}

/// Writes a scalar as the one it replaces was written: a quoted field stays a string.
fn dressed(mut node: Node, style: Style) -> Node {
    if !node.is_scalar() {
        return node;
    }
    if tree::is_quoted(style) && !node.is_string() {
        node = Node::string(node.shared_text()).with_span(node.span.clone());
    }
    node.style = style;
    node
}
