//! Says whose objects are watched for changes of others.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use api::{
    helm::{DriftDetectionMode, HelmRelease},
    meta::InventoryEntry,
};
use cluster::{
    Cluster,
    drift::{DriftBook, Followed, Kind, Kinds, Name, OwnedKinds, Owners, follow, kinds_of},
};
use futures::{StreamExt, channel::mpsc, stream::BoxStream};
use kube::{
    ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};
use manifest::{Inventory, ObjectId};
use runtime::Triggers;

use crate::FIELD_MANAGER;

const NAME: &str = "helm.toolkit.fluxcd.io/name";
const NAMESPACE: &str = "helm.toolkit.fluxcd.io/namespace";

/// The owner's name in the book of drift.
pub(in crate::helm_release) fn key(object: &HelmRelease) -> Name {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// The owner's name in the book of drift.
pub(in crate::helm_release) fn key_of(object: &ObjectRef<HelmRelease>) -> Name {
    (
        object.namespace.clone().unwrap_or_default(),
        object.name.clone(),
    )
}

/// Yields HelmReleases whose objects others have changed.
pub(in crate::helm_release) fn watch(
    triggers: &Triggers<HelmRelease>,
    cluster: Cluster,
    book: Arc<DriftBook>,
) -> BoxStream<'static, ObjectRef<HelmRelease>> {
    let (sender, woken) = mpsc::unbounded();
    let what = Followed {
        manager: FIELD_MANAGER,
        operations: &["Apply", "Update"],
        name_label: NAME,
        namespace_label: NAMESPACE,
        namespace: triggers.scope().namespace.clone(),
    };
    let owners = Arc::new(Releases {
        store: triggers.store(),
        book,
        sender,
        owned: OwnedKinds::default(),
        synced: Mutex::default(),
    });
    let _task = tokio::spawn(follow(cluster, what, owners));
    woken.boxed()
}

struct Releases {
    store: Store<HelmRelease>,
    book: Arc<DriftBook>,
    sender: mpsc::UnboundedSender<ObjectRef<HelmRelease>>,
    owned: OwnedKinds,
    /// The kinds whose changes are seen.
    synced: Mutex<BTreeSet<Kind>>,
}

impl Releases {
    fn kinds_seen(&self) -> MutexGuard<'_, BTreeSet<Kind>> {
        self.synced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, release: &HelmRelease) {
        let _sent = self.sender.unbounded_send(ObjectRef::from_obj(release));
    }
}

/// Whether changes are to be seen at once; those in other clusters are seen at the interval.
fn looks(object: &HelmRelease) -> bool {
    let detection = object.spec.drift_detection.as_ref();
    let mode = detection.and_then(|d| d.mode).unwrap_or_default();
    mode != DriftDetectionMode::Disabled
        && object.spec.kube_config.is_none()
        && !object.spec.suspend.unwrap_or(false)
}

fn entries(object: &HelmRelease) -> &[InventoryEntry] {
    let stored = object.status.as_ref().and_then(|s| s.inventory.as_ref());
    stored.map(|s| s.entries.as_slice()).unwrap_or_default()
}

fn inventory(object: &HelmRelease) -> Inventory {
    let entries = entries(object).iter();
    let read = Inventory::from_stored(entries.map(|e| (e.id.as_str(), e.v.as_str())));
    read.unwrap_or_default()
}

impl Owners for Releases {
    fn kinds(&self) -> Kinds {
        self.owned
            .together(self.store.state_filter(looks), inventory)
    }

    fn changed(&self, owner: &Name, object: &ObjectId) -> bool {
        let release = ObjectRef::new(&owner.1).within(&owner.0);
        let release = self.store.get(&release).filter(|release| looks(release));
        let Some(release) = release.filter(|_| self.book.looks_at(owner, object)) else {
            return true;
        };
        let owns = Inventory::names(entries(&release).iter().map(|e| e.id.as_str()), object);
        if owns {
            self.wake(&release);
        }
        owns
    }

    /// What was changed between a release and the first listing of its kinds nobody has seen: it is looked for.
    fn synced(&self, kind: &Kind) {
        if !self.kinds_seen().insert(kind.clone()) {
            return;
        }
        let owns = |release: &HelmRelease| {
            looks(release) && kinds_of(&inventory(release)).contains_key(kind)
        };
        for release in self.store.state_filter(owns) {
            self.wake(&release);
        }
    }

    fn unsynced(&self, kind: &Kind) {
        self.kinds_seen().remove(kind);
    }

    fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}
