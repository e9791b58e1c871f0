//! Which versions a published index has of a chart, kept for the next run.
//!
//! Source: the flags `--helm-cache-*` and the metric `gotk_cache_events_total` of source-controller 1.9.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use helmrepo::Listed;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use runtime::metrics::Metrics;

/// The versions of a chart; none where the index does not have it.
pub(crate) type Versions = Option<Arc<[Listed]>>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    event_type: &'static str,
    name: String,
    namespace: String,
}

/// What the flags say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheLimits {
    /// How many indexes are kept at most; none: nothing is kept.
    pub(crate) indexes: usize,
    /// How long an index that nobody asks for is kept.
    pub(crate) ttl: Duration,
    /// How often what is too old is looked for.
    pub(crate) purge_interval: Duration,
}

/// Keeps what was looked up in indexes, by the path of the artifact: it holds the object that it is of, so that nobody
/// sees the index of another.
#[derive(Debug)]
pub(crate) struct IndexCache {
    limits: CacheLimits,
    state: Mutex<State>,
    events: Family<Labels, Counter>,
}

#[derive(Debug)]
struct State {
    indexes: HashMap<String, Index>,
    purged: Instant,
}

#[derive(Debug)]
struct Index {
    charts: HashMap<String, Versions>,
    until: Instant,
}

impl IndexCache {
    pub(crate) fn new(limits: CacheLimits, metrics: &Metrics) -> Self {
        let new = Self {
            limits,
            state: Mutex::new(State {
                indexes: HashMap::new(),
                purged: Instant::now(),
            }),
            events: Family::default(),
        };
        metrics.register(|registry| {
            registry.register(
                "gotk_cache_events",
                "Total number of cache retrieval events for a Gitops Toolkit resource reconciliation",
                new.events.clone(),
            );
        });
        new
    }

    /// Returns what is known of a chart in the index at a path. `of` is the repository: namespace and name.
    pub(crate) fn get(&self, path: &str, chart: &str, of: (&str, &str)) -> Option<Versions> {
        if self.limits.indexes == 0 {
            return None;
        }
        let found = {
            let mut state = self.purged();
            let until = Instant::now() + self.limits.ttl;
            state.indexes.get_mut(path).and_then(|index| {
                index.until = until;
                index.charts.get(chart).cloned()
            })
        };
        let event = if found.is_some() {
            "cache_hit"
        } else {
            "cache_miss"
        };
        self.events.get_or_create(&labels(event, of)).inc();
        found
    }

    /// Keeps what was found, unless as many indexes are kept as may be.
    pub(crate) fn put(&self, path: &str, chart: &str, versions: &Versions) {
        if self.limits.indexes == 0 {
            return;
        }
        let mut state = self.purged();
        if !state.indexes.contains_key(path) && state.indexes.len() >= self.limits.indexes {
            return;
        }
        let until = Instant::now() + self.limits.ttl;
        let index = state.indexes.entry(path.to_owned()).or_insert(Index {
            charts: HashMap::new(),
            until,
        });
        index.charts.insert(chart.to_owned(), versions.clone());
    }

    /// Forgets a repository that is gone.
    pub(crate) fn forget(&self, of: (&str, &str)) {
        for event in ["cache_hit", "cache_miss"] {
            self.events.remove(&labels(event, of));
        }
        let prefix = format!("helmrepository/{}/{}/", of.0, of.1);
        self.lock()
            .indexes
            .retain(|path, _| !path.starts_with(&prefix));
    }

    /// Drops what is too old, where it is time to look for it.
    fn purged(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        let now = Instant::now();
        if now.duration_since(state.purged) >= self.limits.purge_interval {
            state.indexes.retain(|_, index| index.until > now);
            state.purged = now;
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn labels(event_type: &'static str, (namespace, name): (&str, &str)) -> Labels {
    Labels {
        event_type,
        name: name.to_owned(),
        namespace: namespace.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "helmrepository/ns/repo/index-1.yaml";
    const OF: (&str, &str) = ("ns", "repo");

    fn cache(indexes: usize, ttl: Duration) -> (IndexCache, Metrics) {
        let metrics = Metrics::new();
        let limits = CacheLimits {
            indexes,
            ttl,
            purge_interval: Duration::ZERO,
        };
        (IndexCache::new(limits, &metrics), metrics)
    }

    fn versions(version: &str) -> Arc<[Listed]> {
        let listed = Listed {
            version: version.into(),
            ..Listed::default()
        };
        [listed].into()
    }

    /// covers: SC-151
    #[test]
    fn lookups_are_kept_by_artifact_and_counted_by_repository() {
        let (cache, metrics) = cache(1, Duration::from_mins(1));
        assert!(cache.get(PATH, "demo", OF).is_none());
        cache.put(PATH, "demo", &Some(versions("1.0.0")));
        cache.put(PATH, "none", &None);
        assert_eq!(
            cache.get(PATH, "demo", OF).unwrap().unwrap()[0].version,
            "1.0.0"
        );
        assert_eq!(cache.get(PATH, "none", OF), Some(None));
        cache.put(
            "helmrepository/ns/other/index-2.yaml",
            "demo",
            &Some(versions("2")),
        );
        assert!(
            cache
                .get("helmrepository/ns/other/index-2.yaml", "demo", OF)
                .is_none(),
            "it is full"
        );
        let text = metrics.print().unwrap();
        for line in [
            "gotk_cache_events_total{event_type=\"cache_hit\",name=\"repo\",namespace=\"ns\"} 2",
            "gotk_cache_events_total{event_type=\"cache_miss\",name=\"repo\",namespace=\"ns\"} 2",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        cache.forget(OF);
        assert!(!metrics.print().unwrap().contains("name=\"repo\""));
        assert!(cache.get(PATH, "demo", OF).is_none());
    }

    #[test]
    fn nothing_is_kept_where_the_cache_is_off_or_its_time_is_over() {
        let (off, metrics) = cache(0, Duration::from_mins(1));
        off.put(PATH, "demo", &Some(versions("1")));
        assert!(off.get(PATH, "demo", OF).is_none());
        assert!(!metrics.print().unwrap().contains("cache_miss"));
        let (short, _metrics) = cache(1, Duration::ZERO);
        short.put(PATH, "demo", &Some(versions("1")));
        assert!(short.get(PATH, "demo", OF).is_none());
    }
}
