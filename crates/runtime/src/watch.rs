//! Watches: one stream per kind and selector, quiet while a kind is not installed.

mod follow;
mod guard;

use futures::{Stream, StreamExt, stream::BoxStream};
use kube::{
    Api, Client, Resource,
    api::{ApiResource, DynamicObject},
    runtime::watcher,
};
use serde::de::DeserializeOwned;

use self::guard::Guarded;

/// How many objects a page of a plain listing holds: bounds what is in memory at once.
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
        // Streamed: the objects come one by one. Page and semantics count where a server does not
        // know that and is listed plainly.
        let config = watcher::Config::default()
            .streaming_lists()
            .page_size(PAGE)
            .any_semantic();
        match &self.selector {
            Some(selector) => config.labels(selector),
            None => config,
        }
    }
}

/// Watches a kind. Errors are logged and retried for ever: an absent CRD or an API server that is
/// gone only delays the stream. An object that cannot be read is logged and left out. Managed
/// fields are dropped.
pub fn events<K>(
    client: Client,
    scope: &Scope,
) -> impl Stream<Item = watcher::Event<K>> + Send + use<K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    K: DeserializeOwned + Clone + std::fmt::Debug + Send + 'static,
{
    events_or_absent(client, scope, || {})
}

/// The same, and calls `absent` whenever the kind turns out not to be installed.
pub(crate) fn events_or_absent<K, F>(
    client: Client,
    scope: &Scope,
    absent: F,
) -> impl Stream<Item = watcher::Event<K>> + Send + use<K, F>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    K: DeserializeOwned + Clone + std::fmt::Debug + Send + 'static,
    F: Fn() + Send + 'static,
{
    let api = scope.api::<Guarded<K>>(client);
    let kind = K::kind(&()).into_owned();
    follow::follow(api, scope.config(), kind, absent)
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

/// Watches a kind that is known by name only, as [`events`] does.
pub fn events_dynamic(
    client: Client,
    scope: &Scope,
    resource: ApiResource,
) -> BoxStream<'static, watcher::Event<DynamicObject>> {
    let api: Api<Guarded<DynamicObject>> = match &scope.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    follow::follow(api, scope.config(), resource.kind, || {}).boxed()
}

/// Watches a kind that is known by name only and yields each object that was added or changed.
pub fn applied_dynamic(
    client: Client,
    scope: &Scope,
    resource: ApiResource,
) -> BoxStream<'static, DynamicObject> {
    events_dynamic(client, scope, resource)
        .filter_map(|event| {
            std::future::ready(match event {
                watcher::Event::Apply(object) | watcher::Event::InitApply(object) => Some(object),
                watcher::Event::Delete(_) | watcher::Event::Init | watcher::Event::InitDone => None,
            })
        })
        .boxed()
}
