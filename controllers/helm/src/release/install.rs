//! Installs a release.

use helm::{
    manifest::Event,
    release::{ApplyMethod, Record},
};

use super::{
    ActionError, Method, Session, Waiting,
    hooks::Selection,
    now,
    objects::Target,
    render::Rendering,
    write::{Fields, Foreign},
};

/// How a release is installed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Objects of others are taken over.
    pub take_ownership: bool,
    /// The namespace is made where it does not exist.
    pub create_namespace: bool,
    /// How objects are written.
    pub method: Method,
    /// Hooks and waits.
    pub waiting: Waiting,
}

impl Session<'_> {
    /// Checks that the name is free, or may be used again. Returns the last record of it, and the revision that comes
    /// next: records that cannot be read are numbered, too.
    ///
    /// # Errors
    /// The text that Helm shows.
    pub(crate) async fn claim(&self, replace: bool) -> Result<(Option<Record>, i64), ActionError> {
        let (last, next) = self
            .storage
            .last()
            .await
            .map_err(|error| error.to_string())?;
        let may =
            |last: &Record| replace && matches!(last.status.as_str(), "uninstalled" | "failed");
        match last {
            Some(last) if !may(&last) => {
                let words = "release name check failed: cannot reuse a name that is still in use";
                Err(words.to_owned().into())
            }
            last => Ok((last, next)),
        }
    }

    /// Installs what was rendered.
    ///
    /// # Errors
    /// Why it failed; a record is there only if it got that far.
    pub(crate) async fn install(
        &self,
        rendering: Rendering,
        (last, next): (Option<Record>, i64),
        options: Options,
    ) -> Result<(), ActionError> {
        let stamp = now();
        let mut record = rendering.into_record(self, next);
        record.first_deployed.clone_from(&stamp);
        record.last_deployed = stamp;
        "pending-install".clone_into(&mut record.status);
        "Initial install underway".clone_into(&mut record.description);
        record.apply_method = method_of(options.method);
        let targets = self.new_targets(&record, "release manifest").await?;
        let foreign = Foreign::or_refuse(options.take_ownership);
        let adopted = self
            .existing(&targets, foreign)
            .await
            .map_err(|cause| format!("unable to continue with install: {cause}"))?;
        if options.create_namespace {
            self.create_namespace(options.method.server_side).await?;
        }
        if let Some(mut last) = last {
            self.storage.inherit(last.version, record.version);
            if last.status != "failed" {
                "superseded".clone_into(&mut last.status);
                "superseded by new release".clone_into(&mut last.description);
                self.storage
                    .update(&last)
                    .await
                    .map_err(|error| error.to_string())?;
            }
        }
        self.storage
            .create(&record)
            .await
            .map_err(|error| error.to_string())?;
        match self
            .put_in_place(&mut record, (targets, adopted), options)
            .await
        {
            Ok(()) => {
                "deployed".clone_into(&mut record.status);
                "Install complete".clone_into(&mut record.description);
                self.record(&record).await;
                Ok(())
            }
            Err(error) => {
                "failed".clone_into(&mut record.status);
                record.description = format!("Release {:?} failed: {error}", self.name);
                self.record(&record).await;
                Err(error)
            }
        }
    }

    async fn put_in_place(
        &self,
        record: &mut Record,
        (targets, adopted): (Vec<Target>, Vec<Target>),
        options: Options,
    ) -> Result<(), ActionError> {
        let Options {
            method, waiting, ..
        } = options;
        if !waiting.no_hooks {
            let hooks = Selection::all(Event::PreInstall);
            let run = self.run_hooks(record, hooks, method.server_side).await;
            run.map_err(|error| error.within("failed pre-install"))?;
        }
        let placed = if adopted.is_empty() {
            self.create_all(&targets, method.server_side).await?
        } else {
            let updated = self
                .update_all(&adopted, &targets, method, Fields::TakeOver)
                .await;
            let placed = updated.named(&targets);
            updated.error.map_or(Ok(placed), Err)?
        };
        drop((targets, adopted));
        if !waiting.no_wait {
            self.await_ready(placed, !waiting.no_jobs).await?;
        }
        if !waiting.no_hooks {
            let hooks = Selection::all(Event::PostInstall);
            let run = self.run_hooks(record, hooks, method.server_side).await;
            run.map_err(|error| error.within("failed post-install"))?;
        }
        Ok(())
    }
}

/// What a record says of how it was applied.
pub(crate) fn method_of(method: Method) -> ApplyMethod {
    if method.server_side {
        ApplyMethod::ServerSide
    } else {
        ApplyMethod::ClientSide
    }
}
