//! Watches over the objects that are not ready yet.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt, stream::SelectAll};
use kube::{
    Client,
    api::WatchParams,
    core::{Request, WatchEvent},
};
use manifest::{ObjectId, object};
use serde_json::Value;

use crate::{Cluster, discovery::Resource, request};

use super::{Target, WaitOptions};

/// How many watches one wait holds; the rest is read at intervals.
const MAX_WATCHES: usize = 16;

/// What one watch covers: a collection, and one name in it or all objects of the selector.
type Key = (String, Option<String>);

/// One thing a watch saw.
pub(super) struct Seen {
    key: Key,
    resource: Resource,
    /// `None` once the watch has ended.
    event: Option<WatchEvent<Value>>,
}

type SeenStream = Pin<Box<dyn Stream<Item = Seen> + Send>>;

/// The watches of one wait. All end when it is dropped.
#[derive(Default)]
pub(super) struct Watches {
    streams: SelectAll<SeenStream>,
    open: BTreeSet<Key>,
}

impl Watches {
    /// Opens watches for targets that are not ready and have none, as far as the limit goes.
    pub(super) fn cover(&mut self, cluster: &Cluster, targets: &[Target], options: &WaitOptions) {
        let mut collections: BTreeMap<String, Vec<&Target>> = BTreeMap::new();
        for target in targets
            .iter()
            .filter(|target| !target.is_ready() && !self.covers(target))
        {
            if let Some(path) = collection(target) {
                collections.entry(path).or_default().push(target);
            }
        }
        for (path, pending) in collections {
            let shared = options.selector.as_ref().filter(|_| pending.len() > 1);
            if let Some(selector) = shared {
                let params = WatchParams::default().labels(selector);
                self.open(cluster.client(), pending[0], (path, None), &params);
            } else {
                for target in pending {
                    let name = target.id().name.clone();
                    let params = WatchParams::default().fields(&format!("metadata.name={name}"));
                    self.open(
                        cluster.client(),
                        target,
                        (path.clone(), Some(name)),
                        &params,
                    );
                }
            }
        }
    }

    /// Tells whether a change of the target would be seen.
    pub(super) fn covers(&self, target: &Target) -> bool {
        let Some(path) = collection(target) else {
            return false;
        };
        let name = Some(target.id().name.clone());
        self.open.contains(&(path.clone(), name)) || self.open.contains(&(path, None))
    }

    fn open(&mut self, client: &Client, target: &Target, key: Key, params: &WatchParams) {
        let Some(resource) = target.resource().cloned() else {
            return;
        };
        if self.open.len() >= MAX_WATCHES {
            return;
        }
        // Without a resource version the API server first sends what exists, then what changes.
        let Ok(request) = Request::new(key.0.clone()).watch(params, "") else {
            return;
        };
        self.open.insert(key.clone());
        self.streams
            .push(events(client.clone(), request, key, resource));
    }

    /// Takes note of what a watch saw.
    pub(super) fn record(&mut self, seen: Seen, targets: &mut [Target], options: &WaitOptions) {
        let Some(event) = seen.event else {
            self.open.remove(&seen.key);
            return;
        };
        let (value, exists) = match &event {
            WatchEvent::Added(value) | WatchEvent::Modified(value) => (value, true),
            WatchEvent::Deleted(value) => (value, false),
            WatchEvent::Bookmark(_) | WatchEvent::Error(_) => return,
        };
        let id = ObjectId {
            namespace: object::namespace(value).into(),
            name: object::name(value).into(),
            group: seen.resource.gvk.group.clone(),
            kind: seen.resource.gvk.kind.clone(),
        };
        for target in targets.iter_mut().filter(|target| *target.id() == id) {
            if exists {
                target.see(seen.resource.clone(), value, options);
            } else {
                target.miss(options);
            }
        }
    }
}

/// Yields what the watches see, as long as there is one.
impl Stream for Watches {
    type Item = Seen;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Seen>> {
        self.streams.poll_next_unpin(context)
    }
}

/// Returns the URL path of the target's collection, once its type is known.
fn collection(target: &Target) -> Option<String> {
    let namespace = request::segment(&target.id().namespace).ok()?;
    Some(target.resource()?.path(&namespace))
}

/// Streams the events of one watch, and says when it has ended.
fn events(
    client: Client,
    request: http::Request<Vec<u8>>,
    key: Key,
    resource: Resource,
) -> SeenStream {
    let seen = move |event| Seen {
        key: key.clone(),
        resource: resource.clone(),
        event,
    };
    let opened = async move { client.request_events::<Value>(request).await.ok() };
    let events = futures::stream::once(opened)
        .filter_map(std::future::ready)
        .flatten()
        // A refusal or a broken connection ends the watch; the next poll tries again.
        .take_while(|event| std::future::ready(event.is_ok()))
        .filter_map(|event| std::future::ready(event.ok()))
        .map(Some)
        .chain(futures::stream::iter([None]));
    Box::pin(events.map(seen))
}
