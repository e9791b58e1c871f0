//! A kind that does what its script says.

use std::{
    collections::HashMap,
    marker::PhantomData,
    sync::{Arc, Mutex},
    time::Duration,
};

use api::{Reconciled, meta};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, ResourceExt};
use runtime::{
    Change, Class, Conduct, Failure, Moment, Next, Note, Parked, Polarity, Progress, Reconciler,
    Report, Summary,
    conduct::{Begin, Retry},
};
use serde::{Deserialize, Serialize};

/// What a user says.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize)]
#[kube(
    group = "test.lockgate.dev",
    version = "v1",
    kind = "Toy",
    namespaced,
    schema = "disabled"
)]
#[kube(status = "ToyStatus")]
#[serde(rename_all = "camelCase")]
pub(crate) struct ToySpec {
    #[serde(default)]
    pub(crate) suspend: bool,
    pub(crate) interval: Option<meta::Duration>,
    pub(crate) retry_interval: Option<meta::Duration>,
    /// What each run does; the last one goes on for ever.
    pub(crate) script: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ToyStatus {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) observed_generation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_handled_reconcile_at: Option<String>,
    /// How far an act came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<i64>,
}

impl Reconciled for Toy {
    fn status_value(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(&self.status)
    }

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |s| &s.conditions)
    }

    fn observed_generation(&self) -> Option<i64> {
        self.status.as_ref()?.observed_generation
    }

    fn last_handled_reconcile_at(&self) -> Option<&str> {
        self.status.as_ref()?.last_handled_reconcile_at.as_deref()
    }

    fn suspended(&self) -> bool {
        self.spec.suspend
    }

    fn interval(&self) -> Option<meta::Duration> {
        self.spec.interval
    }
}

/// The definition: any spec is stored, so that some cannot be read.
pub(crate) fn definition(plural: &str, kind: &str) -> serde_json::Value {
    let open = serde_json::json!({ "type": "object",
        "x-kubernetes-preserve-unknown-fields": true });
    serde_json::json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.test.lockgate.dev") },
        "spec": { "group": "test.lockgate.dev", "scope": "Namespaced",
            "names": { "kind": kind, "plural": plural, "singular": kind.to_lowercase() },
            "versions": [{ "name": "v1", "served": true, "storage": true,
                "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": { "type": "object", "properties": {
                    "spec": open, "status": open } } } }] } })
}

/// What the runs of a kind did.
#[derive(Debug, Default)]
pub(crate) struct Diary {
    runs: Mutex<HashMap<String, usize>>,
    entries: Mutex<Vec<String>>,
}

impl Diary {
    /// Counts a run of an object and returns how many there were before.
    fn begin(&self, name: &str) -> usize {
        let mut runs = self.runs.lock().unwrap();
        let count = runs.entry(name.to_owned()).or_default();
        *count += 1;
        *count - 1
    }

    pub(crate) fn write(&self, entry: String) {
        self.entries.lock().unwrap().push(entry);
    }

    pub(crate) fn runs(&self, name: &str) -> usize {
        self.runs.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    pub(crate) fn has(&self, entry: &str) -> bool {
        self.count(entry) > 0
    }

    pub(crate) fn count(&self, entry: &str) -> usize {
        let entries = self.entries.lock().unwrap();
        entries.iter().filter(|each| *each == entry).count()
    }
}

/// How a toy is conducted.
pub(crate) trait Style: Send + Sync + 'static {
    const CONDUCT: Conduct;
}

/// As the sources are.
pub(crate) struct Ranked;
impl Style for Ranked {
    const CONDUCT: Conduct = Conduct {
        owned: &["Built"],
        summary: Summary::Ranked(&[
            ("FetchFailed", Polarity::Negative),
            ("Built", Polarity::Positive),
        ]),
        retry: Retry::Exponential,
        closes_suspended: true,
        begin: Begin::AtOnce,
        plans_at_length: false,
        heeds_requests: true,
    };
}

/// As Kustomizations are.
pub(crate) struct Explicit;
impl Style for Explicit {
    const CONDUCT: Conduct = Conduct {
        owned: &[],
        summary: Summary::Explicit,
        retry: Retry::Flat,
        closes_suspended: false,
        begin: Begin::WithFirstNote("Reconciliation in progress"),
        plans_at_length: true,
        heeds_requests: true,
    };
}

pub(crate) struct Toys<S> {
    diary: Arc<Diary>,
    style: PhantomData<S>,
}

impl<S> Toys<S> {
    pub(crate) fn new(diary: Arc<Diary>) -> Self {
        Self {
            diary,
            style: PhantomData,
        }
    }
}

/// One line of a script: `word` or `word:duration`.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    word: String,
    time: Duration,
    name: String,
}

impl<S: Style> Reconciler for Toys<S> {
    type Object = Toy;
    type Inputs = Line;
    type Plan = Line;
    type Outcome = String;

    const CONDUCT: Conduct = S::CONDUCT;

    async fn gather(&self, object: &Toy, _: &Progress) -> Result<Line, Failure> {
        let name = object.name_any();
        let run = self.diary.begin(&name);
        let script = &object.spec.script;
        let line = script.get(run).or(script.last()).unwrap().clone();
        let (word, time) = line.split_once(':').unwrap_or((&line, "0s"));
        let time = time.parse::<meta::Duration>().unwrap().into();
        let word = word.to_owned();
        match word.as_str() {
            "panic-gather" => panic!("gather of {name}"),
            "retry" => Err(Failure::retry("Broken", "it is broken")),
            "wait" => Err(Failure::wait(time, "NotYet", "not yet")),
            "stall" => Err(Failure::stall("Wrong", "it is wrong")),
            _ => Ok(Line { word, time, name }),
        }
    }

    fn plan(_: &Toy, line: Line, _: Timestamp) -> Result<Next<Line, String>, Failure> {
        match line.word.as_str() {
            "panic-plan" => panic!("plan of {}", line.name),
            "ok" | "sour" => Ok(Next::Done(line.word)),
            "more" => Ok(Next::More(line)),
            _ => Ok(Next::Last(line)),
        }
    }

    async fn act(&self, object: &Toy, line: Line, progress: &Progress) -> Result<String, Failure> {
        let Line { word, time, name } = line;
        self.diary.write(format!("{name} acts"));
        match word.as_str() {
            "panic-act" => panic!("act of {name}"),
            "slow" => tokio::time::sleep(time).await,
            "more" => {
                let step = object.status.as_ref().and_then(|s| s.step).unwrap_or(0);
                progress
                    .checkpoint(Change::default().set("step", step + 1))
                    .await?;
            }
            "checkpoint" => {
                progress
                    .checkpoint(Change::default().set("step", 1))
                    .await?;
                self.diary.write(format!("{name} goes on"));
                std::future::pending::<()>().await;
            }
            "park" | "note" => {
                if word == "note" {
                    progress.note("waiting for a friend").await?;
                }
                self.diary.write(format!("{name} parks"));
                let parked = progress.park(time, std::future::pending::<()>()).await;
                if let Parked::Superseded(by) = parked {
                    self.diary.write(format!("{name} superseded by {by}"));
                    return Err(Failure::new(Class::Superseded, "Canceled", by));
                }
            }
            other => panic!("no such line: {other}"),
        }
        self.diary.write(format!("{name} acted"));
        Ok(word)
    }

    fn report(_: &Toy, outcome: &String, _: Moment) -> Report {
        let ready = match S::CONDUCT.summary {
            Summary::Explicit => "Ready",
            Summary::Ranked(_) => "Built",
        };
        let change = Change::default().condition(ready, "True", "Succeeded", outcome.clone());
        let change = match outcome.as_str() {
            "sour" => change.condition("FetchFailed", "True", "Sour", "it went sour"),
            _ => change.remove("FetchFailed"),
        };
        Report {
            change,
            notes: Vec::new(),
            requeue: None,
        }
    }

    async fn cleanup(&self, object: &Toy, progress: &Progress) -> Result<Vec<Note>, Failure> {
        let name = object.name_any();
        self.diary.write(format!("{name} cleans up"));
        match object.spec.script.last().map(String::as_str) {
            Some("park-at-the-end") => {
                progress
                    .park(Duration::from_hours(1), std::future::pending::<()>())
                    .await;
            }
            Some("panic-at-the-end") if self.diary.begin(&format!("end of {name}")) == 0 => {
                panic!("cleanup of {name}");
            }
            _ => {}
        }
        Ok(vec![Note::info("Deleted", "cleaned up")])
    }

    fn retry_interval(object: &Toy) -> Option<Duration> {
        object.spec.retry_interval.map(Into::into)
    }

    fn forget(&self, object: &kube::runtime::reflector::ObjectRef<Toy>) {
        self.diary.write(format!("{} forgotten", object.name));
    }
}
