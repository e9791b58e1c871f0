//! Tells alerts that ask for it (`spec.recovered`) that an object is ready again.
//!
//! An error that was sent opens an incident, unless the object is ready all the same (drift that is
//! put right at once). Its Ready condition is then looked at until it is True for the current
//! generation; that is told once, and closes the incident. Incidents survive a restart.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use api::notification::Alert;
use jiff::Timestamp;
use kube::{
    Api, Client, ResourceExt,
    api::DynamicObject,
    runtime::reflector::{ObjectRef, Store},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    courier::Courier,
    delivery::Delivery,
    limiter::{self, Key, Limiter},
    metadata, resource_of,
};
use crate::event::{Event, Involved};

/// How often the objects of open incidents are looked at.
const PERIOD: Duration = Duration::from_secs(10);
/// How many incidents are open at most.
const MOST: usize = 1000;
/// How many keys an incident remembers, to give back.
const MOST_KEYS: usize = 32;

/// The reason of the event that is sent.
pub const RECOVERED: &str = "Recovered";

/// An error that an alert was told, of an object that is not ready.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Incident {
    namespace: String,
    alert: String,
    alert_uid: String,
    object: Involved,
    /// What was told, in hex.
    keys: Vec<String>,
    /// Whether the object was seen not to be ready.
    seen: bool,
}

/// Watches over open incidents.
pub struct Recovery {
    client: Client,
    alerts: Store<Alert>,
    courier: Arc<Courier>,
    limiter: Arc<Limiter>,
    per_alert: Arc<Limiter>,
    file: PathBuf,
    open: Mutex<BTreeMap<String, Incident>>,
    wake: Notify,
}

impl std::fmt::Debug for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recovery").finish_non_exhaustive()
    }
}

/// What an object's status says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Health {
    Ready(String),
    NotReady,
    Gone,
}

impl Recovery {
    /// Goes on with the incidents of a folder's file.
    pub(crate) fn new(
        client: Client,
        alerts: Store<Alert>,
        courier: Arc<Courier>,
        (limiter, per_alert): (Arc<Limiter>, Arc<Limiter>),
        folder: &Path,
    ) -> Arc<Self> {
        let file = folder.join("incidents.json");
        let read = fs::read(&file).ok();
        let open = read.and_then(|text| serde_json::from_slice(&text).ok());
        Arc::new(Self {
            client,
            alerts,
            courier,
            limiter,
            per_alert,
            file,
            open: Mutex::new(open.unwrap_or_default()),
            wake: Notify::new(),
        })
    }

    /// Notes that an alert is told of an error.
    pub fn told(&self, alert: &Alert, event: &Event, key: &Key) {
        let asks = alert.recovered().unwrap_or_else(|error| {
            let cause = runtime::failure::chain(&error);
            tracing::error!(error = cause, alert = %alert.name_any(), "recovered is not known");
            false
        });
        if !asks || !event.is_error() {
            return;
        }
        let uid = alert.uid().unwrap_or_default();
        let name = format!("{uid}/{}", event.involved_object.id());
        let mut open = self.lock();
        if open.len() >= MOST && !open.contains_key(&name) {
            tracing::error!("too many objects are not ready: their recovery is not told");
            return;
        }
        let incident = open.entry(name).or_insert_with(|| Incident {
            namespace: alert.namespace().unwrap_or_default(),
            alert: alert.name_any(),
            alert_uid: uid,
            object: event.involved_object.clone(),
            keys: Vec::new(),
            seen: false,
        });
        if incident.keys.len() < MOST_KEYS {
            incident.keys.push(hex::encode(key));
        }
        self.store(&open);
        drop(open);
        self.wake.notify_one();
    }

    /// Looks again soon: an object that has an incident had news.
    pub fn news(&self, event: &Event) {
        let object = &event.involved_object;
        let concerned = self.lock().values().any(|i| {
            (&i.object.kind, &i.object.namespace, &i.object.name)
                == (&object.kind, &object.namespace, &object.name)
        });
        if concerned {
            self.wake.notify_one();
        }
    }

    /// Looks at the objects until told to stop.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
            let open: Vec<_> = self.lock().clone().into_iter().collect();
            for (name, incident) in open {
                if stop.is_cancelled() {
                    return;
                }
                self.look(&name, &incident).await;
            }
        }
    }

    async fn look(&self, name: &str, incident: &Incident) {
        let Some(alert) = self.alert_of(incident) else {
            self.close(name);
            return;
        };
        match self.health(&incident.object).await {
            Ok(Health::Ready(message)) => {
                self.close(name);
                if incident.seen {
                    self.tell(&alert, incident, &message);
                }
            }
            Ok(Health::NotReady) if !incident.seen => {
                let mut open = self.lock();
                if let Some(incident) = open.get_mut(name) {
                    incident.seen = true;
                }
                self.store(&open);
            }
            Ok(Health::NotReady) => {}
            Ok(Health::Gone) => self.close(name),
            Err(error) => {
                let cause = runtime::failure::chain(&error);
                tracing::error!(error = cause, object = %incident.object.id(), "cannot see whether it is ready");
            }
        }
    }

    /// The alert, if it is still the same and still asks.
    fn alert_of(&self, incident: &Incident) -> Option<Arc<Alert>> {
        let reference = ObjectRef::new(&incident.alert).within(&incident.namespace);
        let alert = self.alerts.get(&reference)?;
        let same = alert.uid().unwrap_or_default() == incident.alert_uid;
        let asks = alert.recovered().unwrap_or_default() && !alert.spec.suspend.unwrap_or_default();
        (same && asks).then_some(alert)
    }

    async fn health(&self, object: &Involved) -> kube::Result<Health> {
        let resource = resource_of(&object.api_version, &object.kind);
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &object.namespace, &resource);
        let found = api.get_opt(&object.name).await?;
        Ok(found.map_or(Health::Gone, |found| {
            judge(found.metadata.generation, &found.data["status"])
        }))
    }

    fn tell(&self, alert: &Alert, incident: &Incident, message: &str) {
        let event = Event {
            involved_object: incident.object.clone(),
            severity: "info".into(),
            timestamp: Some(Timestamp::now()),
            message: format!("{} is ready again: {message}", incident.object.id()),
            reason: RECOVERED.into(),
            reporting_controller: crate::CONTROLLER.name.into(),
            reporting_instance: runtime::env::hostname(),
            ..Event::default()
        };
        let summary = alert.spec.summary.as_deref();
        let (merged, _) = metadata::merge(&event, &alert.spec.event_metadata, summary);
        let event = Event {
            metadata: merged,
            ..event
        };
        let key = limiter::key_of(&event);
        self.courier.take(&Delivery::new(alert, event, key));
        // The next failure is news, even where it is the same one.
        let keys = incident.keys.iter().filter_map(|key| hex::decode(key).ok());
        for key in keys.filter_map(|key| Key::try_from(key).ok()) {
            self.limiter.give_back(&key);
            let own = limiter::key_for(&incident.alert_uid, &key);
            self.per_alert.give_back(&own);
        }
    }

    fn close(&self, name: &str) {
        let mut open = self.lock();
        if open.remove(name).is_some() {
            self.store(&open);
        }
    }

    fn store(&self, open: &BTreeMap<String, Incident>) {
        if let Err(error) = write(&self.file, open) {
            tracing::error!(%error, "open incidents cannot be stored");
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Incident>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(file: &Path, open: &BTreeMap<String, Incident>) -> io::Result<()> {
    let text = serde_json::to_vec(open).map_err(io::Error::other)?;
    let next = file.with_extension("next");
    fs::write(&next, text)?;
    fs::rename(&next, file)
}

/// Reads conditions as kstatus does: Ready for this generation, and nothing under way.
fn judge(generation: Option<i64>, status: &Value) -> Health {
    let observed = status["observedGeneration"].as_i64();
    if observed.is_some() && generation.is_some() && observed < generation {
        return Health::NotReady;
    }
    let find = |kind: &str| {
        let mut all = status["conditions"].as_array().into_iter().flatten();
        all.find(|c| c["type"] == kind)
    };
    let holds = |kind: &str| find(kind).is_some_and(|c| c["status"] == "True");
    match find("Ready") {
        Some(ready) if ready["status"] == "True" && !holds("Reconciling") && !holds("Stalled") => {
            Health::Ready(ready["message"].as_str().unwrap_or_default().to_owned())
        }
        _ => Health::NotReady,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_ready_for_the_current_generation_is_ready_again() {
        let status = |conditions: Value, observed: i64| {
            json!({
            "observedGeneration": observed, "conditions": conditions })
        };
        let ready = json!({ "type": "Ready", "status": "True", "message": "fine" });
        let going = json!({ "type": "Reconciling", "status": "True" });
        let fine = Health::Ready("fine".into());
        assert_eq!(judge(Some(2), &status(json!([ready]), 2)), fine);
        assert_eq!(judge(Some(3), &status(json!([ready]), 2)), Health::NotReady);
        assert_eq!(
            judge(Some(2), &status(json!([ready, going]), 2)),
            Health::NotReady
        );
        let failed = json!([{ "type": "Ready", "status": "False" }]);
        assert_eq!(judge(Some(2), &status(failed, 2)), Health::NotReady);
        assert_eq!(judge(None, &Value::Null), Health::NotReady);
    }
}
