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
type Sums = BTreeMap<String, u64>;

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
    let mut sums = BTreeMap::from([
        ("generation".to_owned(), sum(&object.metadata.generation)),
        ("labels".to_owned(), sum(&object.metadata.labels)),
        ("annotations".to_owned(), sum(&object.metadata.annotations)),
    ]);
    for entry in object.metadata.managed_fields.iter().flatten() {
        if entry.subresource.as_deref() == Some("status") {
            continue;
        }
        let manager = entry.manager.as_deref().unwrap_or_default();
        let operation = entry.operation.as_deref().unwrap_or_default();
        let fields = entry.fields_v1.as_ref().map(|f| f.0.to_string());
        let name = format!("manager {manager} {operation}");
        sums.insert(name, sum(&(fields, entry.time.as_ref().map(|t| t.0))));
    }
    sums
}

/// Whether of all writers only this one has written, by whatever operation.
fn is_own_write(manager: &str, before: &Sums, now: &Sums) -> bool {
    let own = format!("manager {manager} ");
    let of = |sums: &Sums, is_own: bool| -> Sums {
        let kept = sums
            .iter()
            .filter(|(name, _)| name.starts_with("manager ") && name.starts_with(&own) == is_own);
        kept.map(|(name, sum)| (name.clone(), *sum)).collect()
    };
    of(before, true) != of(now, true) && of(before, false) == of(now, false)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OWN: &str = "helm-controller";

    fn object(generation: i64, managers: &[(&str, &str, &str)]) -> Meta {
        let entry = |(manager, field, subresource): &(&str, &str, &str)| {
            let operation = if *manager == OWN { "Apply" } else { "Update" };
            json!({ "manager": manager, "operation": operation, "subresource": subresource,
                "fieldsV1": { "f:spec": { *field: {} } } })
        };
        let managers: Vec<_> = managers.iter().map(entry).collect();
        serde_json::from_value(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "name": "a", "namespace": "ns", "generation": generation, "managedFields": managers } }))
        .unwrap()
    }

    #[test]
    fn status_and_own_writes_are_no_changes() {
        let first = sums(&object(1, &[(OWN, "f:a", "")]));
        let status = sums(&object(
            1,
            &[(OWN, "f:a", ""), ("kubelet", "f:s", "status")],
        ));
        assert_eq!(first, status);
        let own = sums(&object(2, &[(OWN, "f:b", "")]));
        assert!(is_own_write(OWN, &first, &own));
        let other = sums(&object(2, &[("kubectl-edit", "f:a", "")]));
        assert!(!is_own_write(OWN, &first, &other));
        let again = sums(&object(3, &[("kubectl-edit", "f:b", "")]));
        assert!(!is_own_write(OWN, &other, &again));
    }
}
