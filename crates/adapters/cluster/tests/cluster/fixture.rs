//! One namespace, one owner, and short ways to apply and to look.

use std::time::Duration;

use cluster::{
    Applied, ApplyError, ApplyOptions, Cluster, PlanError, PruneError, PruneOptions, Pruned,
    WaitError, WaitOptions,
};
use kube::{
    Client,
    api::{Patch, PatchParams},
    core::Request,
};
use manifest::{GroupVersionKind, Inventory, metadata::Owner};
use serde_json::{Value, json};
use testkit::control_plane;

pub(crate) const GROUP: &str = "kustomize.toolkit.fluxcd.io";
pub(crate) const MANAGER: &str = "kustomize-controller";

pub(crate) struct Fixture {
    pub(crate) cluster: Cluster,
    pub(crate) namespace: String,
    pub(crate) owner: Owner,
}

impl Fixture {
    pub(crate) async fn new(prefix: &str) -> Self {
        let plane = control_plane().await;
        let namespace = plane.namespace(prefix).await.name().to_string();
        let owner = Owner {
            group: GROUP.into(),
            name: "apps".into(),
            namespace: namespace.clone(),
        };
        Self {
            cluster: Cluster::new(plane.client()),
            namespace,
            owner,
        }
    }

    pub(crate) fn client(&self) -> &Client {
        self.cluster.client()
    }

    pub(crate) fn options(&self) -> ApplyOptions {
        ApplyOptions::new(MANAGER, self.owner.clone())
    }

    /// Applies as a controller does, and returns the change lines.
    pub(crate) async fn apply(&self, objects: &[Value]) -> String {
        self.apply_with(objects, self.options())
            .await
            .unwrap()
            .changes
            .to_string()
    }

    pub(crate) async fn apply_with(
        &self,
        objects: &[Value],
        options: ApplyOptions,
    ) -> Result<Applied, ApplyError> {
        let plan = match self.cluster.plan_apply(objects.to_vec(), options).await {
            Ok(plan) => plan,
            Err(PlanError::Objects(error)) => return Err(error),
            Err(PlanError::Resolve(error)) => panic!("{error}"),
        };
        self.cluster.apply(&plan).await
    }

    /// Applies what must be refused, and returns the text of the refusal.
    pub(crate) async fn refused(&self, objects: &[Value]) -> String {
        self.apply_with(objects, self.options())
            .await
            .unwrap_err()
            .to_string()
    }

    pub(crate) async fn inventory(&self, objects: &[Value]) -> Inventory {
        self.cluster
            .plan_apply(objects.to_vec(), self.options())
            .await
            .unwrap()
            .inventory()
    }

    pub(crate) async fn prune(&self, stale: &Inventory) -> Result<Pruned, PruneError> {
        let options = PruneOptions {
            owner: self.owner.clone(),
            concurrency: 4,
        };
        self.cluster.prune(stale, &options).await
    }

    pub(crate) async fn wait(&self, objects: &[Value], timeout: Duration) -> Result<(), WaitError> {
        self.cluster
            .wait(&self.inventory(objects).await, &WaitOptions::new(timeout))
            .await
    }

    /// Reads an object as it is; `None` when it does not exist.
    pub(crate) async fn live(&self, object: &Value) -> Option<Value> {
        let (path, name) = self.path(object).await;
        let request = http::Request::get(format!("{path}/{name}"))
            .body(Vec::new())
            .unwrap();
        match self.client().request(request).await {
            Ok(value) => Some(value),
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Patches an object as somebody else.
    pub(crate) async fn edit(&self, object: &Value, manager: &str, patch: &Value) -> Value {
        let params = PatchParams {
            field_manager: Some(manager.into()),
            ..Default::default()
        };
        self.send_patch(object, &params, &Patch::Merge(patch)).await
    }

    /// Server-side applies an object as somebody else.
    pub(crate) async fn apply_as(&self, object: &Value, manager: &str) -> Value {
        let params = PatchParams::apply(manager).force();
        self.send_patch(object, &params, &Patch::Apply(object))
            .await
    }

    async fn send_patch(
        &self,
        object: &Value,
        params: &PatchParams,
        patch: &Patch<&Value>,
    ) -> Value {
        let (path, name) = self.path(object).await;
        let request = Request::new(path).patch(&name, params, patch).unwrap();
        self.client().request(request).await.unwrap()
    }

    pub(crate) async fn delete(&self, object: &Value) {
        let (path, name) = self.path(object).await;
        let request = http::Request::delete(format!("{path}/{name}"))
            .body(Vec::new())
            .unwrap();
        self.client().request::<Value>(request).await.unwrap();
    }

    async fn path(&self, object: &Value) -> (String, String) {
        let gvk = GroupVersionKind::of(object);
        let resource = self.cluster.resolve(&gvk).await.unwrap();
        let base = match gvk.group.as_str() {
            "" => format!("/api/{}", gvk.version),
            group => format!("/apis/{group}/{}", gvk.version),
        };
        let scope = match object["metadata"]["namespace"].as_str() {
            Some(namespace) if resource.namespaced => format!("/namespaces/{namespace}"),
            _ => String::new(),
        };
        let name = object["metadata"]["name"].as_str().unwrap().to_string();
        (format!("{base}{scope}/{}", resource.plural), name)
    }

    pub(crate) fn object(&self, api_version: &str, kind: &str, name: &str, rest: &Value) -> Value {
        let mut object = json!({
            "apiVersion": api_version, "kind": kind,
            "metadata": {"name": name, "namespace": self.namespace},
        });
        for (key, value) in rest.as_object().unwrap() {
            object[key] = value.clone();
        }
        object
    }

    pub(crate) fn config_map(&self, name: &str, data: &Value) -> Value {
        self.object("v1", "ConfigMap", name, &json!({ "data": data }))
    }

    /// A Deployment whose pods get `annotations`, which tell the fake node how they fare.
    pub(crate) fn deployment(&self, name: &str, annotations: &Value) -> Value {
        let labels = json!({"app": name});
        let pod = json!({
            "metadata": {"labels": labels, "annotations": annotations},
            "spec": {"containers": [{"name": "a", "image": "example.com/a:1", "ports": [{"containerPort": 80}]}]},
        });
        let spec = json!({"replicas": 1, "selector": {"matchLabels": labels}, "template": pod});
        self.object("apps/v1", "Deployment", name, &json!({ "spec": spec }))
    }
}

/// Sets a label of an object.
pub(crate) fn labelled(mut object: Value, key: &str, value: &str) -> Value {
    object["metadata"]["labels"][format!("{GROUP}/{key}")] = json!(value);
    object
}

/// Sets an annotation of an object.
pub(crate) fn annotated(mut object: Value, key: &str, value: &str) -> Value {
    object["metadata"]["annotations"][format!("{GROUP}/{key}")] = json!(value);
    object
}
