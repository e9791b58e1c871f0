//! Events to alerts, alerts to providers: what happens between the event server and a service.
//!
//! An event is cleaned, compared with what was told lately, matched with alerts, and written to the
//! [spool](spool), one record per alert. [`Courier`](courier::Courier) sends what the spool holds.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use api::notification::{Alert, ObjectReference, Provider};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject},
    core::GroupVersionKind,
    runtime::reflector::{ObjectRef, Store},
};
use runtime::Note;

use self::{
    courier::Courier,
    delivery::Delivery,
    limiter::{Key, Limiter, Verdict},
    matching::{Filters, Sources},
    recovery::Recovery,
    tell::Teller,
};
use crate::{
    event::{CHANGE_REQUEST, COMMIT, Event, SHARED_PREFIX},
    provider,
};

pub mod courier;
pub mod delivery;
pub mod limiter;
pub mod matching;
pub mod metadata;
pub mod queue;
pub mod recovery;
pub mod spool;
pub mod tell;

/// How long matching one event may take.
const BUDGET: Duration = Duration::from_secs(15);

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It was taken, whether or not it reaches an alert.
    Taken,
    /// It was told already, and counts for this long.
    Duplicate(Duration),
}

/// Finds the alerts of events and hands them to the courier.
pub struct Dispatcher {
    pub(crate) client: Client,
    pub(crate) alerts: Store<Alert>,
    pub(crate) providers: Store<Provider>,
    pub(crate) limiter: Arc<Limiter>,
    /// What each alert was told; outlives a key that was given back for another alert's sake.
    pub(crate) per_alert: Arc<Limiter>,
    pub(crate) filters: Filters,
    pub(crate) teller: Arc<Teller>,
    pub(crate) courier: Arc<Courier>,
    pub(crate) recovery: Arc<Recovery>,
    pub(crate) no_cross_namespace: bool,
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher").finish_non_exhaustive()
    }
}

impl Dispatcher {
    /// Returns how long an event counts as told.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.limiter.interval()
    }

    /// Takes an event. When this returns, what is to be sent of it is in the spool.
    pub async fn accept(&self, mut event: Event) -> Accepted {
        metadata::clean(&mut event);
        let key = limiter::key_of(&event);
        if let Verdict::Seen(left) = self.limiter.take(key, Instant::now()) {
            return Accepted::Duplicate(left);
        }
        metadata::strip_internal(&mut event);
        let found = tokio::time::timeout(BUDGET, self.matching(&event)).await;
        let alerts = found.unwrap_or_else(|_| {
            tracing::error!("matching an event with alerts took too long");
            Vec::new()
        });
        let object = &event.involved_object;
        if alerts.is_empty() {
            tracing::debug!(
                object = %object.id(),
                "discarding event, no alerts found for the involved object"
            );
        }
        let mut dropped = Dropped::default();
        let mut any = false;
        for alert in alerts {
            any |= self.dispatch(&alert, &event, key, &mut dropped);
        }
        dropped.say(&event);
        if !any {
            self.limiter.give_back(&key);
        }
        self.recovery.news(&event);
        Accepted::Taken
    }

    /// Returns the alerts that an event reaches.
    async fn matching(&self, event: &Event) -> Vec<Arc<Alert>> {
        let mut found = Vec::new();
        for alert in self.alerts.state() {
            if alert.spec.suspend.unwrap_or_default() {
                continue;
            }
            let meant = match matching::sources(&alert, event) {
                Sources::No => false,
                Sources::Yes => true,
                Sources::ByLabels(sources) => self.by_labels(&alert, event, &sources).await,
            };
            if !meant {
                continue;
            }
            let filtered = self.filters.check(&alert, &event.message);
            for fault in filtered.faults {
                let note = Note::error("InvalidConfig", fault);
                self.teller.tell(&alert, note);
            }
            if filtered.passes {
                found.push(alert);
            }
        }
        found.sort_by_key(|alert| (alert.namespace(), alert.name_any()));
        found
    }

    /// Whether the object of an event has the labels of one of these sources.
    async fn by_labels(&self, alert: &Alert, event: &Event, sources: &[&ObjectReference]) -> bool {
        let id = event.involved_object.id();
        let valid: Vec<_> = sources
            .iter()
            .filter(|source| {
                let valid = matching::is_selector(&source.match_labels);
                if !valid {
                    let message = format!("error using matchLabels from event source {id}");
                    self.teller
                        .tell(alert, Note::error("InvalidConfig", message));
                }
                valid
            })
            .collect();
        if valid.is_empty() {
            return false;
        }
        match self.labels(event).await {
            Ok(labels) => valid
                .iter()
                .any(|source| matching::has_labels(&source.match_labels, &labels)),
            Err(error) => {
                let cause = runtime::failure::chain(&error);
                tracing::error!(
                    error = cause,
                    object = id,
                    "failed to get the source object"
                );
                let message = format!("error getting source object {id}");
                self.teller
                    .tell(alert, Note::error("SourceFetchFailed", message));
                false
            }
        }
    }

    async fn labels(&self, event: &Event) -> kube::Result<BTreeMap<String, String>> {
        let object = &event.involved_object;
        let resource = resource_of(&object.api_version, &object.kind);
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &object.namespace, &resource);
        let found = api.get_metadata(&object.name).await?;
        Ok(found.metadata.labels.unwrap_or_default())
    }

    /// Hands an event to an alert's provider. Returns true where it was taken over, now or before.
    fn dispatch(&self, alert: &Arc<Alert>, event: &Event, key: Key, dropped: &mut Dropped) -> bool {
        let namespace = alert.namespace().unwrap_or_default();
        let object = &event.involved_object;
        if self.no_cross_namespace && namespace != object.namespace {
            let cause = format!(
                "discarding event, access denied to cross-namespace sources: alert \
                 '{namespace}/{}' can't process event from '{}', cross-namespace references \
                 have been blocked",
                alert.name_any(),
                object.id()
            );
            self.teller.not_dispatched(alert, event, &cause);
            return false;
        }
        let name = &alert.spec.provider_ref.name;
        let Some(provider) = self.providers.get(&ObjectRef::new(name).within(&namespace)) else {
            self.teller.not_dispatched(alert, event, &no_provider(name));
            return false;
        };
        if provider.spec.suspend.unwrap_or_default() || !wants(&provider, alert, event, dropped) {
            return false;
        }
        let own_key = limiter::key_for(&alert.uid().unwrap_or_default(), &key);
        if self.per_alert.take(own_key, Instant::now()) != Verdict::New {
            return true;
        }
        let merged = self.merged(alert, event);
        tracing::debug!(object = %object.id(), alert = %alert.name_any(), "dispatching event");
        self.courier.take(&Delivery::new(alert, merged, key));
        self.recovery.told(alert, event, &key);
        true
    }

    /// Returns the event as this alert sends it on.
    fn merged(&self, alert: &Alert, event: &Event) -> Event {
        let summary = alert.spec.summary.as_deref();
        let (merged, conflicts) = metadata::merge(event, &alert.spec.event_metadata, summary);
        if !conflicts.is_empty() {
            let message = "metadata key conflicts detected (please refer to the Alert API docs \
                           and Flux RFC 0008 for more information)";
            let mut note = Note::error("MetadataAppendFailed", message);
            note.metadata = conflicts;
            self.teller.tell(alert, note);
        }
        Event {
            metadata: merged,
            ..event.clone()
        }
    }
}

/// The words for a provider that is missing.
pub(crate) fn no_provider(name: &str) -> String {
    format!("failed to read provider: Provider.notification.toolkit.fluxcd.io \"{name}\" not found")
}

/// Returns how a kind is asked for.
pub(crate) fn resource_of(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

/// Alerts that did not get an event for want of metadata.
#[derive(Debug, Default)]
struct Dropped {
    commit_status: Vec<String>,
    change_request: Vec<String>,
}

impl Dropped {
    fn say(&self, event: &Event) {
        let object = event.involved_object.id();
        if !self.commit_status.is_empty() {
            tracing::info!(
                object, alerts = %self.commit_status.join(","),
                "event dropped for commit status providers due to missing commit metadata key"
            );
        }
        if !self.change_request.is_empty() {
            tracing::info!(
                object, alerts = %self.change_request.join(","),
                "event dropped for change request providers due to missing change request metadata key"
            );
        }
    }
}

/// Whether a provider of this type is told of such an event.
fn wants(provider: &Provider, alert: &Alert, event: &Event, dropped: &mut Dropped) -> bool {
    let kind = provider.spec.kind;
    let has = |key: &str| {
        let value = event.metadata.get(&format!("{SHARED_PREFIX}{key}"));
        value.is_some_and(|v| !v.is_empty())
    };
    let update = event.is_commit_status_update();
    let id = || {
        format!(
            "{}/{}",
            alert.namespace().unwrap_or_default(),
            alert.name_any()
        )
    };
    if provider::is_commit_status(kind) {
        let wanted = update || event.is_error() || has(COMMIT);
        if !wanted {
            dropped.commit_status.push(id());
        }
        return wanted;
    }
    if update && !provider::is_generic(kind) {
        return false;
    }
    if provider::is_change_request(kind) && !has(CHANGE_REQUEST) {
        dropped.change_request.push(id());
        return false;
    }
    true
}
