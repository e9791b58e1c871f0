//! Tokens that registries give for credentials, kept until shortly before they end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use net_http::{Auth, ClientConfig};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::Credentials;

/// How long a token lives where its registry does not say.
const DEFAULT_LIFE: Duration = Duration::from_mins(1);
const LONGEST_LIFE: Duration = Duration::from_hours(1);
/// How many are kept.
const KEPT: usize = 256;

/// Names a token by everything that it was given for. The credentials are in it as a hash only.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

impl Key {
    pub(crate) fn new(
        base: &str,
        scope: &str,
        credentials: &Credentials,
        http: &ClientConfig,
        credulous: bool,
    ) -> Self {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        };
        add(base.as_bytes());
        add(scope.as_bytes());
        add(&[u8::from(credulous)]);
        match credentials {
            Credentials::Anonymous => add(b"anonymous"),
            Credentials::Basic { username, password } => {
                add(b"basic");
                add(username.as_bytes());
                add(password.as_bytes());
            }
            Credentials::Identity(token) => {
                add(b"identity");
                add(token.as_bytes());
            }
            Credentials::Token(token) => {
                add(b"token");
                add(token.as_bytes());
            }
        }
        add(http.certificate_authority.as_deref().unwrap_or_default());
        let identity = http.identity.as_ref();
        add(identity.map_or(&[], |identity| &identity.certificate));
        add(identity.map_or(&[], |identity| &identity.key));
        add(format!("{:?}", http.proxy).as_bytes());
        Self(hash.finalize().into())
    }
}

/// What is sent with requests, by what it was given for.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<Key, (Auth, Instant)>>);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(..)")
    }
}

impl Tokens {
    pub(crate) fn get(&self, key: Key, now: Instant) -> Option<Auth> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.get(&key) {
            Some((auth, until)) if *until > now => Some(auth.clone()),
            Some(_) => {
                kept.remove(&key);
                None
            }
            None => None,
        }
    }

    pub(crate) fn put(&self, key: Key, auth: Auth, life: Duration, now: Instant) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.retain(|_, (_, until)| *until > now);
        }
        if kept.len() >= KEPT {
            let soonest = kept.iter().min_by_key(|(_, (_, until))| *until);
            if let Some(key) = soonest.map(|(key, _)| *key) {
                kept.remove(&key);
            }
        }
        kept.insert(key, (auth, now + life));
    }

    pub(crate) fn forget(&self, key: Key) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&key);
    }
}

/// The answer of a token server.
#[derive(Deserialize)]
pub(crate) struct Granted {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl Granted {
    /// Returns the token and for how long it may be used: a tenth of its life is left for clocks that differ.
    pub(crate) fn into_token(self) -> Option<(String, Duration)> {
        let token = if self.token.is_empty() {
            self.access_token
        } else {
            self.token
        };
        let usable = !token.is_empty() && !token.bytes().any(|byte| byte.is_ascii_control());
        let life = self.expires_in.map_or(DEFAULT_LIFE, Duration::from_secs);
        usable.then(|| (token, life.min(LONGEST_LIFE).mul_f64(0.9)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(user: &str, scope: &str) -> Key {
        let credentials = Credentials::Basic {
            username: user.into(),
            password: "p".into(),
        };
        Key::new(
            "https://h",
            scope,
            &credentials,
            &ClientConfig::default(),
            false,
        )
    }

    #[test]
    fn token_is_kept_for_its_credentials_and_scope_until_it_ends() {
        let (tokens, now) = (Tokens::default(), Instant::now());
        tokens.put(
            key("a", "x"),
            Auth::Bearer("t".into()),
            Duration::from_secs(9),
            now,
        );
        assert_eq!(
            tokens.get(key("a", "x"), now),
            Some(Auth::Bearer("t".into()))
        );
        assert_eq!(tokens.get(key("b", "x"), now), None);
        assert_eq!(tokens.get(key("a", "y"), now), None);
        assert_eq!(
            tokens.get(key("a", "x"), now + Duration::from_secs(9)),
            None
        );
    }

    #[test]
    fn only_so_many_are_kept() {
        let (tokens, now) = (Tokens::default(), Instant::now());
        for at in 0..=KEPT {
            let life = Duration::from_secs(at as u64 + 1);
            tokens.put(
                key(&at.to_string(), "x"),
                Auth::Bearer("t".into()),
                life,
                now,
            );
        }
        assert_eq!(tokens.0.lock().unwrap().len(), KEPT);
        assert_eq!(tokens.get(key("0", "x"), now), None);
    }

    #[test]
    fn granted_token_is_read_in_both_spellings() {
        let read = |json: &str| serde_json::from_str::<Granted>(json).unwrap().into_token();
        assert_eq!(
            read(r#"{"token":"a","expires_in":100}"#),
            Some(("a".into(), Duration::from_secs(90)))
        );
        assert_eq!(read(r#"{"access_token":"b"}"#).unwrap().0, "b");
        assert_eq!(read("{}"), None);
        assert_eq!(read(r#"{"token":"a\nb"}"#), None);
    }
}
