//! What a Provider and its Secrets say, read and checked.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use access::Identities;
use api::notification::{Provider, ProviderKind};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client as Kube, ResourceExt,
    api::{ApiResource, DynamicObject},
};
use net_http::{Client, ClientConfig, Clients, Destinations, Identity, Proxy, Redactor, Redirects};

use super::{BuildError, is_commit_status};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);
const MAX_ADDRESS_BYTES: usize = 2048;
/// The largest `headers` that are read.
const MAX_HEADERS_BYTES: usize = 64 << 10;
/// From this length on a part of a path that has a digit is no word.
const MIN_ID_BYTES: usize = 8;

type Data = BTreeMap<String, Vec<u8>>;

/// What a type of service is built from.
pub(crate) struct Settings {
    pub kind: ProviderKind,
    pub uid: String,
    pub namespace: String,
    pub name: String,
    pub address: String,
    pub channel: String,
    pub username: String,
    pub password: String,
    pub token: String,
    /// From the Secret, in the order of their names.
    pub headers: BTreeMap<String, String>,
    /// The Secret, for what only one type reads.
    pub secret: Data,
    /// Whose cloud identity is used; absent: the default one.
    pub service_account: Option<String>,
    pub timeout: Duration,
    /// For the service: with its TLS and proxy.
    pub client: Client,
    pub certificate_authority: Option<Vec<u8>>,
    /// The proxy that the client goes through.
    pub proxy: Proxy,
    /// Tokens that clouds and GitHub give.
    pub identities: Identities,
    pub redactor: Redactor,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("kind", &self.kind)
            .field("uid", &self.uid)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Returns the token, or the password in its place: a Git Secret serves as it is.
    pub(crate) fn token_or_password(&self) -> &str {
        if self.token.is_empty() {
            &self.password
        } else {
            &self.token
        }
    }

    /// Returns a key of the Secret as text; empty where it is absent.
    pub(crate) fn secret_text(&self, key: &str) -> String {
        text(&self.secret, key)
    }
}

/// Reads Providers' Secrets.
pub(crate) struct Loader {
    pub kube: Kube,
    pub clients: Arc<Clients>,
    pub identities: Identities,
}

impl Loader {
    /// Reads what a Provider's notifier is built from.
    ///
    /// # Errors
    /// A Secret that cannot be read or used.
    pub(crate) async fn load(&self, provider: &Provider) -> Result<Settings, BuildError> {
        let spec = &provider.spec;
        let namespace = provider.namespace().unwrap_or_default();
        if spec.kind == ProviderKind::Unknown {
            return Err(self.unsupported(&namespace, &provider.name_any()).await);
        }
        let named = spec.service_account_name.clone().filter(|n| !n.is_empty());
        if self.identities.needs_gate(named.as_deref()) {
            return Err(BuildError::new(
                "to use spec.serviceAccountName for provider authentication please enable the \
                 ObjectLevelWorkloadIdentity feature gate in the controller",
            ));
        }
        let secret = match &spec.secret_ref {
            Some(reference) => self.secret(&namespace, &reference.name, "secret").await?,
            None => Data::new(),
        };
        let tls = match (&spec.cert_secret_ref, &spec.secret_ref) {
            (Some(reference), _) => {
                let data = self
                    .secret(&namespace, &reference.name, "TLS secret")
                    .await?;
                let id = format!("{namespace}/{}", reference.name);
                tls(&id, &data, true).map_err(|e| e.within("failed to get TLS config"))?
            }
            (None, Some(reference)) if is_commit_status(spec.kind) => {
                let id = format!("{namespace}/{}", reference.name);
                tls(&id, &secret, false).map_err(|e| e.within("failed to get TLS config"))?
            }
            _ => (None, None),
        };
        let proxy = self.proxy(provider, &namespace, &secret).await?;
        self.assemble(provider, secret, tls, proxy, named)
    }

    fn assemble(
        &self,
        provider: &Provider,
        secret: Data,
        (certificate_authority, identity): (Option<Vec<u8>>, Option<Identity>),
        proxy: Proxy,
        named: Option<String>,
    ) -> Result<Settings, BuildError> {
        let spec = &provider.spec;
        let (address, of_secret) = address(provider, &secret)?;
        let headers = headers(&secret)?;
        let config = ClientConfig {
            certificate_authority: certificate_authority.clone(),
            identity,
            proxy: proxy.clone(),
            redirects: Redirects::SameHost,
            destinations: Destinations::NoMetadata,
        };
        let client = self.clients.get(&config).map_err(|error| {
            BuildError::new(format!(
                "failed to get TLS config: {}",
                net_http::chain(&error)
            ))
        })?;
        let own = text(&secret, "username").trim_end().to_owned();
        let username = Some(own)
            .filter(|u| !u.is_empty())
            .or_else(|| spec.username.clone());
        let settings = Settings {
            kind: spec.kind,
            uid: provider.uid().unwrap_or_default(),
            namespace: provider.namespace().unwrap_or_default(),
            name: provider.name_any(),
            redactor: redactor(spec.kind, &address, of_secret, &secret, &headers),
            address,
            channel: spec.channel.clone().unwrap_or_default(),
            username: username.unwrap_or_default(),
            password: text(&secret, "password"),
            token: text(&secret, "token"),
            headers,
            secret,
            service_account: named,
            timeout: spec.timeout.map_or(DEFAULT_TIMEOUT, Duration::from),
            client,
            certificate_authority,
            proxy,
            identities: self.identities.clone(),
        };
        Ok(settings)
    }

    /// The words for a type that is not known, which only the object as it is stored names.
    async fn unsupported(&self, namespace: &str, name: &str) -> BuildError {
        let kind = ApiResource::erase::<Provider>(&());
        let api = Api::<DynamicObject>::namespaced_with(self.kube.clone(), namespace, &kind);
        match api.get(name).await {
            Ok(found) => {
                let kind = found.data["spec"]["type"].as_str().unwrap_or_default();
                BuildError::unsupported(kind)
            }
            Err(error) => BuildError::transient(format!(
                "failed to read provider: {}",
                runtime::failure::chain(&error)
            )),
        }
    }

    async fn secret(&self, namespace: &str, name: &str, what: &str) -> Result<Data, BuildError> {
        let api = Api::<Secret>::namespaced(self.kube.clone(), namespace);
        match api.get(name).await {
            Ok(secret) => {
                let data = secret.data.unwrap_or_default();
                Ok(data.into_iter().map(|(k, v)| (k, v.0)).collect())
            }
            Err(error) => {
                let cause = runtime::failure::chain(&error);
                let message = format!("failed to get {what} '{namespace}/{name}': {cause}");
                match error {
                    kube::Error::Api(status) if status.code == 404 => Err(BuildError::new(message)),
                    _ => Err(BuildError::transient(message)),
                }
            }
        }
    }

    /// The proxy: of `proxySecretRef`, else of the Secret, else of the Provider, else as the
    /// environment says.
    async fn proxy(
        &self,
        provider: &Provider,
        namespace: &str,
        secret: &Data,
    ) -> Result<Proxy, BuildError> {
        if let Some(reference) = &provider.spec.proxy_secret_ref {
            let data = self
                .secret(namespace, &reference.name, "proxy secret")
                .await?;
            return proxy_of_secret(&format!("{namespace}/{}", reference.name), &data);
        }
        let own = text(secret, "proxy").trim().to_owned();
        if !own.is_empty() {
            let name = provider.spec.secret_ref.as_ref().map(|r| r.name.as_str());
            let id = format!("{namespace}/{}", name.unwrap_or_default());
            let wrong = || BuildError::new(format!("invalid 'proxy' in secret '{id}'"));
            return proxy_of(&own, None).ok_or_else(wrong);
        }
        match provider.spec.proxy.as_deref().filter(|p| !p.is_empty()) {
            Some(proxy) => {
                proxy_of(proxy, None).ok_or_else(|| BuildError::new("invalid proxy URL"))
            }
            None => Ok(Proxy::Environment),
        }
    }
}

/// Returns the address and whether it is the Secret's.
fn address(provider: &Provider, secret: &Data) -> Result<(String, bool), BuildError> {
    let own = text(secret, "address");
    if own.len() > MAX_ADDRESS_BYTES {
        return Err(BuildError::new(format!(
            "invalid address in secret: address exceeds maximum length of {MAX_ADDRESS_BYTES} bytes"
        )));
    }
    let own = own.trim();
    if own.is_empty() {
        return Ok((provider.spec.address.clone().unwrap_or_default(), false));
    }
    Ok((own.to_owned(), true))
}

/// Reads `headers`: a YAML map of texts.
fn headers(secret: &Data) -> Result<BTreeMap<String, String>, BuildError> {
    let Some(bytes) = secret.get("headers").filter(|b| !b.is_empty()) else {
        return Ok(BTreeMap::new());
    };
    let wrong = |cause: &str| {
        // What stands there may be a credential: only the kind of fault is told.
        BuildError::new(format!(
            "failed to read headers from secret: error unmarshaling JSON: {cause}"
        ))
    };
    let limits = yaml::Limits {
        max_bytes: MAX_HEADERS_BYTES,
        ..yaml::Limits::default()
    };
    let nodes = yaml::parse(bytes, "headers", yaml::Schema::Legacy, &limits)
        .map_err(|_| wrong("not valid YAML"))?;
    let Some(first) = nodes.first() else {
        return Ok(BTreeMap::new());
    };
    let json = yaml::to_json(first).map_err(|_| wrong("not valid YAML"))?;
    if json.is_null() {
        return Ok(BTreeMap::new());
    }
    serde_json::from_value(json).map_err(|_| wrong("not a map of strings to strings"))
}

/// Reads TLS settings of a Secret; `must` says whether there have to be some.
fn tls(
    id: &str,
    data: &Data,
    must: bool,
) -> Result<(Option<Vec<u8>>, Option<Identity>), BuildError> {
    let either = |new: &str, old: &str| {
        let value = data.get(new).or_else(|| data.get(old));
        value.filter(|v| !v.is_empty()).cloned()
    };
    let ca = either("ca.crt", "caFile");
    let (certificate, key) = (either("tls.crt", "certFile"), either("tls.key", "keyFile"));
    if let Some(ca) = &ca {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        let first = CertificateDer::pem_slice_iter(ca).find_map(Result::ok);
        if first.is_none() {
            return Err(BuildError::new("failed to parse CA certificate"));
        }
    }
    let missing = |has: &str, lacks: &str| {
        BuildError::new(format!(
            "secret '{id}' contains '{has}' but missing '{lacks}'"
        ))
    };
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
        (Some(_), None) => return Err(missing("tls.crt", "tls.key")),
        (None, Some(_)) => return Err(missing("tls.key", "tls.crt")),
        (None, None) => None,
    };
    if must && ca.is_none() && identity.is_none() {
        return Err(BuildError::new(format!(
            "secret '{id}' must contain either 'ca.crt' or both 'tls.crt' and 'tls.key'"
        )));
    }
    Ok((ca, identity))
}

fn proxy_of_secret(id: &str, data: &Data) -> Result<Proxy, BuildError> {
    let address = text(data, "address").trim().to_owned();
    if address.is_empty() {
        let message = format!("invalid proxy secret '{id}': key 'address' not found");
        return Err(BuildError::new(message));
    }
    let username = text(data, "username");
    let credentials = (!username.is_empty()).then(|| (username, text(data, "password")));
    let wrong = || BuildError::new(format!("invalid proxy secret '{id}': invalid 'address'"));
    proxy_of(&address, credentials).ok_or_else(wrong)
}

/// Reads a proxy's URL; its own credentials are taken out of it.
fn proxy_of(address: &str, credentials: Option<(String, String)>) -> Option<Proxy> {
    let refused = address.len() > MAX_ADDRESS_BYTES || address.contains('|');
    let mut url = url::Url::parse(address).ok().filter(|_| !refused)?;
    if !matches!(url.scheme(), "http" | "https" | "socks5") || !url.has_host() {
        return None;
    }
    let own = (!url.username().is_empty()).then(|| {
        let password = url.password().unwrap_or_default();
        (decoded(url.username()), decoded(password))
    });
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some(Proxy::Explicit {
        url: url.to_string(),
        credentials: credentials.or(own),
    })
}

fn decoded(text: &str) -> String {
    // A form's decoder would take a plus sign for a blank.
    let form = text.replace('+', "%2B");
    let pair = url::form_urlencoded::parse(form.as_bytes()).next();
    pair.map(|(key, _)| key.into_owned()).unwrap_or_default()
}

/// Collects everything that must not be told: credentials, and the address behind its host, which
/// with many services is the credential.
fn redactor(
    kind: ProviderKind,
    address: &str,
    of_secret: bool,
    secret: &Data,
    headers: &BTreeMap<String, String>,
) -> Redactor {
    const PUBLIC: [&str; 5] = ["address", "headers", "username", "ca.crt", "tls.crt"];
    let mut redactor = Redactor::default();
    for (key, value) in secret {
        if !PUBLIC.contains(&key.as_str())
            && let Ok(value) = std::str::from_utf8(value)
        {
            redactor.add(value);
            redactor.add(value.trim());
        }
    }
    for value in headers.values() {
        redactor.add(value);
        if let Some((_, credential)) = value.split_once(' ') {
            redactor.add(credential);
        }
    }
    match url::Url::parse(address) {
        Ok(url) => {
            redactor.add(url.password().unwrap_or_default());
            let mut tail = url.path().trim_matches('/').to_owned();
            if let Some(query) = url.query() {
                redactor.add(query);
                tail = format!("{tail}?{query}");
            }
            // A repository's path is no secret. Short paths are words of other texts.
            let repository = is_commit_status(kind) || super::is_change_request(kind);
            if of_secret || !repository {
                // A service may tell a part of it alone.
                let parts = url.path().split('/');
                let ids = parts.filter(|part| part.len() >= MIN_ID_BYTES);
                for id in ids.filter(|part| part.bytes().any(|b| b.is_ascii_digit())) {
                    redactor.add(id);
                }
                for (_, value) in url.query_pairs().filter(|(_, value)| value.len() > 3) {
                    redactor.add(&value);
                }
            }
            if tail.len() > 3 && (of_secret || !repository) {
                redactor.add(&tail);
                redactor.add(
                    tail.split('?')
                        .next()
                        .filter(|t| t.len() > 3)
                        .unwrap_or_default(),
                );
            }
        }
        Err(_) if of_secret => redactor.add(address),
        Err(_) => {}
    }
    redactor
}

fn text(data: &Data, key: &str) -> String {
    let bytes = data.get(key).map(Vec::as_slice).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
