//! What a Provider's status says of deliveries: when the last one went through, and why the last
//! one that did not failed.
//!
//! The status has no default and no conditions, so that nothing waits for it. It is written within
//! a second when something changes, and once a minute at most while nothing does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use api::notification::Provider;
use jiff::Timestamp;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    runtime::reflector::{ObjectRef, Store},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const TICK: Duration = Duration::from_millis(500);
const SELDOM: Duration = Duration::from_mins(1);
/// The longest message that is written.
const MAX_MESSAGE: usize = 1024;

#[derive(Clone, Debug, Default)]
struct Health {
    delivered: Option<Timestamp>,
    failed: Option<Timestamp>,
    message: String,
    /// Something changed that is not written yet.
    news: bool,
    /// A time passed on that is not written yet.
    stale: bool,
    written: Option<Instant>,
}

/// Collects how deliveries go and writes it.
pub(crate) struct Statuses {
    client: Client,
    providers: Store<Provider>,
    known: Mutex<BTreeMap<(String, String), Health>>,
}

impl Statuses {
    pub(crate) fn new(client: Client, providers: Store<Provider>) -> Arc<Self> {
        Arc::new(Self {
            client,
            providers,
            known: Mutex::default(),
        })
    }

    /// A service took a notification.
    pub(crate) fn delivered(&self, namespace: &str, name: &str) {
        let mut known = self.lock();
        let health = known.entry((namespace.into(), name.into())).or_default();
        let after_failure = health.failed > health.delivered;
        health.news |= health.delivered.is_none() || after_failure;
        health.stale = true;
        health.delivered = Some(Timestamp::now());
    }

    /// A notification was not sent. The cause has no credentials in it.
    pub(crate) fn failed(&self, namespace: &str, name: &str, cause: &str) {
        let mut known = self.lock();
        let health = known.entry((namespace.into(), name.into())).or_default();
        let cause = &cause[..cause.floor_char_boundary(MAX_MESSAGE)];
        let after_success = health.delivered >= health.failed;
        health.news |= health.message != cause || after_success;
        health.stale = true;
        cause.clone_into(&mut health.message);
        health.failed = Some(Timestamp::now());
    }

    /// Writes until told to stop.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(TICK) => {}
            }
            for ((namespace, name), health) in self.due() {
                self.write(&namespace, &name, &health).await;
            }
        }
    }

    fn due(&self) -> Vec<((String, String), Health)> {
        let mut known = self.lock();
        known.retain(|(namespace, name), _| {
            let reference = ObjectRef::new(name).within(namespace);
            self.providers.get(&reference).is_some()
        });
        let mut due = Vec::new();
        for (key, health) in known.iter_mut() {
            let rested = health.written.is_none_or(|at| at.elapsed() >= SELDOM);
            if health.news || (health.stale && rested) {
                health.news = false;
                health.stale = false;
                health.written = Some(Instant::now());
                due.push((key.clone(), health.clone()));
            }
        }
        due
    }

    async fn write(&self, namespace: &str, name: &str, health: &Health) {
        let api = Api::<Provider>::namespaced(self.client.clone(), namespace);
        let reference = ObjectRef::new(name).within(namespace);
        let Some(provider) = self.providers.get(&reference) else {
            return;
        };
        let patch = json!({ "metadata": { "uid": provider.uid() }, "status": status(health) });
        let params = PatchParams {
            field_manager: Some(crate::CONTROLLER.field_owner.to_owned()),
            ..PatchParams::default()
        };
        match api.patch_status(name, &params, &Patch::Merge(patch)).await {
            Ok(_) => {}
            // Gone, or upstream's definition, which has no status.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(error) => {
                let cause = runtime::failure::chain(&error);
                tracing::error!(
                    error = cause,
                    namespace,
                    name,
                    "status of provider not written"
                );
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), Health>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn status(health: &Health) -> Value {
    let whole = |at: Timestamp| {
        Timestamp::from_second(at.as_second())
            .unwrap_or(at)
            .to_string()
    };
    let mut status = json!({});
    if let Some(at) = health.delivered {
        status["lastDeliveryTime"] = whole(at).into();
    }
    if let Some(at) = health.failed {
        status["lastFailureTime"] = whole(at).into();
        status["lastFailureMessage"] = health.message.as_str().into();
    }
    status
}
