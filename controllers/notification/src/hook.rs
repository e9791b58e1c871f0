//! How each service that calls a webhook proves who it is: one file per type of receiver.

use std::collections::BTreeMap;

use api::notification::{Receiver, ReceiverKind};
use bytes::Bytes;
use serde_json::Value;
use subtle::ConstantTimeEq;

use crate::server::Received;

mod acr;
mod bitbucket;
mod cdevents;
mod dockerhub;
mod gcr;
mod generic;
mod generic_hmac;
mod generic_oidc;
mod github;
mod gitlab;
mod harbor;
mod jwt;
pub mod keys;
mod nexus;
mod quay;
mod signature;

pub(crate) use generic_oidc::compile;

/// A call that was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// The body for filters: what came, or what was wrapped in it.
    pub body: Bytes,
    /// Whether the body is JSON whatever the headers say.
    pub unwrapped: bool,
    /// The claims of the caller's token, where it had one.
    pub claims: Option<Value>,
}

impl Verified {
    fn plain(request: &Received) -> Self {
        Self {
            body: request.body.clone(),
            unwrapped: false,
            claims: None,
        }
    }
}

/// A receiver's Secret.
pub type Secret = BTreeMap<String, Vec<u8>>;

/// Checks a call.
///
/// # Errors
/// Why it is refused, for the log; nothing of it is secret.
pub async fn verify(
    receiver: &Receiver,
    secret: &Secret,
    request: &Received,
    keys: &keys::Keys,
) -> Result<Verified, String> {
    use ReceiverKind as Kind;
    let token = secret.get("token").map(Vec::as_slice).unwrap_or_default();
    if token.is_empty() && receiver.spec.kind != Kind::GenericOidc {
        return Err("the secret has no token".into());
    }
    let events = &receiver.spec.events;
    let plain = match receiver.spec.kind {
        Kind::GenericOidc => return generic_oidc::verify(receiver, request, keys).await,
        Kind::Gcr => return gcr::verify(secret, request, keys).await,
        Kind::Generic => generic::verify(request),
        Kind::GenericHmac => generic_hmac::verify(token, request),
        Kind::Github => github::verify(token, events, request),
        Kind::Gitlab => gitlab::verify(token, events, request),
        Kind::Bitbucket => bitbucket::verify(token, events, request),
        Kind::Harbor => harbor::verify(token, request),
        Kind::Dockerhub => dockerhub::verify(request),
        Kind::Quay => quay::verify(request),
        Kind::Nexus => nexus::verify(token, request),
        Kind::Acr => acr::verify(request),
        Kind::Cdevents => cdevents::verify(events, request),
    };
    plain.map(|()| Verified::plain(request))
}

/// Compares a secret without telling by the time it takes where or how much it differs.
fn is_same(given: &[u8], secret: &[u8]) -> bool {
    use sha2::{Digest, Sha256};
    // Digests are of one length, whatever the texts' are.
    Sha256::digest(given).ct_eq(&Sha256::digest(secret)).into()
}

/// Whether an event is one of those that a receiver lists; where it lists none, any is.
fn is_listed(event: &str, events: &[String]) -> bool {
    events.is_empty() || events.iter().any(|e| e.eq_ignore_ascii_case(event))
}

/// Reads a body that has to be a JSON object, with texts at these paths where there is anything.
fn json_with(body: &[u8], texts: &[&[&str]]) -> Result<(), String> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| format!("cannot decode the payload: {error}"))?;
    if !value.is_object() {
        return Err("cannot decode the payload: not an object".into());
    }
    for path in texts {
        let mut at = &value;
        for (depth, key) in path.iter().enumerate() {
            at = match at.get(key) {
                None | Some(Value::Null) => break,
                Some(Value::String(_)) if depth + 1 == path.len() => break,
                Some(next @ Value::Object(_)) if depth + 1 < path.len() => next,
                Some(_) => {
                    let path = path.join(".");
                    return Err(format!(
                        "cannot decode the payload: {path} is of another type"
                    ));
                }
            };
        }
    }
    Ok(())
}

#[cfg(test)]
mod payloads;
#[cfg(test)]
mod tests;
