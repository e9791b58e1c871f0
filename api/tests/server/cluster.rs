//! Objects of any kind and version over plain requests, so that nothing between test and API server hides a difference.

use std::time::{Duration, Instant};

use http::Request;
use kube::Client;
use serde_json::{Value, json};
use testkit::{Namespace, control_plane};
use tokio::sync::OnceCell;

/// A kind at one version of a definition.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) version: String,
    pub(crate) schema: Value,
    pub(crate) status_path: bool,
}

/// Lists the versions of a definition, the stored one first.
pub(crate) fn versions(crd: &Value) -> Vec<Served> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let spec = &crd["spec"];
    let mut versions = spec["versions"].as_array().unwrap().clone();
    versions.sort_by_key(|version| version["storage"] != true);
    versions
        .iter()
        .map(|version| Served {
            group: text(&spec["group"]),
            kind: text(&spec["names"]["kind"]),
            plural: text(&spec["names"]["plural"]),
            version: text(&version["name"]),
            schema: version["schema"]["openAPIV3Schema"].clone(),
            status_path: version.get("subresources").is_some(),
        })
        .collect()
}

/// What the API server answered: the object, or its status code and message.
pub(crate) type Answer = Result<Value, (u16, String)>;

/// An API server to talk to.
pub(crate) struct Server {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    /// Keeps the namespace for as long as the test runs.
    _namespace: Option<Namespace>,
}

impl Server {
    /// Returns the shared server, with all definitions installed, and a namespace of one's own.
    pub(crate) async fn shared(prefix: &str) -> Self {
        static INSTALLED: OnceCell<()> = OnceCell::const_new();
        let plane = control_plane().await;
        let namespace = plane.namespace(prefix).await;
        let server = Self {
            client: plane.client(),
            namespace: namespace.name().to_owned(),
            _namespace: Some(namespace),
        };
        let install = || async { server.install(&api::crd::all_crds().unwrap()).await };
        INSTALLED.get_or_init(install).await;
        server
    }

    /// Returns another server, in the namespace `default`.
    pub(crate) fn of(client: Client) -> Self {
        Self {
            client,
            namespace: "default".to_owned(),
            _namespace: None,
        }
    }

    /// Creates a namespace of this very name.
    pub(crate) async fn create_namespace(&self, name: &str) {
        let namespace = json!({ "metadata": { "name": name } });
        self.send("POST", "/api/v1/namespaces", JSON, &namespace)
            .await
            .unwrap();
    }

    /// Applies definitions and waits until the server serves them.
    pub(crate) async fn install(&self, crds: &[Value]) {
        for crd in crds {
            let name = crd["metadata"]["name"].as_str().unwrap();
            let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
            let query = "?fieldManager=test&force=true";
            self.send("PATCH", &format!("{path}{query}"), APPLY, crd)
                .await
                .unwrap();
        }
        for crd in crds {
            for served in versions(crd) {
                self.wait_for(&served).await;
            }
        }
    }

    /// Waits until a version is served with its schema of now.
    async fn wait_for(&self, served: &Served) {
        let deadline = Instant::now() + Duration::from_mins(1);
        let path = self.path(served, "");
        while self.send("GET", &path, JSON, &Value::Null).await.is_err() {
            assert!(Instant::now() < deadline, "{path} is not served");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn create(&self, served: &Served, object: &Value, query: &str) -> Answer {
        self.send(
            "POST",
            &format!("{}{query}", self.path(served, "")),
            JSON,
            object,
        )
        .await
    }

    pub(crate) async fn get(&self, served: &Served, name: &str) -> Value {
        self.send(
            "GET",
            &self.path(served, &format!("/{name}")),
            JSON,
            &Value::Null,
        )
        .await
        .unwrap()
    }

    /// Applies on the server, as `kubectl apply --server-side --force-conflicts` does.
    pub(crate) async fn apply(&self, served: &Served, name: &str, object: &Value) -> Answer {
        let path = self.path(served, &format!("/{name}?fieldManager=someone&force=true"));
        self.send("PATCH", &path, APPLY, object).await
    }

    /// Merges, as `kubectl apply` does with what a manifest says.
    pub(crate) async fn merge(&self, served: &Served, rest: &str, patch: &Value) -> Answer {
        self.send(
            "PATCH",
            &self.path(served, rest),
            "application/merge-patch+json",
            patch,
        )
        .await
    }

    pub(crate) async fn delete(&self, served: &Served, name: &str) {
        self.send(
            "DELETE",
            &self.path(served, &format!("/{name}")),
            JSON,
            &json!({}),
        )
        .await
        .unwrap();
    }

    fn path(&self, served: &Served, rest: &str) -> String {
        let Served {
            group,
            version,
            plural,
            ..
        } = served;
        format!(
            "/apis/{group}/{version}/namespaces/{}/{plural}{rest}",
            self.namespace
        )
    }

    async fn send(&self, method: &str, path: &str, content: &str, body: &Value) -> Answer {
        let bytes = if body.is_null() {
            Vec::new()
        } else {
            serde_json::to_vec(body).unwrap()
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content);
        match self
            .client
            .request::<Value>(request.body(bytes).unwrap())
            .await
        {
            Ok(object) => Ok(object),
            Err(kube::Error::Api(status)) => Err((status.code, status.message)),
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }
}

const JSON: &str = "application/json";
const APPLY: &str = "application/apply-patch+yaml";

/// Names an object, and returns it as it can be sent.
pub(crate) fn named(mut object: Value, name: &str) -> Value {
    object["metadata"]["name"] = json!(name);
    object
}

/// Returns what an object says, without what the server writes and without the version it was read at.
pub(crate) fn content(object: &Value) -> Value {
    json!({ "kind": object["kind"], "spec": object["spec"], "status": object["status"] })
}

/// Says whether `whole` says everything that `part` says.
pub(crate) fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(key, value)| whole.get(key).is_some_and(|w| contains(w, value))),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(w, p)| contains(w, p))
        }
        (whole, part) => whole == part,
    }
}
