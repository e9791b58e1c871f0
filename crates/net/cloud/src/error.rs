//! Why an exchange yields nothing.

/// Why an exchange yields nothing. Never shows what was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There was no answer.
    #[error("{what}")]
    Request {
        /// What was tried.
        what: &'static str,
        /// Why.
        #[source]
        source: net_http::Error,
    },
    /// The answer is a refusal.
    #[error("{what}: status {status}{}{}", if .message.is_empty() { "" } else { ": " }, .message)]
    Refused {
        /// What was tried.
        what: &'static str,
        /// The HTTP status.
        status: u16,
        /// What the service says, cut, without what was sent.
        message: String,
    },
    /// The answer is none of the documented shape.
    #[error("{what}: {why}")]
    Shape {
        /// What was tried.
        what: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// What was handed in cannot be used.
    #[error("{0}")]
    Invalid(String),
}
