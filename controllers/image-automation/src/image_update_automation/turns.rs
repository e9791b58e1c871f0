//! One push at a time to a branch, so that automations of one process do not race each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

/// URL and branch.
type Branch = (String, String);

/// Who waits for which branch of which repository.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<Branch, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits until nobody else of this process works on a branch.
    pub(super) async fn take(&self, url: &str, branch: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|_, turn| turn.strong_count() > 0);
            let key = (url.to_owned(), branch.to_owned());
            let known = all.get(&key).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let turn = Arc::default();
                all.insert(key, Arc::downgrade(&turn));
                turn
            })
        };
        turn.lock_owned().await
    }
}
