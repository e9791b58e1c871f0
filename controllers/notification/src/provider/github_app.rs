//! Logging in to GitHub: with a token, or as an app's installation.
//!
//! Source: <https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app>.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use net_http::{Client, HeaderName, HeaderValue, Method};
use ring::{rand::SystemRandom, rsa::KeyPair, signature};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{BuildError, Outgoing, SendError, Settings, outgoing};
use crate::tokens::{Token, Tokens};

const JSON: &str = "application/vnd.github+json";
/// How long the token that asks for a token counts; GitHub allows ten minutes.
const SIGNED_FOR: i64 = 540;

/// How to log in to one GitHub.
pub(super) struct Login {
    api: String,
    client: Client,
    way: Way,
}

enum Way {
    Token(HeaderValue),
    App(Box<App>),
}

struct App {
    id: String,
    key: KeyPair,
    installation: Installation,
    /// Names the token in the cache.
    cache_key: String,
    tokens: Arc<Tokens>,
}

#[derive(Clone, Debug)]
enum Installation {
    Id(String),
    Owner(String),
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
    pub(super) fn new(settings: &Settings, api: String) -> Result<Self, BuildError> {
        let text = |key: &str| settings.secret_text(key).trim().to_owned();
        let client = settings.client.clone();
        if let Some(token) = outgoing::bearer(settings.token_or_password())? {
            let way = Way::Token(token);
            return Ok(Self { api, client, way });
        }
        let id = text("githubAppID");
        if id.is_empty() {
            let message = "github token or github app details must be specified";
            return Err(BuildError::new(message));
        }
        let (number, owner) = (
            text("githubAppInstallationID"),
            text("githubAppInstallationOwner"),
        );
        let installation = match (number.is_empty(), owner.is_empty()) {
            (false, _) => Installation::Id(number),
            (true, false) => Installation::Owner(owner),
            (true, true) => {
                return Err(BuildError::new(
                    "app installation owner or ID must be provided to use github app authentication",
                ));
            }
        };
        let pem = settings.secret_text("githubAppPrivateKey");
        if pem.trim().is_empty() {
            let message = "private key must be provided to use github app authentication";
            return Err(BuildError::new(message));
        }
        let own = text("githubAppBaseURL");
        let api = if own.is_empty() {
            api
        } else {
            own.trim_end_matches('/').to_owned()
        };
        let hash = hex::encode(Sha256::digest(&pem));
        let app = App {
            key: private_key(pem.as_bytes())?,
            cache_key: format!("github/{api}/{id}/{installation:?}/{hash}"),
            id,
            installation,
            tokens: Arc::clone(&settings.tokens),
        };
        let way = Way::App(Box::new(app));
        Ok(Self { api, client, way })
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
        let answer = request.send(&self.client, "github").await?;
        answer.expect_success("github")
    }

    /// Returns the name under which comments are written.
    pub(super) async fn user(&self) -> Result<String, SendError> {
        #[derive(Deserialize)]
        struct User {
            login: String,
        }
        #[derive(Deserialize)]
        struct Own {
            slug: String,
        }
        match &self.way {
            Way::Token(token) => {
                let answer = self.ask(Method::GET, "/user", None, token.clone()).await?;
                Ok(answer.read::<User>("github user")?.login)
            }
            Way::App(app) => {
                let signed = app.signed()?;
                let answer = self.ask(Method::GET, "/app", None, signed).await?;
                Ok(format!("{}[bot]", answer.read::<Own>("github app")?.slug))
            }
        }
    }

    async fn token_of(&self, app: &App) -> Result<HeaderValue, SendError> {
        let made = app
            .tokens
            .get(&app.cache_key, || self.new_token(app))
            .await?;
        outgoing::header_value("Authorization", &format!("Bearer {made}"))
            .map_err(|error| SendError::rejected(error.to_string()))
    }

    async fn new_token(&self, app: &App) -> Result<Token, SendError> {
        #[derive(Deserialize)]
        struct Made {
            token: String,
            expires_at: Option<Timestamp>,
        }
        let id = match &app.installation {
            Installation::Id(id) => id.clone(),
            Installation::Owner(owner) => self.installation_of(app, owner).await?,
        };
        let path = format!(
            "/app/installations/{}/access_tokens",
            super::git::segment(&id)
        );
        let answer = self.ask(Method::POST, &path, None, app.signed()?).await?;
        let made: Made = answer.read("github app token")?;
        let left = made
            .expires_at
            .map(|at| at.duration_since(Timestamp::now()));
        let left = left.and_then(|d| Duration::try_from(d).ok());
        Ok(Token {
            text: made.token,
            lives: left.unwrap_or(Duration::from_hours(1)),
        })
    }

    /// Finds an app's installation by whose it is.
    async fn installation_of(&self, app: &App, owner: &str) -> Result<String, SendError> {
        #[derive(Deserialize)]
        struct Found {
            id: u64,
            account: Account,
        }
        #[derive(Deserialize)]
        struct Account {
            login: String,
        }
        for page in 1..=20 {
            let path = format!("/app/installations?per_page=100&page={page}");
            let answer = self.ask(Method::GET, &path, None, app.signed()?).await?;
            let found: Vec<Found> = answer.read("github app installations")?;
            let own = |f: &&Found| f.account.login.eq_ignore_ascii_case(owner);
            if let Some(found) = found.iter().find(own) {
                return Ok(found.id.to_string());
            }
            if found.len() < 100 {
                break;
            }
        }
        Err(SendError::rejected(format!(
            "no installation of the app for owner '{owner}'"
        )))
    }
}

impl App {
    /// Returns the token by which the app itself asks.
    fn signed(&self) -> Result<HeaderValue, SendError> {
        let now = Timestamp::now().as_second();
        // Clocks differ: a little in the past.
        let claims = json!({ "iat": now - 60, "exp": now - 60 + SIGNED_FOR, "iss": self.id });
        let token = sign(&self.key, &claims).map_err(SendError::rejected)?;
        HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| SendError::rejected("the app's token is no header"))
    }
}

/// Reads an RSA key, PKCS #1 or PKCS #8.
pub(super) fn private_key(pem: &[u8]) -> Result<KeyPair, BuildError> {
    let wrong = || BuildError::new("failed to parse private key");
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| wrong())?;
    let pair = match &key {
        PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
        _ => return Err(wrong()),
    };
    pair.map_err(|_| wrong())
}

/// Makes a token of claims, signed with RS256.
pub(super) fn sign(key: &KeyPair, claims: &Value) -> Result<String, &'static str> {
    let header = json!({ "alg": "RS256", "typ": "JWT" });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(claims));
    let mut tag = vec![0; key.public().modulus_len()];
    let random = SystemRandom::new();
    key.sign(
        &signature::RSA_PKCS1_SHA256,
        &random,
        signed.as_bytes(),
        &mut tag,
    )
    .map_err(|_| "the key cannot sign")?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag)))
}
