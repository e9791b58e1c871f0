//! The ImageUpdateAutomation kind: what policies chose, written to Git.
//!
//! `gather` reads policies, source and Secrets; `plan` decides what is checked out and pushed; `act` talks to the Git
//! server; `report` says so.

mod access;
mod act;
mod gather;
mod plan;
mod pull_request;
mod report;
mod triggers;
mod turns;

use std::sync::Arc;

use ::access::Identities;
use api::image::ImageUpdateAutomation;
use git::{Git, Workspace};
use jiff::Timestamp;
use kube::{Client, runtime::reflector::ObjectRef};
use net_http::Clients;
use runtime::{
    Change, Conduct, Failure, Moment, Next, Note, Progress, Report, Triggers, access::Access,
};

use self::turns::Turns;

/// Reconciles ImageUpdateAutomations.
pub(crate) struct Automations {
    pub(crate) client: Client,
    /// Asks clouds for what a GitRepository has no Secret for.
    pub(crate) identities: Identities,
    pub(crate) git: Git,
    pub(crate) clients: Arc<Clients>,
    pub(crate) access: Access,
    /// Whether commits of others on a push branch of its own are given up.
    pub(crate) force_push_branch: bool,
    /// Whether a push branch that is there already is continued.
    pub(crate) continue_push_branch: bool,
    turns: Turns,
    /// Removes temporary files when the process ends.
    _workspace: Workspace,
}

impl std::fmt::Debug for Automations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Automations").finish_non_exhaustive()
    }
}

impl Automations {
    pub(crate) fn new(
        (client, identities): (Client, Identities),
        (git, clients): (Git, Arc<Clients>),
        access: Access,
        (force_push_branch, continue_push_branch): (bool, bool),
        workspace: Workspace,
    ) -> Self {
        Self {
            client,
            identities,
            git,
            clients,
            access,
            force_push_branch,
            continue_push_branch,
            turns: Turns::default(),
            _workspace: workspace,
        }
    }
}

impl runtime::Reconciler for Automations {
    type Object = ImageUpdateAutomation;
    type Inputs = gather::Inputs;
    type Plan = plan::Plan;
    type Outcome = report::Outcome;

    const CONDUCT: Conduct = crate::CONDUCT;

    async fn gather(
        &self,
        object: &ImageUpdateAutomation,
        _progress: &Progress,
    ) -> Result<gather::Inputs, Failure> {
        let started = Timestamp::now();
        self.read(object)
            .await
            .map_err(|failure| at(failure, started))
    }

    fn plan(
        object: &ImageUpdateAutomation,
        inputs: gather::Inputs,
        now: Timestamp,
    ) -> Result<Next<plan::Plan, report::Outcome>, Failure> {
        plan::decide(object, inputs, now)
            .map(Next::Last)
            .map_err(|failure| at(failure, now))
    }

    async fn act(
        &self,
        object: &ImageUpdateAutomation,
        plan: plan::Plan,
        _progress: &Progress,
    ) -> Result<report::Outcome, Failure> {
        let started = plan.now;
        Box::pin(self.update(object, plan))
            .await
            .map_err(|failure| at(failure, started))
    }

    fn report(
        object: &ImageUpdateAutomation,
        outcome: &report::Outcome,
        _moment: Moment,
    ) -> Report {
        report::succeeded(object, outcome)
    }

    async fn cleanup(
        &self,
        _object: &ImageUpdateAutomation,
        _progress: &Progress,
    ) -> Result<Vec<Note>, Failure> {
        Ok(Vec::new())
    }

    fn triggers(
        &self,
        triggers: &Triggers<ImageUpdateAutomation>,
    ) -> Vec<futures::stream::BoxStream<'static, ObjectRef<ImageUpdateAutomation>>> {
        vec![triggers::policies(triggers), triggers::sources(triggers)]
    }
}

/// Says when a failed run was.
fn at(failure: Failure, started: Timestamp) -> Failure {
    failure.with(Change::default().set("lastAutomationRunTime", api::meta::Time(started)))
}
