//! The watches over applied objects. Only metadata comes, and of that only sums are kept.

use std::{
    collections::{BTreeMap, HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use api::kustomize::{DriftDetectionMode, Kustomization};
use cluster::Cluster;
use futures::{StreamExt, channel::mpsc};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use manifest::{GroupVersionKind, ObjectId};
use runtime::Triggers;

use super::{Book, mode};
use crate::{FIELD_MANAGER, kustomization::triggers::Woken};

/// How often it is looked which kinds are to be watched.
const TICK: Duration = Duration::from_secs(1);
const NAME: &str = "kustomize.toolkit.fluxcd.io/name";
const NAMESPACE: &str = "kustomize.toolkit.fluxcd.io/namespace";

type Meta = PartialObjectMeta<DynamicObject>;
/// A namespace and a name.
type Name = (String, String);
type Sums = BTreeMap<String, u64>;
type Sender = mpsc::UnboundedSender<ObjectRef<Kustomization>>;

/// Yields Kustomizations whose objects others have changed.
pub(in crate::kustomization) fn watch(
    triggers: &Triggers<Kustomization>,
    cluster: Cluster,
    book: Arc<Book>,
) -> Woken {
    let (sender, woken) = mpsc::unbounded();
    let store = triggers.store();
    let _task = tokio::spawn(keep_watching(cluster, store, book, sender));
    woken.boxed()
}

/// Opens and closes watches as Kustomizations come to need them.
async fn keep_watching(
    cluster: Cluster,
    store: Store<Kustomization>,
    book: Arc<Book>,
    sender: Sender,
) {
    let mut open: BTreeMap<(String, String), tokio::task::JoinHandle<()>> = BTreeMap::new();
    while !sender.is_closed() {
        let wanted = wanted(&store);
        open.retain(|kind, task| {
            let keep = wanted.contains_key(kind) && !task.is_finished();
            if !keep {
                task.abort();
                book.synced().remove(kind);
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
                store: store.clone(),
                book: Arc::clone(&book),
                sender: sender.clone(),
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

/// The kinds in the inventories of those that look for drift, with a version of each.
fn wanted(store: &Store<Kustomization>) -> BTreeMap<(String, String), String> {
    let looks = |object: &Kustomization| {
        mode(object) != DriftDetectionMode::Disabled
            && object.spec.kube_config.is_none()
            && !object.spec.suspend.unwrap_or(false)
    };
    let mut kinds = BTreeMap::new();
    for object in store.state_filter(looks) {
        if let Ok(inventory) = crate::kustomization::report::owned(&object) {
            for entry in inventory.entries() {
                let kind = (entry.id.group.clone(), entry.id.kind.clone());
                kinds.entry(kind).or_insert_with(|| entry.version.clone());
            }
        }
    }
    kinds
}

struct Follower {
    kind: (String, String),
    store: Store<Kustomization>,
    book: Arc<Book>,
    sender: Sender,
    /// The sums of each object, and whose it is.
    seen: HashMap<Name, (Sums, Name)>,
    /// What a listing has named so far.
    listed: Option<Vec<(String, String)>>,
}

impl Follower {
    async fn run(mut self, api: Api<Meta>) {
        let config = watcher::Config::default().labels(NAME).any_semantic();
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
                    self.book.synced().remove(&self.kind);
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
        self.book.synced().insert(self.kind.clone());
    }

    fn observe(&mut self, object: &Meta) {
        let labels = object.labels();
        let text = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let owner = (text(NAMESPACE), text(NAME));
        let sums = sums(object);
        let key = key(object);
        let before = self.seen.insert(key.clone(), (sums.clone(), owner.clone()));
        if let Some((before, old_owner)) = before
            && before != sums
            && !is_own_write(&before, &sums)
        {
            self.wake(&owner, &key);
            if old_owner != owner {
                self.wake(&old_owner, &key);
            }
        }
    }

    fn lose(&mut self, key: &(String, String)) {
        if let Some((_, owner)) = self.seen.remove(key) {
            self.wake(&owner, key);
        }
    }

    fn wake(&self, owner: &(String, String), (namespace, name): &(String, String)) {
        let id = ObjectId {
            namespace: namespace.clone(),
            name: name.clone(),
            group: self.kind.0.clone(),
            kind: self.kind.1.clone(),
        };
        let found = self
            .store
            .find(|o| o.name_any() == owner.1 && o.namespace().unwrap_or_default() == owner.0);
        let Some(unit) = found.filter(|o| mode(o) != DriftDetectionMode::Disabled) else {
            return;
        };
        let owns = crate::kustomization::report::owned(&unit).is_ok_and(|i| i.contains(&id));
        if owns && self.book.changed(owner, &id) {
            let _sent = self.sender.unbounded_send(ObjectRef::from_obj(&*unit));
        }
    }
}

fn key(object: &Meta) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn sum(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Sums of what counts as desired state, and of who wrote it. Status does not count.
fn sums(object: &Meta) -> BTreeMap<String, u64> {
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

/// Whether of all writers only this controller has written.
fn is_own_write(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> bool {
    let own = format!("manager {FIELD_MANAGER} Apply");
    let names = before.keys().chain(now.keys());
    let mut others = names.filter(|name| name.starts_with("manager ") && **name != own);
    before.get(&own) != now.get(&own) && others.all(|name| before.get(name) == now.get(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(generation: i64, managers: &[(&str, &str, &str)]) -> Meta {
        let entry = |(manager, field, subresource): &(&str, &str, &str)| {
            let operation = if *manager == FIELD_MANAGER {
                "Apply"
            } else {
                "Update"
            };
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
        let first = sums(&object(1, &[(FIELD_MANAGER, "f:a", "")]));
        let status = sums(&object(
            1,
            &[(FIELD_MANAGER, "f:a", ""), ("kubelet", "f:s", "status")],
        ));
        assert_eq!(first, status);
        let own = sums(&object(2, &[(FIELD_MANAGER, "f:b", "")]));
        assert!(is_own_write(&first, &own));
        let other = sums(&object(2, &[("kubectl-edit", "f:a", "")]));
        assert!(!is_own_write(&first, &other));
        let again = sums(&object(3, &[("kubectl-edit", "f:b", "")]));
        assert!(!is_own_write(&other, &again));
    }
}
