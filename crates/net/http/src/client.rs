//! Clients by configuration, the last few of them kept.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::destination;
use crate::exchange::{Request, Response};
use crate::hosts::Pauses;
use crate::tls::Trust;
use crate::{ConfigError, Destinations, Environment, Error, Identity, Proxy, proxy, tls};

/// How many clients are kept. Each holds its connections and a TLS configuration.
const KEPT: usize = 32;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest silence of a peer while an answer is awaited or read.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
const IDLE_PER_HOST: usize = 4;
const MAX_REDIRECTS: usize = 10;

/// What distinguishes one client from another. Credentials of requests are no part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientConfig {
    /// PEM certificates trusted in addition to the system's.
    pub certificate_authority: Option<Vec<u8>>,
    /// The client certificate for mutual TLS.
    pub identity: Option<Identity>,
    /// The proxy.
    pub proxy: Proxy,
    /// Which redirects are followed.
    pub redirects: Redirects,
    /// Where requests may go.
    pub destinations: Destinations,
}

/// Which redirects a client follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Redirects {
    /// Up to ten, none of them from https to http. Credentials go only to the same scheme, host and port.
    #[default]
    Follow,
    /// Those to the same host and port that keep the method (307 and 308). Any other one is an answer like others: what
    /// was sent, which may be secret in itself, goes nowhere else.
    SameHost,
}

/// Makes clients and keeps the ones used last.
#[derive(Debug)]
pub struct Clients {
    user_agent: String,
    environment: Environment,
    pauses: Arc<Pauses>,
    kept: Mutex<Vec<((ClientConfig, Trust), Client)>>,
}

impl Clients {
    /// Returns an empty store of clients that call themselves `user_agent`.
    pub fn new(user_agent: impl Into<String>, environment: Environment) -> Self {
        Self {
            user_agent: user_agent.into(),
            environment,
            pauses: Arc::default(),
            kept: Mutex::default(),
        }
    }

    /// Returns how long the host of an address asked to be left alone from now on, with an answer of status 429 or 503.
    pub fn pause_of(&self, address: &str) -> Option<Duration> {
        self.pauses.left(address)
    }

    /// Returns the client of a configuration, made now or kept from before.
    ///
    /// # Errors
    /// Certificates, keys or the proxy's address that cannot be used.
    pub fn get(&self, config: &ClientConfig) -> Result<Client, ConfigError> {
        self.get_with(config, Trust::Authorities)
    }

    /// Returns the client of a configuration that believes any server to be who it says it is: only for who asked for
    /// that by name.
    ///
    /// # Errors
    /// As [`Clients::get`].
    pub fn get_credulous(&self, config: &ClientConfig) -> Result<Client, ConfigError> {
        self.get_with(config, Trust::Anyone)
    }

    fn get_with(&self, config: &ClientConfig, trust: Trust) -> Result<Client, ConfigError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let same =
            |((own, how), _): &((ClientConfig, Trust), Client)| own == config && *how == trust;
        if let Some(at) = kept.iter().position(same) {
            let entry = kept.remove(at);
            let client = entry.1.clone();
            kept.push(entry);
            return Ok(client);
        }
        let client = self.build(config, trust)?;
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push(((config.clone(), trust), client.clone()));
        Ok(client)
    }

    fn build(&self, config: &ClientConfig, trust: Trust) -> Result<Client, ConfigError> {
        let tls = tls::config(
            config.certificate_authority.as_deref(),
            config.identity.as_ref(),
            trust,
        )?;
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(&self.user_agent)
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .redirect(redirects(config.redirects, config.destinations));
        let builder = match config.destinations {
            Destinations::Any => builder,
            Destinations::NoMetadata => builder.dns_resolver(destination::Careful),
        };
        let inner = proxy::apply(builder, &config.proxy, &self.environment)?
            .build()
            .map_err(ConfigError::Build)?;
        Ok(Client {
            inner: Arc::new(inner),
            destinations: config.destinations,
            pauses: Arc::clone(&self.pauses),
        })
    }
}

/// Makes the policy. reqwest drops the usual headers with credentials on any hop to another scheme, host or port.
fn redirects(kind: Redirects, destinations: Destinations) -> reqwest::redirect::Policy {
    reqwest::redirect::Policy::custom(move |attempt| {
        let is_forbidden = destinations == Destinations::NoMetadata
            && destination::check(attempt.url().as_str()).is_err();
        let came_from = attempt.previous().last();
        let leaves_tls = came_from.is_some_and(|from| from.scheme() == "https")
            && attempt.url().scheme() != "https";
        let too_many = attempt.previous().len() > MAX_REDIRECTS;
        let stays = came_from.is_some_and(|from| {
            from.host() == attempt.url().host()
                && from.port_or_known_default() == attempt.url().port_or_known_default()
        });
        let repeats = matches!(attempt.status().as_u16(), 307 | 308);
        match kind {
            _ if is_forbidden => attempt.error("it leads to a metadata address"),
            Redirects::Follow if leaves_tls => attempt.error("it leads from https to http"),
            Redirects::Follow if too_many => attempt.error("too many redirects"),
            Redirects::Follow => attempt.follow(),
            Redirects::SameHost if stays && repeats && !leaves_tls && !too_many => attempt.follow(),
            Redirects::SameHost => attempt.stop(),
        }
    })
}

/// Sends requests under one configuration; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<reqwest::Client>,
    destinations: Destinations,
    pauses: Arc<Pauses>,
}

impl Client {
    /// Sends a request and waits for the head of the answer. Any status is an answer.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Forbidden`], [`Error::Connect`], [`Error::Timeout`], [`Error::Redirect`],
    /// [`Error::Exchange`].
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        if self.destinations == Destinations::NoMetadata {
            destination::check(request.url())?;
        }
        let (host, request) = request.into_parts(&self.inner)?;
        match request.send().await {
            Ok(response) => {
                self.pauses
                    .heed(&host, response.status(), response.headers());
                Ok(Response::new(host, response))
            }
            Err(error) => Err(Error::from_reqwest(&host, error)),
        }
    }
}

#[cfg(test)]
mod tests;
