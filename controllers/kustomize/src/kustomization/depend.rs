//! Waits for dependencies: reads them, and tells which one holds the Kustomization back.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use api::{Reconciled, kustomize::Kustomization};
use cluster::{HealthRule, Location, WaitOptions};
use kube::{Api, ResourceExt};
use manifest::{
    GroupVersionKind, Inventory, ObjectId,
    health::{Health, Status},
    inventory::Entry,
};
use runtime::{Change, Failure, Note, Parked, Progress};
use serde_json::Value;

use super::{
    Reconciler,
    dependencies::{Blocked, Dependency},
    expressions,
    report::Revision,
};
use crate::features;

/// The longest circle that is looked for.
pub(super) const MAX_CIRCLE: usize = 64;

impl Reconciler {
    /// Checks the dependencies, one after the other; the first that is not ready is told.
    ///
    /// A Kustomization that becomes ready wakes its dependants by itself; for other kinds the run
    /// waits here, without holding a permit.
    pub(super) async fn await_dependencies(
        &self,
        object: &Kustomization,
        revision: &Revision,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let reference = |r: &api::meta::DependencyReference| {
            Dependency::new(object, r).map_err(|error| {
                let cause = runtime::failure::chain(&error);
                let name = &r.name;
                expressions::invalid(&format!(
                    "terminal error: failed to evaluate dependency {name}: {cause}"
                ))
            })
        };
        let named = object.dependencies().map_err(|error| {
            let cause = runtime::failure::chain(&error);
            // An annotation moves no generation, so that a stalled object would never look again.
            Failure::retry("DependencyNotReady", cause)
        })?;
        let all: Vec<_> = named.iter().map(reference).collect::<Result<_, _>>()?;
        for dependency in &all {
            let found = self.dependency(object, dependency).await;
            let found = found.map_err(|cause| self.not_ready(revision, cause))?;
            let additive = self.features.enabled(features::ADDITIVE_CHECK);
            match dependency.check(object, &found, &revision.name, additive) {
                Ok(()) => {}
                Err(Blocked::Failed(cause)) => {
                    let note = revision.annotate(Note::error("DependencyNotReady", cause.clone()));
                    return Err(Failure::retry("DependencyNotReady", cause).note(note));
                }
                Err(Blocked::NotReady(cause)) if dependency.foreign.is_some() => {
                    self.await_foreign(object, dependency, revision, &cause, progress)
                        .await?;
                }
                Err(Blocked::NotReady(cause)) => {
                    self.refuse_circle(object, &found).await?;
                    return Err(self.not_ready(revision, cause));
                }
            }
        }
        if !all.is_empty() {
            tracing::info!("All dependencies are ready, proceeding with reconciliation");
        }
        Ok(())
    }

    /// Reads a dependency, past every cache: it may belong to another shard.
    async fn dependency(
        &self,
        object: &Kustomization,
        dependency: &Dependency,
    ) -> Result<Value, String> {
        let id = dependency.id();
        let missing = |cause: String| format!("dependency '{id}' not found: {cause}");
        let Some((version, kind)) = &dependency.foreign else {
            let api = Api::<Kustomization>::namespaced(self.client.clone(), &dependency.namespace);
            let found = api.get(&dependency.name).await;
            let found = found.map_err(|error| missing(runtime::failure::chain(&error)))?;
            return serde_json::to_value(found).map_err(|error| missing(error.to_string()));
        };
        let cluster = self.home_of(object).await.map_err(&missing)?;
        let gvk = GroupVersionKind::new(version, kind);
        let resource = cluster.resolve_any_version(&gvk).await;
        let resource = resource.map_err(|error| missing(runtime::failure::chain(&error)))?;
        let at = Location {
            namespace: if resource.namespaced {
                &dependency.namespace
            } else {
                ""
            },
            name: &dependency.name,
            resource: &resource,
        };
        let found = cluster.get(&at).await;
        found
            .map_err(|error| missing(runtime::failure::chain(&error)))?
            .ok_or_else(|| format!("dependency '{id}' not found"))
    }

    /// Says that the run waits, and waits for an object of another kind.
    async fn await_foreign(
        &self,
        object: &Kustomization,
        dependency: &Dependency,
        revision: &Revision,
        cause: &str,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let failure = self.not_ready(revision, cause.to_owned());
        let Some((version, kind)) = &dependency.foreign else {
            return Err(failure);
        };
        for note in &failure.notes {
            progress.emit(note.clone());
        }
        let blocked = Change::default().condition("Ready", "False", "DependencyNotReady", cause);
        progress.checkpoint(blocked).await?;
        let cluster = self
            .home_of(object)
            .await
            .map_err(|cause| self.not_ready(revision, cause))?;
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let entry = Entry {
            id: ObjectId {
                namespace: dependency.namespace.clone(),
                name: dependency.name.clone(),
                group: group.to_owned(),
                kind: kind.clone(),
            },
            version: version.to_owned(),
        };
        let additive = self.features.enabled(features::ADDITIVE_CHECK);
        let limit = self.requeue_dependency;
        let options = WaitOptions {
            fail_fast: false,
            rules: Some(Arc::new(AsDependant {
                object: object.clone(),
                reference: reference_of(object, dependency),
                revision: revision.name.clone(),
                additive,
            })),
            ..WaitOptions::new(limit)
        };
        let target = Inventory::new([entry]);
        let wait = cluster.wait(&target, &options);
        let quietly = |mut failure: Failure| {
            failure.notes.clear();
            failure.quiet = true;
            failure
        };
        match progress.park(limit + Duration::from_secs(5), wait).await {
            Parked::Done(Ok(())) => Ok(()),
            Parked::Done(Err(_)) | Parked::Expired => Err(quietly(failure)),
            Parked::Superseded(by) => {
                let message = format!("New reconciliation triggered by {by}");
                let class = runtime::Class::Superseded;
                Err(Failure::new(class, "DependencyNotReady", message).quietly())
            }
        }
    }

    fn not_ready(&self, revision: &Revision, message: String) -> Failure {
        let delay = self.requeue_dependency;
        let text = api::meta::Duration::from(delay);
        let words = format!("Dependencies do not meet ready condition, retrying in {text}");
        let note = revision.annotate(Note::info("DependencyNotReady", words));
        Failure::wait(delay, "DependencyNotReady", message).note(note)
    }

    /// Fails where the chain of those that wait leads back to this Kustomization: nobody in the
    /// circle can ever start.
    async fn refuse_circle(&self, object: &Kustomization, first: &Value) -> Result<(), Failure> {
        let Ok(mut next) = serde_json::from_value::<Kustomization>(first.clone()) else {
            return Ok(());
        };
        let start = id_of(object);
        let mut path = vec![start.clone()];
        let mut seen = BTreeSet::new();
        let mut open: Vec<(Vec<String>, Kustomization)> = Vec::new();
        while seen.len() < MAX_CIRCLE {
            let id = id_of(&next);
            if id == start {
                path.push(id);
                let message = format!("circular dependency detected: {}", path.join(" -> "));
                return Err(Failure::stall(CIRCLE, message));
            }
            if seen.insert(id.clone()) && is_blocked(&next) {
                path.push(id);
                for (namespace, name) in super::triggers::needs(&next) {
                    let api = Api::<Kustomization>::namespaced(self.client.clone(), &namespace);
                    if let Ok(Some(found)) = api.get_opt(&name).await {
                        open.push((path.clone(), found));
                    }
                }
            }
            match open.pop() {
                Some((trail, found)) => (path, next) = (trail, found),
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

/// The reason of Ready of those that wait for themselves.
pub(super) const CIRCLE: &str = "DependencyCycle";

fn id_of(object: &Kustomization) -> String {
    format!(
        "{}/{}",
        object.namespace().unwrap_or_default(),
        object.name_any()
    )
}

/// Whether a Kustomization itself waits for others.
fn is_blocked(object: &Kustomization) -> bool {
    let ready = object.conditions().iter().find(|c| c.type_ == "Ready");
    ready.is_none_or(|c| c.reason == "DependencyNotReady" || c.reason == CIRCLE)
}

fn reference_of(object: &Kustomization, dependency: &Dependency) -> api::meta::DependencyReference {
    let own = object.namespace().unwrap_or_default();
    let same = |r: &&api::meta::DependencyReference| {
        let namespace = r
            .namespace
            .as_deref()
            .filter(|n| !n.is_empty())
            .unwrap_or(&own);
        r.name == dependency.name && namespace == dependency.namespace && r.kind.is_some()
    };
    let named = object.dependencies().unwrap_or_default();
    named.iter().find(same).cloned().unwrap_or_default()
}

/// Judges an object as the Kustomization that waits for it does.
struct AsDependant {
    object: Kustomization,
    reference: api::meta::DependencyReference,
    revision: String,
    additive: bool,
}

impl HealthRule for AsDependant {
    fn evaluate(&self, found: &Value) -> Option<Result<Health, String>> {
        let dependency = Dependency::new(&self.object, &self.reference).ok()?;
        let health = |status, message| Health {
            status,
            reason: String::new(),
            message,
        };
        let verdict = dependency.check(&self.object, found, &self.revision, self.additive);
        Some(Ok(match verdict {
            Ok(()) => health(Status::Current, String::new()),
            Err(Blocked::NotReady(cause) | Blocked::Failed(cause)) => {
                health(Status::InProgress, cause)
            }
        }))
    }
}
