//! GitRepository: an artifact from a commit of a Git repository.
//!
//! Each stage has its file: [`gather`] looks after the stored artifact, reads Secrets and lists the remote's references;
//! [`plan`] decides whether anything is to be done; [`act`] fetches and stores; [`report`] tells.

pub(crate) mod access;
mod act;
mod failure;
mod gather;
mod include;
mod interrupt;
mod plan;
mod report;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use api::source::GitRepository;
use artifact::{Storage, gc::Retention};
use git::{Git, Workspace};
use jiff::Timestamp;
use kube::{Client, ResourceExt};
use runtime::conduct::{Begin, Retry};
use runtime::{
    Conduct, Failure, Moment, Next, Note, Polarity, Progress, Reconciler, Report, Summary,
};

pub(crate) const KIND: &str = "GitRepository";

const ARTIFACT_IN_STORAGE: &str = "ArtifactInStorage";
const ARTIFACT_OUTDATED: &str = "ArtifactOutdated";
const FETCH_FAILED: &str = "FetchFailed";
const INCLUDE_UNAVAILABLE: &str = "IncludeUnavailable";
const SOURCE_VERIFIED: &str = "SourceVerified";
const STORAGE_OPERATION_FAILED: &str = "StorageOperationFailed";

/// Reconciles GitRepositories.
pub struct GitRepositories {
    client: Client,
    git: Git,
    storage: Arc<Storage>,
    retention: Retention,
    requeue_dependency: Duration,
    /// Holds the directory that `git` works in.
    _workspace: Workspace,
}

impl std::fmt::Debug for GitRepositories {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitRepositories")
            .field("storage", &self.storage)
            .finish_non_exhaustive()
    }
}

impl GitRepositories {
    /// Creates the reconciler. `git` works in `workspace`.
    pub fn new(
        client: Client,
        git: Git,
        workspace: Workspace,
        storage: Arc<Storage>,
        retention: Retention,
        requeue_dependency: Duration,
    ) -> Self {
        Self {
            client,
            git,
            storage,
            retention,
            requeue_dependency,
            _workspace: workspace,
        }
    }
}

impl Reconciler for GitRepositories {
    type Object = GitRepository;
    type Inputs = gather::Inputs;
    type Plan = plan::Plan;
    type Outcome = act::Outcome;

    const CONDUCT: Conduct = Conduct {
        owned: &[
            STORAGE_OPERATION_FAILED,
            FETCH_FAILED,
            INCLUDE_UNAVAILABLE,
            ARTIFACT_OUTDATED,
            ARTIFACT_IN_STORAGE,
            SOURCE_VERIFIED,
        ],
        summary: Summary::Ranked(&[
            (STORAGE_OPERATION_FAILED, Polarity::Negative),
            (FETCH_FAILED, Polarity::Negative),
            (INCLUDE_UNAVAILABLE, Polarity::Negative),
            (ARTIFACT_OUTDATED, Polarity::Negative),
            (ARTIFACT_IN_STORAGE, Polarity::Positive),
            (SOURCE_VERIFIED, Polarity::Bipolar),
            ("Stalled", Polarity::Negative),
            ("Reconciling", Polarity::Negative),
        ]),
        retry: Retry::Exponential,
        closes_suspended: true,
        begin: Begin::AtOnce,
    };

    async fn gather(
        &self,
        object: &GitRepository,
        progress: &Progress,
    ) -> Result<gather::Inputs, Failure> {
        self.gather_inputs(object, progress).await
    }

    fn plan(
        object: &GitRepository,
        inputs: gather::Inputs,
        _now: Timestamp,
    ) -> Result<Next<plan::Plan, act::Outcome>, Failure> {
        plan::plan(object, inputs)
    }

    async fn act(
        &self,
        object: &GitRepository,
        plan: plan::Plan,
        progress: &Progress,
    ) -> Result<act::Outcome, Failure> {
        self.publish(object, plan, progress).await
    }

    fn report(object: &GitRepository, outcome: &act::Outcome, _moment: Moment) -> Report {
        report::report(object, outcome)
    }

    async fn cleanup(
        &self,
        object: &GitRepository,
        _progress: &Progress,
    ) -> Result<Vec<Note>, Failure> {
        let namespace = object.namespace().unwrap_or_default();
        let removed = self
            .storage
            .remove_object(KIND, &namespace, &object.name_any());
        match removed {
            Ok(false) => Ok(Vec::new()),
            Ok(true) => Ok(vec![Note::trace(
                "GarbageCollectionSucceeded",
                "garbage collected artifacts for deleted resource",
            )]),
            Err(error) => Err(Failure::retry(
                "GarbageCollectionFailed",
                format!("garbage collection for deleted resource failed: {error}"),
            )),
        }
    }
}
