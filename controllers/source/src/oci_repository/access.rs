//! How a registry is reached: the Secrets that the object names, and its ServiceAccount.

use api::source::{OCIRepository, RegistryProvider};
use kube::ResourceExt;
use net_http::ClientConfig;
use registry::{Access, Credentials, Keychain, Repository};
use runtime::secrets::{pull_secrets, secret};
use runtime::{Failure, Note, Progress};

use super::OciRepositories;
use crate::access::{Certificates, check_config, read_proxy};
use crate::failure::{AUTH_FAILED, chain, fetch};

const NO_GATE: &str = "to use spec.serviceAccountName for provider authentication please enable the \
                       ObjectLevelWorkloadIdentity feature gate in the controller";

impl OciRepositories {
    /// Reads everything that it takes to reach the registry.
    pub(super) async fn access(
        &self,
        object: &OCIRepository,
        repository: &Repository,
        progress: &Progress,
    ) -> Result<Access, Failure> {
        let provider = object.spec.provider.unwrap_or_default();
        let keychain = self.keychain(object, progress).await?;
        let namespace = object.namespace().unwrap_or_default();
        let proxy = object.spec.proxy_secret_ref.as_ref();
        let proxy = read_proxy(&self.setup.client, &namespace, proxy).await;
        let proxy = proxy
            .map_err(|why| fetch(AUTH_FAILED, format!("failed to get proxy address: {why}")))?;
        let credentials = match keychain {
            Some(keychain) => keychain.find(repository).cloned().unwrap_or_default(),
            None if provider == RegistryProvider::Generic => Credentials::Anonymous,
            None => crate::provider::credentials(provider, repository).map_err(|why| {
                let name = provider_name(provider);
                fetch(
                    AUTH_FAILED,
                    format!("failed to get credential from {name}: {why}"),
                )
            })?,
        };
        let certificates = self.certificates(object).await?;
        let http = certificates.into_config(proxy);
        check_config(&self.setup.clients, &http).map_err(|why| no_transport(object, &why))?;
        Ok(Access {
            http,
            credentials,
            insecure: object.spec.insecure.unwrap_or_default(),
        })
    }

    /// Refuses what is behind a gate that is closed.
    pub(super) fn check_gates(&self, object: &OCIRepository) -> Result<(), Failure> {
        let provider = object.spec.provider.unwrap_or_default();
        let by_account = object.spec.service_account_name.as_ref();
        let named = by_account.is_some_and(|name| !name.is_empty());
        if named && provider != RegistryProvider::Generic && !self.setup.object_identity {
            return Err(Failure::stall("FeatureGateDisabled", NO_GATE));
        }
        Ok(())
    }

    /// Reads the pull Secret of the object, then those of its ServiceAccount; none where neither is named.
    async fn keychain(
        &self,
        object: &OCIRepository,
        progress: &Progress,
    ) -> Result<Option<Keychain>, Failure> {
        let namespace = object.namespace().unwrap_or_default();
        let client = &self.setup.client;
        let failed = |why: String| fetch(AUTH_FAILED, format!("failed to get credential: {why}"));
        let told = |words: String| progress.emit(Note::trace(AUTH_FAILED, words));
        let mut found = Vec::new();
        if let Some(reference) = &object.spec.secret_ref {
            let name = &reference.name;
            match secret(client, &namespace, name).await {
                Ok(secret) => found.push(secret),
                Err(error) => {
                    told(format!("auth secret '{name}' not found"));
                    let cause = std::error::Error::source(&error).map_or_else(String::new, chain);
                    return Err(failed(format!("failed to get secret '{name}': {cause}")));
                }
            }
        }
        if let Some(name) = object
            .spec
            .service_account_name
            .as_deref()
            .filter(|name| !name.is_empty())
        {
            match pull_secrets(client, &namespace, name).await {
                Ok(secrets) => found.extend(secrets),
                Err(error) => {
                    told(format!("serviceaccount '{name}' not found"));
                    let cause = std::error::Error::source(&error).map_or_else(String::new, chain);
                    return Err(failed(cause));
                }
            }
        }
        if found.is_empty() {
            return Ok(None);
        }
        let mut keychain = Keychain::default();
        for secret in &found {
            let added = keychain.add_secret(|key| secret.bytes(key));
            added.map_err(|error| failed(format!("secret '{}': {error}", secret.name)))?;
        }
        Ok(Some(keychain))
    }

    async fn certificates(&self, object: &OCIRepository) -> Result<Certificates, Failure> {
        let Some(reference) = &object.spec.cert_secret_ref else {
            return Ok(Certificates::default());
        };
        let namespace = object.namespace().unwrap_or_default();
        let read = secret(&self.setup.client, &namespace, &reference.name).await;
        let read = read.map_err(|error| no_transport(object, &chain(&error)))?;
        Certificates::of(&read).map_err(|error| no_transport(object, &error.to_string()))
    }
}

fn no_transport(object: &OCIRepository, why: &str) -> Failure {
    let url = &object.spec.url;
    fetch(
        AUTH_FAILED,
        format!("failed to generate transport for '{url}': {why}"),
    )
}

fn provider_name(provider: RegistryProvider) -> &'static str {
    match provider {
        RegistryProvider::Generic => "generic",
        RegistryProvider::Aws => "aws",
        RegistryProvider::Azure => "azure",
        RegistryProvider::Gcp => "gcp",
    }
}

/// Collects what must not be shown.
pub(super) fn redactor(access: &Access) -> net_http::Redactor {
    let http: &ClientConfig = &access.http;
    match &access.credentials {
        Credentials::Anonymous => crate::access::redactor(http, &[]),
        Credentials::Basic { username, password } => {
            let both = format!("{username}:{password}");
            crate::access::redactor(http, &[password, &both])
        }
        Credentials::Identity(token) | Credentials::Token(token) => {
            crate::access::redactor(http, &[token])
        }
    }
}
