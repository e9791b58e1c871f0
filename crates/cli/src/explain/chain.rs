//! The way of a change, step by step, read from statuses alone.

use kube::api::DynamicObject;
use serde::Serialize;
use serde_json::Value;

use super::{or_dash, referred};
use crate::cluster::name::ObjectName;
use crate::cluster::standing::{self, State, condition, is_suspended};
use crate::cluster::{kind, text};

/// Whether a step lets the change through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stop {
    Done,
    Blocked,
    Waiting,
    /// Nothing is known of it: an earlier step stops the change.
    Unknown,
}

/// A step.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) stop: Stop,
    /// RFC 3339.
    pub(super) time: Option<String>,
    pub(super) text: String,
}

/// An object that the explained one needs; `None`: it is not there.
pub(super) struct Neighbour {
    pub(super) name: ObjectName,
    pub(super) object: Option<DynamicObject>,
}

/// Returns what an object takes its content from.
pub(crate) fn source_of(name: &ObjectName, object: &DynamicObject) -> Option<ObjectName> {
    let spec = object.data.get("spec")?;
    let here = name.namespace.as_str();
    match name.kind.kind {
        "Kustomization" | "HelmChart" | "ImageUpdateAutomation" => {
            referred(&spec["sourceRef"], here)
        }
        "HelmRelease" if spec["chartRef"].is_object() => referred(&spec["chartRef"], here),
        "HelmRelease" => {
            let (namespace, chart) = text(object, "/status/helmChart")?.split_once('/')?;
            Some(ObjectName::new(kind("HelmChart")?, namespace, chart))
        }
        "ImagePolicy" => {
            let reference = &spec["imageRepositoryRef"];
            let namespace = reference["namespace"].as_str().unwrap_or(here);
            Some(ObjectName::new(
                kind("ImageRepository")?,
                namespace,
                reference["name"].as_str()?,
            ))
        }
        _ => None,
    }
}

/// Returns what an object waits for; objects of kinds that are not ours are left to its own condition.
pub(super) fn dependencies_of(name: &ObjectName, object: &DynamicObject) -> Vec<ObjectName> {
    let listed = object
        .data
        .pointer("/spec/dependsOn")
        .and_then(Value::as_array);
    let of = |entry: &Value| {
        let of_kind = match entry["kind"].as_str().filter(|kind| !kind.is_empty()) {
            Some(other) => kind(other)?,
            None => name.kind,
        };
        let namespace = entry["namespace"].as_str().unwrap_or(&name.namespace);
        Some(ObjectName::new(of_kind, namespace, entry["name"].as_str()?))
    };
    listed.into_iter().flatten().filter_map(of).collect()
}

/// Returns the steps from the first source to health.
pub(super) fn steps(
    object: &DynamicObject,
    sources: &[Neighbour],
    dependencies: &[Neighbour],
) -> Vec<Step> {
    let mut steps: Vec<Step> = sources.iter().map(source).collect();
    steps.push(switched_on(object));
    if let Some(step) = waited_for(dependencies) {
        steps.push(step);
    }
    let offered = sources
        .last()
        .and_then(|source| source.object.as_ref())
        .and_then(|source| text(source, "/status/artifact/revision"));
    steps.extend(own(object, offered));
    // Behind the first stop everything is what it was before the change.
    if let Some(first) = steps.iter().position(|step| step.stop == Stop::Blocked) {
        for step in &mut steps[first + 1..] {
            step.stop = Stop::Unknown;
            step.text = String::new();
            step.time = None;
        }
    }
    steps
}

fn source(source: &Neighbour) -> Step {
    let (stop, time, text) = match &source.object {
        None => (Stop::Blocked, None, format!("there is no {}", source.name)),
        Some(object) if is_suspended(object) => {
            let revision = or_dash(object, "/status/artifact/revision");
            let text = format!("{} is suspended and stays at {revision}", source.name);
            (Stop::Blocked, None, text)
        }
        Some(object) => {
            let standing = standing::of(object);
            let fetched = text(object, "/status/artifact/lastUpdateTime").map(str::to_owned);
            let since = fetched.or(standing.since);
            let what = text(object, "/status/artifact/revision").unwrap_or(&standing.message);
            match standing.state {
                State::Failed => (
                    Stop::Blocked,
                    since,
                    format!("{}: {}", source.name, standing.message),
                ),
                State::Progressing => (
                    Stop::Waiting,
                    since,
                    format!("{}: {}", source.name, standing.message),
                ),
                _ => (Stop::Done, since, format!("{} has {what}", source.name)),
            }
        }
    };
    Step {
        name: source.name.kind.kind.to_owned(),
        stop,
        time,
        text,
    }
}

/// Whether the controller acts on the object at all.
fn switched_on(object: &DynamicObject) -> Step {
    let step = |stop, text: String| Step {
        name: "controller".to_owned(),
        stop,
        time: None,
        text,
    };
    if is_suspended(object) {
        let annotations = object.metadata.annotations.as_ref();
        let why = annotations.and_then(|all| all.get(api::extension::SUSPEND_REASON));
        let why = why.map_or(String::new(), |why| format!(": {why}"));
        return step(
            Stop::Blocked,
            format!("suspended{why}; `lockgate resume` lets it go on"),
        );
    }
    if object.metadata.deletion_timestamp.is_some() {
        return step(Stop::Blocked, "it is being deleted".to_owned());
    }
    let conditions = object
        .data
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    if conditions.is_none_or(Vec::is_empty) && standing::of(object).state != State::Static {
        return step(
            Stop::Waiting,
            "no controller has seen it yet: is it installed and running?".to_owned(),
        );
    }
    if standing::is_unseen(object) {
        return step(
            Stop::Waiting,
            "its newest generation has not been seen yet".to_owned(),
        );
    }
    step(Stop::Done, "it has seen the newest generation".to_owned())
}

fn waited_for(dependencies: &[Neighbour]) -> Option<Step> {
    if dependencies.is_empty() {
        return None;
    }
    let blocked: Vec<String> = dependencies
        .iter()
        .filter_map(|dependency| match &dependency.object {
            None => Some(format!("there is no {}", dependency.name)),
            Some(object) => {
                let standing = standing::of(object);
                (!matches!(standing.state, State::Ready | State::Static))
                    .then(|| format!("{} is not ready: {}", dependency.name, standing.message))
            }
        })
        .collect();
    Some(Step {
        name: "dependencies".to_owned(),
        stop: if blocked.is_empty() {
            Stop::Done
        } else {
            Stop::Blocked
        },
        time: None,
        text: if blocked.is_empty() {
            format!("{} ready", dependencies.len())
        } else {
            blocked.join("; ")
        },
    })
}

/// The stages that a kind's controller goes through: name, and the reasons of Ready that mean a stop there.
fn stages(kind: &str) -> &'static [(&'static str, &'static [&'static str])] {
    match kind {
        "Kustomization" => &[
            ("artifact", &["ArtifactFailed", "SourceNotFound"]),
            (
                "render",
                &["BuildFailed", "DecryptionFailed", "SubstituteFailed"],
            ),
            (
                "apply",
                &["ReconciliationFailed", "PruneFailed", "AccessDenied"],
            ),
            ("health", &["HealthCheckFailed", "HealthCheckCanceled"]),
        ],
        "HelmRelease" => &[
            (
                "artifact",
                &["ArtifactFailed", "SourceNotReady", "HelmChartNotReady"],
            ),
            ("values", &["ValuesError"]),
            (
                "release",
                &[
                    "InstallFailed",
                    "UpgradeFailed",
                    "RollbackFailed",
                    "RollbackSucceeded",
                    "UninstallFailed",
                    "UninstallSucceeded",
                ],
            ),
            ("tests", &["TestFailed"]),
        ],
        _ => &[("ready", &[])],
    }
}

fn own(object: &DynamicObject, offered: Option<&str>) -> Vec<Step> {
    let kind = object
        .types
        .as_ref()
        .map_or("", |types| types.kind.as_str());
    let standing = standing::of(object);
    let stages = stages(kind);
    let stopped = match standing.state {
        State::Failed => {
            let at = stages
                .iter()
                .position(|(_, reasons)| reasons.contains(&standing.reason.as_str()));
            // A reason of no stage of its own: what comes last has not been reached.
            Some((at.unwrap_or(stages.len() - 1), Stop::Blocked))
        }
        State::Progressing => Some((stages.len() - 1, Stop::Waiting)),
        _ => None,
    };
    let applied = text(object, "/status/lastAppliedRevision");
    stages
        .iter()
        .enumerate()
        .map(|(index, (name, _))| {
            let (stop, text) = match stopped {
                Some((at, stop)) if at == index => {
                    let words = match stop {
                        Stop::Waiting => message(object, &standing.message),
                        _ => standing.message.clone(),
                    };
                    (stop, format!("{}: {words}", standing.reason))
                }
                Some((at, Stop::Blocked)) if at < index => (Stop::Unknown, String::new()),
                _ if kind == "Kustomization"
                    && *name == "apply"
                    && offered.is_some()
                    && applied != offered =>
                {
                    let text = format!(
                        "{} is offered, {} is applied",
                        offered.unwrap_or("-"),
                        applied.unwrap_or("nothing")
                    );
                    (Stop::Waiting, text)
                }
                _ => (Stop::Done, detail(object, name)),
            };
            Step {
                name: (*name).to_owned(),
                stop,
                time: standing.since.clone(),
                text,
            }
        })
        .collect()
}

/// While a run is under way its own words say more than Ready's.
fn message(object: &DynamicObject, ready: &str) -> String {
    let reconciling = condition(object, "Reconciling").and_then(|found| found["message"].as_str());
    reconciling.unwrap_or(ready).to_owned()
}

fn detail(object: &DynamicObject, stage: &str) -> String {
    let at = |pointer: &str| or_dash(object, pointer).to_owned();
    match stage {
        "artifact" => at("/status/lastAttemptedRevision"),
        "render" => text(object, "/spec/path").unwrap_or("./").to_owned(),
        "apply" => {
            let entries = object
                .data
                .pointer("/status/inventory/entries")
                .and_then(Value::as_array);
            format!(
                "{} objects at {}",
                entries.map_or(0, Vec::len),
                at("/status/lastAppliedRevision")
            )
        }
        "release" => format!(
            "version {} of {} is {}",
            object
                .data
                .pointer("/status/history/0/version")
                .map_or_else(|| "-".to_owned(), Value::to_string),
            at("/status/history/0/chartName"),
            at("/status/history/0/status")
        ),
        "ready" | "health" => standing::of(object).message,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::standing::tests::object;

    fn name(of: &str, called: &str) -> ObjectName {
        ObjectName::new(kind(of).unwrap_or_else(|| panic!("{of}")), "prod", called)
    }

    fn repository(ready: &str) -> Neighbour {
        Neighbour {
            name: name("GitRepository", "app"),
            object: Some(object(
                json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
                "metadata": {"name": "app", "generation": 1}, "spec": {},
                "status": {"observedGeneration": 1, "artifact": {"revision": "main@sha1:2"}, "conditions": [
                    {"type": "Ready", "status": ready, "reason": "GitOperationFailed", "message": "host unreachable"}]}}),
            )),
        }
    }

    fn unit(spec: &Value, applied: &str, ready: &str, reason: &str) -> DynamicObject {
        object(
            json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "apps", "generation": 1}, "spec": spec,
            "status": {"observedGeneration": 1, "lastAppliedRevision": applied, "conditions": [
                {"type": "Ready", "status": ready, "reason": reason, "message": "the reason why"}]}}),
        )
    }

    fn stopped(steps: &[Step]) -> Option<(String, Stop)> {
        let found = steps
            .iter()
            .find(|step| matches!(step.stop, Stop::Blocked | Stop::Waiting));
        found.map(|step| (step.name.clone(), step.stop))
    }

    #[test]
    fn the_first_stop_is_named_and_nothing_behind_it_is_claimed() {
        let live = unit(&json!({}), "main@sha1:2", "True", "ReconciliationSucceeded");
        assert_eq!(stopped(&steps(&live, &[repository("True")], &[])), None);

        let shown = steps(&live, &[repository("False")], &[]);
        assert_eq!(
            stopped(&shown),
            Some(("GitRepository".to_owned(), Stop::Blocked))
        );
        assert!(shown[0].text.contains("host unreachable"));
        assert!(
            shown[1..]
                .iter()
                .all(|step| step.stop == Stop::Unknown && step.text.is_empty())
        );

        for (reason, stage) in [
            ("BuildFailed", "render"),
            ("ReconciliationFailed", "apply"),
            ("HealthCheckFailed", "health"),
            ("ArtifactFailed", "artifact"),
        ] {
            let failed = unit(&json!({}), "main@sha1:2", "False", reason);
            let shown = steps(&failed, &[repository("True")], &[]);
            assert_eq!(
                stopped(&shown),
                Some((stage.to_owned(), Stop::Blocked)),
                "{reason}"
            );
        }
    }

    #[test]
    fn a_failure_is_told_in_its_own_words_not_in_those_of_its_run() {
        let mut failed = unit(&json!({}), "main@sha1:2", "False", "BuildFailed");
        let run = json!({"type": "Reconciling", "status": "True", "reason": "ProgressingWithRetry", "message": "Building manifests"});
        if let Some(conditions) = failed.data["status"]["conditions"].as_array_mut() {
            conditions.push(run);
        }
        let shown = steps(&failed, &[repository("True")], &[]);
        let blocked = shown.iter().find(|step| step.stop == Stop::Blocked);
        let words = blocked.map(|step| step.text.as_str());
        assert_eq!(words, Some("BuildFailed: the reason why"));
    }

    #[test]
    fn an_older_revision_is_live_until_the_newer_is_applied() {
        let older = unit(&json!({}), "main@sha1:1", "True", "ReconciliationSucceeded");
        let shown = steps(&older, &[repository("True")], &[]);
        assert_eq!(stopped(&shown), Some(("apply".to_owned(), Stop::Waiting)));
    }

    #[test]
    fn suspension_and_dependencies_come_before_the_objects_own_state() {
        let off = unit(
            &json!({"suspend": true}),
            "main@sha1:2",
            "True",
            "ReconciliationSucceeded",
        );
        let shown = steps(&off, &[repository("True")], &[]);
        assert_eq!(
            stopped(&shown),
            Some(("controller".to_owned(), Stop::Blocked))
        );

        let spec = json!({"dependsOn": [{"name": "infra"}]});
        let waiting = unit(&spec, "main@sha1:2", "False", "DependencyNotReady");
        let named = dependencies_of(&name("Kustomization", "apps"), &waiting);
        assert_eq!(named[0].to_string(), "Kustomization/prod/infra");
        let missing = [Neighbour {
            name: named[0].clone(),
            object: None,
        }];
        let shown = steps(&waiting, &[repository("True")], &missing);
        assert_eq!(
            stopped(&shown),
            Some(("dependencies".to_owned(), Stop::Blocked))
        );
        assert!(
            shown
                .iter()
                .any(|step| step.text.contains("there is no Kustomization/prod/infra"))
        );
    }
}
