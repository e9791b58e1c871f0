//! Runs a release's tests.

use helm::{manifest::Event, release::ApplyMethod};

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
}
