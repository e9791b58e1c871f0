//! Events on their way to the notification-controller.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::ObjectReference;
use serde::Serialize;
use tokio::sync::mpsc;

use super::{Entry, Severity};

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// For an answer.
    timeout: Duration,
    /// After the first failure; doubled at each.
    pause: Duration,
    /// In all, from when the event was made: one that waited longer behind others is tried once.
    patience: Duration,
}

const PACE: Pace = Pace {
    timeout: Duration::from_secs(5),
    pause: Duration::from_millis(250),
    patience: Duration::from_secs(40),
};
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// The body that is POSTed.
///
/// Source: <https://github.com/fluxcd/pkg> `apis/event/v1beta1`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Notification<'a> {
    involved_object: &'a ObjectReference,
    severity: Severity,
    timestamp: String,
    message: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    reporting_controller: &'a str,
    reporting_instance: &'a str,
}

/// Sends notifications one after the other, so that their order holds.
pub(super) struct Webhook {
    client: reqwest::Client,
    url: String,
    controller: &'static str,
    instance: String,
    pace: Pace,
}

/// What an answer means.
enum Answer {
    Done,
    Again(String),
    Refused(String),
}

impl Webhook {
    pub(super) fn new(url: String, controller: &'static str, instance: String) -> Option<Self> {
        Self::with_pace(url, controller, instance, PACE)
    }

    fn with_pace(
        url: String,
        controller: &'static str,
        instance: String,
        pace: Pace,
    ) -> Option<Self> {
        let client = reqwest::Client::builder()
            .timeout(pace.timeout)
            .pool_max_idle_per_host(1)
            .no_proxy()
            .build();
        match client {
            Ok(client) => Some(Self {
                client,
                url,
                controller,
                instance,
                pace,
            }),
            Err(error) => {
                let cause = crate::failure::chain(&error);
                tracing::error!(error = cause, "events are not forwarded");
                None
            }
        }
    }

    pub(super) async fn run(self, mut entries: mpsc::Receiver<Entry>) {
        while let Some(entry) = entries.recv().await {
            self.send(&entry, Instant::now()).await;
        }
    }

    /// POSTs, again on connection errors and 5xx; 429 says that it is a duplicate.
    async fn send(&self, entry: &Entry, began: Instant) {
        let age = jiff::Timestamp::now().duration_since(entry.at);
        let age = Duration::try_from(age).unwrap_or_default();
        let mut pause = self.pace.pause;
        loop {
            let cause = match self.post(entry).await {
                Answer::Done => return,
                Answer::Refused(cause) => {
                    tracing::warn!(error = cause, "event refused by the notification receiver");
                    return;
                }
                Answer::Again(cause) => cause,
            };
            if age + began.elapsed() + pause > self.pace.patience {
                tracing::warn!(error = cause, "event not forwarded");
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn post(&self, entry: &Entry) -> Answer {
        let body = Notification {
            involved_object: &entry.about,
            severity: entry.note.severity,
            timestamp: crate::conditions::whole_seconds(entry.at).to_string(),
            message: &entry.note.message,
            reason: &entry.note.reason,
            metadata: &entry.note.metadata,
            reporting_controller: self.controller,
            reporting_instance: &self.instance,
        };
        match self.client.post(&self.url).json(&body).send().await {
            Ok(answer) => {
                let status = answer.status();
                // Read to its end, the connection serves the next one.
                drop(answer.bytes().await);
                if status.is_success() || status.as_u16() == 429 {
                    Answer::Done
                } else if status.is_server_error() {
                    Answer::Again(status.to_string())
                } else {
                    Answer::Refused(status.to_string())
                }
            }
            Err(error) if error.is_builder() => {
                Answer::Refused(crate::failure::chain(&error.without_url()))
            }
            Err(error) => Answer::Again(crate::failure::chain(&error.without_url())),
        }
    }
}

#[cfg(test)]
mod tests;
