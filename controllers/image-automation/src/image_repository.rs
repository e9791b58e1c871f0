//! The ImageRepository kind: which tags an image has.
//!
//! `gather` reads the credentials and what is stored; `plan` decides whether a scan is due; `act` scans.

mod access;
mod act;
mod gather;
mod plan;
mod report;

use std::sync::Arc;

use api::image::ImageRepository;
use jiff::Timestamp;
use kube::ResourceExt;
use registry::{Registries, Repository};
use runtime::{Conduct, Failure, Moment, Next, Note, Progress, Report};

use crate::tags::Tags;

pub(crate) use access::{AccessError, Accesses};
pub(crate) use gather::parse_image;
pub(crate) use report::note;

/// The tags that are left out where an object lists none.
pub(crate) const DEFAULT_EXCLUSIONS: &str = r"^.*\.sig$";

/// Reconciles ImageRepositories.
pub(crate) struct ImageRepositories {
    pub(crate) registries: Registries,
    pub(crate) accesses: Accesses,
    pub(crate) tags: Arc<Tags>,
}

impl std::fmt::Debug for ImageRepositories {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageRepositories").finish_non_exhaustive()
    }
}

impl runtime::Reconciler for ImageRepositories {
    type Object = ImageRepository;
    type Inputs = gather::Inputs;
    type Plan = plan::Plan;
    type Outcome = report::Outcome;

    const CONDUCT: Conduct = crate::CONDUCT;

    async fn gather(
        &self,
        object: &ImageRepository,
        _progress: &Progress,
    ) -> Result<gather::Inputs, Failure> {
        self.read(object).await
    }

    fn plan(
        object: &ImageRepository,
        inputs: gather::Inputs,
        now: Timestamp,
    ) -> Result<Next<plan::Plan, report::Outcome>, Failure> {
        Ok(plan::decide(object, inputs, now))
    }

    async fn act(
        &self,
        object: &ImageRepository,
        plan: plan::Plan,
        progress: &Progress,
    ) -> Result<report::Outcome, Failure> {
        self.scan(object, plan, progress).await
    }

    fn report(object: &ImageRepository, outcome: &report::Outcome, _moment: Moment) -> Report {
        report::succeeded(object, outcome)
    }

    async fn cleanup(
        &self,
        object: &ImageRepository,
        _progress: &Progress,
    ) -> Result<Vec<Note>, Failure> {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        self.accesses.forget(&namespace, &name);
        match self.tags.remove(&namespace, &name) {
            Ok(()) => Ok(Vec::new()),
            Err(error) => Err(Failure::retry("Failed", runtime::failure::chain(&error))),
        }
    }
}

/// The name that statuses show: with the registry, and `library/` where Docker Hub implies it.
fn canonical(repository: &Repository) -> String {
    repository.to_string()
}

/// The patterns of tags to leave out. An empty list means the default one, as upstream has it.
fn exclusions(object: &ImageRepository) -> Vec<String> {
    let listed = object.spec.exclusion_list.clone().unwrap_or_default();
    if listed.is_empty() {
        vec![DEFAULT_EXCLUSIONS.to_owned()]
    } else {
        listed
    }
}
