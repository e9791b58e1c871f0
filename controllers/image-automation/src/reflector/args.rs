//! The image-reflector-controller's flags.
//!
//! Source: image-reflector-controller v1.2 `main.go`.

use std::path::PathBuf;

use clap::{ArgAction, Parser};
use runtime::args::Shared;

/// Lists the tags of images and chooses the newest.
#[derive(Clone, Debug, Parser)]
#[command(name = "image-reflector-controller", version, about)]
pub struct Args {
    /// The flags that all controllers share.
    #[command(flatten)]
    pub shared: Shared,
    /// The directory that tags are stored in.
    #[arg(long, default_value = "/data", value_name = "DIR")]
    pub storage_path: PathBuf,
    /// From how many bytes on a list of tags is stored packed.
    #[arg(long, default_value_t = 64 << 10, value_name = "BYTES")]
    pub storage_compression_threshold: usize,
    /// Every how many minutes tags of objects that are gone are removed; 0: never.
    #[arg(long, default_value_t = 10, value_name = "MINUTES")]
    pub gc_interval: u16,
    /// Refuse references to ImageRepositories in other namespaces.
    #[arg(long, default_value_t = false, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = ArgAction::Set, value_name = "BOOL")]
    pub no_cross_namespace_refs: bool,
    /// The service account of cloud identities where an object names none.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub default_service_account: String,
    #[command(flatten)]
    retired: Retired,
}

/// Flags of earlier versions: accepted, so that an old manifest does not keep the process from starting.
#[derive(Clone, Debug, clap::Args)]
struct Retired {
    /// Has no effect any more.
    #[arg(long, value_name = "BYTES")]
    storage_value_log_file_size: Option<i64>,
    /// Has no effect any more: set spec.provider.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          action = ArgAction::Set, value_name = "BOOL", hide = true)]
    aws_autologin_for_ecr: Option<bool>,
    /// Has no effect any more: set spec.provider.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          action = ArgAction::Set, value_name = "BOOL", hide = true)]
    azure_autologin_for_acr: Option<bool>,
    /// Has no effect any more: set spec.provider.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          action = ArgAction::Set, value_name = "BOOL", hide = true)]
    gcp_autologin_for_gcr: Option<bool>,
}

impl Args {
    /// Says which given flags have no effect.
    pub(super) fn warn_of_retired(&self) {
        let retired = &self.retired;
        let flags = [
            (
                "storage-value-log-file-size",
                retired.storage_value_log_file_size.is_some(),
            ),
            (
                "aws-autologin-for-ecr",
                retired.aws_autologin_for_ecr.is_some(),
            ),
            (
                "azure-autologin-for-acr",
                retired.azure_autologin_for_acr.is_some(),
            ),
            (
                "gcp-autologin-for-gcr",
                retired.gcp_autologin_for_gcr.is_some(),
            ),
        ];
        for (flag, _) in flags.iter().filter(|(_, given)| *given) {
            tracing::warn!(flag, "the flag has no effect any more");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_the_standard_deployment_are_accepted() {
        let args = Args::try_parse_from([
            "image-reflector-controller",
            "--events-addr=http://notification-controller.flux-system.svc.cluster.local./",
            "--watch-all-namespaces=true",
            "--log-level=info",
            "--log-encoding=json",
            "--enable-leader-election",
            "--storage-value-log-file-size=1048576",
            "--aws-autologin-for-ecr",
        ])
        .unwrap();
        assert_eq!((args.gc_interval, args.shared.pace.concurrent), (10, 4));
        assert_eq!(args.retired.aws_autologin_for_ecr, Some(true));
    }
}
