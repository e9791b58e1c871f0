//! Registries that asked to be left alone, and until when.
//!
//! What one object is told holds for all that come with the same credentials: they share the limit.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{Timestamp, fmt::rfc2822};
use net_http::{HeaderName, Response, StatusCode};

use crate::token::Key;

const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");
/// How long a registry is left alone that does not say for how long.
const DEFAULT: Duration = Duration::from_secs(30);
/// No registry is left alone longer, whatever it says.
const LONGEST: Duration = Duration::from_hours(1);
/// How many are remembered.
const KEPT: usize = 1024;

/// Says how long an answer asks to be left alone; none where it does not ask.
///
/// Source: RFC 9110 10.2.3: seconds, or a date.
pub(crate) fn asked_by(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER);
    let given = value.and_then(|value| parse(value.to_str().ok()?, Timestamp::now()));
    match response.status() {
        StatusCode::TOO_MANY_REQUESTS => Some(given.unwrap_or(DEFAULT).min(LONGEST)),
        StatusCode::SERVICE_UNAVAILABLE => given.map(|given| given.min(LONGEST)),
        _ => None,
    }
}

fn parse(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

/// Who is left alone, by registry and credentials.
#[derive(Default)]
pub(crate) struct Quiet(Mutex<HashMap<Key, Instant>>);

impl std::fmt::Debug for Quiet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Quiet(..)")
    }
}

impl Quiet {
    /// Notes that a registry wants to be left alone for a time.
    pub(crate) fn keep(&self, key: Key, time: Duration, now: Instant) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.retain(|_, until| *until > now);
        }
        if kept.len() < KEPT {
            kept.insert(key, now + time);
        }
    }

    /// Returns how much longer a registry is left alone.
    pub(crate) fn left(&self, key: Key, now: Instant) -> Option<Duration> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = kept.get(&key)?.saturating_duration_since(now);
        if left.is_zero() {
            kept.remove(&key);
            return None;
        }
        Some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (text, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("Thu, 01 Jan 2026 00:01:30 GMT", Some(90)),
            ("Wed, 31 Dec 2025 00:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(parse(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
