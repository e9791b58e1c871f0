//! How a Helm repository is reached: the Secrets that the object names, checked.

use access::{Certificates, ReadError, Reader, redactor};
use api::source::HelmRepository;
use kube::ResourceExt;
use net_http::{Auth, ClientConfig, Proxy, Redactor};
use registry::{Credentials, Keychain, Repository};
use runtime::secrets::SecretView;

/// Credentials and certificates for a Helm repository.
#[derive(Clone, Debug)]
pub(crate) struct HelmAccess {
    pub(crate) http: ClientConfig,
    secret: Option<SecretView>,
    /// User name and password, where the Secret has them.
    pub(crate) basic: Option<(String, String)>,
    pub(crate) redactor: Redactor,
}

impl HelmAccess {
    /// Reads the Secrets of a repository.
    ///
    /// # Errors
    /// What is wrong, in upstream's words; all of it counts as AuthenticationFailed.
    pub(crate) async fn read(reader: &Reader, object: &HelmRepository) -> Result<Self, String> {
        let namespace = object.namespace().unwrap_or_default();
        let login = match &object.spec.secret_ref {
            Some(reference) => {
                let read = reader.secret(&namespace, &reference.name).await;
                Some(read.map_err(|error| {
                    let name = format!("{namespace}/{}", reference.name);
                    let cause = ReadError::from(error).cause();
                    format!("failed to get authentication secret '{name}': {cause}")
                })?)
            }
            None => None,
        };
        let certificates = match (&object.spec.cert_secret_ref, &login) {
            (Some(reference), _) => {
                let read = reader.certificates(&namespace, Some(&reference.name)).await;
                read.map_err(|error| match error {
                    ReadError::Secret(_) => {
                        let name = format!("{namespace}/{}", reference.name);
                        let cause = error.cause();
                        format!("failed to get TLS authentication secret '{name}': {cause}")
                    }
                    error => tls_words(&error.to_string()),
                })?
            }
            (None, Some(login)) => {
                Certificates::optional(login).map_err(|error| tls_words(&error.to_string()))?
            }
            (None, None) => Certificates::default(),
        };
        if object.spec.cert_secret_ref.is_none() && !certificates.is_empty() {
            tracing::info!(
                "specifying TLS authentication data via `.spec.secretRef` is deprecated, please use `.spec.certSecretRef` instead"
            );
        }
        let http = reader.config(certificates, Proxy::default());
        let http = http.map_err(|error| tls_words(&error.to_string()))?;
        let basic = login.as_ref().map(basic).transpose()?.flatten();
        let password = basic.as_ref().map_or("", |(_, password)| password.as_str());
        let user_and_password = basic.as_ref().map_or(String::new(), |(user, password)| {
            format!("{user}:{password}")
        });
        Ok(Self {
            redactor: redactor(&http, &[password, &user_and_password]),
            http,
            secret: login,
            basic,
        })
    }

    /// Returns the access of a repository that asks for nothing.
    pub(crate) fn none() -> Self {
        Self {
            http: ClientConfig::default(),
            secret: None,
            basic: None,
            redactor: Redactor::default(),
        }
    }

    /// Returns the credentials for an index over HTTP.
    pub(crate) fn auth(&self) -> Option<Auth> {
        let (username, password) = self.basic.clone()?;
        Some(Auth::Basic { username, password })
    }

    /// Returns whether a Secret was named.
    pub(crate) fn has_secret(&self) -> bool {
        self.secret.is_some()
    }

    /// Returns the credentials for a repository of a registry.
    ///
    /// # Errors
    /// A Secret without credentials for it.
    pub(crate) fn credentials(&self, repository: &Repository) -> Result<Credentials, String> {
        let Some(secret) = &self.secret else {
            return Ok(Credentials::Anonymous);
        };
        if let Some((username, password)) = self.basic.clone() {
            return Ok(Credentials::Basic { username, password });
        }
        let short = secret.name.rsplit('/').next().unwrap_or_default();
        let mut keychain = Keychain::default();
        match keychain.add_secret(|key| secret.bytes(key)) {
            Ok(true) => keychain.find(repository).cloned().ok_or_else(|| {
                let registry = repository.registry();
                format!("no auth config for '{registry}' in the docker-registry Secret '{short}'")
            }),
            Ok(false) => Err(format!(
                "invalid '{short}' secret data: required fields 'username' and 'password'"
            )),
            Err(error) => Err(format!(
                "unable to load Docker config from Secret '{short}': {error}"
            )),
        }
    }
}

fn tls_words(why: &str) -> String {
    format!("failed to construct Helm client's TLS config: {why}")
}

fn basic(secret: &SecretView) -> Result<Option<(String, String)>, String> {
    let text = |key: &str| secret.text(key).map(str::to_owned);
    let malformed = |present: &str, missing: &str| {
        let name = &secret.name;
        Err(format!(
            "failed to detect authentication methods: secret '{name}': malformed basic auth - has '{present}' but missing '{missing}'"
        ))
    };
    match (text("username"), text("password")) {
        (Some(username), Some(password)) => Ok(Some((username, password))),
        (Some(_), None) => malformed("username", "password"),
        (None, Some(_)) => malformed("password", "username"),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn access(pairs: &[(&str, &str)]) -> Result<HelmAccess, String> {
        let data = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())));
        let secret = SecretView {
            name: "ns/login".into(),
            kind: String::new(),
            data: data.collect(),
        };
        Ok(HelmAccess {
            basic: basic(&secret)?,
            secret: Some(secret),
            http: ClientConfig::default(),
            redactor: Redactor::default(),
        })
    }

    /// covers: SC-144
    #[test]
    fn user_name_and_password_come_together() {
        assert_eq!(
            access(&[("username", "u")]).unwrap_err(),
            "failed to detect authentication methods: secret 'ns/login': malformed basic auth - has 'username' but missing 'password'"
        );
        let both = access(&[("username", "u"), ("password", "p")]).unwrap();
        assert!(both.auth().is_some());
    }

    #[test]
    fn registry_credentials_come_from_either_form_of_secret() {
        let repository = Repository::parse("ghcr.io/org/charts/demo").unwrap();
        let of = |pairs: &[(&str, &str)]| access(pairs).unwrap().credentials(&repository);
        let basic = Credentials::Basic {
            username: "u".into(),
            password: "p".into(),
        };
        assert_eq!(of(&[("username", "u"), ("password", "p")]).unwrap(), basic);
        let docker = r#"{"auths":{"ghcr.io":{"username":"u","password":"p"}}}"#;
        assert_eq!(of(&[(".dockerconfigjson", docker)]).unwrap(), basic);
        let other = docker.replace("ghcr.io", "quay.io");
        assert_eq!(
            of(&[(".dockerconfigjson", &other)]).unwrap_err(),
            "no auth config for 'ghcr.io' in the docker-registry Secret 'login'"
        );
        assert_eq!(
            of(&[]).unwrap_err(),
            "invalid 'login' secret data: required fields 'username' and 'password'"
        );
    }
}
