//! Microsoft Azure: tokens of Entra ID, and what is had for them.
//!
//! Source: <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>,
//! <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>,
//! <https://azure.github.io/acr/AAD-OAuth.html>,
//! <https://learn.microsoft.com/rest/api/aks/managed-clusters/list-cluster-user-credentials>.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use der::Decode;
use http::Method;
use jiff::Timestamp;
use net_http::Client;
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::exchange::{Exchange, Lasting, base, encoded};
use crate::{Error, SigningKey, jwt};

/// Where the tokens of the public cloud are had.
pub const AUTHORITY: &str = "https://login.microsoftonline.com";
/// The scope of Azure DevOps.
pub const DEVOPS: &str = "499b84ac-1321-427f-aa17-267ca6975798/.default";
/// The scope of registries.
pub const REGISTRIES: &str = "https://containerregistry.azure.net/.default";
/// The scope of storage accounts.
pub const STORAGE: &str = "https://storage.azure.com/.default";
/// The scope of clusters.
pub const CLUSTERS: &str = "6dae42f8-4368-4678-94ff-3960e28e3630/.default";

const TOKEN: &str = "failed to get a token of Entra ID";
const IDENTITY: &str = "ManagedIdentityCredential";
const METADATA: &str = "http://169.254.169.254";
const EXCHANGE: &str = "failed to exchange the token for one of the registry";
const CLUSTER: &str = "failed to describe AKS cluster";
const API: &str = "api-version=2025-03-01";
const REGISTRY_PATTERN: &str = r"^.+\.(azurecr\.io|azurecr\.cn|azurecr\.de|azurecr\.us)$";

/// An application of a tenant.
#[derive(Clone, Copy, Debug)]
pub struct Application<'a> {
    /// `https://login.microsoftonline.com`, or that of another cloud.
    pub authority: &'a str,
    /// The tenant's id.
    pub tenant: &'a str,
    /// The application's id.
    pub client: &'a str,
}

/// How an application proves who it is.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// A token of an issuer that it trusts.
    Federated(&'a str),
    /// Its secret.
    Secret(&'a str),
    /// Its certificate.
    Certificate(&'a Certificate<'a>),
}

/// A certificate of an application, and its key.
#[derive(Clone, Copy)]
pub struct Certificate<'a> {
    /// Both, in PEM; the key is an RSA key that is not encrypted.
    pub pem: &'a [u8],
    /// Whether the issuer is known rather than the certificate itself, so that all of its chain is sent.
    pub send_chain: bool,
}

impl std::fmt::Debug for Certificate<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificate(..)")
    }
}

impl Certificate<'_> {
    /// Makes the claim that an application is who it is, for who is at `audience`.
    ///
    /// Source: <https://learn.microsoft.com/entra/identity-platform/certificate-credentials>.
    fn assertion(&self, client: &str, audience: &str, now: i64) -> Result<String, Error> {
        /// How long it counts, in seconds.
        const LIFE: i64 = 600;
        let wrong = |what: &str| Error::Invalid(format!("the client certificate {what}"));
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.pem).collect();
        let mut chain = chain.map_err(|_| wrong("cannot be read: it is no PEM"))?;
        if chain.is_empty() {
            return Err(wrong("is missing"));
        }
        let key =
            SigningKey::from_pem(self.pem).map_err(|_| wrong("has no RSA key that can be read"))?;
        // Files may have those of the issuers before it.
        let own = chain.iter().position(|one| is_of(one, &key));
        chain.swap(0, own.ok_or_else(|| wrong("has another key"))?);
        let own = &chain[0];
        let mut header = json!({ "x5t#S256": URL_SAFE_NO_PAD.encode(Sha256::digest(own)) });
        if self.send_chain {
            let chain: Vec<_> = chain.iter().map(|one| STANDARD.encode(one)).collect();
            header["x5c"] = json!(chain);
        }
        let mut id = [0; 16];
        SystemRandom::new()
            .fill(&mut id)
            .map_err(|_| Error::Invalid("there is no randomness".to_owned()))?;
        let claims = json!({ "aud": audience, "iss": client, "sub": client, "jti": hex::encode(id),
            "nbf": now, "iat": now, "exp": now + LIFE });
        key.sign_pss(&header, &claims)
    }
}

fn is_of(certificate: &[u8], key: &SigningKey) -> bool {
    x509_cert::Certificate::from_der(certificate).is_ok_and(|certificate| {
        let info = certificate.tbs_certificate.subject_public_key_info;
        info.subject_public_key.raw_bytes() == key.public()
    })
}

impl std::fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proof(..)")
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Value,
}

impl Granted {
    fn token(self, what: &'static str) -> Result<Lasting<String>, Error> {
        // The metadata service sends a text.
        let seconds = self.expires_in.as_u64();
        let seconds = seconds.or_else(|| self.expires_in.as_str()?.parse().ok());
        let seconds = seconds.ok_or(Error::Shape {
            what,
            why: "the token's life is no number",
        })?;
        Ok(Lasting::seconds(self.access_token, seconds))
    }
}

/// Asks for a token of an application.
///
/// # Errors
/// [`Error`].
pub async fn token(
    client: &Client,
    application: &Application<'_>,
    proof: Proof<'_>,
    scope: &str,
) -> Result<Lasting<String>, Error> {
    const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let url = format!(
        "{}/{}/oauth2/v2.0/token",
        base(Some(application.authority), AUTHORITY),
        encoded(application.tenant)
    );
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("client_id", application.client),
        ("scope", scope),
    ];
    let signed;
    let secret = match proof {
        Proof::Federated(token) => {
            fields.push(("client_assertion_type", ASSERTION));
            fields.push(("client_assertion", token));
            token
        }
        Proof::Certificate(certificate) => {
            let now = Timestamp::now().as_second();
            signed = certificate.assertion(application.client, &url, now)?;
            fields.push(("client_assertion_type", ASSERTION));
            fields.push(("client_assertion", signed.as_str()));
            signed.as_str()
        }
        Proof::Secret(secret) => {
            fields.push(("client_secret", secret));
            secret
        }
    };
    let exchange = Exchange::new(client, TOKEN, Method::POST, url).hide(secret);
    exchange
        .form(&fields)
        .answer::<Granted>()
        .await?
        .token(TOKEN)
}

/// Asks the metadata service of a machine for a token of its identity, or of the one with this client id.
///
/// # Errors
/// [`Error`].
pub async fn from_machine(
    client: &Client,
    endpoint: Option<&str>,
    identity: Option<&str>,
    scope: &str,
) -> Result<Lasting<String>, Error> {
    let resource = encoded(scope.trim_end_matches("/.default"));
    let mut url = format!(
        "{}/metadata/identity/oauth2/token?api-version=2018-02-01&resource={resource}",
        base(endpoint, METADATA)
    );
    if let Some(identity) = identity {
        url.push_str("&client_id=");
        url.push_str(&encoded(identity));
    }
    let exchange = Exchange::new(client, IDENTITY, Method::GET, url).header("metadata", "true")?;
    exchange.answer::<Granted>().await?.token(IDENTITY)
}

/// Makes sure that a host is one of a registry: a token for it goes there.
///
/// # Errors
/// [`Error::Invalid`], in upstream's words.
pub fn check_registry(host: &str) -> Result<(), Error> {
    let suffixes = [".azurecr.io", ".azurecr.cn", ".azurecr.de", ".azurecr.us"];
    let name = suffixes.iter().find_map(|suffix| host.strip_suffix(suffix));
    match name {
        Some(name) if !name.is_empty() => Ok(()),
        _ => Err(Error::Invalid(format!(
            "invalid Azure registry: '{host}'. must match {REGISTRY_PATTERN}"
        ))),
    }
}

/// Exchanges a token for a login at a registry.
///
/// # Errors
/// [`Error`].
pub async fn registry_login(
    client: &Client,
    endpoint: Option<&str>,
    registry: &str,
    token: &str,
) -> Result<Lasting<(String, String)>, Error> {
    /// The user that stands for a token.
    const USER: &str = "00000000-0000-0000-0000-000000000000";
    #[derive(Deserialize)]
    struct Answer {
        refresh_token: String,
    }
    check_registry(registry)?;
    let url = base(endpoint, &format!("https://{registry}"));
    let url = format!("{url}/oauth2/exchange");
    let exchange = Exchange::new(client, EXCHANGE, Method::POST, url).hide(token);
    let fields = [
        ("grant_type", "access_token"),
        ("service", registry),
        ("access_token", token),
    ];
    let Answer { refresh_token } = exchange.form(&fields).answer().await?;
    let until = jwt::expiry(&refresh_token).ok_or(Error::Shape {
        what: EXCHANGE,
        why: "the registry's token has no end",
    })?;
    Ok(Lasting {
        value: (USER.to_owned(), refresh_token),
        until,
    })
}

/// Returns where clusters are described and the scope of that, in the cloud of an authority.
pub fn manager(authority: &str) -> (&'static str, &'static str) {
    if authority.contains("chinacloudapi.cn") {
        (
            "https://management.chinacloudapi.cn",
            "https://management.core.chinacloudapi.cn/.default",
        )
    } else if authority.contains("microsoftonline.us") {
        (
            "https://management.usgovcloudapi.net",
            "https://management.core.usgovcloudapi.net/.default",
        )
    } else {
        (
            "https://management.azure.com",
            "https://management.core.windows.net/.default",
        )
    }
}

/// Makes sure that a text is the id of a cluster.
///
/// # Errors
/// [`Error::Invalid`], in upstream's words.
pub fn check_cluster(id: &str) -> Result<(), Error> {
    const PATTERN: &str = r"(?i)^/subscriptions/([^/]{36})/resourceGroups/([^/]{1,200})/providers/Microsoft\.ContainerService/managedClusters/([^/]{1,200})$";
    let parts: Vec<&str> = id.split('/').collect();
    let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    let is_name = |text: &str, most: usize| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.()".contains(&b);
        (1..=most).contains(&text.len()) && text.bytes().all(plain) && !text.contains("..")
    };
    let fits = match parts[..] {
        ["", one, subscription, two, group, three, four, five, name] => {
            same(one, "subscriptions")
                && same(two, "resourceGroups")
                && same(three, "providers")
                && same(four, "Microsoft.ContainerService")
                && same(five, "managedClusters")
                && subscription.len() == 36
                && is_name(subscription, 36)
                && is_name(group, 200)
                && is_name(name, 200)
        }
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "invalid AKS cluster ID: '{id}'. must match {PATTERN}"
    )))
}

/// Asks for the kubeconfigs of a cluster's users, each as text.
///
/// # Errors
/// [`Error`].
pub async fn cluster_kubeconfigs(
    client: &Client,
    manager: &str,
    cluster: &str,
    token: &str,
) -> Result<Vec<String>, Error> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        kubeconfigs: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        value: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Described {
        properties: Properties,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Properties {
        aad_profile: Option<Value>,
    }
    check_cluster(cluster)?;
    let url = base(Some(manager), "");
    let own = format!("{url}{cluster}?{API}");
    let described = Exchange::new(client, CLUSTER, Method::GET, own).bearer(token)?;
    let Described { properties } = described.answer().await?;
    if properties.aad_profile.is_none() {
        return Err(Error::Invalid(format!(
            "AKS cluster {cluster} does not have Microsoft Entra ID integration enabled. See docs for enabling: \
             https://learn.microsoft.com/en-us/azure/aks/enable-authentication-microsoft-entra-id"
        )));
    }
    let url = format!("{url}{cluster}/listClusterUserCredential?{API}");
    let listed = Exchange::new(client, CLUSTER, Method::POST, url).bearer(token)?;
    let Answer { kubeconfigs } = listed.json(&serde_json::json!({})).answer().await?;
    let texts = kubeconfigs.iter().map(|entry| {
        let bytes = STANDARD.decode(&entry.value).ok()?;
        String::from_utf8(bytes).ok()
    });
    texts.collect::<Option<_>>().ok_or(Error::Shape {
        what: CLUSTER,
        why: "a kubeconfig is no Base64 of text",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_signs_a_claim_of_ten_minutes() {
        use rsa::pkcs8::DecodePrivateKey;
        use rsa::signature::Verifier;
        let pem = include_bytes!("../tests/data/application.pem");
        let certificate = |send_chain| Certificate { pem, send_chain };
        let part = |token: &str, n: usize| {
            let part = token.split('.').nth(n).unwrap();
            URL_SAFE_NO_PAD.decode(part).unwrap()
        };
        let json = |token: &str, n| serde_json::from_slice::<Value>(&part(token, n)).unwrap();
        let token = certificate(false).assertion("id", "https://login.example/t", 1000);
        let token = token.unwrap();
        let der = CertificateDer::from_pem_slice(pem).unwrap();
        let thumb = URL_SAFE_NO_PAD.encode(Sha256::digest(&der));
        assert_eq!(
            json(&token, 0),
            json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": thumb })
        );
        let claims = json(&token, 1);
        assert_eq!(claims["aud"], "https://login.example/t");
        assert_eq!(
            (&claims["iss"], &claims["sub"]),
            (&json!("id"), &json!("id"))
        );
        assert_eq!(
            (&claims["nbf"], &claims["exp"]),
            (&json!(1000), &json!(1600))
        );
        let again = certificate(true).assertion("id", "https://login.example/t", 1000);
        let again = again.unwrap();
        assert_ne!(claims["jti"], json(&again, 1)["jti"]);
        assert_eq!(json(&again, 0)["x5c"], json!([STANDARD.encode(&der)]));
        // Whatever order a file has them in, the own one comes first.
        let pfx = include_bytes!("../tests/data/application.pfx");
        let file = crate::pfx::to_pem(pfx, "s3cret-ä").unwrap();
        let (first, last) = file.split_at(file.rfind("-----BEGIN").unwrap());
        for pem in [format!("{first}{last}"), format!("{last}{first}")] {
            let certificate = Certificate {
                pem: pem.as_bytes(),
                send_chain: true,
            };
            let token = certificate.assertion("id", "https://login.example/t", 1000);
            let chain = json(&token.unwrap(), 0)["x5c"].clone();
            assert_eq!(chain[0], STANDARD.encode(&der));
            assert_eq!(chain.as_array().unwrap().len(), 2);
        }
        let own = std::str::from_utf8(pem).unwrap();
        let key = &own[own.find("-----BEGIN PRIVATE KEY").unwrap()..];
        let foreign = [last.as_bytes(), key.as_bytes()].concat();
        let certificate = Certificate {
            pem: &foreign,
            send_chain: false,
        };
        let error = certificate.assertion("id", "a", 1000).unwrap_err();
        assert_eq!(error.to_string(), "the client certificate has another key");

        let text = std::str::from_utf8(pem).unwrap();
        let key = &text[text.find("-----BEGIN PRIVATE KEY").unwrap()..];
        let key = rsa::RsaPrivateKey::from_pkcs8_pem(key).unwrap();
        let key = rsa::pss::VerifyingKey::<rsa::sha2::Sha256>::new(key.to_public_key());
        let (signed, _) = token.rsplit_once('.').unwrap();
        let tag = rsa::pss::Signature::try_from(part(&token, 2).as_slice()).unwrap();
        key.verify(signed.as_bytes(), &tag).unwrap();
    }

    #[test]
    fn registries_and_clusters_are_known() {
        for host in [
            "a.azurecr.io",
            "a.azurecr.cn",
            "a.azurecr.us",
            "a.azurecr.de",
        ] {
            check_registry(host).unwrap();
        }
        for host in [
            "azurecr.io",
            ".azurecr.io",
            "a.azurecr.io.evil.example",
            "ghcr.io",
        ] {
            assert!(check_registry(host).is_err(), "{host}");
        }
        let id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/c";
        check_cluster(id).unwrap();
        check_cluster(&id.to_lowercase()).unwrap();
        for wrong in [
            "c".to_owned(),
            id.replace("/g/", "/../"),
            id.replace("0000-", ""),
            format!("{id}?x"),
        ] {
            assert!(check_cluster(&wrong).is_err(), "{wrong}");
        }
    }
}
