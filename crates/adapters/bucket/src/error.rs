//! Why a bucket was of no use.

use net_http::{Response, StatusCode};

const MAX_PROBLEM_BYTES: usize = 16 << 10;
/// How many objects of a bucket are looked at.
pub(crate) const MAX_OBJECTS: usize = 500_000;

/// Why a bucket was of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store answered, and not with what was asked for.
    #[error("{}", refused(code, message, *status))]
    Refused {
        /// The status.
        status: StatusCode,
        /// The store's word for it, such as `NoSuchKey`; may be empty.
        code: String,
        /// The store's sentence; may be empty.
        message: String,
    },
    /// There was no answer, or its end did not come.
    #[error(transparent)]
    Exchange(#[from] net_http::Error),
    /// No token was given out.
    #[error("failed to get a token")]
    Token(#[source] Box<Self>),
    /// The key of a service account is of no use.
    #[error(transparent)]
    ServiceAccount(#[from] cloud::service_account::ServiceAccountError),
    /// The answer is not what the protocol says.
    #[error("the listing of the bucket cannot be read")]
    Malformed,
    /// There are more objects than are looked at.
    #[error("the bucket has more than {MAX_OBJECTS} objects")]
    TooMany,
    /// The object is larger than allowed.
    #[error("object '{key}' is larger than {max_bytes} bytes")]
    TooLarge {
        /// The object.
        key: String,
        /// The limit.
        max_bytes: u64,
    },
}

fn refused(code: &str, message: &str, status: StatusCode) -> String {
    match (message, code) {
        ("", "") => format!("unexpected status code {status}"),
        ("", code) => code.to_owned(),
        (message, _) => message.to_owned(),
    }
}

impl Error {
    /// Returns whether the store has no such object or bucket.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Refused { status, code, .. } => {
                *status == StatusCode::NOT_FOUND
                    || matches!(code.as_str(), "NoSuchKey" | "NoSuchBucket")
            }
            _ => false,
        }
    }

    /// Reads a refusal; `read` finds the store's word and sentence in the body.
    pub(crate) async fn of(response: Response, read: fn(&str) -> (String, String)) -> Self {
        let status = response.status();
        let body = response.text_for_message(MAX_PROBLEM_BYTES).await;
        let (code, message) = read(&body);
        Self::Refused {
            status,
            code,
            message,
        }
    }
}
