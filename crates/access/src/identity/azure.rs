//! Tokens of Microsoft Azure.

use cloud::azure::{AUTHORITY, Application, Certificate, Proof, from_machine, token};

use sha2::{Digest, Sha256};

use super::{Account, Asker, Identities, IdentityError, file};

const TENANT: &str = "azure.workload.identity/tenant-id";
const CLIENT: &str = "azure.workload.identity/client-id";
const AUDIENCE: &str = "api://AzureADTokenExchange";
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

/// What a process is told about itself, as variables.
pub(super) struct Environment {
    authority: String,
    tenant: Option<String>,
    client: Option<String>,
    secret: Option<String>,
    token_file: Option<String>,
}

impl Environment {
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            authority: variable("AZURE_AUTHORITY_HOST").unwrap_or_else(|| AUTHORITY.to_owned()),
            tenant: variable("AZURE_TENANT_ID"),
            client: variable("AZURE_CLIENT_ID"),
            secret: variable("AZURE_CLIENT_SECRET"),
            token_file: variable(TOKEN_FILE),
        }
    }
}

impl Identities {
    /// Returns where the tokens of this process's cloud are had.
    pub fn azure_authority(&self) -> &str {
        &self.0.azure.authority
    }

    /// Returns a token for one of Azure's services.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn azure_token(
        &self,
        asker: &Asker<'_>,
        scope: &str,
    ) -> Result<String, IdentityError> {
        let account = self.account(asker).await?;
        Ok(self
            .azure_token_of(asker, account.as_ref(), scope)
            .await?
            .value)
    }

    /// Returns a token that an application has for its certificate.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn azure_certificate_token(
        &self,
        asker: &Asker<'_>,
        application: &Application<'_>,
        certificate: &Certificate<'_>,
        scope: &str,
    ) -> Result<String, IdentityError> {
        let client = self.outside(asker.proxy)?;
        // Whoever has the key may have the token: it is part of what that is kept under.
        let pem = hex::encode(Sha256::digest(certificate.pem));
        let words = [
            "azure certificate",
            application.authority,
            application.tenant,
            application.client,
            &pem,
            scope,
        ];
        let ask = || token(&client, application, Proof::Certificate(certificate), scope);
        self.exchanged(asker, &words, ask).await
    }

    /// Returns a token of an identity that Azure manages and gives to this machine, by the identity's client id.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn azure_managed_token(
        &self,
        asker: &Asker<'_>,
        id: &str,
        scope: &str,
    ) -> Result<String, IdentityError> {
        let client = self.beside()?;
        let endpoint = self.0.endpoints.azure_metadata.as_deref();
        let words = ["azure managed", id, scope];
        let ask = || from_machine(&client, endpoint, Some(id), scope);
        self.exchanged(asker, &words, ask).await
    }

    /// Returns a token and its end.
    pub(super) async fn azure_token_of(
        &self,
        asker: &Asker<'_>,
        account: Option<&Account>,
        scope: &str,
    ) -> Result<cloud::Lasting<String>, IdentityError> {
        let ask = || async {
            let token = match account {
                Some(account) => self.of_account(asker, account, scope).await,
                None => self.of_process(asker, scope).await,
            }?;
            let until = token.until;
            Ok(cloud::Lasting {
                value: token,
                until,
            })
        };
        let words = ["azure", scope];
        self.kept(asker, account, &words, ask).await
    }

    async fn of_account(
        &self,
        asker: &Asker<'_>,
        account: &Account,
        scope: &str,
    ) -> Result<cloud::Lasting<String>, IdentityError> {
        let need = |key: &'static str, what: &str| {
            account.annotation(key).ok_or_else(|| {
                account.wrong(cloud::Error::Invalid(format!(
                    "azure {what} ID is not set in the service account annotation {key}"
                )))
            })
        };
        let application = Application {
            authority: &self.0.azure.authority,
            tenant: need(TENANT, "tenant")?,
            client: need(CLIENT, "client")?,
        };
        let assertion = self.token_request(account, vec![AUDIENCE.into()]).await?;
        let client = self.outside(asker.proxy)?;
        let got = token(&client, &application, Proof::Federated(&assertion), scope).await;
        got.map_err(|error| account.refused(error))
    }

    async fn of_process(
        &self,
        asker: &Asker<'_>,
        scope: &str,
    ) -> Result<cloud::Lasting<String>, IdentityError> {
        let environment = &self.0.azure;
        let got = match (&environment.tenant, &environment.client) {
            (Some(tenant), Some(client)) if self.has_proof() => {
                let application = Application {
                    authority: &environment.authority,
                    tenant,
                    client,
                };
                let http = self.outside(asker.proxy)?;
                if let Some(secret) = &environment.secret {
                    token(&http, &application, Proof::Secret(secret), scope).await
                } else {
                    let path = environment.token_file.as_deref().unwrap_or_default();
                    let assertion = file(TOKEN_FILE, path).await?;
                    token(&http, &application, Proof::Federated(&assertion), scope).await
                }
            }
            (_, identity) => {
                let endpoint = self.0.endpoints.azure_metadata.as_deref();
                from_machine(&self.beside()?, endpoint, identity.as_deref(), scope).await
            }
        };
        got.map_err(IdentityError::OfController)
    }

    fn has_proof(&self) -> bool {
        self.0.azure.secret.is_some() || self.0.azure.token_file.is_some()
    }
}
