//! Service accounts bound to a cloud's identities.

use std::sync::Arc;

use yaml::Node;

use crate::error::{Error, Place};
use crate::resource::Resource;
use crate::tree;

/// Makes the ServiceAccount an `IAMPolicyGenerator` asks for.
///
/// # Errors
/// For any cloud but `gke`.
pub(crate) fn generate(config: &Node, place: &Place) -> Result<Resource, Error> {
    let text = |path: &[&str]| config.at(path).map_or("", Node::text);
    let cloud = text(&["cloud"]);
    if cloud != "gke" {
        let text = format!("cloud provider {cloud} not supported yet");
        return Err(Error::at(place.clone(), text));
    }
    let account = format!(
        "{}@{}.iam.gserviceaccount.com",
        text(&["serviceAccount", "name"]),
        text(&["serviceAccount", "projectId"])
    );
    let mut meta = tree::strings([("name", text(&["kubernetesService", "name"]))]);
    let namespace = text(&["kubernetesService", "namespace"]);
    if !namespace.is_empty() {
        meta.insert("namespace", Node::string(namespace));
    }
    let key = "iam.gke.io/gcp-service-account";
    meta.insert("annotations", tree::strings([(key, account.as_str())]));
    let mut object = tree::strings([("apiVersion", "v1"), ("kind", "ServiceAccount")]);
    object.insert("metadata", meta);
    let mut resource = Resource::new(object, &Arc::from(place.file.as_str()));
    resource.line = place.line;
    Ok(resource)
}
