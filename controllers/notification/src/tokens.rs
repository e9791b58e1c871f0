//! Tokens that were asked for, kept until shortly before they expire.
//!
//! Source: the metrics are those of fluxcd/pkg `cache` as notification-controller v1.9.3 shows them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

/// The longest that a token is kept.
const LONGEST: Duration = Duration::from_hours(1);
/// How long before its end a token is no longer used.
const MARGIN: Duration = Duration::from_mins(1);

/// A token as it was given.
pub(crate) struct Token {
    /// The token.
    pub text: String,
    /// How long it counts.
    pub lives: Duration,
}

struct Kept {
    text: Arc<str>,
    until: Instant,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StatusLabels {
    status: &'static str,
}

/// Keeps tokens by what they are for.
pub(crate) struct Tokens {
    most: usize,
    longest: Duration,
    kept: Mutex<HashMap<String, Kept>>,
    requests: Family<StatusLabels, Counter>,
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
    pub(crate) fn new(
        metrics: &runtime::metrics::Metrics,
        most: usize,
        longest: Duration,
    ) -> Arc<Self> {
        let new = Self {
            most,
            longest: longest.min(LONGEST),
            kept: Mutex::default(),
            requests: Family::default(),
            evictions: Counter::default(),
            items: Gauge::default(),
        };
        metrics.register(|registry| {
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
        Arc::new(new)
    }

    /// Returns the token kept for a purpose, or asks for one.
    pub(crate) async fn get<E, F>(&self, key: &str, ask: impl FnOnce() -> F) -> Result<Arc<str>, E>
    where
        F: Future<Output = Result<Token, E>>,
    {
        if let Some(text) = self.kept(key) {
            return Ok(text);
        }
        match ask().await {
            Ok(token) => {
                self.count("success");
                Ok(self.keep(key, token))
            }
            Err(error) => {
                self.count("failure");
                Err(error)
            }
        }
    }

    fn kept(&self, key: &str) -> Option<Arc<str>> {
        let kept = self.lock();
        let found = kept.get(key).filter(|k| k.until > Instant::now());
        found.map(|k| Arc::clone(&k.text))
    }

    fn keep(&self, key: &str, token: Token) -> Arc<str> {
        let text: Arc<str> = token.text.into();
        let lives = token.lives.saturating_sub(MARGIN).min(self.longest);
        if self.most == 0 || lives.is_zero() {
            return text;
        }
        let mut kept = self.lock();
        let now = Instant::now();
        let before = kept.len();
        kept.retain(|_, k| k.until > now);
        if kept.len() >= self.most
            && let Some(oldest) = kept
                .iter()
                .min_by_key(|(_, k)| k.until)
                .map(|(k, _)| k.clone())
        {
            kept.remove(&oldest);
        }
        self.evictions.inc_by((before - kept.len()) as u64);
        let entry = Kept {
            text: Arc::clone(&text),
            until: now + lives,
        };
        kept.insert(key.to_owned(), entry);
        self.items
            .set(i64::try_from(kept.len()).unwrap_or(i64::MAX));
        text
    }

    fn count(&self, status: &'static str) {
        self.requests.get_or_create(&StatusLabels { status }).inc();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(tokens: &Tokens, key: &str, text: &str, lives: Duration) -> String {
        let ask = || async {
            Ok::<_, ()>(Token {
                text: text.to_owned(),
                lives,
            })
        };
        tokens.get(key, ask).await.unwrap().to_string()
    }

    #[tokio::test]
    async fn token_is_kept_while_it_counts_and_there_is_room() {
        let metrics = runtime::metrics::Metrics::new();
        let tokens = Tokens::new(&metrics, 1, Duration::from_hours(2));
        let hour = Duration::from_hours(1);
        assert_eq!(get(&tokens, "a", "1", hour).await, "1");
        assert_eq!(get(&tokens, "a", "2", hour).await, "1");
        assert_eq!(get(&tokens, "b", "3", hour).await, "3");
        assert_eq!(
            get(&tokens, "a", "4", hour).await,
            "4",
            "there was no room for it"
        );
        assert_eq!(get(&tokens, "c", "5", MARGIN).await, "5");
        assert_eq!(
            get(&tokens, "c", "6", MARGIN).await,
            "6",
            "too short to be kept"
        );
        let off = Tokens::new(&runtime::metrics::Metrics::new(), 0, hour);
        assert_eq!(get(&off, "a", "1", hour).await, "1");
        assert_eq!(get(&off, "a", "2", hour).await, "2");
        let text = metrics.print().unwrap();
        assert!(text.contains("gotk_token_cached_items 1"), "{text}");
        assert!(
            text.contains(r#"gotk_token_cache_requests_total{status="success"} 5"#),
            "{text}"
        );
    }
}
