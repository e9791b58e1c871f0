//! Who a Kustomization is to servers of Vault and OpenBao: a service account of its namespace.
//!
//! Source: kustomize-controller v1.9 `--sops-vault-configmap`.

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{ConfigMap, ServiceAccount},
};
use keys::{Answer, Identity, Login};
use kube::{Api, Client, api::PostParams};
use serde::Deserialize;

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

/// A service account, and the ConfigMap with the servers that it may log in to.
pub(super) struct Account {
    pub(super) client: Client,
    /// Namespace and name of the ConfigMap.
    pub(super) servers: (String, String),
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Identity for Account {
    fn token<'a>(&'a self, address: &'a str) -> Answer<'a, Result<Option<Login>, String>> {
        Box::pin(self.login(address))
    }
}

impl Account {
    async fn login(&self, address: &str) -> Result<Option<Login>, String> {
        let (namespace, name) = &self.servers;
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
        let answer = api
            .create_token_request(&self.name, &params, &request)
            .await;
        let answer = answer.map_err(|error| runtime::failure::chain(&error))?;
        let token = answer.status.map(|status| status.token);
        Ok(token.map(|token| Login {
            path: server.login_path.clone(),
            role: format!("{}_{}", self.namespace, self.name),
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
