//! Reads one object and judges it.

use k8s_openapi::jiff::Timestamp;
use kube::{api::ListParams, core::Request};
use manifest::{
    GroupVersionKind, ObjectId,
    health::{self, Health, Status},
    inventory::Entry,
    object,
};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    Cluster,
    discovery::Resource,
    error::chain_text,
    request::{self, Location},
};

use super::{Unready, WaitOptions};

/// How many pods of a workload are looked at.
const MAX_PODS: u32 = 500;

/// An object that is waited for, and what is known of it.
pub(super) struct Target {
    entry: Entry,
    resource: Option<Resource>,
    seen: Option<(Health, Instant)>,
    /// The selector of its pods, where it is a workload.
    pods: Option<String>,
}

impl Target {
    pub(super) fn new(entry: Entry) -> Self {
        Self {
            entry,
            resource: None,
            seen: None,
            pods: None,
        }
    }

    pub(super) fn id(&self) -> &ObjectId {
        &self.entry.id
    }

    pub(super) fn resource(&self) -> Option<&Resource> {
        self.resource.as_ref()
    }

    pub(super) fn status(&self) -> Option<Status> {
        self.seen.as_ref().map(|(health, _)| health.status)
    }

    pub(super) fn is_seen(&self) -> bool {
        self.seen.is_some()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.status() == Some(Status::Current)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.status() == Some(Status::Failed)
    }

    pub(super) fn is_gone(&self) -> bool {
        self.status() == Some(Status::NotFound)
    }

    /// Tells how long ago the object was last seen.
    pub(super) fn age(&self) -> std::time::Duration {
        self.seen
            .as_ref()
            .map_or(std::time::Duration::MAX, |(_, at)| at.elapsed())
    }

    /// Tells whether the object's pods have a say, which its own watch does not show.
    pub(super) fn has_pods(&self) -> bool {
        let id = self.id();
        matches!(
            (id.group.as_str(), id.kind.as_str()),
            ("apps", "StatefulSet" | "ReplicaSet")
        )
    }

    pub(super) fn to_unready(&self) -> Unready {
        let health = self.seen.as_ref().map(|(health, _)| health);
        let has_words = |health: &&Health| health.status != Status::NotFound;
        Unready {
            id: self.id().clone(),
            status: health.map(|health| health.status),
            message: health
                .filter(has_words)
                .map(|health| health.message.clone())
                .unwrap_or_default(),
        }
    }

    /// Takes note of the object as it is now.
    pub(super) fn see(&mut self, resource: Resource, value: &Value, options: &WaitOptions) {
        self.pods = is_workload(&resource)
            .then(|| label_selector(value))
            .flatten();
        self.resource = Some(resource);
        self.set(judge(value, options));
    }

    /// Takes note that the object was ready a moment ago.
    pub(super) fn assume_ready(&mut self) {
        self.set(health_of(Status::Current, String::new()));
    }

    /// Takes note that the object does not exist.
    pub(super) fn miss(&mut self, options: &WaitOptions) {
        if options.expiring_jobs.contains(self.id()) {
            self.set(health_of(Status::Current, "Job has expired".into()));
        } else {
            self.set(health_of(Status::NotFound, "Resource not found".into()));
        }
    }

    fn fail_to_see(&mut self, message: String) {
        self.set(health_of(Status::Unknown, message));
    }

    fn set(&mut self, health: Health) {
        self.seen = Some((health, Instant::now()));
    }
}

/// Tells whether a type makes pods that its `spec.selector` finds.
fn is_workload(resource: &Resource) -> bool {
    matches!(
        (resource.gvk.group.as_str(), resource.gvk.kind.as_str()),
        (
            "apps",
            "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet"
        ) | ("batch", "Job")
    )
}

fn health_of(status: Status, message: String) -> Health {
    Health {
        status,
        reason: String::new(),
        message,
    }
}

/// Judges an object by the caller's rules, then by the built-in ones.
fn judge(value: &Value, options: &WaitOptions) -> Health {
    let by_rule = options
        .rules
        .as_ref()
        .and_then(|rules| rules.evaluate(value));
    let result = by_rule.unwrap_or_else(|| {
        health::evaluate(value, Timestamp::now()).map_err(|error| error.to_string())
    });
    result.unwrap_or_else(|message| health_of(Status::Unknown, message))
}

impl Cluster {
    /// Reads a target's object, and its pods where they have a say.
    pub(super) async fn observe(&self, target: &mut Target, options: &WaitOptions) {
        let id = target.id().clone();
        let gvk = GroupVersionKind {
            group: id.group.clone(),
            version: target.entry.version.clone(),
            kind: id.kind.clone(),
        };
        let resource = match self.resolve_any_version(&gvk).await {
            Ok(resource) => resource,
            Err(error) => return target.fail_to_see(chain_text(&error)),
        };
        if resource.namespaced && id.namespace.is_empty() {
            return target.fail_to_see(format!(
                "resource {} {} is namespace scoped, but namespace is not set",
                resource.plural, id.name
            ));
        }
        let at = Location {
            resource: &resource,
            namespace: &id.namespace,
            name: &id.name,
        };
        match self.get(&at).await {
            Ok(None) => target.miss(options),
            Err(error) => target.fail_to_see(chain_text(&error)),
            Ok(Some(value)) => {
                target.see(resource, &value, options);
                if target.has_pods() && target.status() == Some(Status::InProgress) {
                    self.observe_pods(target).await;
                }
            }
        }
    }

    /// Adds to the message of a workload that is not ready what its pods say.
    pub(super) async fn explain(&self, target: &mut Target) {
        let Some(selector) = target.pods.clone() else {
            return;
        };
        let Ok(pods) = self.pods(&target.id().namespace, &selector).await else {
            return;
        };
        if let (Some(words), Some((health, _))) = (health::explain(&pods), target.seen.as_mut()) {
            health.message = format!("{} ({words})", health.message);
        }
    }

    /// Lets failed pods fail a StatefulSet or ReplicaSet.
    async fn observe_pods(&self, target: &mut Target) {
        let Some(selector) = target.pods.clone() else {
            return;
        };
        match self.pods(&target.id().namespace, &selector).await {
            Ok(pods) => {
                if let Some(health) = health::failed_pods(&pods, Timestamp::now()) {
                    target.set(health);
                }
            }
            Err(error) => target.fail_to_see(chain_text(&error)),
        }
    }

    async fn pods(
        &self,
        namespace: &str,
        selector: &str,
    ) -> Result<Vec<Value>, crate::RequestError> {
        #[derive(Deserialize)]
        struct PodList {
            #[serde(default)]
            items: Vec<Value>,
        }
        let path = format!("/api/v1/namespaces/{}/pods", request::segment(namespace)?);
        let params = ListParams::default().labels(selector).limit(MAX_PODS);
        let request = Request::new(path)
            .list(&params)
            .map_err(|error| crate::RequestError::Invalid(error.to_string()))?;
        let list: PodList = request::send(self.client(), request).await?;
        let typed = |mut pod: Value| {
            if let Some(map) = pod.as_object_mut() {
                map.insert("apiVersion".into(), "v1".into());
                map.insert("kind".into(), "Pod".into());
            }
            pod
        };
        Ok(list.items.into_iter().map(typed).collect())
    }
}

/// Prints a workload's `spec.selector` in the form that list requests take.
fn label_selector(workload: &Value) -> Option<String> {
    let selector = object::at(workload, &["spec", "selector"])?;
    let mut parts = Vec::new();
    for (key, value) in selector
        .get("matchLabels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        parts.push(format!("{key}={}", value.as_str()?));
    }
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    for expression in expressions.into_iter().flatten() {
        let key = object::str_at(expression, &["key"])?;
        let values = expression.get("values").and_then(Value::as_array);
        let values: Vec<&str> = values
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let values = values.join(",");
        parts.push(match object::str_at(expression, &["operator"])? {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_string(),
            "DoesNotExist" => format!("!{key}"),
            _ => return None,
        });
    }
    (!parts.is_empty()).then(|| parts.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_print_as_list_requests_take_them() {
        let workload = |selector| json!({"spec": {"selector": selector}});
        for (selector, text) in [
            (
                json!({"matchLabels": {"a": "1", "b": "2"}}),
                Some("a=1,b=2"),
            ),
            (
                json!({"matchExpressions": [
                    {"key": "a", "operator": "In", "values": ["1", "2"]},
                    {"key": "b", "operator": "NotIn", "values": ["3"]},
                    {"key": "c", "operator": "Exists"},
                    {"key": "d", "operator": "DoesNotExist"},
                ]}),
                Some("a in (1,2),b notin (3),c,!d"),
            ),
            (json!({}), None),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "Odd"}]}),
                None,
            ),
        ] {
            assert_eq!(label_selector(&workload(selector)).as_deref(), text);
        }
    }
}
