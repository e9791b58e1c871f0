//! What the reconcilers of all kinds of sources are the same in.

use std::path::PathBuf;
use std::sync::Arc;

use access::{Identities, Reader};
use api::source::{Bucket, GitRepository, HelmChart, HelmRepository, OCIRepository};
use kube::Client;
use net_http::{Clients, Hosts};
use runtime::Failure;

use crate::shelf::Shelf;

/// Writes what is the same in each implementation of `Reconciler`: each stage is in the kind's file of that name, and
/// the conditions are those of all sources, with the kind's own `failures` and what signatures are `vouched` for by.
///
/// A macro, since the stages' types differ and only their names are the same. `plan` stays with the kinds.
macro_rules! stages {
    ($Object:ty, failures: [$($failure:expr)?], vouched: [$($vouched:expr)?]) => {
        type Object = $Object;
        type Inputs = gather::Inputs;
        type Plan = plan::Plan;
        type Outcome = act::Outcome;

        const CONDUCT: runtime::Conduct = runtime::Conduct {
            owned: &[
                $crate::conditions::STORAGE_OPERATION_FAILED,
                $crate::conditions::FETCH_FAILED,
                $($failure,)?
                $crate::conditions::ARTIFACT_OUTDATED,
                $crate::conditions::ARTIFACT_IN_STORAGE,
                $($vouched,)?
            ],
            summary: runtime::Summary::Ranked(&[
                ($crate::conditions::STORAGE_OPERATION_FAILED, runtime::Polarity::Negative),
                ($crate::conditions::FETCH_FAILED, runtime::Polarity::Negative),
                $(($failure, runtime::Polarity::Negative),)?
                ($crate::conditions::ARTIFACT_OUTDATED, runtime::Polarity::Negative),
                ($crate::conditions::ARTIFACT_IN_STORAGE, runtime::Polarity::Positive),
                $(($vouched, runtime::Polarity::Bipolar),)?
                ("Stalled", runtime::Polarity::Negative),
                ("Reconciling", runtime::Polarity::Negative),
            ]),
            retry: runtime::conduct::Retry::Exponential,
            closes_suspended: true,
            begin: runtime::conduct::Begin::AtOnce,
            plans_at_length: false,
            heeds_requests: true,
        };

        async fn gather(
            &self,
            object: &$Object,
            progress: &runtime::Progress,
        ) -> Result<gather::Inputs, runtime::Failure> {
            // Boxed: whatever wraps a future holds it, and is moved, as a whole.
            let stage = Box::pin(self.gather_inputs(object, progress));
            self.setup.politely(object, stage).await
        }

        async fn act(
            &self,
            object: &$Object,
            plan: plan::Plan,
            progress: &runtime::Progress,
        ) -> Result<act::Outcome, runtime::Failure> {
            let stage = Box::pin(self.publish(object, plan, progress));
            self.setup.politely(object, stage).await
        }

        fn report(
            object: &$Object,
            outcome: &act::Outcome,
            _moment: runtime::Moment,
        ) -> runtime::Report {
            $crate::polling::paced(object, report::report(object, outcome))
        }

        async fn cleanup(
            &self,
            object: &$Object,
            _progress: &runtime::Progress,
        ) -> Result<Vec<runtime::Note>, runtime::Failure> {
            let notes = self.setup.shelf.cleanup(object)?;
            let meta = &object.metadata;
            let namespace = meta.namespace.as_deref().unwrap_or_default();
            let name = meta.name.as_deref().unwrap_or_default();
            let identities = &self.setup.identities;
            identities.forget(KIND, namespace, name, $crate::provider::OPERATION);
            Ok(notes)
        }
    };
}
pub(crate) use stages;

/// What each kind works with.
#[derive(Clone)]
pub struct Setup {
    pub(crate) client: Client,
    pub(crate) clients: Arc<Clients>,
    /// Reads what objects name.
    pub(crate) reader: Reader,
    pub(crate) shelf: Shelf,
    /// How many runs go to one host at once.
    pub(crate) hosts: Arc<Hosts>,
    /// Where files are put aside.
    pub(crate) scratch: PathBuf,
    /// Asks clouds for what objects have no Secret for.
    pub(crate) identities: Identities,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("shelf", &self.shelf)
            .finish_non_exhaustive()
    }
}

/// The server that an object's content comes from.
pub(crate) trait Remote {
    /// Whether whoever talks to it already limits how many do so at once.
    const LIMITED: bool = false;

    /// Returns its address; none where another object names it, and the stages themselves take their turns.
    fn address(&self) -> Option<&str>;
}

impl Remote for GitRepository {
    const LIMITED: bool = true;

    fn address(&self) -> Option<&str> {
        Some(&self.spec.url)
    }
}

impl Remote for OCIRepository {
    fn address(&self) -> Option<&str> {
        Some(&self.spec.url)
    }
}

impl Remote for HelmRepository {
    fn address(&self) -> Option<&str> {
        Some(&self.spec.url)
    }
}

impl Remote for HelmChart {
    fn address(&self) -> Option<&str> {
        None
    }
}

impl Remote for Bucket {
    fn address(&self) -> Option<&str> {
        Some(&self.spec.endpoint)
    }
}

impl Setup {
    /// Carries a stage out in its turn at the object's server, and leaves the server alone afterwards where it asks for
    /// that.
    pub(crate) async fn politely<K: Remote, T>(
        &self,
        object: &K,
        stage: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let Some(address) = object.address() else {
            return stage.await;
        };
        if K::LIMITED {
            return stage.await.map_err(|failure| self.later(address, failure));
        }
        self.politely_at(address, stage).await
    }

    /// As [`Self::politely`], at the server of this address.
    pub(crate) async fn politely_at<T>(
        &self,
        address: &str,
        stage: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let _turn = self.hosts.turn(address).await;
        stage.await.map_err(|failure| self.later(address, failure))
    }

    fn later(&self, address: &str, failure: Failure) -> Failure {
        match self.clients.pause_of(address) {
            Some(pause) => failure.no_sooner(pause),
            None => failure,
        }
    }
}
