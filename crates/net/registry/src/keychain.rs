//! Docker configurations: which credentials belong to which registry.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;

use crate::{Credentials, Repository};

/// Credentials by registry, from any number of Docker configurations.
///
/// The configuration that was added first counts before later ones; within one, the longest matching entry counts.
/// An entry is a host with an optional port and path, each part of the host a pattern: `*.example.com/team`.
/// Source: Kubernetes `pkg/credentialprovider`, v1.33.
#[derive(Clone, Debug, Default)]
pub struct Keychain {
    entries: Vec<(Pattern, Credentials)>,
}

/// Why a Docker configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeychainError {
    /// It is no JSON of the expected shape. The cause is not shown: it could quote a password.
    #[error("Docker configuration is not valid JSON")]
    Json,
    /// The `auth` of an entry is no base64 of `user:password`.
    #[error("Docker configuration has an invalid 'auth' for '{0}'")]
    Auth(String),
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize, Default)]
struct Entry {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    auth: String,
    #[serde(default, rename = "identitytoken", alias = "identityToken")]
    identity_token: String,
    #[serde(default, rename = "registrytoken", alias = "registryToken")]
    registry_token: String,
}

impl Keychain {
    /// Adds a configuration of the shape `{"auths": {"<registry>": {…}}}`: the key `.dockerconfigjson` of a Secret.
    ///
    /// # Errors
    /// [`KeychainError`].
    pub fn add_config(&mut self, json: &[u8]) -> Result<(), KeychainError> {
        let config: Config = serde_json::from_slice(json).map_err(|_| KeychainError::Json)?;
        self.add(config.auths)
    }

    /// Adds a configuration of the older shape `{"<registry>": {…}}`: the key `.dockercfg` of a Secret.
    ///
    /// # Errors
    /// [`KeychainError`].
    pub fn add_legacy(&mut self, json: &[u8]) -> Result<(), KeychainError> {
        self.add(serde_json::from_slice(json).map_err(|_| KeychainError::Json)?)
    }

    /// Adds the configuration of a Secret of one of Kubernetes' two types for that. Returns whether it is of one.
    ///
    /// # Errors
    /// [`KeychainError`].
    pub fn add_secret<'a>(
        &mut self,
        data: impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<bool, KeychainError> {
        if let Some(json) = data(".dockerconfigjson") {
            self.add_config(json)?;
            return Ok(true);
        }
        match data(".dockercfg") {
            Some(json) => self.add_legacy(json).map(|()| true),
            None => Ok(false),
        }
    }

    fn add(&mut self, auths: BTreeMap<String, Entry>) -> Result<(), KeychainError> {
        let mut added = Vec::new();
        for (key, entry) in auths {
            let Some(pattern) = Pattern::parse(&key) else {
                continue;
            };
            let credentials = entry.credentials().ok_or(KeychainError::Auth(key))?;
            added.push((pattern, credentials));
        }
        added.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.rank()));
        self.entries.extend(added);
        Ok(())
    }

    /// Returns whether no configuration named any registry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the credentials for a repository, where there are any.
    pub fn find(&self, repository: &Repository) -> Option<&Credentials> {
        self.entries
            .iter()
            .find(|(pattern, _)| pattern.matches(repository))
            .map(|(_, credentials)| credentials)
    }
}

impl Entry {
    fn credentials(self) -> Option<Credentials> {
        if !self.registry_token.is_empty() {
            return Some(Credentials::Token(self.registry_token));
        }
        if !self.identity_token.is_empty() {
            return Some(Credentials::Identity(self.identity_token));
        }
        let (username, password) = if self.auth.is_empty() {
            (self.username, self.password)
        } else {
            let auth = self.auth.trim();
            let bytes = STANDARD
                .decode(auth)
                .or_else(|_| STANDARD_NO_PAD.decode(auth));
            let text = String::from_utf8(bytes.ok()?).ok()?;
            let (username, password) = text.split_once(':')?;
            let password = password.trim_end_matches('\0');
            (username.to_owned(), password.to_owned())
        };
        if username.is_empty() && password.is_empty() {
            return Some(Credentials::Anonymous);
        }
        Some(Credentials::Basic { username, password })
    }
}

/// An entry's key.
#[derive(Clone, Debug)]
struct Pattern {
    labels: Vec<String>,
    port: Option<String>,
    path: String,
}

impl Pattern {
    fn parse(key: &str) -> Option<Self> {
        let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.trim_matches('/');
        // Docker's own key for its hub is `https://index.docker.io/v1/`.
        let path = match path.split_once('/') {
            Some(("v1" | "v2", rest)) => rest,
            None if matches!(path, "v1" | "v2") => "",
            _ => path,
        };
        let (host, port) = split_port(authority);
        let host = if host == "docker.io" {
            "index.docker.io"
        } else {
            host
        };
        (!host.is_empty()).then(|| Self {
            labels: host.split('.').map(str::to_owned).collect(),
            port: port.map(str::to_owned),
            path: path.to_owned(),
        })
    }

    /// What is more exact comes first.
    fn rank(&self) -> (usize, usize) {
        let wild = self
            .labels
            .iter()
            .filter(|label| label.contains('*'))
            .count();
        (self.path.len(), usize::MAX - wild)
    }

    fn matches(&self, repository: &Repository) -> bool {
        let (host, port) = split_port(repository.registry());
        let labels: Vec<&str> = host.split('.').collect();
        let same_host = labels.len() == self.labels.len()
            && self
                .labels
                .iter()
                .zip(labels)
                .all(|(glob, label)| glob_matches(glob, label));
        let within = self.path.is_empty() || repository.name().starts_with(&self.path);
        same_host && self.port.as_deref() == port && within
    }
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Matches one label of a host; `*` stands for any characters, `?` for one.
fn glob_matches(glob: &str, text: &str) -> bool {
    fn matches(glob: &[u8], text: &[u8]) -> bool {
        match glob {
            [] => text.is_empty(),
            [b'*', rest @ ..] => (0..=text.len()).any(|at| matches(rest, &text[at..])),
            [b'?', rest @ ..] => !text.is_empty() && matches(rest, &text[1..]),
            [byte, rest @ ..] => text.first() == Some(byte) && matches(rest, &text[1..]),
        }
    }
    // A label has at most 63 characters, and more stars than a few are no use.
    glob.matches('*').count() <= 4 && matches(glob.as_bytes(), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(configs: &[&str], repository: &str) -> Option<String> {
        let mut keychain = Keychain::default();
        for config in configs {
            keychain.add_config(config.as_bytes()).unwrap();
        }
        let repository = Repository::parse(repository).unwrap();
        match keychain.find(&repository)? {
            Credentials::Basic { username, .. } => Some(username.clone()),
            Credentials::Identity(_) => Some("identity".into()),
            Credentials::Token(_) => Some("token".into()),
            Credentials::Anonymous => Some("anonymous".into()),
        }
    }

    fn config(entries: &[(&str, &str)]) -> String {
        let auths: BTreeMap<_, _> = entries
            .iter()
            .map(|(key, user)| {
                (
                    *key,
                    BTreeMap::from([("username", *user), ("password", "p")]),
                )
            })
            .collect();
        serde_json::json!({ "auths": auths }).to_string()
    }

    #[test]
    fn the_most_exact_entry_counts() {
        let all = config(&[
            ("ghcr.io", "host"),
            ("ghcr.io/org", "org"),
            ("https://ghcr.io/v2/org/app", "app"),
            ("*.example.com", "star"),
            ("a.example.com", "exact"),
            ("host:5000", "port"),
        ]);
        for (repository, expected) in [
            ("ghcr.io/other/app", Some("host")),
            ("ghcr.io/org/other", Some("org")),
            ("ghcr.io/org/app", Some("app")),
            ("b.example.com/app", Some("star")),
            ("a.example.com/app", Some("exact")),
            ("a.b.example.com/app", None),
            ("host:5000/app", Some("port")),
            ("host:5001/app", None),
            ("a.example.com:1/app", None),
        ] {
            assert_eq!(
                user(&[&all], repository).as_deref(),
                expected,
                "{repository}"
            );
        }
    }

    #[test]
    fn docker_hub_is_found_under_all_its_names() {
        for key in [
            "https://index.docker.io/v1/",
            "docker.io",
            "index.docker.io",
        ] {
            let config = config(&[(key, "u")]);
            assert_eq!(user(&[&config], "podinfo").as_deref(), Some("u"), "{key}");
        }
    }

    #[test]
    fn configurations_count_in_the_order_they_were_added() {
        let (first, second) = (
            config(&[("ghcr.io", "first")]),
            config(&[("ghcr.io/org", "second")]),
        );
        assert_eq!(
            user(&[&first, &second], "ghcr.io/org/app").as_deref(),
            Some("first")
        );
    }

    #[test]
    fn entries_hold_user_and_password_in_any_form() {
        let of = |entry: &str| {
            user(
                &[&format!(r#"{{"auths":{{"ghcr.io":{entry}}}}}"#)],
                "ghcr.io/app",
            )
            .unwrap()
        };
        assert_eq!(of(r#"{"auth":"dTpw"}"#), "u");
        assert_eq!(of(r#"{"auth":"dXNlcjpw\n"}"#), "user");
        assert_eq!(of(r#"{"identitytoken":"x","username":"u"}"#), "identity");
        assert_eq!(of(r#"{"registrytoken":"x"}"#), "token");
        assert_eq!(of("{}"), "anonymous");
    }

    #[test]
    fn errors_do_not_show_what_the_configuration_holds() {
        let mut keychain = Keychain::default();
        let bad = |keychain: &mut Keychain, json: &str| {
            keychain
                .add_config(json.as_bytes())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            bad(&mut keychain, "{\"auths\": s3cret"),
            "Docker configuration is not valid JSON"
        );
        assert_eq!(
            bad(&mut keychain, r#"{"auths":{"h.io":{"auth":"s3cret!"}}}"#),
            "Docker configuration has an invalid 'auth' for 'h.io'"
        );
        keychain
            .add_legacy(br#"{"h.io":{"username":"u","password":"p"}}"#)
            .unwrap();
        assert!(!keychain.is_empty());
        assert!(!format!("{keychain:?}").contains("\"p\""));
    }
}
