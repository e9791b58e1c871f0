//! Follows the names objects got to the fields that refer to them.

use std::collections::{BTreeSet, HashMap};

use yaml::{Node, Text, Value};

use crate::config::NameReference;
use crate::error::{Error, Gathered, Place};
use crate::field_spec::{Create, FieldSpec, Paths};
use crate::id::{Gvk, IdRef, split_api_version};
use crate::parallel;
use crate::res_map::ResMap;
use crate::resource::Resource;
use crate::schema::Schema;
use crate::tree;

/// An object that may be referred to: one whose name has a history.
struct Candidate {
    at: usize,
    group: Text,
    version: Text,
    name: Text,
    namespace: Text,
    effective: Text,
    original_effective: Text,
    kind: Text,
    is_cluster_scoped: bool,
}

/// All candidates, by each name they had.
struct Candidates<'a> {
    resources: &'a [Resource],
    all: Vec<Candidate>,
    by_name: HashMap<&'a str, Vec<usize>>,
    /// The namespaces objects came with.
    originals: BTreeSet<String>,
}

/// An object whose fields are looked at.
struct Referrer<'a> {
    /// Its books; the content is apart, for change.
    resource: &'a Resource,
    effective: String,
    is_cluster_scoped: bool,
    /// Namespaces of the service accounts a role binding names.
    subjects: BTreeSet<String>,
}

/// The fields of a kind that may refer to something, and what they refer to.
struct Fields<'r> {
    group: String,
    version: String,
    specs: Vec<(&'r Gvk, &'r FieldSpec)>,
    paths: Paths,
}

/// The fields of all kinds that were met.
#[derive(Default)]
struct ByKind<'r> {
    all: Vec<Fields<'r>>,
    at: HashMap<Text, Vec<usize>>,
}

/// Rewrites every reference to an object whose name or namespace changed.
///
/// # Errors
/// Where a reference fits several objects of different names.
pub(crate) fn follow(resources: &mut ResMap, references: &[NameReference]) -> Result<(), Error> {
    // The contents change while names and histories are looked at.
    let contents = resources.content_mut();
    let mut nodes: Vec<Node> = contents.map(|r| std::mem::take(&mut r.node)).collect();
    let followed = follow_in(resources, &mut nodes, references);
    for (resource, node) in resources.content_mut().zip(nodes) {
        resource.node = node;
    }
    followed
}

fn follow_in(
    resources: &ResMap,
    nodes: &mut [Node],
    references: &[NameReference],
) -> Result<(), Error> {
    let schema = resources.schema();
    let candidates = Candidates::new(resources.as_slice(), nodes, schema);
    if candidates.all.is_empty() {
        return Ok(());
    }
    let mut by_kind = ByKind::default();
    let mut referrers: Vec<(&Resource, &mut Node, usize)> = Vec::with_capacity(nodes.len());
    for (resource, node) in resources.iter().zip(nodes) {
        let fields = fields_of(resource, node, references, &mut by_kind);
        referrers.push((resource, node, fields));
    }
    let schema: &Schema = schema;
    let followed = parallel::change(&mut referrers, resources.threads(), |referrer| {
        let (resource, node, fields) = referrer;
        follow_one(resource, node, &by_kind.all[*fields], &candidates, schema)
    });
    let mut faults = Gathered::default();
    for result in followed {
        faults.note(result);
    }
    faults.end()
}

/// Rewrites the references of one object.
fn follow_one(
    resource: &Resource,
    node: &mut Node,
    fields: &Fields<'_>,
    candidates: &Candidates<'_>,
    schema: &Schema,
) -> Result<(), Error> {
    let reached = fields.paths.reached(node);
    if !reached.contains(&true) {
        return Ok(());
    }
    let subjects = subjects(resource, node)?;
    let id = id_of(node);
    let referrer = Referrer {
        resource,
        effective: id.effective_namespace(schema).to_owned(),
        is_cluster_scoped: id.is_cluster_scoped(schema),
        subjects,
    };
    let mut faults = Gathered::default();
    let specs = fields.specs.iter().zip(reached);
    for ((target, spec), _) in specs.filter(|(_, is_reached)| *is_reached) {
        faults.note(update(node, &referrer, target, spec, candidates));
    }
    faults.end()
}

/// Finds the fields to look at in an object, by the kind it came with.
fn fields_of<'r>(
    resource: &Resource,
    node: &Node,
    references: &'r [NameReference],
    by_kind: &mut ByKind<'r>,
) -> usize {
    let (group, version) = split_api_version(tree::text(node, "apiVersion"));
    let first = resource.history.first();
    let kind = first.map_or_else(|| tree::text(node, "kind"), |first| first.kind.as_str());
    let ByKind { all: known, at } = by_kind;
    let mut same_kind = at.get(kind).into_iter().flatten().copied();
    let found = same_kind.find(|at| known[*at].group == group && known[*at].version == version);
    found.unwrap_or_else(|| {
        let all = references.iter().flat_map(|reference| {
            let fields = reference.referrers.iter();
            fields.map(move |spec| (&reference.gvk, spec))
        });
        let own = all.filter(|(_, spec)| spec.gvk.selects_kind(group, version, kind));
        let specs: Vec<_> = own.collect();
        let paths = Paths::new(specs.iter().map(|(_, spec)| *spec));
        known.push(Fields {
            group: group.to_owned(),
            version: version.to_owned(),
            specs,
            paths,
        });
        let last = known.len() - 1;
        at.entry(kind.into()).or_default().push(last);
        last
    })
}

fn id_of(node: &Node) -> IdRef<'_> {
    let (group, version) = split_api_version(tree::text(node, "apiVersion"));
    IdRef {
        group,
        version,
        kind: tree::text(node, "kind"),
        name: tree::meta_text(node, "name"),
        namespace: tree::meta_text(node, "namespace"),
    }
}

/// Puts books and content together again, for an error.
fn whole(resource: &Resource, node: &Node) -> Resource {
    let mut whole = resource.clone();
    whole.node = node.clone();
    whole
}

/// Gives the namespaces of the service accounts that a role binding names.
fn subjects(resource: &Resource, node: &Node) -> Result<BTreeSet<String>, Error> {
    let mut namespaces = BTreeSet::new();
    if tree::text(node, "kind") != "RoleBinding" {
        return Ok(namespaces);
    }
    let subjects = node.get("subjects").and_then(Node::as_sequence);
    for subject in subjects.into_iter().flatten() {
        let Some(namespace) = subject.get("namespace") else {
            continue;
        };
        if subject
            .get("kind")
            .is_none_or(|kind| kind.text() != "ServiceAccount")
        {
            continue;
        }
        match namespace.as_str() {
            Some(name) => namespaces.insert(name.to_owned()),
            None => {
                return Err(Error::at(
                    whole(resource, node).place(),
                    format!(
                        "Invalid Input: namespace is blank for resource \"{}\"",
                        id_of(node)
                    ),
                ));
            }
        };
    }
    Ok(namespaces)
}

/// Updates one field of one object.
fn update(
    node: &mut Node,
    referrer: &Referrer<'_>,
    target: &Gvk,
    spec: &FieldSpec,
    candidates: &Candidates<'_>,
) -> Result<(), Error> {
    let role_ref = spec
        .path
        .ends_with("roleRef/name")
        .then(|| role_ref(node))
        .flatten();
    let choice = Choice {
        referrer,
        target,
        role_ref,
        candidates,
    };
    let mut ambiguous: Vec<usize> = Vec::new();
    let result = spec.walk(node, Create::Nothing, &mut |node| {
        let Value::Sequence(items) = &mut node.value else {
            return choice.set(node, &mut ambiguous);
        };
        items.iter_mut().try_for_each(|item| match item.value {
            Value::Sequence(_) => {
                Err("an element is expected to be either a string or a map of string".to_owned())
            }
            _ => choice.set(item, &mut ambiguous),
        })
    });
    result.map_err(|misfit| {
        let referrer = whole(referrer.resource, node);
        let id = referrer.id();
        let error = Error::at(
            misfit.place(referrer.place()),
            format!(
                "considering field '{}' of object {id}: {}",
                spec.path, misfit.problem
            ),
        );
        let doing = format!("updating name reference in '{}' field of '{id}'", spec.path);
        let places = ambiguous
            .iter()
            .map(|at| candidates.all[*at].place(candidates));
        places.fold(error.context(doing), Error::with_place)
    })
}

/// Gives the group and kind of the role a binding refers to.
fn role_ref(node: &Node) -> Option<Gvk> {
    let reference = node.get("roleRef")?;
    let (group, kind) = (reference.get("apiGroup")?, reference.get("kind")?);
    Some(Gvk::new(group.text(), "", kind.text()))
}

impl Candidate {
    fn id(&self) -> IdRef<'_> {
        IdRef {
            group: &self.group,
            version: &self.version,
            kind: &self.kind,
            name: &self.name,
            namespace: &self.namespace,
        }
    }

    fn place(&self, candidates: &Candidates<'_>) -> Place {
        let resource = &candidates.resources[self.at];
        Place {
            object: self.id().to_string(),
            ..Place::line(&resource.file, resource.line)
        }
    }

    /// Tells whether any identity the object had is of a group, version and kind.
    fn had(&self, gvk: &Gvk, candidates: &Candidates<'_>) -> bool {
        let mut history = candidates.resources[self.at].history.iter();
        history.any(|previous| gvk.selects_kind(&self.group, &self.version, &previous.kind))
    }
}

impl<'a> Candidates<'a> {
    fn new(resources: &'a [Resource], nodes: &[Node], schema: &Schema) -> Self {
        let mut all = Vec::new();
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut originals = BTreeSet::new();
        for (at, (resource, node)) in resources.iter().zip(nodes).enumerate() {
            let id = id_of(node);
            let original = resource.history.first().map_or(id, |first| IdRef {
                kind: &first.kind,
                name: &first.name,
                namespace: &first.namespace,
                ..id
            });
            let original_effective = original.effective_namespace(schema);
            if !original.is_cluster_scoped(schema) && !originals.contains(original_effective) {
                originals.insert(original_effective.to_owned());
            }
            if resource.history.is_empty() {
                continue;
            }
            for previous in &resource.history {
                let positions = by_name.entry(previous.name.as_str()).or_default();
                if positions.last() != Some(&all.len()) {
                    positions.push(all.len());
                }
            }
            all.push(Candidate {
                at,
                group: id.group.into(),
                version: id.version.into(),
                name: id.name.into(),
                namespace: id.namespace.into(),
                effective: id.effective_namespace(schema).into(),
                original_effective: original_effective.into(),
                kind: id.kind.into(),
                is_cluster_scoped: id.is_cluster_scoped(schema),
            });
        }
        Self {
            resources,
            all,
            by_name,
            originals,
        }
    }
}

/// The rules by which one object is chosen for one field.
struct Choice<'a> {
    referrer: &'a Referrer<'a>,
    target: &'a Gvk,
    role_ref: Option<Gvk>,
    candidates: &'a Candidates<'a>,
}

/// Tells whether the shorter of two lists ends the longer one.
fn same_ending(one: &[String], other: &[String]) -> bool {
    let (short, long) = if one.len() <= other.len() {
        (one, other)
    } else {
        (other, one)
    };
    if short.is_empty() {
        long.is_empty()
    } else {
        long.ends_with(short)
    }
}

impl Choice<'_> {
    /// Tells whether an object may be referred to by this referrer at all.
    fn is_reachable(&self, candidate: &Candidate) -> bool {
        let referrer = self.referrer;
        if referrer.is_cluster_scoped || candidate.is_cluster_scoped {
            return true;
        }
        let same = *candidate.effective == *referrer.effective;
        let reachable = same || referrer.subjects.contains(&*candidate.namespace);
        reachable && (same || candidate.kind == "ServiceAccount")
    }

    /// Chooses the object a name refers to.
    fn choose(
        &self,
        name: &str,
        namespace: Option<&str>,
        ambiguous: &mut Vec<usize>,
    ) -> Result<Option<&Candidate>, String> {
        let positions = self
            .candidates
            .by_name
            .get(name)
            .map_or(&[][..], Vec::as_slice);
        let had = |candidate: &Candidate, gvk: &Gvk| candidate.had(gvk, self.candidates);
        let found = positions.iter().map(|at| &self.candidates.all[*at]);
        let mut found: Vec<&Candidate> = found
            .filter(|candidate| self.is_reachable(candidate))
            .filter(|candidate| had(candidate, self.target))
            .filter(|candidate| self.role_ref.as_ref().is_none_or(|gvk| had(candidate, gvk)))
            .collect();
        if let Some(namespace) = namespace {
            found = self.in_namespace(found, namespace);
        }
        if found.len() > 1 || found.is_empty() {
            found.retain(|candidate| self.same_affixes(candidate, true));
        }
        if found.len() > 1 {
            found.retain(|candidate| self.same_affixes(candidate, false));
        }
        let Some(first) = found.first().copied() else {
            return Ok(None);
        };
        let identical = found.iter().all(|candidate| {
            candidate.name == first.name
                && (namespace.is_none() || candidate.namespace == first.namespace)
        });
        if identical {
            return Ok(Some(first));
        }
        ambiguous.extend(positions.iter().filter(|at| {
            let candidate = &self.candidates.all[**at];
            found.iter().any(|found| found.at == candidate.at)
        }));
        let ids: Vec<String> = found.iter().map(|found| found.id().to_string()).collect();
        Err(format!(
            "found multiple possible referrals: {}",
            ids.join(", ")
        ))
    }

    /// Keeps the objects of a namespace that a reference names: their first one, if any object
    /// was in it, else their namespace of now.
    fn in_namespace<'c>(&self, found: Vec<&'c Candidate>, namespace: &str) -> Vec<&'c Candidate> {
        if namespace.is_empty() {
            return found;
        }
        let was_there = self.candidates.originals.contains(namespace);
        found
            .into_iter()
            .filter(|candidate| {
                let own = if was_there {
                    &candidate.original_effective
                } else {
                    &candidate.effective
                };
                own == namespace
            })
            .collect()
    }

    fn same_affixes(&self, candidate: &Candidate, allow_empty: bool) -> bool {
        let (own, other) = (
            self.referrer.resource,
            &self.candidates.resources[candidate.at],
        );
        let same = |a: &[String], b: &[String]| {
            (allow_empty && (a.is_empty() || b.is_empty())) || same_ending(a, b)
        };
        same(&own.prefixes, &other.prefixes) && same(&own.suffixes, &other.suffixes)
    }

    fn set(&self, node: &mut Node, ambiguous: &mut Vec<usize>) -> Result<(), String> {
        if node.is_null() {
            return Ok(());
        }
        if node.is_scalar() {
            if let Some(chosen) = self.choose(node.text(), None, ambiguous)?
                && chosen.name != node.text()
            {
                tree::set_text(node, &chosen.name)?;
            }
            return Ok(());
        }
        let Some(mapping) = node.as_mapping_mut() else {
            return Ok(());
        };
        let name = mapping
            .get("name")
            .ok_or("path config error; no 'name' field in node")?;
        let name = name.text().to_owned();
        let namespace = mapping.get("namespace").map(|node| node.text().to_owned());
        let namespace = namespace.unwrap_or_default();
        let Some(chosen) = self.choose(&name, Some(&namespace), ambiguous)? else {
            return Ok(());
        };
        if *chosen.name == *name && chosen.namespace.is_empty() {
            return Ok(());
        }
        tree::set_field_text(mapping, "name", &chosen.name);
        if !chosen.namespace.is_empty() {
            tree::set_field_text(mapping, "namespace", &chosen.namespace);
        }
        Ok(())
    }
}
