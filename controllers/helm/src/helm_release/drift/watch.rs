//! Says whose objects are watched for changes of others.

use std::{collections::BTreeMap, sync::Arc};

use api::helm::{DriftDetectionMode, HelmRelease};
use cluster::{
    Cluster,
    drift::{DriftBook, Followed, Name, Owners, follow},
};
use futures::{StreamExt, channel::mpsc, stream::BoxStream};
use kube::{
    ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};
use manifest::{Inventory, ObjectId};
use runtime::Triggers;

use crate::{FIELD_MANAGER, GROUP};

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
        name_label: format!("{GROUP}/name"),
        namespace_label: format!("{GROUP}/namespace"),
    };
    let owners = Arc::new(Releases {
        store: triggers.store(),
        sender,
    });
    let _task = tokio::spawn(follow(cluster, what, owners, book));
    woken.boxed()
}

struct Releases {
    store: Store<HelmRelease>,
    sender: mpsc::UnboundedSender<ObjectRef<HelmRelease>>,
}

/// Whether changes are to be seen at once; those in other clusters are seen at the interval.
fn looks(object: &HelmRelease) -> bool {
    let detection = object.spec.drift_detection.as_ref();
    let mode = detection.and_then(|d| d.mode).unwrap_or_default();
    mode != DriftDetectionMode::Disabled
        && object.spec.kube_config.is_none()
        && !object.spec.suspend.unwrap_or(false)
}

fn inventory(object: &HelmRelease) -> Inventory {
    let stored = object.status.as_ref().and_then(|s| s.inventory.as_ref());
    let entries = stored.map(|s| s.entries.as_slice()).unwrap_or_default();
    let read = Inventory::from_stored(entries.iter().map(|e| (e.id.as_str(), e.v.as_str())));
    read.unwrap_or_default()
}

impl Owners for Releases {
    fn kinds(&self) -> BTreeMap<(String, String), String> {
        let mut kinds = BTreeMap::new();
        for object in self.store.state_filter(looks) {
            for entry in inventory(&object).entries() {
                let kind = (entry.id.group.clone(), entry.id.kind.clone());
                kinds.entry(kind).or_insert_with(|| entry.version.clone());
            }
        }
        kinds
    }

    fn owns(&self, owner: &Name, object: &ObjectId) -> bool {
        let found = self.store.find(|o| key(o) == *owner);
        found.is_some_and(|o| looks(&o) && inventory(&o).contains(object))
    }

    fn wake(&self, (namespace, name): &Name) {
        let object = ObjectRef::new(name).within(namespace);
        let _sent = self.sender.unbounded_send(object);
    }

    fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}
