//! The ImagePolicy kind: which tag of an image is the newest.
//!
//! `gather` reads the ImageRepository and its tags; `plan` chooses; `act` asks the registry for the digest where one
//! is wanted.

mod act;
mod gather;
mod plan;
mod report;
mod triggers;

use std::sync::Arc;
use std::time::Duration;

use api::image::ImagePolicy;
use jiff::Timestamp;
use kube::{Client, runtime::reflector::ObjectRef};
use registry::Registries;
use runtime::{Conduct, Failure, Moment, Next, Note, Progress, Report, Triggers, access::Access};

use crate::{image_repository::Accesses, tags::Tags};

/// Reconciles ImagePolicies.
pub(crate) struct ImagePolicies {
    pub(crate) client: Client,
    pub(crate) registries: Registries,
    pub(crate) accesses: Accesses,
    pub(crate) tags: Arc<Tags>,
    pub(crate) access: Access,
    pub(crate) requeue_dependency: Duration,
}

impl std::fmt::Debug for ImagePolicies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImagePolicies").finish_non_exhaustive()
    }
}

impl runtime::Reconciler for ImagePolicies {
    type Object = ImagePolicy;
    type Inputs = gather::Inputs;
    type Plan = plan::Plan;
    type Outcome = report::Outcome;

    const CONDUCT: Conduct = crate::CONDUCT;

    async fn gather(
        &self,
        object: &ImagePolicy,
        _progress: &Progress,
    ) -> Result<gather::Inputs, Failure> {
        self.read(object).await
    }

    fn plan(
        object: &ImagePolicy,
        inputs: gather::Inputs,
        _now: Timestamp,
    ) -> Result<Next<plan::Plan, report::Outcome>, Failure> {
        plan::choose(object, inputs)
    }

    async fn act(
        &self,
        _object: &ImagePolicy,
        plan: plan::Plan,
        _progress: &Progress,
    ) -> Result<report::Outcome, Failure> {
        self.reflect_digest(plan).await
    }

    fn report(object: &ImagePolicy, outcome: &report::Outcome, _moment: Moment) -> Report {
        report::succeeded(object, outcome)
    }

    async fn cleanup(
        &self,
        _object: &ImagePolicy,
        _progress: &Progress,
    ) -> Result<Vec<Note>, Failure> {
        Ok(Vec::new())
    }

    fn triggers(
        &self,
        triggers: &Triggers<ImagePolicy>,
    ) -> Vec<futures::stream::BoxStream<'static, ObjectRef<ImagePolicy>>> {
        vec![triggers::repositories(triggers)]
    }
}
