//! Google Cloud KMS, with a service account.
//!
//! Source: <https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/decrypt>.

use base64::{Engine, engine::general_purpose::STANDARD};
use cloud::service_account::{ServiceAccount, ServiceAccountError};
use jiff::Timestamp;
use net_http::{Auth, Client};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::{GcpCredentials, KeyError};

const SERVICE: &str = "https://cloudkms.googleapis.com";
const SCOPE: &str = "https://www.googleapis.com/auth/cloudkms";

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

#[derive(Deserialize)]
struct Answer {
    plaintext: String,
}

pub(crate) async fn decrypt(
    client: &Client,
    endpoint: Option<&str>,
    credentials: &GcpCredentials,
    resource: &str,
    encrypted: &str,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let account = ServiceAccount {
        client_email: credentials.client_email.clone(),
        private_key: credentials.private_key.clone(),
        private_key_id: credentials.private_key_id.clone(),
        token_uri: credentials.token_uri.clone(),
    };
    let form = account.token_request(SCOPE, Timestamp::now());
    let form = form.map_err(|error| match error {
        ServiceAccountError::Sign => {
            KeyError::Shape("the service account's private key cannot sign")
        }
        _ => KeyError::Shape("the service account's private key cannot be read"),
    })?;
    let token: Token = super::answer(client, super::form(form)).await?;
    let base = endpoint.unwrap_or(SERVICE).trim_end_matches('/');
    let url = format!("{base}/v1/{resource}:decrypt");
    let request = super::post(&url, &json!({ "ciphertext": encrypted }))
        .auth(Some(Auth::Bearer(token.access_token)));
    let answer: Answer = super::answer(client, request).await?;
    let bytes = STANDARD.decode(Zeroizing::new(answer.plaintext).as_bytes());
    bytes
        .map(Zeroizing::new)
        .map_err(|_| KeyError::Shape("the answer's plaintext is no Base64"))
}
