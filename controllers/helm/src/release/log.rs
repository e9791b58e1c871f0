//! The last words of an action, for the event about its failure.

use std::sync::{Mutex, PoisonError};

/// How many lines are kept.
const LINES: usize = 10;

/// The last lines of an action; the same line again only counts.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<Vec<(String, usize)>>);

impl Log {
    /// Adds a line.
    pub(crate) fn say(&self, line: impl Into<String>) {
        let line = line.into();
        tracing::debug!("{line}");
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match lines.last_mut() {
            Some((last, count)) if *last == line => *count += 1,
            _ => lines.push((line, 1)),
        }
        if lines.len() > LINES {
            lines.remove(0);
        }
    }

    /// Returns a message with what was said last.
    pub(crate) fn under(&self, message: &str) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.is_empty() {
            return message.to_owned();
        }
        let mut texts = Vec::new();
        for (line, count) in lines.iter() {
            texts.push(line.clone());
            if *count > 1 {
                texts.push(format!("({} duplicate line(s) omitted)", count - 1));
            }
        }
        format!("{message}\n\nLast Helm logs:\n\n{}", texts.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: HC-174
    #[test]
    fn last_ten_lines_are_kept_and_repetitions_counted() {
        let log = Log::default();
        assert_eq!(log.under("m"), "m");
        for n in 0..12 {
            log.say(format!("line {n}"));
        }
        log.say("line 11");
        log.say("line 11");
        let text = log.under("m");
        assert!(
            text.starts_with("m\n\nLast Helm logs:\n\nline 2\n"),
            "{text}"
        );
        assert!(
            text.ends_with("line 11\n(2 duplicate line(s) omitted)"),
            "{text}"
        );
    }
}
