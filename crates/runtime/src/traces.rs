//! Traces from commit to healthy, for those who name a collector: spans of runs that brought something new, over OTLP/HTTP.
//!
//! All runs about one revision are one trace, whichever controllers they are of: the trace's id is computed from the
//! artifact, which whoever publishes it and whoever uses it both know. The run that published it is its first span; the runs
//! that used it are that span's children, and their stages theirs.
//!
//! Source: OTLP 1.10, <https://opentelemetry.io/docs/specs/otlp/>, the JSON encoding; environment variables of
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.

mod export;
mod trail;

use api::{Reconciled, meta::Artifact};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{sync::mpsc, task::JoinHandle};

use self::export::Exporter;
pub(crate) use self::trail::Trail;
use crate::conditions::{self, READY};

/// How many spans wait for the collector at most.
const QUEUE: usize = 2048;

/// Takes spans; cheap to clone. One that was not started keeps nothing.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<mpsc::Sender<Span>>);

impl Tracer {
    /// Starts sending spans to the collector that the environment names; none where it names none. The task ends once every
    /// tracer is dropped and the queue is empty.
    #[must_use]
    pub fn start(
        service: &'static str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> (Self, Option<JoinHandle<()>>) {
        let Some(exporter) = Exporter::read(service, variable) else {
            return (Self::default(), None);
        };
        let (sender, spans) = mpsc::channel(QUEUE);
        (Self(Some(sender)), Some(tokio::spawn(exporter.run(spans))))
    }

    /// Returns true where spans are kept.
    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Puts spans into the queue; what it cannot hold is dropped.
    fn send(&self, spans: impl IntoIterator<Item = Span>) {
        let Some(sender) = &self.0 else { return };
        let lost = spans
            .into_iter()
            .filter(|span| sender.try_send(span.clone()).is_err());
        let lost = lost.count();
        if lost > 0 {
            tracing::info!(lost, "traces are lost: the collector does not keep up");
        }
    }

    /// Tells of a run, where it brought something new.
    pub(crate) fn tell<K: Reconciled>(&self, before: &K, after: &K, run: &Run<'_>) {
        if self.is_on() {
            self.send(spans(before, after, run));
        }
    }
}

/// What is told of a run.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    /// What it used, and its stages.
    pub(crate) trail: &'a Trail,
    /// When it began.
    pub(crate) began: Timestamp,
    /// When it ended.
    pub(crate) ended: Timestamp,
    /// Why it failed.
    pub(crate) failure: Option<String>,
}

/// Where in which trace something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    trace: [u8; 16],
    span: [u8; 8],
}

impl Place {
    /// Returns where the run is that published an artifact.
    pub(crate) fn of(artifact: &Artifact) -> Self {
        // A revision with a checksum is the same for everyone who has that commit; a chart's version is not.
        let what = match artifact.revision.rsplit_once(':') {
            Some((_, sum)) if !sum.is_empty() => sum,
            _ => artifact.digest.as_str(),
        };
        Self {
            trace: cut(&["trace", what]),
            span: cut(&["span", &artifact.path, &artifact.digest]),
        }
    }

    /// Returns a new place in the same trace.
    fn beside(self) -> Self {
        let span = cut(&["", &uuid::Uuid::new_v4().to_string()]);
        Self { span, ..self }
    }
}

/// Returns the first bytes of a checksum.
fn cut<const N: usize>(parts: &[&str]) -> [u8; N] {
    let sum = Sha256::digest(parts.join("\n").as_bytes());
    std::array::from_fn(|at| sum[at])
}

/// A span on its way.
#[derive(Clone, Debug)]
struct Span {
    place: Place,
    parent: Option<[u8; 8]>,
    links: Vec<Place>,
    name: String,
    began: Timestamp,
    ended: Timestamp,
    attributes: Vec<(&'static str, String)>,
    failure: Option<String>,
}

impl Span {
    /// Returns it as the JSON encoding has it.
    fn to_json(&self) -> Value {
        let attributes = self.attributes.iter();
        let attributes: Vec<_> = attributes
            .map(|(key, value)| export::pair(key, value))
            .collect();
        let links = self.links.iter().map(
            |link| json!({ "traceId": hex::encode(link.trace), "spanId": hex::encode(link.span) }),
        );
        let mut span = json!({
            "traceId": hex::encode(self.place.trace), "spanId": hex::encode(self.place.span),
            "name": self.name, "kind": 1, "attributes": attributes, "links": links.collect::<Vec<_>>(),
            "startTimeUnixNano": self.began.as_nanosecond().to_string(),
            "endTimeUnixNano": self.ended.as_nanosecond().to_string(),
        });
        if let Some(parent) = self.parent {
            span["parentSpanId"] = hex::encode(parent).into();
        }
        span["status"] = match &self.failure {
            Some(message) => json!({ "code": 2, "message": message }),
            None => json!({ "code": 1 }),
        };
        span
    }
}

/// Returns the spans of a run: its own first. None where it brought nothing new, or is about no revision.
fn spans<K: Reconciled>(before: &K, after: &K, run: &Run<'_>) -> Vec<Span> {
    let published = published(before, after);
    let used = run.trail.used();
    let (place, parent, links) = match (&published, used) {
        (Some(artifact), used) => {
            let place = Place::of(artifact);
            let other = used.filter(|used| used.trace != place.trace);
            let parent = used
                .filter(|used| used.trace == place.trace)
                .map(|used| used.span);
            (place, parent, other.into_iter().collect())
        }
        (None, Some(used)) if is_news(before, after, run) => {
            (used.beside(), Some(used.span), Vec::new())
        }
        (None, _) => return Vec::new(),
    };
    let meta = after.meta();
    let mut attributes = vec![
        ("k8s.object.kind", K::kind(&()).into_owned()),
        (
            "k8s.namespace.name",
            meta.namespace.clone().unwrap_or_default(),
        ),
        ("k8s.object.name", meta.name.clone().unwrap_or_default()),
    ];
    if let Some(revision) = published
        .map(|artifact| artifact.revision)
        .or_else(|| run.trail.revision())
    {
        attributes.push(("gitops.revision", revision));
    }
    let name = format!(
        "{} {}",
        K::kind(&()),
        meta.name.as_deref().unwrap_or_default()
    );
    let mut all = vec![Span {
        place,
        parent,
        links,
        name,
        began: run.began,
        ended: run.ended,
        attributes,
        failure: run.failure.clone(),
    }];
    all.extend(run.trail.stages().into_iter().map(|stage| Span {
        place: place.beside(),
        parent: Some(place.span),
        links: Vec::new(),
        name: stage.name.to_owned(),
        began: stage.began,
        ended: stage.ended,
        attributes: Vec::new(),
        failure: None,
    }));
    all
}

/// Returns the artifact that a run published.
fn published<K: Reconciled>(before: &K, after: &K) -> Option<Artifact> {
    let of = |object: &K| -> Option<Artifact> {
        let mut object = serde_json::to_value(object).ok()?;
        serde_json::from_value(object.pointer_mut("/status/artifact")?.take()).ok()
    };
    let now = of(after)?;
    let is_old = of(before).is_some_and(|old| old.is_same_as(&now));
    (!is_old).then_some(now)
}

/// Whether a run had something new to do, or went wrong: one that found everything as it was has nothing to tell.
fn is_news<K: Reconciled>(before: &K, after: &K, run: &Run<'_>) -> bool {
    let revision = |object: &K| {
        let object = serde_json::to_value(object).unwrap_or_default();
        object.pointer("/status/lastAttemptedRevision").cloned()
    };
    run.failure.is_some()
        || before.meta().generation != before.observed_generation()
        || !conditions::is_true(before.conditions(), READY)
        || !conditions::is_true(after.conditions(), READY)
        || revision(before) != revision(after)
}

#[cfg(test)]
mod tests {
    use api::{kustomize::Kustomization, source::GitRepository};

    use super::*;

    fn artifact(revision: &str, digest: &str) -> Value {
        json!({ "path": "gitrepository/ns/app/x.tar.gz", "url": "http://a/x", "revision": revision, "digest": digest,
            "lastUpdateTime": "2026-01-01T00:00:00Z" })
    }

    fn object<K: Reconciled>(spec: &Value, status: &Value) -> K {
        let object = json!({ "metadata": { "name": "app", "namespace": "ns", "generation": 1 }, "spec": spec, "status": status });
        serde_json::from_value(object).unwrap()
    }

    fn repository(status: &Value) -> GitRepository {
        object(
            &json!({ "interval": "1m", "url": "https://git.example/app" }),
            status,
        )
    }

    fn unit(attempted: &str) -> Kustomization {
        let ready = json!({ "type": "Ready", "status": "True", "reason": "ReconciliationSucceeded", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z" });
        object(
            &json!({ "interval": "1m", "prune": true, "sourceRef": { "kind": "GitRepository", "name": "app" } }),
            &json!({ "observedGeneration": 1, "conditions": [ready], "lastAttemptedRevision": attempted }),
        )
    }

    fn of<K: Reconciled>(
        before: &K,
        after: &K,
        trail: &Trail,
        failure: Option<&str>,
    ) -> Vec<Value> {
        let (began, ended) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(2).unwrap());
        let failure = failure.map(str::to_owned);
        let run = Run {
            trail,
            began,
            ended,
            failure,
        };
        spans(before, after, &run)
            .iter()
            .map(Span::to_json)
            .collect()
    }

    #[test]
    fn runs_about_one_commit_are_one_trace() {
        let made = artifact("main@sha1:abc", "sha256:d");
        let (none, some) = (
            repository(&json!({})),
            repository(&json!({ "artifact": made })),
        );
        let source = of(&none, &some, &Trail::new(true), None);
        assert_eq!(source.len(), 1);
        assert_eq!(source[0]["parentSpanId"], Value::Null);
        assert_eq!(source[0]["endTimeUnixNano"], "2000000000");

        let trail = Trail::new(true);
        trail.uses(&serde_json::from_value(made).unwrap());
        trail.add("health", Timestamp::UNIX_EPOCH);
        let used = of(&unit("main@sha1:old"), &unit("main@sha1:abc"), &trail, None);
        assert_eq!(used.len(), 2);
        assert!(
            used.iter()
                .all(|span| span["traceId"] == source[0]["traceId"])
        );
        assert_eq!(used[0]["parentSpanId"], source[0]["spanId"]);
        assert_eq!(
            (&used[1]["name"], &used[1]["parentSpanId"]),
            (&json!("health"), &used[0]["spanId"])
        );

        let elsewhere = artifact("other@sha1:abc", "sha256:e");
        let again = of(
            &none,
            &repository(&json!({ "artifact": elsewhere })),
            &Trail::new(true),
            None,
        );
        assert_eq!(
            again[0]["traceId"], source[0]["traceId"],
            "the commit is the same"
        );
        assert_ne!(again[0]["spanId"], source[0]["spanId"]);
    }

    #[test]
    fn charts_of_the_same_version_are_not_one_trace() {
        let chart =
            |digest: &str| Place::of(&serde_json::from_value(artifact("1.0.0", digest)).unwrap());
        assert_ne!(chart("sha256:d").trace, chart("sha256:e").trace);
    }

    #[test]
    fn runs_that_bring_nothing_new_are_not_told_and_failures_are() {
        let made = artifact("main@sha1:abc", "sha256:d");
        let same = repository(&json!({ "artifact": made }));
        assert!(of(&same, &same, &Trail::new(true), None).is_empty());
        let trail = Trail::new(true);
        trail.uses(&serde_json::from_value(made).unwrap());
        let unit = unit("main@sha1:abc");
        assert!(of(&unit, &unit, &trail, None).is_empty());
        let failed = of(&unit, &unit, &trail, Some("no such file"));
        assert_eq!(
            failed[0]["status"],
            json!({ "code": 2, "message": "no such file" })
        );
    }
}
