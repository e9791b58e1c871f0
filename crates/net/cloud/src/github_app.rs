//! GitHub Apps: a token of an app's installation.
//!
//! Source: <https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app>,
//! <https://docs.github.com/rest/apps/apps#create-an-installation-access-token-for-an-app>.

use http::Method;
use jiff::Timestamp;
use net_http::Client;
use serde::Deserialize;
use serde_json::json;

use crate::exchange::{Exchange, Lasting, encoded};
use crate::{Error, SigningKey};

/// The user that stands for a token.
pub const USER: &str = "x-access-token";
/// Where the API is unless a Secret says otherwise.
pub const API: &str = "https://api.github.com";

const WHAT: &str = "could not get an access token of the GitHub App";
/// How far clocks may differ, and how long the app's own token counts, in seconds.
const DRIFT: i64 = 30;
const LIFE: i64 = 120;

/// Which of an app's installations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Installation {
    /// By number.
    Id(u64),
    /// By the organization or user that it is installed for.
    Owner(String),
}

/// An app, and an installation of it.
#[derive(Debug)]
pub struct App {
    /// The app's number.
    pub id: u64,
    /// Which installation.
    pub installation: Installation,
    /// The app's key.
    pub key: SigningKey,
    /// The address of the API.
    pub api: String,
}

/// Returns the address of the API behind what a Secret says: that of an Enterprise Server has it under `/api/v3`.
pub fn api_of(base: &str) -> String {
    let url = base.trim().trim_end_matches('/');
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or(host);
    if host.starts_with("api.") || host.contains(".api.") || url.ends_with("/api/v3") {
        url.to_owned()
    } else {
        format!("{url}/api/v3")
    }
}

#[derive(Deserialize)]
struct Found {
    id: u64,
}

#[derive(Deserialize)]
struct Own {
    slug: String,
}

#[derive(Deserialize)]
struct Made {
    token: String,
    expires_at: Timestamp,
}

impl App {
    /// Asks for a token of the installation.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn token(&self, client: &Client) -> Result<Lasting<String>, Error> {
        let signed = self.signed(Timestamp::now())?;
        let id = match &self.installation {
            Installation::Id(id) => *id,
            Installation::Owner(owner) => self.installation_of(client, &signed, owner).await?,
        };
        let path = format!("/app/installations/{id}/access_tokens");
        let made: Made = self
            .ask(client, Method::POST, &path, &signed)?
            .answer()
            .await?;
        Ok(Lasting {
            value: made.token,
            until: made.expires_at,
        })
    }

    /// Asks for the app's name in addresses, which its login is made of: `<slug>[bot]`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn slug(&self, client: &Client) -> Result<String, Error> {
        let signed = self.signed(Timestamp::now())?;
        let own: Own = self
            .ask(client, Method::GET, "/app", &signed)?
            .answer()
            .await?;
        Ok(own.slug)
    }

    /// Makes the token by which the app itself asks.
    fn signed(&self, now: Timestamp) -> Result<String, Error> {
        let since = now.as_second() - DRIFT;
        let claims = json!({ "iat": since, "exp": since + LIFE, "iss": self.id.to_string() });
        self.key.sign(&json!({}), &claims)
    }

    fn ask<'a>(
        &self,
        client: &'a Client,
        method: Method,
        path: &str,
        signed: &str,
    ) -> Result<Exchange<'a>, Error> {
        Exchange::new(client, WHAT, method, format!("{}{path}", self.api))
            .header("accept", "application/vnd.github+json")?
            .header("x-github-api-version", "2022-11-28")?
            .bearer(signed)
    }

    /// Finds the installation of an owner, which is an organization or a user.
    async fn installation_of(
        &self,
        client: &Client,
        signed: &str,
        owner: &str,
    ) -> Result<u64, Error> {
        let mut last = None;
        for kind in ["orgs", "users"] {
            let path = format!("/{kind}/{}/installation", encoded(owner));
            let exchange = self.ask(client, Method::GET, &path, signed)?;
            match exchange.answer::<Found>().await {
                Ok(found) => return Ok(found.id),
                Err(Error::Refused { status: 404, .. }) => {}
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            Error::Invalid(format!(
                "the GitHub App has no installation for the owner '{owner}'"
            ))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_of_an_enterprise_server_has_a_path() {
        for (base, expected) in [
            ("https://api.github.com/", "https://api.github.com"),
            ("https://ghe.example", "https://ghe.example/api/v3"),
            ("https://ghe.example/api/v3/", "https://ghe.example/api/v3"),
            ("https://x.api.ghe.com", "https://x.api.ghe.com"),
        ] {
            assert_eq!(api_of(base), expected);
        }
    }
}
