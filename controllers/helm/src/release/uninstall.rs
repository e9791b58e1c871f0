//! Uninstalls a release.

use helm::{
    manifest::{Event, UNINSTALL_ORDER, compare_kinds},
    release::Record,
};
use kube::api::PropagationPolicy;
use manifest::object;

use super::{
    ActionError, Session, Waiting,
    hooks::Selection,
    now,
    objects::{self, Unserved},
};

/// How a release is uninstalled.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Its records stay.
    pub keep_history: bool,
    /// What becomes of what its objects own.
    pub propagation: PropagationPolicy,
    /// Hooks and waits.
    pub waiting: Waiting,
}

/// What an uninstallation found.
#[derive(Clone, Debug)]
pub(crate) enum Uninstalled {
    /// It deleted this revision's objects.
    Done(i64),
    /// There was no such release.
    NotFound,
    /// It was uninstalled before, and its records are kept.
    Already,
}

impl Session<'_> {
    /// Deletes what a release has, and its records.
    ///
    /// # Errors
    /// Why it failed, with the revision it was about once that was known.
    pub(crate) async fn uninstall(
        &self,
        options: &Options,
    ) -> Result<Uninstalled, (Option<i64>, ActionError)> {
        let early = |error: String| (None, ActionError::Failed(error));
        let (last, _) = self
            .storage
            .last()
            .await
            .map_err(|error| early(error.to_string()))?;
        let Some(mut record) = last else {
            return Ok(Uninstalled::NotFound);
        };
        let version = record.version;
        if record.status == "uninstalled" {
            if options.keep_history {
                return Ok(Uninstalled::Already);
            }
            self.purge().await.map_err(|error| (Some(version), error))?;
            return Ok(Uninstalled::Done(version));
        }
        let ended = self.take_down(&mut record, options).await;
        ended
            .map(|()| Uninstalled::Done(version))
            .map_err(|error| (Some(version), error))
    }

    async fn take_down(&self, record: &mut Record, options: &Options) -> Result<(), ActionError> {
        "uninstalling".clone_into(&mut record.status);
        record.deleted = now();
        "Deletion in progress (or silently failed)".clone_into(&mut record.description);
        if !options.waiting.no_hooks {
            self.run_hooks(record, Selection::all(Event::PreDelete), true)
                .await?;
        }
        self.record(record).await;
        let targets = self.doomed(record).await?;
        let failed = self.delete_all(&targets, &options.propagation).await;
        if !failed.is_empty() {
            for cause in failed {
                self.log.say(format!("failed to delete: {cause}"));
            }
            return Err(format!("failed to delete release: {}", self.name).into());
        }
        let mut errors = Vec::new();
        if !options.waiting.no_wait {
            match self.await_gone(&targets).await {
                Err(ActionError::Failed(cause)) => errors.push(cause),
                Err(superseded) => return Err(superseded),
                Ok(()) => {}
            }
        }
        if !options.waiting.no_hooks
            && let Err(error) = self
                .run_hooks(record, Selection::all(Event::PostDelete), true)
                .await
        {
            errors.push(error.to_string());
        }
        if options.keep_history {
            self.keep(record).await?;
        } else if let Err(error) = self.purge().await {
            errors.push(format!("uninstall: Failed to purge the release: {error}"));
        }
        if errors.is_empty() {
            return Ok(());
        }
        let (count, causes) = (errors.len(), errors.join("; "));
        Err(format!("uninstallation completed with {count} error(s): {causes}").into())
    }

    /// The objects to delete, in order, without those that are to be kept.
    async fn doomed(&self, record: &Record) -> Result<Vec<objects::Target>, ActionError> {
        let built = objects::build(
            self.cluster,
            &record.manifest,
            &self.namespace,
            Unserved::Skip,
        );
        let mut targets = built.await.map_err(|cause| {
            let words = "corrupted release record. You must manually delete the resources";
            ActionError::Failed(format!("{words}: {cause}"))
        })?;
        targets.retain(|target| {
            !objects::has_policy(&target.object) && !object::name(&target.object).is_empty()
        });
        targets.sort_by(|a, b| compare_kinds(&a.id.kind, &b.id.kind, UNINSTALL_ORDER));
        Ok(targets)
    }

    async fn keep(&self, record: &mut Record) -> Result<(), ActionError> {
        "uninstalled".clone_into(&mut record.status);
        "Uninstallation complete".clone_into(&mut record.description);
        self.record(record).await;
        for mut deployed in self.deployed().await? {
            "superseded".clone_into(&mut deployed.status);
            self.record(&deployed).await;
        }
        Ok(())
    }

    async fn purge(&self) -> Result<(), ActionError> {
        let revisions = self
            .storage
            .revisions()
            .await
            .map_err(|error| error.to_string())?;
        // The newest last: as long as one is left, the next try finds the release.
        for revision in revisions.iter().rev() {
            self.storage
                .delete(revision.version)
                .await
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
