//! How a registry is reached: the Secrets that the object names, and its ServiceAccount.

use access::{LoginError, RegistryAccess, RegistryError, keychain};
use api::meta::LocalReference;
use api::source::{OCIRepository, RegistryProvider};
use kube::ResourceExt;
use registry::{Access, Credentials, Repository};
use runtime::{Failure, Note, Progress};

use super::OciRepositories;
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
        let credentials = self
            .credentials(object, repository, &wanted, progress)
            .await?;
        let access = self.setup.reader.registry(&wanted, credentials).await;
        access.map_err(|error| match error {
            RegistryError::Proxy(error) => {
                let why = chain(&error);
                fetch(AUTH_FAILED, format!("failed to get proxy address: {why}"))
            }
            error @ RegistryError::Certificates(_) => {
                let (url, why) = (&spec.url, chain(&error));
                fetch(
                    AUTH_FAILED,
                    format!("failed to generate transport for '{url}': {why}"),
                )
            }
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

    /// Reads the pull Secret of the object, then those of its ServiceAccount; where neither is there, the provider's
    /// credentials count.
    async fn credentials(
        &self,
        object: &OCIRepository,
        repository: &Repository,
        wanted: &RegistryAccess<'_>,
        progress: &Progress,
    ) -> Result<Credentials, Failure> {
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
        if !logins.is_empty() {
            return keychain(&logins, repository).map_err(|error| failed(&error));
        }
        let provider = object.spec.provider.unwrap_or_default();
        crate::provider::credentials(provider, repository).map_err(|why| {
            let name = provider_name(provider);
            fetch(
                AUTH_FAILED,
                format!("failed to get credential from {name}: {why}"),
            )
        })
    }
}

fn name(reference: Option<&LocalReference>) -> Option<&str> {
    reference.map(|reference| reference.name.as_str())
}

fn provider_name(provider: RegistryProvider) -> &'static str {
    match provider {
        RegistryProvider::Generic => "generic",
        RegistryProvider::Aws => "aws",
        RegistryProvider::Azure => "azure",
        RegistryProvider::Gcp => "gcp",
    }
}
