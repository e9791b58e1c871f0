//! Azure Key Vault, with a service principal of the tenant or a token of an identity.
//!
//! Source: <https://learn.microsoft.com/rest/api/keyvault/keys/decrypt/decrypt>.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use cloud::azure::{AUTHORITY, Application, Certificate, Proof, from_machine, token};
use net_http::{Auth, Client};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::{AzureCredentials, Endpoints, KeyError};

const API: &str = "7.4";
/// Where vaults are, by the scope of tokens for them.
const VAULTS: [(&str, &str); 3] = [
    (".vault.azure.net", "https://vault.azure.net/.default"),
    (".vault.azure.cn", "https://vault.azure.cn/.default"),
    (
        ".vault.usgovcloudapi.net",
        "https://vault.usgovcloudapi.net/.default",
    ),
];

#[derive(Deserialize)]
struct Answer {
    value: String,
}

/// Returns the scope of tokens for a vault. A token goes to no other host: whoever wrote the file chose the address.
pub(crate) fn scope(vault: &str) -> Result<&'static str, KeyError> {
    let host = vault.strip_prefix("https://").unwrap_or_default();
    let host = host.trim_end_matches('/');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    let known = VAULTS.iter().find(|(suffix, _)| host.ends_with(suffix));
    match known {
        Some((_, scope)) if host.bytes().all(plain) => Ok(scope),
        _ => Err(KeyError::Shape("its address is not that of a key vault")),
    }
}

/// Asks for a token of a service principal, by whatever proves who it is.
pub(crate) async fn token_of(
    client: &Client,
    endpoints: &Endpoints,
    credentials: &AzureCredentials,
    scope: &str,
) -> Result<String, KeyError> {
    let AzureCredentials {
        tenant_id,
        client_id,
        client_secret,
        client_certificate,
        client_certificate_password,
        client_certificate_send_chain,
        authority_host,
    } = credentials;
    if tenant_id.is_empty() {
        if client_id.is_empty() {
            return Err(KeyError::Shape("there is neither a tenant nor a client id"));
        }
        let endpoint = endpoints.azure_metadata.as_deref();
        let got = from_machine(client, endpoint, Some(client_id), scope).await?;
        return Ok(got.value);
    }
    let application = Application {
        authority: authority_host.as_deref().unwrap_or(AUTHORITY),
        tenant: tenant_id,
        client: client_id,
    };
    let certificate = Certificate {
        pem: client_certificate.as_bytes(),
        send_chain: *client_certificate_send_chain,
    };
    let proof = match (client_secret.is_empty(), client_certificate.is_empty()) {
        (false, _) => Proof::Secret(client_secret),
        (true, false) if !client_certificate_password.is_empty() => {
            return Err(KeyError::Unknown("a client certificate with a password"));
        }
        (true, false) => Proof::Certificate(&certificate),
        (true, true) => {
            return Err(KeyError::Shape(
                "there is neither a client secret nor a certificate",
            ));
        }
    };
    Ok(token(client, &application, proof, scope).await?.value)
}

pub(crate) async fn decrypt(
    client: &Client,
    endpoints: &Endpoints,
    token: String,
    (vault, name, version): (&str, &str, &str),
    encrypted: &str,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let base = endpoints.azure_vault.as_deref().unwrap_or(vault);
    let base = base.trim_end_matches('/');
    let (name, version) = (cloud::form::escaped(name), cloud::form::escaped(version));
    let url = format!("{base}/keys/{name}/{version}/decrypt?api-version={API}");
    let body = json!({ "alg": "RSA-OAEP-256", "value": encrypted });
    let request = super::post(&url, &body).auth(Some(Auth::Bearer(token)));
    let answer: Answer = super::answer(client, request).await?;
    let bytes = URL_SAFE_NO_PAD.decode(Zeroizing::new(answer.value).trim_end_matches('='));
    bytes
        .map(Zeroizing::new)
        .map_err(|_| KeyError::Shape("the answer's value is no Base64"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn tokens_go_to_vaults_only() {
        let scope = |vault: &str| super::scope(vault).ok();
        let public = Some("https://vault.azure.net/.default");
        assert_eq!(scope("https://own.vault.azure.net"), public);
        assert_eq!(scope("https://own.vault.azure.net/"), public);
        let china = Some("https://vault.azure.cn/.default");
        assert_eq!(scope("https://own.vault.azure.cn"), china);
        for wrong in [
            "http://own.vault.azure.net",
            "https://vault.azure.net.evil.example",
            "https://evil.example/.vault.azure.net",
            "https://evil.example#.vault.azure.net",
            "https://evil.example:443@own.vault.azure.net",
            "own.vault.azure.net",
            "",
        ] {
            assert_eq!(scope(wrong), None, "{wrong}");
        }
    }
}
