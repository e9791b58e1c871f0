//! Google Cloud KMS, with a service account.
//!
//! Source: <https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/decrypt>,
//! <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use net_http::{Auth, Client};
use rsa::{
    RsaPrivateKey,
    pkcs1v15::SigningKey,
    pkcs8::DecodePrivateKey,
    signature::{SignatureEncoding, Signer},
};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::{GcpCredentials, KeyError};

const SERVICE: &str = "https://cloudkms.googleapis.com";
const TOKENS: &str = "https://oauth2.googleapis.com/token";
const SCOPE: &str = "https://www.googleapis.com/auth/cloudkms";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

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
    let tokens = credentials.token_uri.as_deref().unwrap_or(TOKENS);
    let assertion = assertion(credentials, tokens, Timestamp::now())?;
    let fields = [("grant_type", GRANT), ("assertion", assertion.as_str())];
    let token: Token = super::answer(client, super::form(tokens, &fields)).await?;
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

/// A signed claim that the service account asks for a token.
fn assertion(
    credentials: &GcpCredentials,
    audience: &str,
    now: Timestamp,
) -> Result<String, KeyError> {
    let key = RsaPrivateKey::from_pkcs8_pem(&credentials.private_key)
        .map_err(|_| KeyError::Shape("the service account's private key cannot be read"))?;
    let head = json!({ "alg": "RS256", "typ": "JWT", "kid": credentials.private_key_id });
    let claims = json!({
        "iss": credentials.client_email,
        "scope": SCOPE,
        "aud": audience,
        "iat": now.as_second(),
        "exp": now.as_second() + 3600,
    });
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&head), part(&claims));
    let signature = SigningKey::<rsa::sha2::Sha256>::new(key)
        .try_sign(text.as_bytes())
        .map_err(|_| KeyError::Shape("the service account's private key cannot sign"))?;
    Ok(format!(
        "{text}.{}",
        URL_SAFE_NO_PAD.encode(signature.to_bytes())
    ))
}
