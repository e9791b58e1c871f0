//! The notification-controller's flags.
//!
//! Source: notification-controller v1.9.3 `main.go`.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use runtime::args::{Shared, duration};

/// Sends events to services and listens for webhooks.
#[derive(Clone, Debug, Parser)]
#[command(name = "notification-controller", version, about)]
#[command(mut_arg("events_addr", |arg| arg.default_value(":9090").value_name("ADDR")
    .help("The address that events are taken at")))]
pub struct Args {
    /// What all controllers share. Here `--events-addr` is an address to listen on.
    #[command(flatten)]
    pub shared: Shared,
    /// The address that webhooks are taken at.
    #[arg(
        long = "receiverAddr",
        default_value = ":9292",
        env = "RECEIVER_ADDR",
        value_name = "ADDR"
    )]
    pub receiver_addr: String,
    /// How long an event that happens again is not sent again.
    #[arg(long, default_value = "5m", value_parser = duration, value_name = "DURATION")]
    pub rate_limit_interval: Duration,
    /// Name the whole path of requests in metrics; webhook paths are secrets.
    #[arg(long, default_value_t = false, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    pub export_http_path_metrics: bool,
    /// Refuse references to objects in other namespaces.
    #[arg(long, default_value_t = false, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    pub no_cross_namespace_refs: bool,
    /// The service account whose cloud identity is used where a Provider names none.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub default_service_account: String,
    /// The folder of notifications that wait to be sent.
    #[arg(
        long,
        default_value = "/tmp/notification-controller-spool",
        value_name = "DIR"
    )]
    pub spool_path: PathBuf,
    /// How many bytes of notifications wait at most; beyond that the oldest are dropped.
    #[arg(long, default_value_t = 64 << 20, value_name = "BYTES")]
    pub spool_max_bytes: u64,
    /// How long a notification is tried before it is given up.
    #[arg(long, default_value = "10m", value_parser = duration, value_name = "DURATION")]
    pub delivery_patience: Duration,
    /// How many notifications are sent to one Provider at once.
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub provider_concurrency: usize,
}

impl Args {
    /// Returns the shared flags as the runtime reads them: this controller's own events go to the
    /// API server only, as the address of events is its own.
    #[must_use]
    pub fn for_runtime(&self) -> Shared {
        let mut shared = self.shared.clone();
        shared.addresses.events_addr = String::new();
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_the_standard_deployment_are_accepted() {
        let args = Args::try_parse_from([
            "notification-controller",
            "--watch-all-namespaces",
            "--log-level=info",
            "--log-encoding=json",
            "--enable-leader-election",
        ])
        .unwrap();
        assert_eq!(args.shared.addresses.events_addr, ":9090");
        assert_eq!(args.receiver_addr, ":9292");
        assert_eq!(args.rate_limit_interval, Duration::from_mins(5));
        assert_eq!(args.for_runtime().addresses.events_addr, "");
    }

    #[test]
    fn flags_of_upstream_are_accepted() {
        let args = Args::try_parse_from([
            "notification-controller",
            "--events-addr=127.0.0.1:9090",
            "--receiverAddr=127.0.0.1:9292",
            "--rate-limit-interval=1s",
            "--export-http-path-metrics=true",
            "--no-cross-namespace-refs=true",
            "--default-service-account=x",
            "--token-cache-max-size=0",
            "--token-cache-max-duration=30m",
            "--feature-gates=CacheSecretsAndConfigMaps=true",
            "--concurrent=8",
            "--kube-api-qps=10",
            "--kube-api-burst=20",
            "--min-retry-delay=1s",
            "--max-retry-delay=1m",
        ])
        .unwrap();
        assert_eq!(args.shared.addresses.events_addr, "127.0.0.1:9090");
        assert!(args.no_cross_namespace_refs);
    }
}
