//! Installing these definitions over upstream's, and going back, changes no object.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use kube::Client;
use serde_json::{Value, json};
use testkit::ControlPlane;

use crate::{
    cluster::{Served, Server, contains, content, named, versions},
    definitions::definition,
    facts::Facts,
    objects::{Extent, object},
};

/// Creates an object with every property of every version, at that version.
async fn populate(server: &Server, all: &[Served]) {
    for served in all {
        let Served {
            group,
            kind,
            version,
            schema,
            ..
        } = served;
        for variant in 0..2 {
            let full = object(kind, group, version, schema, Extent::Full, variant);
            let Some(full) = full else { continue };
            let name = format!("{version}-{variant}");
            let answer = server.create(served, &named(full.clone(), &name), "").await;
            answer.unwrap_or_else(|error| panic!("{kind} {version} {variant}: {error:?}"));
            if served.status_path {
                let status = json!({ "status": full["status"] });
                server
                    .merge(served, &format!("/{name}/status"), &status)
                    .await
                    .unwrap();
            }
        }
    }
}

/// What is read of an object: by kind, name and the version that it is read at.
type Snapshot = BTreeMap<(String, String, String), Value>;

/// Reads all objects at every version.
async fn snapshot(client: &Client, kinds: &[Vec<Served>]) -> Snapshot {
    let mut found = Snapshot::new();
    for served in kinds.iter().flatten() {
        let path = format!(
            "/apis/{}/{}/{}",
            served.group, served.version, served.plural
        );
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        let list: Value = client.request(request).await.unwrap();
        for item in list["items"].as_array().unwrap() {
            let name = item["metadata"]["name"].as_str().unwrap().to_owned();
            let mut whole = content(item);
            whole["metadata"] = item["metadata"].clone();
            found.insert((served.kind.clone(), name, served.version.clone()), whole);
        }
    }
    found
}

/// Asserts that everything that was read before is read after, and equal.
fn nothing_is_lost(before: &Snapshot, after: &Snapshot, parts: &[&str]) {
    assert_eq!(before.len(), after.len());
    for (id, object) in before {
        for part in parts {
            let (before, after) = (&object[part], &after[id][part]);
            assert!(
                before.is_null() || contains(after, before),
                "{id:?}: {after:#} for {before:#}"
            );
        }
    }
}

/// Installs definitions and waits until every version takes an object with all of its properties.
async fn install_ours(server: &Server) {
    let crds = api::crd::all_crds().unwrap();
    server.install(&crds).await;
    for served in crds.iter().flat_map(versions) {
        let Served {
            group,
            kind,
            version,
            schema,
            ..
        } = &served;
        let full = object(kind, group, version, schema, Extent::Full, 0).unwrap();
        let full = named(full, "probe");
        let query = "?dryRun=All&fieldValidation=Strict";
        eventually(async || server.create(&served, &full, query).await.is_ok()).await;
    }
}

/// Asks until the answer is yes.
async fn eventually(mut ask: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !ask().await {
        assert!(Instant::now() < deadline, "never");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Fills a cluster as one looks that came a long way: what was created at the oldest version is stored at it, the rest at
/// the newest. Returns upstream's definitions of today.
async fn populate_upstream(server: &Server) -> Vec<Value> {
    let all = Facts::all();
    let versions_of = |facts: &Facts| {
        api::served::kinds()
            .find(|kind| kind.kind == facts.kind())
            .unwrap()
            .versions
    };
    let oldest_of = |facts: &Facts| versions_of(facts).last().unwrap().name;
    let oldest: Vec<_> = all
        .values()
        .map(|facts| definition(facts, oldest_of(facts)))
        .collect();
    let newest = all
        .values()
        .map(|facts| definition(facts, versions_of(facts)[0].name));
    let newest: Vec<_> = newest.collect();
    server.install(&oldest).await;
    for crd in &oldest {
        populate(server, &versions(crd)[..1]).await;
    }
    server.install(&newest).await;
    for (crd, facts) in newest.iter().zip(all.values()) {
        let newer = versions(crd)
            .into_iter()
            .filter(|served| served.version != oldest_of(facts));
        populate(server, &newer.collect::<Vec<_>>()).await;
    }
    newest
}

#[tokio::test]
async fn no_object_changes_when_definitions_are_upgraded_and_put_back() {
    let plane = ControlPlane::start().await.unwrap();
    let server = Server::of(plane.client());
    let upstream = populate_upstream(&server).await;
    let kinds: Vec<_> = upstream.iter().map(versions).collect();
    let before = snapshot(&server.client, &kinds).await;
    assert!(
        before.len() >= (39 + 8) * 2,
        "{} objects read",
        before.len()
    );

    install_ours(&server).await;
    let after = snapshot(&server.client, &kinds).await;
    nothing_is_lost(&before, &after, &["metadata", "spec", "status"]);
    server.install(&upstream).await;
    eventually(async || snapshot(&server.client, &kinds).await == before).await;

    install_ours(&server).await;
    touch(&server, &kinds).await;
    let touched = snapshot(&server.client, &kinds).await;
    nothing_is_lost(&before, &touched, &["spec", "status"]);
    server.install(&upstream).await;
    let back = snapshot(&server.client, &kinds).await;
    // At the stored version; what a write at that version drops for the others, upstream drops itself.
    for (id, object) in before.iter().filter(|(id, _)| is_stored(&kinds, id)) {
        for part in ["spec", "status"] {
            let (before, back) = (&object[part], &back[id][part]);
            assert!(
                before.is_null() || contains(back, before),
                "{id:?} back after a write: {back:#}"
            );
        }
    }
}

fn is_stored(kinds: &[Vec<Served>], (kind, _, version): &(String, String, String)) -> bool {
    kinds
        .iter()
        .any(|all| all[0].kind == *kind && all[0].version == *version)
}

/// Writes every object again with one more annotation, as a controller would on its first run.
async fn touch(server: &Server, kinds: &[Vec<Served>]) {
    for (kind, name, version) in snapshot(&server.client, kinds).await.into_keys() {
        let stored = |served: &&Served| served.kind == kind && served.version == version;
        if let Some(served) = kinds.iter().map(|all| &all[0]).find(stored) {
            let patch = json!({ "metadata": { "annotations": { "touched": "yes" } } });
            let answer = server.merge(served, &format!("/{name}"), &patch).await;
            answer.unwrap_or_else(|error| panic!("{kind} {name}: {error:?}"));
        }
    }
}
