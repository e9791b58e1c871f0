//! Suppresses what was told already: one event per key and interval.
//!
//! A key says what happened: object, reason, revision and message. What differs each time without
//! meaning anything (durations, times, request ids) is no part of it. A key that was taken for an
//! event which could not be delivered is given back.
//!
//! Source: notification-controller v1.9.3 `internal/server/event_handlers.go` for the parts of the
//! key; reason and normalisation are ours.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};

use crate::event::Event;

/// Identifies what happened.
pub type Key = [u8; 32];

/// How many keys are remembered; beyond that the oldest go.
const MOST_KEYS: usize = 100_000;

/// Returns the key of an event whose metadata are as they came.
#[must_use]
pub fn key_of(event: &Event) -> Key {
    let object = &event.involved_object;
    let mut parts = vec![
        "event".to_owned(),
        format!("name={}", object.name),
        format!("namespace={}", object.namespace),
        format!("kind={}", object.kind),
        format!("reason={}", event.reason),
        format!("message={}", normalize(&event.message)),
    ];
    for key in ["originRevision", "revision", "token"] {
        if let Some(value) = event.of_group(key).filter(|v| !v.is_empty()) {
            parts.push(format!("{key}={value}"));
        }
    }
    Sha256::digest(parts.join("/")).into()
}

/// Returns the key of an event for one alert.
#[must_use]
pub fn key_for(alert: &str, key: &Key) -> Key {
    let mut hash = Sha256::new();
    hash.update(alert);
    hash.update(key);
    hash.finalize().into()
}

/// Takes out of a message what differs each time it is said: durations, times, ids.
#[must_use]
pub fn normalize(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    let mut after_id_word = false;
    while !rest.is_empty() {
        let end = rest.find(is_break).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        let bare = word.trim_end_matches(['.', ':']);
        let volatile = is_duration(bare)
            || is_uuid(bare)
            || is_time(bare)
            || (after_id_word && bare.bytes().any(|b| b.is_ascii_digit()));
        if volatile {
            out.push('~');
        } else {
            out.push_str(word);
        }
        if !word.is_empty() {
            let lower = bare.to_ascii_lowercase();
            let id = [
                "requestid",
                "request-id",
                "x-request-id",
                "traceid",
                "trace-id",
            ];
            let names_id = id.contains(&lower.as_str());
            let second = lower == "id" && ends_with_request(&out);
            after_id_word = names_id || second || (after_id_word && !volatile && lower == "is");
        }
        let step = tail.chars().next().map_or(0, char::len_utf8);
        out.push_str(&tail[..step]);
        rest = &tail[step..];
    }
    out
}

fn ends_with_request(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace().rev();
    words.next();
    words
        .next()
        .is_some_and(|w| w.eq_ignore_ascii_case("request") || w.eq_ignore_ascii_case("trace"))
}

fn is_break(c: char) -> bool {
    c.is_whitespace() || ",;()[]{}'\"=<>/".contains(c)
}

/// `1m30s`, `250.5ms`; not `5`, not `v1s`.
fn is_duration(word: &str) -> bool {
    let mut rest = word;
    let mut any = false;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(0);
        if digits == 0 {
            return false;
        }
        let Some(unit) = ["ms", "us", "µs", "ns", "h", "m", "s"]
            .into_iter()
            .find(|unit| rest[digits..].starts_with(unit))
        else {
            return false;
        };
        rest = &rest[digits + unit.len()..];
        any = true;
    }
    any
}

fn is_uuid(word: &str) -> bool {
    word.len() == 36
        && word.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// `2026-01-01T10:00:00Z` and the like.
fn is_time(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() >= 19
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && bytes[10] == b'T'
        && bytes[13] == b':'
}

/// What the limiter says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is new and taken now.
    New,
    /// It was taken before and counts for this long.
    Seen(Duration),
}

/// Remembers keys for an interval.
#[derive(Debug)]
pub struct Limiter {
    interval: Duration,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    keys: HashMap<Key, Instant>,
    swept: Option<Instant>,
}

impl Limiter {
    /// Returns a limiter of one event per key and interval.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            taken: Mutex::default(),
        }
    }

    /// Returns the interval.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Takes a key where it is free.
    pub fn take(&self, key: Key, now: Instant) -> Verdict {
        let mut taken = self.lock();
        self.sweep(&mut taken, now);
        if let Some(at) = taken.keys.get(&key) {
            let age = now.saturating_duration_since(*at);
            if age < self.interval {
                return Verdict::Seen(self.interval.saturating_sub(age));
            }
        }
        taken.keys.insert(key, now);
        Verdict::New
    }

    /// Gives a key back: the event may be told again.
    pub fn give_back(&self, key: &Key) {
        self.lock().keys.remove(key);
    }

    /// Returns how many keys are remembered.
    pub fn len(&self) -> usize {
        self.lock().keys.len()
    }

    /// Returns true where none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn sweep(&self, taken: &mut Taken, now: Instant) {
        let due = taken
            .swept
            .is_none_or(|at| now.saturating_duration_since(at) >= self.interval);
        if due || taken.keys.len() >= MOST_KEYS {
            taken
                .keys
                .retain(|_, at| now.saturating_duration_since(*at) < self.interval);
            taken.swept = Some(now);
        }
        if taken.keys.len() >= MOST_KEYS {
            let mut times: Vec<_> = taken.keys.values().copied().collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            let median = *median;
            taken.keys.retain(|_, at| *at > median);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str, metadata: &[(&str, &str)]) -> Event {
        let mut event = crate::event::tests::sample("info");
        event.message = message.into();
        event.metadata = metadata
            .iter()
            .map(|(k, v)| (format!("source.toolkit.fluxcd.io/{k}"), (*v).to_owned()))
            .collect();
        event
    }

    fn same(a: &Event, b: &Event) -> bool {
        key_of(a) == key_of(b)
    }

    /// covers: NC-036
    #[test]
    fn another_message_is_another_event() {
        assert!(!same(&event("a", &[]), &event("b", &[])));
        assert!(same(&event("a", &[]), &event("a", &[])));
    }

    /// covers: NC-037
    #[test]
    fn another_object_is_another_event() {
        let (first, mut other) = (event("a", &[]), event("a", &[]));
        other.involved_object.name = "x".into();
        assert!(!same(&first, &other));
        other = event("a", &[]);
        other.involved_object.namespace = "x".into();
        assert!(!same(&first, &other));
    }

    /// covers: NC-038, NC-039, NC-040
    #[test]
    fn another_revision_origin_or_token_is_another_event() {
        for key in ["revision", "originRevision", "token"] {
            let (none, one) = (event("a", &[]), event("a", &[(key, "1")]));
            let two = event("a", &[(key, "2")]);
            assert!(!same(&none, &one), "{key}");
            assert!(!same(&one, &two), "{key}");
            assert!(same(&one, &event("a", &[(key, "1")])), "{key}");
        }
        assert!(same(&event("a", &[]), &event("a", &[("other", "1")])));
    }

    #[test]
    fn what_differs_each_time_is_no_part_of_the_key() {
        for (one, other) in [
            (
                "finished in 1.2s, next run in 10m0s",
                "finished in 802ms, next run in 10m0s",
            ),
            (
                "denied (request id: 01234567-89ab-cdef-0123-456789abcdef)",
                "denied (request id: ffffffff-89ab-cdef-0123-456789abcdef)",
            ),
            ("RequestID: 7XK2, host a", "RequestID: 9ZZ1, host a"),
            ("request id 4F2A:77 failed", "request id 4F2A:78 failed"),
            (
                "since 2026-01-01T10:00:00Z it fails",
                "since 2026-02-01T10:00:00Z it fails",
            ),
        ] {
            assert_eq!(normalize(one), normalize(other));
        }
        for (one, other) in [
            ("3 of 5 ready", "4 of 5 ready"),
            ("tag v1 gone", "tag v2 gone"),
            ("app-1s failed", "app-2s failed"),
            ("main@sha1:aaaa", "main@sha1:bbbb"),
        ] {
            assert_ne!(normalize(one), normalize(other));
        }
        assert_eq!(normalize("ü — 10s/π"), "ü — ~/π");
    }

    #[test]
    fn key_counts_for_the_interval_and_can_be_given_back() {
        let limiter = Limiter::new(Duration::from_secs(10));
        let (key, start) = ([1; 32], Instant::now());
        assert_eq!(limiter.take(key, start), Verdict::New);
        let later = start + Duration::from_secs(4);
        assert_eq!(
            limiter.take(key, later),
            Verdict::Seen(Duration::from_secs(6))
        );
        limiter.give_back(&key);
        assert_eq!(limiter.take(key, later), Verdict::New);
        let expired = later + Duration::from_secs(10);
        assert_eq!(limiter.take(key, expired), Verdict::New);
    }

    #[test]
    fn memory_is_bounded() {
        let limiter = Limiter::new(Duration::from_hours(1));
        let start = Instant::now();
        for n in 0..=(MOST_KEYS as u64) {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&n.to_le_bytes());
            limiter.take(key, start + Duration::from_micros(n));
        }
        assert!(limiter.len() <= MOST_KEYS / 2 + 1, "{}", limiter.len());
    }
}
