//! One run's status and events.

use std::sync::Arc;

use api::Reconciled;
use futures::{FutureExt, future::BoxFuture};

use crate::{
    Change, Note,
    events::Recorder,
    progress::Ledger,
    status::{Closing, StatusWriter},
};

/// The status writer and recorder of one run, shared with its [`Progress`](crate::Progress).
pub(super) struct Book<K: Reconciled> {
    writer: tokio::sync::Mutex<StatusWriter<K>>,
    recorder: Recorder,
    /// The copy that the run was started for.
    pub(super) object: Arc<K>,
}

impl<K: Reconciled> Book<K> {
    pub(super) fn new(writer: StatusWriter<K>, recorder: Recorder, object: Arc<K>) -> Arc<Self> {
        Arc::new(Self {
            writer: tokio::sync::Mutex::new(writer),
            recorder,
            object,
        })
    }

    /// Writes what a change makes of the status.
    pub(super) async fn close(&self, change: &Change, closing: &Closing) -> kube::Result<()> {
        self.writer.lock().await.write(change, closing).await
    }

    /// Returns the last copy read or written, and whether the object turned out to be gone.
    pub(super) async fn current(&self) -> (Arc<K>, bool) {
        let writer = self.writer.lock().await;
        (writer.shared(), writer.is_gone())
    }

    /// Emits events about the object.
    pub(super) fn tell(&self, notes: impl IntoIterator<Item = Note>) {
        for note in notes {
            self.recorder.emit(&*self.object, note);
        }
    }
}

impl<K: Reconciled> Ledger for Book<K> {
    fn write<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, kube::Result<bool>> {
        async move {
            let mut writer = self.writer.lock().await;
            writer.write(change, &Closing::default()).await?;
            Ok(!writer.is_gone())
        }
        .boxed()
    }

    fn emit(&self, note: Note) {
        self.recorder.emit(&*self.object, note);
    }
}
