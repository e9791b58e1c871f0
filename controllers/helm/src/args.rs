//! The helm-controller's flags.
//!
//! Source: helm-controller v1.6.3 `main.go`.

use std::time::Duration;

use clap::{ArgAction, Parser, ValueEnum};
use runtime::args::{Shared, duration};

/// How snapshots of releases are hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DigestAlgorithm {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// BLAKE3.
    Blake3,
}

/// Installs and upgrades Helm charts.
#[derive(Clone, Debug, Parser)]
#[command(name = "helm-controller", version, about)]
pub struct Args {
    /// What all controllers share.
    #[command(flatten)]
    pub shared: Shared,
    /// How often the download of a chart is retried.
    #[arg(long, default_value_t = 9, value_name = "N")]
    pub http_retry: u32,
    /// How long one try to download a chart may take.
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "DURATION")]
    pub http_timeout: Duration,
    /// How long runs may go on after the process was told to stop.
    #[arg(long, default_value = "600s", value_parser = duration, value_name = "DURATION")]
    pub graceful_shutdown_timeout: Duration,
    /// The service account to impersonate where a HelmRelease names none.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub default_service_account: String,
    /// The service account for workload identity where a kubeconfig names none.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub default_kubeconfig_service_account: String,
    /// Refuse references to sources in other namespaces.
    #[arg(long, default_value_t = false, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = ArgAction::Set, value_name = "BOOL")]
    pub no_cross_namespace_refs: bool,
    /// Let kubeconfigs in Secrets run programs to log in.
    #[arg(long, default_value_t = false, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = ArgAction::Set, value_name = "BOOL")]
    pub insecure_kubeconfig_exec: bool,
    /// Let kubeconfigs in Secrets trust any server certificate.
    #[arg(long, default_value_t = false, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = ArgAction::Set, value_name = "BOOL")]
    pub insecure_kubeconfig_tls: bool,
    /// How snapshots of releases are hashed.
    #[arg(long, default_value = "sha256", value_enum, value_name = "ALGORITHM")]
    pub snapshot_digest_algo: DigestAlgorithm,
    /// A field manager whose fields are taken over; may be given several times.
    #[arg(long = "override-manager", value_name = "NAME")]
    pub override_managers: Vec<String>,
    /// The share of the memory limit from which on the process ends in good order; needs the gate OOMWatch.
    #[arg(long, default_value_t = 95, value_parser = clap::value_parser!(u8).range(1..=100), value_name = "PERCENT")]
    pub oom_watch_memory_threshold: u8,
    /// How often the memory in use is looked at.
    #[arg(long, default_value = "500ms", value_parser = watch_interval, value_name = "DURATION")]
    pub oom_watch_interval: Duration,
    /// The file with the memory limit; empty: that of the control group.
    #[arg(long, default_value = "", value_name = "PATH")]
    pub oom_watch_max_memory_path: String,
    /// The file with the memory in use; empty: that of the control group.
    #[arg(long, default_value = "", value_name = "PATH")]
    pub oom_watch_current_memory_path: String,
}

const LEAST_WATCH_INTERVAL: Duration = Duration::from_millis(50);

fn watch_interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if interval < LEAST_WATCH_INTERVAL {
        return Err("interval must be at least 50ms".to_owned());
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_the_standard_deployment_are_accepted() {
        let args = Args::try_parse_from([
            "helm-controller",
            "--events-addr=http://notification-controller.flux-system.svc.cluster.local./",
            "--watch-all-namespaces=true",
            "--log-level=info",
            "--log-encoding=json",
            "--enable-leader-election",
            "--concurrent=20",
            "--oom-watch-memory-threshold=90",
            "--snapshot-digest-algo=blake3",
        ])
        .unwrap();
        assert_eq!(args.shared.pace.concurrent, 20);
        assert_eq!(args.snapshot_digest_algo, DigestAlgorithm::Blake3);
    }

    #[test]
    fn bounds_of_the_memory_watch_are_checked() {
        for flag in [
            "--oom-watch-memory-threshold=0",
            "--oom-watch-memory-threshold=101",
            "--oom-watch-interval=49ms",
        ] {
            assert!(Args::try_parse_from(["x", flag]).is_err(), "{flag}");
        }
        assert!(Args::try_parse_from(["x", "--oom-watch-interval=50ms"]).is_ok());
    }
}
