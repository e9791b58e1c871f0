//! Google Cloud KMS, with a service account of the tenant or a token of an identity.
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

/// Asks for a token of a service account.
pub(crate) async fn token_of(
    client: &Client,
    credentials: &GcpCredentials,
) -> Result<String, KeyError> {
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
    Ok(token.access_token)
}

pub(crate) async fn decrypt(
    client: &Client,
    endpoint: Option<&str>,
    token: String,
    resource: &str,
    encrypted: &str,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let resource = path(resource)?;
    let base = endpoint.unwrap_or(SERVICE).trim_end_matches('/');
    let url = format!("{base}/v1/{resource}:decrypt");
    let request =
        super::post(&url, &json!({ "ciphertext": encrypted })).auth(Some(Auth::Bearer(token)));
    let answer: Answer = super::answer(client, request).await?;
    let bytes = STANDARD.decode(Zeroizing::new(answer.plaintext).as_bytes());
    bytes
        .map(Zeroizing::new)
        .map_err(|_| KeyError::Shape("the answer's plaintext is no Base64"))
}

/// Makes sure that a key's name is one: it becomes a path of the service.
fn path(resource: &str) -> Result<&str, KeyError> {
    let parts: Vec<&str> = resource.split('/').collect();
    // Projects of old domains have a colon and dots in them.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    let is_one = match parts[..] {
        [
            "projects",
            project,
            "locations",
            place,
            "keyRings",
            ring,
            "cryptoKeys",
            key,
        ] => {
            let mut names = [project, place, ring, key].into_iter();
            names.all(|name| !name.is_empty() && !name.starts_with('.') && name.bytes().all(plain))
        }
        _ => false,
    };
    is_one
        .then_some(resource)
        .ok_or(KeyError::Shape("the resource is not the name of a key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_keys_lead_nowhere_else() {
        let key = "projects/p/locations/global/keyRings/r/cryptoKeys/k";
        path(key).unwrap();
        path(&key.replace("/p/", "/example.com:p/")).unwrap();
        for wrong in [
            "",
            "projects/p",
            &key.replace("/p/", "/../"),
            &format!("{key}?x="),
            &format!("{key}/../../other"),
            &key.replace("/r/", "//"),
        ] {
            assert!(path(wrong).is_err(), "{wrong}");
        }
    }
}
