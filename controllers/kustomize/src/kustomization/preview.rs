//! What a Kustomization would apply, for those who ask before it does.

use api::kustomize::Kustomization;
use kube::Client;
use kustomize::FileTree;
use manifest::normalize;
use serde_json::Value;

use super::{owner, plan, plan::Unbuilt, variables};

/// What would be applied.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    /// The objects, with the labels that say whose they are.
    pub objects: Vec<Value>,
    /// Objects that only the controller's keys open, as `Kind/namespace/name`.
    pub sealed: Vec<String>,
}

/// Builds `path` of `tree` as the controller would, with the variables that the cluster has. Nothing is decrypted.
///
/// # Errors
/// A sentence that says what the controller would say.
pub async fn preview(
    client: &Client,
    object: &Kustomization,
    tree: &dyn FileTree,
    path: &str,
) -> Result<Preview, String> {
    let built = plan::render(object, tree, path, None).map_err(|unbuilt| match unbuilt {
        Unbuilt::Failed(cause) => cause,
        Unbuilt::Missing(_) => "it is built with files of other hosts".to_owned(),
    })?;
    let substitution = variables::read(client, object).await;
    let objects = plan::finish(object, built, substitution, true)?;
    let owner = owner(object);
    let mut preview = Preview::default();
    for mut value in objects.list {
        if value.get("sops").is_some() || normalize::is_encrypted_secret(&value) {
            let (kind, name) = (
                manifest::object::kind(&value),
                manifest::object::name(&value),
            );
            let namespace = manifest::object::namespace(&value);
            preview.sealed.push(format!("{kind}/{namespace}/{name}"));
            continue;
        }
        owner.mark(&mut value);
        preview.objects.push(value);
    }
    Ok(preview)
}
