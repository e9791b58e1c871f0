//! The Provider kind: it holds a finalizer, so that what is remembered of a Provider goes with it.

use access::Identities;
use api::notification::Provider;
use jiff::Timestamp;
use kube::ResourceExt;
use runtime::{
    Conduct, Failure, Moment, Next, Note, Progress, Report, Summary,
    conduct::{Begin, Retry},
};

use crate::{metrics::Deliveries, provider};

/// Reconciles Providers.
pub(crate) struct Reconciler {
    pub(crate) metrics: Deliveries,
    pub(crate) identities: Identities,
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconciler").finish_non_exhaustive()
    }
}

impl runtime::Reconciler for Reconciler {
    type Object = Provider;
    type Inputs = ();
    type Plan = ();
    type Outcome = ();

    const CONDUCT: Conduct = Conduct {
        owned: &[],
        summary: Summary::Explicit,
        retry: Retry::Exponential,
        closes_suspended: false,
        begin: Begin::WithFirstNote("Reconciliation in progress"),
        plans_at_length: false,
        heeds_requests: true,
    };

    async fn gather(&self, _: &Provider, _: &Progress) -> Result<(), Failure> {
        Ok(())
    }

    fn plan(_: &Provider, (): (), _: Timestamp) -> Result<Next<(), ()>, Failure> {
        Ok(Next::Done(()))
    }

    async fn act(&self, _: &Provider, (): (), _: &Progress) -> Result<(), Failure> {
        Ok(())
    }

    fn report(_: &Provider, (): &(), _: Moment) -> Report {
        Report::default()
    }

    async fn cleanup(&self, object: &Provider, _: &Progress) -> Result<Vec<Note>, Failure> {
        let namespace = object.namespace().unwrap_or_default();
        let name = object.name_any();
        self.metrics.forget(&namespace, &name);
        self.identities
            .forget("Provider", &namespace, &name, provider::OPERATION);
        Ok(Vec::new())
    }
}
