//! Watches: one stream per kind and selector, quiet while a kind is not installed.

use futures::{Stream, StreamExt, stream::BoxStream};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DynamicObject},
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;

/// How many objects a page of the first listing holds: bounds what is in memory at once.
const PAGE: u32 = 100;

/// Which objects a controller sees.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The only namespace, or all of them.
    pub namespace: Option<String>,
    /// A label selector, or every object.
    pub selector: Option<String>,
}

impl Scope {
    /// Returns the API of a kind within this scope.
    pub fn api<K>(&self, client: Client) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        }
    }

    /// Returns how a kind is watched within this scope.
    #[must_use]
    pub fn config(&self) -> watcher::Config {
        let config = watcher::Config::default().page_size(PAGE).any_semantic();
        match &self.selector {
            Some(selector) => config.labels(selector),
            None => config,
        }
    }
}

/// Watches a kind. Errors are logged and retried for ever: an absent CRD or an API server that is
/// gone only delays the stream. Managed fields are dropped.
pub fn events<K>(
    client: Client,
    scope: &Scope,
) -> impl Stream<Item = watcher::Event<K>> + Send + use<K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    K: DeserializeOwned + Clone + std::fmt::Debug + Send + 'static,
{
    let kind = K::kind(&()).into_owned();
    watcher(scope.api::<K>(client), scope.config())
        .default_backoff()
        .modify(|object| object.managed_fields_mut().clear())
        .filter_map(move |event| {
            let event = match event {
                Ok(event) => Some(event),
                Err(error) => {
                    complain(&kind, &error);
                    None
                }
            };
            std::future::ready(event)
        })
}

/// Watches a kind and yields each object that was added or changed.
pub fn applied<K>(client: Client, scope: &Scope) -> BoxStream<'static, K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    K: DeserializeOwned + Clone + std::fmt::Debug + Send + 'static,
{
    events::<K>(client, scope)
        .filter_map(|event| {
            std::future::ready(match event {
                watcher::Event::Apply(object) | watcher::Event::InitApply(object) => Some(object),
                watcher::Event::Delete(_) | watcher::Event::Init | watcher::Event::InitDone => None,
            })
        })
        .boxed()
}

/// Watches a kind and yields each object that was added, changed or deleted.
pub fn touched<K>(client: Client, scope: &Scope) -> BoxStream<'static, K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    K: DeserializeOwned + Clone + std::fmt::Debug + Send + 'static,
{
    events::<K>(client, scope)
        .filter_map(|event| {
            std::future::ready(match event {
                watcher::Event::Apply(object)
                | watcher::Event::InitApply(object)
                | watcher::Event::Delete(object) => Some(object),
                watcher::Event::Init | watcher::Event::InitDone => None,
            })
        })
        .boxed()
}

/// Watches a kind that is known by name only and yields each object that was added or changed.
pub fn applied_dynamic(
    client: Client,
    scope: &Scope,
    resource: ApiResource,
) -> BoxStream<'static, DynamicObject> {
    let api: Api<DynamicObject> = match &scope.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let kind = resource.kind;
    watcher(api, scope.config())
        .default_backoff()
        .modify(|object| object.managed_fields_mut().clear())
        .filter_map(move |event| {
            let object = match event {
                Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                    Some(object)
                }
                Ok(watcher::Event::Delete(_) | watcher::Event::Init | watcher::Event::InitDone) => {
                    None
                }
                Err(error) => {
                    complain(&kind, &error);
                    None
                }
            };
            std::future::ready(object)
        })
        .boxed()
}

fn complain(kind: &str, error: &watcher::Error) {
    let cause = crate::failure::chain(error);
    if is_absent(error) {
        tracing::debug!(watched = kind, error = %cause, "kind is not installed yet");
    } else {
        tracing::warn!(watched = kind, error = %cause, "watch interrupted");
    }
}

fn is_absent(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404)
}
