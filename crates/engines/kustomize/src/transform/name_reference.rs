//! Follows the names objects got to the fields that refer to them.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use yaml::{Node, Value};

use crate::config::NameReference;
use crate::error::Error;
use crate::field_spec::{Create, FieldSpec};
use crate::id::Gvk;
use crate::res_map::ResMap;
use crate::resource::Resource;
use crate::schema::Schema;
use crate::tree;

/// An object that may be referred to: one whose name has a history.
struct Candidate {
    at: usize,
    name: String,
    namespace: String,
    effective: String,
    original_effective: String,
    kind: String,
    is_cluster_scoped: bool,
}

/// All candidates, by each name they had.
struct Candidates<'a> {
    resources: &'a [Resource],
    all: Vec<Candidate>,
    by_name: HashMap<&'a str, Vec<usize>>,
    /// The namespaces objects came with.
    originals: BTreeSet<&'a str>,
}

/// An object whose fields are looked at.
struct Referrer<'a> {
    resource: &'a Resource,
    effective: &'a str,
    is_cluster_scoped: bool,
    /// Namespaces of the service accounts a role binding names.
    subjects: BTreeSet<String>,
}

/// Rewrites every reference to an object whose name or namespace changed.
///
/// # Errors
/// Where a reference fits several objects of different names.
pub(crate) fn follow(resources: &mut ResMap, references: &[NameReference]) -> Result<(), Error> {
    let schema = Rc::clone(resources.schema());
    let mut changed: Vec<(usize, Node)> = Vec::new();
    {
        let candidates = Candidates::new(resources.as_slice(), &schema);
        if candidates.all.is_empty() {
            return Ok(());
        }
        for (at, resource) in resources.iter().enumerate() {
            let original = resource.original_id();
            let mut specs = references.iter().flat_map(|reference| {
                let fields = reference.referrers.iter();
                fields
                    .filter(|spec| spec.gvk.selects(&original))
                    .map(move |spec| (reference, spec))
            });
            let Some(first) = specs.next() else { continue };
            let id = resource.id();
            let referrer = Referrer {
                resource,
                effective: id.effective_namespace(&schema),
                is_cluster_scoped: id.is_cluster_scoped(&schema),
                subjects: subjects(resource)?,
            };
            let mut copy = resource.clone();
            for (reference, spec) in std::iter::once(first).chain(specs) {
                update(&mut copy, &referrer, &reference.gvk, spec, &candidates)?;
            }
            changed.push((at, copy.node));
        }
    }
    for (at, node) in changed {
        resources.get_mut(at).node = node;
    }
    Ok(())
}

/// Gives the namespaces of the service accounts that a role binding names.
fn subjects(resource: &Resource) -> Result<BTreeSet<String>, Error> {
    let mut namespaces = BTreeSet::new();
    if resource.kind() != "RoleBinding" {
        return Ok(namespaces);
    }
    let subjects = resource.node.get("subjects").and_then(Node::as_sequence);
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
                    resource.place(),
                    format!(
                        "Invalid Input: namespace is blank for resource \"{}\"",
                        resource.id()
                    ),
                ));
            }
        };
    }
    Ok(namespaces)
}

/// Updates one field of one object.
fn update(
    copy: &mut Resource,
    referrer: &Referrer<'_>,
    target: &Gvk,
    spec: &FieldSpec,
    candidates: &Candidates<'_>,
) -> Result<(), Error> {
    let role_ref = spec
        .path
        .ends_with("roleRef/name")
        .then(|| role_ref(&copy.node))
        .flatten();
    let choice = Choice {
        referrer,
        target,
        role_ref,
        candidates,
    };
    let mut ambiguous: Vec<usize> = Vec::new();
    let result = spec.visit(copy, Create::Nothing, &mut |node| {
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
    result.map_err(|error| {
        let doing = format!(
            "updating name reference in '{}' field of '{}'",
            spec.path,
            referrer.resource.id()
        );
        let places = ambiguous.iter().map(|at| candidates.resources[*at].place());
        places.fold(error.context(doing), Error::with_place)
    })
}

/// Gives the group and kind of the role a binding refers to.
fn role_ref(node: &Node) -> Option<Gvk> {
    let reference = node.get("roleRef")?;
    let (group, kind) = (reference.get("apiGroup")?, reference.get("kind")?);
    Some(Gvk::new(group.text(), "", kind.text()))
}

impl<'a> Candidates<'a> {
    fn new(resources: &'a [Resource], schema: &Schema) -> Self {
        let mut all = Vec::new();
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut originals = BTreeSet::new();
        for (at, resource) in resources.iter().enumerate() {
            let original = resource.original_id();
            if !original.is_cluster_scoped(schema) {
                originals.insert(original.effective_namespace(schema));
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
            let id = resource.id();
            all.push(Candidate {
                at,
                name: id.name.to_owned(),
                namespace: id.namespace.to_owned(),
                effective: id.effective_namespace(schema).to_owned(),
                original_effective: original.effective_namespace(schema).to_owned(),
                kind: id.kind.to_owned(),
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
        let same = candidate.effective == referrer.effective;
        let reachable = same || referrer.subjects.contains(&candidate.namespace);
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
        let had = |candidate: &Candidate, gvk: &Gvk| {
            self.candidates.resources[candidate.at]
                .previous_ids()
                .any(|id| gvk.selects(&id))
        };
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
        ambiguous.extend(found.iter().map(|candidate| candidate.at));
        let ids: Vec<String> = found
            .iter()
            .map(|c| self.candidates.resources[c.at].id().to_string())
            .collect();
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
        if chosen.name == name && chosen.namespace.is_empty() {
            return Ok(());
        }
        tree::set_field_text(mapping, "name", &chosen.name);
        if !chosen.namespace.is_empty() {
            tree::set_field_text(mapping, "namespace", &chosen.namespace);
        }
        Ok(())
    }
}
