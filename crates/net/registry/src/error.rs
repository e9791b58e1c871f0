//! How a registry refuses, in its own words.

use std::fmt::{self, Write};
use std::time::Duration;

use net_http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

/// How much of an answer that is no list of problems is shown.
const SHOWN: usize = 1024;

/// Why a registry was of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry answered, and not with what was asked for.
    #[error("{method} {url}: {answer}")]
    Refused {
        /// The method of the request.
        method: String,
        /// The address, without its query.
        url: String,
        /// What was answered.
        answer: Answer,
    },
    /// There was no answer, or its end did not come.
    #[error("{method} \"{url}\"")]
    Exchange {
        /// The method of the request.
        method: String,
        /// The address, without its query.
        url: String,
        /// Why.
        #[source]
        source: net_http::Error,
    },
    /// The certificates, key or proxy cannot be used.
    #[error(transparent)]
    Config(#[from] net_http::ConfigError),
    /// The answer is not what the protocol says.
    #[error("{what} of {url} cannot be read: {why}")]
    Malformed {
        /// What was read.
        what: &'static str,
        /// The address, without its query.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// The content is not what its digest says.
    #[error("content of {url} has digest {actual}, not {expected}")]
    Digest {
        /// The address.
        url: String,
        /// What it should be.
        expected: String,
        /// What it is.
        actual: String,
    },
    /// There is more than is accepted.
    #[error("{what} of {url}: more than {max}")]
    TooMuch {
        /// What is too much.
        what: &'static str,
        /// The address.
        url: String,
        /// The limit.
        max: u64,
    },
    /// The registry asked before to be left alone, and was.
    #[error("{registry} asked to be left alone for another {} s", after.as_secs().max(1))]
    Quiet {
        /// The registry.
        registry: String,
        /// For how much longer.
        after: Duration,
    },
    /// The pages of a list lead back to one that was read already.
    #[error("the pages of {url} go round in a circle")]
    Circle {
        /// The address, without its query.
        url: String,
    },
    /// An index lists no image for Linux on amd64.
    #[error("no child with platform linux/amd64 in index {0}")]
    NoPlatform(String),
}

impl Error {
    /// Returns the status of the answer, where there was one.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { answer, .. } => Some(answer.status),
            _ => None,
        }
    }

    /// Returns how long the registry wants to be left alone; none where it does not say so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { answer, .. } => answer.retry_after,
            Self::Quiet { after, .. } => Some(*after),
            _ => None,
        }
    }

    /// Returns whether the registry knows no such repository, manifest or blob.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }

    /// Returns whether the registry wants other credentials.
    pub fn is_unauthorized(&self) -> bool {
        matches!(
            self.status(),
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        )
    }
}

/// An answer that is no success.
///
/// Prints as users know it: `MANIFEST_UNKNOWN: manifest unknown`, or `unexpected status code 404 Not Found: <body>`.
/// Source: google/go-containerregistry v0.20 `remote/transport/error.go`.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The problems that the registry lists.
    pub problems: Vec<Problem>,
    /// The body, where it lists none.
    pub body: String,
    /// Whether the request was a HEAD, whose answer has no body.
    pub head: bool,
    /// How long the registry wants to be left alone.
    pub retry_after: Option<Duration>,
}

/// One problem of an answer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Problem {
    /// What kind of problem, such as `MANIFEST_UNKNOWN`.
    #[serde(default)]
    pub code: String,
    /// The registry's words.
    #[serde(default)]
    pub message: String,
    /// Whatever else the registry says.
    #[serde(default)]
    pub detail: Value,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    errors: Vec<Problem>,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, body: &str, head: bool) -> Self {
        let problems = serde_json::from_str::<Listed>(body).map_or(Vec::new(), |all| all.errors);
        let body = if problems.is_empty() {
            body.chars().take(SHOWN).collect()
        } else {
            String::new()
        };
        Self {
            status,
            problems,
            body,
            head,
            retry_after: None,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [] => {
                write!(f, "unexpected status code {}", self.status.as_u16())?;
                if let Some(words) = self.status.canonical_reason() {
                    write!(f, " {words}")?;
                }
                if !self.body.is_empty() {
                    write!(f, ": {}", self.body)
                } else if self.head {
                    f.write_str(" (HEAD responses have no body, use GET for details)")
                } else {
                    Ok(())
                }
            }
            [one] => one.fmt(f),
            many => {
                f.write_str("multiple errors returned: ")?;
                for (at, each) in many.iter().enumerate() {
                    if at > 0 {
                        f.write_str("; ")?;
                    }
                    each.fmt(f)?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        if self.detail.is_null() {
            return Ok(());
        }
        let mut text = String::new();
        go_value(&self.detail, &mut text);
        write!(f, "; {text}")
    }
}

/// Prints JSON as Go prints the value it becomes.
fn go_value(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("<nil>"),
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                go_value(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push_str("map[");
            for (at, (name, item)) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                // Writing to a String cannot fail.
                let _ = write!(out, "{name}:");
                go_value(item, out);
            }
            out.push(']');
        }
        Value::Bool(_) | Value::Number(_) => {
            // Writing to a String cannot fail.
            let _ = write!(out, "{value}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_print_as_users_know_them() {
        let shown = |status: u16, body: &str, head| {
            Answer::new(StatusCode::from_u16(status).unwrap(), body, head).to_string()
        };
        let one = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x","n":[1,"a"]}}]}"#;
        assert_eq!(
            shown(404, one, false),
            "MANIFEST_UNKNOWN: manifest unknown; map[Tag:x n:[1 a]]"
        );
        let two = r#"{"errors":[{"code":"A","message":"a"},{"code":"B","message":"b"}]}"#;
        assert_eq!(
            shown(400, two, false),
            "multiple errors returned: A: a; B: b"
        );
        assert_eq!(
            shown(404, "", true),
            "unexpected status code 404 Not Found (HEAD responses have no body, use GET for details)"
        );
        assert_eq!(
            shown(502, "<html>", false),
            "unexpected status code 502 Bad Gateway: <html>"
        );
        assert_eq!(
            shown(404, "", false),
            "unexpected status code 404 Not Found"
        );
    }
}
