//! Whose turn it is to run: who comes back from a wait goes before who begins.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

/// The permits of one kind, as many as runs may go on at once.
///
/// In one queue for all, of a thousand runs that begin together each would come as far as its first wait before the first
/// one ends, and all would hold at once what a run holds. So those who begin wait at the entrance, and one at a time stands
/// among those who come back: nobody is kept waiting for ever.
#[derive(Debug)]
pub(crate) struct Turns {
    permits: Arc<Semaphore>,
    entrance: Mutex<()>,
}

impl Turns {
    /// Lets so many run at once; at least one.
    pub(crate) fn new(concurrent: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(concurrent.max(1))),
            entrance: Mutex::default(),
        }
    }

    /// Returns the permits, to count them.
    pub(crate) fn permits(&self) -> Arc<Semaphore> {
        Arc::clone(&self.permits)
    }

    /// Waits until a run may begin.
    pub(crate) async fn begin(&self) -> Option<OwnedSemaphorePermit> {
        let _first = self.entrance.lock().await;
        self.go_on().await
    }

    /// Waits until a run that has waited for something else may go on.
    pub(crate) async fn go_on(&self) -> Option<OwnedSemaphorePermit> {
        self.permits().acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_goes_before_all_who_begin_but_one() {
        let turns = Arc::new(Turns::new(1));
        let (sender, mut order) = tokio::sync::mpsc::unbounded_channel();
        let holding = turns.begin().await;
        for name in ["first", "second", "third"] {
            let (turns, sender) = (Arc::clone(&turns), sender.clone());
            tokio::spawn(async move {
                let _permit = turns.begin().await;
                sender.send(name).unwrap();
            });
            tokio::task::yield_now().await;
        }
        for name in ["back", "back too"] {
            let (turns, sender) = (Arc::clone(&turns), sender.clone());
            tokio::spawn(async move {
                let _permit = turns.go_on().await;
                sender.send(name).unwrap();
            });
            tokio::task::yield_now().await;
        }
        drop((holding, sender));
        let mut seen = Vec::new();
        while let Some(name) = order.recv().await {
            seen.push(name);
        }
        assert_eq!(seen, ["first", "back", "back too", "second", "third"]);
    }
}
