//! The public keys of token issuers, fetched when first needed and kept for an hour.
//!
//! A token signed by a key that is not known has them fetched again, but seldom: anyone may send
//! such a token.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use net_http::{ClientConfig, Clients, Destinations, Redirects, Request};
use serde::Deserialize;

pub use super::jwt::Key;
use super::jwt::Token;

const KEPT: Duration = Duration::from_hours(1);
/// How long after a fetch an unknown key does not cause another one.
const SELDOM: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_BYTES: u64 = 1 << 20;
const MOST_ISSUERS: usize = 256;
const NOT_FETCHED: &str = "cannot get the issuer's keys";
/// Google's keys; its tokens have no discovery to go through.
const GOOGLE: &str = "https://www.googleapis.com/oauth2/v3/certs";

#[derive(Debug)]
struct Entry {
    fetched: Instant,
    keys: Arc<[Key]>,
}

/// Fetches and keeps keys.
#[derive(Debug)]
pub struct Keys {
    clients: Arc<Clients>,
    google: String,
    kept: Mutex<HashMap<String, Entry>>,
    /// One fetch at a time, so that many calls at once cause one.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Debug, Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// Where an issuer's keys are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Issuer<'a> {
    /// Google's.
    Google,
    /// Those of an issuer with discovery.
    Discovered(&'a str),
}

impl Keys {
    /// Returns a store without keys.
    pub fn new(clients: Arc<Clients>) -> Self {
        Self {
            clients,
            google: GOOGLE.to_owned(),
            kept: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// Says where Google's keys are, where they are elsewhere.
    #[must_use]
    pub fn google_at(mut self, url: &str) -> Self {
        url.clone_into(&mut self.google);
        self
    }

    /// Checks the signature of a token.
    pub(super) async fn verify(&self, issuer: Issuer<'_>, token: &Token<'_>) -> Result<(), String> {
        let name = match issuer {
            Issuer::Google => &self.google,
            Issuer::Discovered(url) => url,
        };
        let keys = match self.known(name, token) {
            Some(keys) => keys,
            None => self.fetched(issuer, name, token).await?,
        };
        if token.is_signed_by(&keys) {
            Ok(())
        } else {
            Err("the token's signature is not of a key of its issuer".into())
        }
    }

    /// Returns kept keys where they are fresh enough for a token.
    fn known(&self, name: &str, token: &Token<'_>) -> Option<Arc<[Key]>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = kept.get(name)?;
        let age = entry.fetched.elapsed();
        let fresh = age < KEPT && (token.has_key_in(&entry.keys) || age < SELDOM);
        fresh.then(|| Arc::clone(&entry.keys))
    }

    async fn fetched(
        &self,
        issuer: Issuer<'_>,
        name: &str,
        token: &Token<'_>,
    ) -> Result<Arc<[Key]>, String> {
        let _one = self.fetching.lock().await;
        if let Some(keys) = self.known(name, token) {
            return Ok(keys);
        }
        let uri = match issuer {
            Issuer::Google => self.google.clone(),
            Issuer::Discovered(url) => {
                let trimmed = url.trim_end_matches('/');
                let at = format!("{trimmed}/.well-known/openid-configuration");
                let found = self.get(&at).await?;
                let found: Discovery =
                    serde_json::from_slice(&found).map_err(|error| unknown(&error))?;
                if found.issuer.trim_end_matches('/') != trimmed {
                    return Err("the issuer's discovery names another issuer".into());
                }
                found.jwks_uri
            }
        };
        let set = self.get(&uri).await?;
        self.learn(name, &set).map_err(|error| unknown(&error))
    }

    /// Takes over the key set (RFC 7517) of an issuer, or of Google by the address of its keys, as if just fetched.
    ///
    /// # Errors
    /// A text that is no key set.
    pub fn learn(&self, issuer: &str, set: &[u8]) -> serde_json::Result<Arc<[Key]>> {
        let set: KeySet = serde_json::from_slice(set)?;
        // A key of a kind that is not known must not hide the others.
        let keys = set.keys.into_iter();
        let keys: Arc<[Key]> = keys
            .filter_map(|k| serde_json::from_value(k).ok())
            .collect();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_ISSUERS {
            kept.clear();
        }
        let entry = Entry {
            fetched: Instant::now(),
            keys: Arc::clone(&keys),
        };
        kept.insert(issuer.to_owned(), entry);
        Ok(keys)
    }

    async fn get(&self, url: &str) -> Result<Bytes, String> {
        let config = ClientConfig {
            redirects: Redirects::SameHost,
            destinations: Destinations::NoMetadata,
            ..ClientConfig::default()
        };
        let client = self.clients.get(&config);
        let client = client.map_err(|error| unknown(&error))?;
        let answer = client.send(Request::get(url).timeout(TIMEOUT)).await;
        let answer = answer.map_err(|error| unknown(&error))?;
        if !answer.status().is_success() {
            let code = answer.status().as_u16();
            return Err(format!("{NOT_FETCHED}: status {code}"));
        }
        let body = answer.bytes(MAX_BYTES).await;
        body.map_err(|error| unknown(&error))
    }
}

fn unknown(error: &(dyn std::error::Error + 'static)) -> String {
    format!("{NOT_FETCHED}: {}", net_http::chain(error))
}
