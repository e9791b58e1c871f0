//! Single objects: created, replaced, listed. What stages and plans do not need, but Helm does.

use http::header::ACCEPT;
use kube::{
    api::{ListParams, PostParams},
    core::Request,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    Cluster, Location, Resource,
    error::RequestError,
    request::{segment, send},
};

/// How many objects a page of a listing holds.
const PAGE: u32 = 250;

/// The media types of aggregated discovery, newest first, and of plain discovery.
const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// What an API server is and serves, as charts ask for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerInfo {
    /// Its version, such as `v1.34.4`.
    pub git_version: String,
    /// The first number of its version.
    pub major: String,
    /// The second number of its version; some clouds add a plus sign.
    pub minor: String,
    /// Every `group/version`, then `group/version/Kind`.
    pub api_versions: Vec<String>,
}

#[derive(Deserialize)]
struct Version {
    #[serde(default, rename = "gitVersion")]
    full: String,
    #[serde(default)]
    major: String,
    #[serde(default)]
    minor: String,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMeta,
    #[serde(default)]
    items: Vec<Value>,
}

#[derive(Default, Deserialize)]
struct PageMeta {
    #[serde(default, rename = "continue")]
    token: String,
}

impl Cluster {
    /// Creates an object and returns it as the API server stores it.
    ///
    /// # Errors
    /// The API server's refusal, or no answer.
    pub async fn create(
        &self,
        at: &Location<'_>,
        object: &Value,
        field_manager: &str,
    ) -> Result<Value, RequestError> {
        let params = PostParams {
            field_manager: Some(field_manager.into()),
            ..PostParams::default()
        };
        let request = Request::new(at.resource.path(&segment(at.namespace)?))
            .create(&params, object.to_string().into_bytes())
            .map_err(|error| RequestError::Invalid(error.to_string()))?;
        send(self.client(), request).await
    }

    /// Replaces an object and returns it as the API server stores it.
    ///
    /// # Errors
    /// The API server's refusal, or no answer.
    pub async fn replace(
        &self,
        at: &Location<'_>,
        object: &Value,
        field_manager: &str,
    ) -> Result<Value, RequestError> {
        let name = segment(at.name)?;
        let params = PostParams {
            field_manager: Some(field_manager.into()),
            ..PostParams::default()
        };
        let request = Request::new(at.resource.path(&segment(at.namespace)?))
            .replace(&name, &params, object.to_string().into_bytes())
            .map_err(|error| RequestError::Invalid(error.to_string()))?;
        send(self.client(), request).await
    }

    /// Lists the objects of a type, in one namespace or, where that is empty, in all.
    ///
    /// # Errors
    /// The API server's refusal, or no answer.
    pub async fn list(
        &self,
        resource: &Resource,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<Value>, RequestError> {
        let path = resource.path(&segment(namespace)?);
        let mut items = Vec::new();
        let mut token = String::new();
        loop {
            let mut params = ListParams::default().labels(labels).limit(PAGE);
            if !token.is_empty() {
                params = params.continue_token(&token);
            }
            let request = Request::new(path.clone())
                .list(&params)
                .map_err(|error| RequestError::Invalid(error.to_string()))?;
            let page: Page = send(self.client(), request).await?;
            items.extend(page.items.into_iter().map(|item| typed(item, resource)));
            token = page.metadata.token;
            if token.is_empty() {
                return Ok(items);
            }
        }
    }

    /// Says what the API server is and what it serves; asked anew at most every minute.
    ///
    /// # Errors
    /// The API server's refusal, or no answer.
    pub async fn server_info(&self) -> Result<std::sync::Arc<ServerInfo>, RequestError> {
        self.discovery.server_info().await
    }

    /// Forgets what is known of a group's types, after one of them was defined or changed.
    pub fn forget_group(&self, group: &str) {
        self.discovery.forget(group);
    }
}

/// Items of a list carry no type of their own.
fn typed(mut item: Value, resource: &Resource) -> Value {
    if let Some(map) = item.as_object_mut() {
        map.insert("apiVersion".into(), resource.gvk.api_version().into());
        map.insert("kind".into(), resource.gvk.kind.clone().into());
    }
    item
}

/// Reads version and types from an API server.
pub(crate) async fn read_server_info(client: &kube::Client) -> Result<ServerInfo, RequestError> {
    let get = |path: &str| {
        http::Request::get(path)
            .header(ACCEPT, DISCOVERY)
            .body(Vec::new())
            .map_err(|error| RequestError::Invalid(error.to_string()))
    };
    let version: Version = send(client, get("/version")?).await?;
    let mut api_versions = Vec::new();
    let mut kinds = Vec::new();
    for path in ["/api", "/apis"] {
        let answer: Value = send(client, get(path)?).await?;
        collect(&answer, &mut api_versions, &mut kinds);
    }
    api_versions.extend(kinds);
    Ok(ServerInfo {
        git_version: version.full,
        major: version.major,
        minor: version.minor,
        api_versions,
    })
}

/// Reads aggregated discovery; of plain discovery there are versions only.
fn collect(answer: &Value, versions: &mut Vec<String>, kinds: &mut Vec<String>) {
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    for group in list(answer, "items") {
        let name = group["metadata"]["name"].as_str().unwrap_or_default();
        for version in list(&group, "versions") {
            let version_name = version["version"].as_str().unwrap_or_default();
            let joined = match name {
                "" => version_name.to_owned(),
                name => format!("{name}/{version_name}"),
            };
            for resource in list(&version, "resources") {
                if let Some(kind) = resource["responseKind"]["kind"].as_str() {
                    kinds.push(format!("{joined}/{kind}"));
                }
            }
            versions.push(joined);
        }
    }
    for version in list(answer, "versions") {
        versions.extend(version.as_str().map(str::to_owned));
    }
    for group in list(answer, "groups") {
        for version in list(&group, "versions") {
            versions.extend(version["groupVersion"].as_str().map(str::to_owned));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_of_discovery_are_read() {
        let aggregated = json!({ "items": [
            { "metadata": {}, "versions": [{ "version": "v1",
                "resources": [{ "responseKind": { "kind": "Pod" } }] }] },
            { "metadata": { "name": "apps" }, "versions": [{ "version": "v1",
                "resources": [{ "responseKind": { "kind": "Deployment" } }] }] }] });
        let (mut versions, mut kinds) = (Vec::new(), Vec::new());
        collect(&aggregated, &mut versions, &mut kinds);
        assert_eq!(versions, ["v1", "apps/v1"]);
        assert_eq!(kinds, ["v1/Pod", "apps/v1/Deployment"]);
        let plain = json!({ "groups": [{ "versions": [{ "groupVersion": "batch/v1" }] }] });
        collect(&plain, &mut versions, &mut kinds);
        assert_eq!(versions, ["v1", "apps/v1", "batch/v1"]);
    }
}
