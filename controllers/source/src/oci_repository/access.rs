//! How a registry is reached: the Secrets that the object names, and its ServiceAccount.

use access::{LoginError, RegistryAccess, keychain};
use api::meta::LocalReference;
use api::source::{OCIRepository, RegistryProvider};
use kube::ResourceExt;
use net_http::Proxy;
use registry::{Access, Credentials, Repository};
use runtime::{Failure, Note, Progress};

use super::OciRepositories;
use super::choose::Wanted;
use super::gather::PULL_FAILED;
use crate::failure::{AUTH_FAILED, chain, fetch, gate_closed};
use crate::provider::{asker, cloud};

impl OciRepositories {
    /// Reads everything that it takes to reach the registry.
    pub(super) async fn access(
        &self,
        object: &OCIRepository,
        repository: &Repository,
        progress: &Progress,
    ) -> Result<Access, Failure> {
        let spec = &object.spec;
        let namespace = object.namespace().unwrap_or_default();
        let wanted = RegistryAccess {
            namespace: &namespace,
            login: name(spec.secret_ref.as_ref()),
            puller: spec.service_account_name.as_deref(),
            certificates: name(spec.cert_secret_ref.as_ref()),
            proxy: name(spec.proxy_secret_ref.as_ref()),
            insecure: spec.insecure.unwrap_or_default(),
        };
        let logins = self.logins(&wanted, repository, progress).await?;
        let proxy = self.setup.reader.proxy(&namespace, wanted.proxy).await;
        let proxy = proxy.map_err(|error| {
            let why = chain(&error);
            fetch(AUTH_FAILED, format!("failed to get proxy address: {why}"))
        })?;
        let credentials = match logins {
            Some(credentials) => credentials,
            None => self.identity(object, repository, &proxy).await?,
        };
        let reader = &self.setup.reader;
        let access = reader.registry_through(&wanted, credentials, proxy).await;
        access.map_err(|error| {
            let (url, why) = (&spec.url, chain(&error));
            fetch(
                AUTH_FAILED,
                format!("failed to generate transport for '{url}': {why}"),
            )
        })
    }

    /// Refuses what is behind a gate that is closed.
    pub(super) fn check_gates(&self, object: &OCIRepository) -> Result<(), Failure> {
        let provider = object.spec.provider.unwrap_or_default();
        let account = object.spec.service_account_name.as_deref();
        if provider != RegistryProvider::Generic && self.setup.identities.needs_gate(account) {
            return Err(gate_closed());
        }
        Ok(())
    }

    /// Reads the pull Secret of the object, then those of its ServiceAccount; none where neither is there.
    async fn logins(
        &self,
        wanted: &RegistryAccess<'_>,
        repository: &Repository,
        progress: &Progress,
    ) -> Result<Option<Credentials>, Failure> {
        let failed = |error: &LoginError| {
            match error {
                LoginError::Secret { name, .. } => {
                    let words = format!("auth secret '{name}' not found");
                    progress.emit(Note::trace(AUTH_FAILED, words));
                }
                LoginError::Puller { name, .. } => {
                    let words = format!("serviceaccount '{name}' not found");
                    progress.emit(Note::trace(AUTH_FAILED, words));
                }
                _ => {}
            }
            let why = chain(error);
            fetch(AUTH_FAILED, format!("failed to get credential: {why}"))
        };
        let logins = self.setup.reader.logins(wanted).await;
        let logins = logins.map_err(|error| failed(&error))?;
        if logins.is_empty() {
            return Ok(None);
        }
        let found = keychain(&logins, repository);
        found.map(Some).map_err(|error| failed(&error))
    }

    /// Asks the provider for credentials. Users know a refusal as one of the first request that it is for.
    async fn identity(
        &self,
        object: &OCIRepository,
        repository: &Repository,
        proxy: &Proxy,
    ) -> Result<Credentials, Failure> {
        let spec = &object.spec;
        let Some(cloud) = cloud(spec.provider.unwrap_or_default()) else {
            return Ok(Credentials::Anonymous);
        };
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let account = spec.service_account_name.as_deref();
        let asker = asker(super::KIND, (&namespace, &name), account, proxy);
        let login = self
            .setup
            .identities
            .registry_login(cloud, repository, &asker);
        login.await.map_err(|error| {
            let (url, why) = (&spec.url, chain(&error));
            match Wanted::of(spec.reference.as_ref()) {
                Wanted::Range { .. } => fetch(
                    "ReadOperationFailed",
                    format!("failed to determine the artifact tag for '{url}': {why}"),
                ),
                _ => fetch(
                    PULL_FAILED,
                    format!("failed to determine artifact digest: {why}"),
                ),
            }
        })
    }
}

fn name(reference: Option<&LocalReference>) -> Option<&str> {
    reference.map(|reference| reference.name.as_str())
}
