//! Tokens of clouds: of a service account's key, or of the identity that the Provider's or the pod's service account has.

use access::{Asker, IdentityError};
use cloud::gcp::{AccountKey, SCOPES};
use net_http::HeaderValue;

use super::{SendError, Settings, outgoing};

impl Settings {
    /// Says on behalf of what a token is asked for.
    pub(super) fn asker(&self) -> Asker<'_> {
        Asker {
            kind: "Provider",
            namespace: &self.namespace,
            name: &self.name,
            operation: OPERATION,
            account: self.service_account.as_deref(),
            proxy: &self.proxy,
        }
    }
}

/// What tokens are for, as the metrics name it.
pub(crate) const OPERATION: &str = "post";

/// Returns what lets in at Google's services: a token of the key that the Secret holds, else of an identity.
///
/// # Errors
/// There is none to be had.
pub(super) async fn google(
    settings: &Settings,
    key: Option<&AccountKey>,
) -> Result<HeaderValue, SendError> {
    let asker = settings.asker();
    let token = match key {
        Some(key) => {
            let words = ["gcp-key", settings.token.trim()];
            let ask = || key.token(&settings.client, &SCOPES);
            settings.identities.exchanged(&asker, &words, ask).await
        }
        None => settings.identities.google_token(&asker).await,
    };
    bearer(token)
}

/// Returns what lets in at one of Azure's services: a token of an identity.
///
/// # Errors
/// There is none to be had.
pub(super) async fn azure(settings: &Settings, scope: &str) -> Result<HeaderValue, SendError> {
    let asker = settings.asker();
    bearer(settings.identities.azure_token(&asker, scope).await)
}

/// Makes a header of a token.
pub(super) fn bearer(token: Result<String, IdentityError>) -> Result<HeaderValue, SendError> {
    let token = token.map_err(|error| {
        let cause = runtime::failure::chain(&error);
        match error {
            IdentityError::Gate
            | IdentityError::Annotations { .. }
            | IdentityError::Cloud(cloud::Error::Invalid(_)) => SendError::rejected(cause),
            _ => SendError::failed(cause),
        }
    })?;
    outgoing::header_value("Authorization", &format!("Bearer {token}"))
        .map_err(|error| SendError::rejected(error.to_string()))
}
