//! How long objects wait for their runs, and how long the runs take.
//!
//! There is no work queue: an object that is due waits for a permit. The names are those of one, which dashboards and
//! alerts read.
//!
//! Source: controller-runtime v0.22 `pkg/metrics/workqueue.go` and `pkg/internal/controller/metrics`.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, counter::Counter, family::Family, gauge::ConstGauge, gauge::Gauge},
    metrics::{histogram::Histogram, histogram::exponential_buckets},
    registry::Registry,
};
use tokio::sync::Semaphore;

use super::ControllerLabels;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct QueueLabels {
    controller: String,
    name: String,
}

impl QueueLabels {
    fn of(controller: &str) -> Self {
        Self {
            controller: controller.into(),
            name: controller.into(),
        }
    }
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// The metrics of all controllers of a process.
#[derive(Clone, Debug)]
pub(super) struct Queues {
    depth: Family<QueueLabels, Gauge>,
    adds: Family<QueueLabels, Counter>,
    retries: Family<QueueLabels, Counter>,
    waited: Histograms<QueueLabels>,
    worked: Histograms<QueueLabels>,
    reconciled: Histograms<ControllerLabels>,
    workers: Arc<Workers>,
}

impl Queues {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let queues = Self {
            depth: Family::default(),
            adds: Family::default(),
            retries: Family::default(),
            waited: Family::new_with_constructor(queue_times),
            worked: Family::new_with_constructor(queue_times),
            reconciled: Family::new_with_constructor(run_times),
            workers: Arc::default(),
        };
        let (depth, adds) = (queues.depth.clone(), queues.adds.clone());
        registry.register("workqueue_depth", "Objects that wait for their run", depth);
        registry.register("workqueue_adds", "Objects that were due", adds);
        registry.register(
            "workqueue_retries",
            "Objects that are due again after a failure",
            queues.retries.clone(),
        );
        registry.register(
            "workqueue_queue_duration_seconds",
            "How long objects waited for their run",
            queues.waited.clone(),
        );
        registry.register(
            "workqueue_work_duration_seconds",
            "How long runs took",
            queues.worked.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_time_seconds",
            "How long runs took per controller",
            queues.reconciled.clone(),
        );
        registry.register_collector(Box::new(Arc::clone(&queues.workers)));
        queues
    }

    pub(super) fn announce(&self, controller: &str, concurrent: usize, permits: Arc<Semaphore>) {
        let labels = QueueLabels::of(controller);
        drop(self.depth.get_or_create(&labels));
        drop(self.adds.get_or_create(&labels));
        drop(self.retries.get_or_create(&labels));
        let pool = Pool {
            concurrent,
            permits: Some(permits),
            began: BTreeMap::new(),
            next: 0,
        };
        self.workers.lock().insert(controller.to_owned(), pool);
    }

    pub(super) fn enqueue(&self, controller: &str) -> Queued {
        let labels = QueueLabels::of(controller);
        self.adds.get_or_create(&labels).inc();
        let depth = self.depth.get_or_create(&labels).clone();
        depth.inc();
        Queued {
            depth,
            since: Instant::now(),
            controller: controller.to_owned(),
            queues: self.clone(),
        }
    }

    pub(super) fn retry(&self, controller: &str) {
        self.retries
            .get_or_create(&QueueLabels::of(controller))
            .inc();
    }
}

/// An object that waits for its run.
#[derive(Debug)]
pub struct Queued {
    depth: Gauge,
    since: Instant,
    controller: String,
    queues: Queues,
}

impl Queued {
    /// Ends the wait; the run is measured until the guard is dropped.
    #[must_use]
    pub fn begin(self) -> Working {
        let (queues, controller) = (self.queues.clone(), self.controller.clone());
        let waited = self.since.elapsed().as_secs_f64();
        let labels = QueueLabels::of(&controller);
        queues.waited.get_or_create(&labels).observe(waited);
        let since = Instant::now();
        let id = queues.workers.begin(&controller, since);
        Working {
            id,
            since,
            controller,
            queues,
        }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.depth.dec();
    }
}

/// A run that goes on.
#[derive(Debug)]
pub struct Working {
    id: u64,
    since: Instant,
    controller: String,
    queues: Queues,
}

impl Drop for Working {
    fn drop(&mut self) {
        let Self {
            controller, queues, ..
        } = self;
        let took = self.since.elapsed().as_secs_f64();
        let labels = QueueLabels::of(controller);
        queues.worked.get_or_create(&labels).observe(took);
        let labels = ControllerLabels {
            controller: controller.clone(),
        };
        queues.reconciled.get_or_create(&labels).observe(took);
        queues.workers.end(controller, self.id);
    }
}

/// What is measured when somebody asks.
#[derive(Debug, Default)]
struct Workers(Mutex<BTreeMap<String, Pool>>);

#[derive(Debug, Default)]
struct Pool {
    concurrent: usize,
    permits: Option<Arc<Semaphore>>,
    began: BTreeMap<u64, Instant>,
    next: u64,
}

impl Workers {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Pool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, controller: &str, at: Instant) -> u64 {
        let mut pools = self.lock();
        let pool = pools.entry(controller.to_owned()).or_default();
        let id = pool.next;
        pool.next += 1;
        pool.began.insert(id, at);
        id
    }

    fn end(&self, controller: &str, id: u64) {
        if let Some(pool) = self.lock().get_mut(controller) {
            pool.began.remove(&id);
        }
    }
}

impl Pool {
    /// Runs that wait for something outside hold no permit, and are not at work.
    fn active(&self) -> usize {
        let free = self.permits.as_ref().map(|p| p.available_permits());
        self.concurrent
            .saturating_sub(free.unwrap_or(self.concurrent))
    }

    /// Returns how long the oldest run has gone on, and all of them together, in seconds.
    fn unfinished(&self) -> (f64, f64) {
        let times = self
            .began
            .values()
            .map(|began| began.elapsed().as_secs_f64());
        times.fold((0.0, 0.0), |(most, sum), time| (time.max(most), sum + time))
    }
}

impl Collector for Workers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let pools = self.lock();
        let mut gauge = |name, help, value: &dyn Fn(&Pool) -> f64| {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (controller, pool) in &*pools {
                let series = ConstGauge::new(value(pool));
                if name.starts_with("workqueue") {
                    series.encode(metric.encode_family(&QueueLabels::of(controller))?)?;
                } else {
                    let controller = controller.clone();
                    series.encode(metric.encode_family(&ControllerLabels { controller })?)?;
                }
            }
            fmt::Result::Ok(())
        };
        gauge(
            "controller_runtime_active_workers",
            "Runs that are at work per controller",
            &|pool| u32::try_from(pool.active()).unwrap_or(u32::MAX).into(),
        )?;
        gauge(
            "workqueue_longest_running_processor_seconds",
            "How long the oldest run has gone on",
            &|pool| pool.unfinished().0,
        )?;
        gauge(
            "workqueue_unfinished_work_seconds",
            "How long all runs that go on have, together",
            &|pool| pool.unfinished().1,
        )
    }
}

/// From 10 ns to 1,000 s, as upstream has it.
fn queue_times() -> Histogram {
    Histogram::new(exponential_buckets(10e-9, 10.0, 12))
}

/// From 5 ms to a minute, as upstream has it.
fn run_times() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8,
        0.9, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0,
        15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    /// Reads one series.
    fn value(metrics: &Metrics, series: &str) -> f64 {
        let text = metrics.print().unwrap();
        let labels = if series.starts_with("workqueue") {
            r#"{controller="toy",name="toy"} "#
        } else {
            r#"{controller="toy"} "#
        };
        let start = format!("{series}{labels}");
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(&start));
        lines
            .next()
            .unwrap_or_else(|| panic!("no {start} in {text}"))
            .parse()
            .unwrap()
    }

    #[test]
    fn an_object_is_followed_from_due_to_done() {
        let metrics = Metrics::new();
        let permits = Arc::new(Semaphore::new(2));
        metrics.announce("toy", 2, Arc::clone(&permits));
        let check = |expected: [f64; 6]| {
            let names = [
                "workqueue_depth",
                "workqueue_adds_total",
                "controller_runtime_active_workers",
                "workqueue_retries_total",
            ];
            let mut found = names.map(|name| value(&metrics, name)).to_vec();
            for name in [
                "workqueue_longest_running_processor_seconds",
                "workqueue_unfinished_work_seconds",
            ] {
                found.push(f64::from(u8::from(value(&metrics, name) > 0.0)));
            }
            assert_eq!(found, expected);
        };
        check([0.0; 6]);
        let queued = metrics.enqueue("toy");
        check([1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        let permit = permits.try_acquire().unwrap();
        let working = queued.begin();
        check([0.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
        // It waits for something outside.
        drop(permit);
        check([0.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
        drop(working);
        metrics.count("toy", "error");
        check([0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
        for name in [
            "workqueue_queue_duration_seconds_count",
            "workqueue_work_duration_seconds_count",
            "controller_runtime_reconcile_time_seconds_count",
        ] {
            assert!((value(&metrics, name) - 1.0).abs() < f64::EPSILON, "{name}");
        }
    }

    #[test]
    fn an_object_whose_run_never_begins_waits_no_more() {
        let metrics = Metrics::new();
        metrics.announce("toy", 1, Arc::new(Semaphore::new(1)));
        drop(metrics.enqueue("toy"));
        assert!(value(&metrics, "workqueue_depth").abs() < f64::EPSILON);
    }
}
