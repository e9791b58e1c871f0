//! What a command that takes its time says meanwhile.

use std::io::{IsTerminal as _, Write};
use std::pin::pin;
use std::time::{Duration, Instant};

/// What takes longer than this says that it is still at it.
const SILENCE: Duration = Duration::from_secs(1);

/// Says on standard error what is going on, each thing once; nothing in the first second.
///
/// It is for people; where nobody listens it is lost.
#[derive(Debug)]
pub(crate) struct Progress {
    began: Instant,
    told: String,
}

impl Progress {
    /// Begins now.
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            told: String::new(),
        }
    }

    /// Says what is going on.
    pub(crate) fn tell(&mut self, now: String) {
        self.tell_to(&mut std::io::stderr().lock(), now);
    }

    fn tell_to(&mut self, out: &mut impl Write, now: String) {
        if self.began.elapsed() > SILENCE && now != self.told {
            writeln!(out, "{now}").ok();
            self.told = now;
        }
    }
}

/// Waits for a command's answer, and says so on a terminal where it takes long.
pub(crate) async fn patiently<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    if let Ok(done) = tokio::time::timeout(SILENCE, &mut work).await {
        return done;
    }
    let mut out = std::io::stderr();
    if out.is_terminal() {
        writeln!(out, "the cluster is being asked ...").ok();
    }
    work.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_told_once_and_nothing_at_first() {
        let mut out = Vec::new();
        let mut progress = Progress::new();
        progress.tell_to(&mut out, "quick".to_owned());
        progress.began = Instant::now().checked_sub(SILENCE * 2).unwrap();
        for what in ["slow", "slow", "slower"] {
            progress.tell_to(&mut out, what.to_owned());
        }
        assert_eq!(String::from_utf8(out).unwrap(), "slow\nslower\n");
    }
}
