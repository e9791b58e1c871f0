//! Waits for objects, hooks and deletions, without a place among the runs.

mod legacy;

use std::{sync::Arc, time::Duration};

use cluster::{HealthRule, WaitOptions};
use manifest::{
    Inventory,
    health::{Health, Status},
    object,
};
use runtime::Parked;
use serde_json::Value;

use super::{
    ActionError, Session,
    objects::{self, Target},
};

/// A wait ends by itself; this much later it is cut off.
const SLACK: Duration = Duration::from_secs(5);

/// Which of Helm's readers judge jobs and pods.
struct Rules {
    jobs: bool,
    hooks: bool,
    /// Everything else is judged as by Helm 3.
    legacy: bool,
    own: Option<Arc<dyn HealthRule>>,
}

impl HealthRule for Rules {
    fn evaluate(&self, value: &Value) -> Option<Result<Health, String>> {
        if let Some(verdict) = self.own.as_ref().and_then(|own| own.evaluate(value)) {
            return Some(verdict);
        }
        if self.legacy {
            return Some(Ok(legacy::judge(value, self.jobs)));
        }
        match (object::group(value), object::kind(value)) {
            ("batch", "Job") if self.jobs || self.hooks => Some(Ok(job(value))),
            ("", "Pod") if self.hooks => Some(Ok(pod(value))),
            ("apps", "Deployment")
                if object::at(value, &["spec", "paused"]) == Some(&Value::Bool(true)) =>
            {
                Some(Ok(health(Status::Current, "Deployment is paused")))
            }
            _ if self.hooks => Some(Ok(health(Status::Current, "Resource is current"))),
            _ => None,
        }
    }
}

fn health(status: Status, message: impl Into<String>) -> Health {
    Health {
        status,
        reason: String::new(),
        message: message.into(),
    }
}

/// Judges a job by whether it is done.
fn job(value: &Value) -> Health {
    let is = |type_: &str| condition(value, type_);
    let count = |field: &str| object::int_at(value, &["status", field]).unwrap_or(0);
    if object::at(value, &["spec", "suspend"]) == Some(&Value::Bool(true)) {
        return health(Status::Current, "Job is suspended");
    }
    if let Some(message) = is("Failed") {
        let wanted = object::int_at(value, &["spec", "completions"]).unwrap_or(1);
        let words = format!("Job Failed. failed: {}/{wanted} {message}", count("failed"));
        return health(Status::Failed, words.trim_end());
    }
    if is("Complete").is_some() {
        return health(Status::Current, "Job Completed");
    }
    let (active, done, failed) = (count("active"), count("succeeded"), count("failed"));
    if object::at(value, &["status", "startTime"]).is_none() {
        return health(Status::InProgress, "Job not started");
    }
    health(
        Status::InProgress,
        format!("Job in progress. success:{done}, active: {active}, failed: {failed}"),
    )
}

fn condition(value: &Value, type_: &str) -> Option<String> {
    let conditions = object::at(value, &["status", "conditions"])?.as_array()?;
    let found = conditions
        .iter()
        .find(|c| c["type"] == type_ && c["status"] == "True")?;
    Some(found["message"].as_str().unwrap_or_default().to_owned())
}

fn pod(value: &Value) -> Health {
    match object::str_at(value, &["status", "phase"]).unwrap_or_default() {
        "Succeeded" => health(Status::Current, "Pod Succeeded"),
        "Failed" => {
            let message = object::str_at(value, &["status", "message"]).unwrap_or_default();
            health(Status::Failed, format!("Pod Failed {message}").trim_end())
        }
        phase => health(Status::InProgress, format!("Pod {phase}").trim_end()),
    }
}

impl Session<'_> {
    /// Returns what judges objects, or hooks: these are waited for in one way only.
    fn rules(&self, jobs: bool, hooks: bool) -> Arc<dyn HealthRule> {
        let own = self.rules.clone();
        let legacy = self.legacy && !hooks;
        Arc::new(Rules {
            jobs,
            hooks,
            legacy,
            own,
        })
    }

    /// Waits until objects are ready; with `jobs`, until jobs are done.
    pub(crate) async fn await_ready(
        &self,
        targets: Vec<Target>,
        jobs: bool,
    ) -> Result<(), ActionError> {
        let expiring = targets.iter().filter(|t| {
            t.id.kind == "Job"
                && object::at(&t.object, &["spec", "ttlSecondsAfterFinished"]).is_some()
        });
        let options = WaitOptions {
            rules: Some(self.rules(jobs, false)),
            expiring_jobs: expiring.map(|t| t.id.clone()).collect(),
            selector: Some(self.selector.clone()),
            ..WaitOptions::new(self.left())
        };
        let inventory = objects::inventory(&targets);
        drop(targets);
        self.park(&inventory, &options).await
    }

    /// Waits until hooks are done; anything but jobs and pods is at once.
    pub(crate) async fn await_hooks(&self, targets: &[Target]) -> Result<(), ActionError> {
        let runs: Vec<_> = targets.to_vec();
        let own = |t: &Target| {
            let by_rule = self
                .rules
                .as_ref()
                .is_some_and(|r| r.evaluate(&t.object).is_some());
            by_rule
                || matches!(
                    (t.id.group.as_str(), t.id.kind.as_str()),
                    ("batch", "Job") | ("", "Pod")
                )
        };
        let runs: Vec<_> = runs.into_iter().filter(own).collect();
        if runs.is_empty() {
            return Ok(());
        }
        let options = WaitOptions {
            rules: Some(self.rules(true, true)),
            fail_fast: false,
            ..WaitOptions::new(self.left())
        };
        let inventory = objects::inventory(&runs);
        drop(runs);
        self.park(&inventory, &options).await
    }

    /// Waits for objects; of them only the identities are held, for a wait may be long and there may be many.
    async fn park(&self, inventory: &Inventory, options: &WaitOptions) -> Result<(), ActionError> {
        if inventory.entries().is_empty() {
            return Ok(());
        }
        let waiting = self.cluster.wait(inventory, options);
        let parked = self.progress.park(options.timeout + SLACK, waiting);
        match self.progress.stage("health", parked).await {
            Parked::Done(Ok(())) => Ok(()),
            Parked::Done(Err(error)) => Err(ActionError::Failed(error.to_string())),
            Parked::Expired => Err(ActionError::Failed("context deadline exceeded".into())),
            Parked::Superseded(by) => Err(ActionError::Superseded(by)),
        }
    }

    /// Waits until objects are gone.
    pub(crate) async fn await_gone(&self, targets: &[Target]) -> Result<(), ActionError> {
        if targets.is_empty() {
            return Ok(());
        }
        let inventory = objects::inventory(targets);
        let options = WaitOptions::new(self.left());
        let gone = self.cluster.wait_for_termination(&inventory, &options);
        match self.progress.park(options.timeout + SLACK, gone).await {
            Parked::Done(Ok(())) => Ok(()),
            Parked::Done(Err(error)) => {
                let left: Vec<_> = error.unready().iter().map(|u| u.id.to_string()).collect();
                let words = "context deadline exceeded";
                Err(ActionError::Failed(format!(
                    "{} termination timeout: {words}",
                    left.join(", ")
                )))
            }
            Parked::Expired => Err(ActionError::Failed("context deadline exceeded".into())),
            Parked::Superseded(by) => Err(ActionError::Superseded(by)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// covers: HE-131
    #[test]
    fn jobs_are_judged_by_their_conditions() {
        let object = |status: Value| json!({ "apiVersion": "batch/v1", "kind": "Job", "spec": {}, "status": status });
        let rules = Rules {
            jobs: true,
            hooks: false,
            legacy: false,
            own: None,
        };
        let status = |value: &Value| rules.evaluate(value).unwrap().unwrap().status;
        assert_eq!(status(&object(json!({}))), Status::InProgress);
        assert_eq!(
            status(&object(json!({ "startTime": "x", "active": 1 }))),
            Status::InProgress
        );
        let done = json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
        assert_eq!(status(&object(done)), Status::Current);
        let failed =
            json!({ "conditions": [{ "type": "Failed", "status": "True", "message": "m" }] });
        assert_eq!(status(&object(failed)), Status::Failed);
        // More failures than allowed do not count before the cluster says so.
        let mut failing = object(json!({ "startTime": "x", "failed": 7 }));
        failing["spec"] = json!({ "backoffLimit": 6 });
        assert_eq!(status(&failing), Status::InProgress);
    }

    #[test]
    fn only_jobs_and_pods_hold_hooks_up() {
        let rules = Rules {
            jobs: true,
            hooks: true,
            legacy: false,
            own: None,
        };
        let map = json!({ "apiVersion": "v1", "kind": "ConfigMap" });
        assert_eq!(
            rules.evaluate(&map).unwrap().unwrap().status,
            Status::Current
        );
        let pod = json!({ "apiVersion": "v1", "kind": "Pod", "status": { "phase": "Failed" } });
        assert_eq!(
            rules.evaluate(&pod).unwrap().unwrap().status,
            Status::Failed
        );
    }
}
