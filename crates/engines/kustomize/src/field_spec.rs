//! A field named by kind and path, and the walk that finds it in an object.

use std::sync::OnceLock;

use yaml::{Kind, Mapping, Node, Span, Value};

use crate::error::{Error, Place};
use crate::id::{Gvk, split_api_version};
use crate::resource::Resource;
use crate::tree;

/// A field of the objects of some kind.
///
/// **Shape:** the path's segments stand between slashes, `\/` is a slash in a name, lists are
/// walked by themselves, and `name[]` says that a list is expected.
#[derive(Debug, Clone, Default)]
pub(crate) struct FieldSpec {
    pub(crate) gvk: Gvk,
    pub(crate) path: String,
    pub(crate) create: bool,
    /// The path taken apart once it is walked: a small build walks few of the hundreds there are.
    segments: OnceLock<Vec<Segment>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    name: String,
    is_list: bool,
}

/// Why something inside an object could not be changed, and where that was written: not always in
/// the object's own file, since patches bring nodes of theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) problem: String,
    at: Span,
}

/// What is made where a field is missing and its spec says create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Create {
    Nothing,
    Scalar,
    Mapping,
}

/// Splits a path at a delimiter that no backslash stands before.
pub(crate) fn split_path(path: &str, delimiter: char) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in path.split(delimiter) {
        match parts.last_mut() {
            Some(last) if last.ends_with('\\') => {
                last.pop();
                last.push(delimiter);
                last.push_str(part);
            }
            _ => parts.push(part.to_owned()),
        }
    }
    parts
}

impl Misfit {
    pub(crate) fn new(node: &Node, problem: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            at: node.span.clone(),
        }
    }

    /// Names the place within an object, or that of the object for a node that was made.
    pub(crate) fn place(&self, object: Place) -> Place {
        object.within(&self.at)
    }
}

impl FieldSpec {
    pub(crate) fn new(gvk: Gvk, path: &str, create: bool) -> Self {
        Self {
            gvk,
            path: path.to_owned(),
            create,
            segments: OnceLock::new(),
        }
    }

    fn segments(&self) -> &[Segment] {
        let segment = |name: String| match name.strip_suffix("[]") {
            Some(list) => Segment {
                name: list.to_owned(),
                is_list: true,
            },
            None => Segment {
                name,
                is_list: false,
            },
        };
        self.segments.get_or_init(|| {
            let names = split_path(&self.path, '/').into_iter();
            names.map(segment).collect()
        })
    }

    /// Tells whether the field is one of this object's, as its kind is now.
    pub(crate) fn selects(&self, resource: &Resource) -> bool {
        let (group, version) = split_api_version(resource.api_version());
        self.gvk.selects_kind(group, version, resource.kind())
    }

    /// Picks those of some fields that are this object's.
    pub(crate) fn of<'s>(specs: &'s [Self], resource: &Resource) -> Vec<&'s Self> {
        let (group, version) = split_api_version(resource.api_version());
        let kind = resource.kind();
        let own = specs
            .iter()
            .filter(|spec| spec.gvk.selects_kind(group, version, kind));
        own.collect()
    }

    /// Calls `set` with every node below `node` that the path leads to.
    ///
    /// # Errors
    /// As for [`Self::visit`], without the object.
    pub(crate) fn walk(
        &self,
        node: &mut Node,
        create: Create,
        set: &mut dyn FnMut(&mut Node) -> Result<(), String>,
    ) -> Result<(), Misfit> {
        let create = if self.create { create } else { Create::Nothing };
        walk(node, self.segments(), create, set)
    }

    /// Calls `set` with every node the path leads to.
    ///
    /// # Errors
    /// Where the path leads through something that is no mapping or list, or `set` fails.
    pub(crate) fn visit(
        &self,
        resource: &mut Resource,
        create: Create,
        set: &mut dyn FnMut(&mut Node) -> Result<(), String>,
    ) -> Result<(), Error> {
        self.walk(&mut resource.node, create, set)
            .map_err(|misfit| {
                let considering = format!(
                    "considering field '{}' of object {}: {}",
                    self.path,
                    resource.id(),
                    misfit.problem
                );
                Error::at(misfit.place(resource.place()), considering)
            })
    }
}

/// The paths of several fields, joined where they begin alike: one walk tells which of them an
/// object has. Most objects have few of the many fields that may refer to others.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    root: Step,
    count: usize,
}

#[derive(Debug, Default)]
struct Step {
    /// The fields whose paths end here, by number.
    ends: Vec<usize>,
    next: Vec<(Segment, Self)>,
}

impl Paths {
    pub(crate) fn new<'s>(specs: impl IntoIterator<Item = &'s FieldSpec>) -> Self {
        let mut paths = Self::default();
        for spec in specs {
            let mut step = &mut paths.root;
            for segment in spec.segments() {
                let known = step.next.iter().position(|(known, _)| known == segment);
                let at = known.unwrap_or_else(|| {
                    step.next.push((segment.clone(), Step::default()));
                    step.next.len() - 1
                });
                step = &mut step.next[at].1;
            }
            step.ends.push(paths.count);
            paths.count += 1;
        }
        paths
    }

    /// Tells of each field, by number, whether [`FieldSpec::walk`] would do anything, or fail, on an
    /// object in which it makes nothing.
    pub(crate) fn reached(&self, node: &Node) -> Vec<bool> {
        let mut reached = vec![false; self.count];
        self.root.reach(node, &mut reached);
        reached
    }
}

impl Step {
    fn reach(&self, node: &Node, reached: &mut [bool]) {
        self.ends.iter().for_each(|at| reached[*at] = true);
        self.descend(node, reached);
    }

    fn descend(&self, node: &Node, reached: &mut [bool]) {
        match &node.value {
            _ if self.next.is_empty() || node.is_null() => {}
            // The walk fails here.
            Value::Scalar(_) => self.next.iter().for_each(|(_, step)| step.all(reached)),
            Value::Sequence(items) => items.iter().for_each(|item| self.descend(item, reached)),
            Value::Mapping(mapping) => {
                for (segment, step) in &self.next {
                    if segment.is_list || segment.name.is_empty() {
                        step.all(reached);
                    } else if let Some(field) = mapping.get(&segment.name) {
                        step.reach(field, reached);
                    }
                }
            }
        }
    }

    fn all(&self, reached: &mut [bool]) {
        self.ends.iter().for_each(|at| reached[*at] = true);
        self.next.iter().for_each(|(_, step)| step.all(reached));
    }
}

fn walk(
    node: &mut Node,
    path: &[Segment],
    create: Create,
    set: &mut dyn FnMut(&mut Node) -> Result<(), String>,
) -> Result<(), Misfit> {
    let Some((segment, rest)) = path.split_first() else {
        return set(node).map_err(|problem| Misfit::new(node, problem));
    };
    if node.is_null() {
        return Ok(());
    }
    match &mut node.value {
        Value::Sequence(items) => items
            .iter_mut()
            .try_for_each(|item| walk(item, path, create, set)),
        Value::Mapping(mapping) => {
            if segment.name.is_empty() {
                let problem = "cannot set or create an empty field name";
                return Err(Misfit::new(node, problem));
            }
            match enter(mapping, segment, rest.is_empty(), create) {
                Some(field) => walk(field, rest, create, set),
                None => Ok(()),
            }
        }
        Value::Scalar(_) => Err(Misfit::new(node, "expected sequence or mapping node")),
    }
}

/// Gives the field of a mapping, made where that is asked for.
fn enter<'m>(
    mapping: &'m mut Mapping,
    segment: &Segment,
    is_last: bool,
    create: Create,
) -> Option<&'m mut Node> {
    if segment.is_list || create == Create::Nothing {
        let field = mapping.get_mut(&segment.name)?;
        if segment.is_list && field.is_null() {
            *field = tree::no_items();
        }
        return Some(field);
    }
    let make = || match create {
        Create::Scalar if is_last => Node::scalar(Kind::String, ""),
        _ => Node::mapping(Mapping::new()),
    };
    let field = mapping.get_or_insert_with(&segment.name, make);
    if field.is_null() {
        *field = make();
    }
    Some(field)
}

/// Adds a field to a list unless one there covers it.
///
/// # Errors
/// Where the one there says the opposite of `create`.
pub(crate) fn merge_one(specs: &mut Vec<FieldSpec>, incoming: FieldSpec) -> Result<(), Error> {
    let same = |spec: &&FieldSpec| incoming.gvk.covers(&spec.gvk) && spec.path == incoming.path;
    match specs.iter().find(same) {
        Some(spec) if spec.create != incoming.create => Err(Error::new(format!(
            "conflicting fieldspecs: '{}' of {} is to be created and not to be created",
            spec.path, spec.gvk
        ))),
        Some(_) => Ok(()),
        None => {
            specs.push(incoming);
            Ok(())
        }
    }
}

/// Adds fields to a list; see [`merge_one`].
pub(crate) fn merge_all(specs: &mut Vec<FieldSpec>, incoming: &[FieldSpec]) -> Result<(), Error> {
    incoming
        .iter()
        .cloned()
        .try_for_each(|spec| merge_one(specs, spec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_split_at_slashes_that_are_not_escaped() {
        assert_eq!(
            split_path(r"metadata/annotations/a.io\/b", '/'),
            ["metadata", "annotations", "a.io/b"]
        );
        assert_eq!(split_path(r"a\.b.c", '.'), ["a.b", "c"]);
    }
}
