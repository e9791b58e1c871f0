//! Why a repository could not be read, in the words that users of upstream search for.

use std::fmt;
use std::io;

use http::StatusCode;

use crate::ssh::SshError;

/// How much of an error answer is shown.
const SHOWN: usize = 512;

/// What a run was doing when its time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for others that talk to the same host, or fetch the same repository.
    Waiting,
    /// Waiting for the list of references.
    Listing,
    /// Waiting for objects.
    Fetching,
    /// Waiting for the server to take a push.
    Pushing,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting for other fetches",
            Self::Listing => "listing references",
            Self::Fetching => "fetching objects",
            Self::Pushing => "pushing",
        })
    }
}

/// Why a Git operation failed. No text holds credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Certificates, keys or proxy cannot be used.
    #[error(transparent)]
    Config(net_http::ConfigError),
    /// No answer, or it broke off.
    #[error(transparent)]
    Http(net_http::Error),
    /// No SSH session could be had, or it broke off.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// The URL is none of a repository.
    #[error("'{0}' is not the URL of a repository")]
    Url(String),
    /// A submodule could not be fetched.
    #[error("submodule '{path}'")]
    Module {
        /// Its path in the repository.
        path: String,
        /// Why.
        #[source]
        source: Box<Self>,
    },
    /// A repository has more submodules than are followed.
    #[error("more than {0} submodules")]
    TooManyModules(usize),
    /// A file of Git's own cannot be read.
    #[error("cannot read {0}")]
    Unreadable(&'static str),
    /// The server has no such repository, or does not show it.
    #[error("repository not found: {0}")]
    NotFound(String),
    /// The server wants credentials, or other ones.
    #[error("authentication required: {0}")]
    AuthenticationRequired(String),
    /// The credentials do not suffice.
    #[error("authorization failed: {0}")]
    Forbidden(String),
    /// The server answered with another status.
    #[error("unexpected status {status}: {body}")]
    Status {
        /// The status.
        status: StatusCode,
        /// The beginning of the body.
        body: String,
    },
    /// The answer is not Git's.
    #[error("server does not speak Git's smart protocol: {0}")]
    NotGit(&'static str),
    /// The server refused in Git's own way.
    #[error("remote error: {0}")]
    Remote(String),
    /// A branch is not where a commit to push begins: somebody else was faster.
    #[error("non-fast-forward update: {reference} is at {at}")]
    Moved {
        /// Its full name.
        reference: String,
        /// Where it is.
        at: String,
    },
    /// The server did not set a reference.
    #[error("command error on {reference}: {reason}")]
    Rejected {
        /// Its full name.
        reference: String,
        /// What the server says.
        reason: String,
    },
    /// What else is to be pushed cannot be read, or its source is not there.
    #[error("refspec '{0}' is not <source>:<destination> with a source that exists")]
    Refspec(String),
    /// The repository uses an object format that is not supported.
    #[error("object format '{0}' is not supported")]
    ObjectFormat(String),
    /// The server cannot give a single commit.
    #[error("server does not support shallow fetches")]
    NoShallow,
    /// More was sent than is allowed.
    #[error("answer is larger than {0} bytes")]
    TooLarge(u64),
    /// The commit is not in what was fetched.
    #[error("unable to resolve commit object for '{0}': object not found")]
    CommitNotFound(String),
    /// The time was over.
    #[error("timed out while {0}")]
    Deadline(Phase),
    /// The objects cannot be stored or read.
    #[error("cannot store objects")]
    Objects(#[source] git2::Error),
    /// The objects' directory cannot be used.
    #[error("cannot store objects")]
    Storage(#[source] io::Error),
}

impl Error {
    /// Turns an answer that is not 200 into an error.
    pub(crate) async fn from_answer(answer: net_http::Response) -> Self {
        let status = answer.status();
        let body = answer.text_for_message(SHOWN).await;
        match status {
            StatusCode::NOT_FOUND => Self::NotFound(body),
            StatusCode::UNAUTHORIZED => Self::AuthenticationRequired(body),
            StatusCode::FORBIDDEN => Self::Forbidden(body),
            status => Self::Status { status, body },
        }
    }
}
