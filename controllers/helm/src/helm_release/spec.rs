//! What a HelmRelease asks for, with the defaults filled in. Pure.

use std::time::Duration;

use api::helm::{
    ChartNameChangeStrategy, CrdPolicy, HelmRelease, HelmReleaseStatus, ReleaseAction, Remediation,
    ServerSideApply, StrategyName,
};
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use crate::release::{MAX_NAME, crds::Policy};

const DEFAULT_TIMEOUT: Duration = Duration::from_mins(5);
const DEFAULT_RETRY: Duration = Duration::from_mins(5);
const DEFAULT_HISTORY: i64 = 5;

/// Returns the release's name, short enough for Helm.
pub(super) fn release_name(object: &HelmRelease) -> String {
    let spec = &object.spec;
    let named = spec.release_name.clone().filter(|n| !n.is_empty());
    let target = spec.target_namespace.as_deref().filter(|n| !n.is_empty());
    let name = object.name_any();
    shortened(&named.unwrap_or_else(|| match target {
        Some(target) => format!("{target}-{name}"),
        None => name,
    }))
}

/// Cuts a name that is too long and adds a digest of it.
pub(super) fn shortened(name: &str) -> String {
    const KEPT: usize = 40;
    if name.len() <= MAX_NAME {
        return name.to_owned();
    }
    let sum = hex::encode(Sha256::digest(name.as_bytes()));
    let kept: String = name.chars().take(KEPT).collect();
    format!("{kept}-{}", &sum[..MAX_NAME - KEPT - 1])
}

/// Returns the namespace to release to.
pub(super) fn release_namespace(object: &HelmRelease) -> String {
    let target = &object.spec.target_namespace;
    let target = target.clone().filter(|n| !n.is_empty());
    target.unwrap_or_else(|| object.namespace().unwrap_or_default())
}

/// Returns the namespace of the records.
pub(super) fn storage_namespace(object: &HelmRelease) -> String {
    let storage = &object.spec.storage_namespace;
    let storage = storage.clone().filter(|n| !n.is_empty());
    storage.unwrap_or_else(|| object.namespace().unwrap_or_default())
}

/// Returns how long an action may take.
pub(super) fn timeout(object: &HelmRelease, own: Option<api::meta::Duration>) -> Duration {
    let given = own.or(object.spec.timeout);
    given.map_or(DEFAULT_TIMEOUT, Into::into)
}

/// Returns how many records are kept; 0 keeps all.
pub(super) fn max_history(object: &HelmRelease) -> i64 {
    object.spec.max_history.unwrap_or(DEFAULT_HISTORY)
}

/// Whether tests are run.
pub(super) fn tests(object: &HelmRelease) -> bool {
    let test = object.spec.test.as_ref();
    test.and_then(|t| t.enable).unwrap_or(false)
}

/// Whether a failed test is no failure of the release.
pub(super) fn ignores_tests(object: &HelmRelease) -> bool {
    let test = object.spec.test.as_ref();
    test.and_then(|t| t.ignore_failures).unwrap_or(false)
}

/// What a user wants done about failures of the last kind of action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remedy {
    /// How often to try again; negative for ever.
    pub retries: i64,
    /// Failed tests are no failures.
    pub ignore_tests: bool,
    /// Also the last failure is undone.
    pub last: bool,
    /// Undone by uninstalling rather than by going back.
    pub uninstall: bool,
    /// How often it failed.
    pub failures: i64,
}

impl Remedy {
    /// Whether no try is left.
    pub(super) fn is_exhausted(&self) -> bool {
        self.retries >= 0 && self.failures > self.retries
    }
}

/// Returns what is done about failures of the action tried last; none before the first.
pub(super) fn remedy(object: &HelmRelease, status: &HelmReleaseStatus) -> Option<Remedy> {
    match status.last_attempted_release_action? {
        ReleaseAction::Install => Some(install_remedy(object, status)),
        ReleaseAction::Upgrade => Some(upgrade_remedy(object, status)),
    }
}

/// Returns what is done about failed installations.
pub(super) fn install_remedy(object: &HelmRelease, status: &HelmReleaseStatus) -> Remedy {
    let install = object.spec.install.as_ref();
    let given = install.and_then(|i| i.remediation.as_ref());
    let ignore = given.and_then(|g| g.ignore_test_failures);
    Remedy {
        retries: given.and_then(|g| g.retries).unwrap_or(0),
        ignore_tests: ignore.unwrap_or_else(|| ignores_tests(object)),
        last: given
            .and_then(|g| g.remediate_last_failure)
            .unwrap_or(false),
        uninstall: true,
        failures: status.install_failures.unwrap_or(0),
    }
}

/// Returns what is done about failed upgrades.
pub(super) fn upgrade_remedy(object: &HelmRelease, status: &HelmReleaseStatus) -> Remedy {
    let upgrade = object.spec.upgrade.as_ref();
    let given = upgrade.and_then(|i| i.remediation.as_ref());
    let retries = given.and_then(|g| g.retries).unwrap_or(0);
    let ignore = given.and_then(|g| g.ignore_test_failures);
    let last = given.and_then(|g| g.remediate_last_failure);
    Remedy {
        retries,
        ignore_tests: ignore.unwrap_or_else(|| ignores_tests(object)),
        last: last.unwrap_or(retries > 0),
        uninstall: given.and_then(|g| g.strategy) == Some(Remediation::Uninstall),
        failures: status.upgrade_failures.unwrap_or(0),
    }
}

/// Returns how soon the action tried last is tried again where it is not undone; none where it is.
pub(super) fn retry(
    object: &HelmRelease,
    status: &HelmReleaseStatus,
    by_default: bool,
) -> Option<Duration> {
    let (name, interval) = match status.last_attempted_release_action? {
        ReleaseAction::Install => {
            let install = object.spec.install.as_ref();
            let given = install.and_then(|i| i.strategy.as_ref());
            (given.map(|s| s.name), given.and_then(|s| s.retry_interval))
        }
        ReleaseAction::Upgrade => {
            let upgrade = object.spec.upgrade.as_ref();
            let given = upgrade.and_then(|u| u.strategy.as_ref());
            (given.map(|s| s.name), given.and_then(|s| s.retry_interval))
        }
    };
    let retries = name.map_or(by_default, |name| name == StrategyName::RetryOnFailure);
    retries.then(|| interval.map_or(DEFAULT_RETRY, Into::into))
}

/// Reads a policy for definitions.
pub(super) fn crd_policy(policy: Option<CrdPolicy>) -> Policy {
    match policy.unwrap_or_default() {
        CrdPolicy::Skip => Policy::Skip,
        CrdPolicy::Create => Policy::Create,
        CrdPolicy::CreateReplace => Policy::Replace,
    }
}

/// Reads whether objects are applied on the server; none: as before.
pub(super) fn server_side(choice: Option<ServerSideApply>) -> Option<bool> {
    match choice.unwrap_or_default() {
        ServerSideApply::Enabled => Some(true),
        ServerSideApply::Disabled => Some(false),
        ServerSideApply::Auto => None,
    }
}

/// Whether a chart of another name makes a new release.
pub(super) fn reinstalls(object: &HelmRelease) -> bool {
    let upgrade = object.spec.upgrade.as_ref();
    let strategy = upgrade.and_then(|u| u.chart_name_change_strategy);
    strategy.unwrap_or_default() == ChartNameChangeStrategy::Reinstall
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: HC-170
    #[test]
    fn long_names_end_with_a_digest() {
        let long = "release-name-with-very-long-name-which-is-longer-than-53-characters";
        assert_eq!(shortened(long).len(), 53);
        assert_eq!(
            shortened("a-name-that-is-much-longer-than-fifty-three-characters-allow"),
            "a-name-that-is-much-longer-than-fifty-th-ac986c492e8d"
        );
        assert_eq!(shortened("short"), "short");
    }

    #[test]
    fn name_has_the_target_namespace_before_it() {
        let mut object = HelmRelease::new("app", api::helm::HelmReleaseSpec::default());
        object.metadata.namespace = Some("ns".into());
        assert_eq!(release_name(&object), "app");
        object.spec.target_namespace = Some("there".into());
        assert_eq!(release_name(&object), "there-app");
        assert_eq!(release_namespace(&object), "there");
        object.spec.release_name = Some("own".into());
        assert_eq!(release_name(&object), "own");
        assert_eq!(storage_namespace(&object), "ns");
    }

    /// covers: HC-068
    #[test]
    fn strategies_that_do_not_exist_are_refused() {
        let read = |spec: &str| {
            let text = format!("{{\"interval\":\"1m\",{spec}}}");
            serde_json::from_str::<api::helm::HelmReleaseSpec>(&text)
        };
        assert!(read(r#""upgrade":{"remediation":{"strategy":"rollback"}}"#).is_ok());
        for spec in [
            r#""upgrade":{"remediation":{"strategy":"pray"}}"#,
            r#""upgrade":{"strategy":{"name":"Pray"}}"#,
            r#""install":{"crds":"Pray"}"#,
        ] {
            assert!(read(spec).is_err(), "{spec}");
        }
    }

    #[test]
    fn zero_retries_are_one_try() {
        let remedy = |retries, failures| Remedy {
            retries,
            failures,
            ignore_tests: false,
            last: false,
            uninstall: true,
        };
        assert!(!remedy(0, 0).is_exhausted() && remedy(0, 1).is_exhausted());
        assert!(!remedy(1, 1).is_exhausted() && remedy(1, 2).is_exhausted());
        assert!(!remedy(-1, 99).is_exhausted());
    }
}
