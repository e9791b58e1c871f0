//! Why a notifier could not be made, or an event not be sent.

use std::time::Duration;

/// Why a notifier could not be made of a Provider and its Secrets.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct BuildError {
    message: String,
    transient: bool,
}

impl BuildError {
    /// Something that stays wrong until the Provider or a Secret changes.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            transient: false,
        }
    }

    /// A type that there is no notifier for.
    pub(crate) fn unsupported(kind: &str) -> Self {
        Self::new(format!("provider {kind} not supported"))
    }

    /// Something that may be over by itself.
    pub(crate) fn transient(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            transient: true,
        }
    }

    /// Whether it may be over by itself.
    pub(crate) fn is_transient(&self) -> bool {
        self.transient
    }

    /// Takes credentials out of the text.
    #[must_use]
    pub(crate) fn redacted(self, redactor: &net_http::Redactor) -> Self {
        Self {
            message: redactor.redact(&self.message),
            ..self
        }
    }

    /// Says before what went wrong what was tried.
    #[must_use]
    pub(crate) fn within(self, what: &str) -> Self {
        Self {
            message: format!("{what}: {}", self.message),
            ..self
        }
    }
}

/// Why an event was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SendError {
    /// The same request would fail again.
    #[error("{0}")]
    Rejected(String),
    /// The service may take it later.
    #[error("{message}")]
    Failed {
        /// What went wrong.
        message: String,
        /// How long the service asks to be left alone.
        after: Option<Duration>,
    },
}

impl SendError {
    pub(crate) fn rejected(message: impl Into<String>) -> Self {
        Self::Rejected(message.into())
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            after: None,
        }
    }

    /// Says before what went wrong what was tried.
    #[must_use]
    pub(crate) fn within(self, what: &str) -> Self {
        match self {
            Self::Rejected(message) => Self::Rejected(format!("{what}: {message}")),
            Self::Failed { message, after } => Self::Failed {
                message: format!("{what}: {message}"),
                after,
            },
        }
    }
}
