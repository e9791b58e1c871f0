//! Brings objects to a Kubernetes API server and watches what becomes of them.
//!
//! [`Cluster`] is one API server seen by one identity. An apply runs in two steps, so that the
//! caller can store what will be owned before anything is written:
//!
//! 1. [`Cluster::plan_apply`] normalises, asks discovery for scopes, sorts into stages; the plan's
//!    [`ApplyPlan::inventory`] is what to store (joined with the old one).
//! 2. [`Cluster::apply`] runs the stages: dry run of all objects of a stage, then the writes.
//!
//! [`Cluster::prune`] deletes what left the inventory, [`Cluster::wait`] waits for readiness.
//! Nothing here knows of Flux kinds; what differs between controllers is in the options.

mod address;
mod apply;
mod discovery;
pub mod drift;
mod error;
mod impersonate;
mod kubeconfig;
mod objects;
mod prune;
mod request;
mod wait;

pub use address::{AddressError, TokenError, TokenSource};
pub use apply::{
    Applied, ApplyError, ApplyOptions, ApplyPlan, Cause, Drift, DroppedFields, ObjectError,
    PlanError, PlannedObject, StageApplied, Step,
};
pub use discovery::{ResolveError, Resource};
pub use error::{RequestError, chain_text};
pub use impersonate::InvalidServiceAccount;
pub use kubeconfig::{KubeconfigError, KubeconfigOptions};
pub use objects::ServerInfo;
pub use prune::{PruneError, PruneOptions, Pruned};
pub use request::Location;
pub use wait::{HealthRule, Unready, WaitError, WaitOptions};

use std::sync::Arc;

use kube::Client;
use manifest::GroupVersionKind;

use crate::discovery::Discovery;

/// One Kubernetes API server, seen by one identity.
///
/// Cheap to clone. Clones, and clusters made by [`Self::with_client`], share what is known about
/// the server's API types.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    discovery: Arc<Discovery>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

impl Cluster {
    /// Makes a cluster from a client. The client's own retries must be off
    /// (`Config::default_retry = false`): this crate retries within bounds.
    pub fn new(client: Client) -> Self {
        Self {
            discovery: Arc::new(Discovery::new(client.clone())),
            client,
        }
    }

    /// Returns the same API server seen by another identity.
    ///
    /// Discovery keeps using the first identity: every authenticated user may read it.
    #[must_use]
    pub fn with_client(&self, client: Client) -> Self {
        Self {
            client,
            discovery: Arc::clone(&self.discovery),
        }
    }

    /// Returns the client that requests are made with.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Finds how the API server serves a type.
    ///
    /// # Errors
    /// [`ResolveError::NoMatch`] when it does not serve it, else the failed request.
    pub async fn resolve(&self, gvk: &GroupVersionKind) -> Result<Resource, ResolveError> {
        self.discovery.resolve(gvk).await
    }

    /// Finds how the API server serves a kind, in the version named or else in the one it prefers.
    ///
    /// # Errors
    /// [`ResolveError::NoKind`] when no version serves it, else the failed request.
    pub async fn resolve_any_version(
        &self,
        gvk: &GroupVersionKind,
    ) -> Result<Resource, ResolveError> {
        self.discovery.resolve_any_version(gvk).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Controllers run this on several threads; a future that cannot be sent would not compile there.
    #[test]
    fn futures_can_be_sent_between_threads() {
        fn sendable<T: Send>(_: impl FnOnce(Cluster) -> T) {}
        sendable(|cluster| async move {
            let owner = manifest::metadata::Owner {
                group: String::new(),
                name: String::new(),
                namespace: String::new(),
            };
            let options = ApplyOptions::new("test", owner.clone());
            let plan = cluster.plan_apply(Vec::new(), options).await.ok()?;
            cluster
                .apply_stage(&plan, manifest::order::Stage::Rest)
                .await
                .ok()?;
            cluster.apply(&plan).await.ok()?;
            let prune = PruneOptions {
                owner,
                concurrency: 1,
            };
            let nothing = manifest::Inventory::default();
            cluster.prune(&nothing, &prune).await.ok()?;
            let wait = WaitOptions::new(std::time::Duration::ZERO);
            cluster.wait(&nothing, &wait).await.ok()?;
            cluster.wait_for_termination(&nothing, &wait).await.ok()
        });
    }
}
