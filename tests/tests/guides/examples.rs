//! Every example of `docs/` is taken by the API server with our definitions.

use std::path::{Path, PathBuf};

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use serde_json::{Value, json};

use crate::world::{config, objects};

/// Kinds that no cluster serves by itself: files of kustomize, and objects of others' operators.
const OTHERS: [&str; 5] = [
    "kustomize.config.k8s.io/",
    "flagger.app/",
    "argoproj.io/",
    "external-secrets.io/",
    "bitnami.com/",
];

fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The fenced blocks of YAML, with the line on which each starts.
fn examples(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim_end() == "```yaml" {
            let inside = lines.by_ref().map(|(_, line)| line);
            let inside: Vec<_> = inside.take_while(|line| *line != "```").collect();
            found.push((number + 2, inside.join("\n")));
        }
    }
    found
}

/// Tries an object without making it.
async fn tried(client: &kube::Client, namespace: &str, mut object: Value) -> Result<(), String> {
    let text = |pointer: &str| {
        let found = object.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let (version, kind, name) = (text("/apiVersion"), text("/kind"), text("/metadata/name"));
    if version.is_empty() || kind.is_empty() {
        return Err("it has no apiVersion or kind".to_owned());
    }
    if OTHERS.iter().any(|other| version.starts_with(other)) {
        return Ok(());
    }
    let (group, short) = version.split_once('/').unwrap_or(("", version.as_str()));
    let gvk = GroupVersionKind::gvk(group, short, &kind);
    let (resource, capabilities) = pinned_kind(client, &gvk)
        .await
        .map_err(|error| format!("{version} {kind}: {error}"))?;
    let api: Api<DynamicObject> = if capabilities.scope == Scope::Cluster {
        Api::all_with(client.clone(), &resource)
    } else {
        object["metadata"]["namespace"] = json!(namespace);
        Api::namespaced_with(client.clone(), namespace, &resource)
    };
    let mut params = PatchParams::apply("reader").force().validation_strict();
    params.dry_run = true;
    let taken = api.patch(&name, &params, &Patch::Apply(&object)).await;
    taken
        .map(drop)
        .map_err(|error| format!("{kind}/{name}: {error}"))
}

#[tokio::test]
async fn every_example_of_the_pages_is_accepted_by_the_api_server() {
    let plane = testkit::control_plane().await;
    let client = plane.client();
    testkit::install_definitions(&client, &config("crd/bases"))
        .await
        .unwrap();
    let namespace = plane.namespace("examples").await;
    let root = config("../docs").canonicalize().unwrap();
    let mut found = Vec::new();
    pages(&root, &mut found);
    found.sort();
    let (mut faults, mut count) = (Vec::new(), 0);
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        for (line, example) in examples(&text) {
            for object in objects(&example) {
                count += 1;
                if let Err(fault) = tried(&client, namespace.name(), object).await {
                    let page = path.strip_prefix(&root).unwrap().display();
                    faults.push(format!("{page}:{line}: {fault}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count > 50, "{count} examples were found");
}

#[test]
fn examples_are_found_with_their_lines() {
    let text = "a\n```yaml\nb: 1\n```\n```text\nc\n```\n```yaml\nd: 2\ne: 3\n```\n";
    let wanted = [(3, "b: 1".to_owned()), (9, "d: 2\ne: 3".to_owned())];
    assert_eq!(examples(text), wanted);
}
