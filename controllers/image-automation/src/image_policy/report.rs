//! What a run of an ImagePolicy says of itself. Pure.

use std::time::Duration;

use api::{
    Reconciled as _,
    image::{ImagePolicy, ImageReference},
};
use runtime::{Change, Report};

use crate::image_repository::note;

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// This is the newest.
    Chosen(ImageReference),
    /// There is nothing to choose from just now: what was chosen stands, and is looked at again after this time.
    Kept(Duration),
}

pub(super) fn succeeded(object: &ImagePolicy, outcome: &Outcome) -> Report {
    let chosen = match outcome {
        Outcome::Chosen(chosen) => chosen,
        Outcome::Kept(retry) => {
            return Report {
                requeue: Some(*retry),
                ..Report::default()
            };
        }
    };
    let status = object.status.clone().unwrap_or_default();
    let latest = status.latest();
    let previous = match latest {
        Some(latest) if latest != *chosen => Some(latest),
        _ => status.previous(),
    };
    let message = message(chosen, previous.as_ref());
    let change = Change::default()
        .set("latestRef", chosen)
        // Readers of v1beta1 know no other field.
        .set("latestImage", text(chosen));
    let change = match &previous {
        Some(previous) => change
            .set("observedPreviousRef", previous)
            .unset("observedPreviousImage"),
        None => change,
    };
    Report {
        change: change.condition("Ready", "True", "Succeeded", message.clone()),
        notes: vec![note(object.conditions(), message.clone(), message)],
        requeue: None,
    }
}

fn text(image: &ImageReference) -> String {
    match image.digest.as_deref().filter(|digest| !digest.is_empty()) {
        Some(digest) => format!("{}:{}@{digest}", image.name, image.tag),
        None => format!("{}:{}", image.name, image.tag),
    }
}

fn message(chosen: &ImageReference, previous: Option<&ImageReference>) -> String {
    let mut message = format!(
        "Latest image tag for {} resolved to {}",
        chosen.name, chosen.tag
    );
    if let Some(digest) = chosen.digest.as_deref().filter(|digest| !digest.is_empty()) {
        message.push_str(" with digest ");
        message.push_str(digest);
    }
    if let Some(previous) = previous.filter(|previous| *previous != chosen) {
        message.push_str(" (previously ");
        message.push_str(&text(previous));
        message.push(')');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::image::{ImagePolicySpec, ImagePolicyStatus};

    fn image(tag: &str, digest: Option<&str>) -> ImageReference {
        ImageReference {
            name: "ghcr.io/org/app".into(),
            tag: tag.into(),
            digest: digest.map(str::to_owned),
        }
    }

    fn after(latest: Option<ImageReference>, chosen: &ImageReference) -> Report {
        let mut object = ImagePolicy::new("app", ImagePolicySpec::default());
        object.status = Some(ImagePolicyStatus {
            latest_ref: latest,
            ..ImagePolicyStatus::default()
        });
        succeeded(&object, &Outcome::Chosen(chosen.clone()))
    }

    /// covers: IA-080, IA-086
    #[test]
    fn message_names_what_was_there_before() {
        let said = |latest, chosen: &ImageReference| after(latest, chosen).notes[0].message.clone();
        let new = image("1.1.0", None);
        let prefix = "Latest image tag for ghcr.io/org/app resolved to 1.1.0";
        assert_eq!(said(None, &new), prefix);
        assert_eq!(said(Some(new.clone()), &new), prefix);
        assert_eq!(
            said(Some(image("1.0.0", None)), &new),
            format!("{prefix} (previously ghcr.io/org/app:1.0.0)")
        );
        assert_eq!(
            said(
                Some(image("1.1.0", Some("sha256:a"))),
                &image("1.1.0", Some("sha256:b"))
            ),
            format!("{prefix} with digest sha256:b (previously ghcr.io/org/app:1.1.0@sha256:a)")
        );
        let report = after(Some(new.clone()), &image("1.1.0", Some("sha256:a")));
        let previous = report.change.status.get("observedPreviousRef").unwrap();
        assert_eq!(
            *previous,
            serde_json::json!({ "name": "ghcr.io/org/app", "tag": "1.1.0" })
        );
    }
}
