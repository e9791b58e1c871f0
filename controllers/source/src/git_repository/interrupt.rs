//! Ends the wait for a slow server when nobody wants its answer any more.

use std::pin::pin;

use api::source::GitRepository;
use kube::{Api, ResourceExt};
use runtime::{Class, Failure, Progress};

use super::GitRepositories;

impl GitRepositories {
    /// Waits for `work`, but no longer than the object is wanted as it is: a new generation or a deletion ends the run.
    ///
    /// A mere request does not: a server slower than the requests come would never be heard out.
    pub(super) async fn while_wanted<T>(
        &self,
        object: &GitRepository,
        progress: &Progress,
        work: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        let mut work = pin!(work);
        let by = tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            by = progress.overtaken() => by,
        };
        if self.is_outdated(object).await {
            let words = format!("superseded by a change of {by}");
            return Err(Failure::new(Class::Superseded, "Superseded", words));
        }
        // It stays said, so there is no more to learn.
        Ok(work.await)
    }

    async fn is_outdated(&self, object: &GitRepository) -> bool {
        let namespace = object.namespace().unwrap_or_default();
        let objects: Api<GitRepository> = Api::namespaced(self.setup.client.clone(), &namespace);
        match objects.get_metadata_opt(&object.name_any()).await {
            Ok(Some(newest)) => {
                newest.metadata.deletion_timestamp.is_some()
                    || newest.metadata.generation != object.metadata.generation
            }
            Ok(None) => true,
            // The run goes on and meets the API server's troubles when it writes.
            Err(_) => false,
        }
    }
}
