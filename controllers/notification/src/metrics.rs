//! Metrics of deliveries and of the two servers.
//!
//! Source: the names and labels of notification-controller v1.9.3, observed; those of deliveries
//! are ours.

use std::{
    sync::atomic::{AtomicI64, AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};

/// What became of an attempt to deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The service took it.
    Sent,
    /// It is tried again.
    Retried,
    /// It is not tried again.
    Failed,
    /// There was no room for it.
    Dropped,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DeliveryLabels {
    kind: &'static str,
    name: String,
    namespace: String,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ProviderLabels {
    kind: &'static str,
    name: String,
    namespace: String,
}

/// Metrics of deliveries; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Deliveries {
    results: Family<DeliveryLabels, Counter>,
    took: Family<ProviderLabels, Histogram, fn() -> Histogram>,
    records: Gauge<i64, AtomicI64>,
    bytes: Gauge<f64, AtomicU64>,
}

impl Deliveries {
    /// Registers them.
    pub(crate) fn new(metrics: &runtime::metrics::Metrics) -> Self {
        let new = Self {
            results: Family::default(),
            took: Family::new_with_constructor(seconds),
            records: Gauge::default(),
            bytes: Gauge::default(),
        };
        metrics.register(|registry| {
            registry.register(
                "gotk_notification_deliveries",
                "Attempts to deliver a notification, per provider and result",
                new.results.clone(),
            );
            registry.register(
                "gotk_notification_delivery_duration_seconds",
                "How long attempts to deliver take",
                new.took.clone(),
            );
            registry.register(
                "gotk_notification_spool_notifications",
                "Notifications that wait to be delivered",
                new.records.clone(),
            );
            registry.register(
                "gotk_notification_spool_bytes",
                "Bytes of notifications that wait to be delivered",
                new.bytes.clone(),
            );
        });
        new
    }

    pub(crate) fn count(&self, namespace: &str, name: &str, outcome: Outcome) {
        let labels = DeliveryLabels {
            kind: "Provider",
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            result: match outcome {
                Outcome::Sent => "sent",
                Outcome::Retried => "retried",
                Outcome::Failed => "failed",
                Outcome::Dropped => "dropped",
            },
        };
        self.results.get_or_create(&labels).inc();
    }

    pub(crate) fn took(&self, namespace: &str, name: &str, took: Duration) {
        let labels = provider(namespace, name);
        self.took.get_or_create(&labels).observe(took.as_secs_f64());
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    pub(crate) fn waiting(&self, records: usize, bytes: u64) {
        self.records.set(i64::try_from(records).unwrap_or(i64::MAX));
        self.bytes.set(bytes as f64);
    }

    /// Drops the series of a provider that is gone.
    pub(crate) fn forget(&self, namespace: &str, name: &str) {
        self.took.remove(&provider(namespace, name));
        for result in ["sent", "retried", "failed", "dropped"] {
            let ProviderLabels {
                kind,
                name,
                namespace,
            } = provider(namespace, name);
            self.results.remove(&DeliveryLabels {
                kind,
                name,
                namespace,
                result,
            });
        }
    }
}

fn provider(namespace: &str, name: &str) -> ProviderLabels {
    ProviderLabels {
        kind: "Provider",
        name: name.to_owned(),
        namespace: namespace.to_owned(),
    }
}

/// Prometheus' usual buckets.
fn seconds() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ])
}

fn sizes() -> Histogram {
    Histogram::new((2..10).map(|power| 10_f64.powi(power)))
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    code: u16,
    handler: String,
    method: String,
    service: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct HandlerLabels {
    handler: String,
    service: &'static str,
}

/// Metrics of one HTTP server; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    took: Family<RequestLabels, Histogram, fn() -> Histogram>,
    sizes: Family<RequestLabels, Histogram, fn() -> Histogram>,
    inflight: Family<HandlerLabels, Gauge>,
    /// The path that stands for all; a webhook's own is a secret.
    handler: Option<&'static str>,
}

impl Requests {
    /// Registers them under a prefix, with one handler for all paths unless there is none.
    pub(crate) fn new(
        metrics: &runtime::metrics::Metrics,
        prefix: &str,
        handler: Option<&'static str>,
    ) -> Self {
        let new = Self {
            took: Family::new_with_constructor(seconds),
            sizes: Family::new_with_constructor(sizes),
            inflight: Family::default(),
            handler,
        };
        metrics.register(|registry| {
            registry.register(
                format!("{prefix}_http_request_duration_seconds"),
                "The latency of the HTTP requests",
                new.took.clone(),
            );
            registry.register(
                format!("{prefix}_http_response_size_bytes"),
                "The size of the HTTP responses",
                new.sizes.clone(),
            );
            registry.register(
                format!("{prefix}_http_requests_inflight"),
                "The number of inflight requests being handled at the same time",
                new.inflight.clone(),
            );
        });
        new
    }

    /// Counts a request as going on until the guard is dropped.
    pub(crate) fn enter(&self, path: &str) -> Inflight {
        let labels = HandlerLabels {
            handler: self.handler(path),
            service: "",
        };
        let gauge = self.inflight.get_or_create(&labels).clone();
        gauge.inc();
        Inflight(gauge)
    }

    /// Measures a request.
    pub(crate) fn observe(&self, method: &str, path: &str, code: u16, took: Duration) {
        // What anyone may send must not become a series of its own.
        let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        let method = known.iter().find(|m| **m == method).unwrap_or(&"OTHER");
        let labels = RequestLabels {
            code,
            handler: self.handler(path),
            method: (*method).to_owned(),
            service: "",
        };
        self.took.get_or_create(&labels).observe(took.as_secs_f64());
        self.sizes.get_or_create(&labels).observe(0.0);
    }

    fn handler(&self, path: &str) -> String {
        self.handler.unwrap_or(path).to_owned()
    }
}

/// Counts one request down when dropped.
#[derive(Debug)]
pub(crate) struct Inflight(Gauge);

impl Drop for Inflight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
