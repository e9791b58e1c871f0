//! The watches over applied objects. Only metadata comes, and of that only sums are kept.

mod trace;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use kube::{
    Api, ResourceExt,
    api::ApiResource,
    runtime::{
        WatchStreamExt,
        utils::Backoff,
        watcher::{self, DefaultBackoff, watcher},
    },
};
use manifest::{GroupVersionKind, ObjectId};
use tokio::time::Instant;

use self::trace::{Sums, Trace};
use super::{Kinds, Name};
use crate::{Cluster, chain_text};

/// How often it is looked which kinds are to be watched, and how long nobody's changes wait to be offered again.
const TICK: Duration = Duration::from_secs(1);
/// How long changes are offered that nobody takes for their own.
const OFFERED: Duration = Duration::from_secs(10);
/// The most changes of a kind that are offered again.
const MAX_OFFERED: usize = 1_000;
/// How many objects a page of a plain listing holds.
const PAGE: u32 = 100;
/// A server that takes the parameters of a streamed listing but never says that it is complete does not know them.
const QUIET: Duration = Duration::from_secs(15);
/// The longest pause before a watch that failed is opened again: until then no change is seen.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A group and a kind.
pub type Kind = (String, String);

/// Those whose objects are watched: asked what to watch, told what was changed.
pub trait Owners: Send + Sync + 'static {
    /// Returns the kinds to watch, with a version of each.
    fn kinds(&self) -> Kinds;

    /// Takes note that somebody else changed or deleted an object, and wakes its owner where it wants to know at once.
    /// Returns false where the owner does not know the object as its own: as it may come to know it, it is told again.
    fn changed(&self, owner: &Name, object: &ObjectId) -> bool;

    /// Whether nobody listens any more.
    fn is_closed(&self) -> bool;

    /// Takes note that all changes of a kind are seen from here on; told after each listing. What was changed before the
    /// first is for the owners to find.
    fn synced(&self, kind: &Kind);

    /// Takes note that a kind is not watched any more.
    fn unsynced(&self, kind: &Kind);

    /// Takes note that a kind cannot be watched, for now.
    fn refused(&self, _kind: &Kind, _cause: String) {}

    /// Takes note that anything about an object changed, were it only its status.
    fn stirred(&self, _owner: &Name) {}
}

/// What tells owned objects, and the owner's own writes, from others.
#[derive(Clone, Debug)]
pub struct Followed {
    /// The field manager of the owner's writes.
    pub manager: &'static str,
    /// The operations of its writes, as managed fields name them.
    pub operations: &'static [&'static str],
    /// The label with the owner's name; only objects that carry it are watched.
    pub name_label: &'static str,
    /// The label with the owner's namespace.
    pub namespace_label: &'static str,
    /// The namespace of all owners; absent: they may be in any.
    pub namespace: Option<String>,
}

impl Followed {
    fn selector(&self) -> String {
        let (name, namespace) = (self.name_label, self.namespace_label);
        match &self.namespace {
            Some(own) => format!("{name},{namespace}={own}"),
            None => name.to_owned(),
        }
    }
}

/// Opens and closes watches as owners come to need them, until nobody listens.
pub async fn follow(cluster: Cluster, what: Followed, owners: Arc<dyn Owners>) {
    let what = Arc::new(what);
    let mut open: BTreeMap<Kind, tokio::task::JoinHandle<()>> = BTreeMap::new();
    while !owners.is_closed() {
        let wanted = owners.kinds();
        open.retain(|kind, task| {
            let keep = wanted.contains_key(kind) && !task.is_finished();
            if !keep {
                task.abort();
                owners.unsynced(kind);
            }
            keep
        });
        for (kind, version) in wanted {
            if open.contains_key(&kind) {
                continue;
            }
            if let Some(api) = resolve(&cluster, &kind, version).await {
                let follower = Follower::new(kind.clone(), &what, &owners);
                open.insert(kind, tokio::spawn(follower.run(api)));
            }
        }
        tokio::time::sleep(TICK).await;
    }
    for task in open.into_values() {
        task.abort();
    }
}

/// Returns how a kind is watched; none where it is not served.
async fn resolve(cluster: &Cluster, kind: &Kind, version: String) -> Option<Api<Trace>> {
    let gvk = GroupVersionKind {
        group: kind.0.clone(),
        version,
        kind: kind.1.clone(),
    };
    let found = cluster.resolve_any_version(&gvk).await.ok()?;
    let gvk = kube::core::GroupVersionKind::gvk(&kind.0, &found.gvk.version, &kind.1);
    let resource = ApiResource::from_gvk_with_plural(&gvk, &found.plural);
    Some(Api::all_with(cluster.client().clone(), &resource))
}

struct Follower {
    kind: Kind,
    what: Arc<Followed>,
    owners: Arc<dyn Owners>,
    seen: HashMap<Name, Seen>,
    /// What a listing has named so far.
    listed: Option<HashSet<Name>>,
    /// Changes that no owner takes for its own yet: whose they are, of what, since when.
    offered: Vec<(Name, Name, Instant)>,
    /// When they were offered last.
    asked: Instant,
}

/// An object as it was seen last, and whose it is.
struct Seen {
    sums: Sums,
    version: Option<String>,
    owner: Name,
}

impl Follower {
    fn new(kind: Kind, what: &Arc<Followed>, owners: &Arc<dyn Owners>) -> Self {
        Self {
            kind,
            what: Arc::clone(what),
            owners: Arc::clone(owners),
            seen: HashMap::new(),
            listed: None,
            offered: Vec::new(),
            asked: Instant::now(),
        }
    }

    /// Follows the kind for ever: first by a streamed listing, by pages where the server has none.
    async fn run(mut self, api: Api<Trace>) {
        let selector = self.what.selector();
        let config = watcher::Config::default().labels(&selector).page_size(PAGE);
        let streamed = self.follow(&api, config.clone().streaming_lists(), QUIET);
        if streamed.await.is_none() {
            self.follow(&api, config, Duration::MAX).await;
        }
    }

    /// Follows until the first listing takes longer than `patience`, or fails as a request that the server does not
    /// understand.
    async fn follow(
        &mut self,
        api: &Api<Trace>,
        config: watcher::Config,
        patience: Duration,
    ) -> Option<()> {
        let pauses = Pauses(DefaultBackoff::default());
        let mut events = watcher(api.clone(), config).backoff(pauses).boxed();
        let mut complete = false;
        loop {
            let patience = match (complete, self.offered.is_empty()) {
                (false, _) => patience,
                (true, false) => TICK,
                (true, true) => Duration::MAX,
            };
            let event = match tokio::time::timeout(patience, events.next()).await {
                Ok(event) => event?,
                Err(_) if complete => {
                    self.offer_again();
                    continue;
                }
                Err(_) => return None,
            };
            match event {
                Ok(event) => complete |= self.take(event),
                Err(error) => {
                    let cause = chain_text(&error);
                    tracing::debug!(error = cause, kind = self.kind.1, "watch for drift");
                    self.owners.refused(&self.kind, cause);
                    if !complete && patience != Duration::MAX && is_bad_request(&error) {
                        return None;
                    }
                }
            }
            if self.asked.elapsed() >= TICK {
                self.offer_again();
            }
        }
    }

    /// Takes one event. Returns whether it ends a listing.
    fn take(&mut self, event: watcher::Event<Trace>) -> bool {
        match event {
            watcher::Event::Init => self.listed = Some(HashSet::new()),
            watcher::Event::InitApply(object) => {
                if let Some(listed) = &mut self.listed {
                    listed.insert(key(&object));
                }
                self.observe(&object);
            }
            watcher::Event::InitDone => {
                self.close_listing();
                return true;
            }
            watcher::Event::Apply(object) => self.observe(&object),
            watcher::Event::Delete(object) => self.lose(&key(&object)),
        }
        false
    }

    /// What was missed while nobody watched is found by comparing.
    fn close_listing(&mut self) {
        let listed = self.listed.take().unwrap_or_default();
        let gone = self.seen.keys().filter(|key| !listed.contains(*key));
        for key in gone.cloned().collect::<Vec<_>>() {
            self.lose(&key);
        }
        self.owners.synced(&self.kind);
    }

    fn observe(&mut self, object: &Trace) {
        let labels = object.metadata.labels.as_ref();
        let text = |name: &str| {
            let value = labels.and_then(|labels| labels.get(name));
            value.cloned().unwrap_or_default()
        };
        let key = key(object);
        let seen = Seen {
            sums: object.sums.clone(),
            version: object.resource_version(),
            owner: (text(self.what.namespace_label), text(self.what.name_label)),
        };
        let (sums, owner, version) = (seen.sums.clone(), seen.owner.clone(), seen.version.clone());
        let Some(before) = self.seen.insert(key.clone(), seen) else {
            return;
        };
        if before.version != version {
            self.owners.stirred(&owner);
        }
        if before.sums != sums && !before.sums.is_own_write(&sums, &self.what) {
            self.tell(&owner, &key);
            if before.owner != owner {
                self.tell(&before.owner, &key);
            }
        }
    }

    fn lose(&mut self, key: &Name) {
        if let Some(seen) = self.seen.remove(key) {
            self.owners.stirred(&seen.owner);
            self.tell(&seen.owner, key);
        }
    }

    /// Tells an owner. What it does not know as its own is kept for a while: a change may come faster than word of what
    /// the owner has just applied.
    fn tell(&mut self, owner: &Name, key: &Name) {
        let is_known = self.owners.changed(owner, &self.id(key));
        if !is_known && self.offered.len() < MAX_OFFERED {
            let now = Instant::now();
            if self.offered.is_empty() {
                self.asked = now;
            }
            self.offered.push((owner.clone(), key.clone(), now));
        }
    }

    fn offer_again(&mut self) {
        self.asked = Instant::now();
        let mut offered = std::mem::take(&mut self.offered);
        offered.retain(|(owner, key, since)| {
            !self.owners.changed(owner, &self.id(key)) && since.elapsed() < OFFERED
        });
        self.offered = offered;
    }

    fn id(&self, (namespace, name): &Name) -> ObjectId {
        ObjectId {
            namespace: namespace.clone(),
            name: name.clone(),
            group: self.kind.0.clone(),
            kind: self.kind.1.clone(),
        }
    }
}

/// The pauses of kube, none of them longer than [`LONGEST_PAUSE`].
struct Pauses(DefaultBackoff);

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next().map(|pause| pause.min(LONGEST_PAUSE))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.0.reset();
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

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    };

    use serde_json::json;

    use super::*;

    /// Owners that come to know their objects when the test says so.
    #[derive(Default)]
    struct Late {
        knows: AtomicBool,
        told: Mutex<Vec<String>>,
    }

    impl Owners for Late {
        fn kinds(&self) -> Kinds {
            BTreeMap::new()
        }

        fn changed(&self, owner: &Name, object: &ObjectId) -> bool {
            let told = format!("{} {}", owner.1, object.name);
            self.told.lock().unwrap().push(told);
            self.knows.load(Ordering::SeqCst)
        }

        fn is_closed(&self) -> bool {
            false
        }

        fn synced(&self, _kind: &Kind) {}

        fn unsynced(&self, _kind: &Kind) {}
    }

    fn object(colour: &str) -> Trace {
        let managers = json!([{ "manager": "somebody", "operation": "Update",
            "time": "2026-01-01T00:00:00Z", "fieldsV1": { "f:data": { colour: {} } } }]);
        serde_json::from_value(json!({ "metadata": { "name": "one", "namespace": "ns",
            "labels": { "name": "app", "namespace": "ns" }, "managedFields": managers } }))
        .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn watch_that_fails_for_long_is_tried_every_ten_seconds() {
        let mut pauses = Pauses(DefaultBackoff::default());
        let first: Vec<_> = pauses.by_ref().take(20).collect();
        assert!(first[0] < LONGEST_PAUSE && first[19] == LONGEST_PAUSE);
        assert!(first.iter().all(|pause| *pause <= LONGEST_PAUSE));
        pauses.reset();
        assert!(pauses.next().unwrap() < LONGEST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn change_that_comes_before_its_owner_knows_the_object_is_not_lost() {
        let late = Arc::new(Late::default());
        let what = Followed {
            manager: "own",
            operations: &["Apply"],
            name_label: "name",
            namespace_label: "namespace",
            namespace: None,
        };
        let owners: Arc<dyn Owners> = Arc::clone(&late) as _;
        let kind = (String::new(), "ConfigMap".to_owned());
        let mut follower = Follower::new(kind, &Arc::new(what), &owners);
        let told = || std::mem::take(&mut *late.told.lock().unwrap());
        follower.observe(&object("f:red"));
        assert!(told().is_empty(), "what is seen first is no change");
        follower.observe(&object("f:blue"));
        assert_eq!(told(), ["app one"]);
        follower.offer_again();
        assert_eq!(told(), ["app one"]);
        late.knows.store(true, Ordering::SeqCst);
        follower.offer_again();
        assert_eq!(told(), ["app one"]);
        follower.offer_again();
        assert!(told().is_empty(), "whoever knows is not told again");
        // What nobody ever takes for their own is let go.
        late.knows.store(false, Ordering::SeqCst);
        follower.lose(&("ns".to_owned(), "one".to_owned()));
        assert_eq!(told(), ["app one"]);
        tokio::time::advance(OFFERED).await;
        follower.offer_again();
        assert!(follower.offered.is_empty());
    }
}
