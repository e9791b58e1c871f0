//! Decides which commit is published, and whether it already is.

use access::GitAccess;
use api::meta::Artifact;
use api::source::{GitRepository, GitRepositoryStatus};
use git::{Listing, Want};
use runtime::{Failure, Next};
use select::reference::{Choice, ChooseError, Pinned, Wanted, choose};
use tokio::time::Instant;

use super::act::{Outcome, checkout};
use super::gather::{Inputs, is_same};
use super::include::{self, Included};
use super::verify::{TagRef, Trust};
use crate::failure::{chain, fetch};

/// What is to be fetched and stored.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) access: GitAccess,
    pub(super) listing: Listing,
    pub(super) want: Want,
    pub(super) commit: String,
    pub(super) revision: String,
    /// The tag that was chosen, where it was one.
    pub(super) tag: Option<TagRef>,
    /// Whose signatures count, where one has to be there.
    pub(super) trust: Option<Trust>,
    pub(super) published: Option<Artifact>,
    /// Whether the published artifact is what is asked for, and only its signatures are to be checked.
    pub(super) stays: bool,
    pub(super) included: Vec<Included>,
    pub(super) includes_changed: bool,
    pub(super) ignore: Option<String>,
    pub(super) directories: Vec<String>,
    pub(super) submodules: bool,
    pub(super) deadline: Instant,
}

/// Chooses the commit and compares it, and the settings, with what is published.
pub(super) fn plan(object: &GitRepository, inputs: Inputs) -> Result<Next<Plan, Outcome>, Failure> {
    let Inputs {
        wanted,
        access,
        artifact,
        included,
        trust,
        listing,
        deadline,
    } = inputs;
    let includes_changed = includes_changed(object, &included);
    let trust_changed = trust_changed(object, trust.as_ref());
    let (choice, listing) = match (listing, wanted.pinned()) {
        (Some(listing), _) => (choice(&wanted, &listing, &access)?, listing),
        (None, Some(pinned)) => (Choice::Pinned(pinned), Listing::default()),
        (None, None) => return Err(checkout("the remote was not asked for its references")),
    };
    let revision = choice.revision();
    let stays = artifact.as_ref().is_some_and(|artifact| {
        is_same(&artifact.revision, &revision) && !settings_changed(object) && !includes_changed
    });
    match artifact {
        Some(mut artifact) if stays && !trust_changed => {
            artifact.revision = revision;
            let verified = None;
            Ok(Next::Done(Outcome::Unchanged { artifact, verified }))
        }
        published => Ok(Next::Last(Plan {
            access,
            listing,
            commit: choice.commit().to_owned(),
            tag: tag(&choice),
            trust,
            stays,
            want: want(choice),
            revision,
            published,
            included: include::pair(&object.spec.include, included),
            includes_changed,
            ignore: object.spec.ignore.clone(),
            directories: object.spec.sparse_checkout.clone(),
            submodules: object.spec.recurse_submodules.unwrap_or_default(),
            deadline,
        })),
    }
}

fn tag(choice: &Choice) -> Option<TagRef> {
    match choice {
        Choice::Tip(tip) => tip.tag.as_ref().map(|name| TagRef {
            name: name.clone(),
            object: tip.object.clone(),
        }),
        Choice::Pinned(_) => None,
    }
}

/// Says whether the artifact was verified with other keys than count now, or not in the way that is asked for now.
pub(super) fn trust_changed(object: &GitRepository, trust: Option<&Trust>) -> bool {
    let status = object.status.as_ref();
    let artifact = status.and_then(|status| status.artifact.as_ref());
    trust.is_some_and(|trust| !artifact.is_some_and(|artifact| trust.vouched_for(artifact)))
}

fn want(choice: Choice) -> Want {
    match choice {
        Choice::Tip(tip) => Want::Listed {
            object: tip.object,
            commit: tip.commit,
        },
        Choice::Pinned(Pinned {
            label: _,
            commit,
            branch,
        }) => Want::Commit { commit, branch },
    }
}

fn choice(wanted: &Wanted, listing: &Listing, access: &GitAccess) -> Result<Choice, Failure> {
    choose(wanted, &listing.refs).map_err(|error| match error {
        ChooseError::NotFound(name)
            if listing.refs.is_empty()
                && name.starts_with("refs/heads/")
                && !wanted.is_pinned() =>
        {
            fetch("EmptyGitRepository", "git repository is empty")
        }
        ChooseError::NotFound(_) => {
            checkout(&format!("unable to clone '{}': {error}", access.remote.url))
        }
        error => checkout(&chain(&error)),
    })
}

/// Says whether a published revision is what a fixed commit asks for.
pub(super) fn pinned_is(wanted: &Wanted, revision: &str) -> bool {
    let asked = wanted
        .pinned()
        .map(|pinned| Choice::Pinned(pinned).revision());
    asked.is_some_and(|asked| is_same(revision, &asked))
}

/// Says whether the artifact was made with other settings than the object has now.
///
/// An absent `spec.ignore` and an empty one differ.
pub(super) fn settings_changed(object: &GitRepository) -> bool {
    let none = GitRepositoryStatus::default();
    let status = object.status.as_ref().unwrap_or(&none);
    let spec = &object.spec;
    spec.ignore != status.observed_ignore
        || spec.recurse_submodules.unwrap_or_default()
            != status.observed_recurse_submodules.unwrap_or_default()
        || spec.include != status.observed_include
        || spec.sparse_checkout != status.observed_sparse_checkout
}

/// Says whether other artifacts are included than those that the artifact was made with.
pub(super) fn includes_changed(object: &GitRepository, included: &[Artifact]) -> bool {
    let status = object.status.as_ref();
    let observed = status.map_or(&[][..], |status| &status.included_artifacts);
    observed.len() != included.len()
        || !observed
            .iter()
            .zip(included)
            .all(|(old, new)| old.is_same_as(new))
}

#[cfg(test)]
mod tests;
