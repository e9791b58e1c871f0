//! What a run may do while it goes on: announce itself, make progress durable, wait without
//! holding a permit.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::{Change, Failure, Note, conditions};

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
    /// Makes a change durable before it returns.
    fn write<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, kube::Result<()>>;
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
}

/// The permit of a run, given back while it waits.
pub(crate) struct Permits {
    all: Arc<Semaphore>,
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
        all: Arc<Semaphore>,
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
            permit = Arc::clone(&self.all).acquire_owned() => permit.ok(),
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
        }
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
    /// The status cannot be written; the run must not go on.
    pub async fn checkpoint(&self, change: Change) -> Result<(), Failure> {
        self.ledger.write(&change).await.map_err(|error| {
            let cause = crate::failure::chain(&error);
            Failure::retry("Failed", format!("failed to update status: {cause}")).quietly()
        })
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
