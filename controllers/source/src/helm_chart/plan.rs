//! Decides whether the chart is published already.

use api::meta::Artifact;
use api::source::HelmChart;
use runtime::Next;

use super::act::Outcome;
use super::find::Found;
use super::gather::{Chart, Inputs};
use super::verify::Verified;
use crate::shelf::is_new_generation;

/// What is to be built and published.
#[derive(Debug)]
pub struct Plan {
    pub(super) found: Found,
    /// What is published until then.
    pub(super) published: Option<Artifact>,
    pub(super) source_revision: Option<String>,
}

/// Compares name and version with what is published. A new generation is built in any case: what goes into the chart
/// may differ without the version telling.
pub(super) fn plan(object: &HelmChart, inputs: Inputs) -> Next<Plan, Outcome> {
    let Inputs {
        chart,
        source_revision,
    } = inputs;
    let (found, artifact) = match chart {
        Chart::Same {
            artifact,
            reason,
            words,
        } => {
            return Next::Done(Outcome::Unchanged {
                artifact,
                reason,
                words,
                source_revision,
                verified: Verified::NotAsked,
            });
        }
        Chart::Found { found, published } => (*found, published),
    };
    let same = artifact
        .filter(|artifact| is_published(object, &found, artifact) && !is_new_generation(object));
    let Some(artifact) = same else {
        let published = object.status.as_ref();
        let published = published.and_then(|status| status.artifact.clone());
        return Next::Last(Plan {
            found,
            published,
            source_revision,
        });
    };
    let files = match &object.status {
        Some(status) if object.spec.ignore_missing_values_files == Some(true) => {
            status.observed_values_files.clone()
        }
        _ => found.values_files.clone(),
    };
    Next::Done(Outcome::Unchanged {
        artifact,
        reason: reason(found.packaged).to_owned(),
        words: summary(&found, found.packaged, &files),
        source_revision,
        verified: found.verified,
    })
}

/// Says whether an artifact is of this chart and version.
pub(super) fn is_published(object: &HelmChart, found: &Found, artifact: &Artifact) -> bool {
    let status = object.status.as_ref();
    let name = status.and_then(|status| status.observed_chart_name.as_deref());
    name == Some(found.name.as_str()) && artifact.revision == found.version
}

/// Returns the reason that speaks of a finished build.
pub(super) fn reason(packaged: bool) -> &'static str {
    if packaged {
        "ChartPackageSucceeded"
    } else {
        "ChartPullSucceeded"
    }
}

/// Says what was built.
pub(super) fn summary(found: &Found, packaged: bool, values_files: &[String]) -> String {
    let verb = if packaged { "packaged" } else { "pulled" };
    let merged = if values_files.is_empty() {
        String::new()
    } else {
        format!(" and merged values files [{}]", values_files.join(" "))
    };
    format!(
        "{verb} '{}' chart with version '{}'{merged}",
        found.name, found.version
    )
}
