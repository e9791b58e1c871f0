//! Tokens of clouds: of a service account's key, or of the identity that the pod has.
//!
//! Source: <https://developers.google.com/identity/protocols/oauth2/service-account>,
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#third-case-access-token-request-with-a-federated-credential>,
//! <https://cloud.google.com/compute/docs/metadata/overview>,
//! <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>.

use std::time::Duration;

use jiff::Timestamp;
use net_http::{Client, ClientConfig, Destinations, HeaderName, HeaderValue, Method, Redirects};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Outgoing, SendError, Settings, github_app};
use crate::tokens::Token;

const GOOGLE_METADATA: &str =
    "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token";
const AZURE_METADATA: &str =
    "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01";
/// What the workload identity webhook sets in a pod.
const AZURE_VARIABLES: [&str; 3] = [
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
];
const MAX_FILE: u64 = 64 << 10;

/// A service account's key, as Google gives it out.
#[derive(Debug, Deserialize)]
pub(super) struct GoogleKey {
    client_email: String,
    private_key: String,
    token_uri: String,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: serde_json::Value,
}

impl Granted {
    fn token(self) -> Token {
        // Azure's metadata service sends a text.
        let seconds = self.expires_in.as_u64();
        let seconds = seconds.or_else(|| self.expires_in.as_str()?.parse().ok());
        Token {
            text: self.access_token,
            lives: Duration::from_secs(seconds.unwrap_or(0)),
        }
    }
}

/// Reads a service account's key.
pub(super) fn google_key(text: &str) -> Result<GoogleKey, super::BuildError> {
    let wrong = || super::BuildError::new("the secret's 'token' is no service account key");
    serde_json::from_str(text).map_err(|_| wrong())
}

/// Returns a token for Google's APIs: of the key where there is one, else of the pod.
///
/// # Errors
/// There is none to be had.
pub(super) async fn google_token(
    settings: &Settings,
    key: Option<&GoogleKey>,
    scope: &str,
) -> Result<String, SendError> {
    refuse_service_account(settings)?;
    let name = match key {
        Some(key) => hex::encode(Sha256::digest(&key.private_key)),
        None => "pod".to_owned(),
    };
    let name = format!("google/{name}/{scope}");
    let token = settings.tokens.get(&name, || async {
        match key {
            Some(key) => google_grant(settings, key, scope).await,
            None => google_pod(settings, scope).await,
        }
    });
    Ok(token.await?.to_string())
}

async fn google_grant(
    settings: &Settings,
    key: &GoogleKey,
    scope: &str,
) -> Result<Token, SendError> {
    let pair = github_app::private_key(key.private_key.as_bytes());
    let pair = pair.map_err(|error| SendError::rejected(error.to_string()))?;
    let now = Timestamp::now().as_second();
    let claims = json!({ "iss": key.client_email, "scope": scope, "aud": key.token_uri,
        "iat": now, "exp": now + 3600 });
    let assertion = github_app::sign(&pair, &claims).map_err(SendError::rejected)?;
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
        .append_pair("assertion", &assertion)
        .finish();
    granted(form_post(&key.token_uri, form), &settings.client).await
}

async fn google_pod(settings: &Settings, scope: &str) -> Result<Token, SendError> {
    const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");
    let request = Outgoing::new(Method::GET, format!("{GOOGLE_METADATA}?scopes={scope}"))
        .header(FLAVOR, HeaderValue::from_static("Google"));
    granted(request, &unguarded(settings)?).await
}

/// Whether the pod has an identity in Azure, or may have one.
pub(super) fn has_azure_identity(settings: &Settings) -> bool {
    let federated = AZURE_VARIABLES
        .iter()
        .all(|n| runtime::env::variable(n).is_some());
    settings.service_account.is_some() || federated
}

/// Returns a token for one of Azure's APIs, of the identity that the pod has.
///
/// # Errors
/// There is none to be had.
pub(super) async fn azure_token(settings: &Settings, scope: &str) -> Result<String, SendError> {
    refuse_service_account(settings)?;
    let name = format!("azure/pod/{scope}");
    let token = settings.tokens.get(&name, || async {
        match AZURE_VARIABLES.map(runtime::env::variable) {
            [Some(tenant), Some(client), Some(file)] => {
                azure_federated(settings, (&tenant, &client, &file), scope).await
            }
            _ => azure_machine(settings, scope).await,
        }
    });
    Ok(token.await?.to_string())
}

async fn azure_federated(
    settings: &Settings,
    (tenant, client, file): (&str, &str, &str),
    scope: &str,
) -> Result<Token, SendError> {
    use tokio::io::AsyncReadExt;
    let unreadable = |_| SendError::failed("the pod's federated token cannot be read");
    let mut assertion = String::new();
    let opened = tokio::fs::File::open(file).await.map_err(unreadable)?;
    opened
        .take(MAX_FILE)
        .read_to_string(&mut assertion)
        .await
        .map_err(unreadable)?;
    let authority = runtime::env::variable("AZURE_AUTHORITY_HOST");
    let authority = authority.unwrap_or_else(|| "https://login.microsoftonline.com/".into());
    let url = format!(
        "{}/{tenant}/oauth2/v2.0/token",
        authority.trim_end_matches('/')
    );
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", client)
        .append_pair("scope", scope)
        .append_pair(
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        )
        .append_pair("client_assertion", assertion.trim())
        .finish();
    granted(form_post(&url, form), &settings.client).await
}

async fn azure_machine(settings: &Settings, scope: &str) -> Result<Token, SendError> {
    const METADATA: HeaderName = HeaderName::from_static("metadata");
    let resource = scope.trim_end_matches("/.default");
    let request = Outgoing::new(Method::GET, format!("{AZURE_METADATA}&resource={resource}"))
        .header(METADATA, HeaderValue::from_static("true"));
    granted(request, &unguarded(settings)?).await
}

fn form_post(url: &str, form: String) -> Outgoing {
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    Outgoing::new(Method::POST, url)
        .header(http::header::CONTENT_TYPE, kind)
        .body(form)
}

async fn granted(request: Outgoing, client: &Client) -> Result<Token, SendError> {
    let what = "cannot get a token";
    let answer = request.send(client, what).await?.expect_success(what)?;
    Ok(answer.read::<Granted>(what)?.token())
}

/// The metadata service is asked by us, at an address that no user chose.
fn unguarded(settings: &Settings) -> Result<Client, SendError> {
    let config = ClientConfig {
        proxy: net_http::Proxy::Direct,
        redirects: Redirects::SameHost,
        destinations: Destinations::Any,
        ..ClientConfig::default()
    };
    let client = settings.clients.get(&config);
    client.map_err(|error| SendError::rejected(net_http::chain(&error)))
}

/// The identity of a service account other than the pod's is not there yet, and never silently
/// another one.
fn refuse_service_account(settings: &Settings) -> Result<(), SendError> {
    match &settings.service_account {
        Some(name) => Err(SendError::rejected(format!(
            "the cloud identity of service account '{name}' is not supported yet, only that of \
             the controller's pod"
        ))),
        None => Ok(()),
    }
}
