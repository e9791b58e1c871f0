//! Waiting for readiness.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cluster::{HealthRule, WaitOptions};
use manifest::{
    Inventory, ObjectId,
    health::{Health, Status},
};
use serde_json::{Value, json};

use crate::fixture::{Fixture, GROUP};

const LONG: Duration = Duration::from_mins(1);

/// covers: KC-060, KC-112
#[tokio::test]
async fn a_deployment_becomes_ready_and_is_seen_at_once() {
    let it = Fixture::new("wait").await;
    let objects = [
        it.deployment("web", &json!({})),
        it.config_map("a", &json!({})),
    ];
    it.apply(&objects).await;
    it.wait(&objects, LONG).await.unwrap();
    let live = it.live(&objects[0]).await.unwrap();
    assert_eq!(live["status"]["readyReplicas"], 1);
    let started = Instant::now();
    it.wait(&objects, LONG).await.unwrap();
    assert!(
        started.elapsed() < LONG / 2,
        "what is ready is not waited for"
    );
}

#[tokio::test]
async fn many_of_a_kind_share_one_watch() {
    let it = Fixture::new("many").await;
    let objects: Vec<Value> = (0..20)
        .map(|n| it.deployment(&format!("web-{n}"), &json!({})))
        .collect();
    it.apply(&objects).await;
    let mut options = WaitOptions::new(LONG);
    options.selector = Some(format!("{GROUP}/name=apps"));
    // Longer than the wait: without watches it would not end in time.
    options.poll_interval = Duration::from_mins(1);
    it.cluster
        .wait(&it.inventory(&objects).await, &options)
        .await
        .unwrap();
}

/// covers: KC-060, KC-112
#[tokio::test]
async fn what_is_not_ready_in_time_is_listed_with_its_reason() {
    let it = Fixture::new("slow").await;
    let ns = &it.namespace;
    let objects = [it.deployment("web", &json!({"testkit.lockgate.dev/pod": "unready"}))];
    it.apply(&objects).await;
    let mut inventory = it.inventory(&objects).await;
    let others = [
        (format!("{ns}_missing__ConfigMap"), "v1"),
        (format!("{ns}_x_nowhere.example.com_Thing"), "v1"),
    ];
    let others = Inventory::from_stored(others.iter().map(|(id, v)| (id.as_str(), *v))).unwrap();
    inventory = inventory.union(&others);
    let options = WaitOptions::new(Duration::from_secs(4));
    let error = it.cluster.wait(&inventory, &options).await.unwrap_err();
    let texts: Vec<String> = error.unready().iter().map(ToString::to_string).collect();
    assert_eq!(
        texts[0],
        format!("ConfigMap/{ns}/missing status: 'NotFound'")
    );
    let start = format!("Deployment/{ns}/web status: 'InProgress': Available: 0/1 (pod web-");
    assert!(texts[1].starts_with(&start), "{}", texts[1]);
    assert!(texts[1].ends_with(": ContainersNotReady)"), "{}", texts[1]);
    assert_eq!(
        texts[2],
        format!(
            "Thing/{ns}/x status: 'Unknown': no matches for kind \"Thing\" in group \"nowhere.example.com\""
        )
    );
    let list = texts.join(", ");
    assert_eq!(error.to_string(), format!("timeout waiting for: [{list}]"));
}

/// covers: KC-118
#[tokio::test]
async fn what_is_current_ends_the_wait_and_an_unknown_kind_says_why() {
    let it = Fixture::new("unknown").await;
    let ns = &it.namespace;
    let map = it.config_map("map", &json!({}));
    it.apply(std::slice::from_ref(&map)).await;
    it.wait(std::slice::from_ref(&map), LONG).await.unwrap();
    let id = format!("{ns}_w_example.com_Widget");
    let unknown = manifest::Inventory::from_stored([(id.as_str(), "v1")]).unwrap();
    let all = it.inventory(&[map]).await.union(&unknown);
    let options = WaitOptions::new(Duration::from_secs(1));
    let error = it.cluster.wait(&all, &options).await.unwrap_err();
    let text = error.to_string();
    let words = format!("Widget/{ns}/w status: 'Unknown': no matches for kind \"Widget\"");
    assert!(text.contains(&words), "{text}");
    assert_eq!(error.unready().len(), 1, "{text}");
}

/// covers: KC-112
#[tokio::test]
async fn a_failed_object_ends_the_wait_early_unless_told_otherwise() {
    let it = Fixture::new("failed").await;
    let ns = &it.namespace;
    let job = it.object(
        "batch/v1",
        "Job",
        "job",
        &json!({"spec": {"backoffLimit": 0, "template": {
        "metadata": {"annotations": {"testkit.lockgate.dev/pod": "pending"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "x"}]},
    }, "activeDeadlineSeconds": 1}}),
    );
    let slow = it.deployment("web", &json!({"testkit.lockgate.dev/pod": "unready"}));
    let objects = [job, slow];
    it.apply(&objects).await;
    let started = Instant::now();
    let error = it.wait(&objects, LONG).await.unwrap_err();
    assert!(started.elapsed() < LONG, "a failure is not waited out");
    assert_eq!(
        error.to_string(),
        format!(
            "failed early due to stalled resources: [Job/{ns}/job status: 'Failed': Job Failed. failed: 1/1]"
        )
    );
    let mut options = WaitOptions::new(Duration::from_secs(1));
    options.fail_fast = false;
    let error = it
        .cluster
        .wait(&it.inventory(&objects).await, &options)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("timeout waiting for: [Deployment/"),
        "{error}"
    );
    assert_eq!(error.unready().len(), 2);
}

/// covers: KC-112
#[tokio::test]
async fn a_job_that_deletes_itself_is_ready_when_gone() {
    let it = Fixture::new("ttl").await;
    let ns = &it.namespace;
    let id = format!("{ns}_job_batch_Job");
    let inventory = Inventory::from_stored([(id.as_str(), "v1")]).unwrap();
    let mut options = WaitOptions::new(Duration::from_secs(1));
    assert!(it.cluster.wait(&inventory, &options).await.is_err());
    options
        .expiring_jobs
        .insert(ObjectId::from_inventory(&id).unwrap());
    it.cluster.wait(&inventory, &options).await.unwrap();
}

struct Colour;

impl HealthRule for Colour {
    fn evaluate(&self, object: &Value) -> Option<Result<Health, String>> {
        if object["kind"] != "ConfigMap" {
            return None;
        }
        let status = match object["data"]["colour"].as_str() {
            Some("green") => Status::Current,
            Some(_) => Status::InProgress,
            None => return Some(Err("no such key: colour".into())),
        };
        Some(Ok(Health {
            status,
            reason: String::new(),
            message: "not green".into(),
        }))
    }
}

/// covers: KC-063
#[tokio::test]
async fn rules_of_the_caller_come_first_and_changes_are_seen() {
    let it = Fixture::new("rules").await;
    let ns = &it.namespace;
    let map = it.config_map("a", &json!({"colour": "red"}));
    it.apply(std::slice::from_ref(&map)).await;
    let inventory = it.inventory(std::slice::from_ref(&map)).await;
    let mut options = WaitOptions::new(Duration::from_millis(300));
    options.rules = Some(Arc::new(Colour));
    let error = it.cluster.wait(&inventory, &options).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("timeout waiting for: [ConfigMap/{ns}/a status: 'InProgress': not green]")
    );
    options.timeout = LONG;
    options.poll_interval = LONG;
    let turn_green = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        it.edit(&map, "someone", &json!({"data": {"colour": "green"}}))
            .await;
    };
    let (waited, ()) = tokio::join!(it.cluster.wait(&inventory, &options), turn_green);
    waited.unwrap();
}
