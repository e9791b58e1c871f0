//! How many go to one host at once, and which hosts asked to be left alone for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many hosts are remembered before those that nobody needs are forgotten.
const MANY: usize = 1000;
/// The longest that a host is left alone.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// A limit of how many go to one host at once.
#[derive(Debug)]
pub struct Hosts {
    at_once: usize,
    known: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A turn at a host, kept until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _permit: OwnedSemaphorePermit,
}

impl Hosts {
    /// Returns a limit of so many at once, for each host alone; none counts as one.
    pub fn new(at_once: usize) -> Self {
        Self {
            at_once: at_once.max(1),
            known: Mutex::default(),
        }
    }

    /// Waits for a turn at the host of an address: `scheme://user@host:port/path`, or the host alone.
    pub async fn turn(&self, address: &str) -> Option<Turn> {
        let turns = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() > MANY {
                // Those that nobody waits for or holds.
                known.retain(|_, turns| Arc::strong_count(turns) > 1);
            }
            let fresh = || Arc::new(Semaphore::new(self.at_once));
            Arc::clone(known.entry(host(address)).or_insert_with(fresh))
        };
        // The semaphore is never closed.
        let permit = turns.acquire_owned().await.ok()?;
        Some(Turn { _permit: permit })
    }
}

/// The hosts that asked to be left alone, and until when.
#[derive(Debug, Default)]
pub(crate) struct Pauses(Mutex<HashMap<String, Instant>>);

impl Pauses {
    /// Reads what an answer asks for.
    ///
    /// Source: RFC 9110, 10.2.3; RFC 6585, 4.
    pub(crate) fn heed(&self, host: &str, status: StatusCode, headers: &HeaderMap) {
        let asks = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        let Some(text) = headers.get(header::RETRY_AFTER).filter(|_| asks) else {
            return;
        };
        let Some(pause) = text
            .to_str()
            .ok()
            .and_then(|text| pause(text, Timestamp::now()))
        else {
            return;
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if all.len() > MANY {
            all.retain(|_, until| *until > now);
        }
        all.insert(host.to_lowercase(), now + pause.min(LONGEST_PAUSE));
    }

    /// Returns how long the host of an address is to be left alone from now on.
    pub(crate) fn left(&self, address: &str) -> Option<Duration> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = all.get(&host(address))?;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}

/// Reads seconds or a date.
fn pause(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    until.duration_since(now).try_into().ok()
}

/// Returns host and port of an address, in lower case.
fn host(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    host.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polls once.
    fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.poll(&mut context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn turns_are_limited_for_each_host_alone() {
        let hosts = Hosts::new(2);
        let first = hosts.turn("https://a.example/x").await;
        let second = hosts.turn("https://u@A.example/y").await;
        assert!(first.is_some() && second.is_some());
        let mut third = std::pin::pin!(hosts.turn("a.example"));
        assert!(poll(third.as_mut()).is_none(), "both turns are taken");
        assert!(hosts.turn("ssh://git@b.example/x").await.is_some());
        drop(first);
        assert!(third.await.is_some());
    }

    #[test]
    fn hosts_are_left_alone_for_as_long_as_they_ask() {
        let pauses = Pauses::default();
        let mut headers = HeaderMap::new();
        pauses.heed("a.example", StatusCode::TOO_MANY_REQUESTS, &headers);
        assert_eq!(
            pauses.left("https://a.example/x"),
            None,
            "it did not say how long"
        );
        headers.insert(header::RETRY_AFTER, "120".parse().unwrap());
        pauses.heed("a.example", StatusCode::INTERNAL_SERVER_ERROR, &headers);
        assert_eq!(pauses.left("https://a.example/x"), None);
        pauses.heed("A.example:8443", StatusCode::TOO_MANY_REQUESTS, &headers);
        assert_eq!(
            pauses.left("https://a.example/x"),
            None,
            "it is another port"
        );
        let left = pauses.left("oci://a.example:8443/x").unwrap();
        assert!(left > Duration::from_secs(100) && left <= Duration::from_mins(2));
        headers.insert(header::RETRY_AFTER, "99999999".parse().unwrap());
        pauses.heed("b.example", StatusCode::SERVICE_UNAVAILABLE, &headers);
        assert!(pauses.left("b.example").unwrap() <= LONGEST_PAUSE);
    }

    #[test]
    fn pauses_are_seconds_or_dates() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        assert_eq!(pause("7", now), Some(Duration::from_secs(7)));
        let later = "Sat, 21 Nov 2026 10:01:30 GMT";
        assert_eq!(pause(later, now), Some(Duration::from_secs(90)));
        assert_eq!(pause("Sat, 21 Nov 2026 09:00:00 GMT", now), None);
        assert_eq!(pause("soon", now), None);
    }
}
