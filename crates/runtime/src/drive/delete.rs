//! The end of an object: cleaned up after, then let go.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use tokio::sync::OwnedSemaphorePermit;

use super::{Driver, FINALIZER, attempt::panicked};
use crate::{Class, Failure, Note, Progress, Reconciler};

impl<R: Reconciler> Driver<R> {
    /// Cleans up after a deleted object and lets it go. Returns also whether it is gone as far as
    /// this controller is concerned.
    pub(super) async fn delete(
        &self,
        object: Arc<R::Object>,
        permit: OwnedSemaphorePermit,
    ) -> (Option<Duration>, bool) {
        if !has_finalizer(&*object) {
            return (None, true);
        }
        let entered = self.enter(&object);
        let reference = ObjectRef::from_obj(&*object);
        let book = self.book(object);
        let progress = self.progress(&book, permit, entered.superseded(), false);
        match self.clean(&book.object, &progress).await {
            Some(Ok(notes)) => {
                book.tell(notes);
                match self.unfinalize(Arc::clone(&book.object)).await {
                    Ok(()) => (None, true),
                    Err(error) => (Some(self.troubled(reference, &error)), false),
                }
            }
            Some(Err(failure)) => {
                book.tell(failure.events());
                tracing::error!(error = %failure.message, "cleanup failed");
                self.metrics.count(&self.settings.controller, "error");
                let gone = self.settle(&book).await || entered.is_gone();
                let delay = match failure.class {
                    Class::Wait(delay) if !delay.is_zero() => delay,
                    _ => self.backoff.next(reference),
                };
                (Some(delay), gone)
            }
            None => (None, false),
        }
    }

    /// Runs the kind's cleanup; none where the process stopped while it waited.
    async fn clean(
        &self,
        object: &R::Object,
        progress: &Progress,
    ) -> Option<Result<Vec<Note>, Failure>> {
        let cleanup = async {
            tokio::select! {
                result = Box::pin(self.reconciler.cleanup(object, progress)) => Some(result),
                () = progress.abandoned() => None,
            }
        };
        let result = AssertUnwindSafe(cleanup).catch_unwind().await;
        result.unwrap_or_else(|panic| Some(Err(Failure::retry("Failed", panicked(&*panic)))))
    }

    async fn unfinalize(&self, object: Arc<R::Object>) -> kube::Result<()> {
        let mut object = object;
        for attempt in 0.. {
            if !has_finalizer(&*object) {
                break;
            }
            let mut left = object.finalizers().to_vec();
            left.retain(|f| f != FINALIZER);
            match self.set_finalizers(&object, &left, attempt).await? {
                Some(newest) => object = newest,
                None => break,
            }
        }
        Ok(())
    }
}

fn has_finalizer<K: kube::Resource>(object: &K) -> bool {
    object.finalizers().iter().any(|f| f == FINALIZER)
}
