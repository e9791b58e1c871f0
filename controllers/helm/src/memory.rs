//! Ends the process in good order before the kernel ends it: what is being released is then recorded as failed, and not
//! left pending.
//!
//! Source: helm-controller v1.6.3 `internal/oomwatch`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use runtime::run::Server;
use tokio_util::sync::CancellationToken;

use crate::Args;

/// Limit and use of a control group, in its second and its first version, below the root of file systems.
const PLACES: [(&str, &str); 2] = [
    ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current"),
    (
        "sys/fs/cgroup/memory/memory.limit_in_bytes",
        "sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
];
/// What stands for no limit.
const UNLIMITED: &str = "max";

/// Looks at how much memory is in use.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    /// In bytes; absent: there is no limit.
    limit: Option<u64>,
    current: PathBuf,
    percent: u8,
    interval: std::time::Duration,
}

impl MemoryWatch {
    /// Finds limit and use, where the flags do not say where they are.
    ///
    /// # Errors
    /// There are no such files, or the limit cannot be read.
    pub(crate) fn new(args: &Args, root: &Path) -> Result<Self> {
        let given = |text: &String| Some(PathBuf::from(text)).filter(|_| !text.is_empty());
        let found = PLACES.map(|(limit, current)| (root.join(limit), root.join(current)));
        let found = found.into_iter().find(|(limit, _)| limit.exists());
        let (limit, current) = found.unzip();
        let limit = given(&args.oom_watch_max_memory_path).or(limit);
        let limit = limit.context("failed to find the file with the memory limit")?;
        let current = given(&args.oom_watch_current_memory_path).or(current);
        let current = current.context("failed to find the file with the memory in use")?;
        Ok(Self {
            limit: read(&limit)?,
            current,
            percent: args.oom_watch_memory_threshold,
            interval: args.oom_watch_interval,
        })
    }

    /// Makes it a part of a process: the process ends when too much memory is in use.
    pub(crate) fn server(self) -> Server {
        Server {
            name: "memory watch",
            leader_only: false,
            serve: Box::new(move |stop| Box::pin(self.watch(stop))),
        }
    }

    async fn watch(self, stop: CancellationToken) -> Result<()> {
        let Some(limit) = self.limit.filter(|limit| *limit > 0) else {
            tracing::info!("there is no memory limit to watch");
            stop.cancelled().await;
            return Ok(());
        };
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(self.interval) => {}
            }
            let used = match read(&self.current) {
                Ok(used) => used.unwrap_or(0),
                Err(error) => {
                    tracing::error!(error = %format!("{error:#}"), "memory in use cannot be read");
                    continue;
                }
            };
            // Of bytes, the hundredfold of any memory is in range.
            let percent = used.saturating_mul(100) / limit;
            if percent >= u64::from(self.percent) {
                anyhow::bail!(
                    "{percent}% of the memory limit is in use, the threshold is {}%: the process ends before it is killed",
                    self.percent
                );
            }
        }
    }
}

/// Reads a number of bytes; none where it stands for no limit.
fn read(path: &Path) -> Result<Option<u64>> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("reading {}", path.display()))?;
    match text.trim() {
        UNLIMITED => Ok(None),
        number => {
            let bytes = number.parse();
            let bytes = bytes.with_context(|| format!("{} holds no number", path.display()))?;
            Ok(Some(bytes))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;

    fn args(flags: &[&str]) -> Args {
        Args::try_parse_from([&["helm-controller"][..], flags].concat()).unwrap()
    }

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn limit_is_found_in_both_versions_of_control_groups() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(MemoryWatch::new(&args(&[]), root).is_err());
        let (limit, current) = PLACES[1];
        put(root, limit, "1000\n");
        let watch = MemoryWatch::new(&args(&[]), root).unwrap();
        assert_eq!(
            (watch.limit, watch.current),
            (Some(1000), root.join(current))
        );
        let (limit, current) = PLACES[0];
        put(root, limit, "max\n");
        let watch = MemoryWatch::new(&args(&[]), root).unwrap();
        assert_eq!((watch.limit, watch.current), (None, root.join(current)));
        put(root, "own/limit", "2000");
        let (limit, current) = (root.join("own/limit"), root.join("own/current"));
        let flags = [
            format!("--oom-watch-max-memory-path={}", limit.display()),
            format!("--oom-watch-current-memory-path={}", current.display()),
        ];
        let watch = MemoryWatch::new(&args(&[&flags[0], &flags[1]]), root).unwrap();
        assert_eq!((watch.limit, watch.current), (Some(2000), current));
        put(root, "own/limit", "a lot");
        assert!(MemoryWatch::new(&args(&[&flags[0], &flags[1]]), root).is_err());
    }

    /// covers: HC-169
    #[tokio::test]
    async fn process_ends_when_too_much_memory_is_in_use_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let (limit, current) = PLACES[0];
        put(root, limit, "1000");
        put(root, current, "899");
        let flags = [
            "--oom-watch-memory-threshold=90",
            "--oom-watch-interval=50ms",
        ];
        let watch = MemoryWatch::new(&args(&flags), root).unwrap();
        let stop = CancellationToken::new();
        let mut server = (watch.server().serve)(stop.clone());
        let waited = tokio::time::timeout(Duration::from_millis(300), &mut server).await;
        assert!(waited.is_err(), "it ended below the threshold");
        put(root, current, "900");
        let ended = tokio::time::timeout(Duration::from_mins(1), server).await;
        let error = ended.unwrap().unwrap_err().to_string();
        assert!(
            error.starts_with("90% of the memory limit is in use"),
            "{error}"
        );
        // Who is told to stop stops, whatever is in use.
        let watch = MemoryWatch::new(&args(&flags), root).unwrap();
        stop.cancel();
        (watch.server().serve)(stop).await.unwrap();
    }
}
