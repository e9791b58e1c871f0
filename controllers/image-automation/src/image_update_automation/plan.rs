//! What is checked out, and where a commit goes. Pure.

use std::time::Duration;

use access::GitAccess;
use api::{
    Reconciled as _,
    image::{ImageReference, ImageUpdateAutomation},
    source::GitReference,
};
use git::PushPlan;
use jiff::Timestamp;
use runtime::{Failure, conditions};
use select::reference::Wanted;
use signature::SigningKey;

use super::gather::{ForgeAccess, Inputs};
use crate::setters::Chosen;

/// The branch of upstream where nothing names one.
const DEFAULT_BRANCH: &str = "master";

/// What a run does.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) now: Timestamp,
    pub(super) chosen: Chosen,
    /// As the user wrote it, without credentials.
    pub(super) url: String,
    pub(super) access: GitAccess,
    pub(super) wanted: Wanted,
    pub(super) push: PushPlan,
    /// Whether the push branch is another one than is checked out.
    pub(super) switches: bool,
    /// Whether work goes on on the push branch where it is there already.
    pub(super) continues: bool,
    /// The revision whose files need not be looked at again.
    pub(super) known: Option<String>,
    pub(super) key: Option<SigningKey>,
    pub(super) timeout: Duration,
    pub(super) forge: Option<ForgeAccess>,
}

pub(super) fn decide(
    object: &ImageUpdateAutomation,
    inputs: Inputs,
    now: Timestamp,
) -> Result<Plan, Failure> {
    let Some(settings) = &object.spec.git else {
        let words = "source kind 'GitRepository' necessitates field .spec.git: invalid source configuration";
        return Err(Failure::stall("InvalidSourceConfiguration", words));
    };
    let checkout = settings
        .checkout
        .as_ref()
        .map(|checkout| &checkout.reference);
    let reference = checkout.or(inputs.source.spec.reference.as_ref());
    let given = |text: Option<&String>| text.cloned().filter(|text| !text.is_empty());
    let own_branch = match reference {
        Some(reference) => given(reference.branch.as_ref()),
        None => Some(DEFAULT_BRANCH.to_owned()),
    };
    let push = settings.push.clone().unwrap_or_default();
    let asked = given(push.branch.as_ref());
    let switches = asked.is_some() && asked != own_branch;
    // Upstream takes no branch from a GitRepository that names none at all.
    let inferred = reference.and_then(|_| own_branch.clone());
    let Some(branch) = asked.or(inferred) else {
        let words = "failed configuring source manager: push spec not provided, and cannot be inferred from .spec.git.checkout.ref or GitRepository .spec.ref";
        return Err(Failure::retry("SourceManagerFailed", words));
    };
    if object.spec.update.is_none() {
        return Err(Failure::stall(
            "InvalidUpdateStrategy",
            "no update strategy",
        ));
    }
    let (force, continues) = inputs.switches;
    if inputs.forge.is_some() && !switches {
        let words = "a pull request needs a branch of its own: set spec.git.push.branch to another one than is checked out";
        return Err(Failure::stall("InvalidPullRequest", words));
    }
    let refspec = given(push.refspec.as_ref());
    let whole = switches || refspec.is_some() || is_news(object, &inputs.chosen);
    let status = object.status.clone().unwrap_or_default();
    Ok(Plan {
        now,
        url: net_http::without_credentials(&inputs.source.spec.url),
        chosen: inputs.chosen,
        access: inputs.access,
        wanted: wanted(reference),
        push: PushPlan {
            branch,
            refspec,
            force: switches && force,
            options: push.options.into_iter().collect(),
        },
        switches,
        continues,
        known: status.observed_source_revision.filter(|_| !whole),
        key: inputs.key,
        timeout: inputs.timeout,
        forge: inputs.forge,
    })
}

/// Whether the files have to be looked at whatever the server says.
fn is_news(object: &ImageUpdateAutomation, chosen: &Chosen) -> bool {
    let status = object.status.clone().unwrap_or_default();
    let observed: std::collections::BTreeMap<String, ImageReference> =
        status.observed_policies.into_iter().collect();
    observed != *chosen
        || status.observed_generation != object.metadata.generation
        || !conditions::is_true(object.conditions(), conditions::READY)
}

fn wanted(reference: Option<&GitReference>) -> Wanted {
    let Some(reference) = reference else {
        return Wanted {
            branch: Some(DEFAULT_BRANCH.to_owned()),
            ..Wanted::default()
        };
    };
    Wanted {
        commit: reference.commit.clone(),
        name: reference.name.clone(),
        tag: reference.tag.clone(),
        semver: reference.semver.clone(),
        branch: reference.branch.clone(),
    }
}

#[cfg(test)]
mod tests {
    use api::image::{ImageUpdateAutomationSpec, ImageUpdateAutomationStatus};
    use serde_json::json;

    use super::*;

    fn chosen(pairs: &[(&str, &str)]) -> Chosen {
        let image = |tag: &str| ImageReference {
            name: "app".into(),
            tag: tag.into(),
            digest: None,
        };
        let each = pairs
            .iter()
            .map(|(name, tag)| ((*name).to_owned(), image(tag)));
        each.collect()
    }

    /// covers: IA-130
    #[test]
    fn files_are_looked_at_again_when_any_policy_differs() {
        let mut object = ImageUpdateAutomation::new("auto", ImageUpdateAutomationSpec::default());
        object.metadata.generation = Some(1);
        let ready = json!({ "type": "Ready", "status": "True", "reason": "Succeeded",
            "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" });
        let ready = serde_json::from_value(ready).unwrap();
        object.status = Some(ImageUpdateAutomationStatus {
            observed_policies: chosen(&[("a", "1"), ("b", "1")]).into_iter().collect(),
            observed_generation: Some(1),
            conditions: vec![ready],
            ..ImageUpdateAutomationStatus::default()
        });
        assert!(!is_news(&object, &chosen(&[("a", "1"), ("b", "1")])));
        for now in [
            chosen(&[("a", "2"), ("b", "1")]),
            chosen(&[("c", "1"), ("b", "1")]),
            chosen(&[("a", "1"), ("b", "1"), ("c", "1")]),
            chosen(&[("a", "1")]),
        ] {
            assert!(is_news(&object, &now), "{now:?}");
        }
    }
}
