//! Logins at registries of clouds.

use cloud::aws::Registry;
use registry::{Credentials, Repository};

use super::aws::AwsPlace;
use super::{Asker, Cloud, Identities, IdentityError};

impl Identities {
    /// Returns the login of an identity at a registry. Which host it is for is checked first: a token goes nowhere else.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn registry_login(
        &self,
        cloud: Cloud,
        repository: &Repository,
        asker: &Asker<'_>,
    ) -> Result<Credentials, IdentityError> {
        let host = repository.registry();
        let login = match cloud {
            Cloud::Aws => self.ecr_login(host, asker).await,
            Cloud::Azure => self.acr_login(host, asker).await,
            Cloud::Gcp => self.gar_login(host, asker).await,
        };
        let (username, password) = login.map_err(|error| error.within(IdentityError::Registry))?;
        Ok(Credentials::Basic { username, password })
    }

    async fn gar_login(
        &self,
        host: &str,
        asker: &Asker<'_>,
    ) -> Result<(String, String), IdentityError> {
        cloud::gcp::check_registry(host)?;
        let token = self.google_token(asker).await?;
        Ok((cloud::gcp::REGISTRY_USER.to_owned(), token))
    }

    async fn ecr_login(
        &self,
        host: &str,
        asker: &Asker<'_>,
    ) -> Result<(String, String), IdentityError> {
        let registry = Registry::parse(host)?;
        let account = self.account(asker).await?;
        let endpoints = &self.0.endpoints;
        let endpoint = match registry {
            Registry::Private { .. } => endpoints.ecr.as_deref(),
            Registry::Public => endpoints.ecr_public.as_deref(),
        };
        let place = AwsPlace {
            region: Some(registry.region()),
            token_service: None,
        };
        let ask = || async {
            let keys = self.keys_of(asker, account.as_ref(), place).await?;
            let client = self.outside(asker.proxy)?;
            Ok(cloud::aws::registry_login(&client, endpoint, &registry, &keys).await?)
        };
        // Of one region all registries have one login, which is good for what the identity may see; the domain tells
        // partitions apart.
        let words = ["ecr", &format!("{registry:?}")];
        self.kept(asker, account.as_ref(), &words, ask).await
    }

    async fn acr_login(
        &self,
        host: &str,
        asker: &Asker<'_>,
    ) -> Result<(String, String), IdentityError> {
        cloud::azure::check_registry(host)?;
        let account = self.account(asker).await?;
        let endpoint = self.0.endpoints.azure_registry.as_deref();
        let ask = || async {
            let scope = cloud::azure::REGISTRIES;
            let token = self.azure_token_of(asker, account.as_ref(), scope).await?;
            let client = self.outside(asker.proxy)?;
            let login = cloud::azure::registry_login(&client, endpoint, host, &token.value).await;
            Ok(login?)
        };
        self.kept(asker, account.as_ref(), &["acr", host], ask)
            .await
    }
}
