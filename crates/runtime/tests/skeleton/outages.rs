//! What is not there: the API server, the definition, the lease.

use std::time::{Duration, Instant};

use kube::Api;
use runtime::{args::LeaderElection, leader::Candidate};
use serde_json::json;
use testkit::{ControlPlane, control_plane};
use tokio_util::sync::CancellationToken;

use crate::{
    rig::{Choice, Controller, define, find, until},
    toy::{Ranked, Toy},
};

fn toy(name: &str) -> Toy {
    let toy = json!({ "apiVersion": "test.lockgate.dev/v1", "kind": "Toy",
        "metadata": { "name": name }, "spec": { "interval": "1s", "script": ["ok"] } });
    serde_json::from_value(toy).unwrap()
}

async fn ready(toys: &Api<Toy>, name: &str) {
    until(&format!("{name} is ready"), async || {
        let toy = toys.get(name).await;
        toy.is_ok_and(|toy| find(&toy, "Ready") == Some(("True", "Succeeded")))
    })
    .await;
}

#[tokio::test]
async fn definition_that_is_missing_is_waited_for() {
    let plane = ControlPlane::start().await.unwrap();
    let client = plane.client();
    let namespace = plane.namespace("late").await;
    let controller = Controller::start::<Ranked>(&client, namespace.name(), Choice::default());
    // A kind that is not installed does not keep the process from being ready.
    until("the process is ready", async || {
        controller.readiness.missing().is_empty()
    })
    .await;
    define(&client, "toys", "Toy").await;
    let toys: Api<Toy> = Api::namespaced(client.clone(), namespace.name());
    let began = Instant::now();
    toys.create(&kube::api::PostParams::default(), &toy("a"))
        .await
        .unwrap();
    ready(&toys, "a").await;
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );

    api_server_goes_and_comes_back(&plane, &toys, &controller).await;
}

/// The plane is one of this test's own anyway.
async fn api_server_goes_and_comes_back(
    plane: &ControlPlane,
    toys: &Api<Toy>,
    controller: &Controller,
) {
    plane.stop_api_server();
    tokio::time::sleep(Duration::from_secs(10)).await;
    plane.start_api_server().await.unwrap();
    let began = Instant::now();
    toys.create(&kube::api::PostParams::default(), &toy("b"))
        .await
        .unwrap();
    ready(toys, "b").await;
    let took = began.elapsed();
    // A watch pauses six seconds at most; the rest is for a machine under load.
    assert!(took < Duration::from_secs(20), "{took:?}");
    let runs = controller.diary.runs("a");
    until("a goes on", async || controller.diary.runs("a") > runs).await;
    assert!(!controller.task.is_finished());
}

fn flags(lease: Duration) -> LeaderElection {
    LeaderElection {
        enable_leader_election: true,
        leader_election_release_on_cancel: true,
        leader_election_lease_duration: lease,
        leader_election_renew_deadline: lease.mul_f64(0.8),
        leader_election_retry_period: Duration::from_millis(300),
    }
}

fn candidate(plane: &ControlPlane, namespace: &str) -> Candidate {
    let flags = flags(Duration::from_secs(4));
    Candidate::new(plane.client(), namespace, "toy-controller", "", flags)
}

#[tokio::test]
async fn of_two_candidates_one_leads_and_the_other_takes_over_when_it_dies() {
    let plane = control_plane().await;
    let namespace = plane.namespace("lease").await;
    let stop = CancellationToken::new();
    let mut first = candidate(plane, namespace.name());
    assert!(first.lead(&stop).await);
    let holding = tokio::spawn(async move { first.hold().await });
    let mut second = candidate(plane, namespace.name());
    let waited = tokio::time::timeout(Duration::from_secs(6), second.lead(&stop)).await;
    assert!(waited.is_err(), "two leaders");
    // As a kill does it: nothing is released.
    holding.abort();
    let began = Instant::now();
    assert!(second.lead(&stop).await);
    let took = began.elapsed();
    assert!(
        took > Duration::from_secs(1) && took < Duration::from_secs(10),
        "{took:?}"
    );
}

#[tokio::test]
async fn released_lease_is_taken_at_once() {
    let plane = control_plane().await;
    let namespace = plane.namespace("lease").await;
    let stop = CancellationToken::new();
    let mut first = candidate(plane, namespace.name());
    assert!(first.lead(&stop).await);
    // The renewal that is cut off may have been written all the same.
    drop(tokio::time::timeout(Duration::from_millis(350), first.hold()).await);
    first.release().await;
    let began = Instant::now();
    assert!(candidate(plane, namespace.name()).lead(&stop).await);
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn lease_that_another_one_took_is_lost() {
    let plane = control_plane().await;
    let namespace = plane.namespace("lease").await;
    let stop = CancellationToken::new();
    let (name, slow) = (namespace.name(), flags(Duration::from_secs(20)));
    let mut first = Candidate::new(plane.client(), name, "toy-controller", "", slow);
    assert!(first.lead(&stop).await);
    let leases: Api<k8s_openapi::api::coordination::v1::Lease> =
        Api::namespaced(plane.client(), namespace.name());
    let name = "toy-controller-leader-election";
    // Someone else's annotation is a conflict at most, not a loss.
    let holding = tokio::spawn(async move { first.hold().await });
    let params = kube::api::PatchParams::default();
    for n in 0..20 {
        let patch = json!({ "metadata": { "annotations": { "n": n.to_string() } } });
        let patch = kube::api::Patch::Merge(patch);
        leases.patch(name, &params, &patch).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!holding.is_finished());
    let patch = kube::api::Patch::Merge(json!({ "spec": { "holderIdentity": "other" } }));
    leases.patch(name, &params, &patch).await.unwrap();
    let lost = tokio::time::timeout(Duration::from_secs(5), holding).await;
    lost.expect("the lease is still held").unwrap();
}
