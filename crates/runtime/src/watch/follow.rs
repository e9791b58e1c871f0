//! One watch that never ends: its failures, its way of listing, its unreadable objects.

use std::{collections::HashSet, fmt::Debug, time::Duration};

use futures::{Stream, StreamExt, stream::BoxStream};
use kube::{
    Api, Resource, ResourceExt,
    runtime::watcher::{self, Event, watcher},
};
use serde::de::DeserializeOwned;

use super::guard::Guarded;

/// The pause after the first failure; doubled at each up to the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often it is asked whether a kind is installed by now.
const ABSENT_PAUSE: Duration = Duration::from_secs(3);
/// A server that takes the parameters of a streamed listing but never says that it is complete
/// does not know them.
const QUIET: Duration = Duration::from_secs(15);

/// Follows one kind for ever. `absent` is called whenever the kind turns out not to be installed.
pub(super) fn follow<K, F>(
    api: Api<Guarded<K>>,
    config: watcher::Config,
    kind: String,
    absent: F,
) -> impl Stream<Item = Event<K>> + Send + use<K, F>
where
    K: Resource + DeserializeOwned + Clone + Debug + Send + 'static,
    F: Fn() + Send + 'static,
{
    let follow = Follow::new(api, config, kind, absent);
    futures::stream::unfold(follow, |mut follow| async move {
        let event = follow.next().await;
        Some((event, follow))
    })
}

struct Follow<K: Resource, F> {
    api: Api<Guarded<K>>,
    config: watcher::Config,
    kind: String,
    absent: F,
    inner: BoxStream<'static, watcher::Result<Event<Guarded<K>>>>,
    /// The objects that cannot be read as they are now.
    unreadable: HashSet<(Option<String>, String)>,
    /// A listing has begun and is not complete.
    listing: bool,
    failures: u32,
    pause: Duration,
}

/// What to do about a failure.
#[derive(Debug, PartialEq, Eq)]
enum Remedy {
    /// Go on where it stopped.
    GoOn,
    /// List and watch from the beginning.
    Restart,
    /// The same, without streamed listings.
    ListPlainly,
}

impl<K, F> Follow<K, F>
where
    K: Resource + DeserializeOwned + Clone + Debug + Send + 'static,
    F: Fn() + Send,
{
    fn new(api: Api<Guarded<K>>, config: watcher::Config, kind: String, absent: F) -> Self {
        Self {
            inner: watcher(api.clone(), config.clone()).boxed(),
            api,
            config,
            kind,
            absent,
            unreadable: HashSet::new(),
            listing: false,
            failures: 0,
            pause: Duration::ZERO,
        }
    }

    async fn next(&mut self) -> Event<K> {
        loop {
            tokio::time::sleep(std::mem::take(&mut self.pause)).await;
            let streams =
                self.config.initial_list_strategy == watcher::InitialListStrategy::StreamingList;
            let patience = if streams && self.listing {
                QUIET
            } else {
                Duration::MAX
            };
            match tokio::time::timeout(patience, self.inner.next()).await {
                Ok(Some(Ok(event))) => {
                    if let Some(event) = self.sift(event) {
                        return event;
                    }
                }
                Ok(Some(Err(error))) => self.recover(&error),
                Ok(None) => self.restart(),
                Err(_) => {
                    tracing::debug!(watched = self.kind, "streamed listing is not completed");
                    self.list_plainly();
                }
            }
        }
    }

    /// Passes on what could be read. An object that turns unreadable makes the listing begin anew,
    /// so that no copy of it from before is held for what it is now.
    fn sift(&mut self, event: Event<Guarded<K>>) -> Option<Event<K>> {
        match event {
            Event::Init => {
                self.listing = true;
                self.unreadable.clear();
                return Some(Event::Init);
            }
            Event::InitDone => {
                self.listing = false;
                self.failures = 0;
                return Some(Event::InitDone);
            }
            Event::InitApply(Guarded::Good(object)) => return Some(Event::InitApply(*object)),
            Event::Apply(Guarded::Good(object)) => {
                self.failures = 0;
                if !self.unreadable.is_empty() {
                    self.unreadable.remove(&key(&*object));
                }
                return Some(Event::Apply(*object));
            }
            Event::Delete(Guarded::Good(object)) => return Some(Event::Delete(*object)),
            Event::InitApply(bad) => {
                self.skip(&bad);
            }
            Event::Apply(bad) => {
                if self.skip(&bad) {
                    self.restart();
                }
            }
            Event::Delete(bad) => {
                if !self.unreadable.remove(&key(&bad)) {
                    self.restart();
                }
            }
        }
        None
    }

    /// Returns true where the object could be read before.
    fn skip(&mut self, bad: &Guarded<K>) -> bool {
        let Guarded::Bad(what) = bad else {
            return false;
        };
        let (namespace, name) = key(bad);
        tracing::error!(
            watched = self.kind,
            namespace = namespace.as_deref().unwrap_or_default(),
            name,
            error = what.error,
            "object cannot be read and is left out until it changes"
        );
        self.unreadable.insert((namespace, name))
    }

    fn recover(&mut self, error: &watcher::Error) {
        let cause = crate::failure::chain(error);
        let spread = rand::random_range(0.8..=1.2);
        if code(error) == Some(404) {
            tracing::debug!(watched = self.kind, error = %cause, "kind is not installed yet");
            (self.absent)();
            self.pause = ABSENT_PAUSE.mul_f64(spread);
        } else {
            tracing::warn!(watched = self.kind, error = %cause, "watch interrupted");
            let longer = FIRST_PAUSE.saturating_mul(1 << self.failures.min(8));
            self.pause = longer.min(LONGEST_PAUSE).mul_f64(spread);
            self.failures = self.failures.saturating_add(1);
        }
        match remedy(error, &self.config) {
            Remedy::GoOn => {}
            Remedy::Restart => self.restart(),
            Remedy::ListPlainly => {
                self.pause = Duration::ZERO;
                self.list_plainly();
            }
        }
    }

    fn list_plainly(&mut self) {
        self.config.initial_list_strategy = watcher::InitialListStrategy::ListWatch;
        self.restart();
    }

    fn restart(&mut self) {
        self.listing = false;
        self.inner = watcher(self.api.clone(), self.config.clone()).boxed();
    }
}

fn key<K: Resource>(object: &K) -> (Option<String>, String) {
    (object.namespace(), object.name_any())
}

fn code(error: &watcher::Error) -> Option<u16> {
    use watcher::Error::{
        InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed,
    };
    match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status))
        | WatchFailed(kube::Error::Api(status))
        | WatchError(status) => Some(status.code),
        InitialListFailed(_) | WatchStartFailed(_) | WatchFailed(_) | NoResourceVersion => None,
    }
}

fn remedy(error: &watcher::Error, config: &watcher::Config) -> Remedy {
    let streams = config.initial_list_strategy == watcher::InitialListStrategy::StreamingList;
    match code(error) {
        // `sendInitialEvents` is refused as invalid where the server's WatchList is off.
        Some(400 | 422) if streams => Remedy::ListPlainly,
        // kube itself only lists again where this comes within the stream.
        Some(410) => Remedy::Restart,
        _ => Remedy::GoOn,
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn refused(code: u16) -> watcher::Error {
        let status = Status::failure("no", "No").with_code(code);
        watcher::Error::WatchStartFailed(kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn server_without_streamed_listings_is_listed_plainly() {
        let streaming = watcher::Config::default().streaming_lists();
        assert_eq!(remedy(&refused(422), &streaming), Remedy::ListPlainly);
        let plain = watcher::Config::default();
        assert_eq!(remedy(&refused(422), &plain), Remedy::GoOn);
    }

    #[test]
    fn version_that_is_too_old_begins_anew() {
        let plain = watcher::Config::default();
        assert_eq!(remedy(&refused(410), &plain), Remedy::Restart);
        assert_eq!(remedy(&refused(500), &plain), Remedy::GoOn);
    }
}
