//! The feature gates of this controller.

use anyhow::bail;
use runtime::features::{Features, Gate};

use crate::Args;

/// Objects name the ServiceAccount whose cloud identity they use.
pub(crate) const WORKLOAD_IDENTITY: &str = "ObjectLevelWorkloadIdentity";

const GATES: &[Gate] = &[
    Gate {
        name: "CacheSecretsAndConfigMaps",
        default: false,
    },
    Gate {
        name: WORKLOAD_IDENTITY,
        default: false,
    },
];

/// Gates of earlier versions that old manifests still name.
const RETIRED: &[&str] = &["OptimizedGitClones"];

/// Reads the gates and checks the flags that depend on them.
///
/// # Errors
/// An unknown gate, or a flag without its gate.
pub(crate) fn parse(text: &str, args: &Args) -> anyhow::Result<Features> {
    let features = Features::parse(text, GATES, RETIRED)?;
    if !args.default_service_account.is_empty() && !features.enabled(WORKLOAD_IDENTITY) {
        bail!(
            "cannot set default service accounts when the feature gate {WORKLOAD_IDENTITY} is not enabled"
        );
    }
    Ok(features)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn check(flags: &[&str]) -> Result<(), String> {
        let args = Args::try_parse_from([&["x"], flags].concat()).unwrap();
        let gates = args.shared.gates.feature_gates.clone();
        parse(&gates, &args)
            .map(|_| ())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn unknown_gates_end_the_start_and_retired_ones_do_not() {
        check(&["--feature-gates=OptimizedGitClones=true"]).unwrap();
        assert_eq!(
            check(&["--feature-gates=Nope=true"]).unwrap_err(),
            "feature-gate 'Nope' not supported"
        );
    }

    #[test]
    fn default_service_account_needs_its_gate() {
        let account = "--default-service-account=sa";
        assert_eq!(
            check(&[account]).unwrap_err(),
            "cannot set default service accounts when the feature gate ObjectLevelWorkloadIdentity is not enabled"
        );
        check(&[account, "--feature-gates=ObjectLevelWorkloadIdentity=true"]).unwrap();
    }
}
