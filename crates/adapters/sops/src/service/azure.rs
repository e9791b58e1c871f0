//! Azure Key Vault, with the secret of a service principal.
//!
//! Source: <https://learn.microsoft.com/rest/api/keyvault/keys/decrypt/decrypt>,
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use cloud::form::Form;
use net_http::{Auth, Client};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::{AzureCredentials, KeyError};

const AUTHORITY: &str = "https://login.microsoftonline.com";
const API: &str = "7.4";

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

#[derive(Deserialize)]
struct Answer {
    value: String,
}

pub(crate) async fn decrypt(
    client: &Client,
    credentials: &AzureCredentials,
    (vault, name, version): (&str, &str, &str),
    encrypted: &str,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    if credentials.client_secret.is_empty() || credentials.tenant_id.is_empty() {
        return Err(KeyError::Unknown(
            "logging in to Azure without a client secret",
        ));
    }
    let authority = credentials.authority_host.as_deref().unwrap_or(AUTHORITY);
    let tokens = format!(
        "{}/{}/oauth2/v2.0/token",
        authority.trim_end_matches('/'),
        credentials.tenant_id
    );
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", credentials.client_id.as_str()),
        ("client_secret", credentials.client_secret.as_str()),
        ("scope", scope(vault)),
    ];
    let token: Token = super::answer(client, super::form(Form::new(tokens, &fields))).await?;
    let base = vault.trim_end_matches('/');
    let url = format!("{base}/keys/{name}/{version}/decrypt?api-version={API}");
    let body = json!({ "alg": "RSA-OAEP-256", "value": encrypted });
    let request = super::post(&url, &body).auth(Some(Auth::Bearer(token.access_token)));
    let answer: Answer = super::answer(client, request).await?;
    let bytes = URL_SAFE_NO_PAD.decode(Zeroizing::new(answer.value).trim_end_matches('='));
    bytes
        .map(Zeroizing::new)
        .map_err(|_| KeyError::Shape("the answer's value is no Base64"))
}

/// Vaults of other clouds have other scopes.
fn scope(vault: &str) -> &'static str {
    if vault.contains(".vault.azure.cn") {
        "https://vault.azure.cn/.default"
    } else if vault.contains(".vault.usgovcloudapi.net") {
        "https://vault.usgovcloudapi.net/.default"
    } else {
        "https://vault.azure.net/.default"
    }
}
