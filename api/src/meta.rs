//! The pieces that several kinds share: conditions, durations, artifacts, references, inventories.

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

pub use self::{
    annotation::{FINALIZER, RECONCILE_REQUEST, WATCH_LABEL},
    artifact::Artifact,
    digest::{Digest, DigestError},
    duration::{Duration, DurationError},
    inventory::{Inventory, InventoryEntry, ObjectId, ObjectIdError},
    reference::{
        AccessFrom, CrossNamespaceReference, DependencyReference, KubeConfigReference,
        LocalReference, NamespaceSelector, NamespacedReference, SecretKeyReference, Selector,
    },
    request::{is_asked_for, requested_at},
    revision::Revision,
    selector::{SelectorError, is_selected, selector_text},
};

pub mod annotation;
mod artifact;
mod digest;
mod duration;
mod inventory;
mod reference;
mod request;
mod revision;
mod selector;
