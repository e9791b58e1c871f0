//! Some objects fail: with `continueOnError` the others are applied, and those are tried alone.

use api::kustomize::Kustomization;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::world::{World, config_map, has, inventory, is, message};

const BAD: &str =
    "apiVersion: v1\nkind: Service\nmetadata:\n  name: bad\nspec:\n  ports:\n  - port: 99999\n";

fn failures(object: &Kustomization) -> Vec<(String, String)> {
    let status = object.status.as_ref().unwrap();
    let pairs = status.failures.iter();
    pairs
        .map(|it| (it.id.clone(), it.message.clone()))
        .collect()
}

/// Applies `good` and `gone`, then a revision in which `gone` has left, `good` has changed, and three
/// objects cannot be applied. Returns the first revision and the unit that goes on.
async fn going_on(world: &World) -> (String, Kustomization) {
    let (good, gone) = (config_map("good", "k", "one"), config_map("gone", "k", "v"));
    let files = [("good.yaml", good.as_str()), ("gone.yaml", gone.as_str())];
    let first = world.publish(&files).await;
    let spec = json!({ "continueOnError": true, "retryInterval": "1s", "wait": true });
    world.apply(spec).await;
    world.applied("app", &first).await;
    let widget = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n";
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: sealed}\nsops: {mac: x}\ndata: {}\n";
    let good = config_map("good", "k", "two");
    let files = [
        ("bad.yaml", BAD),
        ("good.yaml", good.as_str()),
        ("secret.yaml", secret),
        ("widget.yaml", widget),
    ];
    world.publish(&files).await;
    let listed = |k: &Kustomization| {
        is(k, "Ready", "False", "ReconciliationFailed") && failures(k).len() == 3
    };
    let object = world.until("app", "the failed objects are listed", listed);
    (first, object.await)
}

#[tokio::test]
async fn others_are_applied_and_the_failed_are_listed() {
    let world = World::new().await;
    let ns = world.ns().to_owned();
    let (first, object) = going_on(&world).await;
    let words = message(&object, "Ready");
    for part in [
        format!("Service/{ns}/bad dry-run failed (Invalid): "),
        format!("Secret/{ns}/sealed is SOPS encrypted"),
        "no matches for kind \"Widget\" in version \"example.com/v1\"".to_owned(),
    ] {
        assert!(words.contains(&part), "{part} in {words}");
    }
    let ids: Vec<_> = failures(&object).into_iter().map(|(id, _)| id).collect();
    assert!(ids.contains(&format!("{ns}_bad__Service")), "{ids:?}");
    world.config_map("good", has("k", "two")).await;
    assert!(is(&object, "Healthy", "True", "Succeeded"), "{object:#?}");
    // What left stays, and what failed is not owned: it never was there.
    let id = |name: &str, kind: &str| format!("{ns}_{name}__{kind}");
    let owned = [id("gone", "ConfigMap"), id("good", "ConfigMap")];
    assert_eq!(inventory(&object), owned);
    world.config_map("gone", |c| c.is_some()).await;
    let status = object.status.unwrap();
    assert_eq!(status.last_applied_revision, Some(first));
    let last = &status.history[0].last_reconciled_status;
    assert_eq!(last, "ReconciliationFailed");

    // Once all can be applied the rest is done too.
    let fixed = BAD.replace("99999", "80");
    let good = config_map("good", "k", "two");
    let files = [("bad.yaml", fixed.as_str()), ("good.yaml", good.as_str())];
    let last = world.publish(&files).await;
    let object = world.applied("app", &last).await;
    assert_eq!(failures(&object), []);
    let owned = [id("bad", "Service"), id("good", "ConfigMap")];
    assert_eq!(inventory(&object), owned);
    world.config_map("gone", |c| c.is_none()).await;
}

#[tokio::test]
async fn failed_objects_are_tried_alone_until_somebody_asks_for_all() {
    let world = World::new().await;
    going_on(&world).await;
    let edit = json!({ "data": { "k": "edited" } });
    let params = PatchParams::default();
    let api = world.config_maps();
    api.patch("good", &params, &Patch::Merge(edit))
        .await
        .unwrap();
    let runs = |k: &Kustomization| k.status.as_ref().unwrap().history[0].total_reconciliations;
    let before = runs(&world.kustomizations().get("app").await.unwrap());
    // One run may have been under way.
    world
        .until("app", "three more tries", |k| runs(k) >= before + 3)
        .await;
    world.config_map("good", has("k", "edited")).await;
    world.request("app").await;
    world.config_map("good", has("k", "two")).await;
}

#[tokio::test]
async fn failed_object_that_can_be_applied_later_needs_nobody() {
    let world = World::new().await;
    let good = config_map("good", "k", "v");
    let elsewhere = format!("{}-later", world.ns());
    let late = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: late, namespace: {elsewhere}}}\n"
    );
    let revision = world
        .publish(&[("good.yaml", &good), ("late.yaml", &late)])
        .await;
    let spec = json!({ "continueOnError": true, "retryInterval": "1s", "targetNamespace": null,
        "patches": [{ "target": { "name": "good" },
            "patch": format!("- {{op: add, path: /metadata/namespace, value: {}}}", world.ns()) }] });
    world.apply(spec).await;
    world
        .until("app", "the late one fails", |k| {
            is(k, "Ready", "False", "ReconciliationFailed") && failures(k).len() == 1
        })
        .await;
    world.config_map("good", |c| c.is_some()).await;
    world.make_namespace(&elsewhere).await;
    let object = world.applied("app", &revision).await;
    assert_eq!(failures(&object), []);
    assert_eq!(inventory(&object).len(), 2);
}
