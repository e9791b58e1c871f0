//! The samples are what users write, and are accepted as they stand.

use std::path::Path;

use serde_json::{Value, json};

use crate::cluster::{Served, Server, contains, versions};

/// Reads all samples: file name, then the objects of the file.
fn samples() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/samples");
    let mut samples = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read(&path).unwrap();
        let limits = yaml::Limits::default();
        let nodes = yaml::parse(&text, &name, yaml::Schema::Core, &limits).unwrap();
        samples.extend(
            nodes
                .iter()
                .map(|node| (name.clone(), yaml::to_json(node).unwrap())),
        );
    }
    samples
}

fn served_as<'a>(all: &'a [Served], object: &Value) -> &'a Served {
    let found = all.iter().find(|served| {
        object["kind"] == *served.kind
            && object["apiVersion"] == format!("{}/{}", served.group, served.version)
    });
    found.unwrap_or_else(|| panic!("{} {} is not served", object["apiVersion"], object["kind"]))
}

#[tokio::test]
async fn every_sample_is_accepted_exactly_as_written() {
    let mut server = Server::of(Server::shared("samples").await.client);
    for namespace in ["flux-system", "production"] {
        server.create_namespace(namespace).await;
    }
    let all = api::crd::all_crds()
        .unwrap()
        .iter()
        .flat_map(versions)
        .collect::<Vec<_>>();
    let mut kinds = std::collections::BTreeSet::new();
    for (file, sample) in samples() {
        let served = served_as(&all, &sample);
        server.namespace = sample["metadata"]["namespace"]
            .as_str()
            .unwrap_or("default")
            .to_owned();
        let answer = server
            .create(served, &sample, "?fieldValidation=Strict")
            .await;
        let created = answer.unwrap_or_else(|error| panic!("{file}: {error:?}"));
        assert!(contains(&created, &sample), "{file}: {created:#}");
        if file != "mixed_versions.yaml" {
            kinds.insert(served.kind.clone());
        }
    }
    assert_eq!(
        kinds.len(),
        api::served::kinds().count(),
        "one sample for every kind: {kinds:?}"
    );
}

#[tokio::test]
async fn automation_without_interval_gets_one_and_its_status_can_be_written() {
    let server = Server::shared("automation").await;
    let all = api::crd::all_crds()
        .unwrap()
        .iter()
        .flat_map(versions)
        .collect::<Vec<_>>();
    let sample = |(_, object): &(String, Value)| {
        object["kind"] == "ImageUpdateAutomation" && object["spec"].get("interval").is_none()
    };
    let (_, object) = samples().into_iter().find(sample).unwrap();
    let created = server
        .create(served_as(&all, &object), &object, "")
        .await
        .unwrap();
    assert_eq!(created["spec"]["interval"], "10m");
    let newest = json!({ "apiVersion": "image.toolkit.fluxcd.io/v1", "kind": object["kind"] });
    let status = json!({ "status": { "observedGeneration": 1 } });
    let answer = server
        .merge(served_as(&all, &newest), "/myapp/status", &status)
        .await
        .unwrap();
    assert_eq!(answer["status"]["observedGeneration"], 1);
}
