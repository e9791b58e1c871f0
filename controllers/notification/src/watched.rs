//! Objects kept in memory by every replica, leader or not: alerts, providers, receivers.

use std::hash::Hash;

use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Client, Resource,
    runtime::{
        WatchStreamExt,
        reflector::{Lookup, Store, store},
        watcher::Event,
    },
};
use runtime::{
    probes::Readiness,
    run::Server,
    watch::{self, Scope},
};
use serde::de::DeserializeOwned;

/// Starts to keep a kind. Returns what is kept, and the server that keeps it; the process is not
/// ready before everything was listed.
pub(crate) fn keep<K>(
    name: &'static str,
    client: Client,
    scope: Scope,
    readiness: &Readiness,
) -> (Store<K>, Server)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Lookup<DynamicType = ()>
        + DeserializeOwned
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
    <K as Lookup>::DynamicType: Eq + Hash + Clone,
{
    let (store, writer) = store::<K>();
    let synced = readiness.condition(name);
    let server = Server {
        name,
        leader_only: false,
        serve: Box::new(move |stop| {
            Box::pin(async move {
                let events = watch::events::<K>(client, &scope)
                    .map(Ok::<_, kube::runtime::watcher::Error>)
                    .reflect(writer);
                let mut events = std::pin::pin!(events);
                loop {
                    tokio::select! {
                        () = stop.cancelled() => return Ok(()),
                        event = events.next() => match event {
                            Some(Ok(Event::InitDone)) => synced.meet(),
                            Some(_) => {}
                            None => anyhow::bail!("{name} are not watched any more"),
                        },
                    }
                }
            })
        }),
    };
    (store, server)
}
