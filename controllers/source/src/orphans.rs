//! What is stored of objects that went while no process looked after them: removed once, when this process leads.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use api::source::{Bucket, GitRepository, HelmChart, HelmRepository, OCIRepository};
use artifact::Storage;
use k8s_openapi::NamespaceResourceScope;
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use runtime::failure::chain;
use runtime::watch::Scope;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

/// How many objects are listed at once.
const PAGE: u32 = 500;
/// How long until it is tried again where the API server did not answer.
const PAUSE: Duration = Duration::from_secs(10);

/// Removes what is stored of objects that are not there any more, or that another shard looks after.
///
/// What was written since `started` stays in any case: its object came after the listing.
pub(crate) async fn sweep(
    client: Client,
    scope: Scope,
    storage: Arc<Storage>,
    stop: CancellationToken,
) {
    let started = SystemTime::now();
    let swept = async {
        let at = (&client, &scope, &storage, started);
        sweep_kind::<GitRepository>(at).await;
        sweep_kind::<OCIRepository>(at).await;
        sweep_kind::<HelmRepository>(at).await;
        sweep_kind::<HelmChart>(at).await;
        sweep_kind::<Bucket>(at).await;
    };
    tokio::select! {
        () = swept => stop.cancelled().await,
        () = stop.cancelled() => {}
    }
}

type At<'a> = (&'a Client, &'a Scope, &'a Arc<Storage>, SystemTime);

async fn sweep_kind<K>((client, scope, storage, started): At<'_>)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let kind = K::kind(&());
    let stored = match stored(storage, &kind, scope.namespace.as_deref()).await {
        Ok(stored) if stored.is_empty() => return,
        Ok(stored) => stored,
        Err(error) => {
            tracing::error!(%error, kind = %kind, "cannot list what is stored");
            return;
        }
    };
    let api: Api<K> = scope.api(client.clone());
    let known = loop {
        match list(&api, scope.selector.as_deref()).await {
            Ok(known) => break known,
            // Not installed: what is stored of it may be wanted again.
            Err(kube::Error::Api(status)) if status.code == 404 => return,
            Err(error) => {
                tracing::warn!(error = chain(&error), kind = %kind, "cannot look for orphans");
                tokio::time::sleep(PAUSE).await;
            }
        }
    };
    let orphans: Vec<_> = stored.difference(&known).cloned().collect();
    let (storage, kind) = (Arc::clone(storage), kind.into_owned());
    let removing = tokio::task::spawn_blocking(move || {
        for (namespace, name) in orphans {
            match storage.remove_older(&kind, (&namespace, &name), started) {
                Ok(true) => tracing::info!(kind, namespace, name, "removed orphaned artifacts"),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, kind, namespace, name, "cannot remove orphaned artifacts");
                }
            }
        }
    });
    if let Err(error) = removing.await {
        tracing::error!(%error, "cannot remove orphaned artifacts");
    }
}

/// Returns the objects that something is stored of, in the namespaces that this process looks after.
async fn stored(
    storage: &Arc<Storage>,
    kind: &str,
    namespace: Option<&str>,
) -> std::io::Result<BTreeSet<(String, String)>> {
    let (storage, kind) = (Arc::clone(storage), kind.to_owned());
    let objects = tokio::task::spawn_blocking(move || storage.objects(&kind)).await;
    let objects = objects.map_err(std::io::Error::other)??;
    let ours = |object: &(String, String)| namespace.is_none_or(|only| only == object.0);
    Ok(objects.into_iter().filter(ours).collect())
}

/// Lists names alone, page by page.
async fn list<K>(
    api: &Api<K>,
    selector: Option<&str>,
) -> Result<BTreeSet<(String, String)>, kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let mut known = BTreeSet::new();
    let mut params = ListParams::default().limit(PAGE);
    params.label_selector = selector.map(str::to_owned);
    loop {
        let page = api.list_metadata(&params).await?;
        known.extend(page.items.into_iter().map(|object| {
            let about = object.metadata;
            (
                about.namespace.unwrap_or_default(),
                about.name.unwrap_or_default(),
            )
        }));
        params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            return Ok(known);
        }
    }
}
