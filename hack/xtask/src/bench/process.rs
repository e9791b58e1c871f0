//! What a process has used so far, as the kernel and its own metrics tell.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use testkit::Program;

/// The kernel counts processor time in hundredths of a second on every system that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used since it started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Seconds of processor time, of user and system.
    pub(crate) cpu: f64,
    /// Requests to the API server.
    pub(crate) requests: f64,
}

impl Usage {
    /// Reads what a program has used.
    ///
    /// # Errors
    /// When it does not run, or its metrics do not answer.
    pub(crate) async fn of(program: &Program) -> Result<Self> {
        let pid = program.pid().context("the program does not run")?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("reading its stat")?;
        // The second field is the name in brackets, which may hold anything.
        let (_, rest) = stat.rsplit_once(')').context("reading its stat")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
        let ticks = ticks(11).zip(ticks(12)).context("reading its stat")?;
        let metrics = program.metrics().await?;
        let requests = metrics
            .lines()
            .filter(|line| line.starts_with("rest_client_requests_total"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum();
        Ok(Self {
            cpu: (ticks.0 + ticks.1) / TICKS_PER_SECOND,
            requests,
        })
    }

    /// Returns what was used since an earlier reading.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu - before.cpu,
            requests: self.requests - before.requests,
        }
    }
}

/// Reads the most memory that a program has had resident, in MiB.
///
/// # Errors
/// When it does not run.
pub(crate) fn peak_mebibytes(program: &Program) -> Result<f64> {
    memory(program, "VmHWM:")
}

/// Reads the memory that a program has resident, in MiB.
///
/// # Errors
/// When it does not run.
pub(crate) fn resident_mebibytes(program: &Program) -> Result<f64> {
    memory(program, "VmRSS:")
}

fn memory(program: &Program, field: &str) -> Result<f64> {
    let pid = program.pid().context("the program does not run")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("reading its status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.context("reading its status")? / 1024.0)
}

/// Returns the median of durations; zero of none.
pub(crate) fn median(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}
