//! Every kind of the toolkit as Rust types: what users write and what controllers report.
//!
//! One type per kind, at the version that is stored. Its properties are the union of all served versions, because the
//! API server decodes a stored object into the requested version and drops what that version does not name; [`served`] lists
//! what differs between versions. Nothing here does I/O.

use std::fmt::Debug;

use kube::{Resource, core::NamespaceResourceScope};
use serde::{Serialize, de::DeserializeOwned};

use meta::{Condition, Duration};

#[cfg(feature = "schema")]
pub mod crd;
pub mod extension;
#[macro_use]
mod kind;
pub mod helm;
pub mod image;
pub mod kustomize;
pub mod meta;
pub mod notification;
#[cfg(feature = "schema")]
pub mod schema;
pub mod served;
pub mod source;

/// An object in a namespace, with the parts that every reconciled kind has.
pub trait Reconciled:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Serialize
    + DeserializeOwned
    + Clone
    + Debug
    + Send
    + Sync
    + 'static
{
    /// Returns the status as JSON, `null` where there is none, without a look at the rest of the object.
    ///
    /// # Errors
    /// A status that JSON cannot say.
    fn status_value(&self) -> serde_json::Result<serde_json::Value>;

    /// Returns the conditions of the status; empty where there is no status.
    fn conditions(&self) -> &[Condition];

    /// Returns the generation that the last finished run acted on.
    fn observed_generation(&self) -> Option<i64>;

    /// Returns the value of the last request annotation that was acted on.
    fn last_handled_reconcile_at(&self) -> Option<&str>;

    /// Says whether the user asked that nothing be done.
    fn suspended(&self) -> bool;

    /// Returns how long after one run the next is due; `None` for kinds that have no period.
    fn interval(&self) -> Option<Duration>;
}
