//! The watches over applied objects. Only metadata comes, and of that only sums are kept.

use std::{
    collections::{BTreeMap, HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, PartialObjectMeta},
    runtime::{WatchStreamExt, watcher},
};
use manifest::{GroupVersionKind, ObjectId};

use super::{DriftBook, Name};
use crate::Cluster;

/// How often it is looked which kinds are to be watched.
const TICK: Duration = Duration::from_secs(1);

type Meta = PartialObjectMeta<DynamicObject>;

/// What is kept of an object.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Sums {
    state: [u64; 3],
    /// By manager and operation.
    writers: BTreeMap<(String, String), Write>,
}

/// What one writer owns, and when it last wrote.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Write {
    fields: u64,
    time: u64,
}

/// Those whose objects are watched: asked what to watch, told what was changed.
pub trait Owners: Send + Sync + 'static {
    /// Returns the kinds to watch, group and kind, with a version of each.
    fn kinds(&self) -> BTreeMap<(String, String), String>;

    /// Whether this owner wants to know at once that this object of its was changed.
    fn owns(&self, owner: &Name, object: &ObjectId) -> bool;

    /// Wakes an owner: one of its objects was changed.
    fn wake(&self, owner: &Name);

    /// Whether nobody listens any more.
    fn is_closed(&self) -> bool;
}

/// What tells owned objects, and the owner's own writes, from others.
#[derive(Clone, Debug)]
pub struct Followed {
    /// The field manager of the owner's writes.
    pub manager: &'static str,
    /// The label with the owner's name; only objects that carry it are watched.
    pub name_label: String,
    /// The label with the owner's namespace.
    pub namespace_label: String,
}

/// Opens and closes watches as owners come to need them, until nobody listens.
pub async fn follow(
    cluster: Cluster,
    what: Followed,
    owners: Arc<dyn Owners>,
    book: Arc<DriftBook>,
) {
    let mut open: BTreeMap<(String, String), tokio::task::JoinHandle<()>> = BTreeMap::new();
    while !owners.is_closed() {
        let wanted = owners.kinds();
        open.retain(|kind, task| {
            let keep = wanted.contains_key(kind) && !task.is_finished();
            if !keep {
                task.abort();
            }
            keep
        });
        for (kind, version) in wanted {
            if open.contains_key(&kind) {
                continue;
            }
            let gvk = GroupVersionKind {
                group: kind.0.clone(),
                version,
                kind: kind.1.clone(),
            };
            let Ok(found) = cluster.resolve_any_version(&gvk).await else {
                continue;
            };
            let gvk = kube::core::GroupVersionKind::gvk(&kind.0, &found.gvk.version, &kind.1);
            let resource = ApiResource::from_gvk_with_plural(&gvk, &found.plural);
            let api = Api::all_with(cluster.client().clone(), &resource);
            let follower = Follower {
                kind: kind.clone(),
                what: what.clone(),
                owners: Arc::clone(&owners),
                book: Arc::clone(&book),
                seen: HashMap::new(),
                listed: None,
            };
            open.insert(kind, tokio::spawn(follower.run(api)));
        }
        tokio::time::sleep(TICK).await;
    }
    for task in open.into_values() {
        task.abort();
    }
}

struct Follower {
    kind: (String, String),
    what: Followed,
    owners: Arc<dyn Owners>,
    book: Arc<DriftBook>,
    /// The sums of each object, and whose it is.
    seen: HashMap<Name, (Sums, Name)>,
    /// What a listing has named so far.
    listed: Option<Vec<Name>>,
}

impl Follower {
    async fn run(mut self, api: Api<Meta>) {
        let config = watcher::Config::default()
            .labels(&self.what.name_label)
            .any_semantic();
        let mut events = watcher(api, config).default_backoff().boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => self.listed = Some(Vec::new()),
                Ok(watcher::Event::InitApply(object)) => {
                    if let Some(listed) = &mut self.listed {
                        listed.push(key(&object));
                    }
                    self.observe(&object);
                }
                Ok(watcher::Event::InitDone) => self.close_listing(),
                Ok(watcher::Event::Apply(object)) => self.observe(&object),
                Ok(watcher::Event::Delete(object)) => self.lose(&key(&object)),
                Err(error) => {
                    tracing::debug!(%error, kind = self.kind.1, "watch for drift");
                }
            }
        }
    }

    fn close_listing(&mut self) {
        let listed = self.listed.take().unwrap_or_default();
        let lost: Vec<_> = self
            .seen
            .keys()
            .filter(|k| !listed.contains(k))
            .cloned()
            .collect();
        for key in lost {
            self.lose(&key);
        }
    }

    fn observe(&mut self, object: &Meta) {
        let labels = object.labels();
        let text = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let owner = (
            text(&self.what.namespace_label),
            text(&self.what.name_label),
        );
        let sums = sums(object);
        let key = key(object);
        let before = self.seen.insert(key.clone(), (sums.clone(), owner.clone()));
        if let Some((before, old_owner)) = before
            && before != sums
            && !is_own_write(self.what.manager, &before, &sums)
        {
            self.wake(&owner, &key);
            if old_owner != owner {
                self.wake(&old_owner, &key);
            }
        }
    }

    fn lose(&mut self, key: &Name) {
        if let Some((_, owner)) = self.seen.remove(key) {
            self.wake(&owner, key);
        }
    }

    fn wake(&self, owner: &Name, (namespace, name): &Name) {
        let id = ObjectId {
            namespace: namespace.clone(),
            name: name.clone(),
            group: self.kind.0.clone(),
            kind: self.kind.1.clone(),
        };
        if self.owners.owns(owner, &id) && self.book.looks_at(owner, &id) {
            self.owners.wake(owner);
        }
    }
}

fn key(object: &Meta) -> Name {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn sum(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Sums of what counts as desired state, and of who wrote it. Status does not count.
fn sums(object: &Meta) -> Sums {
    let mut sums = Sums {
        state: [
            sum(&object.metadata.generation),
            sum(&object.metadata.labels),
            sum(&object.metadata.annotations),
        ],
        writers: BTreeMap::new(),
    };
    for entry in object.metadata.managed_fields.iter().flatten() {
        if entry.subresource.as_deref() == Some("status") {
            continue;
        }
        let manager = entry.manager.clone().unwrap_or_default();
        let operation = entry.operation.clone().unwrap_or_default();
        let write = Write {
            fields: sum(&entry.fields_v1.as_ref().map(|f| f.0.to_string())),
            time: sum(&entry.time.as_ref().map(|t| t.0)),
        };
        sums.writers.insert((manager, operation), write);
    }
    sums
}

/// Whether of all writers only this one has written, by whatever operation.
///
/// Who writes gets the time of it. Who loses fields to another keeps the time of what is left, or is gone: so a field
/// that this one took back is no change by the other.
fn is_own_write(manager: &str, before: &Sums, now: &Sums) -> bool {
    let has_written = |writer: &(String, String), write: &Write| match before.writers.get(writer) {
        Some(old) => old.time != write.time,
        None => true,
    };
    let mut written = now
        .writers
        .iter()
        .filter(|(w, write)| has_written(w, write));
    let is_own = |(writer, _): (&(String, String), &Write)| writer.0 == manager;
    written.next().is_some_and(is_own) && written.all(is_own)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OWN: &str = "helm-controller";

    /// An object with writers: the manager, its field, the subresource, and the second of the write.
    fn object(generation: i64, managers: &[(&str, &str, &str, u8)]) -> Meta {
        let entry = |(manager, field, subresource, second): &(&str, &str, &str, u8)| {
            let operation = if *manager == OWN { "Apply" } else { "Update" };
            json!({ "manager": manager, "operation": operation, "subresource": subresource,
                "time": format!("2026-01-01T00:00:0{second}Z"), "fieldsV1": { "f:spec": { *field: {} } } })
        };
        let managers: Vec<_> = managers.iter().map(entry).collect();
        serde_json::from_value(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "name": "a", "namespace": "ns", "generation": generation, "managedFields": managers } }))
        .unwrap()
    }

    #[test]
    fn status_and_own_writes_are_no_changes() {
        let first = sums(&object(1, &[(OWN, "f:a", "", 1)]));
        let status = sums(&object(
            1,
            &[(OWN, "f:a", "", 1), ("kubelet", "f:s", "status", 2)],
        ));
        assert_eq!(first, status);
        let own = sums(&object(2, &[(OWN, "f:b", "", 2)]));
        assert!(is_own_write(OWN, &first, &own));
        let other = sums(&object(2, &[("kubectl-edit", "f:a", "", 2)]));
        assert!(!is_own_write(OWN, &first, &other));
        let again = sums(&object(3, &[("kubectl-edit", "f:b", "", 3)]));
        assert!(!is_own_write(OWN, &other, &again));
    }

    #[test]
    fn field_that_was_taken_back_is_no_change_by_who_lost_it() {
        let edited = [(OWN, "f:b", "", 1), ("kubectl-edit", "f:a", "", 2)];
        let edited = sums(&object(2, &edited));
        let gone = sums(&object(3, &[(OWN, "f:a", "", 3)]));
        assert!(is_own_write(OWN, &edited, &gone));
        let less = [(OWN, "f:a", "", 3), ("kubectl-edit", "f:c", "", 2)];
        assert!(is_own_write(OWN, &edited, &sums(&object(3, &less))));
        let both = [(OWN, "f:a", "", 3), ("kubectl-edit", "f:c", "", 3)];
        assert!(!is_own_write(OWN, &edited, &sums(&object(3, &both))));
    }
}
