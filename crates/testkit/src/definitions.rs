//! Brings the custom resource definitions of the repository to a control plane.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt};

/// The API server serves a new definition within a second or two.
const PATIENCE: Duration = Duration::from_secs(30);

/// Applies every definition in a folder (`*.yaml`) and returns when the API server serves them all.
///
/// # Errors
/// When a file is no definition, or the API server refuses one.
pub async fn install_definitions(client: &Client, folder: &Path) -> Result<()> {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    let mut names = Vec::new();
    let files =
        std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for file in files {
        let path = file?.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let file = path.display().to_string();
        let limits = yaml::Limits::default();
        for node in yaml::parse(&text, &file, yaml::Schema::Core, &limits)? {
            let definition: CustomResourceDefinition =
                serde_json::from_value(yaml::to_json(&node)?)
                    .with_context(|| format!("{file} is no definition"))?;
            let name = definition.name_any();
            let params = PatchParams::apply("testkit").force();
            api.patch(&name, &params, &Patch::Apply(&definition))
                .await?;
            names.push(name);
        }
    }
    let deadline = Instant::now() + PATIENCE;
    for name in names {
        while !is_established(&api.get(&name).await?) {
            if Instant::now() > deadline {
                bail!("{name} is not served");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

fn is_established(definition: &CustomResourceDefinition) -> bool {
    let conditions = definition
        .status
        .iter()
        .flat_map(|s| s.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|c| c.type_ == "Established" && c.status == "True")
}
