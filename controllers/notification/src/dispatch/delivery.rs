//! One notification as it lies in the spool.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Instant,
};

use api::notification::Alert;
use jiff::Timestamp;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use super::{limiter::Key, queue::Pending, spool::Id};
use crate::event::Event;

/// One event for one alert, as it is spooled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delivery {
    pub(super) namespace: String,
    pub(super) alert: String,
    pub(super) alert_uid: String,
    pub(super) provider: String,
    /// What happened, in hex.
    pub(super) key: String,
    /// When it was taken, in milliseconds since 1970.
    pub(super) accepted: i64,
    pub(super) event: Event,
}

impl Delivery {
    /// Describes an event, merged with an alert's metadata, on its way to the alert's provider.
    #[must_use]
    pub fn new(alert: &Alert, event: Event, key: Key) -> Self {
        Self {
            namespace: alert.namespace().unwrap_or_default(),
            alert: alert.name_any(),
            alert_uid: alert.uid().unwrap_or_default(),
            provider: alert.spec.provider_ref.name.clone(),
            key: hex::encode(key),
            accepted: Timestamp::now().as_millisecond(),
            event,
        }
    }

    pub(super) fn lane(&self) -> String {
        format!("{}/{}", self.namespace, self.provider)
    }

    pub(super) fn pending(&self, id: Id, deadline: Instant) -> Pending {
        let mut object = DefaultHasher::new();
        self.event.involved_object.hash(&mut object);
        Pending {
            id,
            object: object.finish(),
            deadline,
            attempts: 0,
        }
    }

    pub(super) fn key(&self) -> Option<Key> {
        hex::decode(&self.key).ok()?.try_into().ok()
    }
}
