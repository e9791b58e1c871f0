//! Lets an object move from one unit to another: who gives it up waits for who may take it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use api::{Reconciled, kustomize::Kustomization};
use runtime::{Failure, Parked};

use super::{
    super::{
        Reconciler,
        source::{Reference, same_revision},
        triggers, unit,
    },
    Run, superseded,
};

/// How long units of the same source are waited for that have not come to a revision yet.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

impl Reconciler {
    /// Waits, without a permit, until all units of the same source have come to the revision: one of
    /// them may apply what leaves this one, and it is not deleted then.
    pub(super) async fn await_takers(&self, run: &Run<'_>) -> Result<(), Failure> {
        let Some(units) = self.units.get() else {
            return Ok(());
        };
        let behind = || {
            let all = units.state();
            let waiting = dependants(&all, run.object);
            all.iter().any(|other| {
                may_take(run.object, other, &run.revision.name) && !waiting.contains(&unit(other))
            })
        };
        if !behind() {
            return Ok(());
        }
        let arrived = async {
            while behind() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        match run.progress.park(PATIENCE, arrived).await {
            Parked::Done(()) | Parked::Expired => Ok(()),
            Parked::Superseded(by) => Err(superseded(run, &by)),
        }
    }
}

/// Whether another unit is about to come to a revision of this one's source.
fn may_take(own: &Kustomization, other: &Kustomization, revision: &str) -> bool {
    let is_same_source = Reference::of(own) == Reference::of(other) && unit(own) != unit(other);
    let rests = other.spec.suspend.unwrap_or(false) || other.metadata.deletion_timestamp.is_some();
    if !is_same_source || rests {
        return false;
    }
    let status = other.status.as_ref();
    let attempted = status.and_then(|s| s.last_attempted_revision.as_deref());
    let ready = runtime::conditions::find(other.conditions(), "Ready");
    match ready {
        // It waits for others, or has failed: it may do so for long.
        Some(ready) if ready.status == "False" => false,
        Some(ready) if ready.status == "True" => {
            !same_revision(attempted.unwrap_or_default(), revision)
        }
        _ => true,
    }
}

/// The units that wait for one, directly or through others: they cannot come before it.
fn dependants(all: &[Arc<Kustomization>], of: &Kustomization) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::from([unit(of)]);
    loop {
        let before = found.len();
        for other in all {
            if triggers::needs(other)
                .iter()
                .any(|need| found.contains(need))
            {
                found.insert(unit(other));
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(
        name: &str,
        source: &str,
        depends: &[&str],
        ready: &str,
        attempted: &str,
    ) -> Kustomization {
        let depends: Vec<_> = depends.iter().map(|d| json!({ "name": d })).collect();
        serde_json::from_value(json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": { "name": name, "namespace": "ns" },
            "spec": { "interval": "1m", "prune": true, "dependsOn": depends,
                "sourceRef": { "kind": "GitRepository", "name": source } },
            "status": { "lastAttemptedRevision": attempted, "conditions": [{ "type": "Ready",
                "status": ready, "reason": "X", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z" }] } }))
        .unwrap()
    }

    #[test]
    fn only_units_on_their_way_to_the_revision_are_waited_for() {
        let own = object("own", "app", &[], "Unknown", "2");
        for (other, expected) in [
            (object("a", "app", &[], "True", "1"), true),
            (object("a", "app", &[], "Unknown", "2"), true),
            (object("a", "app", &[], "True", "2"), false),
            (object("a", "app", &[], "False", "1"), false),
            (object("a", "infra", &[], "True", "1"), false),
            (object("own", "app", &[], "Unknown", "1"), false),
        ] {
            assert_eq!(may_take(&own, &other, "2"), expected, "{other:?}");
        }
    }

    #[test]
    fn dependants_are_found_through_others() {
        let own = object("own", "app", &[], "Unknown", "2");
        let all = [
            Arc::new(object("a", "app", &["own"], "False", "1")),
            Arc::new(object("b", "app", &["a"], "False", "1")),
            Arc::new(object("c", "app", &[], "False", "1")),
        ];
        let id = |name: &str| ("ns".to_owned(), name.to_owned());
        assert_eq!(dependants(&all, &own), [id("a"), id("b"), id("own")].into());
    }
}
