//! One attempt: the provider's notifier, made lately or now, tells its service.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use api::notification::{Alert, Provider};
use kube::{ResourceExt, runtime::reflector::ObjectRef};

use super::{Courier, Delivery};
use crate::{
    dispatch::no_provider,
    provider::{self, AlertIdentity, BuildError, Notice, SendError, Settings},
    status_name,
};

/// How long a notifier is used before its Secrets are read again.
const FRESH: Duration = Duration::from_secs(5);
/// How many notifiers are kept.
const KEPT: usize = 256;

/// A notifier ready to be used.
pub(super) struct Prepared {
    generation: Option<i64>,
    uid: Option<String>,
    made: Instant,
    notifier: provider::Boxed,
    settings: Arc<Settings>,
}

/// How an attempt failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nothing was sent.
    Prepare(BuildError),
    /// It was tried.
    Send(SendError),
    /// Nobody is to be told any more.
    Moot,
}

impl Courier {
    pub(super) async fn send(&self, alert: &Alert, delivery: &Delivery) -> Result<(), Fault> {
        let reference = ObjectRef::new(&delivery.provider).within(&delivery.namespace);
        let Some(provider) = self.parts.providers.get(&reference) else {
            return Err(Fault::Prepare(BuildError::new(no_provider(
                &delivery.provider,
            ))));
        };
        if provider.spec.suspend.unwrap_or_default() {
            return Err(Fault::Moot);
        }
        let prepared = self.prepare(&provider).await.map_err(|error| {
            let what = format!(
                "failed to initialize notifier for provider '{}'",
                delivery.provider
            );
            Fault::Prepare(error.within(&what))
        })?;
        let status = status_name::of(&provider, alert, &delivery.event).map_err(Fault::Prepare)?;
        let notice = Notice {
            event: delivery.event.clone(),
            alert: AlertIdentity {
                namespace: delivery.namespace.clone(),
                name: delivery.alert.clone(),
                uid: delivery.alert_uid.clone(),
            },
            status,
        };
        let timeout = prepared.settings.timeout;
        let sent = tokio::time::timeout(timeout, prepared.notifier.send(&notice)).await;
        let error = match sent {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => {
                let timeout = api::meta::Duration::from(timeout);
                SendError::failed(format!("no answer within {timeout}"))
            }
        };
        // The Secret may have changed.
        self.forget(&delivery.lane());
        let redact = |text: String| prepared.settings.redactor.redact(&text);
        Err(Fault::Send(match error {
            SendError::Rejected(message) => SendError::Rejected(redact(message)),
            SendError::Failed { message, after } => SendError::Failed {
                message: redact(message),
                after,
            },
        }))
    }

    /// Returns the notifier of a provider, made lately or now.
    async fn prepare(&self, provider: &Provider) -> Result<Arc<Prepared>, BuildError> {
        let namespace = provider.namespace().unwrap_or_default();
        let key = format!("{namespace}/{}", provider.name_any());
        {
            let kept = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(prepared) = kept.get(&key)
                && prepared.generation == provider.metadata.generation
                && prepared.uid == provider.uid()
                && prepared.made.elapsed() < FRESH
            {
                return Ok(Arc::clone(prepared));
            }
        }
        let settings = Arc::new(self.parts.loader.load(provider).await?);
        let notifier = provider::build(&settings)
            .map_err(|error| error.redacted(&settings.redactor))
            .map_err(|error| error.within("failed to initialize notifier"))?;
        let prepared = Arc::new(Prepared {
            generation: provider.metadata.generation,
            uid: provider.uid(),
            made: Instant::now(),
            notifier,
            settings,
        });
        let mut kept = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&prepared));
        Ok(prepared)
    }

    fn forget(&self, lane: &str) {
        let mut kept = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(lane);
    }
}
