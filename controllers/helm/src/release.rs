//! What Helm does with a release: records, objects, hooks, waits. Knows nothing of HelmReleases.
//!
//! [`Session`] is one release on one cluster; its methods are Helm's actions. Failures are texts as
//! Helm's users know them.
//!
//! Source: helm v4.2.1 `pkg/action`, `pkg/kube`, observed and read.

pub(crate) mod crds;
pub(crate) mod hooks;
pub(crate) mod install;
pub(crate) mod log;
pub(crate) mod merge;
pub(crate) mod objects;
pub(crate) mod post_render;
pub(crate) mod render;
pub(crate) mod rollback;
pub(crate) mod storage;
pub(crate) mod test;
pub(crate) mod uninstall;
pub(crate) mod upgrade;
pub(crate) mod wait;
pub(crate) mod write;

use std::{sync::Arc, time::Duration};

use cluster::{Cluster, HealthRule};
use jiff::Timestamp;
use runtime::Progress;
use tokio::time::Instant;

pub(crate) use self::{log::Log, storage::Storage};

/// The largest names that Helm accepts.
pub(crate) const MAX_NAME: usize = 53;

/// Why an action stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ActionError {
    /// It failed; the text is Helm's.
    Failed(String),
    /// Something newer made it pointless; names what did.
    Superseded(String),
}

impl std::fmt::Display for ActionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(text) => f.write_str(text),
            Self::Superseded(by) => write!(f, "New reconciliation triggered by {by}"),
        }
    }
}

impl From<String> for ActionError {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

impl ActionError {
    /// Puts words before a failure.
    pub(crate) fn within(self, words: &str) -> Self {
        match self {
            Self::Failed(text) => Self::Failed(format!("{words}: {text}")),
            superseded @ Self::Superseded(_) => superseded,
        }
    }
}

/// One release on one cluster, for the length of one action.
pub(crate) struct Session<'a> {
    /// The cluster, as the release's account sees it.
    pub cluster: &'a Cluster,
    /// Its records.
    pub storage: &'a Storage,
    /// The run.
    pub progress: &'a Progress,
    /// The release's name.
    pub name: String,
    /// The namespace it is installed into.
    pub namespace: String,
    /// The field manager of what is written.
    pub manager: &'static str,
    /// What is told when the action fails.
    pub log: Log,
    /// When the action must have ended.
    pub deadline: Instant,
    /// Rules of health ahead of the built-in ones.
    pub rules: Option<Arc<dyn HealthRule>>,
    /// Objects are ready when Helm 3 took them for it.
    pub legacy: bool,
    /// A label selector that all its objects carry.
    pub selector: String,
}

impl Session<'_> {
    /// Returns how long the action may still take.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Returns the present as records hold it.
pub(crate) fn now() -> String {
    Timestamp::now().to_string()
}

/// How objects are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Method {
    /// On the server, with field owners; else by patches that the client computes.
    pub server_side: bool,
    /// Objects that exist are replaced instead of patched.
    pub replace: bool,
}

/// Whether hooks run and what is waited for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waiting {
    /// No hooks.
    pub no_hooks: bool,
    /// No wait for objects; hooks are waited for.
    pub no_wait: bool,
    /// Jobs count as ready while they run.
    pub no_jobs: bool,
}
