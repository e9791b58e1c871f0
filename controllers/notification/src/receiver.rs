//! The Receiver kind: a path that only who knows the token can compute.
//!
//! Source: notification-controller v1.9.3 `internal/controller/receiver_controller.go`.

use std::time::Duration;

use api::notification::{Receiver, ReceiverKind};
use futures::{StreamExt, stream::BoxStream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt, api::PartialObjectMeta, runtime::reflector::ObjectRef};
use runtime::{
    Change, Conduct, Failure, Moment, Next, Note, Progress, Report, Summary, Triggers,
    conduct::{Begin, Retry},
    watch,
};
use sha2::{Digest, Sha256};

pub(crate) mod filter;
mod validate;

const IN_PROGRESS: &str = "Reconciliation in progress";
const DEFAULT_INTERVAL: Duration = Duration::from_mins(10);

/// Reconciles Receivers.
pub struct Reconciler {
    pub(crate) client: Client,
    /// Which Secrets wake their Receivers; none where the gate says so.
    pub(crate) configs: Option<String>,
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconciler").finish_non_exhaustive()
    }
}

impl runtime::Reconciler for Reconciler {
    type Object = Receiver;
    type Inputs = Vec<u8>;
    type Plan = ();
    type Outcome = String;

    const CONDUCT: Conduct = Conduct {
        owned: &[],
        summary: Summary::Explicit,
        retry: Retry::Exponential,
        closes_suspended: false,
        begin: Begin::WithFirstNote(IN_PROGRESS),
        plans_at_length: false,
        heeds_requests: true,
    };

    async fn gather(&self, object: &Receiver, _: &Progress) -> Result<Vec<u8>, Failure> {
        validate::check(object).map_err(|fault| {
            let message = format!(
                "Reconciliation failed terminally due to configuration error: {}",
                fault.message
            );
            Failure::stall(fault.reason, message)
        })?;
        if object.spec.kind == ReceiverKind::GenericOidc {
            return Ok(Vec::new());
        }
        token(&self.client, object).await.map_err(no_token)
    }

    fn plan(object: &Receiver, token: Vec<u8>, _: Timestamp) -> Result<Next<(), String>, Failure> {
        let namespace = object.namespace().unwrap_or_default();
        Ok(Next::Done(path(&token, &object.name_any(), &namespace)))
    }

    async fn act(&self, _: &Receiver, (): (), _: &Progress) -> Result<String, Failure> {
        Ok(String::new())
    }

    fn report(object: &Receiver, path: &String, _: Moment) -> Report {
        let message = format!("Receiver initialized for path: {path}");
        let interval = interval(object);
        let next = api::meta::Duration::from(interval);
        let finished = format!("Reconciliation finished, next run in {next}");
        Report {
            change: Change::default()
                .condition("Ready", "True", "Succeeded", message)
                .set("webhookPath", path),
            notes: vec![Note::info("Succeeded", finished)],
            requeue: Some(interval),
        }
    }

    async fn cleanup(&self, _: &Receiver, _: &Progress) -> Result<Vec<Note>, Failure> {
        Ok(Vec::new())
    }

    /// A Secret that changed wakes the Receivers that name it.
    fn triggers(
        &self,
        triggers: &Triggers<Receiver>,
    ) -> Vec<BoxStream<'static, ObjectRef<Receiver>>> {
        let Some(selector) = &self.configs else {
            return Vec::new();
        };
        let store = triggers.store();
        let scope = watch::Scope {
            selector: Some(selector.clone()).filter(|s| !s.is_empty()),
            ..triggers.scope().clone()
        };
        let secrets = watch::touched::<PartialObjectMeta<Secret>>(triggers.client(), &scope);
        let woken = secrets.flat_map(move |secret| {
            let hits = store.state_filter(|receiver| {
                let named = receiver.spec.secret_ref.as_ref().map(|r| &r.name);
                receiver.namespace() == secret.namespace() && named == Some(&secret.name_any())
            });
            let hits: Vec<_> = hits.iter().map(|r| ObjectRef::from_obj(&**r)).collect();
            futures::stream::iter(hits)
        });
        vec![woken.boxed()]
    }
}

fn interval(object: &Receiver) -> Duration {
    let interval = object.spec.interval.map(Duration::from);
    interval
        .filter(|i| !i.is_zero())
        .unwrap_or(DEFAULT_INTERVAL)
}

/// Computes a receiver's path: whoever does not know the token cannot guess it.
#[must_use]
pub fn path(token: &[u8], name: &str, namespace: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(token);
    hash.update(name);
    hash.update(namespace);
    format!("/hook/{}", hex::encode(hash.finalize()))
}

/// Reads the token of a receiver's Secret.
///
/// # Errors
/// A sentence.
pub(crate) async fn token(client: &Client, object: &Receiver) -> Result<Vec<u8>, String> {
    let data = secret(client, object).await?;
    let token = data.get("token").filter(|t| !t.is_empty()).cloned();
    token.ok_or_else(|| {
        format!(
            "invalid '{}' secret data: required fields 'token'",
            secret_id(object)
        )
    })
}

fn secret_id(object: &Receiver) -> String {
    let name = object.spec.secret_ref.as_ref().map(|r| r.name.as_str());
    let namespace = object.namespace().unwrap_or_default();
    format!("{namespace}/{}", name.unwrap_or_default())
}

/// Reads a receiver's Secret.
///
/// # Errors
/// A sentence.
pub(crate) async fn secret(
    client: &Client,
    object: &Receiver,
) -> Result<std::collections::BTreeMap<String, Vec<u8>>, String> {
    let namespace = object.namespace().unwrap_or_default();
    let name = object.spec.secret_ref.as_ref().map(|r| r.name.as_str());
    let api = Api::<Secret>::namespaced(client.clone(), &namespace);
    match api.get(name.unwrap_or_default()).await {
        Ok(secret) => {
            let data = secret.data.unwrap_or_default();
            Ok(data.into_iter().map(|(k, v)| (k, v.0)).collect())
        }
        Err(error) => Err(format!(
            "unable to read token from secret '{}' error: {}",
            secret_id(object),
            runtime::failure::chain(&error)
        )),
    }
}

fn no_token(message: String) -> Failure {
    let going = Change::default().condition("Reconciling", "True", "Progressing", IN_PROGRESS);
    let note = Note::error("Failed", message.clone());
    Failure::retry("TokenNotFound", message)
        .with(going.unset("webhookPath"))
        .note(note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_the_digest_of_token_name_and_namespace() {
        let expect = hex::encode(Sha256::digest("tokentest-receiverdefault"));
        assert_eq!(
            path(b"token", "test-receiver", "default"),
            format!("/hook/{expect}")
        );
        let recorded = "/hook/3ad5b77a9e7b43557eb3e0fa7420dd498649fabf2481545b4c2109f7551ebe62";
        let got = path(b"s3cret", "plain", "s-notification-receiver-generic");
        assert_eq!(got, recorded);
    }

    #[test]
    fn interval_of_old_objects_is_ten_minutes() {
        assert_eq!(interval(&Receiver::default()), DEFAULT_INTERVAL);
    }
}
