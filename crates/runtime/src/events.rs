//! Events: to the Kubernetes API and to the notification-controller.
//!
//! A reconcile only puts an event into bounded queues; a task for each receiver sends them in
//! order. A slow or absent receiver never holds a reconcile back, nor the other receiver; what a
//! queue cannot hold is logged and dropped.

mod core;
mod webhook;

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Client, Resource};
use serde::Serialize;
use tokio::sync::mpsc;

use self::webhook::Webhook;

/// Annotations with this prefix are copied from an object into its events.
const EVENT_ANNOTATION_PREFIX: &str = "event.toolkit.fluxcd.io/";
/// How many events wait for either receiver at most.
const QUEUE: usize = 1024;

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Goes to the Kubernetes API only, as Normal.
    Trace,
    /// Normal.
    Info,
    /// Warning.
    Error,
}

/// One thing to tell about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How much it matters.
    pub severity: Severity,
    /// A CamelCase word.
    pub reason: String,
    /// The text; no credentials.
    pub message: String,
    /// More facts, as annotations of the event.
    pub metadata: BTreeMap<String, String>,
    /// Whether it says what was said before: the Kubernetes API gets no event of it then.
    pub repeated: bool,
}

impl Note {
    /// Creates a note without metadata.
    #[must_use]
    pub fn new(severity: Severity, reason: &str, message: impl Into<String>) -> Self {
        Self {
            severity,
            reason: reason.to_owned(),
            message: message.into(),
            metadata: BTreeMap::new(),
            repeated: false,
        }
    }

    /// Says what was said before: only the webhook gets it.
    #[must_use]
    pub fn repeated(mut self, repeated: bool) -> Self {
        self.repeated = repeated;
        self
    }

    /// Creates a note of severity info.
    #[must_use]
    pub fn info(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Severity::Info, reason, message)
    }

    /// Creates a note of severity trace.
    #[must_use]
    pub fn trace(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Severity::Trace, reason, message)
    }

    /// Creates a note of severity error.
    #[must_use]
    pub fn error(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, reason, message)
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }
}

/// An event on its way.
#[derive(Clone, Debug)]
struct Entry {
    about: ObjectReference,
    note: Note,
    at: Timestamp,
}

/// Takes events; cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder {
    core: mpsc::Sender<Entry>,
    webhook: Option<mpsc::Sender<Entry>>,
}

impl Recorder {
    /// Starts the task that sends events; it ends once every recorder is dropped and both queues
    /// are empty.
    #[must_use]
    pub fn start(
        client: Client,
        controller: &'static str,
        instance: String,
        webhook: Option<String>,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (core, entries) = mpsc::channel(QUEUE);
        let writer = core::Writer::new(client, controller);
        let writing = tokio::spawn(writer.run(entries));
        let webhook = webhook.filter(|url| !url.is_empty());
        let hook = webhook.and_then(|url| Webhook::new(url, controller, instance));
        let (webhook, posting) = hook
            .map(|hook| {
                let (sender, entries) = mpsc::channel(QUEUE);
                (sender, tokio::spawn(hook.run(entries)))
            })
            .unzip();
        let both = tokio::spawn(async move {
            drop(writing.await);
            if let Some(posting) = posting {
                drop(posting.await);
            }
        });
        (Self { core, webhook }, both)
    }

    /// Puts an event about an object into the queues.
    pub fn emit<K: Resource<DynamicType = ()>>(&self, object: &K, note: Note) {
        let mut note = note;
        for (key, value) in object.meta().annotations.iter().flatten() {
            if key.starts_with(EVENT_ANNOTATION_PREFIX) {
                note.metadata.insert(key.clone(), value.clone());
            }
        }
        note.message = crate::redact::redact(&note.message).into_owned();
        let mut about = object.object_ref(&());
        about.api_version = Some(K::api_version(&()).into_owned());
        about.kind = Some(K::kind(&()).into_owned());
        let at = Timestamp::now();
        let entry = Entry { about, note, at };
        // Alerts choose objects by namespace: what has none is nobody's.
        if let Some(webhook) = &self.webhook
            && entry.note.severity != Severity::Trace
            && entry.about.namespace.is_some()
            && webhook.try_send(entry.clone()).is_err()
        {
            tracing::warn!("event not forwarded: the notification queue is full");
        }
        if !entry.note.repeated && self.core.try_send(entry).is_err() {
            tracing::warn!("event not written: the event queue is full");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::client::Body;

    use super::*;

    /// An API server that takes requests and never answers.
    fn silent() -> Client {
        let service = tower::service_fn(|_: http::Request<Body>| {
            std::future::pending::<Result<http::Response<Body>, tower::BoxError>>()
        });
        Client::new(service, "default")
    }

    #[tokio::test]
    async fn what_was_said_before_goes_to_the_webhook_alone() {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let [port] = testkit::free_ports().unwrap();
        let webhook = Some(format!("http://127.0.0.1:{port}/"));
        let (mut recorder, _sending) = Recorder::start(silent(), "x", "pod".into(), webhook);
        let (core, mut written) = mpsc::channel(2);
        let (webhook, mut posted) = mpsc::channel(2);
        (recorder.core, recorder.webhook) = (core, Some(webhook));
        let mut object = ConfigMap::default();
        object.metadata.namespace = Some("default".into());
        recorder.emit(&object, Note::info("Said", "again").repeated(true));
        assert_eq!(posted.try_recv().unwrap().note.message, "again");
        assert!(written.try_recv().is_err());
        recorder.emit(&object, Note::info("Said", "first"));
        assert_eq!(written.try_recv().unwrap().note.message, "first");
    }

    #[tokio::test]
    async fn full_queues_drop_what_they_cannot_hold_and_keep_nobody_waiting() {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        // Nothing listens at a port that was just free.
        let [port] = testkit::free_ports().unwrap();
        let webhook = Some(format!("http://127.0.0.1:{port}/"));
        let (recorder, _sending) = Recorder::start(silent(), "x", "pod".into(), webhook);
        let mut object = ConfigMap::default();
        object.metadata.namespace = Some("default".into());
        let began = Instant::now();
        for n in 0..5 * QUEUE {
            recorder.emit(&object, Note::info("Said", format!("{n}")));
        }
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(recorder.core.capacity(), 0);
        assert_eq!(recorder.webhook.unwrap().capacity(), 0);
    }

    #[tokio::test]
    async fn object_annotations_for_events_travel_and_others_do_not() {
        let (core, mut entries) = mpsc::channel(1);
        let recorder = Recorder {
            core,
            webhook: None,
        };
        let object: ConfigMap = serde_json::from_value(serde_json::json!({ "metadata": {
            "name": "a", "annotations": { "event.toolkit.fluxcd.io/a": "object", "b": "x" } } }))
        .unwrap();
        let note = Note::error("Failed", "at https://u:p@example.org/")
            .with("event.toolkit.fluxcd.io/a", "note")
            .with("c", "note");
        recorder.emit(&object, note);
        let entry = entries.recv().await.unwrap();
        let metadata: Vec<_> = entry.note.metadata.into_iter().collect();
        let expect = [("c", "note"), ("event.toolkit.fluxcd.io/a", "object")];
        assert_eq!(metadata, expect.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(entry.note.message, "at https://*****@example.org/");
        assert_eq!(entry.about.api_version.as_deref(), Some("v1"));
    }
}
