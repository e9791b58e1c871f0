//! Every version reads and writes the same objects.

use serde_json::{Value, json};

use crate::{
    cluster::{Served, Server, content, named, versions},
    objects::{Extent, merge, object},
};

/// Makes an object of one version, where that version can say it.
fn make(served: &Served, extent: Extent, variant: usize) -> Option<Value> {
    let Served {
        group,
        kind,
        version,
        schema,
        ..
    } = served;
    object(kind, group, version, schema, extent, variant)
}

/// Creates an object with every property at the stored version, status included.
async fn create_full(
    server: &Server,
    stored: &Served,
    name: &str,
    variant: usize,
) -> Option<Value> {
    let full = named(make(stored, Extent::Full, variant)?, name);
    let created = server
        .create(stored, &full, "?fieldValidation=Strict")
        .await;
    let created = created.unwrap_or_else(|error| panic!("{} {variant}: {error:?}", stored.kind));
    if !stored.status_path {
        assert_eq!(content(&created), content(&full), "{}", stored.kind);
        return Some(created);
    }
    let status = json!({ "status": full["status"] });
    let written = server
        .merge(stored, &format!("/{name}/status"), &status)
        .await
        .unwrap();
    assert_eq!(content(&written), content(&full), "{}", stored.kind);
    Some(written)
}

#[tokio::test]
async fn an_object_with_every_property_reads_the_same_at_every_version() {
    let server = Server::shared("read").await;
    let mut reads = 0;
    for crd in api::crd::all_crds().unwrap() {
        let all = versions(&crd);
        for variant in 0..2 {
            let name = format!("full-{variant}");
            let Some(written) = create_full(&server, &all[0], &name, variant).await else {
                continue;
            };
            for served in &all {
                let read = server.get(served, &name).await;
                assert_eq!(
                    read["apiVersion"],
                    format!("{}/{}", served.group, served.version)
                );
                assert_eq!(
                    content(&read),
                    content(&written),
                    "{} {}",
                    served.kind,
                    served.version
                );
                reads += 1;
            }
        }
    }
    assert_eq!(reads, 39 + 4 * 3);
}

#[tokio::test]
async fn a_manifest_of_any_version_takes_nothing_from_a_full_object() {
    let server = Server::shared("apply").await;
    let mut writes = 0;
    for crd in api::crd::all_crds().unwrap() {
        let all = versions(&crd);
        let stored = &all[0];
        for (served, variant) in all.iter().flat_map(|served| [(served, 0), (served, 1)]) {
            let Some(manifest) = manifest_for(served, variant) else {
                continue;
            };
            for on_server in [true, false] {
                let name = format!("{}-{variant}-{on_server}", served.version);
                let Some(before) = create_full(&server, stored, &name, variant).await else {
                    continue;
                };
                let manifest = named(manifest.clone(), &name);
                let answer = if on_server {
                    server.apply(served, &name, &manifest).await
                } else {
                    let part = json!({ "spec": manifest["spec"] });
                    server.merge(served, &format!("/{name}"), &part).await
                };
                let context = format!("{} {} {variant}", served.kind, served.version);
                answer.unwrap_or_else(|error| panic!("{context}: {error:?}"));
                let mut expected = content(&before);
                merge(&mut expected["spec"], &manifest["spec"]);
                let after = server.get(stored, &name).await;
                assert_eq!(
                    content(&after),
                    expected,
                    "{context} on server: {on_server}"
                );
                assert_ne!(
                    content(&after),
                    content(&before),
                    "{context} changed nothing"
                );
                writes += 1;
            }
        }
    }
    assert!(writes >= 90, "{writes} writes");
}

/// Makes what a user of a version would write: the least that it takes, and something where that is nothing.
fn manifest_for(served: &Served, variant: usize) -> Option<Value> {
    let mut manifest = make(served, Extent::Minimal, variant)?;
    if served.kind == "ExternalArtifact" {
        manifest["spec"] = json!({ "sourceRef": { "kind": "Other", "name": "other" } });
    }
    Some(manifest)
}

#[tokio::test]
async fn a_new_object_of_any_version_is_read_and_reported_on_at_the_newest() {
    let server = Server::shared("create").await;
    let mut created = 0;
    for crd in api::crd::all_crds().unwrap() {
        let all = versions(&crd);
        for served in &all {
            let name = format!("new-{}", served.version);
            let manifest = named(make(served, Extent::Minimal, 0).unwrap(), &name);
            let context = format!("{} {}", served.kind, served.version);
            let answer = server
                .create(served, &manifest, "?fieldValidation=Strict")
                .await;
            let written = answer.unwrap_or_else(|error| panic!("{context}: {error:?}"));
            for reader in &all {
                let read = server.get(reader, &name).await;
                assert_eq!(
                    content(&read),
                    content(&written),
                    "{context} at {}",
                    reader.version
                );
            }
            let condition = json!({
                "type": "Ready", "status": "True", "reason": "Succeeded", "message": "",
                "lastTransitionTime": "2026-11-21T00:03:54Z",
            });
            let path = if all[0].status_path {
                format!("/{name}/status")
            } else {
                format!("/{name}")
            };
            let status = json!({ "status": { "conditions": [condition] } });
            let answer = server.merge(&all[0], &path, &status).await;
            let reported = answer.unwrap_or_else(|error| panic!("{context}: {error:?}"));
            assert_eq!(reported["status"]["conditions"][0]["reason"], "Succeeded");
            assert_eq!(reported["spec"], written["spec"], "{context}");
            server.delete(&all[0], &name).await;
            created += 1;
        }
    }
    assert_eq!(created, 39);
}

#[tokio::test]
async fn a_version_without_status_default_leaves_the_status_out() {
    let server = Server::shared("status").await;
    for crd in api::crd::all_crds().unwrap() {
        for served in versions(&crd) {
            let manifest = named(make(&served, Extent::Minimal, 0).unwrap(), "fresh");
            let created = server
                .create(&served, &manifest, "?dryRun=All")
                .await
                .unwrap();
            let fresh = !["Alert", "Provider", "ExternalArtifact"].contains(&&*served.kind);
            let expected = if fresh {
                json!({ "observedGeneration": -1 })
            } else {
                Value::Null
            };
            assert_eq!(
                created["status"], expected,
                "{} {}",
                served.kind, served.version
            );
        }
    }
}
