//! Metrics under the names that dashboards for Flux read.
//!
//! Source: <https://github.com/fluxcd/pkg> `runtime/metrics`, and controller-runtime's own.

mod process;
mod queue;
pub(crate) mod resources;

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use tokio::sync::Semaphore;

use self::queue::Queues;

pub use self::queue::{Queued, Working};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ObjectLabels {
    kind: String,
    name: String,
    namespace: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ControllerLabels {
    controller: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    code: String,
    host: String,
    method: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct NameLabels {
    name: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ResultLabels {
    controller: String,
    result: String,
}

/// The metrics of a process; cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Prints how the objects of a kind stand.
type Resources = Box<dyn Fn(&mut String) + Send + Sync>;

struct Inner {
    resources: std::sync::Mutex<Vec<Resources>>,
    registry: std::sync::Mutex<Registry>,
    duration: Family<ObjectLabels, Histogram, fn() -> Histogram>,
    results: Family<ResultLabels, Counter>,
    errors: Family<ControllerLabels, Counter>,
    limit: Family<ControllerLabels, Gauge>,
    leader: Family<NameLabels, Gauge>,
    requests: Family<RequestLabels, Counter>,
    queues: Queues,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Creates the metrics that every controller has.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let duration: Family<ObjectLabels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(buckets);
        let (results, errors) = (Family::default(), Family::default());
        let (limit, leader) = (Family::default(), Family::default());
        let requests = Family::default();
        registry.register(
            "gotk_reconcile_duration_seconds",
            "The duration in seconds of a GitOps Toolkit resource reconciliation",
            duration.clone(),
        );
        registry.register(
            "controller_runtime_reconcile",
            "Runs per controller and result",
            results.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_errors",
            "Failed runs per controller",
            errors.clone(),
        );
        registry.register(
            "controller_runtime_max_concurrent_reconciles",
            "The most runs at once per controller",
            limit.clone(),
        );
        registry.register(
            "leader_election_master_status",
            "Whether this process holds the lease of this name",
            leader.clone(),
        );
        registry.register(
            "rest_client_requests",
            "Requests to the API server by method and answer",
            requests.clone(),
        );
        let queues = Queues::new(&mut registry);
        registry.register_collector(Box::new(process::Process));
        let registry = std::sync::Mutex::new(registry);
        Self(Arc::new(Inner {
            resources: std::sync::Mutex::default(),
            registry,
            duration,
            results,
            errors,
            limit,
            leader,
            requests,
            queues,
        }))
    }

    /// Lets a caller add metrics of its own.
    pub fn register(&self, with: impl FnOnce(&mut Registry)) {
        with(
            &mut self
                .0
                .registry
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
    }

    /// Makes a controller's series appear, with zeros. Each permit that is taken counts as an active worker.
    pub fn announce(&self, controller: &str, concurrent: usize, permits: Arc<Semaphore>) {
        let labels = ControllerLabels {
            controller: controller.into(),
        };
        self.0
            .limit
            .get_or_create(&labels)
            .set(i64::try_from(concurrent).unwrap_or(i64::MAX));
        self.0.queues.announce(controller, concurrent, permits);
        drop(self.0.errors.get_or_create(&labels));
        for result in ["error", "requeue", "requeue_after", "success"] {
            let labels = ResultLabels {
                controller: controller.into(),
                result: result.into(),
            };
            drop(self.0.results.get_or_create(&labels));
        }
    }

    /// Counts an object as one that waits for its run, until the guard is dropped or the run begins.
    #[must_use]
    pub fn enqueue(&self, controller: &str) -> Queued {
        self.0.queues.enqueue(controller)
    }

    /// Counts a request to the API server; without a status it was not answered.
    pub fn answered(&self, host: &str, method: &http::Method, status: Option<http::StatusCode>) {
        let labels = RequestLabels {
            code: status.map_or_else(|| "<error>".into(), |status| status.as_str().into()),
            host: host.into(),
            method: method.as_str().into(),
        };
        self.0.requests.get_or_create(&labels).inc();
    }

    /// Says whether this process holds a lease.
    pub fn lead(&self, lease: &str, leads: bool) {
        let labels = NameLabels { name: lease.into() };
        self.0.leader.get_or_create(&labels).set(leads.into());
    }

    /// Counts the result of a run.
    pub fn count(&self, controller: &str, result: &str) {
        let labels = ResultLabels {
            controller: controller.into(),
            result: result.into(),
        };
        self.0.results.get_or_create(&labels).inc();
        if result == "error" {
            let labels = ControllerLabels {
                controller: controller.into(),
            };
            self.0.errors.get_or_create(&labels).inc();
            self.0.queues.retry(controller);
        }
    }

    /// Measures a run.
    pub fn observe(&self, kind: &str, namespace: Option<&str>, name: &str, took: Duration) {
        let labels = object(kind, namespace, name);
        self.0
            .duration
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// Drops the series of an object that is gone.
    pub fn forget(&self, kind: &str, namespace: Option<&str>, name: &str) {
        self.0.duration.remove(&object(kind, namespace, name));
    }

    /// Has the objects of a kind printed by [`Metrics::print_resources`].
    pub(crate) fn add_resources(&self, print: impl Fn(&mut String) + Send + Sync + 'static) {
        let resources = self.0.resources.lock();
        let mut resources = resources.unwrap_or_else(std::sync::PoisonError::into_inner);
        resources.push(Box::new(print));
    }

    /// Prints how every object stands, in the text format of Prometheus: one line of `gotk_resource_info` each. They are not
    /// among the metrics of [`Metrics::print`]: a kube-state-metrics that is set up for Flux tells the same already.
    pub fn print_resources(&self) -> String {
        let mut text = String::from(
            "# HELP gotk_resource_info How an object of the GitOps Toolkit stands\n\
             # TYPE gotk_resource_info gauge\n",
        );
        let resources = self.0.resources.lock();
        let resources = resources.unwrap_or_else(std::sync::PoisonError::into_inner);
        for print in &*resources {
            print(&mut text);
        }
        text
    }

    /// Prints all metrics as OpenMetrics text.
    ///
    /// # Errors
    /// A metric that cannot be printed.
    pub fn print(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(
            &mut text,
            &self
                .0
                .registry
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )?;
        Ok(text)
    }
}

fn object(kind: &str, namespace: Option<&str>, name: &str) -> ObjectLabels {
    ObjectLabels {
        kind: kind.into(),
        name: name.into(),
        namespace: namespace.unwrap_or_default().into(),
    }
}

/// Ten exponential buckets from 10 ms to 30 minutes, as upstream has them.
fn buckets() -> Histogram {
    let factor = (1800.0_f64 / 0.01).powf(1.0 / 9.0);
    Histogram::new((0..10).map(|n| 0.01 * factor.powi(n)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_a_deleted_object_go_away() {
        let metrics = Metrics::new();
        metrics.observe("Kustomization", Some("a"), "b", Duration::from_millis(20));
        let text = metrics.print().unwrap();
        assert!(text.contains(
            r#"gotk_reconcile_duration_seconds_count{kind="Kustomization",name="b",namespace="a"} 1"#
        ));
        metrics.forget("Kustomization", Some("a"), "b");
        assert!(!metrics.print().unwrap().contains(r#"name="b""#));
    }

    #[test]
    fn a_lease_is_held_or_not() {
        let metrics = Metrics::new();
        let line = |leads| {
            metrics.lead("a-leader-election", leads);
            let text = metrics.print().unwrap();
            let mut lines = text.lines();
            let line = lines.find(|line| line.starts_with("leader_election_master_status{"));
            line.unwrap().to_owned()
        };
        let name = r#"leader_election_master_status{name="a-leader-election"}"#;
        assert_eq!(line(false), format!("{name} 0"));
        assert_eq!(line(true), format!("{name} 1"));
    }

    #[test]
    fn results_carry_the_names_that_dashboards_read() {
        let metrics = Metrics::new();
        metrics.announce("kustomization", 4, Arc::new(Semaphore::new(4)));
        metrics.count("kustomization", "error");
        let text = metrics.print().unwrap();
        for line in [
            r#"controller_runtime_reconcile_total{controller="kustomization",result="error"} 1"#,
            r#"controller_runtime_reconcile_errors_total{controller="kustomization"} 1"#,
            r#"controller_runtime_max_concurrent_reconciles{controller="kustomization"} 4"#,
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
