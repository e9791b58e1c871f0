//! The ways in which this kind fails, each with its condition.

use std::error::Error;

use runtime::{Change, Failure};

use super::{FETCH_FAILED, SOURCE_VERIFIED, STORAGE_OPERATION_FAILED};

/// Git could not be reached or does not have what is asked for.
pub(super) const GIT_FAILED: &str = "GitOperationFailed";
/// Credentials could not be read.
pub(super) const AUTH_FAILED: &str = "AuthenticationFailed";

/// Returns a failure of the source step that is retried, with the condition FetchFailed.
pub(super) fn fetch(reason: &str, message: impl Into<String>) -> Failure {
    let message = message.into();
    Failure::retry(reason, message.clone()).with(failed(FETCH_FAILED, reason, message))
}

/// Returns a failure that only a change of the object mends, with the condition FetchFailed.
pub(super) fn stalled(reason: &str, message: impl Into<String>) -> Failure {
    let message = message.into();
    Failure::stall(reason, message.clone()).with(failed(FETCH_FAILED, reason, message))
}

/// Returns a failure of the storage, with the condition StorageOperationFailed.
pub(super) fn storage(reason: &str, message: impl Into<String>) -> Failure {
    let message = message.into();
    Failure::retry(reason, message.clone()).with(failed(STORAGE_OPERATION_FAILED, reason, message))
}

/// Returns a failure to trust the commit or its tag, with the condition SourceVerified.
pub(super) fn untrusted(reason: &str, message: impl Into<String>) -> Failure {
    let message = message.into();
    let change = Change::default()
        .condition(SOURCE_VERIFIED, "False", reason, message.clone())
        .remove(FETCH_FAILED);
    Failure::retry(reason, message).with(change)
}

/// Returns a failure to reach the commit.
pub(super) fn checkout(cause: &str) -> Failure {
    fetch(
        GIT_FAILED,
        format!("failed to checkout and determine revision: {cause}"),
    )
}

fn failed(condition: &str, reason: &str, message: String) -> Change {
    Change::default().condition(condition, "True", reason, message)
}

/// Prints an error and its causes.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    runtime::failure::chain(error)
}
