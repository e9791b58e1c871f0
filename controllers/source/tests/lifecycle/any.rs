//! What tests ask of objects of any kind, as JSON.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::bench::Bench;

/// Generous: all tests of this binary share two processors.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(50);

/// Returns a condition of a status.
pub(crate) fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let all = object["status"]["conditions"].as_array()?;
    all.iter().find(|each| each["type"] == name)
}

impl Bench {
    pub(crate) fn kind(&self, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource {
            group: "source.toolkit.fluxcd.io".into(),
            version: "v1".into(),
            api_version: "source.toolkit.fluxcd.io/v1".into(),
            kind: kind.into(),
            plural: match kind {
                "HelmRepository" | "OCIRepository" | "GitRepository" => {
                    format!("{}ies", kind.to_lowercase().trim_end_matches('y'))
                }
                kind => format!("{}s", kind.to_lowercase()),
            },
        };
        Api::namespaced_with(self.client.clone(), self.namespace.name(), &resource)
    }

    /// Merges into the object that is there, or creates it.
    pub(crate) async fn put(&self, kind: &str, name: &str, spec: Value) {
        let objects = self.kind(kind);
        let patch = Patch::Merge(json!({ "spec": spec }));
        let params = PatchParams::default();
        match objects.patch(name, &params, &patch).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            patched => return drop(patched.unwrap()),
        }
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": kind,
            "metadata": { "name": name },
            "spec": spec,
        }))
        .unwrap();
        let created = objects.create(&PostParams::default(), &object).await;
        drop(created.unwrap());
    }

    /// Waits until an object is as a test wants it.
    pub(crate) async fn until(
        &self,
        kind: &str,
        name: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Value {
        let (objects, deadline) = (self.kind(kind), Instant::now() + PATIENCE);
        let mut last = Value::Null;
        loop {
            if let Ok(object) = objects.get(name).await {
                last = serde_json::to_value(&object).unwrap();
                if holds(&last) {
                    return last;
                }
            }
            assert!(
                Instant::now() < deadline,
                "no {what}: {last:#}\n{}",
                self.controller.log().unwrap_or_default()
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until an object is ready as it is specified now, and returns it.
    pub(crate) async fn settled(&self, kind: &str, name: &str) -> Value {
        let ready = |object: &Value| {
            condition(object, "Ready").is_some_and(|ready| ready["status"] == "True")
                && object["status"]["observedGeneration"] == object["metadata"]["generation"]
        };
        self.until(kind, name, "readiness", ready).await
    }

    /// Waits until an object is ready at a revision, and returns it.
    pub(crate) async fn settled_at(&self, kind: &str, name: &str, revision: &str) -> Value {
        let at = |object: &Value| {
            condition(object, "Ready").is_some_and(|ready| ready["status"] == "True")
                && object["status"]["observedGeneration"] == object["metadata"]["generation"]
                && object["status"]["artifact"]["revision"] == revision
        };
        self.until(kind, name, revision, at).await
    }

    /// Waits until an object is not ready for this reason, with a message that holds `words`. Returns the message.
    pub(crate) async fn refused(
        &self,
        kind: &str,
        name: &str,
        reason: &str,
        words: &str,
    ) -> String {
        let failed = |object: &Value| {
            condition(object, "Ready").is_some_and(|ready| {
                ready["status"] == "False"
                    && ready["reason"] == reason
                    && ready["message"]
                        .as_str()
                        .unwrap_or_default()
                        .contains(words)
            })
        };
        let object = self
            .until(kind, name, &format!("{reason}: {words}"), failed)
            .await;
        let ready = condition(&object, "Ready").unwrap();
        ready["message"].as_str().unwrap().to_owned()
    }

    /// Asks for a run and waits until it was answered.
    pub(crate) async fn ask(&self, kind: &str, name: &str) -> Value {
        let token = std::time::UNIX_EPOCH
            .elapsed()
            .unwrap()
            .as_nanos()
            .to_string();
        let patch =
            json!({ "metadata": { "annotations": { "reconcile.fluxcd.io/requestedAt": token } } });
        let params = PatchParams::default();
        let objects = self.kind(kind);
        objects
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap();
        let handled = |object: &Value| object["status"]["lastHandledReconcileAt"] == token;
        self.until(kind, name, "the request to be handled", handled)
            .await
    }

    /// Downloads what an object has published, its digest checked, and returns its files with their text.
    pub(crate) async fn contents(&self, object: &Value) -> BTreeMap<String, String> {
        let tree = Self::downloads()
            .get(url(object), digest(object))
            .await
            .unwrap();
        let text = |path: &str| String::from_utf8_lossy(&tree.content(path).unwrap()).into_owned();
        tree.files()
            .map(|path| (path.to_owned(), text(path)))
            .collect()
    }

    /// Downloads what an object has published, its digest checked, as it is.
    pub(crate) async fn bytes(&self, object: &Value) -> Vec<u8> {
        let downloads = Self::downloads();
        downloads
            .archive(url(object), digest(object))
            .await
            .unwrap()
    }

    fn downloads() -> artifact::ArtifactCache {
        let clients = net_http::Clients::new("test", net_http::Environment::default());
        let client = clients.get(&net_http::ClientConfig::default()).unwrap();
        artifact::ArtifactCache::new(client, artifact::fetch::FetchConfig::default())
    }
}

fn url(object: &Value) -> &str {
    object["status"]["artifact"]["url"].as_str().unwrap()
}

fn digest(object: &Value) -> &str {
    object["status"]["artifact"]["digest"].as_str().unwrap()
}

/// Returns the names of files.
pub(crate) fn names(files: &BTreeMap<String, String>) -> Vec<&str> {
    files.keys().map(String::as_str).collect()
}
