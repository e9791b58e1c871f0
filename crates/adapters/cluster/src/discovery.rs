//! Which types the API server serves, where, and whether they are namespaced.
//!
//! Reads one group version at a time, when it is first asked for: a controller that applies ten
//! kinds does not hold the list of all.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroup, APIResourceList};
use kube::Client;
use manifest::GroupVersionKind;
use tokio::sync::Mutex;

use crate::{ServerInfo, error::RequestError, objects, request};

/// How long an answer is trusted without any sign that it changed.
const MAX_AGE: Duration = Duration::from_mins(10);

/// How old an answer must be before a kind missing from it is asked for again.
const MISS_AGE: Duration = Duration::from_secs(1);

/// How long the list of all types is trusted.
const SERVER_AGE: Duration = Duration::from_mins(1);

/// How the API server serves one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The type, in the version that was found.
    pub gvk: GroupVersionKind,
    /// The name in URLs, for example `deployments`.
    pub plural: String,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
}

impl Resource {
    /// Returns the URL path of the collection. `namespace` is a URL segment; empty means all
    /// namespaces, and it does not matter for a cluster-scoped type.
    pub(crate) fn path(&self, namespace: &str) -> String {
        let mut path = match self.gvk.group.as_str() {
            "" => format!("/api/{}", self.gvk.version),
            group => format!("/apis/{group}/{}", self.gvk.version),
        };
        if self.namespaced && !namespace.is_empty() {
            path = format!("{path}/namespaces/{namespace}");
        }
        format!("{path}/{}", self.plural)
    }
}

/// A type that could not be found.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The API server does not serve this kind in this version.
    #[error("no matches for kind \"{}\" in version \"{}\"", .0.kind, .0.api_version())]
    NoMatch(GroupVersionKind),
    /// The API server serves this kind in no version.
    #[error("no matches for kind \"{}\" in group \"{}\"", .0.kind, .0.group)]
    NoKind(GroupVersionKind),
    /// Asking failed.
    #[error("failed to read the API types of {group_version}")]
    Request {
        /// The group version, or group, that was asked for.
        group_version: String,
        /// Why.
        #[source]
        source: RequestError,
    },
}

impl ResolveError {
    /// Tells whether the type is not served, rather than not known.
    pub fn is_no_match(&self) -> bool {
        matches!(self, Self::NoMatch(_) | Self::NoKind(_))
    }
}

struct Versioned {
    fetched: Instant,
    kinds: BTreeMap<String, Resource>,
}

type Slot = Arc<Mutex<Option<Versioned>>>;

/// What is known about the API server's types.
pub(crate) struct Discovery {
    client: Client,
    versions: std::sync::Mutex<BTreeMap<String, Slot>>,
    server: Mutex<Option<(Instant, Arc<ServerInfo>)>>,
}

impl Discovery {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            versions: std::sync::Mutex::default(),
            server: Mutex::default(),
        }
    }

    pub(crate) async fn server_info(&self) -> Result<Arc<ServerInfo>, RequestError> {
        let mut known = self.server.lock().await;
        if let Some((fetched, info)) = known.as_ref()
            && fetched.elapsed() < SERVER_AGE
        {
            return Ok(Arc::clone(info));
        }
        let info = Arc::new(objects::read_server_info(&self.client).await?);
        *known = Some((Instant::now(), Arc::clone(&info)));
        Ok(info)
    }

    pub(crate) async fn resolve(&self, gvk: &GroupVersionKind) -> Result<Resource, ResolveError> {
        let group_version = gvk.api_version();
        let slot = self.slot(&group_version);
        // Held while asking, so that many objects of one type make one request.
        let mut known = slot.lock().await;
        let trusted = known.as_ref().is_some_and(|version| {
            let age = version.fetched.elapsed();
            age < if version.kinds.contains_key(&gvk.kind) {
                MAX_AGE
            } else {
                MISS_AGE
            }
        });
        if !trusted {
            let kinds = self
                .read(gvk)
                .await
                .map_err(|source| ResolveError::Request {
                    group_version,
                    source,
                })?;
            *known = Some(Versioned {
                fetched: Instant::now(),
                kinds,
            });
        }
        let found = known
            .as_ref()
            .and_then(|version| version.kinds.get(&gvk.kind));
        found
            .cloned()
            .ok_or_else(|| ResolveError::NoMatch(gvk.clone()))
    }

    pub(crate) async fn resolve_any_version(
        &self,
        gvk: &GroupVersionKind,
    ) -> Result<Resource, ResolveError> {
        match self.resolve(gvk).await {
            Err(ResolveError::NoMatch(_)) if !gvk.group.is_empty() => {}
            Err(ResolveError::NoMatch(gvk)) => return Err(ResolveError::NoKind(gvk)),
            found => return found,
        }
        for version in self.versions_of(&gvk.group).await? {
            let gvk = GroupVersionKind {
                version,
                ..gvk.clone()
            };
            match self.resolve(&gvk).await {
                Err(ResolveError::NoMatch(_)) => {}
                found => return found,
            }
        }
        Err(ResolveError::NoKind(gvk.clone()))
    }

    /// Forgets a group, after one of its types was defined, changed or found missing.
    pub(crate) fn forget(&self, group: &str) {
        if let Ok(mut server) = self.server.try_lock() {
            *server = None;
        }
        if let Ok(mut versions) = self.versions.lock() {
            versions.retain(|group_version, _| {
                group_version
                    .rsplit_once('/')
                    .map_or("", |(group, _)| group)
                    != group
            });
        }
    }

    fn slot(&self, group_version: &str) -> Slot {
        let mut versions = self
            .versions
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(versions.entry(group_version.into()).or_default())
    }

    /// Lists the types of a group version; none when the API server does not know it.
    async fn read(
        &self,
        gvk: &GroupVersionKind,
    ) -> Result<BTreeMap<String, Resource>, RequestError> {
        let version = request::segment(&gvk.version)?;
        let path = match gvk.group.as_str() {
            "" => format!("/api/{version}"),
            group => format!("/apis/{}/{version}", request::segment(group)?),
        };
        let list: APIResourceList = match self.get(&path).await {
            Ok(list) => list,
            Err(error) if error.is_not_found() => return Ok(BTreeMap::new()),
            Err(error) => return Err(error),
        };
        let mut kinds = BTreeMap::new();
        for resource in list.resources {
            // A subresource has a slash in its name and often the kind of something else.
            if !resource.name.contains('/') {
                let found = Resource {
                    gvk: GroupVersionKind {
                        kind: resource.kind.clone(),
                        ..gvk.clone()
                    },
                    plural: resource.name,
                    namespaced: resource.namespaced,
                };
                kinds.entry(resource.kind).or_insert(found);
            }
        }
        Ok(kinds)
    }

    /// Lists the versions of a group, the preferred one first.
    async fn versions_of(&self, group: &str) -> Result<Vec<String>, ResolveError> {
        let read = async {
            let path = format!("/apis/{}", request::segment(group)?);
            self.get::<APIGroup>(&path).await
        };
        match read.await {
            Ok(found) => {
                let preferred = found.preferred_version.map(|it| it.version);
                let others = found.versions.into_iter().map(|it| it.version);
                Ok(preferred.into_iter().chain(others).collect())
            }
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(source) => Err(ResolveError::Request {
                group_version: group.into(),
                source,
            }),
        }
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, RequestError> {
        let request = http::Request::get(path)
            .body(Vec::new())
            .map_err(|error| RequestError::Invalid(error.to_string()))?;
        request::send(&self.client, request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_group_and_scope() {
        let resource = |api_version: &str, namespaced| Resource {
            gvk: GroupVersionKind::new(api_version, "Thing"),
            plural: "things".into(),
            namespaced,
        };
        for (api_version, namespaced, namespace, path) in [
            ("v1", true, "a", "/api/v1/namespaces/a/things"),
            ("v1", true, "", "/api/v1/things"),
            ("x.io/v2", true, "a", "/apis/x.io/v2/namespaces/a/things"),
            ("x.io/v2", false, "a", "/apis/x.io/v2/things"),
        ] {
            assert_eq!(resource(api_version, namespaced).path(namespace), path);
        }
    }
}
