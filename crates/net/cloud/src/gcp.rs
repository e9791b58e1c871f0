//! Google Cloud: access tokens, and what is had for them.
//!
//! Source: <https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>,
//! <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken>,
//! <https://cloud.google.com/compute/docs/metadata/overview>,
//! <https://developers.google.com/identity/protocols/oauth2/service-account>,
//! <https://cloud.google.com/kubernetes-engine/docs/reference/rest/v1/projects.locations.clusters/get>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use jiff::Timestamp;
use net_http::Client;
use serde::Deserialize;
use serde_json::json;

use crate::exchange::{Exchange, Lasting, base, encoded};
use crate::{Error, SigningKey};

/// What is asked for: the whole of the cloud, as what the identity may is bounded elsewhere.
pub const SCOPES: [&str; 2] = [
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/userinfo.email",
];
/// The user that stands for a token at registries.
pub const REGISTRY_USER: &str = "oauth2accesstoken";

const METADATA: &str = "http://metadata.google.internal";
const STS: &str = "https://sts.googleapis.com";
const IAM: &str = "https://iamcredentials.googleapis.com";
const GKE: &str = "https://container.googleapis.com";
const GRANT: &str = "failed to get a token of the service account's key";
const EXCHANGE: &str = "failed to exchange the token at Google's token service";
const ACT_AS: &str = "failed to act as the service account";
const MACHINE: &str = "failed to get a token of the metadata service";
const CLUSTER: &str = "failed to describe GKE cluster";

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
}

impl Granted {
    fn token(self) -> Lasting<String> {
        Lasting::seconds(self.access_token, self.expires_in)
    }
}

/// A service account's key, as Google gives it out.
#[derive(Deserialize)]
pub struct AccountKey {
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: String,
    token_uri: String,
}

impl std::fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccountKey({})", self.client_email)
    }
}

impl AccountKey {
    /// Reads the JSON of a key.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(json)
            .map_err(|_| Error::Invalid("it is no service account's key".into()))
    }

    /// Asks for a token of the account.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn token(&self, client: &Client, scopes: &[&str]) -> Result<Lasting<String>, Error> {
        let key = SigningKey::from_pem(self.private_key.as_bytes())?;
        let now = Timestamp::now().as_second();
        let claims = json!({ "iss": self.client_email, "scope": scopes.join(" "),
            "aud": self.token_uri, "iat": now, "exp": now + 3600 });
        let assertion = key.sign(&json!({ "kid": self.private_key_id }), &claims)?;
        let exchange = Exchange::new(client, GRANT, Method::POST, &self.token_uri).hide(&assertion);
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &assertion),
        ];
        Ok(exchange.form(&fields).answer::<Granted>().await?.token())
    }
}

/// The cluster that a process runs in, as its metadata service knows it.
#[derive(Clone, Debug)]
pub struct OwnCluster {
    project: String,
    location: String,
    name: String,
}

impl OwnCluster {
    /// Asks the metadata service.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn ask(client: &Client, endpoint: Option<&str>) -> Result<Self, Error> {
        let ask = async |what, path: &str| {
            let text = metadata(client, endpoint, what, path)?.text().await?;
            let text = text.trim().to_owned();
            if text.is_empty() {
                let why = "empty value";
                return Err(Error::Shape { what, why });
            }
            Ok(text)
        };
        Ok(Self {
            project: ask(
                "failed to get GKE cluster project ID from the metadata service",
                "project/project-id",
            )
            .await?,
            location: ask(
                "failed to get GKE cluster location from the metadata service",
                "instance/attributes/cluster-location",
            )
            .await?,
            name: ask(
                "failed to get GKE cluster name from the metadata service",
                "instance/attributes/cluster-name",
            )
            .await?,
        })
    }

    /// Returns whom tokens of the cluster's service accounts are for.
    pub fn pool(&self) -> String {
        format!("{}.svc.id.goog", self.project)
    }

    /// Returns whom the token service knows these tokens to be for.
    pub fn audience(&self) -> String {
        format!(
            "identitynamespace:{}:https://container.googleapis.com/v1/projects/{}/locations/{}/clusters/{}",
            self.pool(),
            self.project,
            self.location,
            self.name
        )
    }
}

fn metadata<'a>(
    client: &'a Client,
    endpoint: Option<&str>,
    what: &'static str,
    path: &str,
) -> Result<Exchange<'a>, Error> {
    let url = format!("{}/computeMetadata/v1/{path}", base(endpoint, METADATA));
    Exchange::new(client, what, Method::GET, url).header("metadata-flavor", "Google")
}

/// Asks the metadata service for a token of the machine's or the pod's own account.
///
/// # Errors
/// [`Error`].
pub async fn from_machine(
    client: &Client,
    endpoint: Option<&str>,
    scopes: &[&str],
) -> Result<Lasting<String>, Error> {
    let path = format!(
        "instance/service-accounts/default/token?scopes={}",
        encoded(&scopes.join(","))
    );
    let exchange = metadata(client, endpoint, MACHINE, &path)?;
    Ok(exchange.answer::<Granted>().await?.token())
}

/// Exchanges a token of someone whom a pool of identities trusts.
///
/// # Errors
/// [`Error`].
pub async fn exchange(
    client: &Client,
    endpoint: Option<&str>,
    audience: &str,
    token: &str,
) -> Result<Lasting<String>, Error> {
    let scopes = SCOPES.join(" ");
    let url = format!("{}/v1/token", base(endpoint, STS));
    let exchange = Exchange::new(client, EXCHANGE, Method::POST, url).hide(token);
    let fields = [
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        ("audience", audience),
        ("scope", &scopes),
        (
            "requested_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", token),
    ];
    Ok(exchange.form(&fields).answer::<Granted>().await?.token())
}

/// Asks for a token of a service account in whose name one may act.
///
/// # Errors
/// [`Error`].
pub async fn act_as(
    client: &Client,
    endpoint: Option<&str>,
    account: &str,
    token: &str,
) -> Result<Lasting<String>, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        access_token: String,
        expire_time: Timestamp,
    }
    let url = format!(
        "{}/v1/projects/-/serviceAccounts/{account}:generateAccessToken",
        base(endpoint, IAM)
    );
    let exchange = Exchange::new(client, ACT_AS, Method::POST, url).bearer(token)?;
    let body = json!({ "scope": SCOPES, "lifetime": "3600s" });
    let answer: Answer = exchange.json(&body).answer().await?;
    Ok(Lasting {
        value: answer.access_token,
        until: answer.expire_time,
    })
}

/// Makes sure that a host is one of a registry: a token goes there.
///
/// # Errors
/// [`Error::Invalid`], in upstream's words.
pub fn check_registry(host: &str) -> Result<(), Error> {
    const PATTERN: &str = r"^(((.+\.)?gcr\.io)|(.+-docker\.pkg\.dev)|(docker\.s3nsregistry\.fr))$";
    let is_one = matches!(host, "gcr.io" | "docker.s3nsregistry.fr")
        || [".gcr.io", "-docker.pkg.dev"].iter().any(|suffix| {
            host.strip_suffix(suffix)
                .is_some_and(|name| !name.is_empty())
        });
    if is_one {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "invalid GCP registry: '{host}'. must match {PATTERN}"
    )))
}

/// Makes sure that an annotation names a service account.
///
/// # Errors
/// [`Error::Invalid`], in upstream's words.
pub fn check_account(email: &str) -> Result<(), Error> {
    const PATTERN: &str = r"^[a-zA-Z0-9-]{1,100}@[a-zA-Z0-9-]{1,100}\.iam\.gserviceaccount\.com$";
    let is_label = |text: &str| {
        (1..=100).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let parts = email
        .strip_suffix(".iam.gserviceaccount.com")
        .and_then(|rest| rest.split_once('@'));
    match parts {
        Some((name, project)) if is_label(name) && is_label(project) => Ok(()),
        _ => Err(Error::Invalid(format!(
            "invalid iam.gke.io/gcp-service-account annotation: '{email}'. must match {PATTERN}"
        ))),
    }
}

/// Returns whom tokens for a provider of a pool are for.
///
/// # Errors
/// [`Error::Invalid`], in upstream's words.
pub fn provider_audience(provider: &str) -> Result<String, Error> {
    const PATTERN: &str = r"^projects/\d{1,30}/locations/global/workloadIdentityPools/[^/]{1,100}/providers/[^/]{1,100}$";
    let parts: Vec<&str> = provider.split('/').collect();
    let is_name = |text: &str| (1..=100).contains(&text.len());
    let fits = match parts[..] {
        [
            "projects",
            number,
            "locations",
            "global",
            "workloadIdentityPools",
            pool,
            "providers",
            name,
        ] => {
            (1..=30).contains(&number.len())
                && number.bytes().all(|byte| byte.is_ascii_digit())
                && is_name(pool)
                && is_name(name)
        }
        _ => false,
    };
    if fits {
        return Ok(format!("//iam.googleapis.com/{provider}"));
    }
    Err(Error::Invalid(format!(
        "invalid gcp.auth.fluxcd.io/workload-identity-provider annotation: '{provider}'. must match {PATTERN}"
    )))
}

/// Makes sure that a text is the id of a cluster.
///
/// # Errors
/// [`Error::Invalid`], in upstream's words.
pub fn check_cluster(id: &str) -> Result<(), Error> {
    const PATTERN: &str = "^projects/[^/]{1,200}/locations/[^/]{1,200}/clusters/[^/]{1,200}$";
    let parts: Vec<&str> = id.split('/').collect();
    let is_name = |text: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        (1..=200).contains(&text.len()) && text.bytes().all(plain) && text != ".."
    };
    match parts[..] {
        ["projects", project, "locations", location, "clusters", name]
            if is_name(project) && is_name(location) && is_name(name) =>
        {
            Ok(())
        }
        _ => Err(Error::Invalid(format!(
            "invalid GKE cluster ID: '{id}'. must match {PATTERN}"
        ))),
    }
}

/// Asks for a cluster's address and its authority's certificate in PEM.
///
/// # Errors
/// [`Error`].
pub async fn describe_cluster(
    client: &Client,
    endpoint: Option<&str>,
    cluster: &str,
    token: &str,
) -> Result<(String, Vec<u8>), Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        endpoint: String,
        master_auth: MasterAuth,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct MasterAuth {
        cluster_ca_certificate: String,
    }
    check_cluster(cluster)?;
    let url = format!("{}/v1/{cluster}", base(endpoint, GKE));
    let exchange = Exchange::new(client, CLUSTER, Method::GET, url).bearer(token)?;
    let answer: Answer = exchange.answer().await?;
    let authority = STANDARD.decode(answer.master_auth.cluster_ca_certificate.trim());
    let authority = authority.map_err(|_| Error::Shape {
        what: CLUSTER,
        why: "failed to decode GKE CA certificate",
    })?;
    Ok((answer.endpoint, authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_accounts_and_providers_are_known() {
        for host in ["gcr.io", "eu.gcr.io", "europe-docker.pkg.dev"] {
            check_registry(host).unwrap();
        }
        for host in [
            ".gcr.io",
            "evilgcr.io",
            "gcr.io.evil.example",
            "-docker.pkg.dev",
            "pkg.dev",
        ] {
            assert!(check_registry(host).is_err(), "{host}");
        }
        check_account("app@project.iam.gserviceaccount.com").unwrap();
        for wrong in ["", "app@evil.example", "a/../b@p.iam.gserviceaccount.com"] {
            assert!(check_account(wrong).is_err(), "{wrong}");
        }
        let provider = "projects/1/locations/global/workloadIdentityPools/p/providers/q";
        assert_eq!(
            provider_audience(provider).unwrap(),
            format!("//iam.googleapis.com/{provider}")
        );
        assert!(provider_audience("projects/x").is_err());
        check_cluster("projects/p/locations/europe-west1/clusters/c").unwrap();
        assert!(check_cluster("projects/p/locations/l/clusters/../x").is_err());
        assert!(check_cluster("projects/p/locations/../clusters/x").is_err());
    }
}
