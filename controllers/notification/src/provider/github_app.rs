//! Logging in to GitHub: with a token, or as an app's installation.
//!
//! Source: <https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app>.

use std::sync::Arc;

use cloud::{
    SigningKey,
    github_app::{App, Installation, api_of as api_of_app},
};
use net_http::{HeaderName, HeaderValue, Method};
use serde::Deserialize;
use serde_json::Value;

use super::{BuildError, Outgoing, SendError, Settings, identity, outgoing};

const JSON: &str = "application/vnd.github+json";

/// How to log in to one GitHub.
pub(super) struct Login {
    api: String,
    settings: Arc<Settings>,
    way: Way,
}

enum Way {
    Token(HeaderValue),
    App(Box<App>),
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("api", &self.api)
            .finish_non_exhaustive()
    }
}

/// Returns where the API of a GitHub is.
pub(super) fn api_of(base: &str, host: &str) -> String {
    if host == "github.com" {
        "https://api.github.com".to_owned()
    } else {
        format!("{base}/api/v3")
    }
}

impl Login {
    /// Reads how to log in.
    ///
    /// # Errors
    /// Neither a token nor all that an app needs.
    pub(super) fn new(settings: &Arc<Settings>, api: String) -> Result<Self, BuildError> {
        let settings = Arc::clone(settings);
        let (api, way) = if let Some(token) = outgoing::bearer(settings.token_or_password())? {
            (api, Way::Token(token))
        } else {
            let app = app(&settings, api)?;
            (app.api.clone(), Way::App(Box::new(app)))
        };
        Ok(Self { api, settings, way })
    }

    /// Sends a request to the API as who logs in.
    ///
    /// # Errors
    /// No token can be had, or the answer is no success.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<super::Answer, SendError> {
        let authorization = match &self.way {
            Way::Token(token) => token.clone(),
            Way::App(app) => self.token_of(app).await?,
        };
        self.ask(method, path, body, authorization).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        authorization: HeaderValue,
    ) -> Result<super::Answer, SendError> {
        const VERSION: HeaderName = HeaderName::from_static("x-github-api-version");
        let mut request = Outgoing::new(method, format!("{}{path}", self.api))
            .header(http::header::ACCEPT, HeaderValue::from_static(JSON))
            .header(VERSION, HeaderValue::from_static("2022-11-28"))
            .header(http::header::AUTHORIZATION, authorization);
        if let Some(body) = body {
            request = request.with_json(body);
        }
        let answer = request.send(&self.settings.client, "github").await?;
        answer.expect_success("github")
    }

    /// Returns the name under which comments are written.
    pub(super) async fn user(&self) -> Result<String, SendError> {
        #[derive(Deserialize)]
        struct User {
            login: String,
        }
        match &self.way {
            Way::Token(token) => {
                let answer = self.ask(Method::GET, "/user", None, token.clone()).await?;
                Ok(answer.read::<User>("github user")?.login)
            }
            Way::App(app) => {
                let slug = app.slug(&self.settings.client).await;
                let slug =
                    slug.map_err(|error| SendError::failed(runtime::failure::chain(&error)))?;
                Ok(format!("{slug}[bot]"))
            }
        }
    }

    async fn token_of(&self, app: &App) -> Result<HeaderValue, SendError> {
        // Whoever holds the key may have the token: the key is part of the name that it is kept under.
        let words = [
            "github",
            &app.api,
            &app.id.to_string(),
            &format!("{:?}", app.installation),
            &self.settings.secret_text(KEY),
        ];
        let asker = self.settings.asker();
        let ask = || app.token(&self.settings.client);
        let token = self.settings.identities.exchanged(&asker, &words, ask);
        identity::bearer(token.await)
    }
}

const KEY: &str = "githubAppPrivateKey";

/// Reads an app; `api` is where its GitHub is unless the Secret says otherwise.
fn app(settings: &Settings, api: String) -> Result<App, BuildError> {
    let text = |key: &str| settings.secret_text(key).trim().to_owned();
    let number = |key: &str, text: &str| {
        let wrong = |_| BuildError::new(format!("'{key}' of the secret is no number"));
        text.parse::<u64>().map_err(wrong)
    };
    let id = text("githubAppID");
    if id.is_empty() {
        let message = "github token or github app details must be specified";
        return Err(BuildError::new(message));
    }
    let installation = text("githubAppInstallationID");
    let owner = text("githubAppInstallationOwner");
    let installation = match (installation.is_empty(), owner.is_empty()) {
        (false, _) => Installation::Id(number("githubAppInstallationID", &installation)?),
        (true, false) => Installation::Owner(owner),
        (true, true) => {
            return Err(BuildError::new(
                "app installation owner or ID must be provided to use github app authentication",
            ));
        }
    };
    let pem = settings.secret_text(KEY);
    if pem.trim().is_empty() {
        let message = "private key must be provided to use github app authentication";
        return Err(BuildError::new(message));
    }
    let key = SigningKey::from_pem(pem.as_bytes())
        .map_err(|_| BuildError::new("failed to parse private key"))?;
    let own = text("githubAppBaseURL");
    Ok(App {
        id: number("githubAppID", &id)?,
        installation,
        key,
        api: if own.is_empty() {
            api
        } else {
            api_of_app(&own)
        },
    })
}
