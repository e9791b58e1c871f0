//! Tokens of Google Cloud.

use cloud::gcp::{self, AccountKey, OwnCluster, SCOPES};

use super::{Account, Asker, Identities, IdentityError, file};

const ACCOUNT: &str = "iam.gke.io/gcp-service-account";
const PROVIDER: &str = "gcp.auth.fluxcd.io/workload-identity-provider";
const KEY_FILE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// What a process is told about itself, as variables.
pub(super) struct Environment {
    key_file: Option<String>,
}

impl Environment {
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            key_file: variable(KEY_FILE),
        }
    }
}

impl Identities {
    /// Returns an access token of Google Cloud.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn google_token(&self, asker: &Asker<'_>) -> Result<String, IdentityError> {
        let account = self.account(asker).await?;
        Ok(self.google_token_of(asker, account.as_ref()).await?.value)
    }

    /// Returns a token and its end.
    pub(super) async fn google_token_of(
        &self,
        asker: &Asker<'_>,
        account: Option<&Account>,
    ) -> Result<cloud::Lasting<String>, IdentityError> {
        let ask = || async {
            let token = match account {
                Some(account) => self.google_of_account(asker, account).await,
                None => self.google_of_process(asker).await,
            }?;
            let until = token.until;
            Ok(cloud::Lasting {
                value: token,
                until,
            })
        };
        self.kept(asker, account, &["gcp"], ask).await
    }

    async fn google_of_account(
        &self,
        asker: &Asker<'_>,
        account: &Account,
    ) -> Result<cloud::Lasting<String>, IdentityError> {
        let acts_as = account.annotation(ACCOUNT);
        if let Some(email) = acts_as {
            gcp::check_account(email).map_err(|error| account.wrong(error))?;
        }
        let (wanted, audience) = if let Some(provider) = account.annotation(PROVIDER) {
            let audience = gcp::provider_audience(provider);
            let audience = audience.map_err(|error| account.wrong(error))?;
            (audience.clone(), audience)
        } else {
            let endpoint = self.0.endpoints.google_metadata.as_deref();
            let cluster = OwnCluster::ask(&self.beside()?, endpoint).await;
            let cluster = cluster.map_err(|error| account.refused(error))?;
            (cluster.pool(), cluster.audience())
        };
        let subject = self.token_request(account, vec![wanted]).await?;
        let client = self.outside(asker.proxy)?;
        let endpoints = &self.0.endpoints;
        let sts = endpoints.google_sts.as_deref();
        let token = gcp::exchange(&client, sts, &audience, &subject).await;
        let token = token.map_err(|error| account.refused(error))?;
        let Some(email) = acts_as else {
            return Ok(token);
        };
        let iam = endpoints.google_iam.as_deref();
        let token = gcp::act_as(&client, iam, email, &token.value).await;
        token.map_err(|error| account.refused(error))
    }

    async fn google_of_process(
        &self,
        asker: &Asker<'_>,
    ) -> Result<cloud::Lasting<String>, IdentityError> {
        let token = if let Some(path) = &self.0.google.key_file {
            let key = file(KEY_FILE, path).await?;
            let key = AccountKey::from_json(key.as_bytes());
            let key = key.map_err(IdentityError::OfController)?;
            key.token(&self.outside(asker.proxy)?, &SCOPES).await
        } else {
            let endpoint = self.0.endpoints.google_metadata.as_deref();
            gcp::from_machine(&self.beside()?, endpoint, &SCOPES).await
        };
        token.map_err(IdentityError::OfController)
    }
}
