//! Who a Kustomization is to key services: to clouds its service account's identity or the controller's own, to servers of
//! Vault and OpenBao a service account of its namespace.
//!
//! Source: kustomize-controller v1.9 `internal/decryptor`, `--sops-vault-configmap`.

use ::access::{Asker, AwsPlace, Identities};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{ConfigMap, ServiceAccount},
};
use keys::{Answer, Identity, Login};
use kube::{Api, Client, api::PostParams};
use serde::Deserialize;

use crate::kustomization::KIND;

/// What tokens are for, as the metrics name it.
const WITH_AWS: &str = "decrypt_with_aws";
const WITH_AZURE: &str = "decrypt_with_azure";
const WITH_GCP: &str = "decrypt_with_gcp";
pub(in crate::kustomization) const OPERATIONS: [&str; 3] = [WITH_AWS, WITH_AZURE, WITH_GCP];

/// The key of the ConfigMap that lists the servers.
const KEY: &str = "config.yaml";
/// How long a token is good for, in seconds: it is used at once.
const SECONDS: i64 = 600;

/// The servers that tokens of the cluster may be sent to.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
struct Servers {
    #[serde(default)]
    instances: Vec<Server>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct Server {
    address: String,
    login_path: String,
}

/// A Kustomization that decrypts.
pub(super) struct Decrypting {
    pub(super) client: Client,
    pub(super) identities: Identities,
    /// Namespace and name of the ConfigMap with the servers that its service account may log in to.
    pub(super) servers: Option<(String, String)>,
    pub(super) namespace: String,
    pub(super) name: String,
    /// Its service account; absent: it is the controller to clouds, and nobody to servers.
    pub(super) account: Option<String>,
}

impl Identity for Decrypting {
    fn vault<'a>(&'a self, address: &'a str) -> Answer<'a, Result<Option<Login>, String>> {
        Box::pin(self.login(address))
    }

    fn aws<'a>(&'a self, region: &'a str) -> Answer<'a, Result<cloud::aws::Keys, String>> {
        let place = AwsPlace {
            region: Some(region),
            token_service: None,
        };
        Box::pin(async move {
            let asker = self.asker(WITH_AWS);
            told(self.identities.aws_keys(&asker, place).await)
        })
    }

    fn azure<'a>(&'a self, scope: &'a str) -> Answer<'a, Result<String, String>> {
        Box::pin(async move {
            let asker = self.asker(WITH_AZURE);
            told(self.identities.azure_token(&asker, scope).await)
        })
    }

    fn gcp(&self) -> Answer<'_, Result<String, String>> {
        Box::pin(async move {
            let asker = self.asker(WITH_GCP);
            told(self.identities.google_token(&asker).await)
        })
    }
}

fn told<T>(answer: Result<T, ::access::IdentityError>) -> Result<T, String> {
    answer.map_err(|error| runtime::failure::chain(&error))
}

impl Decrypting {
    fn asker<'a>(&'a self, operation: &'a str) -> Asker<'a> {
        Asker {
            kind: KIND,
            namespace: &self.namespace,
            name: &self.name,
            operation,
            account: self.account.as_deref(),
            proxy: &net_http::Proxy::Environment,
        }
    }

    async fn login(&self, address: &str) -> Result<Option<Login>, String> {
        let (Some((namespace, name)), Some(account)) = (&self.servers, &self.account) else {
            return Ok(None);
        };
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), namespace);
        let found = api.get(name).await;
        let found = found.map_err(|error| runtime::failure::chain(&error))?;
        let text = found.data.and_then(|mut data| data.remove(KEY));
        let text = text.ok_or_else(|| format!("ConfigMap '{namespace}/{name}' has no {KEY}"))?;
        let servers = servers(&text).map_err(|cause| {
            format!("{KEY} of ConfigMap '{namespace}/{name}' cannot be used: {cause}")
        })?;
        let Some(server) = servers.at(address) else {
            return Ok(None);
        };
        let api = Api::<ServiceAccount>::namespaced(self.client.clone(), &self.namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: vec![server.address.clone()],
                expiration_seconds: Some(SECONDS),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let params = PostParams::default();
        let answer = api.create_token_request(account, &params, &request).await;
        let answer = answer.map_err(|error| runtime::failure::chain(&error))?;
        let token = answer.status.map(|status| status.token);
        Ok(token.map(|token| Login {
            path: server.login_path.clone(),
            role: format!("{}_{account}", self.namespace),
            token: token.into(),
        }))
    }
}

impl Servers {
    fn at(&self, address: &str) -> Option<&Server> {
        let bare = |text: &str| text.trim_end_matches('/').to_owned();
        let mut servers = self.instances.iter();
        servers.find(|server| bare(&server.address) == bare(address))
    }
}

fn servers(text: &str) -> Result<Servers, String> {
    let reader = yaml::Reader::new(yaml::Schema::Legacy);
    let node = reader.read_first(text.as_bytes(), KEY);
    let node = node.map_err(|error| error.to_string())?.unwrap_or_default();
    let json = yaml::to_json(&node).map_err(|error| error.to_string())?;
    serde_json::from_value(json).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_servers_are_logged_in_to() {
        let text = "instances:\n- address: https://vault.example:8200/\n  loginPath: auth/kubernetes/login\n";
        let servers = servers(text).unwrap();
        let found = servers.at("https://vault.example:8200").unwrap();
        assert_eq!(found.login_path, "auth/kubernetes/login");
        for other in [
            "https://vault.example",
            "http://vault.example:8200",
            "https://evil.example:8200",
        ] {
            assert_eq!(servers.at(other), None, "{other}");
        }
        assert!(super::servers("instances: {a: b}").is_err());
    }
}
