//! Events in the Kubernetes API, as `kubectl describe` shows them.
//!
//! Source: client-go v0.34 `tools/record`: names, counting up, the length of messages.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Event, EventSource},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::sync::mpsc;

use super::{Entry, Severity};

const REMEMBERED: usize = 4096;
const REPEAT_WINDOW: Duration = Duration::from_mins(10);
/// client-go's limit of an event's message, in bytes.
const MAX_MESSAGE: usize = 1024;
const MAX_NAME: usize = 253;
const TIMEOUT: Duration = Duration::from_secs(10);
/// The pauses between tries while the API server cannot be reached.
const PAUSES: &[Duration] = &[
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// Writes core/v1 Events; the same words about the same object within ten minutes only count one
/// up.
pub(super) struct Writer {
    client: Client,
    controller: &'static str,
    seen: HashMap<u64, Seen>,
}

struct Seen {
    name: String,
    count: i32,
    last: Instant,
}

impl Writer {
    pub(super) fn new(client: Client, controller: &'static str) -> Self {
        Self {
            client,
            controller,
            seen: HashMap::new(),
        }
    }

    pub(super) async fn run(mut self, mut entries: mpsc::Receiver<Entry>) {
        while let Some(entry) = entries.recv().await {
            if let Err(cause) = self.deliver(&entry).await {
                tracing::warn!(error = cause, "event not written");
            }
        }
    }

    async fn deliver(&mut self, entry: &Entry) -> Result<(), String> {
        let mut pauses = PAUSES.iter();
        loop {
            let cause = match tokio::time::timeout(TIMEOUT, self.write(entry)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(kube::Error::Api(status))) if status.code < 500 && status.code != 429 => {
                    return Err(status.message);
                }
                Ok(Err(error)) => crate::failure::chain(&error),
                Err(_) => "the API server does not answer".into(),
            };
            match pauses.next() {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Err(cause),
            }
        }
    }

    async fn write(&mut self, entry: &Entry) -> kube::Result<()> {
        let namespace = entry.about.namespace.as_deref().unwrap_or("default");
        let api = Api::<Event>::namespaced(self.client.clone(), namespace);
        let key = fingerprint(entry);
        if let Some(seen) = self.seen.get_mut(&key)
            && seen.last.elapsed() < REPEAT_WINDOW
        {
            let patch = json!({ "count": seen.count + 1, "lastTimestamp": Time(entry.at),
                "metadata": { "annotations": entry.note.metadata } });
            let params = PatchParams::default();
            match api.patch(&seen.name, &params, &Patch::Merge(patch)).await {
                Ok(_) => {
                    seen.count += 1;
                    seen.last = Instant::now();
                    return Ok(());
                }
                // It has expired on the server: a new one.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
        let event = event(self.controller, entry, namespace);
        let name = event.metadata.name.clone().unwrap_or_default();
        api.create(&PostParams::default(), &event).await?;
        self.remember(key, name);
        Ok(())
    }

    fn remember(&mut self, key: u64, name: String) {
        if self.seen.len() >= REMEMBERED {
            self.seen.retain(|_, s| s.last.elapsed() < REPEAT_WINDOW);
        }
        if self.seen.len() >= REMEMBERED {
            self.seen.clear();
        }
        let last = Instant::now();
        let count = 1;
        self.seen.insert(key, Seen { name, count, last });
    }
}

/// The whole message would be too much to keep thousands of.
fn fingerprint(entry: &Entry) -> u64 {
    let mut hasher = DefaultHasher::new();
    entry.about.uid.hash(&mut hasher);
    (entry.note.severity == Severity::Error).hash(&mut hasher);
    entry.note.reason.hash(&mut hasher);
    entry.note.message.hash(&mut hasher);
    hasher.finish()
}

fn event(controller: &str, entry: &Entry, namespace: &str) -> Event {
    let about = entry.about.name.as_deref().unwrap_or_default();
    let suffix = format!(".{:x}", Timestamp::now().as_nanosecond());
    let kind = if entry.note.severity == Severity::Error {
        "Warning"
    } else {
        "Normal"
    };
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}{suffix}", cut(about, MAX_NAME - suffix.len()))),
            namespace: Some(namespace.to_owned()),
            annotations: Some(entry.note.metadata.clone()).filter(|m| !m.is_empty()),
            ..ObjectMeta::default()
        },
        involved_object: entry.about.clone(),
        reason: Some(entry.note.reason.clone()),
        message: Some(cut(&entry.note.message, MAX_MESSAGE).to_owned()),
        type_: Some(kind.into()),
        source: Some(EventSource {
            component: Some(controller.into()),
            host: None,
        }),
        reporting_component: Some(controller.into()),
        first_timestamp: Some(Time(entry.at)),
        last_timestamp: Some(Time(entry.at)),
        count: Some(1),
        ..Event::default()
    }
}

fn cut(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ObjectReference;

    use super::*;
    use crate::Note;

    fn entry(name: &str, message: &str) -> Entry {
        Entry {
            about: ObjectReference {
                name: Some(name.into()),
                uid: Some("u".into()),
                ..ObjectReference::default()
            },
            note: Note::error("Failed", message),
            at: Timestamp::new(1_800_000_000, 5).unwrap(),
        }
    }

    #[test]
    fn long_message_is_cut_on_a_character() {
        let event = event("x", &entry("a", &"ü".repeat(600)), "ns");
        let message = event.message.unwrap();
        assert_eq!(message.len(), MAX_MESSAGE);
        assert!(message.chars().all(|c| c == 'ü'));
    }

    #[test]
    fn name_stays_within_the_limit_of_names() {
        let event = event("x", &entry(&"a".repeat(253), "m"), "ns");
        assert!(event.metadata.name.unwrap().len() <= MAX_NAME);
    }

    #[test]
    fn other_words_are_another_event() {
        let (a, b) = (entry("a", "one"), entry("a", "two"));
        assert_ne!(fingerprint(&a), fingerprint(&b));
        assert_eq!(fingerprint(&a), fingerprint(&entry("a", "one")));
    }
}
