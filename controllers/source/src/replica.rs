//! Whether this replica hands artifacts out: the leader does, and another one while it holds every artifact that a status
//! names, as replicas do that share a volume.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::meta::Artifact;
use api::source::{Bucket, GitRepository, HelmChart, HelmRepository, OCIRepository};
use artifact::Storage;
use artifact::serve::Switch;
use artifact::storage::ArtifactPath;
use futures::stream::{BoxStream, SelectAll};
use futures::{FutureExt, StreamExt};
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::watcher::Event;
use kube::{Client, Resource, ResourceExt};
use runtime::Server;
use runtime::watch::{self, Scope};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

/// How often a replica that does not lead looks whether what statuses name is there.
const PERIOD: Duration = Duration::from_secs(5);

/// What a replica looks at.
#[derive(Clone)]
pub(crate) struct Replica {
    pub(crate) client: Client,
    pub(crate) scope: Scope,
    pub(crate) storage: Arc<Storage>,
    /// Whether files are handed out.
    pub(crate) switch: Switch,
    /// Cancelled once this replica leads.
    pub(crate) leads: CancellationToken,
}

impl Replica {
    /// Returns the servers that turn the switch: one for every replica, one for the leader.
    pub(crate) fn servers(self, elected: bool) -> Vec<Server> {
        let (switch, leads) = (self.switch.clone(), self.leads.clone());
        let leader = Server {
            name: "leader",
            leader_only: true,
            serve: Box::new(move |stop| {
                leads.cancel();
                switch.set(true);
                async move {
                    stop.cancelled().await;
                    Ok(())
                }
                .boxed()
            }),
        };
        let standby = Server {
            name: "standby",
            leader_only: false,
            serve: Box::new(move |stop| {
                async move {
                    tokio::select! {
                        () = self.stand_by() => {}
                        () = self.leads.cancelled() => {}
                        () = stop.cancelled() => {}
                    }
                    // The leader's server turned it on, or nobody asks any more.
                    stop.cancelled().await;
                    Ok(())
                }
                .boxed()
            }),
        };
        if elected {
            vec![leader, standby]
        } else {
            vec![leader]
        }
    }

    /// Turns the switch as artifacts come and go. Never returns.
    async fn stand_by(&self) {
        let mut named = Named::default();
        let mut changes = self.changes();
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                change = changes.next() => match change {
                    Some(change) => named.take(change),
                    None => return std::future::pending().await,
                },
                _ = tick.tick() => {
                    let open = named.is_listed() && self.holds(&named).await;
                    if open != self.switch.is_open() && !self.leads.is_cancelled() {
                        tracing::info!(open, "artifacts that statuses name are all here, or not");
                        self.switch.set(open);
                    }
                }
            }
        }
    }

    /// Says whether every artifact is there, in its size.
    async fn holds(&self, named: &Named) -> bool {
        let (storage, artifacts) = (Arc::clone(&self.storage), named.artifacts());
        let held = tokio::task::spawn_blocking(move || {
            artifacts.iter().all(|(path, size)| {
                let path = ArtifactPath::parse(path);
                let found = path.ok().and_then(|path| storage.size(&path));
                found.is_some_and(|found| size.is_none_or(|size| size == found))
            })
        });
        held.await.unwrap_or_default()
    }

    fn changes(&self) -> SelectAll<BoxStream<'static, Change>> {
        let mut all = SelectAll::new();
        all.push(self.of::<GitRepository>(|each| each.status.as_ref()?.artifact.as_ref()));
        all.push(self.of::<OCIRepository>(|each| each.status.as_ref()?.artifact.as_ref()));
        all.push(self.of::<HelmRepository>(|each| each.status.as_ref()?.artifact.as_ref()));
        all.push(self.of::<HelmChart>(|each| each.status.as_ref()?.artifact.as_ref()));
        all.push(self.of::<Bucket>(|each| each.status.as_ref()?.artifact.as_ref()));
        all
    }

    fn of<K>(&self, artifact: fn(&K) -> Option<&Artifact>) -> BoxStream<'static, Change>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static,
    {
        let kind = K::kind(&()).into_owned();
        watch::events::<K>(self.client.clone(), &self.scope)
            .map(move |event| Change {
                kind: kind.clone(),
                event: reduced(event, artifact),
            })
            .boxed()
    }
}

/// Keeps of an event what counts here: whose artifact lies where, and how large it is.
fn reduced<K: Resource>(event: Event<K>, artifact: fn(&K) -> Option<&Artifact>) -> Step {
    let reference = |object: &K| (object.namespace().unwrap_or_default(), object.name_any());
    match event {
        Event::Init => Step::Begin,
        Event::InitDone => Step::Listed,
        Event::Delete(object) => Step::Gone(reference(&object)),
        Event::Apply(object) | Event::InitApply(object) => {
            let size =
                |artifact: &Artifact| artifact.size.and_then(|size| u64::try_from(size).ok());
            let found = artifact(&object).map(|artifact| (artifact.path.clone(), size(artifact)));
            match found {
                Some(found) => Step::There(reference(&object), found),
                None => Step::Gone(reference(&object)),
            }
        }
    }
}

/// Namespace and name.
type Reference = (String, String);
/// Path and size.
type Place = (String, Option<u64>);

#[derive(Debug)]
struct Change {
    kind: String,
    event: Step,
}

#[derive(Debug)]
enum Step {
    Begin,
    There(Reference, Place),
    Gone(Reference),
    Listed,
}

/// The artifacts that statuses name.
#[derive(Debug, Default)]
struct Named {
    /// The kinds whose listing is complete.
    listed: BTreeSet<String>,
    kinds: BTreeMap<String, BTreeMap<Reference, Place>>,
}

/// How many kinds have artifacts.
const KINDS: usize = 5;

impl Named {
    fn take(&mut self, Change { kind, event }: Change) {
        let known = self.kinds.entry(kind.clone()).or_default();
        match event {
            Step::Begin => {
                known.clear();
                self.listed.remove(&kind);
            }
            Step::There(object, place) => drop(known.insert(object, place)),
            Step::Gone(object) => drop(known.remove(&object)),
            Step::Listed => drop(self.listed.insert(kind)),
        }
    }

    /// Says whether every kind has been listed.
    fn is_listed(&self) -> bool {
        self.listed.len() == KINDS
    }

    fn artifacts(&self) -> Vec<Place> {
        let all = self.kinds.values().flat_map(BTreeMap::values);
        all.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(named: &mut Named, kind: &str, event: Step) {
        named.take(Change {
            kind: kind.to_owned(),
            event,
        });
    }

    #[test]
    fn artifacts_count_from_the_end_of_the_listing_of_every_kind() {
        let mut named = Named::default();
        let app = ("ns".to_owned(), "app".to_owned());
        for kind in ["A", "B", "C", "D", "E"] {
            assert!(!named.is_listed());
            take(&mut named, kind, Step::Begin);
            take(
                &mut named,
                kind,
                Step::There(app.clone(), (format!("{kind}/x"), Some(1))),
            );
            take(&mut named, kind, Step::Listed);
            take(&mut named, "A", Step::Listed);
        }
        assert!(named.is_listed());
        assert_eq!(named.artifacts().len(), 5);
        take(&mut named, "A", Step::Gone(app));
        assert_eq!(named.artifacts().len(), 4);
        take(&mut named, "B", Step::Begin);
        assert!(!named.is_listed(), "it is listed anew");
    }
}
