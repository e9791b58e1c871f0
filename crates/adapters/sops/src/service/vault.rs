//! The transit engine of Vault and OpenBao.
//!
//! Source: <https://developer.hashicorp.com/vault/api-docs/secret/transit#decrypt-data>.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue};
use net_http::Client;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::KeyError;

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    plaintext: String,
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
