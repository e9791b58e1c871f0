//! Tokens that were asked for, kept for a part of their life.
//!
//! Source: the metrics are those of fluxcd/pkg `cache` as source-controller v1.9.4 shows them.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cloud::Lasting;
use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};
use runtime::metrics::Metrics;

/// The longest that a token is kept.
const LONGEST: Duration = Duration::from_hours(1);

/// Whose token it is, for the metrics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Involved<'a> {
    /// The object's kind.
    pub kind: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What the token is for, such as `reconcile`.
    pub operation: &'a str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StatusLabels {
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EventLabels {
    event_type: &'static str,
    kind: String,
    name: String,
    namespace: String,
    operation: String,
}

struct Kept {
    value: Arc<dyn Any + Send + Sync>,
    until: Instant,
}

/// One place for a token; who holds the lock asks for it, and the others wait for the answer.
type Slot = Arc<tokio::sync::Mutex<Option<Kept>>>;

struct Entry {
    slot: Slot,
    used: Instant,
    /// Absent until there is a token.
    until: Option<Instant>,
}

/// Keeps tokens by what they are for: for four fifths of their life, and no longer than it was told.
pub(crate) struct Tokens {
    most: usize,
    longest: Duration,
    entries: Mutex<HashMap<String, Entry>>,
    requests: Family<StatusLabels, Counter>,
    events: Family<EventLabels, Counter>,
    evictions: Counter,
    items: Gauge,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    /// Returns an empty cache of so many tokens (0: none is kept), none kept longer than this.
    pub(crate) fn new(metrics: &Metrics, most: usize, longest: Duration) -> Self {
        let new = Self {
            most,
            longest: longest.min(LONGEST),
            entries: Mutex::default(),
            requests: Family::default(),
            events: Family::default(),
            evictions: Counter::default(),
            items: Gauge::default(),
        };
        metrics.register(|registry| {
            registry.register(
                "gotk_token_cache_events",
                "Total number of cache retrieval events for a GitOps Toolkit resource reconciliation",
                new.events.clone(),
            );
            registry.register(
                "gotk_token_cache_requests",
                "Total number of cache requests partitioned by success or failure",
                new.requests.clone(),
            );
            registry.register(
                "gotk_token_cache_evictions",
                "Total number of cache evictions",
                new.evictions.clone(),
            );
            registry.register(
                "gotk_token_cached_items",
                "Total number of items in the cache",
                new.items.clone(),
            );
        });
        new
    }

    /// Returns the token kept for a purpose, or asks for one; who asks for the same at once waits for the one answer.
    pub(crate) async fn get<T, E, F>(
        &self,
        key: &str,
        involved: &Involved<'_>,
        ask: impl FnOnce() -> F,
    ) -> Result<T, E>
    where
        T: Clone + Send + Sync + 'static,
        F: Future<Output = Result<Lasting<T>, E>>,
    {
        let slot = self.slot(key);
        let mut kept = slot.lock().await;
        let found = kept.as_ref().filter(|kept| kept.until > Instant::now());
        if let Some(value) = found.and_then(|kept| kept.value.downcast_ref::<T>()) {
            self.count("success", "cache_hit", involved);
            return Ok(value.clone());
        }
        *kept = None;
        match ask().await {
            Ok(token) => {
                self.count("success", "cache_miss", involved);
                let until = Instant::now() + self.life(token.until);
                *kept = Some(Kept {
                    value: Arc::new(token.value.clone()),
                    until,
                });
                self.settle(key, until);
                Ok(token.value)
            }
            Err(error) => {
                self.count("failure", "cache_miss", involved);
                self.settle(key, Instant::now());
                Err(error)
            }
        }
    }

    /// Takes an object's series out of the metrics.
    pub(crate) fn forget(&self, involved: &Involved<'_>) {
        for event_type in ["cache_hit", "cache_miss"] {
            self.events.remove(&labels(event_type, involved));
        }
    }

    fn slot(&self, key: &str) -> Slot {
        if self.most == 0 {
            return Slot::default();
        }
        let mut entries = self.lock();
        let entry = entries.entry(key.to_owned()).or_insert_with(|| Entry {
            slot: Slot::default(),
            used: Instant::now(),
            until: None,
        });
        entry.used = Instant::now();
        Arc::clone(&entry.slot)
    }

    /// Notes until when a token counts, and makes room.
    fn settle(&self, key: &str, until: Instant) {
        let mut entries = self.lock();
        let now = Instant::now();
        if let Some(entry) = entries.get_mut(key) {
            entry.until = Some(until);
        }
        let before = entries.len();
        // Who was cut off while asking leaves a place behind that nobody else holds.
        entries.retain(|_, entry| match entry.until {
            Some(until) => until > now,
            None => Arc::strong_count(&entry.slot) > 1,
        });
        while entries.len() > self.most {
            let settled = entries.iter().filter(|(_, entry)| entry.until.is_some());
            let oldest = settled.min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            entries.remove(&oldest);
        }
        self.evictions.inc_by((before - entries.len()) as u64);
        let settled = entries.values().filter(|entry| entry.until.is_some());
        self.items
            .set(i64::try_from(settled.count()).unwrap_or(i64::MAX));
    }

    fn life(&self, until: Timestamp) -> Duration {
        let left = Duration::try_from(until.duration_since(Timestamp::now()));
        (left.unwrap_or_default() / 5 * 4).min(self.longest)
    }

    fn count(&self, status: &'static str, event_type: &'static str, involved: &Involved<'_>) {
        self.requests.get_or_create(&StatusLabels { status }).inc();
        self.events
            .get_or_create(&labels(event_type, involved))
            .inc();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn labels(event_type: &'static str, involved: &Involved<'_>) -> EventLabels {
    EventLabels {
        event_type,
        kind: involved.kind.to_owned(),
        name: involved.name.to_owned(),
        namespace: involved.namespace.to_owned(),
        operation: involved.operation.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use jiff::SignedDuration;

    use super::*;

    const OBJECT: Involved<'static> = Involved {
        kind: "OCIRepository",
        namespace: "ns",
        name: "app",
        operation: "reconcile",
    };

    async fn get(tokens: &Tokens, key: &str, text: &str, seconds: i64) -> String {
        let ask = || async {
            Ok::<_, ()>(Lasting {
                value: text.to_owned(),
                until: Timestamp::now() + SignedDuration::from_secs(seconds),
            })
        };
        tokens.get(key, &OBJECT, ask).await.unwrap()
    }

    #[tokio::test]
    async fn token_is_kept_while_it_counts_and_there_is_room() {
        let metrics = Metrics::new();
        let tokens = Tokens::new(&metrics, 1, Duration::from_hours(2));
        assert_eq!(get(&tokens, "a", "1", 3600).await, "1");
        assert_eq!(get(&tokens, "a", "2", 3600).await, "1");
        assert_eq!(get(&tokens, "b", "3", 3600).await, "3");
        assert_eq!(
            get(&tokens, "a", "4", 3600).await,
            "4",
            "there was no room for it"
        );
        assert_eq!(get(&tokens, "c", "5", -1).await, "5");
        assert_eq!(get(&tokens, "c", "6", -1).await, "6", "it had ended");
        let off = Tokens::new(&Metrics::new(), 0, Duration::from_hours(1));
        assert_eq!(get(&off, "a", "1", 3600).await, "1");
        assert_eq!(get(&off, "a", "2", 3600).await, "2");
        let text = metrics.print().unwrap();
        for line in [
            "gotk_token_cached_items 1",
            r#"gotk_token_cache_requests_total{status="success"} 6"#,
            r#"gotk_token_cache_events_total{event_type="cache_hit",kind="OCIRepository",name="app",namespace="ns",operation="reconcile"} 1"#,
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        tokens.forget(&OBJECT);
        assert!(!metrics.print().unwrap().contains("cache_hit"));
    }

    #[tokio::test]
    async fn token_lives_for_four_fifths_and_an_hour_at_most() {
        let tokens = Tokens::new(&Metrics::new(), 1, Duration::from_hours(2));
        let in_seconds = |seconds| Timestamp::now() + SignedDuration::from_secs(seconds);
        let life = tokens.life(in_seconds(1000)).as_secs();
        assert!((799..=800).contains(&life), "{life}");
        assert_eq!(tokens.life(in_seconds(40_000)), Duration::from_hours(1));
        assert_eq!(tokens.life(in_seconds(-5)), Duration::ZERO);
    }

    #[tokio::test]
    async fn many_who_ask_at_once_get_one_answer_and_failures_are_not_kept() {
        let tokens = Tokens::new(&Metrics::new(), 9, Duration::from_hours(1));
        let asked = AtomicU32::new(0);
        let ask = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok::<_, ()>(Lasting {
                value: 7_u8,
                until: Timestamp::now() + SignedDuration::from_hours(1),
            })
        };
        let all = (0..8).map(|_| tokens.get("k", &OBJECT, ask));
        let all = futures::future::join_all(all).await;
        assert!(all.iter().all(|one| *one == Ok(7)));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        let failed = tokens
            .get("f", &OBJECT, || async { Err::<Lasting<u8>, _>("no") })
            .await;
        assert_eq!(failed, Err("no"));
        assert_eq!(tokens.get("f", &OBJECT, ask).await, Ok(7));
    }
}
