//! Why a chart was not built, and what each reason means.

use runtime::Failure;

use super::BUILD_FAILED;
use crate::conditions::FETCH_FAILED;
use crate::failure::{AUTH_FAILED, failed};
use crate::verify::unverified;

/// Why a chart was not built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The chart or its version does not exist.
    Reference,
    /// It cannot be downloaded.
    Pull,
    /// Its version cannot take metadata.
    Metadata,
    /// Values files cannot be merged.
    Values,
    /// Subcharts are missing.
    Dependency,
    /// It cannot be written.
    Package,
    /// Its signature does not hold.
    Verification,
}

impl Reason {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Reference => ("InvalidChartReference", "invalid chart reference"),
            Self::Pull => ("ChartPullError", "chart pull error"),
            Self::Metadata => ("MetadataPatchError", "chart metadata patch error"),
            Self::Values => ("ValuesFilesError", "values files merge error"),
            Self::Dependency => ("DependencyBuildError", "dependency build error"),
            Self::Package => ("ChartPackageError", "chart package error"),
            Self::Verification => ("ChartVerificationError", "chart verification error"),
        }
    }

    /// Whether only a change of the object can help.
    fn is_lasting(self) -> bool {
        matches!(self, Self::Reference | Self::Metadata | Self::Values)
    }

    fn condition(self) -> &'static str {
        match self {
            Self::Reference | Self::Pull => FETCH_FAILED,
            _ => BUILD_FAILED,
        }
    }
}

/// Returns the failure of a build.
pub(super) fn build(reason: Reason, cause: impl std::fmt::Display) -> Failure {
    let (name, summary) = reason.words();
    let message = format!("{summary}: {cause}");
    let condition = reason.condition();
    // The last word counts: what failed before did not fail this time.
    let other = if condition == FETCH_FAILED {
        BUILD_FAILED
    } else {
        FETCH_FAILED
    };
    let change = failed(condition, name, message.clone()).remove(other);
    let change = match reason {
        Reason::Verification => change.and(unverified(&message)),
        _ => change,
    };
    let failure = if reason.is_lasting() {
        Failure::stall(name, message)
    } else {
        Failure::retry(name, message)
    };
    failure.with(change)
}

/// Returns a failure to log in.
pub(super) fn login(cause: &str) -> Failure {
    crate::failure::fetch(
        AUTH_FAILED,
        format!("failed to authenticate with the Helm repository: {cause}"),
    )
}

#[cfg(test)]
mod tests {
    use runtime::Class;

    use super::*;

    #[test]
    fn what_only_the_object_can_mend_stalls() {
        let reference = build(Reason::Reference, "no x");
        assert_eq!(reference.class, Class::Stall);
        assert_eq!(reference.message, "invalid chart reference: no x");
        let pull = build(Reason::Pull, "no x");
        assert_eq!(
            (pull.class, pull.reason.as_str()),
            (Class::Retry, "ChartPullError")
        );
    }
}
