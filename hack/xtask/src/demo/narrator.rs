//! What the demo prints: one line a promise, each with its time.

#![expect(clippy::print_stdout, reason = "the demo talks to a person")]

use std::io::Write;
use std::time::{Duration, Instant};

/// Prints with the time since the start.
#[derive(Debug)]
pub(super) struct Narrator {
    began: Instant,
}

impl Narrator {
    pub(super) fn start() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    fn line(&self, mark: &str, text: &str) {
        println!(
            "[{:6.1}s] {mark} {text}",
            self.began.elapsed().as_secs_f64()
        );
        std::io::stdout().flush().ok();
    }

    pub(super) fn heading(&self, text: &str) {
        println!();
        self.line("==", text);
    }

    pub(super) fn say(&self, text: &str) {
        self.line("  ", text);
    }

    pub(super) fn done(&self, text: &str, took: Duration) {
        self.line("ok", &format!("{text}  ({})", short(took)));
    }

    pub(super) fn fail(&self, error: &anyhow::Error) {
        self.line("!!", &format!("{error:#}"));
    }

    pub(super) fn log_of(&self, name: &str, log: &str) {
        self.line("!!", &format!("the end of {name}'s log:"));
        let lines: Vec<_> = log.lines().collect();
        for line in lines.iter().rev().take(15).rev() {
            println!("    {line}");
        }
    }

    pub(super) fn end(&self) {
        println!();
        self.line("ok", "every promise held");
    }
}

/// Prints a duration for people: `340 ms`, `2.1 s`.
pub(super) fn short(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}
