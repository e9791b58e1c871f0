//! What others do to a release: other processes of this controller, Helm, people.

use helm::release::Record;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::world::{World, condition, history, is, message};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  colour: {{ .Values.colour | default \"none\" }}\n";

async fn deployed() -> World {
    let world = World::new().await;
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    world.apply(json!({ "values": { "colour": "blue" } })).await;
    world.deployed(1).await;
    world
}

fn named(record: &Record, version: i64, status: &str) -> Record {
    Record {
        version,
        status: status.to_owned(),
        ..record.clone()
    }
}

/// covers: HC-010, HC-011, HC-012, HC-077, HC-126, HE-125
#[tokio::test]
async fn release_left_half_done_is_unlocked_and_finished_in_one_run() {
    let all = ["install", "upgrade", "rollback"].map(|action| async move {
        let world = deployed().await;
        let record = world.record(1).await;
        let status = format!("pending-{action}");
        world.store(&named(&record, 1, &status)).await;
        world.request(&[]).await;
        let object = world.deployed(2).await;
        assert_eq!(history(&object)[0], (2, "deployed", "upgrade"));
        let ns = world.ns();
        let words =
            format!("Unlocked Helm release {ns}/app.v1 with chart app@1.0.0 in {status} state");
        assert_eq!(world.event("PendingRelease", "Unlocked").await, words);
        let old = world.record(1).await;
        assert_eq!(old.status, "superseded");
    });
    futures::future::join_all(all).await;
}

/// covers: HC-007, HC-018, HC-038, HC-071
#[tokio::test]
async fn nothing_is_done_where_nothing_changed() {
    let world = deployed().await;
    world.apply(json!({ "values": { "colour": "red" } })).await;
    let before = world.deployed(2).await;
    let after = world.request(&[]).await;
    assert_eq!(history(&after), history(&before));
    // An older revision is nobody's business.
    let name = "sh.helm.release.v1.app.v1";
    let params = DeleteParams::default();
    world.secrets().delete(name, &params).await.unwrap();
    world.request(&[]).await;
    assert_eq!(world.revisions().await, [(2, "deployed".to_owned())]);
}

/// covers: HC-014, HC-044, HC-050, HC-074, HC-110
#[tokio::test]
async fn existing_release_is_taken_over_by_an_upgrade() {
    let world = deployed().await;
    world.apply(json!({ "suspend": true })).await;
    world.delete().await;
    assert_eq!(world.revisions().await, [(1, "deployed".to_owned())]);
    world.apply(json!({ "values": { "colour": "red" } })).await;
    let object = world.deployed(2).await;
    assert_eq!(history(&object), [(2, "deployed", "upgrade")]);
}

/// One that is just as wanted needs no upgrade.
#[tokio::test]
async fn existing_release_that_is_as_wanted_is_taken_over_as_it_is() {
    let world = deployed().await;
    world.apply(json!({ "suspend": true })).await;
    world.delete().await;
    world.apply(json!({ "values": { "colour": "blue" } })).await;
    let object = world.deployed(1).await;
    assert_eq!(history(&object), [(1, "deployed", "")]);
    assert_eq!(
        condition(&object, "Ready").unwrap().reason,
        "ReleaseAdopted"
    );
    assert_eq!(object.status.unwrap().inventory.unwrap().entries.len(), 1);
    // From here on it is like any other.
    world.apply(json!({ "values": { "colour": "red" } })).await;
    let object = world.deployed(2).await;
    assert_eq!(history(&object)[0], (2, "deployed", "upgrade"));
}

/// covers: HC-015, HC-016, HC-076
#[tokio::test]
async fn revision_that_others_made_is_upgraded() {
    let world = deployed().await;
    let record = world.record(1).await;
    // The newer first: a run between the two must not find the older alone.
    world.store(&named(&record, 2, "deployed")).await;
    world.store(&named(&record, 1, "superseded")).await;
    world.request(&[]).await;
    let object = world.deployed(3).await;
    assert_eq!(history(&object)[0], (3, "deployed", "upgrade"));
    // A record whose text was changed is not the one that was made.
    let mut record = world.record(3).await;
    record.description = "changed by hand".to_owned();
    world.store(&record).await;
    world.request(&[]).await;
    world.deployed(4).await;
}

/// covers: HC-017, HC-072, HC-073
#[tokio::test]
async fn release_that_others_deleted_is_installed_again() {
    let world = deployed().await;
    let name = "sh.helm.release.v1.app.v1";
    let params = DeleteParams::default();
    // The record last: it alone makes a run install.
    world.config_maps().delete("one", &params).await.unwrap();
    world.secrets().delete(name, &params).await.unwrap();
    world.request(&[]).await;
    let object = world.deployed(1).await;
    assert_eq!(history(&object), [(1, "deployed", "install")]);
    world.until_entry("one", "colour", Some("blue")).await;
}

/// covers: HC-085, HC-086
#[tokio::test]
async fn uninstalled_release_is_installed_under_its_name_where_that_is_wanted() {
    let world = deployed().await;
    let record = world.record(1).await;
    world.store(&named(&record, 1, "uninstalled")).await;
    world.poke().await;
    let words = "cannot reuse a name that is still in use";
    world
        .until("refused", |o| message(o, "Ready").contains(words))
        .await;
    world
        .apply(json!({ "values": { "colour": "blue" }, "install": { "replace": true } }))
        .await;
    world.deployed(2).await;
}

/// A release left in the middle of its end is uninstalled to its end, and installed again.
#[tokio::test]
async fn release_left_uninstalling_is_installed_again() {
    let world = deployed().await;
    let record = world.record(1).await;
    world.store(&named(&record, 1, "uninstalling")).await;
    world.request(&[]).await;
    let object = world.deployed(1).await;
    assert_eq!(history(&object)[0].2, "install");
}

/// A record cut short is passed over; the release lives on in the next revision.
#[tokio::test]
async fn truncated_record_is_passed_over() {
    let world = deployed().await;
    let name = "sh.helm.release.v1.app.v1";
    let secret = world.secrets().get(name).await.unwrap();
    let whole = secret.data.unwrap()["release"].0.clone();
    let half = k8s_openapi::ByteString(whole[..whole.len() / 2].to_vec());
    let patch = kube::api::Patch::Merge(json!({ "data": { "release": half } }));
    let params = kube::api::PatchParams::default();
    world.secrets().patch(name, &params, &patch).await.unwrap();
    world.poke().await;
    let object = world
        .until("released again", |o| {
            let latest = o.status.as_ref().and_then(|s| s.history.first());
            is(o, "Ready", "True") && latest.is_some_and(|l| l.version == 2)
        })
        .await;
    assert!(is(&object, "Released", "True"));
    world.until_entry("one", "colour", Some("blue")).await;
}

/// Of two that name one release, the first keeps it and the other says whose it is; once the first is gone it takes
/// over.
#[tokio::test]
async fn release_has_one_owner() {
    let world = deployed().await;
    let second: Value = json!({ "releaseName": "app", "values": { "colour": "red" } });
    world.apply_named("second", second).await;
    let object = world
        .until_named("second", "refused", |o| is(o, "Ready", "False"))
        .await;
    let ns = world.ns();
    assert_eq!(
        message(&object, "Ready"),
        format!(
            "release {ns}/app belongs to HelmRelease/{ns}/app: give one of the two another spec.releaseName, or delete one"
        )
    );
    assert_eq!(condition(&object, "Ready").unwrap().reason, "ReleaseTaken");
    assert_eq!(world.revisions().await, [(1, "deployed".to_owned())]);
    assert_eq!(world.entry("one", "colour").await.as_deref(), Some("blue"));
    // The second, which never had it, does not uninstall it either.
    let params = DeleteParams::default();
    world.releases().delete("second", &params).await.unwrap();
    world.request(&[]).await;
    assert_eq!(world.entry("one", "colour").await.as_deref(), Some("blue"));
}
