//! The ways in which sources fail, each with its condition.

use std::error::Error;

use runtime::{Change, Failure, conditions};

use crate::conditions::{FETCH_FAILED, STORAGE_OPERATION_FAILED};

const NO_GATE: &str = "to use spec.serviceAccountName for provider authentication please enable the \
                                  ObjectLevelWorkloadIdentity feature gate in the controller";

/// Credentials could not be read or were refused.
pub(crate) const AUTH_FAILED: &str = "AuthenticationFailed";

/// Returns a failure of the source step that is retried, with the condition FetchFailed.
pub(crate) fn fetch(reason: &str, message: impl Into<String>) -> Failure {
    let message = message.into();
    Failure::retry(reason, message.clone()).with(failed(FETCH_FAILED, reason, message))
}

/// Returns a failure that only a change of the object mends, with the condition FetchFailed.
pub(crate) fn stalled(reason: &str, message: impl Into<String>) -> Failure {
    let message = message.into();
    Failure::stall(reason, message.clone()).with(failed(FETCH_FAILED, reason, message))
}

/// Returns the failure of an object that asks for an identity of its own where the gate for that is closed. What an
/// earlier run said of the source is no longer so.
pub(crate) fn gate_closed() -> Failure {
    Failure::stall("FeatureGateDisabled", NO_GATE).with(Change::default().remove(FETCH_FAILED))
}

/// Returns a failure of the storage, with the condition StorageOperationFailed.
pub(crate) fn storage(reason: &str, message: impl Into<String>) -> Failure {
    let message = message.into();
    Failure::retry(reason, message.clone()).with(failed(STORAGE_OPERATION_FAILED, reason, message))
}

/// Returns the change that sets a condition of failure.
pub(crate) fn failed(condition: &str, reason: &str, message: String) -> Change {
    Change::default().condition(condition, "True", reason, message)
}

/// Says whether one of the conditions of failure was there before this run.
pub(crate) fn had_failed(conditions: &[api::meta::Condition], types: &[&str]) -> bool {
    types
        .iter()
        .any(|each| conditions::is_true(conditions, each))
}

/// Prints an error and its causes.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    runtime::failure::chain(error)
}
