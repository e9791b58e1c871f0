//! The flags that upstream's controllers share, in groups that a controller flattens into its own.
//!
//! Source: <https://github.com/fluxcd/pkg> `runtime/{client,leaderelection,logger,controller,jitter,features,acl}`
//! options, v1.9 line of the controllers.

use std::time::Duration;

use clap::{Args, Command, CommandFactory, FromArgMatches, ValueEnum};

/// Reads a Go duration (`1m30s`).
///
/// # Errors
/// Text that is no Go duration.
pub fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<api::meta::Duration>()
        .map(Into::into)
        .map_err(|error| error.to_string())
}

/// Reads the command line and the environment of this process. A variable that is empty counts as
/// absent, as upstream has it; a flag beats its variable. Ends the process where they cannot be read.
#[must_use]
pub fn parse<T: CommandFactory + FromArgMatches>() -> T {
    let command = without_empty(T::command(), |name| {
        std::env::var_os(name).is_some_and(|value| value.is_empty())
    });
    T::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

fn without_empty(command: Command, is_empty: impl Fn(&std::ffi::OsStr) -> bool) -> Command {
    command.mut_args(|arg| {
        if arg.get_env().is_some_and(&is_empty) {
            arg.env(None::<&'static str>)
        } else {
            arg
        }
    })
}

/// Addresses of the servers every controller has, and where events go.
#[derive(Args, Clone, Debug)]
pub struct Addresses {
    /// The address that metrics are served on.
    #[arg(
        long,
        default_value = ":8080",
        env = "METRICS_ADDR",
        value_name = "ADDR"
    )]
    pub metrics_addr: String,
    /// The address of the events receiver; empty: events go to the API server only.
    #[arg(long, default_value = "", env = "EVENTS_ADDR", value_name = "URL")]
    pub events_addr: String,
    /// The address that health probes are served on.
    #[arg(
        long,
        default_value = ":9440",
        env = "HEALTH_ADDR",
        value_name = "ADDR"
    )]
    pub health_addr: String,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Encoding {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Console,
}

/// What is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Everything.
    Trace,
    /// Decisions.
    Debug,
    /// Changes of state.
    Info,
    /// Failures.
    Error,
}

/// Logging.
#[derive(Args, Clone, Debug)]
pub struct Logging {
    /// Log encoding format.
    #[arg(long, default_value = "json", value_enum)]
    pub log_encoding: Encoding,
    /// Log verbosity level.
    #[arg(long, default_value = "info", value_enum)]
    pub log_level: Level,
}

/// How fast the API server may be called.
#[derive(Args, Clone, Debug)]
pub struct KubeApi {
    /// The maximum queries per second to the API server, where it has no fairness of its own.
    #[arg(long, default_value_t = 50.0, value_name = "QPS")]
    pub kube_api_qps: f32,
    /// The maximum burst of queries to the API server, where it has no fairness of its own.
    #[arg(long, default_value_t = 300, value_name = "N")]
    pub kube_api_burst: u32,
}

/// Leader election.
#[derive(Args, Clone, Debug)]
pub struct LeaderElection {
    /// Elect a leader among replicas; only the leader reconciles.
    #[arg(long, default_value_t = false, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    pub enable_leader_election: bool,
    /// Give the lease up at shutdown instead of letting it expire.
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    pub leader_election_release_on_cancel: bool,
    /// How long others wait before they take a lease that is not renewed.
    #[arg(long, default_value = "35s", value_parser = duration, value_name = "DURATION")]
    pub leader_election_lease_duration: Duration,
    /// How long the leader tries to renew before it gives up.
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "DURATION")]
    pub leader_election_renew_deadline: Duration,
    /// How long to wait between two tries.
    #[arg(long, default_value = "5s", value_parser = duration, value_name = "DURATION")]
    pub leader_election_retry_period: Duration,
}

/// Which objects are watched.
#[derive(Args, Clone, Debug)]
pub struct Watching {
    /// Watch all namespaces; else only the one the controller runs in.
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    pub watch_all_namespaces: bool,
    /// Watch only objects whose labels match (sharding).
    #[arg(long, default_value = "", value_name = "SELECTOR")]
    pub watch_label_selector: String,
    /// Watch only Secrets and ConfigMaps whose labels match.
    #[arg(
        long,
        default_value = "reconcile.fluxcd.io/watch=Enabled",
        value_name = "SELECTOR"
    )]
    pub watch_configs_label_selector: String,
}

/// How many runs at once, and when they run again.
#[derive(Args, Clone, Debug)]
pub struct Pace {
    /// The number of concurrent reconciles per kind.
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub concurrent: usize,
    /// How long to wait before looking at a missing dependency again.
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "DURATION")]
    pub requeue_dependency: Duration,
    /// The shortest delay after a failure.
    #[arg(long, default_value = "750ms", value_parser = duration, value_name = "DURATION")]
    pub min_retry_delay: Duration,
    /// The longest delay after repeated failures.
    #[arg(long, default_value = "15m", value_parser = duration, value_name = "DURATION")]
    pub max_retry_delay: Duration,
    /// How far intervals are spread, in per cent.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..100), value_name = "PERCENT")]
    pub interval_jitter_percentage: u8,
}

/// Feature gates.
#[derive(Args, Clone, Debug)]
pub struct Gates {
    /// Feature gates, as `Name=true` pairs joined by commas.
    #[arg(long, default_value = "", value_name = "NAME=BOOL,...")]
    pub feature_gates: String,
}

/// Objects at older stored versions.
#[derive(Args, Clone, Debug)]
pub struct Migration {
    /// Write objects that are stored at older versions again at start, as `flux migrate` does.
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    pub migrate_stored_versions: bool,
}

/// The token cache's limits.
#[derive(Args, Clone, Debug)]
pub struct TokenCache {
    /// The most tokens in the cache; 0 switches it off.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub token_cache_max_size: usize,
    /// The longest time that a token stays in the cache.
    #[arg(long, default_value = "1h", value_parser = duration, value_name = "DURATION")]
    pub token_cache_max_duration: Duration,
}

/// All groups that every controller has.
#[derive(Args, Clone, Debug)]
pub struct Shared {
    /// Addresses.
    #[command(flatten)]
    pub addresses: Addresses,
    /// Logging.
    #[command(flatten)]
    pub logging: Logging,
    /// Calls to the API server.
    #[command(flatten)]
    pub kube_api: KubeApi,
    /// Leader election.
    #[command(flatten)]
    pub leader_election: LeaderElection,
    /// Watched objects.
    #[command(flatten)]
    pub watching: Watching,
    /// Concurrency and delays.
    #[command(flatten)]
    pub pace: Pace,
    /// Feature gates.
    #[command(flatten)]
    pub gates: Gates,
    /// Older stored versions.
    #[command(flatten)]
    pub migration: Migration,
    /// Token cache.
    #[command(flatten)]
    pub token_cache: TokenCache,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    struct Cli {
        #[command(flatten)]
        shared: Shared,
    }

    fn parse(args: &[&str]) -> Result<Shared, clap::Error> {
        Cli::try_parse_from(std::iter::once(&"x").chain(args)).map(|cli| cli.shared)
    }

    #[test]
    fn flags_of_the_standard_deployment_are_accepted() {
        let shared = parse(&[
            "--events-addr=http://notification-controller.flux-system.svc.cluster.local./",
            "--watch-all-namespaces=true",
            "--log-level=info",
            "--log-encoding=json",
            "--enable-leader-election",
        ])
        .unwrap();
        assert!(shared.leader_election.enable_leader_election);
        assert!(shared.watching.watch_all_namespaces);
    }

    #[test]
    fn booleans_read_as_pflag_reads_them() {
        let shared = parse(&[
            "--watch-all-namespaces=false",
            "--leader-election-release-on-cancel=false",
        ])
        .unwrap();
        assert!(!shared.watching.watch_all_namespaces);
        assert!(!shared.leader_election.leader_election_release_on_cancel);
    }

    #[test]
    fn jitter_of_a_hundred_per_cent_is_refused() {
        assert!(parse(&["--interval-jitter-percentage=100"]).is_err());
        assert!(parse(&["--interval-jitter-percentage=99"]).is_ok());
    }

    #[test]
    fn durations_are_gos() {
        let shared = parse(&["--requeue-dependency=1m30s"]).unwrap();
        assert_eq!(shared.pace.requeue_dependency, Duration::from_secs(90));
        assert!(parse(&["--requeue-dependency=90"]).is_err());
    }
}
