//! What the types and their definitions promise, without a server: upstream's fields are all there, and nothing is lost
//! between JSON and Rust.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where what it needs is missing"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use api::{
    crd::all_crds,
    helm::HelmRelease,
    image::{ImagePolicy, ImageRepository, ImageUpdateAutomation},
    kustomize::Kustomization,
    notification::{Alert, Event, Provider, Receiver},
    source::{Bucket, ExternalArtifact, GitRepository, HelmChart, HelmRepository, OCIRepository},
};
use facts::{Facts, Fields};
use objects::{Extent, object};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

#[path = "../shared/facts.rs"]
mod facts;
#[path = "../shared/objects.rs"]
mod objects;

/// Where a definition says otherwise than upstream's: kind (`*` for all), versions, path, keyword, and the row of
/// docs/compat/api.md that says why.
const DEVIATIONS: &[(&str, &[&str], &str, &str, &str)] = &[
    (
        "Kustomization",
        &["v1beta1"],
        "spec.kubeConfig",
        "required",
        "API-1",
    ),
    (
        "Kustomization",
        &["v1beta1"],
        "spec.kubeConfig",
        "x-kubernetes-validations",
        "API-1",
    ),
    (
        "HelmRelease",
        &["v2beta1"],
        "spec.kubeConfig",
        "required",
        "API-1",
    ),
    (
        "HelmRelease",
        &["v2beta1"],
        "spec.kubeConfig",
        "x-kubernetes-validations",
        "API-1",
    ),
    (
        "Bucket",
        &["v1beta1", "v1beta2"],
        "spec",
        "x-kubernetes-validations",
        "API-2",
    ),
    (
        "GitRepository",
        &["v1beta1", "v1beta2"],
        "spec",
        "x-kubernetes-validations",
        "API-2",
    ),
    (
        "HelmChart",
        &["v1beta1"],
        "spec",
        "x-kubernetes-validations",
        "API-2",
    ),
    (
        "ImagePolicy",
        &["v1beta1"],
        "spec",
        "x-kubernetes-validations",
        "API-2",
    ),
    (
        "Provider",
        &["v1beta1", "v1beta2"],
        "spec",
        "x-kubernetes-validations",
        "API-2",
    ),
    (
        "Receiver",
        &["v1beta1", "v1beta2"],
        "spec",
        "x-kubernetes-validations",
        "API-2",
    ),
    (
        "Alert",
        &["v1beta1", "v1beta2"],
        "status",
        "default",
        "API-3",
    ),
    (
        "Provider",
        &["v1beta1", "v1beta2"],
        "status",
        "default",
        "API-3",
    ),
    ("Alert", &["v1beta1", "v1beta2"], "", "columns", "API-3"),
    ("Provider", &["v1beta1", "v1beta2"], "", "columns", "API-3"),
    (
        "ImageUpdateAutomation",
        &["v1beta1"],
        "spec.interval",
        "default",
        "API-4",
    ),
    ("Provider", &["v1beta3"], "", "subresources", "API-11"),
    ("ImagePolicy", &["v1beta1"], "", "deprecation", "API-5"),
    ("ImageRepository", &["v1beta1"], "", "deprecation", "API-5"),
    (
        "ImageUpdateAutomation",
        &["v1beta1"],
        "",
        "deprecation",
        "API-5",
    ),
];

/// Properties, with all that is below them, that no version of upstream's definitions has, and the row that says why they
/// are there.
const ADDITIONS: &[(&str, &str, &str)] = &[
    ("ImagePolicy", "status.observedPreviousImage", "API-6"),
    ("ExternalArtifact", "status.artifact.checksum", "API-6"),
    ("OCIRepository", "status.artifact.checksum", "API-6"),
    ("Alert", "spec.recovered", "API-10"),
    ("HelmRelease", "spec.dependsOn[].apiVersion", "API-10"),
    ("HelmRelease", "spec.dependsOn[].kind", "API-10"),
    ("ImageUpdateAutomation", "spec.git.pullRequest", "API-10"),
    ("ImageUpdateAutomation", "status.lastPullRequest", "API-11"),
    ("Kustomization", "spec.continueOnError", "API-10"),
    ("Kustomization", "spec.dependsOn[].apiVersion", "API-10"),
    ("Kustomization", "spec.dependsOn[].kind", "API-10"),
    ("Kustomization", "spec.driftDetection", "API-10"),
    ("Kustomization", "spec.pruneGuard", "API-10"),
    ("Kustomization", "status.drift", "API-11"),
    ("Kustomization", "status.failures", "API-11"),
    ("Provider", "status.lastDeliveryTime", "API-11"),
    ("Provider", "status.lastFailureMessage", "API-11"),
    ("Provider", "status.lastFailureTime", "API-11"),
];

fn root_path(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn excused(used: &mut BTreeSet<usize>, kind: &str, version: &str, path: &str, word: &str) -> bool {
    let found = DEVIATIONS.iter().position(|deviation| {
        deviation.0 == kind
            && deviation.1.contains(&version)
            && deviation.2 == path
            && deviation.3 == word
    });
    used.extend(found);
    found.is_some()
}

/// Lists the fields of a schema by path, without descriptions.
fn flatten(schema: &Value) -> Fields {
    let mut fields = Fields::new();
    flatten_into(&mut fields, "", schema);
    fields
}

fn flatten_into(fields: &mut Fields, path: &str, schema: &Value) {
    let schema = schema.as_object().unwrap();
    let nested = ["properties", "items", "description"];
    let mut own = schema.clone();
    own.retain(|word, value| {
        !(nested.contains(&word.as_str()) || word == "additionalProperties" && value.is_object())
    });
    fields.insert(path.to_owned(), own);
    for (name, property) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        match path {
            "" if ["apiVersion", "kind", "metadata"].contains(&name.as_str()) => {}
            "" => flatten_into(fields, name, property),
            path => flatten_into(fields, &format!("{path}.{name}"), property),
        }
    }
    if let Some(items) = schema.get("items") {
        flatten_into(fields, &format!("{path}[]"), items);
    }
    if let Some(values @ Value::Object(_)) = schema.get("additionalProperties") {
        flatten_into(fields, &format!("{path}{{}}"), values);
    }
}

#[test]
fn every_field_type_validation_and_default_of_upstream_is_there() {
    let (mut wrong, mut compared, mut used) = (Vec::new(), 0, BTreeSet::new());
    let all = Facts::all();
    let crds = all_crds().unwrap();
    assert_eq!(crds.len(), all.len());
    for crd in &crds {
        let facts = &all[crd["spec"]["names"]["kind"].as_str().unwrap()];
        let kind = facts.kind();
        let versions = crd["spec"]["versions"].as_array().unwrap();
        assert_eq!(versions.len(), facts.versions.len(), "{kind}");
        for version in versions {
            let name = version["name"].as_str().unwrap();
            let ours = flatten(&version["schema"]["openAPIV3Schema"]);
            for (path, theirs) in &facts.versions[name].fields {
                compared += 1;
                let Some(ours) = ours.get(path) else {
                    wrong.push(format!("{kind} {name}: no {path}"));
                    continue;
                };
                for word in different(ours, theirs) {
                    if !excused(&mut used, kind, name, path, &word) {
                        let (ours, theirs) = (ours.get(&word), theirs.get(&word));
                        wrong.push(format!(
                            "{kind} {name} {path} {word}: {ours:?} for {theirs:?}"
                        ));
                    }
                }
            }
        }
    }
    assert_eq!(wrong, [] as [String; 0]);
    assert!(compared > 2000, "{compared} fields compared");
    for (index, deviation) in DEVIATIONS.iter().enumerate() {
        let of_version = ["columns", "deprecation", "subresources"].contains(&deviation.3);
        assert!(
            of_version || used.contains(&index),
            "not needed: {deviation:?}"
        );
    }
}

fn different(ours: &Map<String, Value>, theirs: &Map<String, Value>) -> Vec<String> {
    let words: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    words
        .into_iter()
        .filter(|word| ours.get(*word) != theirs.get(*word))
        .cloned()
        .collect()
}

#[test]
fn names_columns_and_warnings_are_upstreams() {
    let (all, mut used) = (Facts::all(), BTreeSet::new());
    for crd in all_crds().unwrap() {
        let facts = &all[crd["spec"]["names"]["kind"].as_str().unwrap()];
        let kind = facts.kind();
        assert_eq!(crd["spec"]["group"], facts.group);
        assert_eq!(crd["spec"]["names"], facts.names);
        let annotations = crd["metadata"]
            .get("annotations")
            .cloned()
            .unwrap_or(Value::Object(Map::new()));
        assert_eq!(annotations, facts.annotations, "{kind}");
        for version in crd["spec"]["versions"].as_array().unwrap() {
            let name = version["name"].as_str().unwrap();
            let theirs = &facts.versions[name];
            let columns = version["additionalPrinterColumns"]
                .as_array()
                .into_iter()
                .flatten();
            let columns = columns.map(|column| {
                let words = ["name", "jsonPath", "type", "priority"];
                words
                    .iter()
                    .filter_map(|word| column.get(word).cloned())
                    .collect::<Vec<_>>()
            });
            if !excused(&mut used, kind, name, "", "columns") {
                assert_eq!(columns.collect::<Vec<_>>(), theirs.columns, "{kind} {name}");
            }
            if !excused(&mut used, kind, name, "", "deprecation") {
                assert_eq!(
                    version["deprecationWarning"].as_str(),
                    theirs.deprecation.as_deref()
                );
            }
            if !excused(&mut used, kind, name, "", "subresources") {
                let status_path = version.get("subresources").is_some();
                assert_eq!(status_path, theirs.status, "{kind} {name}");
            }
        }
    }
}

#[test]
fn all_versions_of_a_kind_have_the_same_properties_and_no_more_than_upstreams() {
    let all = Facts::all();
    for crd in all_crds().unwrap() {
        let facts = &all[crd["spec"]["names"]["kind"].as_str().unwrap()];
        let kind = facts.kind();
        let union = facts
            .versions
            .values()
            .flat_map(|version| version.fields.keys().cloned());
        let added = ADDITIONS
            .iter()
            .filter(|(of, _, _)| *of == kind)
            .map(|(_, path, _)| *path)
            .collect::<Vec<_>>();
        let expected: BTreeSet<_> = union.collect();
        for version in crd["spec"]["versions"].as_array().unwrap() {
            let ours = flatten(&version["schema"]["openAPIV3Schema"]);
            let (more, ours): (BTreeSet<_>, BTreeSet<_>) = ours
                .into_keys()
                .partition(|path| added.iter().any(|addition| is_within(path, addition)));
            assert_eq!(ours, expected, "{kind} {}", version["name"]);
            for addition in &added {
                assert!(
                    more.contains(*addition),
                    "{kind} {} {addition}",
                    version["name"]
                );
            }
        }
    }
}

/// Says whether a path is another or below it.
fn is_within(path: &str, other: &str) -> bool {
    let rest = path.strip_prefix(other);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', '{']))
}

#[test]
fn every_extension_is_an_addition_and_every_added_field_has_an_annotation() {
    let entries = api::extension::entries().flat_map(|entry| {
        let kinds = entry.kinds.iter();
        kinds.map(move |kind| (*kind, entry.path))
    });
    let with_annotation: BTreeSet<_> = entries.collect();
    let added = ADDITIONS
        .iter()
        .filter(|(_, path, row)| *row == "API-10" && !path.ends_with("apiVersion"));
    let added: BTreeSet<_> = added.map(|(kind, path, _)| (*kind, *path)).collect();
    assert_eq!(with_annotation, added);
}

#[test]
fn every_deviation_has_a_row_in_the_documentation() {
    let text = std::fs::read_to_string(root_path("docs/compat/api.md")).unwrap();
    let rows: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next())
        .collect();
    let used = DEVIATIONS.iter().map(|deviation| deviation.4);
    for id in used.chain(ADDITIONS.iter().map(|addition| addition.2)) {
        assert!(rows.contains(id), "{id}");
    }
}

#[test]
fn every_field_has_a_description() {
    for crd in all_crds().unwrap() {
        for version in crd["spec"]["versions"].as_array().unwrap() {
            let properties = &version["schema"]["openAPIV3Schema"]["properties"];
            for part in ["spec", "status"] {
                described(&properties[part], part);
            }
        }
    }
}

fn described(schema: &Value, path: &str) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        assert!(
            property["description"]
                .as_str()
                .is_some_and(|text| text.len() > 3),
            "{path}"
        );
        described(property, &path);
        described(&property["items"], &path);
        described(&property["additionalProperties"], &path);
    }
}

/// Reads JSON into the Rust type of its kind and writes it again.
fn through_types(json: &Value) -> Value {
    fn through<T: Serialize + DeserializeOwned>(json: &Value) -> Value {
        let typed: T = serde_json::from_value(json.clone())
            .unwrap_or_else(|error| panic!("{error}: {json:#}"));
        serde_json::to_value(typed).unwrap()
    }
    match json["kind"].as_str().unwrap() {
        "Alert" => through::<Alert>(json),
        "Bucket" => through::<Bucket>(json),
        "ExternalArtifact" => through::<ExternalArtifact>(json),
        "GitRepository" => through::<GitRepository>(json),
        "HelmChart" => through::<HelmChart>(json),
        "HelmRelease" => through::<HelmRelease>(json),
        "HelmRepository" => through::<HelmRepository>(json),
        "ImagePolicy" => through::<ImagePolicy>(json),
        "ImageRepository" => through::<ImageRepository>(json),
        "ImageUpdateAutomation" => through::<ImageUpdateAutomation>(json),
        "Kustomization" => through::<Kustomization>(json),
        "OCIRepository" => through::<OCIRepository>(json),
        "Provider" => through::<Provider>(json),
        "Receiver" => through::<Receiver>(json),
        kind => panic!("no type for {kind}"),
    }
}

/// Objects and event bodies as upstream's controllers left and sent them, each a file or a line. Where a time or a size was not
/// recorded, one was filled in.
#[test]
fn recorded_objects_read_back_equal() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    let mut counts = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        for value in values.map(Result::unwrap) {
            let (kind, read, json) = match value.get("body") {
                Some(body) => {
                    let event: Event = serde_json::from_value(body.clone()).unwrap();
                    ("Event", serde_json::to_value(event).unwrap(), body)
                }
                None => (
                    value["kind"].as_str().unwrap(),
                    through_types(&value),
                    &value,
                ),
            };
            assert_eq!(&read, json, "{}", path.display());
            *counts.entry(kind.to_owned()).or_insert(0) += 1;
        }
    }
    let total: usize = counts.values().sum();
    assert!(total > 100 && counts.len() > 10, "{total}: {counts:?}");
}

#[test]
fn objects_with_every_property_read_back_equal() {
    let mut count = 0;
    for crd in all_crds().unwrap() {
        let kind = crd["spec"]["names"]["kind"].as_str().unwrap();
        let group = crd["spec"]["group"].as_str().unwrap();
        let versions = crd["spec"]["versions"].as_array().unwrap();
        let newest = versions
            .iter()
            .find(|version| version["storage"] == true)
            .unwrap();
        let (name, root) = (
            newest["name"].as_str().unwrap(),
            &newest["schema"]["openAPIV3Schema"],
        );
        for extent in [Extent::Full, Extent::Minimal] {
            for variant in 0..2 {
                let Some(json) = object(kind, group, name, root, extent, variant) else {
                    continue;
                };
                assert_eq!(through_types(&json), json, "{kind}");
                count += 1;
            }
        }
    }
    assert_eq!(count, 14 * 2 + 4 * 2);
}

#[test]
fn unknown_fields_and_missing_parts_are_no_error() {
    let json = serde_json::json!({
        "metadata": {}, "spec": { "url": "u", "interval": "1m", "later": { "field": 1 } }, "status": { "later": true },
    });
    let object: GitRepository = serde_json::from_value(json).unwrap();
    assert_eq!(object.spec.url, "u");
    for empty in [serde_json::json!({ "metadata": {} }), serde_json::json!({})] {
        let object: Kustomization = serde_json::from_value(empty).unwrap();
        assert_eq!(
            (object.spec.source_ref.name.as_str(), object.status),
            ("", None)
        );
    }
}
