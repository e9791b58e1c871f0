//! Requests to a registry: scheme, authentication, retries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use net_http::{
    Auth, Client, ClientConfig, Clients, HeaderName, HeaderValue, Method, Request, Response,
    StatusCode,
};

use crate::challenge::Challenge;
use crate::error::{Answer, Error};
use crate::quiet::{self, Quiet};
use crate::repository::Repository;
use crate::token::{Granted, Key, Tokens};

/// How often a request is sent where the registry has a passing trouble.
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How long user name and password are sent without being asked for them anew.
const BASIC_LIFE: Duration = Duration::from_mins(10);
const MAX_TOKEN_BYTES: u64 = 1 << 20;
const MAX_PROBLEM_BYTES: usize = 16 << 10;
/// How many hosts are remembered to speak plain HTTP.
const PLAIN_HOSTS: usize = 256;

/// What a registry knows an object by.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    #[default]
    Anonymous,
    /// A user name and a password.
    Basic {
        /// The user's name.
        username: String,
        /// The password, or a token in its place.
        password: String,
    },
    /// A token that others are given for: Docker's `identitytoken`, an OAuth 2 refresh token.
    Identity(String),
    /// A token to send as it is: Docker's `registrytoken`.
    Token(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic(..)",
            Self::Identity(_) => "Identity(..)",
            Self::Token(_) => "Token(..)",
        })
    }
}

/// How a registry is reached on behalf of one object.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Certificates and proxy.
    pub http: ClientConfig,
    /// Who asks.
    pub credentials: Credentials,
    /// Whether plain HTTP will do where there is no TLS. Hosts of the local network are tried so in any case.
    pub insecure: bool,
}

/// The registries that this process talks to: connections, tokens, and which hosts speak plain HTTP.
#[derive(Clone, Debug)]
pub struct Registries {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clients: Arc<Clients>,
    tokens: Tokens,
    quiet: Quiet,
    /// Hosts that answered plain HTTP and not TLS, and only to who accepts that.
    plain: Mutex<HashMap<String, Instant>>,
}

impl Registries {
    /// Returns the registries behind a store of HTTP clients.
    pub fn new(clients: Arc<Clients>) -> Self {
        Self {
            shared: Arc::new(Shared {
                clients,
                tokens: Tokens::default(),
                quiet: Quiet::default(),
                plain: Mutex::default(),
            }),
        }
    }

    /// Returns one repository as one object may see it.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn remote(&self, repository: Repository, access: Access) -> Result<Remote, Error> {
        // As upstream has it: who wants no TLS and brings no certificates does not mind whose certificate it is either.
        let own_trust =
            access.http.certificate_authority.is_some() || access.http.identity.is_some();
        let credulous = access.insecure && !own_trust;
        let client = if credulous {
            self.shared.clients.get_credulous(&access.http)?
        } else {
            self.shared.clients.get(&access.http)?
        };
        Ok(Remote {
            shared: Arc::clone(&self.shared),
            client,
            credulous,
            repository,
            access,
            deadline: None,
        })
    }
}

/// One repository of a registry, with the credentials of one object.
#[derive(Clone, Debug)]
pub struct Remote {
    shared: Arc<Shared>,
    client: Client,
    credulous: bool,
    pub(crate) repository: Repository,
    access: Access,
    deadline: Option<tokio::time::Instant>,
}

/// What a request accepts and asks for.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// From `/v2/` on.
    pub(crate) path: String,
    pub(crate) accept: Option<&'static str>,
}

impl Ask {
    pub(crate) fn get(path: String) -> Self {
        Self {
            method: Method::GET,
            path,
            accept: None,
        }
    }
}

impl Remote {
    /// Ends every request at this time at the latest.
    #[must_use]
    pub fn until(mut self, deadline: tokio::time::Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Returns the repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Makes sure that the registry accepts the credentials: what `docker login` does.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn log_in(&self) -> Result<(), Error> {
        self.send(Ask::get("/v2/".to_owned())).await.map(|_| ())
    }

    /// Sends a request; an answer that is no success is an error.
    pub(crate) async fn send(&self, ask: Ask) -> Result<Response, Error> {
        let registry = self.repository.registry();
        let (credentials, http) = (&self.access.credentials, &self.access.http);
        let key = Key::new(registry, "", credentials, http, self.credulous);
        if let Some(after) = self.shared.quiet.left(key, Instant::now()) {
            let registry = registry.to_owned();
            return Err(Error::Quiet { registry, after });
        }
        let answered = self.send_again(ask).await;
        if let Err(error) = &answered
            && let Some(after) = error.retry_after()
        {
            self.shared.quiet.keep(key, after, Instant::now());
        }
        answered
    }

    async fn send_again(&self, ask: Ask) -> Result<Response, Error> {
        let (mut attempt, mut pause) = (1, FIRST_PAUSE);
        loop {
            let answered = self.send_to_either(&ask).await;
            let passing = match &answered {
                Err(Error::Refused { answer, .. }) => {
                    is_passing(answer.status) && answer.retry_after.is_none()
                }
                Err(Error::Exchange { source, .. }) => {
                    matches!(source, net_http::Error::Exchange { .. })
                }
                Ok(_) | Err(_) => false,
            };
            if !passing || attempt >= ATTEMPTS || self.ends_within(pause) {
                return answered;
            }
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.9..1.1))).await;
            attempt += 1;
            pause *= 3;
        }
    }

    fn ends_within(&self, pause: Duration) -> bool {
        let until = self.deadline;
        until.is_some_and(|deadline| tokio::time::Instant::now() + pause >= deadline)
    }

    /// TLS first; plain HTTP where that is allowed and there is no TLS.
    async fn send_to_either(&self, ask: &Ask) -> Result<Response, Error> {
        let registry = self.repository.registry();
        let may_be_plain = self.access.insecure || self.repository.is_local();
        let plain = || {
            self.shared
                .plain
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if may_be_plain && plain().contains_key(registry) {
            let answered = self.send_to(&format!("http://{registry}"), ask).await;
            if !is_no_plain_server(&answered) {
                return answered;
            }
            plain().remove(registry);
        }
        let answered = self.send_to(&format!("https://{registry}"), ask).await;
        if !may_be_plain || !is_no_connection(&answered) {
            return answered;
        }
        let over_plain = self.send_to(&format!("http://{registry}"), ask).await;
        if is_no_plain_server(&over_plain) && !is_plain_server(&answered) {
            return answered;
        }
        let mut plain = plain();
        if plain.len() >= PLAIN_HOSTS {
            plain.clear();
        }
        plain.insert(registry.to_owned(), Instant::now());
        drop(plain);
        over_plain
    }

    async fn send_to(&self, base: &str, ask: &Ask) -> Result<Response, Error> {
        let scope = format!("repository:{}:pull", self.repository.name());
        let (credentials, http) = (&self.access.credentials, &self.access.http);
        let key = Key::new(base, &scope, credentials, http, self.credulous);
        let known = self.shared.tokens.get(key, Instant::now());
        let had_one = known.is_some();
        let response = self.exchange(base, ask, known).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return accepted(ask, base, response).await;
        }
        if had_one {
            self.shared.tokens.forget(key);
        }
        let Some(challenge) = Challenge::of(response.headers()) else {
            return accepted(ask, base, response).await;
        };
        let Some((auth, life)) = self.answer(base, challenge, &scope).await? else {
            return accepted(ask, base, response).await;
        };
        let response = self.exchange(base, ask, Some(auth.clone())).await?;
        if response.status().is_success() {
            self.shared.tokens.put(key, auth, life, Instant::now());
        }
        accepted(ask, base, response).await
    }

    /// Returns what to send, and for how long it may be used again; nothing where there is nothing to answer with.
    async fn answer(
        &self,
        base: &str,
        challenge: Challenge,
        scope: &str,
    ) -> Result<Option<(Auth, Duration)>, Error> {
        match (challenge, &self.access.credentials) {
            (_, Credentials::Token(token)) => Ok(Some((Auth::Bearer(token.clone()), BASIC_LIFE))),
            (Challenge::Basic, Credentials::Basic { username, password }) => {
                let (username, password) = (username.clone(), password.clone());
                Ok(Some((Auth::Basic { username, password }, BASIC_LIFE)))
            }
            (Challenge::Basic, Credentials::Anonymous | Credentials::Identity(_)) => Ok(None),
            (Challenge::Bearer { realm, service }, credentials) => {
                let granted = self.token(base, &realm, service.as_deref(), scope, credentials);
                let (token, life) = granted.await?;
                Ok(Some((Auth::Bearer(token), life)))
            }
        }
    }

    async fn token(
        &self,
        base: &str,
        realm: &str,
        service: Option<&str>,
        scope: &str,
        credentials: &Credentials,
    ) -> Result<(String, Duration), Error> {
        let shown = without_query(realm);
        let malformed = |why: &str| Error::Malformed {
            what: "token",
            url: shown.clone(),
            why: why.to_owned(),
        };
        if base.starts_with("https://") && !realm.starts_with("https://") {
            return Err(malformed(
                "the registry speaks TLS and its token server does not",
            ));
        }
        let mut query = vec![("scope", scope)];
        query.extend(service.map(|service| ("service", service)));
        let request = match credentials {
            Credentials::Identity(token) => {
                query.extend([
                    ("grant_type", "refresh_token"),
                    ("client_id", "lockgate"),
                    ("refresh_token", token),
                ]);
                Request::new(Method::POST, realm)
                    .header(
                        HeaderName::from_static("content-type"),
                        HeaderValue::from_static("application/x-www-form-urlencoded"),
                    )
                    .body(form(&query))
            }
            other => {
                let joint = if realm.contains('?') { '&' } else { '?' };
                let auth = match other {
                    Credentials::Basic { username, password } => Some(Auth::Basic {
                        username: username.clone(),
                        password: password.clone(),
                    }),
                    _ => None,
                };
                Request::get(format!("{realm}{joint}{}", form(&query))).auth(auth)
            }
        };
        let ask = Ask::get(shown.clone());
        let response = self.client.send(self.limited(request)).await;
        let response = response.map_err(|source| exchange_error(&ask.method, &shown, source))?;
        let response = accepted(&ask, "", response).await?;
        let body = response.bytes(MAX_TOKEN_BYTES).await;
        let body = body.map_err(|source| exchange_error(&ask.method, &shown, source))?;
        let granted: Granted =
            serde_json::from_slice(&body).map_err(|_| malformed("it is not the expected JSON"))?;
        granted
            .into_token()
            .ok_or_else(|| malformed("there is none"))
    }

    async fn exchange(&self, base: &str, ask: &Ask, auth: Option<Auth>) -> Result<Response, Error> {
        let url = format!("{base}{}", ask.path);
        let mut request = Request::new(ask.method.clone(), url.clone()).auth(auth);
        if let Some(accept) = ask.accept {
            let name = HeaderName::from_static("accept");
            request = request.header(name, HeaderValue::from_static(accept));
        }
        let sent = self.client.send(self.limited(request)).await;
        sent.map_err(|source| exchange_error(&ask.method, &url, source))
    }

    fn limited(&self, request: Request) -> Request {
        match self.deadline {
            Some(deadline) => {
                let now = tokio::time::Instant::now();
                request.timeout(deadline.saturating_duration_since(now))
            }
            None => request,
        }
    }
}

fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 500 | 502 | 503 | 504)
}

/// Says whether nobody speaks plain HTTP there. A server that wants TLS calls a request without it a bad one.
fn is_no_plain_server(answered: &Result<Response, Error>) -> bool {
    let is_bad = matches!(
        answered,
        Err(Error::Refused { answer, .. }) if answer.status == StatusCode::BAD_REQUEST
    );
    is_bad || is_no_connection(answered)
}

/// What was to begin TLS was answered with something else: a server without it, whatever goes wrong there.
fn is_plain_server(answered: &Result<Response, Error>) -> bool {
    let Err(Error::Exchange { source, .. }) = answered else {
        return false;
    };
    matches!(source, net_http::Error::Connect { source, .. }
        if source.to_string().contains("InvalidContentType"))
}

/// There was no connection, and not because a certificate was refused.
fn is_no_connection(answered: &Result<Response, Error>) -> bool {
    match answered {
        Err(Error::Exchange { source, .. }) => match source {
            net_http::Error::Connect { source, .. } => !source.to_string().contains("certificate"),
            net_http::Error::Exchange { .. } => true,
            _ => false,
        },
        _ => false,
    }
}

async fn accepted(ask: &Ask, base: &str, response: Response) -> Result<Response, Error> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let head = ask.method == Method::HEAD;
    let retry_after = quiet::asked_by(&response);
    let body = response.text_for_message(MAX_PROBLEM_BYTES).await;
    Err(Error::Refused {
        method: ask.method.to_string(),
        url: without_query(&format!("{base}{}", ask.path)),
        answer: Answer {
            retry_after,
            ..Answer::new(status, &body, head)
        },
    })
}

pub(crate) fn exchange_error(method: &Method, url: &str, source: net_http::Error) -> Error {
    Error::Exchange {
        method: method.to_string(),
        url: without_query(url),
        source,
    }
}

pub(crate) fn without_query(url: &str) -> String {
    let url = net_http::without_credentials(url);
    url.split('?').next().unwrap_or_default().to_owned()
}

/// Encodes fields as a form or a query.
fn form(fields: &[(&str, &str)]) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for (name, value) in fields {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte) {
                out.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
