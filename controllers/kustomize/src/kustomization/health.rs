//! Which objects a Kustomization waits for. Pure.

use std::collections::BTreeSet;

use api::kustomize::Kustomization;
use kube::ResourceExt;
use manifest::{ChangeSet, Inventory, ObjectId, change_set::Action, inventory::Entry};
use serde_json::Value;

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// Everything that was applied, but for the Kustomization itself.
    Applied(ObjectId),
    /// A list, with the version of each.
    Listed(Vec<(ObjectId, String)>),
}

/// Chooses what to wait for; `wait` beats the list.
#[must_use]
pub(super) fn choose(object: &Kustomization, objects: &[Value]) -> Option<Health> {
    let own = ObjectId {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        group: "kustomize.toolkit.fluxcd.io".into(),
        kind: "Kustomization".into(),
    };
    if object.spec.wait.unwrap_or(false) {
        return (!objects.is_empty()).then_some(Health::Applied(own));
    }
    let listed: Vec<_> = object
        .spec
        .health_checks
        .iter()
        .map(|check| {
            let api_version = check.api_version.as_deref().filter(|v| !v.is_empty());
            let (group, version) = match api_version.unwrap_or("apps/v1").split_once('/') {
                Some((group, version)) => (group, version),
                None => ("", api_version.unwrap_or_default()),
            };
            let id = ObjectId {
                namespace: check.namespace.clone().unwrap_or_default(),
                name: check.name.clone(),
                group: group.to_owned(),
                kind: check.kind.clone(),
            };
            (id, version.to_owned())
        })
        .filter(|(id, _)| *id != own)
        .collect();
    (!listed.is_empty()).then_some(Health::Listed(listed))
}

/// Lists the Jobs that the API server removes once they are done: gone is ready then.
#[must_use]
pub(super) fn expiring_jobs(objects: &[Value]) -> BTreeSet<ObjectId> {
    let expires = |object: &&Value| {
        let id = ObjectId::of(object);
        id.kind == "Job"
            && id.group == "batch"
            && object.pointer("/spec/ttlSecondsAfterFinished").is_some()
    };
    objects.iter().filter(expires).map(ObjectId::of).collect()
}

/// Returns the objects to wait for, with their versions, given what was applied.
#[must_use]
pub(super) fn targets(health: &Health, changes: &ChangeSet) -> Inventory {
    let entry = |(id, version)| Entry { id, version };
    match health {
        Health::Listed(list) => Inventory::new(list.iter().cloned().map(entry)),
        Health::Applied(own) => {
            let waited = changes.entries().iter();
            let waited = waited.filter(|c| c.action != Action::Skipped && c.id != *own);
            Inventory::new(waited.map(|c| entry((c.id.clone(), c.version.clone()))))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(spec: &Value) -> Kustomization {
        let mut full = json!({ "interval": "1m", "prune": true,
            "sourceRef": { "kind": "GitRepository", "name": "app" } });
        full.as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": { "name": "app", "namespace": "ns" }, "spec": full }))
        .unwrap()
    }

    #[test]
    fn check_without_a_version_means_apps_v1() {
        let checks =
            json!({ "healthChecks": [{ "kind": "Deployment", "name": "web", "namespace": "ns" }] });
        let Some(Health::Listed(list)) = choose(&object(&checks), &[]) else {
            panic!("no list")
        };
        assert_eq!(
            (list[0].0.group.as_str(), list[0].1.as_str()),
            ("apps", "v1")
        );
    }

    #[test]
    fn wait_beats_the_list_and_nothing_to_wait_for_is_no_check() {
        let both =
            json!({ "wait": true, "healthChecks": [{ "kind": "Deployment", "name": "web" }] });
        assert!(matches!(
            choose(&object(&both), &[json!({})]),
            Some(Health::Applied(_))
        ));
        assert_eq!(choose(&object(&both), &[]), None);
        assert_eq!(choose(&object(&json!({})), &[json!({})]), None);
    }

    #[test]
    fn only_jobs_with_a_time_to_live_may_be_gone() {
        let job = |name: &str, spec: Value| {
            json!({ "apiVersion": "batch/v1", "kind": "Job",
                "metadata": { "name": name, "namespace": "ns" }, "spec": spec })
        };
        let jobs = [
            job("kept", json!({})),
            job("gone", json!({ "ttlSecondsAfterFinished": 0 })),
        ];
        let names: Vec<_> = expiring_jobs(&jobs).into_iter().map(|id| id.name).collect();
        assert_eq!(names, ["gone"]);
    }

    /// covers: KC-062
    #[test]
    fn skipped_objects_are_not_waited_for() {
        let id = |name: &str| ObjectId {
            namespace: "ns".into(),
            name: name.into(),
            group: String::new(),
            kind: "ConfigMap".into(),
        };
        let mut changes = ChangeSet::default();
        for (name, action) in [("a", Action::Skipped), ("b", Action::Unchanged)] {
            let (id, version) = (id(name), "v1".to_owned());
            changes.push(manifest::change_set::Change {
                id,
                version,
                action,
            });
        }
        let targets = targets(&Health::Applied(id("own")), &changes);
        assert_eq!(targets.len(), 1);
        assert_eq!(targets.entries()[0].id.name, "b");
    }
}
