//! Logins at Git servers of clouds, and as a GitHub App.

use cloud::SigningKey;
use cloud::github_app::{API, App, Installation, USER, api_of};
use net_http::{Auth, ClientConfig, Redirects};
use runtime::secrets::SecretView;

use super::aws::AwsPlace;
use super::{Asker, Cloud, Identities, IdentityError};

const ID: &str = "githubAppID";
const INSTALLATION: &str = "githubAppInstallationID";
const OWNER: &str = "githubAppInstallationOwner";
const KEY: &str = "githubAppPrivateKey";
const BASE_URL: &str = "githubAppBaseURL";

/// What is wrong with the Secret of a GitHub App, in upstream's words.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// It holds none.
    #[error("secretRef with github app data must be specified when provider is set to github")]
    NoApp,
    /// A key is missing.
    #[error("secret '{secret}': key '{key}' not found")]
    Missing {
        /// `<namespace>/<name>`.
        secret: String,
        /// The key.
        key: &'static str,
    },
    /// None or both of two.
    #[error("secret '{0}' must contain exactly one of '{INSTALLATION}' or '{OWNER}'")]
    Installation(String),
    /// A number that is none.
    #[error("secret '{secret}': key '{key}' is no number")]
    Number {
        /// `<namespace>/<name>`.
        secret: String,
        /// The key.
        key: &'static str,
    },
    /// The private key cannot be used.
    #[error("secret '{0}'")]
    Key(String, #[source] cloud::Error),
    /// GitHub gives no token.
    #[error(transparent)]
    Token(#[from] IdentityError),
}

impl Identities {
    /// Returns the login of an identity at a Git server: Azure DevOps or AWS CodeCommit.
    ///
    /// # Errors
    /// [`IdentityError`]; Google has no Git server.
    pub async fn git_login(
        &self,
        cloud: Cloud,
        url: &str,
        asker: &Asker<'_>,
    ) -> Result<Auth, IdentityError> {
        let login = self.login_at(cloud, url, asker).await;
        login.map_err(|error| error.within(IdentityError::Git))
    }

    async fn login_at(
        &self,
        cloud: Cloud,
        url: &str,
        asker: &Asker<'_>,
    ) -> Result<Auth, IdentityError> {
        match cloud {
            Cloud::Azure => {
                let token = self.azure_token(asker, cloud::azure::DEVOPS).await?;
                Ok(Auth::Bearer(token))
            }
            Cloud::Aws => {
                let region = cloud::aws::region_of_repository(url)?;
                let place = AwsPlace {
                    region: Some(region),
                    token_service: None,
                };
                let keys = self.aws_keys(asker, place).await?;
                let login = cloud::aws::git_login(url, &keys, jiff::Timestamp::now())?;
                let (username, password) = login.value;
                Ok(Auth::Basic { username, password })
            }
            Cloud::Gcp => Err(cloud::Error::Invalid(
                "provider 'gcp' does not support Git credentials".into(),
            )
            .into()),
        }
    }

    /// Returns the login of a GitHub App's installation. `http` is how its API is reached.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn github_app_login(
        &self,
        secret: &SecretView,
        http: &ClientConfig,
        asker: &Asker<'_>,
    ) -> Result<Auth, AppError> {
        let app = app_of(secret)?;
        let config = ClientConfig {
            redirects: Redirects::SameHost,
            ..http.clone()
        };
        let client = self.0.clients.get(&config);
        let client = client.map_err(IdentityError::Client)?;
        // Whoever holds the key may have the token: the key is part of the name that it is kept under.
        let words = [
            "github",
            &app.api,
            &app.id.to_string(),
            &format!("{:?}", app.installation),
            secret.text(KEY).unwrap_or_default(),
        ];
        let password = self.exchanged(asker, &words, || app.token(&client)).await?;
        Ok(Auth::Basic {
            username: USER.to_owned(),
            password,
        })
    }
}

/// Reads an app.
fn app_of(secret: &SecretView) -> Result<App, AppError> {
    let name = || secret.name.clone();
    let text = |key: &'static str| {
        let text = secret.text(key).map(str::trim);
        text.filter(|text| !text.is_empty())
    };
    let missing = |key| AppError::Missing {
        secret: name(),
        key,
    };
    let number = |key, text: &str| {
        text.parse::<u64>().map_err(|_| AppError::Number {
            secret: name(),
            key,
        })
    };
    let id = number(ID, text(ID).ok_or(AppError::NoApp)?)?;
    let installation = match (text(INSTALLATION), text(OWNER)) {
        (Some(id), None) => Installation::Id(number(INSTALLATION, id)?),
        (None, Some(owner)) => Installation::Owner(owner.to_owned()),
        _ => return Err(AppError::Installation(name())),
    };
    let pem = secret.bytes(KEY).ok_or_else(|| missing(KEY))?;
    let key = SigningKey::from_pem(pem).map_err(|error| AppError::Key(name(), error))?;
    Ok(App {
        id,
        installation,
        key,
        api: text(BASE_URL).map_or_else(|| API.to_owned(), api_of),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::view;

    /// covers: SC-063
    #[test]
    fn secrets_of_apps_are_checked() {
        let read = |pairs: &[(&str, &str)]| {
            let app = app_of(&view("ns/app", pairs));
            app.map(|_| ()).map_err(|error| error.to_string())
        };
        for (pairs, expected) in [
            (
                &[("username", "u")][..],
                "secretRef with github app data must be specified when provider is set to github",
            ),
            (
                &[(ID, "1")],
                "secret 'ns/app' must contain exactly one of 'githubAppInstallationID' or 'githubAppInstallationOwner'",
            ),
            (
                &[(ID, "1"), (INSTALLATION, "2"), (OWNER, "o")],
                "secret 'ns/app' must contain exactly one of 'githubAppInstallationID' or 'githubAppInstallationOwner'",
            ),
            (
                &[(ID, "x"), (INSTALLATION, "2")],
                "secret 'ns/app': key 'githubAppID' is no number",
            ),
            (
                &[(ID, "1"), (INSTALLATION, "2")],
                "secret 'ns/app': key 'githubAppPrivateKey' not found",
            ),
            (
                &[(ID, "1"), (INSTALLATION, "2"), (KEY, "s3cret")],
                "secret 'ns/app'",
            ),
        ] {
            assert_eq!(read(pairs).unwrap_err(), expected);
        }
    }
}
