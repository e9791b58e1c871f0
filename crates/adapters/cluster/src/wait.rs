//! Waits until objects are ready, or gone.
//!
//! Objects are read once; those that are not ready are watched, so that a wait ends within
//! milliseconds of the change it waits for. What cannot be watched is read again at intervals.
//! Only ids and health are kept, never the objects.

mod error;
mod observe;
mod rules;
mod watch;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::StreamExt;
use manifest::{Inventory, ObjectId, health::Health, inventory::Entry};
use serde_json::Value;
use tokio::time::Instant;

pub use error::{Unready, WaitError};

use crate::{Cluster, discovery::Resource};
use observe::Target;
use watch::Watches;

/// Judges kinds for which the caller has rules of its own, ahead of the built-in ones.
pub trait HealthRule: Send + Sync {
    /// Judges an object; `None` leaves it to the built-in rules, an error makes it `Unknown`.
    fn evaluate(&self, object: &Value) -> Option<Result<Health, String>>;
}

/// How to wait.
#[derive(Clone)]
pub struct WaitOptions {
    /// How long to wait.
    pub timeout: Duration,
    /// How often what cannot be watched is read again.
    pub poll_interval: Duration,
    /// Give up as soon as one object has failed, rather than when all are ready or failed.
    pub fail_fast: bool,
    /// How many requests run at once; at least one does.
    pub concurrency: usize,
    /// Jobs that delete themselves once finished: ready when they are gone.
    pub expiring_jobs: BTreeSet<ObjectId>,
    /// Objects that were ready a moment ago, as an apply says: not read unless the wait gets long.
    pub ready: BTreeSet<ObjectId>,
    /// A label selector that all objects carry: one watch then serves all objects of a kind.
    pub selector: Option<String>,
    /// Rules ahead of the built-in ones.
    pub rules: Option<Arc<dyn HealthRule>>,
}

impl WaitOptions {
    /// Returns the defaults with a timeout.
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            poll_interval: Duration::from_secs(5),
            fail_fast: true,
            concurrency: 4,
            expiring_jobs: BTreeSet::new(),
            ready: BTreeSet::new(),
            selector: None,
            rules: None,
        }
    }
}

impl std::fmt::Debug for WaitOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaitOptions")
            .field("timeout", &self.timeout)
            .field("fail_fast", &self.fail_fast)
            .finish_non_exhaustive()
    }
}

/// How long watched objects go without being read again: a watch may die without a word.
const WATCHED_POLL: Duration = Duration::from_secs(30);

/// How many workloads that are not ready are asked for their pods, and how long that may take.
const MAX_EXPLAINED: usize = 5;
const EXPLAIN_TIMEOUT: Duration = Duration::from_secs(5);

impl Cluster {
    /// Waits until all objects are ready. Dropping the future ends it at once.
    ///
    /// # Errors
    /// [`WaitError`] with every object that was not ready when time was up, or when one had failed.
    pub async fn wait(&self, objects: &Inventory, options: &WaitOptions) -> Result<(), WaitError> {
        let target = |entry: &Entry| {
            let mut target = Target::new(entry.clone());
            if options.rules.is_none() && options.ready.contains(&entry.id) {
                target.assume_ready();
            }
            target
        };
        let targets = objects.entries().iter().map(target).collect();
        self.wait_for(targets, options).await
    }

    /// Waits until objects are ready that were read or written a moment ago. Those that are ready
    /// cost no request.
    ///
    /// # Errors
    /// As [`Self::wait`].
    pub async fn wait_from(
        &self,
        objects: &[(Resource, Value)],
        options: &WaitOptions,
    ) -> Result<(), WaitError> {
        let target = |(resource, object): &(Resource, Value)| {
            let version = resource.gvk.version.clone();
            let mut target = Target::new(Entry {
                id: ObjectId::of(object),
                version,
            });
            target.see(resource.clone(), object, options);
            target
        };
        self.wait_for(objects.iter().map(target).collect(), options)
            .await
    }

    async fn wait_for(
        &self,
        mut targets: Vec<Target>,
        options: &WaitOptions,
    ) -> Result<(), WaitError> {
        let started = Instant::now();
        let deadline = started + options.timeout;
        let work = self.watch_until_settled(&mut targets, options);
        let in_time = tokio::time::timeout_at(deadline, work).await.is_ok();
        let (mut failed, others): (Vec<_>, Vec<_>) = targets.into_iter().partition(|target| {
            if in_time {
                target.has_failed()
            } else {
                !target.is_ready()
            }
        });
        drop(others);
        if failed.is_empty() {
            return Ok(());
        }
        // Its own deadline: a message is worth a moment, not a hang.
        let words = self.explain_all(&mut failed);
        tokio::time::timeout(EXPLAIN_TIMEOUT, words).await.ok();
        let list = error::sorted(&failed);
        Err(if in_time {
            WaitError::Stalled(list)
        } else {
            WaitError::Timeout(list)
        })
    }

    async fn explain_all(&self, targets: &mut [Target]) {
        for target in targets.iter_mut().take(MAX_EXPLAINED) {
            self.explain(target).await;
        }
    }

    /// Returns once all targets are ready, or one has failed and that ends the wait.
    async fn watch_until_settled(&self, targets: &mut [Target], options: &WaitOptions) {
        let mut watches = Watches::default();
        self.refresh(targets, options, |target| !target.is_seen())
            .await;
        watches.cover(self, targets, options);
        let mut next_poll = Instant::now() + options.poll_interval;
        loop {
            if is_settled(targets, options) {
                // What was ready long ago may not be any more.
                let is_stale = |target: &Target| target.age() > options.poll_interval;
                self.refresh(targets, options, |it| it.is_ready() && is_stale(it))
                    .await;
                if is_settled(targets, options) {
                    return;
                }
            }
            tokio::select! {
                () = tokio::time::sleep_until(next_poll) => {
                    // Held across an await, the watches themselves would tie this future to a thread.
                    let covered: BTreeSet<ObjectId> = targets
                        .iter()
                        .filter(|target| watches.covers(target))
                        .map(|target| target.id().clone())
                        .collect();
                    let is_due = |target: &Target| {
                        !covered.contains(target.id())
                            || target.has_pods()
                            || target.age() > WATCHED_POLL
                    };
                    self.refresh(targets, options, |it| !it.is_ready() && is_due(it)).await;
                    watches.cover(self, targets, options);
                    next_poll = Instant::now() + options.poll_interval;
                }
                Some(seen) = watches.next() => watches.record(seen, targets, options),
            }
        }
    }

    /// Waits until objects no longer exist.
    ///
    /// # Errors
    /// [`WaitError`] with those that still do when time is up.
    pub async fn wait_for_termination(
        &self,
        objects: &Inventory,
        options: &WaitOptions,
    ) -> Result<(), WaitError> {
        let mut targets: Vec<Target> = objects.entries().iter().cloned().map(Target::new).collect();
        let deadline = Instant::now() + options.timeout;
        let work = async {
            let mut pause = Duration::from_millis(100);
            loop {
                self.refresh(&mut targets, options, |target| !target.is_gone())
                    .await;
                if targets.iter().all(Target::is_gone) {
                    return;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
        };
        if tokio::time::timeout_at(deadline, work).await.is_ok() {
            return Ok(());
        }
        let left = targets.iter().filter(|target| !target.is_gone());
        Err(WaitError::Timeout(left.map(Target::to_unready).collect()))
    }

    /// Reads the targets that pass, a few at a time.
    async fn refresh(
        &self,
        targets: &mut [Target],
        options: &WaitOptions,
        due: impl Fn(&Target) -> bool,
    ) {
        let due = targets.iter_mut().filter(|target| due(target));
        futures::stream::iter(due)
            .for_each_concurrent(options.concurrency.max(1), |target| {
                self.observe(target, options)
            })
            .await;
    }
}

/// Tells whether waiting longer can change nothing that counts.
fn is_settled(targets: &[Target], options: &WaitOptions) -> bool {
    (options.fail_fast && targets.iter().any(Target::has_failed))
        || targets
            .iter()
            .all(|target| target.is_ready() || target.has_failed())
}
