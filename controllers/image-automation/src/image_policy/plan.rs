//! The choice of a tag. Pure.

use api::{
    Reconciled as _,
    image::{DigestReflection, ImagePolicy, ImageReference, ImageRepository},
};
use runtime::{Failure, Next, conditions};

use super::{gather::Inputs, report::Outcome};
use crate::policy::Policy;

/// A tag whose digest is to be read.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The ImageRepository, which says how its registry is reached.
    pub repository: ImageRepository,
    /// The image.
    pub image: registry::Repository,
    /// What was chosen.
    pub chosen: ImageReference,
}

pub(super) fn choose(object: &ImagePolicy, inputs: Inputs) -> Result<Next<Plan, Outcome>, Failure> {
    let policy = Policy::new(&object.spec.policy, object.spec.filter_tags.as_ref());
    let policy = policy.map_err(|error| refused(&error))?;
    let status = object.status.clone().unwrap_or_default();
    let latest = status.latest();
    let Some(tags) = inputs.tags.filter(|tags| !tags.is_empty()) else {
        let is_ready = conditions::is_true(object.conditions(), conditions::READY);
        let is_same = latest
            .as_ref()
            .is_some_and(|l| l.name == inputs.repository.spec.image);
        // What was chosen stands until there is something better to choose from.
        if is_ready && is_same && object.observed_generation() == object.metadata.generation {
            return Ok(Next::Done(Outcome::Kept(inputs.retry)));
        }
        let words = format!(
            "retrying in {} error: no tags in database",
            api::meta::Duration::from(inputs.retry)
        );
        return Err(Failure::wait(inputs.retry, "DependencyNotReady", words));
    };
    let tag = policy.latest(&tags).map_err(|error| refused(&error))?;
    let chosen = ImageReference {
        name: inputs.repository.spec.image.clone(),
        tag: tag.to_owned(),
        digest: None,
    };
    let known = latest.as_ref().and_then(|latest| {
        let same = latest.name == chosen.name && latest.tag == chosen.tag;
        latest
            .digest
            .clone()
            .filter(|digest| same && !digest.is_empty())
    });
    let digest = match object.spec.digest_reflection_policy.unwrap_or_default() {
        DigestReflection::Never => None,
        DigestReflection::IfNotPresent if known.is_some() => known,
        DigestReflection::IfNotPresent | DigestReflection::Always => {
            return Ok(Next::Last(Plan {
                repository: inputs.repository,
                image: inputs.image,
                chosen,
            }));
        }
    };
    Ok(Next::Done(Outcome::Chosen(ImageReference {
        digest,
        ..chosen
    })))
}

fn refused(error: &crate::policy::PolicyError) -> Failure {
    let words = runtime::failure::chain(error);
    if error.is_invalid() {
        Failure::stall("InvalidPolicy", words)
    } else {
        Failure::retry("Failure", words)
    }
}
