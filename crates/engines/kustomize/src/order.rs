//! The order objects are printed in.

use crate::error::Error;
use crate::id::{Gvk, IdRef, or};
use crate::kustomization::SortOptions;
use crate::res_map::ResMap;

/// Kinds that come first in the legacy order.
const FIRST: &[&str] = &[
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
/// Kinds that come last in the legacy order.
const LAST: &[&str] = &[
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Gives what a kind sorts by in lists of fields.
pub(crate) fn kind_order(gvk: &Gvk) -> (i64, String) {
    let Gvk {
        group,
        version,
        kind,
    } = gvk;
    (rank(kind, FIRST, LAST), stable(group, version, kind))
}

/// Gives a kind's place: below 0 among the first, above 0 among the last, 0 between.
fn rank<S: AsRef<str>>(kind: &str, first: &[S], last: &[S]) -> i64 {
    let position = |kinds: &[S]| kinds.iter().rposition(|k| k.as_ref() == kind);
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    match (position(first), position(last)) {
        (_, Some(at)) => number(at) + 1,
        (Some(at), None) => number(at) - number(first.len()),
        (None, None) => 0,
    }
}

/// Joins group, version and kind so that missing parts sort after all letters, but the core
/// Namespace comes before namespaces of other groups.
fn stable(group: &str, version: &str, kind: &str) -> String {
    if kind == "Namespace" && group.is_empty() {
        return String::new();
    }
    let (group, version) = (or(group, "~G"), or(version, "~V"));
    [group, "_", version, "_", or(kind, "~K")].concat()
}

/// Joins a whole identity for ties.
fn tie(id: &IdRef<'_>) -> String {
    let (kind, version) = (or(id.kind, "[noKind]"), or(id.version, "[noVer]"));
    let (group, namespace) = (or(id.group, "[noGrp]"), or(id.namespace, "~X"));
    let name = or(id.name, "~N");
    [kind, ".", version, ".", group, "|", namespace, "|", name].concat()
}

/// Sorts by kind: namespaces first, webhooks last.
pub(crate) fn legacy(resources: &mut ResMap) {
    sort(resources, FIRST, LAST);
}

/// Sorts as `sortOptions` says.
///
/// # Errors
/// Where the options contradict themselves.
pub(crate) fn by_options(resources: &mut ResMap, options: &SortOptions) -> Result<(), Error> {
    let problem = match (options.order.as_str(), &options.legacy) {
        ("legacy", Some((first, last))) => {
            sort(resources, first, last);
            return Ok(());
        }
        ("legacy", None) => {
            legacy(resources);
            return Ok(());
        }
        ("fifo", None) => return Ok(()),
        ("fifo", Some(_)) => {
            "the field 'sortOptions.legacySortOptions' is set but the selected sort order is \
             'fifo', not 'legacy'"
        }
        _ => "the field 'sortOptions.order' must be one of [fifo, legacy]",
    };
    Err(Error::at(options.place.clone(), problem))
}

fn sort<S: AsRef<str>>(resources: &mut ResMap, first: &[S], last: &[S]) {
    resources.sort_by_key(|resource| {
        let id = resource.id();
        let stable = stable(id.group, id.version, id.kind);
        (rank(id.kind, first, last), stable, tie(&id))
    });
}
