//! What an alert is told as Kubernetes events: each thing once per interval, never a credential.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use api::notification::Alert;
use kube::ResourceExt;
use runtime::{Note, events::Recorder};
use sha2::{Digest, Sha256};

use super::limiter::{Limiter, Verdict};
use crate::event::Event;

/// Reason of the events about notifications that were not sent.
pub const DISPATCH_FAILED: &str = "NotificationDispatchFailed";

/// Emits events about alerts.
#[derive(Debug)]
pub struct Teller {
    recorder: Recorder,
    told: Limiter,
}

impl Teller {
    /// Returns a teller that says the same of an alert once per interval.
    #[must_use]
    pub fn new(recorder: Recorder, interval: Duration) -> Arc<Self> {
        Arc::new(Self {
            recorder,
            told: Limiter::new(interval),
        })
    }

    /// Tells an alert something.
    pub fn tell(&self, alert: &Alert, note: Note) {
        let mut hash = Sha256::new();
        let uid = alert.uid().unwrap_or_default();
        let facts = note.metadata.iter().flat_map(|(k, v)| [k, v]);
        for part in [&uid, &note.reason, &note.message].into_iter().chain(facts) {
            hash.update(part);
            hash.update([0]);
        }
        if self.told.take(hash.finalize().into(), Instant::now()) != Verdict::New {
            return;
        }
        let (namespace, name) = (alert.namespace().unwrap_or_default(), alert.name_any());
        tracing::error!(
            reason = note.reason, error = %note.message, namespace, name, "alert has a problem"
        );
        self.recorder.emit(alert, note);
    }

    /// Says that an event could not be prepared for sending.
    pub fn not_dispatched(&self, alert: &Alert, event: &Event, cause: &str) {
        let id = event.involved_object.id();
        let message = format!("failed to dispatch notification for {id}: {cause}");
        self.tell(alert, Note::error(DISPATCH_FAILED, message));
    }

    /// Says that an event could not be sent.
    pub fn not_sent(&self, alert: &Alert, event: &Event, cause: &str) {
        let id = event.involved_object.id();
        let message = format!("failed to send notification for {id}: {cause}");
        self.tell(alert, Note::error(DISPATCH_FAILED, message));
    }
}
