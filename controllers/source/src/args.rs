//! The flags of this controller.
//!
//! Source: fluxcd/source-controller 1.9 `main.go`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use runtime::args::{Shared, duration};

/// Turns sources into artifacts and serves them.
#[derive(Parser, Clone, Debug)]
#[command(name = "source-controller", version, mut_arg("concurrent", |arg| arg.default_value("2")))]
pub struct Args {
    /// The flags that all controllers share.
    #[command(flatten)]
    pub shared: Shared,
    /// The directory that artifacts are stored in.
    #[arg(
        long,
        default_value = "/data",
        env = "STORAGE_PATH",
        value_name = "DIR"
    )]
    pub storage_path: PathBuf,
    /// The address that artifacts are served on.
    #[arg(
        long,
        default_value = ":9090",
        env = "STORAGE_ADDRESS",
        value_name = "ADDR"
    )]
    pub storage_addr: String,
    /// The address that others reach the artifacts at; empty: derived from the one they are served on.
    #[arg(
        long,
        default_value = "",
        env = "STORAGE_ADV_ADDR",
        value_name = "ADDR"
    )]
    pub storage_adv_addr: String,
    /// How long artifacts that are no longer current are kept.
    #[arg(long, default_value = "1m", value_parser = duration, value_name = "DURATION")]
    pub artifact_retention_ttl: Duration,
    /// How many artifacts of an object are kept, the current one among them.
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub artifact_retention_records: usize,
    /// The algorithm of artifact digests: sha256, sha384, sha512, blake3 or sha1.
    #[arg(long, default_value = "sha256", value_name = "NAME")]
    pub artifact_digest_algo: String,
    /// The largest index of a Helm repository, in bytes.
    #[arg(long, default_value_t = 52_428_800, value_name = "BYTES")]
    pub helm_index_max_size: u64,
    /// The largest Helm chart, in bytes.
    #[arg(long, default_value_t = 10_485_760, value_name = "BYTES")]
    pub helm_chart_max_size: u64,
    /// The largest file of a Helm chart, in bytes.
    #[arg(long, default_value_t = 5_242_880, value_name = "BYTES")]
    pub helm_chart_file_max_size: u64,
    /// The most Helm indexes in the cache; 0 switches it off.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub helm_cache_max_size: usize,
    /// How long a Helm index stays in the cache.
    #[arg(long, default_value = "15m", value_parser = duration, value_name = "DURATION")]
    pub helm_cache_ttl: Duration,
    /// How often the cache of Helm indexes is purged.
    #[arg(long, default_value = "1m", value_parser = duration, value_name = "DURATION")]
    pub helm_cache_purge_interval: Duration,
    /// The SSH key exchange algorithms that are offered, joined by commas.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub ssh_kex_algos: Vec<String>,
    /// The SSH host key algorithms that are accepted, joined by commas.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub ssh_hostkey_algos: Vec<String>,
    /// The ServiceAccount whose cloud identity is used where an object names none.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub default_service_account: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flags: &[&str]) -> Args {
        Args::try_parse_from([&["source-controller"], flags].concat()).unwrap()
    }

    #[test]
    fn defaults_are_those_of_upstream() {
        let args = parse(&[]);
        assert_eq!(args.shared.pace.concurrent, 2);
        assert_eq!(args.storage_path, PathBuf::from("/data"));
        assert_eq!(args.storage_addr, ":9090");
        assert_eq!(args.artifact_retention_ttl, Duration::from_mins(1));
        assert_eq!(args.artifact_retention_records, 2);
        assert_eq!(args.artifact_digest_algo, "sha256");
    }

    #[test]
    fn flags_of_the_standard_manifest_are_accepted() {
        let args = parse(&[
            "--events-addr=http://notification-controller.flux-system.svc.cluster.local./",
            "--watch-all-namespaces=true",
            "--log-level=info",
            "--log-encoding=json",
            "--enable-leader-election",
            "--storage-path=/data",
            "--storage-adv-addr=source-controller.flux-system.svc.cluster.local.",
            "--concurrent=10",
            "--ssh-kex-algos=a,b",
        ]);
        assert_eq!(args.shared.pace.concurrent, 10);
        assert_eq!(args.ssh_kex_algos, ["a", "b"]);
    }
}
