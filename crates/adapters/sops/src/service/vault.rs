//! The transit engine of Vault and OpenBao.
//!
//! Source: <https://developer.hashicorp.com/vault/api-docs/secret/transit#decrypt-data>.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue};
use net_http::Client;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{KeyError, Login};

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    plaintext: String,
}

#[derive(Deserialize)]
struct LoggedIn {
    auth: Granted,
}

#[derive(Deserialize)]
struct Granted {
    client_token: String,
}

/// Logs in with a token of the cluster. Returns a token of the server.
///
/// Source: <https://developer.hashicorp.com/vault/api-docs/auth/kubernetes#login>.
pub(crate) async fn login(
    client: &Client,
    address: &str,
    login: &Login,
) -> Result<Zeroizing<String>, KeyError> {
    let base = address.trim_end_matches('/');
    let path = login.path.trim_matches('/');
    let url = format!("{base}/v1/{path}");
    let body = serde_json::json!({ "role": login.role, "jwt": login.token.as_str() });
    let answer: LoggedIn = super::answer(client, super::post(&url, &body)).await?;
    Ok(Zeroizing::new(answer.auth.client_token))
}

pub(crate) async fn decrypt(
    client: &Client,
    token: &str,
    (address, engine, name): (&str, &str, &str),
    encrypted: &str,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let base = address.trim_end_matches('/');
    let engine = engine.trim_matches('/');
    let url = format!("{base}/v1/{engine}/decrypt/{name}");
    let mut token =
        HeaderValue::from_str(token).map_err(|_| KeyError::Shape("the token is no header"))?;
    token.set_sensitive(true);
    let body = serde_json::json!({ "ciphertext": encrypted });
    let request = super::post(&url, &body).header(HeaderName::from_static("x-vault-token"), token);
    let answer: Answer = super::answer(client, request).await?;
    let bytes = STANDARD.decode(Zeroizing::new(answer.data.plaintext).as_bytes());
    bytes
        .map(Zeroizing::new)
        .map_err(|_| KeyError::Shape("the answer's plaintext is no Base64"))
}
