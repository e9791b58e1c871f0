//! Whether a scan is due. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use api::{Reconciled as _, image::ImageRepository};
use jiff::Timestamp;
use kube::ResourceExt;
use registry::{Access, Repository};
use runtime::{Next, conditions, drive::REQUESTED_AT};
use tokio::time::Instant;

use super::{canonical, exclusions, gather::Inputs, report::Outcome};

/// A scan.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The image.
    pub repository: Repository,
    /// How its registry is reached.
    pub access: Access,
    /// When it has to end.
    pub deadline: Instant,
    /// Why it is due.
    pub reason: Reason,
}

/// Why a scan is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There was none yet.
    First,
    /// A user asks for it.
    Requested,
    /// The image is another one.
    NewName,
    /// Other tags are left out.
    NewExclusions,
    /// The stored tags are gone.
    NoTags,
    /// The last one failed.
    Failed,
    /// It is time.
    Interval,
}

impl Reason {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::First => "first scan",
            Self::Requested => "reconcile requested",
            Self::NewName => "new image name",
            Self::NewExclusions => "updated exclusion list",
            Self::NoTags => "no tags in database",
            Self::Failed => "previous scan failed",
            Self::Interval => "triggered by interval",
        }
    }
}

pub(super) fn decide(
    object: &ImageRepository,
    inputs: Inputs,
    now: Timestamp,
) -> Next<Plan, Outcome> {
    match due(object, &canonical(&inputs.repository), inputs.stored, now) {
        Ok(reason) => Next::Last(Plan {
            repository: inputs.repository,
            access: inputs.access,
            deadline: inputs.deadline,
            reason,
        }),
        Err(next) => Next::Done(Outcome::NotDue {
            canonical: canonical(&inputs.repository),
            next,
        }),
    }
}

/// Returns why a scan is due, or else after how long the next one is.
fn due(
    object: &ImageRepository,
    name: &str,
    stored: Option<usize>,
    now: Timestamp,
) -> Result<Reason, Duration> {
    let status = object.status.clone().unwrap_or_default();
    let Some(last) = status.last_scan_result else {
        return Ok(Reason::First);
    };
    let handled = status.last_handled_reconcile_at.unwrap_or_default();
    let requested = object.annotations().get(REQUESTED_AT);
    if requested.is_some_and(|asked| *asked != handled) {
        return Ok(Reason::Requested);
    }
    if status.canonical_image_name.as_deref() != Some(name) {
        return Ok(Reason::NewName);
    }
    let set = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
    if set(&exclusions(object)) != set(&status.observed_exclusion_list) {
        return Ok(Reason::NewExclusions);
    }
    if stored.is_none() {
        return Ok(Reason::NoTags);
    }
    let ready = conditions::find(object.conditions(), conditions::READY);
    if ready.is_some_and(|ready| ready.status == "False") {
        return Ok(Reason::Failed);
    }
    let interval = Duration::from(object.spec.interval);
    let age = last
        .scan_time
        .as_ref()
        .map(|time| now.duration_since(time.0))
        .and_then(|age| Duration::try_from(age).ok())
        .unwrap_or_default();
    let left = interval.saturating_sub(age);
    if last.scan_time.is_none() || left < Duration::from_secs(1) {
        return Ok(Reason::Interval);
    }
    Err(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::image::{ImageRepositorySpec, ImageRepositoryStatus, ScanResult};
    use api::meta::Time;

    const NAME: &str = "ghcr.io/org/app";

    fn scanned(change: impl FnOnce(&mut ImageRepository)) -> ImageRepository {
        let spec = ImageRepositorySpec {
            image: NAME.into(),
            interval: "10m".parse().unwrap(),
            ..ImageRepositorySpec::default()
        };
        let mut object = ImageRepository::new("app", spec);
        object.status = Some(ImageRepositoryStatus {
            canonical_image_name: Some(NAME.into()),
            observed_exclusion_list: vec![super::super::DEFAULT_EXCLUSIONS.into()],
            last_scan_result: Some(ScanResult {
                scan_time: Some(Time(now() - jiff::SignedDuration::from_mins(4))),
                tag_count: 2,
                ..ScanResult::default()
            }),
            ..ImageRepositoryStatus::default()
        });
        change(&mut object);
        object
    }

    fn now() -> Timestamp {
        "2026-01-01T12:00:00Z".parse().unwrap()
    }

    fn status(object: &mut ImageRepository) -> &mut ImageRepositoryStatus {
        object.status.get_or_insert_default()
    }

    /// covers: IA-002, IA-003, IA-004, IA-005, IA-006, IA-007, IA-008, IA-010, IA-025, IA-062, IA-063
    #[test]
    fn scan_is_due_for_a_reason() {
        let asked = |object: &mut ImageRepository| {
            object
                .annotations_mut()
                .insert(REQUESTED_AT.into(), "2".into());
        };
        let check = |object: &ImageRepository, stored| due(object, NAME, stored, now());
        let plain = scanned(|_| {});
        assert_eq!(check(&plain, Some(2)), Err(Duration::from_mins(6)));
        assert_eq!(check(&plain, Some(0)), Err(Duration::from_mins(6)));
        assert_eq!(check(&plain, None), Ok(Reason::NoTags));
        let fresh = scanned(|o| o.status = None);
        assert_eq!(check(&fresh, None), Ok(Reason::First));
        assert_eq!(check(&scanned(asked), Some(2)), Ok(Reason::Requested));
        let handled = |value: &str| {
            scanned(|o| {
                asked(o);
                status(o).last_handled_reconcile_at = Some(value.into());
            })
        };
        assert_eq!(check(&handled("1"), Some(2)), Ok(Reason::Requested));
        assert_eq!(check(&handled("2"), Some(2)), Err(Duration::from_mins(6)));
        assert_eq!(
            due(&plain, "ghcr.io/org/other", Some(2), now()),
            Ok(Reason::NewName)
        );
        let lists = |spec: &[&str], seen: &[&str]| {
            let own = |list: &[&str]| list.iter().map(|&p| p.to_owned()).collect::<Vec<_>>();
            scanned(|o| {
                o.spec.exclusion_list = Some(own(spec));
                status(o).observed_exclusion_list = own(seen);
            })
        };
        assert_eq!(
            check(&lists(&["a", "b"], &["b", "c"]), Some(2)),
            Ok(Reason::NewExclusions)
        );
        assert!(check(&lists(&["a", "b"], &["b", "a"]), Some(2)).is_err());
        assert_eq!(
            check(&lists(&["a"], &["a", "b"]), Some(2)),
            Ok(Reason::NewExclusions)
        );
        let late = scanned(|o| o.spec.interval = "4m".parse().unwrap());
        assert_eq!(check(&late, Some(2)), Ok(Reason::Interval));
        let failed = scanned(|o| {
            let ready = serde_json::json!({ "type": "Ready", "status": "False", "reason": "x",
                "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" });
            status(o).conditions = vec![serde_json::from_value(ready).unwrap()];
        });
        assert_eq!(check(&failed, Some(2)), Ok(Reason::Failed));
    }
}
