//! Says whose objects are watched for changes of others.
//!
//! Every kind that a unit of this cluster owns is watched: what nobody has touched since the last
//! verified apply needs no dry run at the interval, and none of its health has to be read again.

use std::sync::Arc;

use api::kustomize::{DriftDetectionMode, Kustomization};
use cluster::{
    Cluster,
    drift::{Followed, Kind, Kinds, Name, OwnedKinds, Owners, follow, kinds_of},
};
use futures::{StreamExt, channel::mpsc};
use kube::runtime::reflector::{ObjectRef, Store};
use manifest::{Inventory, ObjectId};
use runtime::Triggers;

use super::{Book, mode};
use crate::{
    FIELD_MANAGER,
    kustomization::{report, triggers::Woken},
};

const NAME: &str = "kustomize.toolkit.fluxcd.io/name";
const NAMESPACE: &str = "kustomize.toolkit.fluxcd.io/namespace";

/// Yields Kustomizations whose objects others have changed.
pub(in crate::kustomization) fn watch(
    triggers: &Triggers<Kustomization>,
    cluster: Cluster,
    book: Arc<Book>,
) -> Woken {
    let (sender, woken) = mpsc::unbounded();
    let what = Followed {
        manager: FIELD_MANAGER,
        operations: &["Apply"],
        name_label: NAME,
        namespace_label: NAMESPACE,
        namespace: triggers.scope().namespace.clone(),
    };
    let owners = Arc::new(Units {
        store: triggers.store(),
        book,
        sender,
        owned: OwnedKinds::default(),
    });
    let _task = tokio::spawn(follow(cluster, what, owners));
    woken.boxed()
}

struct Units {
    store: Store<Kustomization>,
    book: Arc<Book>,
    sender: mpsc::UnboundedSender<ObjectRef<Kustomization>>,
    owned: OwnedKinds,
}

impl Units {
    fn wake(&self, unit: &Kustomization) {
        let _sent = self.sender.unbounded_send(ObjectRef::from_obj(unit));
    }
}

impl Owners for Units {
    fn kinds(&self) -> Kinds {
        let counts = |object: &Kustomization| {
            object.spec.kube_config.is_none() && !object.spec.suspend.unwrap_or(false)
        };
        self.owned
            .together(self.store.state_filter(counts), inventory)
    }

    fn changed(&self, owner: &Name, object: &ObjectId) -> bool {
        let may_look = self.book.changed(owner, object);
        let unit = ObjectRef::new(&owner.1).within(&owner.0);
        let Some(unit) = self.store.get(&unit) else {
            return true;
        };
        if !may_look || mode(&unit) == DriftDetectionMode::Disabled {
            return true;
        }
        let owns = report::owns(&unit, object);
        if owns {
            self.wake(&unit);
        }
        owns
    }

    fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Who was verified before the watch began is looked at again.
    fn synced(&self, kind: &Kind) {
        if !self.book.synced(kind) {
            return;
        }
        let looks = |o: &Kustomization| {
            mode(o) != DriftDetectionMode::Disabled && kinds_of(&inventory(o)).contains_key(kind)
        };
        for unit in self.store.state_filter(looks) {
            self.wake(&unit);
        }
    }

    fn unsynced(&self, kind: &Kind) {
        self.book.unsynced(kind);
    }

    fn refused(&self, kind: &Kind, cause: String) {
        self.book.refused(kind, cause);
    }

    fn stirred(&self, owner: &Name) {
        self.book.stirred(owner);
    }
}

/// What a unit applied; one that cannot be read names nothing.
fn inventory(object: &Kustomization) -> Inventory {
    report::owned(object).unwrap_or_default()
}
