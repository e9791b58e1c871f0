//! Runs a release's tests, and unlocks one that an action left behind.

use helm::{
    manifest::Event,
    release::{ApplyMethod, Record},
};

use super::{ActionError, Session, hooks::Selection};

impl Session<'_> {
    /// Runs the tests of the newest revision. Returns that revision.
    ///
    /// # Errors
    /// Why they failed, with the revision they were of.
    pub(crate) async fn test(
        &self,
        only: &[String],
        except: &[String],
    ) -> Result<i64, (Option<i64>, ActionError)> {
        let last = self.storage.last().await;
        let (last, _) = last.map_err(|error| (None, error.to_string().into()))?;
        let mut record = last.ok_or_else(|| (None, "release: not found".to_owned().into()))?;
        let server_side = record.apply_method == ApplyMethod::ServerSide;
        let selection = Selection {
            event: Event::Test,
            only,
            except,
        };
        let run = self.run_hooks(&mut record, selection, server_side).await;
        let version = record.version;
        let stored = self.storage.update(&record).await;
        run.map_err(|error| (Some(version), error))?;
        stored.map_err(|error| (Some(version), error.to_string().into()))?;
        Ok(version)
    }

    /// Marks a record that an action left pending as failed.
    ///
    /// # Errors
    /// The record cannot be stored.
    pub(crate) async fn unlock(&self, mut record: Record) -> Result<(), ActionError> {
        let status = std::mem::replace(&mut record.status, "failed".to_owned());
        record.description = format!("Release unlocked from stale '{status}' state");
        self.storage
            .update(&record)
            .await
            .map_err(|error| error.to_string().into())
    }
}
