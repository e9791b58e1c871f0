//! The watches over applied objects. Only metadata comes, and of that only sums are kept.
//!
//! Every kind that a unit of this cluster owns is watched: what nobody has touched since the last
//! verified apply needs no dry run at the interval, and none of its health has to be read again.

mod trace;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use api::kustomize::{DriftDetectionMode, Kustomization};
use cluster::Cluster;
use futures::{StreamExt, channel::mpsc};
use kube::{
    Api, ResourceExt,
    api::ApiResource,
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use manifest::{GroupVersionKind, ObjectId};
use runtime::Triggers;

use self::trace::{Sums, Trace};
use super::{Book, Kind, Name, mode};
use crate::kustomization::triggers::Woken;

/// How often it is looked which kinds are to be watched.
const TICK: Duration = Duration::from_secs(1);
/// How many objects a page of a plain listing holds.
const PAGE: u32 = 100;
/// A server that takes the parameters of a streamed listing but never says that it is complete
/// does not know them.
const QUIET: Duration = Duration::from_secs(15);
const NAME: &str = "kustomize.toolkit.fluxcd.io/name";
const NAMESPACE: &str = "kustomize.toolkit.fluxcd.io/namespace";

type Sender = mpsc::UnboundedSender<ObjectRef<Kustomization>>;

/// Yields Kustomizations whose objects others have changed.
pub(in crate::kustomization) fn watch(
    triggers: &Triggers<Kustomization>,
    cluster: Cluster,
    book: Arc<Book>,
) -> Woken {
    let (sender, woken) = mpsc::unbounded();
    let of_namespace = triggers.scope().namespace.as_ref();
    let watches = Watches {
        cluster,
        store: triggers.store(),
        book,
        sender,
        selector: of_namespace.map_or_else(
            || NAME.to_owned(),
            |namespace| format!("{NAME},{NAMESPACE}={namespace}"),
        ),
        owned: HashMap::new(),
    };
    let _task = tokio::spawn(watches.run());
    woken.boxed()
}

/// Opens and closes watches as Kustomizations come to need them.
struct Watches {
    cluster: Cluster,
    store: Store<Kustomization>,
    book: Arc<Book>,
    sender: Sender,
    selector: String,
    /// The kinds of each unit, with a version of each, as of a version of the unit.
    owned: HashMap<Name, (Option<String>, BTreeMap<Kind, String>)>,
}

impl Watches {
    async fn run(mut self) {
        let mut open: BTreeMap<Kind, tokio::task::JoinHandle<()>> = BTreeMap::new();
        while !self.sender.is_closed() {
            let wanted = self.wanted();
            open.retain(|kind, task| {
                let keep = wanted.contains_key(kind) && !task.is_finished();
                if !keep {
                    task.abort();
                    self.book.unsynced(kind);
                }
                keep
            });
            for (kind, version) in wanted {
                if !open.contains_key(&kind)
                    && let Some(follower) = self.follower(&kind, version).await
                {
                    open.insert(kind, follower);
                }
            }
            tokio::time::sleep(TICK).await;
        }
        for task in open.into_values() {
            task.abort();
        }
    }

    /// The kinds in the inventories of units of this cluster, with a version of each.
    fn wanted(&mut self) -> BTreeMap<Kind, String> {
        let counts = |object: &Kustomization| {
            object.spec.kube_config.is_none() && !object.spec.suspend.unwrap_or(false)
        };
        let mut kinds = BTreeMap::new();
        let mut units = HashSet::new();
        for object in self.store.state_filter(counts) {
            let unit = super::key(&object);
            let version = object.resource_version();
            let known = self.owned.get(&unit).is_some_and(|(at, _)| *at == version);
            if !known {
                self.owned
                    .insert(unit.clone(), (version, kinds_of(&object)));
            }
            if let Some((_, own)) = self.owned.get(&unit) {
                for (kind, version) in own {
                    kinds.entry(kind.clone()).or_insert_with(|| version.clone());
                }
            }
            units.insert(unit);
        }
        self.owned.retain(|unit, _| units.contains(unit));
        kinds
    }

    async fn follower(&self, kind: &Kind, version: String) -> Option<tokio::task::JoinHandle<()>> {
        let gvk = GroupVersionKind {
            group: kind.0.clone(),
            version,
            kind: kind.1.clone(),
        };
        let found = self.cluster.resolve_any_version(&gvk).await.ok()?;
        let gvk = kube::core::GroupVersionKind::gvk(&kind.0, &found.gvk.version, &kind.1);
        let resource = ApiResource::from_gvk_with_plural(&gvk, &found.plural);
        let api = Api::all_with(self.cluster.client().clone(), &resource);
        let follower = Follower {
            kind: kind.clone(),
            store: self.store.clone(),
            book: Arc::clone(&self.book),
            sender: self.sender.clone(),
            seen: HashMap::new(),
            listed: None,
        };
        Some(tokio::spawn(follower.run(api, self.selector.clone())))
    }
}

fn kinds_of(object: &Kustomization) -> BTreeMap<Kind, String> {
    let mut kinds = BTreeMap::new();
    if let Ok(inventory) = crate::kustomization::report::owned(object) {
        for entry in inventory.entries() {
            let kind = (entry.id.group.clone(), entry.id.kind.clone());
            kinds.entry(kind).or_insert_with(|| entry.version.clone());
        }
    }
    kinds
}

struct Follower {
    kind: Kind,
    store: Store<Kustomization>,
    book: Arc<Book>,
    sender: Sender,
    seen: HashMap<Name, Seen>,
    /// What a listing has named so far.
    listed: Option<HashSet<Name>>,
}

/// An object as it was seen last, and whose it is.
struct Seen {
    sums: Sums,
    version: Option<String>,
    owner: Name,
}

impl Follower {
    /// Follows the kind for ever: first by a streamed listing, by pages where the server has none.
    async fn run(mut self, api: Api<Trace>, selector: String) {
        let config = watcher::Config::default().labels(&selector).page_size(PAGE);
        let streamed = self.follow(&api, config.clone().streaming_lists(), QUIET);
        if streamed.await.is_none() {
            self.follow(&api, config, Duration::MAX).await;
        }
    }

    /// Follows until the first listing takes longer than `patience`, or fails as a request that the
    /// server does not understand.
    async fn follow(
        &mut self,
        api: &Api<Trace>,
        config: watcher::Config,
        patience: Duration,
    ) -> Option<()> {
        let mut events = watcher(api.clone(), config).default_backoff().boxed();
        let mut complete = false;
        loop {
            let patience = if complete { Duration::MAX } else { patience };
            let event = tokio::time::timeout(patience, events.next()).await.ok()??;
            match event {
                Ok(watcher::Event::Init) => self.listed = Some(HashSet::new()),
                Ok(watcher::Event::InitApply(object)) => {
                    if let Some(listed) = &mut self.listed {
                        listed.insert(key(&object));
                    }
                    self.observe(&object);
                }
                Ok(watcher::Event::InitDone) => {
                    complete = true;
                    self.close_listing();
                }
                Ok(watcher::Event::Apply(object)) => self.observe(&object),
                Ok(watcher::Event::Delete(object)) => self.lose(&key(&object)),
                Err(error) => {
                    let cause = runtime::failure::chain(&error);
                    tracing::debug!(error = cause, kind = self.kind.1, "watch for drift");
                    self.book.refused(&self.kind, cause);
                    if !complete && patience != Duration::MAX && is_bad_request(&error) {
                        return None;
                    }
                }
            }
        }
    }

    /// What was missed while nobody watched is found by comparing; who was verified before the
    /// watch began is looked at again.
    fn close_listing(&mut self) {
        let listed = self.listed.take().unwrap_or_default();
        let gone = self.seen.keys().filter(|key| !listed.contains(*key));
        for key in gone.cloned().collect::<Vec<_>>() {
            self.lose(&key);
        }
        if !self.book.synced(&self.kind) {
            return;
        }
        let looks = |o: &Kustomization| {
            mode(o) != DriftDetectionMode::Disabled && kinds_of(o).contains_key(&self.kind)
        };
        for unit in self.store.state_filter(looks) {
            let _sent = self.sender.unbounded_send(ObjectRef::from_obj(&*unit));
        }
    }

    fn observe(&mut self, object: &Trace) {
        let labels = object.metadata.labels.as_ref();
        let text = |name: &str| {
            let value = labels.and_then(|labels| labels.get(name));
            value.cloned().unwrap_or_default()
        };
        let key = key(object);
        let seen = Seen {
            sums: object.sums,
            version: object.resource_version(),
            owner: (text(NAMESPACE), text(NAME)),
        };
        let (sums, owner, version) = (seen.sums, seen.owner.clone(), seen.version.clone());
        let Some(before) = self.seen.insert(key.clone(), seen) else {
            return;
        };
        if before.version != version {
            self.book.stirred(&owner);
        }
        if before.sums != sums && !before.sums.is_own_write(sums) {
            self.wake(&owner, &key);
            if before.owner != owner {
                self.wake(&before.owner, &key);
            }
        }
    }

    fn lose(&mut self, key: &Name) {
        if let Some(seen) = self.seen.remove(key) {
            self.book.stirred(&seen.owner);
            self.wake(&seen.owner, key);
        }
    }

    fn wake(&self, owner: &Name, (namespace, name): &Name) {
        let id = ObjectId {
            namespace: namespace.clone(),
            name: name.clone(),
            group: self.kind.0.clone(),
            kind: self.kind.1.clone(),
        };
        let may_look = self.book.changed(owner, &id);
        let unit = ObjectRef::new(&owner.1).within(&owner.0);
        let Some(unit) = self.store.get(&unit).filter(|_| may_look) else {
            return;
        };
        let looks = mode(&unit) != DriftDetectionMode::Disabled;
        let owns = || crate::kustomization::report::owned(&unit).is_ok_and(|i| i.contains(&id));
        if looks && owns() {
            let _sent = self.sender.unbounded_send(ObjectRef::from_obj(&*unit));
        }
    }
}

fn key(object: &Trace) -> Name {
    let name = object.metadata.name.clone().unwrap_or_default();
    (object.namespace().unwrap_or_default(), name)
}

/// Whether a server refused the parameters of a request, not the one who asked.
fn is_bad_request(error: &watcher::Error) -> bool {
    let source = match error {
        watcher::Error::InitialListFailed(source)
        | watcher::Error::WatchStartFailed(source)
        | watcher::Error::WatchFailed(source) => source,
        watcher::Error::WatchError(status) => return matches!(status.code, 400 | 422),
        watcher::Error::NoResourceVersion => return false,
    };
    matches!(source, kube::Error::Api(status) if matches!(status.code, 400 | 422))
}
