//! How a run fails, and what each way of failing means.

use std::{collections::BTreeMap, time::Duration};

use crate::{Change, Note, Severity};

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Tried again, after the kind's retry delay.
    Retry,
    /// Something else has to happen first; looked at again after this delay, or when it happens.
    Wait(Duration),
    /// Only a change of the object itself can help: Stalled, no further try.
    Stall,
    /// A newer generation, request or revision made this run pointless; the next starts at once.
    Superseded,
}

/// A failed run: what a user sees of it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What follows.
    pub class: Class,
    /// The reason in Ready and in the event.
    pub reason: String,
    /// The whole chain of causes, printed once, without credentials.
    pub message: String,
    /// What to change in the status besides what the class implies.
    pub change: Change,
    /// Events; where empty, `Retry` and `Stall` emit the message as an error.
    pub notes: Vec<Note>,
    /// What the default event carries as metadata.
    pub metadata: BTreeMap<String, String>,
    /// Whether even the default error event is left out.
    pub quiet: bool,
    /// Whether the generation counts as observed; absent: only for `Stall`.
    pub observed: Option<bool>,
    /// Whether `change` says all there is to say: the skeleton sets no condition of its own.
    pub verbatim: bool,
    /// The shortest time until it is tried again, such as a server asks for.
    pub no_sooner: Option<Duration>,
}

impl Failure {
    /// Creates a failure.
    #[must_use]
    pub fn new(class: Class, reason: &str, message: impl Into<String>) -> Self {
        Self {
            class,
            reason: reason.to_owned(),
            message: message.into(),
            change: Change::default(),
            notes: Vec::new(),
            metadata: BTreeMap::new(),
            quiet: false,
            observed: None,
            verbatim: false,
            no_sooner: None,
        }
    }

    /// Creates a failure that is retried.
    #[must_use]
    pub fn retry(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Class::Retry, reason, message)
    }

    /// Creates a failure that waits for something else.
    #[must_use]
    pub fn wait(after: Duration, reason: &str, message: impl Into<String>) -> Self {
        Self::new(Class::Wait(after), reason, message)
    }

    /// Creates a failure that only a change of the object can mend.
    #[must_use]
    pub fn stall(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Class::Stall, reason, message)
    }

    /// Adds a change of the status.
    #[must_use]
    pub fn with(mut self, change: Change) -> Self {
        self.change = self.change.and(change);
        self
    }

    /// Replaces the default event.
    #[must_use]
    pub fn note(mut self, note: Note) -> Self {
        self.notes.push(note);
        self
    }

    /// Adds metadata to the default event.
    #[must_use]
    pub fn metadata(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }

    /// Emits no event.
    #[must_use]
    pub fn quietly(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Lets `change` alone decide on the conditions.
    #[must_use]
    pub fn verbatim(mut self) -> Self {
        self.verbatim = true;
        self
    }

    /// Says how long it is not tried again, whatever the retry delay is.
    #[must_use]
    pub fn no_sooner(mut self, than: Duration) -> Self {
        self.no_sooner = Some(than);
        self
    }

    /// Says whether the generation counts as observed.
    #[must_use]
    pub fn observed(mut self, observed: bool) -> Self {
        self.observed = Some(observed);
        self
    }

    /// Returns the events of this failure.
    #[must_use]
    pub fn events(&self) -> Vec<Note> {
        if self.quiet {
            return Vec::new();
        }
        let by_default = matches!(self.class, Class::Retry | Class::Stall);
        if self.notes.is_empty() && by_default {
            let mut note = Note::new(Severity::Error, &self.reason, self.message.clone());
            note.metadata.clone_from(&self.metadata);
            return vec![note];
        }
        self.notes.clone()
    }
}

/// Prints an error and its causes once each, joined by `: `, leaving out a cause whose text the
/// one before already ends with.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = words(error);
    let mut cause = beneath(error);
    while let Some(inner) = cause {
        let words = words(inner);
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = beneath(inner);
    }
    text
}

/// What lies beneath an error; beneath an answer of the API server lies only the same answer.
fn beneath<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> Option<&'e (dyn std::error::Error + 'static)> {
    match of_server(error) {
        Some(kube::Error::Api(_)) => None,
        _ => error.source(),
    }
}

/// A cause that is boxed is found as its box.
fn of_server<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e kube::Error> {
    let boxed = || error.downcast_ref::<Box<kube::Error>>();
    error
        .downcast_ref()
        .or_else(|| boxed().map(|inner| &**inner))
}

/// An error's own words; of an answer of the API server, its message alone.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    match of_server(error) {
        Some(kube::Error::Api(status)) if !status.message.is_empty() => status.message.clone(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the box")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("no key")]
    struct Inner;

    #[test]
    fn answer_of_the_api_server_is_its_message() {
        let status = kube::core::Status {
            message: "secrets \"x\" not found".into(),
            reason: "NotFound".into(),
            code: 404,
            ..Default::default()
        };
        let error = kube::Error::Api(Box::new(status));
        assert_eq!(chain(&error), "secrets \"x\" not found");
        let boxed = crate::secrets::SecretError::Secret {
            name: "ns/x".into(),
            source: Box::new(error),
        };
        assert_eq!(
            chain(&boxed),
            "failed to get secret 'ns/x': secrets \"x\" not found"
        );
    }

    #[test]
    fn chain_prints_each_cause_once() {
        assert_eq!(chain(&Outer(Inner)), "cannot open the box: no key");
    }

    #[test]
    fn retry_and_stall_emit_their_message_and_wait_does_not() {
        assert_eq!(Failure::retry("A", "b").events().len(), 1);
        assert_eq!(Failure::stall("A", "b").events().len(), 1);
        assert!(Failure::wait(Duration::ZERO, "A", "b").events().is_empty());
        assert!(Failure::retry("A", "b").quietly().events().is_empty());
    }
}
