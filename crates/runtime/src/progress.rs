//! What a run may do while it goes on: announce itself, make progress durable, wait without
//! holding a permit.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

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
    permits: Arc<Semaphore>,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    superseded: watch::Receiver<Option<String>>,
    ready_words: Option<&'static str>,
    state: Mutex<State>,
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
        permits: Arc<Semaphore>,
        permit: OwnedSemaphorePermit,
        superseded: watch::Receiver<Option<String>>,
        ready_words: Option<&'static str>,
        (visible, message): (bool, Option<String>),
    ) -> Self {
        Self {
            ledger,
            permits,
            permit: Mutex::new(Some(permit)),
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
    pub async fn park<T>(
        &self,
        limit: Duration,
        wait: impl Future<Output = T> + Send,
    ) -> Parked<T> {
        drop(
            self.permit
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let mut superseded = self.superseded.clone();
        let parked = tokio::select! {
            biased;
            by = superseded.wait_for(Option::is_some) => {
                let by = by.ok().and_then(|b| b.clone()).unwrap_or_default();
                Parked::Superseded(by)
            }
            done = wait => Parked::Done(done),
            () = tokio::time::sleep(limit) => Parked::Expired,
        };
        if let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await {
            *self.permit.lock().unwrap_or_else(PoisonError::into_inner) = Some(permit);
        }
        parked
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
