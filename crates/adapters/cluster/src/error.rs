//! Failed requests, told apart by what a caller does about them.

use std::{borrow::Cow, error::Error};

use kube::core::Status;

/// A request that the API server refused or never answered.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The API server answered with an error; prints its message.
    #[error("{}", message(.0))]
    Status(Box<Status>),
    /// There was no usable answer.
    #[error("request to the API server failed")]
    Transport(#[source] Box<kube::Error>),
    /// There was no answer in time.
    #[error("the API server did not answer within {}s", .0.as_secs())]
    Timeout(std::time::Duration),
    /// The request could not be made, for example for a name that cannot stand in a URL.
    #[error("{0}")]
    Invalid(String),
}

impl From<kube::Error> for RequestError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Status(status),
            error => Self::Transport(Box::new(error)),
        }
    }
}

impl RequestError {
    /// Returns the HTTP status, or 0 without an answer.
    pub fn code(&self) -> u16 {
        match self {
            Self::Status(status) => status.code,
            Self::Transport(_) | Self::Timeout(_) | Self::Invalid(_) => 0,
        }
    }

    /// Tells whether what was asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        self.code() == 404
    }

    /// Tells whether another write came between.
    pub fn is_conflict(&self) -> bool {
        self.code() == 409
    }

    /// Tells whether the identity lacks a right.
    pub fn is_forbidden(&self) -> bool {
        self.code() == 403
    }

    /// Tells whether the same request may well succeed a little later: no answer, overload, or a
    /// server that is starting or stopping.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Status(status) => {
                matches!(status.code, 429 | 502 | 503 | 504)
                    || (status.code == 500 && status.reason == "ServerTimeout")
            }
            Self::Transport(error) => !matches!(**error, kube::Error::SerdeError(_)),
            Self::Timeout(_) => true,
            Self::Invalid(_) => false,
        }
    }

    /// Tells whether the API server did not answer at all.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Transport(_) | Self::Timeout(_))
    }

    /// Returns the reason that the API server gave, for example `Invalid`; empty when it gave none.
    pub(crate) fn reason(&self) -> &str {
        let Self::Status(status) = self else {
            return "";
        };
        let causes = status.details.iter().flat_map(|details| &details.causes);
        if causes
            .into_iter()
            .any(|cause| cause.reason == "FieldManagerConflict")
        {
            return "FieldManagerConflict";
        }
        if status.reason == "Unknown" {
            ""
        } else {
            &status.reason
        }
    }
}

fn message(status: &Status) -> Cow<'_, str> {
    if status.message.is_empty() {
        "the server could not find the requested resource".into()
    } else {
        without_values(&status.message)
    }
}

/// Leaves out the values that the API server prints where a field is of another type than it should be: the object may
/// be a Secret, and the message goes into conditions and events.
fn without_values(message: &str) -> Cow<'_, str> {
    const VALUE: &str = "got &value.";
    if !message.contains(VALUE) {
        return message.into();
    }
    let lines = message.lines().map(|line| match line.split_once(VALUE) {
        Some((before, _)) => format!("{before}got a value of another type"),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n").into()
}

/// Prints an error and its sources, joined by `: `.
pub fn chain_text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Foreign errors often repeat their source's text.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, reason: &str, message: &str) -> RequestError {
        RequestError::Status(Box::new(Status {
            code,
            reason: reason.into(),
            message: message.into(),
            ..Default::default()
        }))
    }

    #[test]
    fn overload_is_transient_and_refusal_is_not() {
        for (code, reason, transient) in [
            (429, "TooManyRequests", true),
            (503, "ServiceUnavailable", true),
            (504, "Timeout", true),
            (500, "InternalError", false),
            (403, "Forbidden", false),
            (404, "NotFound", false),
            (409, "Conflict", false),
            (422, "Invalid", false),
        ] {
            assert_eq!(
                status(code, reason, "x").is_transient(),
                transient,
                "{code}"
            );
        }
    }

    #[test]
    fn values_that_the_server_prints_are_left_out() {
        let message = "failed to create typed patch object (a/s; /v1, Kind=Secret): .stringData.password: expected \
            string, got &value.valueUnstructured{Value:[]interface {}{\"hunter2\"}}\n.data.x: expected string, got \
            &value.valueUnstructured{Value:1}";
        assert_eq!(
            status(500, "", message).to_string(),
            "failed to create typed patch object (a/s; /v1, Kind=Secret): .stringData.password: expected string, got a \
             value of another type\n.data.x: expected string, got a value of another type"
        );
    }

    #[test]
    fn the_chain_prints_each_text_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] RequestError);
        assert_eq!(
            chain_text(&Outer(status(403, "Forbidden", "no right"))),
            "outer: no right"
        );
    }
}
