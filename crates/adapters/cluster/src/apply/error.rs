//! What can go wrong while applying, in the words that users and scripts know.

use std::fmt;

use manifest::ObjectId;

use crate::{
    discovery::ResolveError,
    error::{RequestError, chain_text},
};

use super::Applied;
use crate::wait::WaitError;

/// What was tried when an object failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Asking the API server whether it would accept the object.
    DryRun,
    /// The same, when something the object lives in does not exist.
    NotFound,
    /// The object's kind needs a namespace, and it has none.
    NamespaceNotSpecified,
    /// The object is a Secret that nobody has decrypted.
    Encrypted,
    /// Moving managed fields to another API version.
    MigrateApiVersion,
    /// Taking over the fields of other managers.
    CleanUp,
    /// Deleting an object that cannot be changed in place.
    Delete,
    /// Waiting until such an object is gone.
    AwaitDeletion,
    /// Waiting until an object is gone that somebody else deleted, to make it again.
    AwaitTermination,
    /// Writing the object.
    Apply,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// A request failed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The object's type is not served or could not be asked for.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// Waiting took too long.
    #[error("timed out waiting for the condition")]
    Timeout,
}

/// One object that could not be applied.
#[derive(Debug)]
pub struct ObjectError {
    /// The object.
    pub id: ObjectId,
    /// What was tried.
    pub step: Step,
    /// Why it failed.
    pub cause: Option<Cause>,
}

impl ObjectError {
    pub(super) fn new(id: &ObjectId, step: Step, cause: impl Into<Cause>) -> Self {
        Self {
            id: id.clone(),
            step,
            cause: Some(cause.into()),
        }
    }

    pub(super) fn without_cause(id: ObjectId, step: Step) -> Self {
        Self {
            id,
            step,
            cause: None,
        }
    }

    /// Tells whether something may have been written before the failure: the object may exist.
    pub fn may_have_written(&self) -> bool {
        match self.step {
            Step::DryRun | Step::NotFound | Step::NamespaceNotSpecified | Step::Encrypted => false,
            Step::MigrateApiVersion
            | Step::CleanUp
            | Step::Delete
            | Step::AwaitDeletion
            | Step::AwaitTermination
            | Step::Apply => true,
        }
    }

    /// Tells whether trying again a little later may well succeed.
    pub fn is_transient(&self) -> bool {
        self.request().is_some_and(RequestError::is_transient)
    }

    /// Tells whether the API server did not answer at all.
    pub(super) fn is_unreachable(&self) -> bool {
        self.request().is_some_and(RequestError::is_unreachable)
    }

    fn request(&self) -> Option<&RequestError> {
        match self.cause.as_ref()? {
            Cause::Request(error) | Cause::Resolve(ResolveError::Request { source: error, .. }) => {
                Some(error)
            }
            Cause::Timeout | Cause::Resolve(_) => None,
        }
    }
}

impl fmt::Display for ObjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = &self.id;
        match self.step {
            Step::DryRun => {
                let reason = match &self.cause {
                    Some(Cause::Request(error)) => error.reason(),
                    _ => "",
                };
                if reason.is_empty() {
                    write!(f, "{id} dry-run failed")
                } else {
                    write!(f, "{id} dry-run failed ({reason})")
                }
            }
            Step::NotFound => write!(f, "{id} not found"),
            Step::NamespaceNotSpecified => write!(
                f,
                "{id} namespace not specified: the server could not find the requested resource"
            ),
            Step::Encrypted => write!(
                f,
                "{id} is SOPS encrypted, configuring decryption is required for this secret to be reconciled"
            ),
            Step::MigrateApiVersion => write!(f, "{id} failed to migrate API version"),
            Step::CleanUp => write!(f, "{id} metadata.managedFields cleanup failed"),
            Step::Delete => write!(f, "{id} immutable field detected, failed to delete object"),
            Step::AwaitDeletion => write!(
                f,
                "{id} immutable field detected, failed to wait for object to be deleted"
            ),
            Step::AwaitTermination => {
                write!(
                    f,
                    "{id} is being deleted, failed to wait for object to be deleted"
                )
            }
            Step::Apply => write!(f, "{id} apply failed"),
        }
    }
}

impl std::error::Error for ObjectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause
            .as_ref()
            .map(|cause| cause as &dyn std::error::Error)
    }
}

/// An apply that stopped: every object that failed in its stage, or the stage that did not become
/// ready, and what was done before.
///
/// Prints one error a line with its causes, so it has no source of its own.
#[derive(Debug)]
pub struct ApplyError {
    /// The failed objects, in apply order, at most as many as the options allow.
    pub errors: Vec<ObjectError>,
    /// How many more failed.
    pub omitted: usize,
    /// What of a stage did not become ready, where that is what failed.
    pub not_ready: Option<WaitError>,
    /// What was done before the failure.
    pub applied: Applied,
}

impl ApplyError {
    /// Makes an error of what failed, of which at most `max_errors` are listed.
    pub fn new(mut errors: Vec<ObjectError>, max_errors: usize, applied: Applied) -> Self {
        let omitted = errors.len().saturating_sub(max_errors.max(1));
        errors.truncate(max_errors.max(1));
        Self {
            errors,
            omitted,
            not_ready: None,
            applied,
        }
    }

    pub(super) fn not_ready(error: WaitError, applied: Applied) -> Self {
        Self {
            errors: Vec::new(),
            omitted: 0,
            not_ready: Some(error),
            applied,
        }
    }

    /// Tells whether every failure is one that may well pass by itself.
    pub fn is_transient(&self) -> bool {
        self.not_ready.is_none() && self.errors.iter().all(ObjectError::is_transient)
    }

    /// Prints the errors and, below them, the changes that were made: what conditions and events
    /// show.
    pub fn report(&self) -> String {
        format!("{self}\n{}", self.applied.changes)
    }
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&chain_text(error))?;
        }
        if let Some(error) = &self.not_ready {
            write!(f, "{error}")?;
        }
        if self.omitted > 0 {
            write!(f, "\nand {} more objects failed", self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for ApplyError {}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use manifest::GroupVersionKind;

    use super::*;

    fn id(namespace: &str, kind: &str, name: &str) -> ObjectId {
        ObjectId {
            namespace: namespace.into(),
            name: name.into(),
            group: String::new(),
            kind: kind.into(),
        }
    }

    fn refused(code: u16, reason: &str, message: &str) -> RequestError {
        RequestError::Status(Box::new(Status {
            code,
            reason: reason.into(),
            message: message.into(),
            ..Default::default()
        }))
    }

    /// covers: KC-106
    #[test]
    fn texts_are_those_that_scripts_match() {
        let invalid = refused(422, "Invalid", "Secret \"one\" is invalid: data: Forbidden");
        let missing = refused(404, "NotFound", "namespaces \"b\" not found");
        let no_match = ResolveError::NoMatch(GroupVersionKind::new("example.com/v1", "Widget"));
        for (error, text) in [
            (
                ObjectError::new(&id("a", "Secret", "one"), Step::DryRun, invalid),
                "Secret/a/one dry-run failed (Invalid): Secret \"one\" is invalid: data: Forbidden",
            ),
            (
                ObjectError::new(&id("b", "ConfigMap", "cm"), Step::NotFound, missing),
                "ConfigMap/b/cm not found: namespaces \"b\" not found",
            ),
            (
                ObjectError::new(&id("", "Widget", "w"), Step::DryRun, no_match),
                "Widget/w dry-run failed: no matches for kind \"Widget\" in version \"example.com/v1\"",
            ),
            (
                ObjectError {
                    id: id("", "ConfigMap", "cm"),
                    step: Step::NamespaceNotSpecified,
                    cause: None,
                },
                "ConfigMap/cm namespace not specified: the server could not find the requested resource",
            ),
        ] {
            assert_eq!(chain_text(&error), text);
        }
    }

    #[test]
    fn all_errors_are_listed_up_to_a_limit() {
        let failed = |name: &str| {
            ObjectError::new(
                &id("a", "ConfigMap", name),
                Step::Apply,
                refused(403, "Forbidden", "no"),
            )
        };
        let error = ApplyError::new(
            vec![failed("x"), failed("y"), failed("z")],
            2,
            Applied::default(),
        );
        assert_eq!(
            error.report(),
            "ConfigMap/a/x apply failed: no\nConfigMap/a/y apply failed: no\nand 1 more objects failed\n"
        );
        assert!(!error.is_transient());
    }
}
