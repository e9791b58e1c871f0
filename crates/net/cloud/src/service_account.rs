//! Keys of service accounts at Google, exchanged for tokens.
//!
//! Source: <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rsa::RsaPrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::signature::{SignatureEncoding, Signer};
use serde::Deserialize;
use serde_json::json;

use crate::form::Form;

const TOKENS: &str = "https://oauth2.googleapis.com/token";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The key of a service account, as Google hands it out.
#[derive(Clone, Deserialize)]
pub struct ServiceAccount {
    /// Who asks.
    pub client_email: String,
    /// The key, PKCS #8 in PEM.
    pub private_key: String,
    /// The name of the key; may be empty.
    #[serde(default)]
    pub private_key_id: String,
    /// Where tokens are given out; absent: Google's own.
    #[serde(default)]
    pub token_uri: Option<String>,
}

impl std::fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceAccount")
            .field("client_email", &self.client_email)
            .finish_non_exhaustive()
    }
}

/// Why a service account cannot ask for a token. The key shows in none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceAccountError {
    /// It is no JSON with the fields of a service account.
    #[error("the service account cannot be read: no JSON with client_email and private_key")]
    Json,
    /// The private key is none.
    #[error("the service account's private key cannot be read")]
    Key,
    /// The private key does not sign.
    #[error("the service account's private key cannot sign")]
    Sign,
}

impl ServiceAccount {
    /// Reads the file that Google hands out.
    ///
    /// # Errors
    /// [`ServiceAccountError::Json`].
    pub fn parse(json: &[u8]) -> Result<Self, ServiceAccountError> {
        serde_json::from_slice(json).map_err(|_| ServiceAccountError::Json)
    }

    /// Returns the request for a token. `scope` holds one scope, or several with spaces between them.
    ///
    /// # Errors
    /// [`ServiceAccountError::Key`], [`ServiceAccountError::Sign`].
    pub fn token_request(&self, scope: &str, now: Timestamp) -> Result<Form, ServiceAccountError> {
        let url = self.token_uri.as_deref().filter(|url| !url.is_empty());
        let url = url.unwrap_or(TOKENS);
        let assertion = self.assertion(url, scope, now)?;
        Ok(Form::new(
            url,
            &[("grant_type", GRANT), ("assertion", &assertion)],
        ))
    }

    /// A signed claim that the service account asks for a token.
    fn assertion(
        &self,
        audience: &str,
        scope: &str,
        now: Timestamp,
    ) -> Result<String, ServiceAccountError> {
        let key = RsaPrivateKey::from_pkcs8_pem(&self.private_key)
            .map_err(|_| ServiceAccountError::Key)?;
        let head = json!({ "alg": "RS256", "typ": "JWT", "kid": self.private_key_id });
        let claims = json!({
            "iss": self.client_email,
            "scope": scope,
            "aud": audience,
            "iat": now.as_second(),
            "exp": now.as_second() + 3600,
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&head), part(&claims));
        let signature = SigningKey::<rsa::sha2::Sha256>::new(key)
            .try_sign(text.as_bytes())
            .map_err(|_| ServiceAccountError::Sign)?;
        Ok(format!(
            "{text}.{}",
            URL_SAFE_NO_PAD.encode(signature.to_bytes())
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_none_are_refused_without_being_shown() {
        assert_eq!(
            ServiceAccount::parse(b"{\"client_email\": 1}").unwrap_err(),
            ServiceAccountError::Json
        );
        let account = ServiceAccount::parse(
            b"{\"client_email\": \"a@x\", \"private_key\": \"s3cret\", \"more\": 1}",
        );
        let account = account.unwrap();
        assert!(!format!("{account:?}").contains("s3cret"));
        let error = account.token_request("s", Timestamp::UNIX_EPOCH);
        assert_eq!(error.unwrap_err(), ServiceAccountError::Key);
    }
}
