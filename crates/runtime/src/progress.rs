//! What a run may do while it goes on: announce itself, make progress durable, wait without
//! holding a permit.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use api::meta::Artifact;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

use crate::{Change, Class, Failure, Note, conditions, traces::Trail, turns::Turns};

/// How a [`Progress::park`] ended.
#[derive(Debug)]
pub enum Parked<T> {
    /// What was waited for came.
    Done(T),
    /// The time was up.
    Expired,
    /// A newer generation, request or revision made the run pointless; names what did.
    Superseded(String),
}

/// Writes status on behalf of a run.
pub(crate) trait Ledger: Send + Sync {
    /// Makes a change durable before it returns. False: the object is gone.
    fn write<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, kube::Result<bool>>;
    /// Emits an event.
    fn emit(&self, note: Note);
}

/// A run's handle on the skeleton.
pub struct Progress {
    ledger: Arc<dyn Ledger>,
    permits: Permits,
    superseded: watch::Receiver<Option<String>>,
    ready_words: Option<&'static str>,
    state: Mutex<State>,
    trail: Trail,
}

/// The permit of a run, given back while it waits.
pub(crate) struct Permits {
    all: Arc<Turns>,
    mine: Mutex<Option<OwnedSemaphorePermit>>,
    /// Whose turn it is to get the permit back, where a run waits for several things at once.
    turn: tokio::sync::Mutex<()>,
    /// The process is told to stop.
    stop: CancellationToken,
    /// The run was waiting when the process was told to stop: it is to be dropped.
    abandoned: CancellationToken,
}

impl Permits {
    pub(crate) fn new(
        all: Arc<Turns>,
        mine: OwnedSemaphorePermit,
        stop: CancellationToken,
    ) -> Self {
        Self {
            all,
            mine: Mutex::new(Some(mine)),
            turn: tokio::sync::Mutex::default(),
            stop,
            abandoned: CancellationToken::new(),
        }
    }

    fn give_back(&self) {
        drop(self.mine().take());
    }

    async fn take_back(&self) {
        let _turn = self.turn.lock().await;
        if self.mine().is_some() {
            return;
        }
        let permit = tokio::select! {
            biased;
            permit = self.all.go_on() => permit,
            () = self.stop.cancelled() => self.abandon().await,
        };
        *self.mine() = permit;
    }

    /// Lets the skeleton drop the run at this point. Never returns.
    async fn abandon<T>(&self) -> T {
        self.abandoned.cancel();
        std::future::pending().await
    }

    fn mine(&self) -> std::sync::MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.mine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct State {
    visible: bool,
    message: Option<String>,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").finish_non_exhaustive()
    }
}

impl Progress {
    pub(crate) fn new(
        ledger: Arc<dyn Ledger>,
        permits: Permits,
        superseded: watch::Receiver<Option<String>>,
        ready_words: Option<&'static str>,
        (visible, message): (bool, Option<String>),
    ) -> Self {
        Self {
            ledger,
            permits,
            superseded,
            ready_words,
            state: Mutex::new(State { visible, message }),
            trail: Trail::default(),
        }
    }

    /// Leaves what becomes the spans of the run.
    pub(crate) fn leaving(self, trail: Trail) -> Self {
        Self { trail, ..self }
    }

    pub(crate) fn trail(&self) -> &Trail {
        &self.trail
    }

    /// Says which artifact the run is about: its spans belong to the trace of that revision.
    pub fn uses(&self, artifact: &Artifact) {
        self.trail.uses(artifact);
    }

    /// Does something that is a span of its own.
    pub async fn stage<T>(&self, name: &'static str, work: impl Future<Output = T>) -> T {
        let began = Timestamp::now();
        let done = work.await;
        self.trail.add(name, began);
        done
    }

    /// Says what the run is doing. It is written at once where the run has something new to do,
    /// and otherwise only if the run fails.
    ///
    /// # Errors
    /// The status cannot be written.
    pub async fn note(&self, message: impl Into<String>) -> Result<(), Failure> {
        let message = message.into();
        let visible = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.message = Some(message.clone());
            state.visible
        };
        if visible {
            self.announce(&message, Change::default()).await
        } else {
            Ok(())
        }
    }

    /// Says that the run found something new to do: from here on its notes are written at once,
    /// this one together with `change`.
    ///
    /// # Errors
    /// The status cannot be written.
    pub async fn changed(&self, message: impl Into<String>, change: Change) -> Result<(), Failure> {
        let message = message.into();
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.message = Some(message.clone());
            state.visible = true;
        }
        self.announce(&message, change).await
    }

    async fn announce(&self, message: &str, change: Change) -> Result<(), Failure> {
        let all = Change::default().condition(
            conditions::RECONCILING,
            "True",
            conditions::PROGRESSING,
            message,
        );
        let words = self.ready_words.unwrap_or(message);
        let all = all.condition(conditions::READY, "Unknown", conditions::PROGRESSING, words);
        self.checkpoint(all.and(change)).await
    }

    /// Makes a change of the status durable before it returns.
    ///
    /// # Errors
    /// The status cannot be written, or the object is gone; the run must not go on: nobody would
    /// clean up after it.
    pub async fn checkpoint(&self, change: Change) -> Result<(), Failure> {
        match self.ledger.write(&change).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let gone = Failure::new(Class::Superseded, "Failed", "the object is gone");
                Err(gone.quietly())
            }
            Err(error) => {
                let cause = crate::failure::chain(&error);
                let message = format!("failed to update status: {cause}");
                Err(Failure::retry("Failed", message).quietly())
            }
        }
    }

    /// Emits an event at once.
    pub fn emit(&self, note: Note) {
        self.ledger.emit(note);
    }

    /// Returns what made this run pointless, if anything did.
    #[must_use]
    pub fn superseded(&self) -> Option<String> {
        self.superseded.borrow().clone()
    }

    /// Waits for something to make this run pointless, and returns what did.
    pub async fn overtaken(&self) -> String {
        named(self.superseded.clone()).await
    }

    /// Waits for something outside, at most `limit`, without holding a permit: other objects are
    /// reconciled meanwhile.
    ///
    /// A run that waits when the process is told to stop ends here: its future is dropped as if the
    /// process had been killed, and nothing is written or told. The next process finds what the
    /// last [`Progress::checkpoint`] wrote.
    pub async fn park<T>(
        &self,
        limit: Duration,
        wait: impl Future<Output = T> + Send,
    ) -> Parked<T> {
        self.permits.give_back();
        let parked = tokio::select! {
            biased;
            by = named(self.superseded.clone()) => Parked::Superseded(by),
            done = wait => Parked::Done(done),
            () = self.permits.stop.cancelled() => self.permits.abandon().await,
            () = tokio::time::sleep(limit) => Parked::Expired,
        };
        self.permits.take_back().await;
        parked
    }

    /// Returns once the run is to be dropped where it waits.
    pub(crate) async fn abandoned(&self) {
        self.permits.abandoned.cancelled().await;
    }

    /// Returns the last note of the run.
    pub(crate) fn message(&self) -> Option<String> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .message
            .clone()
    }
}

/// Returns what made a run pointless, once something does.
async fn named(mut superseded: watch::Receiver<Option<String>>) -> String {
    let by = superseded.wait_for(Option::is_some).await;
    let by = by.ok().and_then(|by| by.clone());
    match by {
        Some(by) => by,
        // Nobody is left who could say so.
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// Writes nowhere; whether the object is still there.
    struct Nowhere(bool);

    impl Ledger for Nowhere {
        fn write<'a>(&'a self, _: &'a Change) -> BoxFuture<'a, kube::Result<bool>> {
            async { Ok(self.0) }.boxed()
        }

        fn emit(&self, _: Note) {}
    }

    struct Given {
        all: Arc<Turns>,
        superseded: watch::Sender<Option<String>>,
        stop: CancellationToken,
        progress: Progress,
    }

    fn with_the_only_permit() -> Given {
        let all = Arc::new(Turns::new(1));
        let permit = all.permits().try_acquire_owned().unwrap();
        let (superseded, receiver) = watch::channel(None);
        let stop = CancellationToken::new();
        let permits = Permits::new(Arc::clone(&all), permit, stop.clone());
        let progress = Progress::new(
            Arc::new(Nowhere(true)),
            permits,
            receiver,
            None,
            (false, None),
        );
        Given {
            all,
            superseded,
            stop,
            progress,
        }
    }

    #[tokio::test]
    async fn run_for_an_object_that_is_gone_ends_at_its_next_checkpoint() {
        let mut given = with_the_only_permit();
        assert!(given.progress.checkpoint(Change::default()).await.is_ok());
        given.progress.ledger = Arc::new(Nowhere(false));
        let ended = given.progress.checkpoint(Change::default()).await;
        assert!(ended.is_err_and(|failure| failure.class == Class::Superseded && failure.quiet));
    }

    const LONG: Duration = Duration::from_hours(1);

    #[tokio::test(start_paused = true)]
    async fn two_waits_of_one_run_share_its_permit() {
        let given = with_the_only_permit();
        let wait = |seconds| {
            let sleep = tokio::time::sleep(Duration::from_secs(seconds));
            given.progress.park(LONG, sleep)
        };
        let both = async { tokio::join!(wait(1), wait(2)) };
        let ended = tokio::time::timeout(Duration::from_secs(10), both).await;
        assert!(matches!(
            ended.unwrap(),
            (Parked::Done(()), Parked::Done(()))
        ));
        assert_eq!(given.all.permits().available_permits(), 0);
        drop(given.progress);
        assert_eq!(given.all.permits().available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn wait_ends_with_what_came_its_time_or_what_superseded_it() {
        let given = with_the_only_permit();
        let done = given.progress.park(LONG, async { 7 }).await;
        assert!(matches!(done, Parked::Done(7)));
        let never = || std::future::pending::<()>();
        let expired = given.progress.park(Duration::from_secs(3), never()).await;
        assert!(matches!(expired, Parked::Expired));
        given.superseded.send_replace(Some("Toy/ns/a".into()));
        let superseded = given.progress.park(LONG, never()).await;
        assert!(matches!(superseded, Parked::Superseded(by) if by == "Toy/ns/a"));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_run_is_abandoned_at_stop_also_while_it_waits_for_its_permit() {
        let given = with_the_only_permit();
        let parked = given
            .progress
            .park(Duration::from_secs(1), std::future::pending::<()>());
        let taken = async {
            tokio::task::yield_now().await;
            let permit = given.all.go_on().await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            given.stop.cancel();
            std::future::pending::<()>().await;
            drop(permit);
        };
        tokio::select! {
            _ = parked => panic!("the permit is taken"),
            () = taken => panic!("never ends"),
            () = given.progress.abandoned() => {}
        }
    }
}
