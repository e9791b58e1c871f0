//! Upgrades a release.

use helm::{
    manifest::Event,
    release::{ApplyMethod, Record},
};
use kube::api::PropagationPolicy;

use super::{
    ActionError, Method, Session, Waiting,
    hooks::Selection,
    install::method_of,
    now,
    objects::{self, Target, Unserved},
    render::Rendering,
    write::{Fields, Foreign, is_same},
};

/// How a release is upgraded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Objects of others are taken over.
    pub take_ownership: bool,
    /// Objects that a failed upgrade has made are deleted.
    pub clean_up: bool,
    /// How many records are kept; 0 keeps all.
    pub max_history: i64,
    /// Hooks and waits.
    pub waiting: Waiting,
}

/// The two records that an upgrade starts from.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    /// The newest record.
    pub last: Record,
    /// The record whose objects are in the cluster.
    pub current: Record,
    /// The revision that comes next.
    pub next: i64,
}

impl Session<'_> {
    /// Reads what an upgrade starts from.
    ///
    /// # Errors
    /// The text that Helm shows.
    pub(crate) async fn base(&self) -> Result<Base, ActionError> {
        let (last, next) = self
            .storage
            .last()
            .await
            .map_err(|error| error.to_string())?;
        let none = || ActionError::Failed(format!("{:?} has no deployed releases", self.name));
        let last = last.ok_or_else(none)?;
        if last.status.starts_with("pending-") {
            let words = "another operation (install/upgrade/rollback) is in progress";
            return Err(words.to_owned().into());
        }
        let current = if last.status == "deployed" {
            last.clone()
        } else {
            match self.deployed().await?.into_iter().next() {
                Some(current) => current,
                None if matches!(last.status.as_str(), "failed" | "superseded") => last.clone(),
                None => return Err(none()),
            }
        };
        Ok(Base {
            last,
            current,
            next,
        })
    }

    /// Reads the records that say they are deployed, newest first.
    pub(crate) async fn deployed(&self) -> Result<Vec<Record>, ActionError> {
        let revisions = self
            .storage
            .revisions()
            .await
            .map_err(|error| error.to_string())?;
        let mut records = Vec::new();
        for revision in revisions.iter().filter(|r| r.status == "deployed") {
            let record = self.storage.get(revision.version).await;
            records.extend(record.map_err(|error| error.to_string())?);
        }
        Ok(records)
    }

    /// Upgrades to what was rendered.
    ///
    /// # Errors
    /// Why it failed; a new record is there only if it got that far.
    pub(crate) async fn upgrade(
        &self,
        rendering: Rendering,
        base: Base,
        method: Method,
        options: Options,
    ) -> Result<(), ActionError> {
        let Base {
            last,
            mut current,
            next,
        } = base;
        let mut record = rendering.into_record(self, next);
        record.first_deployed.clone_from(&current.first_deployed);
        record.last_deployed = now();
        "pending-upgrade".clone_into(&mut record.status);
        "Preparing upgrade".clone_into(&mut record.description);
        record.apply_method = method_of(method);
        let mut originals = self.originals(&current).await?;
        let targets = self.new_targets(&record, "new release manifest").await?;
        let adopted = self.adopted(&originals, &targets, options).await?;
        originals.extend(adopted);
        self.storage
            .prune(options.max_history)
            .await
            .map_err(|error| error.to_string())?;
        self.storage.inherit(last.version, record.version);
        self.storage
            .create(&record)
            .await
            .map_err(|error| error.to_string())?;
        let mut created = Vec::new();
        let work = self.bring_up(
            &mut record,
            &current,
            (originals, targets),
            &mut created,
            (method, options),
        );
        match work.await {
            Ok(()) => {
                "superseded".clone_into(&mut current.status);
                self.record(&current).await;
                "deployed".clone_into(&mut record.status);
                "Upgrade complete".clone_into(&mut record.description);
                self.storage
                    .update(&record)
                    .await
                    .map_err(|error| error.to_string().into())
            }
            Err(error) => {
                "failed".clone_into(&mut record.status);
                record.description = format!("Upgrade {:?} failed: {error}", self.name);
                self.log.say(format!("upgrade failed: {error}"));
                self.record(&record).await;
                Err(self.clean_up(&created, options.clean_up, error).await)
            }
        }
    }

    /// Finds the objects that are new to the release and exist already.
    async fn adopted(
        &self,
        originals: &[Target],
        targets: &[Target],
        options: Options,
    ) -> Result<Vec<Target>, ActionError> {
        let is_known = |t: &Target| originals.iter().any(|o| is_same(&o.id, &t.id));
        let fresh: Vec<_> = targets.iter().filter(|t| !is_known(t)).cloned().collect();
        let foreign = Foreign::or_refuse(options.take_ownership);
        let found = self.existing(&fresh, foreign).await;
        found.map_err(|cause| format!("unable to continue with update: {cause}").into())
    }

    /// The objects of a record that is there already; kinds that are no longer served cannot exist.
    pub(crate) async fn originals(&self, record: &Record) -> Result<Vec<Target>, ActionError> {
        let built = objects::build(
            self.cluster,
            &record.manifest,
            &self.namespace,
            Unserved::Skip,
        );
        built.await.map_err(|cause| {
            let words = "unable to build kubernetes objects from current release manifest";
            ActionError::Failed(format!("{words}: {cause}"))
        })
    }

    /// Builds and marks the objects of a record that is to be; `what` is Helm's word for its manifest.
    pub(crate) async fn new_targets(
        &self,
        record: &Record,
        what: &str,
    ) -> Result<Vec<Target>, ActionError> {
        let built = objects::build(
            self.cluster,
            &record.manifest,
            &self.namespace,
            Unserved::Refuse,
        );
        let mut targets = built
            .await
            .map_err(|cause| format!("unable to build kubernetes objects from {what}: {cause}"))?;
        for target in &mut targets {
            objects::mark(&mut target.object, &self.name, &self.namespace);
        }
        Ok(targets)
    }

    async fn bring_up(
        &self,
        record: &mut Record,
        current: &Record,
        (originals, targets): (Vec<Target>, Vec<Target>),
        created: &mut Vec<Target>,
        (method, options): (Method, Options),
    ) -> Result<(), ActionError> {
        let waiting = options.waiting;
        if !waiting.no_hooks {
            let hooks = Selection::all(Event::PreUpgrade);
            let run = self.run_hooks(record, hooks, method.server_side).await;
            run.map_err(|error| error.within("pre-upgrade hooks failed"))?;
        }
        let was_client_side = current.apply_method == ApplyMethod::ClientSide;
        let fields = if was_client_side && method.server_side {
            Fields::TakeOver
        } else {
            Fields::Keep
        };
        let update = self.update_all(&originals, &targets, method, fields);
        let updated = update.await;
        let placed = updated.named(&targets);
        drop((originals, targets));
        *created = updated.created;
        let result = match updated.error {
            Some(cause) => Err(ActionError::Failed(cause)),
            None if waiting.no_wait => Ok(()),
            None => self.await_ready(placed, !waiting.no_jobs).await,
        };
        if let Err(error) = result {
            // Written once more as it was, as Helm does: it stays the deployed one.
            self.record(current).await;
            return Err(error);
        }
        if !waiting.no_hooks {
            let hooks = Selection::all(Event::PostUpgrade);
            let run = self.run_hooks(record, hooks, method.server_side).await;
            run.map_err(|error| error.within("post-upgrade hooks failed"))?;
        }
        Ok(())
    }

    /// Deletes what a failed action made, where that is wanted.
    pub(crate) async fn clean_up(
        &self,
        created: &[Target],
        wanted: bool,
        error: ActionError,
    ) -> ActionError {
        if !wanted || created.is_empty() {
            return error;
        }
        let errors = self
            .delete_all(created, &PropagationPolicy::Background)
            .await;
        if errors.is_empty() {
            return error;
        }
        let words = "an error occurred while cleaning up resources. original upgrade error";
        let causes = errors.join(", ");
        ActionError::Failed(format!(
            "{words}: {error}: unable to cleanup resources: {causes}"
        ))
    }
}
