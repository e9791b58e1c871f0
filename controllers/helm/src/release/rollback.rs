//! Goes back to an earlier revision.

use helm::{
    manifest::Event,
    release::{ApplyMethod, Record},
};

use super::{
    ActionError, Method, Session, Waiting, hooks::Selection, install::method_of, now, write::Fields,
};

/// How a release is rolled back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// The revision to go back to.
    pub version: i64,
    /// Server-side apply, or not; none: as that revision was applied.
    pub server_side: Option<bool>,
    /// Objects are replaced instead of patched.
    pub force: bool,
    /// Objects that a failed rollback has made are deleted.
    pub clean_up: bool,
    /// How many records are kept; 0 keeps all.
    pub max_history: i64,
    /// Hooks and waits.
    pub waiting: Waiting,
}

impl Session<'_> {
    /// Makes the cluster have again what an earlier revision had.
    ///
    /// # Errors
    /// Why it failed; a new record is there only if it got that far.
    pub(crate) async fn roll_back(&self, options: Options) -> Result<(), ActionError> {
        let (current, next) = self
            .storage
            .last()
            .await
            .map_err(|error| error.to_string())?;
        let mut current = current.ok_or_else(|| "release: not found".to_owned())?;
        let version = options.version;
        let previous = self
            .storage
            .get(version)
            .await
            .map_err(|error| error.to_string())?;
        let previous = previous.ok_or_else(|| format!("release has no {version} version"))?;
        let server_side = options
            .server_side
            .unwrap_or(previous.apply_method == ApplyMethod::ServerSide);
        let method = Method {
            server_side,
            replace: options.force,
        };
        let mut record = Record {
            version: next,
            namespace: current.namespace.clone(),
            first_deployed: current.first_deployed.clone(),
            last_deployed: now(),
            deleted: String::new(),
            status: "pending-rollback".to_owned(),
            description: format!("Rollback to {version}"),
            apply_method: method_of(method),
            ..previous
        };
        self.storage
            .prune(options.max_history)
            .await
            .map_err(|error| error.to_string())?;
        self.storage.inherit(version, next);
        self.storage
            .create(&record)
            .await
            .map_err(|error| error.to_string())?;
        self.go_back(&mut record, &mut current, method, options)
            .await?;
        for mut deployed in self.deployed().await? {
            if deployed.version != record.version {
                "superseded".clone_into(&mut deployed.status);
                self.record(&deployed).await;
            }
        }
        "deployed".clone_into(&mut record.status);
        self.storage
            .update(&record)
            .await
            .map_err(|error| error.to_string().into())
    }

    async fn go_back(
        &self,
        record: &mut Record,
        current: &mut Record,
        method: Method,
        options: Options,
    ) -> Result<(), ActionError> {
        let waiting = options.waiting;
        let originals = self.originals(current).await;
        let targets = self.new_targets(record, "new release manifest").await;
        let (originals, targets) = match (originals, targets) {
            (Ok(originals), Ok(targets)) => (originals, targets),
            (Err(error), _) | (_, Err(error)) => {
                return Err(self.failed(record, None, error).await);
            }
        };
        if !waiting.no_hooks {
            let hooks = Selection::all(Event::PreRollback);
            if let Err(error) = self.run_hooks(record, hooks, method.server_side).await {
                return Err(self.failed(record, None, error).await);
            }
        }
        let updated = self
            .update_all(&originals, &targets, method, Fields::TakeOver)
            .await;
        let placed = updated.named(&targets);
        drop((originals, targets));
        if let Some(cause) = updated.error {
            "superseded".clone_into(&mut current.status);
            let error = self
                .failed(record, Some(current), ActionError::Failed(cause))
                .await;
            return Err(self
                .clean_up(&updated.created, options.clean_up, error)
                .await);
        }
        if !waiting.no_wait
            && let Err(error) = self.await_ready(placed, !waiting.no_jobs).await
        {
            let error = self.failed(record, Some(current), error).await;
            return Err(error.within(&format!("release {} failed", self.name)));
        }
        if !waiting.no_hooks {
            let hooks = Selection::all(Event::PostRollback);
            if let Err(error) = self.run_hooks(record, hooks, method.server_side).await {
                return Err(self.failed(record, None, error).await);
            }
        }
        Ok(())
    }

    /// Records that a rollback failed: none stays pending.
    async fn failed(
        &self,
        record: &mut Record,
        current: Option<&Record>,
        error: ActionError,
    ) -> ActionError {
        self.log.say(format!("rollback failed: {error}"));
        "failed".clone_into(&mut record.status);
        record.description = format!("Rollback {:?} failed: {error}", self.name);
        if let Some(current) = current {
            self.record(current).await;
        }
        self.record(record).await;
        error
    }
}
