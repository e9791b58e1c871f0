//! Identities that clouds give: to this process, or to the ServiceAccount of an object.

mod aws;
mod azure;
mod cluster;
mod endpoints;
mod git;
mod google;
mod registry;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use net_http::{ClientConfig, Clients, Proxy, Redirects};
use runtime::args::TokenCache;
use runtime::features::Features;
use runtime::metrics::Metrics;
use runtime::run::Context;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

pub use self::aws::AwsPlace;
pub use self::cluster::RemoteError;
pub use self::endpoints::Endpoints;
pub use self::git::AppError;
use crate::tokens::{Involved, Tokens};

/// The gate that allows objects an identity of their own.
pub const OBJECT_LEVEL: &str = "ObjectLevelWorkloadIdentity";

/// The longest that all the exchanges for one token may take.
const PATIENCE: Duration = Duration::from_mins(1);
const MAX_FILE: u64 = 64 << 10;

/// A cloud that gives identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cloud {
    /// Amazon Web Services.
    Aws,
    /// Microsoft Azure.
    Azure,
    /// Google Cloud.
    Gcp,
}

impl Cloud {
    /// Returns its name in objects.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
        }
    }
}

/// Who asks for a token, and on behalf of what.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The object's kind.
    pub kind: &'a str,
    /// The object's namespace, which its ServiceAccount is in.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
    /// What the token is for, as the metrics name it.
    pub operation: &'a str,
    /// The ServiceAccount that the object names; absent: the default one, or else the process's own identity.
    pub account: Option<&'a str>,
    /// The proxy that the object names, which is for its tokens too.
    pub proxy: &'a Proxy,
}

/// How a process deals in identities.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Whether objects may have identities of their own.
    pub object_level: bool,
    /// The ServiceAccount that counts where an object names none.
    pub default_account: Option<String>,
    /// The most tokens that are kept.
    pub most_tokens: usize,
    /// The longest that one is kept.
    pub longest: Duration,
}

impl Rules {
    /// Reads what flags and gates say. `account` is that of the flag; empty: none.
    pub fn read(features: &Features, account: &str, tokens: &TokenCache) -> Self {
        Self {
            object_level: features.enabled(OBJECT_LEVEL),
            default_account: Some(account.to_owned()).filter(|name| !name.is_empty()),
            most_tokens: tokens.token_cache_max_size,
            longest: tokens.token_cache_max_duration,
        }
    }
}

/// Why there is no token. Never shows one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The object's ServiceAccount could not be read.
    #[error("failed to get service account '{name}'")]
    Account {
        /// `<namespace>/<name>`.
        name: String,
        /// The API server's answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server gives no token for it.
    #[error("failed to create kubernetes token for service account '{name}'")]
    TokenRequest {
        /// `<namespace>/<name>`.
        name: String,
        /// The API server's answer; absent: an answer without token.
        #[source]
        source: Option<Box<kube::Error>>,
    },
    /// The gate is closed.
    #[error(
        "to use a service account for provider authentication please enable the {OBJECT_LEVEL} feature gate in the controller"
    )]
    Gate,
    /// The ServiceAccount says too little about its identity.
    #[error("failed to get provider identity from service account '{name}' annotations")]
    Annotations {
        /// `<namespace>/<name>`.
        name: String,
        /// What is wrong.
        #[source]
        source: cloud::Error,
    },
    /// The cloud gives none to the ServiceAccount.
    #[error("failed to create provider access token for service account '{name}'")]
    OfAccount {
        /// `<namespace>/<name>`.
        name: String,
        /// Why.
        #[source]
        source: cloud::Error,
    },
    /// The cloud gives none to this process.
    #[error("failed to create provider access token for the controller")]
    OfController(#[source] cloud::Error),
    /// What stands for the token, or is asked with it, is wrong.
    #[error(transparent)]
    Cloud(#[from] cloud::Error),
    /// There is no token to log in at a registry with.
    #[error("failed to get access token for artifact registry")]
    Registry(#[source] Box<Self>),
    /// There is no token to log in at a Git server with.
    #[error("failed to get access token for Git repository")]
    Git(#[source] Box<Self>),
    /// There is no token to reach a cluster with.
    #[error("failed to get access token for cluster")]
    Cluster(#[source] Box<Self>),
    /// A file of this process could not be read.
    #[error("failed to read the file of variable {variable}")]
    File {
        /// The variable that names it.
        variable: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No client can be made.
    #[error("cannot make a client for the provider")]
    Client(#[source] net_http::ConfigError),
    /// It took too long.
    #[error("context deadline exceeded")]
    Timeout,
}

impl IdentityError {
    /// Says what the token was for, where there was none; what stands for a token says so itself.
    fn within(self, wrap: impl FnOnce(Box<Self>) -> Self) -> Self {
        match self {
            Self::Cloud(_) | Self::Timeout => self,
            other => wrap(Box::new(other)),
        }
    }
}

/// A ServiceAccount that has an identity.
#[derive(Clone, Debug)]
struct Account {
    namespace: String,
    name: String,
    annotations: BTreeMap<String, String>,
}

impl Account {
    fn full(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        let value = self.annotations.get(key).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    fn wrong(&self, source: cloud::Error) -> IdentityError {
        IdentityError::Annotations {
            name: self.full(),
            source,
        }
    }

    fn refused(&self, source: cloud::Error) -> IdentityError {
        IdentityError::OfAccount {
            name: self.full(),
            source,
        }
    }
}

/// Asks clouds for tokens and keeps them, each for the one identity that it is of; cheap to clone. Beside what all clones
/// share stands the ServiceAccount that counts where an object names none.
#[derive(Clone)]
pub struct Identities(Arc<Inner>, Option<String>);

struct Inner {
    client: Client,
    clients: Arc<Clients>,
    tokens: Tokens,
    rules: Rules,
    endpoints: Endpoints,
    aws: cloud::aws::Environment,
    azure: azure::Environment,
    google: google::Environment,
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identities")
            .field("rules", &self.0.rules)
            .finish_non_exhaustive()
    }
}

/// Refuses default ServiceAccounts where objects may not have identities of their own: they log in elsewhere as somebody of
/// a tenant's namespace. Takes flags and what was given for each.
///
/// # Errors
/// Names the first flag that was given, and the gate.
pub fn refuse_ungated(features: &Features, flags: &[(&str, &String)]) -> Result<(), String> {
    let given = flags.iter().find(|(_, account)| !account.is_empty());
    match given {
        Some((flag, _)) if !features.enabled(OBJECT_LEVEL) => Err(format!(
            "to use {flag} please enable the {OBJECT_LEVEL} feature gate in the controller"
        )),
        _ => Ok(()),
    }
}

impl Identities {
    /// Returns the identities of a controller's process. `account` is the default ServiceAccount that its flag names; empty:
    /// none.
    #[must_use]
    pub fn of_controller(
        context: &Context,
        features: &Features,
        account: &str,
        clients: Arc<Clients>,
    ) -> Self {
        let rules = Rules::read(features, account, &context.shared.token_cache);
        let (client, metrics) = (context.client.clone(), &context.metrics);
        Self::new(client, clients, metrics, rules, runtime::env::variable)
    }

    /// Returns the identities of a process; `variable` reads its environment, once.
    pub fn new(
        client: Client,
        clients: Arc<Clients>,
        metrics: &Metrics,
        rules: Rules,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let endpoints = Endpoints::read(&variable);
        Self::with_endpoints(client, clients, metrics, rules, (variable, endpoints))
    }

    /// Returns the same with other addresses of the clouds' services.
    pub fn with_endpoints(
        client: Client,
        clients: Arc<Clients>,
        metrics: &Metrics,
        mut rules: Rules,
        (variable, endpoints): (impl Fn(&str) -> Option<String>, Endpoints),
    ) -> Self {
        let account = rules.default_account.take();
        let inner = Inner {
            client,
            clients,
            tokens: Tokens::new(metrics, rules.most_tokens, rules.longest),
            rules,
            endpoints,
            aws: cloud::aws::Environment::read(&variable),
            azure: azure::Environment::read(&variable),
            google: google::Environment::read(&variable),
        };
        Self(Arc::new(inner), account)
    }

    /// Returns the same, with the tokens that are kept, for a matter that has another default ServiceAccount: none where
    /// the name is empty.
    #[must_use]
    pub fn with_default_account(&self, account: &str) -> Self {
        let account = Some(account.to_owned()).filter(|name| !name.is_empty());
        Self(Arc::clone(&self.0), account)
    }

    /// Returns whether an object would be given the identity of a ServiceAccount although the gate for that is closed.
    pub fn needs_gate(&self, account: Option<&str>) -> bool {
        account.is_some_and(|name| !name.is_empty()) && !self.0.rules.object_level
    }

    /// Takes the series of an object that is gone out of the metrics.
    pub fn forget(&self, kind: &str, namespace: &str, name: &str, operation: &str) {
        self.0.tokens.forget(&Involved {
            kind,
            namespace,
            name,
            operation,
        });
    }

    /// Returns a client for the services of clouds: what is sent to them goes nowhere else.
    fn outside(&self, proxy: &Proxy) -> Result<net_http::Client, IdentityError> {
        let config = ClientConfig {
            proxy: proxy.clone(),
            redirects: Redirects::SameHost,
            ..ClientConfig::default()
        };
        self.0.clients.get(&config).map_err(IdentityError::Client)
    }

    /// Returns a client for what runs beside this process.
    fn beside(&self) -> Result<net_http::Client, IdentityError> {
        self.outside(&Proxy::Direct)
    }

    /// Returns the ServiceAccount whose identity counts for who asks; none where it is the process's own.
    async fn account(&self, asker: &Asker<'_>) -> Result<Option<Account>, IdentityError> {
        let named = asker.account.filter(|name| !name.is_empty());
        let Some(name) = named.or(self.1.as_deref()) else {
            return Ok(None);
        };
        if !self.0.rules.object_level {
            return Err(IdentityError::Gate);
        }
        let accounts: Api<ServiceAccount> = Api::namespaced(self.0.client.clone(), asker.namespace);
        let account = accounts.get(name).await;
        let account = account.map_err(|source| IdentityError::Account {
            name: format!("{}/{name}", asker.namespace),
            source: Box::new(source),
        })?;
        Ok(Some(Account {
            namespace: asker.namespace.to_owned(),
            name: name.to_owned(),
            annotations: account.metadata.annotations.unwrap_or_default(),
        }))
    }

    /// Asks the API server for a token of a ServiceAccount.
    async fn token_request(
        &self,
        account: &Account,
        audiences: Vec<String>,
    ) -> Result<String, IdentityError> {
        let accounts: Api<ServiceAccount> =
            Api::namespaced(self.0.client.clone(), &account.namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences,
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let failed = |source| IdentityError::TokenRequest {
            name: account.full(),
            source,
        };
        let made = accounts
            .create_token_request(&account.name, &PostParams::default(), &request)
            .await
            .map_err(|source| failed(Some(Box::new(source))))?;
        let token = made.status.map(|status| status.token);
        token
            .filter(|token| !token.is_empty())
            .ok_or_else(|| failed(None))
    }

    /// Returns what a key of a Secret is exchanged for, kept as all tokens are. `words` name the key and what the token is
    /// for: whoever has the same words has the same token.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn exchanged<F>(
        &self,
        asker: &Asker<'_>,
        words: &[&str],
        ask: impl FnOnce() -> F,
    ) -> Result<String, IdentityError>
    where
        F: Future<Output = Result<cloud::Lasting<String>, cloud::Error>>,
    {
        let ask = || async { Ok(ask().await?) };
        self.kept(asker, None, words, ask).await
    }

    /// Returns what is kept under these words, or asks; the account and the proxy are part of them always.
    async fn kept<T, F>(
        &self,
        asker: &Asker<'_>,
        account: Option<&Account>,
        words: &[&str],
        ask: impl FnOnce() -> F,
    ) -> Result<T, IdentityError>
    where
        T: Clone + Send + Sync + 'static,
        F: Future<Output = Result<cloud::Lasting<T>, IdentityError>>,
    {
        let key = key(account, asker.proxy, words);
        let involved = Involved {
            kind: asker.kind,
            namespace: asker.namespace,
            name: asker.name,
            operation: asker.operation,
        };
        let got = Box::pin(self.0.tokens.get(&key, &involved, ask));
        tokio::time::timeout(PATIENCE, got)
            .await
            .unwrap_or(Err(IdentityError::Timeout))
    }
}

/// Digests everything on which a token depends. The lengths keep the parts apart.
fn key(account: Option<&Account>, proxy: &Proxy, words: &[&str]) -> String {
    let mut digest = Sha256::new();
    let mut add = |text: &str| {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    };
    match account {
        Some(account) => {
            add("account");
            add(&account.namespace);
            add(&account.name);
            for (key, value) in &account.annotations {
                add(key);
                add(value);
            }
        }
        None => add("controller"),
    }
    match proxy {
        Proxy::Explicit { url, credentials } => {
            add(url);
            let (user, password) = credentials.clone().unwrap_or_default();
            add(&user);
            add(&password);
        }
        Proxy::Direct => add("direct"),
        Proxy::Environment => add("environment"),
    }
    for word in words {
        add(word);
    }
    hex::encode(digest.finalize())
}

/// Reads a token that is a file of this process.
async fn file(variable: &'static str, path: &str) -> Result<String, IdentityError> {
    let failed = |source| IdentityError::File { variable, source };
    let opened = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut text = String::new();
    let read = opened.take(MAX_FILE).read_to_string(&mut text).await;
    read.map_err(failed)?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests;
