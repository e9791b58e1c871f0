//! Events: to the Kubernetes API and to the notification-controller.
//!
//! A reconcile only puts an event into a bounded queue; one task writes them. A slow or absent
//! receiver never holds a reconcile back; what the queue cannot hold is logged and dropped.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Event, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams, PostParams},
};
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;

/// Annotations with this prefix are copied from an object into its events.
const EVENT_ANNOTATION_PREFIX: &str = "event.toolkit.fluxcd.io/";
const QUEUE: usize = 1024;
const REMEMBERED: usize = 4096;
const REPEAT_WINDOW: Duration = Duration::from_mins(10);
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(5);
const WEBHOOK_TRIES: u32 = 5;
/// client-go's limit of an event's message, in bytes.
const MAX_MESSAGE: usize = 1024;

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
        }
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

/// The body that is POSTed to the notification-controller.
///
/// Source: <https://github.com/fluxcd/pkg> `apis/event/v1beta1`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    involved_object: ObjectReference,
    severity: Severity,
    timestamp: String,
    message: String,
    reason: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    reporting_controller: String,
    reporting_instance: String,
}

#[derive(Debug)]
struct Entry {
    about: ObjectReference,
    note: Note,
    at: Timestamp,
}

/// Takes events; cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: mpsc::Sender<Entry>,
}

impl Recorder {
    /// Starts the task that writes events; it ends once every recorder is dropped and the queue is
    /// empty.
    #[must_use]
    pub fn start(
        client: Client,
        controller: &'static str,
        instance: String,
        webhook: Option<String>,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, entries) = mpsc::channel(QUEUE);
        let writer = Writer {
            client,
            controller,
            instance,
            webhook: webhook.filter(|w| !w.is_empty()).and_then(Webhook::start),
            seen: HashMap::new(),
        };
        (Self { queue }, tokio::spawn(writer.run(entries)))
    }

    /// Puts an event about an object into the queue.
    pub fn emit<K: Resource<DynamicType = ()>>(&self, object: &K, note: Note) {
        let mut note = note;
        for (key, value) in object.meta().annotations.iter().flatten() {
            if key.starts_with(EVENT_ANNOTATION_PREFIX) {
                note.metadata
                    .entry(key.clone())
                    .or_insert_with(|| value.clone());
            }
        }
        let mut about = object.object_ref(&());
        about.api_version = Some(K::api_version(&()).into_owned());
        about.kind = Some(K::kind(&()).into_owned());
        if self
            .queue
            .try_send(Entry {
                about,
                note,
                at: Timestamp::now(),
            })
            .is_err()
        {
            tracing::warn!("event dropped: the event queue is full");
        }
    }
}

struct Writer {
    client: Client,
    controller: &'static str,
    instance: String,
    webhook: Option<mpsc::Sender<Notification>>,
    seen: HashMap<(String, String, String, String), Seen>,
}

struct Seen {
    name: String,
    count: i32,
    last: Instant,
}

impl Writer {
    async fn run(mut self, mut entries: mpsc::Receiver<Entry>) {
        while let Some(entry) = entries.recv().await {
            if let Some(webhook) = &self.webhook
                && entry.note.severity != Severity::Trace
                && webhook.try_send(self.notification(&entry)).is_err()
            {
                tracing::warn!("event not forwarded: the notification queue is full");
            }
            if let Err(error) = self.write(&entry).await {
                let cause = crate::failure::chain(&error);
                tracing::warn!(error = %cause, "event not written");
            }
        }
    }

    fn notification(&self, entry: &Entry) -> Notification {
        Notification {
            involved_object: entry.about.clone(),
            severity: entry.note.severity,
            timestamp: seconds(entry.at),
            message: entry.note.message.clone(),
            reason: entry.note.reason.clone(),
            metadata: entry.note.metadata.clone(),
            reporting_controller: self.controller.to_owned(),
            reporting_instance: self.instance.clone(),
        }
    }

    /// Writes a core/v1 Event; the same words about the same object within ten minutes only count
    /// one up.
    async fn write(&mut self, entry: &Entry) -> kube::Result<()> {
        let namespace = entry.about.namespace.as_deref().unwrap_or("default");
        let api = Api::<Event>::namespaced(self.client.clone(), namespace);
        let key = (
            entry.about.uid.clone().unwrap_or_default(),
            format!("{:?}", entry.note.severity),
            entry.note.reason.clone(),
            entry.note.message.clone(),
        );
        if self.seen.len() >= REMEMBERED {
            self.seen.retain(|_, s| s.last.elapsed() < REPEAT_WINDOW);
            if self.seen.len() >= REMEMBERED {
                self.seen.clear();
            }
        }
        if let Some(seen) = self.seen.get_mut(&key)
            && seen.last.elapsed() < REPEAT_WINDOW
        {
            seen.count += 1;
            seen.last = Instant::now();
            let patch = json!({ "count": seen.count, "lastTimestamp": Time(entry.at),
                "metadata": { "annotations": entry.note.metadata } });
            match api
                .patch(&seen.name, &PatchParams::default(), &Patch::Merge(patch))
                .await
            {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => return other.map(drop),
            }
        }
        let event = self.event(entry, namespace);
        let name = event.metadata.name.clone().unwrap_or_default();
        api.create(&PostParams::default(), &event).await?;
        self.seen.insert(
            key,
            Seen {
                name,
                count: 1,
                last: Instant::now(),
            },
        );
        Ok(())
    }

    fn event(&self, entry: &Entry, namespace: &str) -> Event {
        let about = entry.about.name.as_deref().unwrap_or_default();
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{about}.{:x}", Timestamp::now().as_nanosecond())),
                namespace: Some(namespace.to_owned()),
                annotations: Some(entry.note.metadata.clone()).filter(|m| !m.is_empty()),
                ..ObjectMeta::default()
            },
            involved_object: entry.about.clone(),
            reason: Some(entry.note.reason.clone()),
            message: Some(cut(&entry.note.message)),
            type_: Some(
                if entry.note.severity == Severity::Error {
                    "Warning"
                } else {
                    "Normal"
                }
                .into(),
            ),
            source: Some(EventSource {
                component: Some(self.controller.into()),
                host: None,
            }),
            reporting_component: Some(self.controller.into()),
            first_timestamp: Some(Time(entry.at)),
            last_timestamp: Some(Time(entry.at)),
            count: Some(1),
            ..Event::default()
        }
    }
}

/// Sends notifications one after the other, so that their order holds.
struct Webhook {
    client: reqwest::Client,
    url: String,
}

impl Webhook {
    fn start(url: String) -> Option<mpsc::Sender<Notification>> {
        let client = match reqwest::Client::builder()
            .timeout(WEBHOOK_TIMEOUT)
            .no_proxy()
            .build()
        {
            Ok(client) => client,
            Err(error) => {
                tracing::error!(%error, "events are not forwarded");
                return None;
            }
        };
        let (queue, mut notifications) = mpsc::channel::<Notification>(QUEUE);
        let webhook = Self { client, url };
        tokio::spawn(async move {
            while let Some(notification) = notifications.recv().await {
                webhook.send(&notification).await;
            }
        });
        Some(queue)
    }

    /// POSTs with retries on connection errors and 5xx; 429 says that it is a duplicate.
    async fn send(&self, notification: &Notification) {
        for attempt in 0..WEBHOOK_TRIES {
            match self.client.post(&self.url).json(notification).send().await {
                Ok(answer) if answer.status().is_server_error() => {}
                Ok(answer) => {
                    let code = answer.status().as_u16();
                    if !answer.status().is_success() && code != 429 {
                        tracing::warn!(code, "event refused by the notification receiver");
                    }
                    return;
                }
                Err(error) if error.is_builder() => break,
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(250) * 2_u32.pow(attempt)).await;
        }
        tracing::warn!("event not forwarded: the notification receiver does not answer");
    }
}

fn cut(message: &str) -> String {
    if message.len() <= MAX_MESSAGE {
        return message.to_owned();
    }
    let mut end = MAX_MESSAGE;
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end].to_owned()
}

fn seconds(at: Timestamp) -> String {
    crate::conditions::whole_seconds(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_message_is_cut_on_a_character() {
        let cut = cut(&"ü".repeat(600));
        assert_eq!(cut.len(), MAX_MESSAGE);
        assert!(cut.chars().all(|c| c == 'ü'));
    }

    #[test]
    fn notification_has_whole_seconds() {
        let at = Timestamp::new(1_800_000_000, 5).unwrap();
        assert_eq!(seconds(at), "2027-01-15T08:00:00Z");
    }
}
