//! The image-automation-controller's flags.
//!
//! Source: image-automation-controller v1.2 `main.go`.

use clap::{ArgAction, Parser};
use runtime::args::Shared;

/// Writes what image policies choose to Git.
#[derive(Clone, Debug, Parser)]
#[command(name = "image-automation-controller", version, about)]
pub struct Args {
    /// The flags that all controllers share.
    #[command(flatten)]
    pub shared: Shared,
    /// Refuse references to GitRepositories in other namespaces.
    #[arg(long, default_value_t = false, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = ArgAction::Set, value_name = "BOOL")]
    pub no_cross_namespace_refs: bool,
    /// The service account of cloud identities where a GitRepository names none.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub default_service_account: String,
    /// The key exchange algorithms of SSH, joined by commas; empty: the usual ones.
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    pub ssh_kex_algos: Vec<String>,
    /// The host key algorithms of SSH, joined by commas; empty: the usual ones.
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    pub ssh_hostkey_algos: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_the_standard_deployment_are_accepted() {
        let args = Args::try_parse_from([
            "image-automation-controller",
            "--events-addr=http://notification-controller.flux-system.svc.cluster.local./",
            "--watch-all-namespaces=true",
            "--log-level=info",
            "--log-encoding=json",
            "--enable-leader-election",
            "--ssh-kex-algos=curve25519-sha256",
            "--feature-gates=GitForcePushBranch=false",
        ])
        .unwrap();
        assert_eq!(args.ssh_kex_algos, ["curve25519-sha256"]);
    }
}
