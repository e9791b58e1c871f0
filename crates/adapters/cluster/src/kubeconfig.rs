//! Clusters that a kubeconfig in a Secret names.

use std::{collections::BTreeMap, time::Duration};

use kube::{
    Client, Config,
    config::{
        AuthInfo, Cluster as ClusterEntry, KubeConfigOptions, Kubeconfig,
        KubeconfigError as ConfigError,
    },
};

use crate::Cluster;

/// The keys that are looked at, in order, when none is named.
const DEFAULT_KEYS: [&str; 2] = ["value", "value.yaml"];

/// What a tenant's kubeconfig may do.
#[derive(Clone, Copy, Debug, Default)]
pub struct KubeconfigOptions {
    /// Run programs of this container that it names.
    pub allow_exec: bool,
    /// Trust whoever answers, where it says so.
    pub allow_insecure_tls: bool,
}

/// A kubeconfig that cannot be used. Never holds any of its values.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// The Secret has no such key.
    #[error("KubeConfig secret '{secret}' does not contain a '{key}' key with a kubeconfig")]
    MissingKey {
        /// Namespace and name of the Secret.
        secret: String,
        /// The key.
        key: String,
    },
    /// It is no kubeconfig; the parser's text could hold parts of it.
    #[error("KubeConfig secret '{0}' does not hold a valid kubeconfig")]
    Malformed(String),
    /// It has what this controller does not do for tenants.
    #[error("KubeConfig secret '{secret}' uses {what}, which is not allowed")]
    NotAllowed {
        /// Namespace and name of the Secret.
        secret: String,
        /// What it uses.
        what: &'static str,
    },
    /// It names a context, cluster or user that it does not define.
    #[error("KubeConfig secret '{secret}' is incomplete")]
    Incomplete {
        /// Namespace and name of the Secret.
        secret: String,
        /// Why.
        #[source]
        source: Box<ConfigError>,
    },
    /// No client can be made from it.
    #[error("KubeConfig secret '{secret}' does not make a client")]
    Client {
        /// Namespace and name of the Secret.
        secret: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
}

impl Cluster {
    /// Connects to the cluster of a kubeconfig in a Secret. No request is made yet.
    ///
    /// Everything must be inline: a path would read a file of this container. `secret` is the
    /// Secret's namespace and name, for messages.
    ///
    /// # Errors
    /// [`KubeconfigError`], which never shows a value of the Secret.
    pub async fn from_kubeconfig(
        secret: &str,
        data: &BTreeMap<String, Vec<u8>>,
        key: Option<&str>,
        options: KubeconfigOptions,
    ) -> Result<Self, KubeconfigError> {
        let text = value_of(secret, data, key)?;
        let malformed = || KubeconfigError::Malformed(secret.into());
        let text = std::str::from_utf8(text).map_err(|_| malformed())?;
        let kubeconfig = Kubeconfig::from_yaml(text).map_err(|_| malformed())?;
        let kubeconfig = sanitized(secret, kubeconfig, options)?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .map_err(|source| KubeconfigError::Incomplete {
                secret: secret.into(),
                source: Box::new(source),
            })?;
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(10));
        let client = Client::try_from(config).map_err(|source| KubeconfigError::Client {
            secret: secret.into(),
            source: Box::new(source),
        })?;
        Ok(Self::new(client))
    }
}

fn value_of<'a>(
    secret: &str,
    data: &'a BTreeMap<String, Vec<u8>>,
    key: Option<&str>,
) -> Result<&'a [u8], KubeconfigError> {
    let keys = key.map_or_else(|| DEFAULT_KEYS.to_vec(), |key| vec![key]);
    let found = keys.iter().find_map(|key| data.get(*key));
    found
        .map(Vec::as_slice)
        .ok_or_else(|| KubeconfigError::MissingKey {
            secret: secret.into(),
            key: key.unwrap_or(DEFAULT_KEYS[0]).into(),
        })
}

/// Takes out what would reach into this container, and refuses what would not work without it.
///
/// Only the current context counts; entries of other contexts are dropped.
fn sanitized(
    secret: &str,
    mut kubeconfig: Kubeconfig,
    options: KubeconfigOptions,
) -> Result<Kubeconfig, KubeconfigError> {
    let context = kubeconfig
        .contexts
        .iter()
        .find(|it| Some(&it.name) == kubeconfig.current_context.as_ref())
        .and_then(|it| it.context.clone());
    if let Some(context) = context {
        kubeconfig
            .auth_infos
            .retain(|it| Some(&it.name) == context.user.as_ref());
        kubeconfig.clusters.retain(|it| it.name == context.cluster);
    }
    let refuse = |what| {
        Err(KubeconfigError::NotAllowed {
            secret: secret.into(),
            what,
        })
    };
    for auth in kubeconfig
        .auth_infos
        .iter_mut()
        .filter_map(|it| it.auth_info.as_mut())
    {
        if let Some(what) = clean_auth(auth, options) {
            return refuse(what);
        }
    }
    for cluster in kubeconfig
        .clusters
        .iter_mut()
        .filter_map(|it| it.cluster.as_mut())
    {
        if let Some(what) = clean_cluster(cluster, options) {
            return refuse(what);
        }
    }
    Ok(kubeconfig)
}

/// Returns what is not allowed and has no inline form beside it.
fn clean_auth(auth: &mut AuthInfo, options: KubeconfigOptions) -> Option<&'static str> {
    if !options.allow_exec && auth.exec.take().is_some() {
        return Some("an exec plugin");
    }
    if auth.auth_provider.take().is_some() {
        return Some("an auth provider");
    }
    if auth.token_file.take().is_some() && auth.token.is_none() {
        return Some("a token file");
    }
    if auth.client_certificate.take().is_some() && auth.client_certificate_data.is_none() {
        return Some("a client certificate file");
    }
    if auth.client_key.take().is_some() && auth.client_key_data.is_none() {
        return Some("a client key file");
    }
    None
}

fn clean_cluster(cluster: &mut ClusterEntry, options: KubeconfigOptions) -> Option<&'static str> {
    if !options.allow_insecure_tls {
        cluster.insecure_skip_tls_verify = None;
    }
    let has_inline = cluster.certificate_authority_data.is_some();
    if cluster.certificate_authority.take().is_some() && !has_inline {
        return Some("a certificate authority file");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubeconfig(cluster: &str, user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             contexts:\n- name: c\n  context: {{cluster: k, user: u}}\n\
             clusters:\n- name: k\n  cluster: {{server: 'https://127.0.0.1:1', {cluster}}}\n- name: other\n  cluster: {{server: 'https://x', certificate-authority: /etc/passwd}}\n\
             users:\n- name: u\n  user: {{{user}}}\n- name: other\n  user: {{tokenFile: /etc/passwd}}\n"
        )
    }

    async fn read(text: &str, options: KubeconfigOptions) -> Result<Cluster, String> {
        let data = BTreeMap::from([("value".to_string(), text.as_bytes().to_vec())]);
        Cluster::from_kubeconfig("a/b", &data, None, options)
            .await
            .map_err(|error| crate::chain_text(&error))
    }

    #[tokio::test]
    async fn inline_credentials_are_used_and_other_contexts_do_not_matter() {
        let text = kubeconfig("", "token: secret-token");
        read(&text, KubeconfigOptions::default()).await.unwrap();
        let both = kubeconfig("", "token: secret-token, tokenFile: /etc/passwd");
        read(&both, KubeconfigOptions::default()).await.unwrap();
    }

    #[tokio::test]
    async fn what_reaches_into_the_container_is_refused_by_name() {
        for (cluster, user, what) in [
            (
                "",
                "exec: {apiVersion: client.authentication.k8s.io/v1, command: sh}",
                "an exec plugin",
            ),
            (
                "",
                "auth-provider: {name: gcp, config: {}}",
                "an auth provider",
            ),
            ("", "tokenFile: /var/run/token", "a token file"),
            (
                "",
                "client-certificate: /a, client-key: /b",
                "a client certificate file",
            ),
            ("", "client-key: /b", "a client key file"),
            (
                "certificate-authority: /etc/ca",
                "token: t",
                "a certificate authority file",
            ),
        ] {
            let error = read(&kubeconfig(cluster, user), KubeconfigOptions::default()).await;
            assert_eq!(
                error.unwrap_err(),
                format!("KubeConfig secret 'a/b' uses {what}, which is not allowed")
            );
        }
    }

    /// covers: KC-032, HC-176
    #[tokio::test]
    async fn keys_are_looked_up_in_order() {
        let config = kubeconfig("", "token: t").into_bytes();
        let data = BTreeMap::from([
            ("value.yaml".to_string(), config.clone()),
            ("k".to_string(), config),
        ]);
        let options = KubeconfigOptions::default();
        for key in [None, Some("k")] {
            Cluster::from_kubeconfig("a/b", &data, key, options)
                .await
                .unwrap();
        }
        for (key, name) in [(Some("x"), "x"), (None, "value")] {
            let error = Cluster::from_kubeconfig("a/b", &BTreeMap::new(), key, options).await;
            assert_eq!(
                error.unwrap_err().to_string(),
                format!(
                    "KubeConfig secret 'a/b' does not contain a '{name}' key with a kubeconfig"
                )
            );
        }
    }

    #[tokio::test]
    async fn a_malformed_kubeconfig_does_not_show_its_text() {
        let error = read("token: [secret-token", KubeconfigOptions::default()).await;
        assert_eq!(
            error.unwrap_err(),
            "KubeConfig secret 'a/b' does not hold a valid kubeconfig"
        );
    }

    #[test]
    fn trusting_anybody_must_be_allowed() {
        for (allow, expected) in [(false, None), (true, Some(true))] {
            let mut cluster = ClusterEntry {
                insecure_skip_tls_verify: Some(true),
                ..Default::default()
            };
            let options = KubeconfigOptions {
                allow_insecure_tls: allow,
                ..Default::default()
            };
            assert_eq!(clean_cluster(&mut cluster, options), None);
            assert_eq!(cluster.insecure_skip_tls_verify, expected);
        }
    }
}
