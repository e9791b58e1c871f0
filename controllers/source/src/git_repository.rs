//! GitRepository: an artifact from a commit of a Git repository.
//!
//! Each stage has its file: [`gather`] looks after the stored artifact, reads Secrets and lists the remote's references;
//! [`plan`] decides whether anything is to be done; [`act`] fetches and stores; [`report`] tells.

mod act;
mod gather;
mod include;
mod interrupt;
mod plan;
mod report;
mod verify;

use std::time::Duration;

use api::source::GitRepository;
use git::{Git, Workspace};
use jiff::Timestamp;
use runtime::{Failure, Next, Reconciler};

use crate::conditions::SOURCE_VERIFIED;
use crate::stages::{Setup, stages};

pub(crate) const KIND: &str = "GitRepository";
const INCLUDE_UNAVAILABLE: &str = "IncludeUnavailable";
/// Git could not be reached or does not have what is asked for.
const GIT_FAILED: &str = "GitOperationFailed";

/// Reconciles GitRepositories.
pub struct GitRepositories {
    setup: Setup,
    git: Git,
    requeue_dependency: Duration,
    /// Holds the directory that `git` works in.
    _workspace: Workspace,
}

impl std::fmt::Debug for GitRepositories {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitRepositories")
            .field("setup", &self.setup)
            .finish_non_exhaustive()
    }
}

impl GitRepositories {
    /// Creates the reconciler. `git` works in `workspace`.
    pub fn new(setup: Setup, git: Git, workspace: Workspace, requeue_dependency: Duration) -> Self {
        Self {
            setup,
            git,
            requeue_dependency,
            _workspace: workspace,
        }
    }
}

impl Reconciler for GitRepositories {
    stages!(GitRepository, failures: [INCLUDE_UNAVAILABLE], vouched: [SOURCE_VERIFIED]);

    fn plan(
        object: &GitRepository,
        inputs: gather::Inputs,
        _now: Timestamp,
    ) -> Result<Next<plan::Plan, act::Outcome>, Failure> {
        plan::plan(object, inputs)
    }
}
