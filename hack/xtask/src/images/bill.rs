//! What an image is made of, and how: SPDX 2.3 and in-toto.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Origin, layout::Blob};
use crate::repository;

/// Returns the SPDX document of a program: every crate that its package is built from.
///
/// # Errors
/// When cargo does not tell.
pub(super) fn spdx(name: &str, package: &str, origin: &Origin) -> Result<Vec<u8>> {
    let metadata = metadata()?;
    let empty = Vec::new();
    let packages = metadata["packages"].as_array().unwrap_or(&empty);
    let by_id: BTreeMap<&str, &Value> = packages
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap_or(&empty);
    let needs: BTreeMap<&str, Vec<&str>> = nodes
        .iter()
        .filter_map(|node| Some((node["id"].as_str()?, normal_dependencies(node))))
        .collect();
    let root = by_id
        .iter()
        .find(|(_, found)| found["name"] == package)
        .map(|(id, _)| *id)
        .with_context(|| format!("cargo knows no package {package}"))?;
    let mut reached = BTreeSet::new();
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        if reached.insert(id) {
            open.extend(needs.get(id).into_iter().flatten());
        }
    }
    let listed: Vec<Value> = reached
        .iter()
        .filter_map(|id| by_id.get(id))
        .map(|package| entry(package))
        .collect();
    let relations = reached.iter().filter_map(|id| by_id.get(id)).map(|package| {
        json!({"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": reference(package)})
    });
    let created = jiff::Timestamp::from_second(i64::try_from(origin.time)?)?.to_string();
    let document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("{name}-{}", origin.version),
        "documentNamespace": format!("https://lockgate.dev/spdx/{name}/{}", origin.commit),
        "creationInfo": {"created": created, "creators": ["Tool: cargo-xtask-images"]},
        "packages": listed,
        "relationships": relations.collect::<Vec<_>>(),
    });
    serde_json::to_vec(&document).context("writing a bill of materials")
}

/// What is linked in: neither what builds nor what tests.
fn normal_dependencies(node: &Value) -> Vec<&str> {
    let dependencies = node["deps"].as_array().into_iter().flatten();
    let is_normal = |dependency: &&Value| {
        let kinds = dependency["dep_kinds"].as_array();
        kinds.is_none_or(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
    };
    dependencies
        .filter(is_normal)
        .filter_map(|dependency| dependency["pkg"].as_str())
        .collect()
}

fn reference(package: &Value) -> String {
    let text = |key: &str| package[key].as_str().unwrap_or_default();
    let name = format!("{}-{}", text("name"), text("version"));
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let name: String = name
        .chars()
        .map(|c| if allowed(c) { c } else { '-' })
        .collect();
    format!("SPDXRef-{name}")
}

fn entry(package: &Value) -> Value {
    let text = |key: &str| package[key].as_str().unwrap_or_default();
    let (name, version) = (text("name"), text("version"));
    let licence = match text("license") {
        "" => "NOASSERTION".to_owned(),
        // Cargo's older form of "either".
        licence => licence.replace('/', " OR "),
    };
    json!({
        "SPDXID": reference(package),
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": format!("pkg:cargo/{name}@{version}"),
        }],
    })
}

/// Returns an in-toto statement with an SLSA provenance predicate.
///
/// Source: <https://slsa.dev/spec/v1.0/provenance>
pub(super) fn provenance(name: &str, image: &Blob, origin: &Origin) -> Result<Vec<u8>> {
    let digest = image.digest.trim_start_matches("sha256:");
    let rustc = Command::new("rustc")
        .arg("-V")
        .output()
        .context("running rustc")?;
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://lockgate.dev/cargo-xtask-images/v1",
                "externalParameters": {"program": name, "architecture": origin.architecture},
                "internalParameters": {"rustc": String::from_utf8_lossy(&rustc.stdout).trim()},
                "resolvedDependencies": [{"name": "lockgate", "digest": {"gitCommit": origin.commit}}],
            },
            "runDetails": {"builder": {"id": "https://lockgate.dev/cargo-xtask-images"}},
        },
    });
    serde_json::to_vec(&statement).context("writing a provenance statement")
}

fn metadata() -> Result<Value> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(repository::root())
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .output()
        .context("running cargo metadata")?;
    ensure!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("reading cargo metadata")
}
