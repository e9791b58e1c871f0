//! Release records in Secrets.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use helm::release::Record;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, PartialObjectMeta, PostParams},
};

/// The most bytes that a Secret holds.
const MAX_SECRET: usize = 1024 * 1024;
/// What a record may grow by after it was first written: times and phases of hooks.
const GROWTH: usize = 4 * 1024;
const TYPE: &str = "helm.sh/release.v1";
const KEY: &str = "release";
/// How the statuses of actions that go on begin.
pub(crate) const PENDING: &str = "pending-";
/// Labels that the record itself decides.
const SYSTEM_LABELS: [&str; 6] = [
    "name",
    "owner",
    "status",
    "version",
    "createdAt",
    "modifiedAt",
];

/// Why a record cannot be read or written. The texts are Helm's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    /// The API server refuses, or does not answer.
    #[error("{0}: {1}")]
    Request(&'static str, String),
    /// There is a record of that revision already.
    #[error("create: failed to create: release: already exists")]
    Exists,
    /// The record does not fit into a Secret.
    #[error(
        "the release is too large to be stored: its record takes {size} bytes of the {MAX_SECRET} that a Secret holds (before compression: chart templates {templates}, other chart files {files}, manifest {manifest} bytes)"
    )]
    TooLarge {
        /// The size of the record.
        size: usize,
        /// The size of the chart's templates in it.
        templates: usize,
        /// The size of the chart's other files in it.
        files: usize,
        /// The size of the manifest in it.
        manifest: usize,
    },
    /// The record cannot be encoded.
    #[error("create: failed to encode release \"{0}\": {1}")]
    Encode(String, String),
}

/// One revision, as far as labels tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    /// The revision.
    pub version: i64,
    /// Its status.
    pub status: String,
    /// The version of the Secret.
    pub resource_version: String,
    /// The Secret's uid.
    pub uid: String,
    /// The user's own labels on it.
    pub labels: BTreeMap<String, String>,
}

/// A record that was written, without its chart's files.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// The record as it was written last.
    pub record: Record,
    /// How often it was written.
    pub writes: usize,
}

/// The records of one release.
pub(crate) struct Storage {
    api: Api<Secret>,
    name: String,
    labels: Mutex<BTreeMap<i64, BTreeMap<String, String>>>,
    written: Mutex<Vec<Written>>,
}

impl Storage {
    /// The records of release `name` in a namespace.
    pub(crate) fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            labels: Mutex::default(),
            written: Mutex::default(),
        }
    }

    /// Lists the revisions, newest first.
    pub(crate) async fn revisions(&self) -> Result<Vec<Revision>, StorageError> {
        let selector = format!("name={},owner=helm", self.name);
        let params = ListParams::default().labels(&selector);
        let list = self.api.list_metadata(&params).await;
        let list = list.map_err(|error| request("query: failed to query with labels", &error))?;
        let mut revisions: Vec<_> = list.items.iter().filter_map(revision).collect();
        revisions.sort_by_key(|r| std::cmp::Reverse(r.version));
        let mut labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        *labels = revisions
            .iter()
            .map(|r| (r.version, r.labels.clone()))
            .collect();
        Ok(revisions)
    }

    /// Reads one revision; none where there is no readable record of it.
    pub(crate) async fn get(&self, version: i64) -> Result<Option<Record>, StorageError> {
        let name = secret_name(&self.name, version);
        let secret = self.api.get_opt(&name).await;
        let secret = secret.map_err(|error| request("get: failed to get", &error))?;
        let Some(data) = secret.and_then(|s| s.data).and_then(|mut d| d.remove(KEY)) else {
            return Ok(None);
        };
        let decoded = tokio::task::spawn_blocking(move || Record::decode(&data.0)).await;
        match decoded {
            Ok(Ok(record)) => Ok(Some(record)),
            Ok(Err(error)) => {
                tracing::warn!(secret = name, error = %runtime::failure::chain(&error), "release record cannot be read");
                Ok(None)
            }
            Err(error) => Err(StorageError::Request(
                "get: failed to decode",
                error.to_string(),
            )),
        }
    }

    /// Reads the newest revision that can be read, and says what the next one is.
    pub(crate) async fn last(&self) -> Result<(Option<Record>, i64), StorageError> {
        let revisions = self.revisions().await?;
        let next = revisions.first().map_or(1, |r| r.version + 1);
        for revision in revisions {
            if let Some(record) = self.get(revision.version).await? {
                return Ok((Some(record), next));
            }
        }
        Ok((None, next))
    }

    /// Stores a new revision.
    pub(crate) async fn create(&self, record: &Record) -> Result<(), StorageError> {
        let secret = self.secret(record, true).await?;
        let created = self.api.create(&PostParams::default(), &secret).await;
        match created {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 409 => {
                return Err(StorageError::Exists);
            }
            Err(error) => return Err(request("create: failed to create", &error)),
        }
        self.observe(record);
        Ok(())
    }

    /// Stores a revision over what is there of it.
    pub(crate) async fn update(&self, record: &Record) -> Result<(), StorageError> {
        let secret = self.secret(record, false).await?;
        let name = secret.name_any();
        let replaced = self
            .api
            .replace(&name, &PostParams::default(), &secret)
            .await;
        replaced.map_err(|error| request("update: failed to update", &error))?;
        self.observe(record);
        Ok(())
    }

    /// Marks a revision that an action left pending as failed. Returns false where there is nothing to unlock any more: it
    /// was finished, or deleted, by whoever it belonged to.
    pub(crate) async fn unlock(&self, version: i64) -> Result<bool, StorageError> {
        let Some(mut record) = self.get(version).await? else {
            return Ok(false);
        };
        if !record.status.starts_with(PENDING) {
            return Ok(false);
        }
        let status = std::mem::replace(&mut record.status, "failed".to_owned());
        record.description = format!("Release unlocked from stale '{status}' state");
        self.update(&record).await?;
        Ok(true)
    }

    /// Deletes a revision; one that is gone is no error.
    pub(crate) async fn delete(&self, version: i64) -> Result<(), StorageError> {
        let name = secret_name(&self.name, version);
        match self.api.delete(&name, &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(request("delete: failed to delete", &error)),
        }
    }

    /// Makes room for one more revision: of `limit`, the oldest go, but never the deployed one.
    pub(crate) async fn prune(&self, limit: i64) -> Result<(), StorageError> {
        let Ok(limit) = usize::try_from(limit) else {
            return Ok(());
        };
        let revisions = self.revisions().await?;
        if limit == 0 || revisions.len() < limit {
            return Ok(());
        }
        let deployed = revisions
            .iter()
            .find(|r| r.status == "deployed")
            .map(|r| r.version);
        let surplus = revisions.len() + 1 - limit;
        let oldest = revisions
            .iter()
            .rev()
            .filter(|r| Some(r.version) != deployed);
        for revision in oldest.take(surplus) {
            self.delete(revision.version).await?;
        }
        Ok(())
    }

    /// Lets a new revision have the user's labels of another, as they were last listed; to be called
    /// after the last listing before the new revision is created.
    pub(crate) fn inherit(&self, from: i64, to: i64) {
        let mut labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = labels.get(&from).cloned() {
            labels.insert(to, own);
        }
    }

    /// Returns every record that was written since this was last asked, in the order of the first
    /// writes.
    pub(crate) fn take_written(&self) -> Vec<Written> {
        std::mem::take(&mut *self.written.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn observe(&self, record: &Record) {
        let light = Record {
            chart: serde_json::json!({ "metadata": record.chart["metadata"] }),
            ..record.clone()
        };
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        match written
            .iter_mut()
            .find(|w| w.record.version == record.version)
        {
            Some(known) => {
                known.record = light;
                known.writes += 1;
            }
            None => written.push(Written {
                record: light,
                writes: 1,
            }),
        }
    }

    async fn secret(&self, record: &Record, is_new: bool) -> Result<Secret, StorageError> {
        let copy = record.clone();
        let encoded = tokio::task::spawn_blocking(move || copy.encode()).await;
        let data = match encoded {
            Ok(Ok(data)) => data,
            Ok(Err(error)) => {
                let cause = runtime::failure::chain(&error);
                return Err(StorageError::Encode(record.name.clone(), cause));
            }
            Err(error) => {
                return Err(StorageError::Encode(record.name.clone(), error.to_string()));
            }
        };
        let limit = if is_new {
            MAX_SECRET - GROWTH
        } else {
            MAX_SECRET
        };
        if data.len() > limit {
            return Err(too_large(record, data.len()));
        }
        let mut secret = Secret {
            type_: Some(TYPE.to_owned()),
            data: Some(BTreeMap::from([(KEY.to_owned(), ByteString(data))])),
            ..Secret::default()
        };
        secret.metadata.name = Some(secret_name(&record.name, record.version));
        secret.metadata.labels = Some(self.labels_of(record, is_new));
        Ok(secret)
    }

    fn labels_of(&self, record: &Record, is_new: bool) -> BTreeMap<String, String> {
        let all = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        let mut labels = all.get(&record.version).cloned().unwrap_or_default();
        let stamp = if is_new { "createdAt" } else { "modifiedAt" };
        let seconds = jiff::Timestamp::now().as_second();
        labels.extend([
            ("name".to_owned(), record.name.clone()),
            ("owner".to_owned(), "helm".to_owned()),
            ("status".to_owned(), record.status.clone()),
            ("version".to_owned(), record.version.to_string()),
            (stamp.to_owned(), seconds.to_string()),
        ]);
        labels
    }
}

fn secret_name(name: &str, version: i64) -> String {
    format!("sh.helm.release.v1.{name}.v{version}")
}

fn too_large(record: &Record, size: usize) -> StorageError {
    let bytes = |key: &str| record.chart[key].to_string().len() / 4 * 3;
    StorageError::TooLarge {
        size,
        templates: bytes("templates"),
        files: bytes("files"),
        manifest: record.manifest.len(),
    }
}

fn revision(secret: &PartialObjectMeta<Secret>) -> Option<Revision> {
    let labels = secret.labels();
    let mut own = labels.clone();
    own.retain(|key, _| !SYSTEM_LABELS.contains(&key.as_str()));
    Some(Revision {
        version: labels.get("version")?.parse().ok()?,
        status: labels.get("status").cloned().unwrap_or_default(),
        resource_version: secret.resource_version().unwrap_or_default(),
        uid: secret.uid().unwrap_or_default(),
        labels: own,
    })
}

fn request(doing: &'static str, error: &kube::Error) -> StorageError {
    StorageError::Request(doing, runtime::failure::chain(error))
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Arc};

    use http::{Method, Request, Response};
    use kube::client::Body;
    use serde_json::json;

    use super::*;

    /// The records of release `app` at an API server that has this one, and the writes that it sees.
    fn storage(status: Option<&'static str>) -> (Storage, Arc<Mutex<Vec<Record>>>) {
        let writes = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&writes);
        let service = tower::service_fn(move |request: Request<Body>| {
            let seen = Arc::clone(&seen);
            async move {
                assert!(request.uri().path().ends_with("/sh.helm.release.v1.app.v1"));
                let is_write = request.method() != Method::GET;
                let sent = request.into_body().collect_bytes().await.unwrap();
                let secret = match status {
                    None => {
                        json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
                        "reason": "NotFound", "message": "secrets \"x\" not found" })
                    }
                    Some(_) if is_write => {
                        let secret: Secret = serde_json::from_slice(&sent).unwrap();
                        let record = Record::decode(&secret.data.as_ref().unwrap()[KEY].0).unwrap();
                        seen.lock().unwrap().push(record);
                        json!(secret)
                    }
                    Some(status) => {
                        let record = Record {
                            name: "app".into(),
                            version: 1,
                            status: status.into(),
                            ..Record::default()
                        };
                        let data = ByteString(record.encode().unwrap());
                        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "x" }, "data": { KEY: data } })
                    }
                };
                let code = if status.is_none() { 404 } else { 200 };
                let response = Response::builder().status(code);
                let body = Body::from(secret.to_string().into_bytes());
                Ok::<_, Infallible>(response.body(body).unwrap())
            }
        });
        let client = Client::new(service, "default");
        (Storage::new(client, "ns", "app"), writes)
    }

    /// covers: HC-124, HC-125
    #[tokio::test]
    async fn only_what_is_still_pending_is_unlocked() {
        for status in [None, Some("deployed"), Some("failed"), Some("superseded")] {
            let (storage, writes) = storage(status);
            assert!(!storage.unlock(1).await.unwrap(), "{status:?}");
            assert!(writes.lock().unwrap().is_empty(), "{status:?}");
            assert!(storage.take_written().is_empty(), "{status:?}");
        }
        let (storage, writes) = storage(Some("pending-upgrade"));
        assert!(storage.unlock(1).await.unwrap());
        let record = writes.lock().unwrap().pop().unwrap();
        let words = "Release unlocked from stale 'pending-upgrade' state";
        assert_eq!(
            (record.status.as_str(), record.description.as_str()),
            ("failed", words)
        );
    }
}
