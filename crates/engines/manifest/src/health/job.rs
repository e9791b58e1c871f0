//! Jobs: ready when they have finished, unlike in plain kstatus, where a running job is ready.

use serde_json::Value;

use super::{Health, HealthError, conditions, int_or};
use crate::object;

pub(super) fn job(value: &Value) -> Result<Health, HealthError> {
    if object::at(value, &["spec", "suspend"]).and_then(Value::as_bool) == Some(true) {
        return Ok(Health::current("Job is suspended"));
    }
    let parallelism = int_or(value, &["spec", "parallelism"], 1)?;
    let completions = int_or(value, &["spec", "completions"], parallelism)?;
    let succeeded = int_or(value, &["status", "succeeded"], 0)?;
    let active = int_or(value, &["status", "active"], 0)?;
    let failed = int_or(value, &["status", "failed"], 0)?;
    for condition in conditions(value)? {
        match (condition.kind, condition.status) {
            ("Complete", "True") => {
                return Ok(Health::current(format!(
                    "Job Completed. succeeded: {succeeded}/{completions}"
                )));
            }
            ("Failed", "True") => {
                let message = format!("Job Failed. failed: {failed}/{completions}");
                return Ok(Health::failed("JobFailed", message));
            }
            _ => {}
        }
    }
    if object::str_at(value, &["status", "startTime"])
        .unwrap_or_default()
        .is_empty()
    {
        let message = format!("Job not started. active: 0/{completions}");
        return Ok(Health::in_progress("JobNotStarted", message));
    }
    let message =
        format!("Job in progress. success:{succeeded}, active: {active}, failed: {failed}");
    Ok(Health::in_progress("JobInProgress", message))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Status, tests::check};

    /// covers: KC-115
    #[test]
    fn a_job_is_ready_when_it_has_finished() {
        let job = |spec: &Value, status: &Value| json!({"apiVersion": "batch/v1", "kind": "Job", "spec": spec, "status": status});
        let done = |kind: &str| json!({"succeeded": 2, "failed": 1, "conditions": [{"type": kind, "status": "True"}]});
        check(
            &job(&json!({"suspend": true}), &json!({})),
            (Status::Current, "", "Job is suspended"),
        );
        check(
            &job(&json!({"completions": 2}), &done("Complete")),
            (Status::Current, "", "Job Completed. succeeded: 2/2"),
        );
        check(
            &job(&json!({"parallelism": 3}), &done("Failed")),
            (Status::Failed, "JobFailed", "Job Failed. failed: 1/3"),
        );
        check(
            &job(&json!({}), &json!({})),
            (
                Status::InProgress,
                "JobNotStarted",
                "Job not started. active: 0/1",
            ),
        );
        check(
            &job(
                &json!({}),
                &json!({"startTime": "2026-01-01T00:00:00Z", "active": 1}),
            ),
            (
                Status::InProgress,
                "JobInProgress",
                "Job in progress. success:0, active: 1, failed: 0",
            ),
        );
    }
}
