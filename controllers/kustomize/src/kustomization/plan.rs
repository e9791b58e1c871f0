//! Builds the objects of a Kustomization. Pure.

use std::{collections::BTreeMap, sync::Arc};

use api::{
    kustomize::{BuildMetadata, Kustomization},
    meta::Selector,
};
use kustomize::{
    Build, FileTree, Options, OverlayTree, Remote, RemoteSource,
    generate::{self, Injection},
};
use manifest::{
    ObjectId,
    metadata::{set_annotations, set_labels},
    substitute::substitute_all,
};
use runtime::{Failure, Next};
use serde_json::Value;

use super::{
    decrypt::Keys,
    gather::Inputs,
    report::{self, Outcome, Revision},
    variables::Substitution,
};
use crate::remote::Answers;

/// What is to be applied.
#[derive(Debug)]
pub struct Plan {
    /// The revision that the objects were built from.
    pub revision: Revision,
    /// What was built.
    pub content: Content,
    /// The Kustomization's own rules of health.
    pub rules: Arc<expression::health::Rules>,
    /// Whether the revision was not attempted before.
    pub is_new_revision: bool,
}

/// What a build came to.
#[derive(Debug)]
pub enum Content {
    /// Objects that are ready to be applied.
    Open(Objects),
    /// Nothing yet: it lacks what other hosts have.
    Missing(Vec<RemoteSource>),
    /// Objects that have to be decrypted first, with what is done to them then.
    Sealed(Box<Sealed>),
}

/// Objects that are ready to be applied.
#[derive(Debug)]
pub struct Objects {
    /// The objects in the order that they were built.
    pub list: Vec<Value>,
    /// `sha256:<hex>` of the YAML that the build printed.
    pub digest: String,
    /// Where each object was written, by its printed id.
    pub origins: BTreeMap<String, String>,
}

/// A build whose objects may be encrypted.
#[derive(Debug)]
pub struct Sealed {
    /// The objects.
    pub built: Build,
    /// Opens them.
    pub keys: Keys,
    substitution: Result<Substitution, String>,
    strict: bool,
}

/// Builds, substitutes and marks the objects.
pub(super) fn build(
    object: &Kustomization,
    inputs: Inputs,
) -> Result<Next<Plan, Outcome>, Failure> {
    let Inputs {
        revision,
        tree,
        path,
        substitution,
        build: settings,
        rules,
        decryption,
        remote,
        is_new_revision,
    } = inputs;
    let failed = |cause: String| report::failed(&revision, "BuildFailed", cause);
    let (keys, opened) = decryption.map_or_else(Default::default, |d| (Some(d.keys), d.files));
    let mut files = OverlayTree::new(tree.as_ref());
    for (file, content) in opened {
        files.insert(&file, content);
    }
    let built = match render(object, &files, &path, remote.as_ref()) {
        Ok(built) => built,
        Err(Unbuilt::Missing(sources)) => {
            return Ok(Next::More(Plan {
                revision,
                content: Content::Missing(sources),
                rules,
                is_new_revision,
            }));
        }
        Err(Unbuilt::Failed(cause)) => return Err(failed(cause)),
    };
    for warning in &built.warnings {
        tracing::info!(warning, "kustomize build");
    }
    let strict = settings.strict_substitution;
    let content = match keys {
        Some(keys) => Content::Sealed(Box::new(Sealed {
            built,
            keys,
            substitution,
            strict,
        })),
        None => Content::Open(finish(object, built, substitution, strict).map_err(failed)?),
    };
    Ok(Next::Last(Plan {
        revision,
        content,
        rules,
        is_new_revision,
    }))
}

impl Sealed {
    /// Substitutes and marks objects that were decrypted.
    pub(super) fn finish(
        self,
        object: &Kustomization,
        revision: &Revision,
    ) -> Result<Objects, Failure> {
        let Self {
            built,
            substitution,
            strict,
            ..
        } = self;
        finish(object, built, substitution, strict)
            .map_err(|cause| report::failed(revision, "BuildFailed", cause))
    }
}

/// Why nothing was built.
#[derive(Debug)]
pub(super) enum Unbuilt {
    /// It lacks what other hosts have.
    Missing(Vec<RemoteSource>),
    /// It cannot be built.
    Failed(String),
}

/// Builds a directory as the spec says.
pub(super) fn render(
    object: &Kustomization,
    files: &dyn FileTree,
    path: &str,
    remote: Option<&Answers>,
) -> Result<Build, Unbuilt> {
    let overlay = generate::overlay(files, path, &injection(object))
        .map_err(|error| Unbuilt::Failed(error.to_string()))?;
    let options = Options {
        load_restrictions: kustomize::LoadRestrictions::None,
        lenient_root: true,
        keep_built_in_schema: true,
        remote: remote.map_or(Remote::Refused, Remote::Fetched),
        ..Options::default()
    };
    match kustomize::build(&overlay, path, &options) {
        Ok(built) => check_identity(built).map_err(Unbuilt::Failed),
        Err(kustomize::Error::Missing(sources)) => Err(Unbuilt::Missing(sources)),
        Err(error) => Err(Unbuilt::Failed(format!("kustomize build failed: {error}"))),
    }
}

/// Substitutes and marks objects.
pub(super) fn finish(
    object: &Kustomization,
    mut built: Build,
    substitution: Result<Substitution, String>,
    strict: bool,
) -> Result<Objects, String> {
    let substitution = substitution.map_err(|cause| blame_first(&built, &cause))?;
    if substitution.applies() {
        substitute(object, &mut built, &substitution, strict)?;
    }
    let yaml = built
        .to_yaml()
        .map_err(|error| format!("kustomize build failed: {error}"))?;
    let digest = digest(&yaml);
    let mut objects = Vec::with_capacity(built.resources.len());
    let mut origins = BTreeMap::new();
    for resource in built.resources {
        let id = ObjectId::of(&resource.object).to_string();
        let place = resource.origin;
        origins.insert(id, format!("{}:{}", place.file, place.line));
        expand(resource.object, &mut objects);
    }
    if let Some(common) = &object.spec.common_metadata {
        for each in &mut objects {
            set_labels(each, &common.labels);
            set_annotations(each, &common.annotations);
        }
    }
    Ok(Objects {
        list: objects,
        digest,
        origins,
    })
}

/// Variables that cannot be had fail the first object that would need them, as upstream tells it.
fn blame_first(built: &Build, cause: &str) -> String {
    let Some(first) = built.resources.first() else {
        return format!("post build failed: {cause}");
    };
    let gvk = manifest::substitute::engine_type(&first.object);
    let name = manifest::object::name(&first.object);
    format!("post build failed for '{gvk}/{name}': {cause}")
}

/// Replaces the variables of every object that does not opt out.
fn substitute(
    object: &Kustomization,
    built: &mut Build,
    substitution: &Substitution,
    strict: bool,
) -> Result<(), String> {
    let mut values: Vec<Value> = built
        .resources
        .iter_mut()
        .map(|r| r.object.take())
        .collect();
    let owner = super::owner(object);
    substitute_all(&mut values, &owner, &substitution.variables, strict)
        .map_err(|errors| errors.to_string())?;
    for (resource, value) in built.resources.iter_mut().zip(values) {
        resource.object = value;
    }
    Ok(())
}

/// Every object needs a name, a kind and a version; all that lack one are told.
fn check_identity(build: Build) -> Result<Build, String> {
    let lacks = |object: &Value| {
        let text = |v: Option<&Value>| v.and_then(Value::as_str).is_some_and(|s| !s.is_empty());
        let name = text(object.get("metadata").and_then(|m| m.get("name")));
        !(name && text(object.get("kind")) && text(object.get("apiVersion")))
    };
    let bad: Vec<_> = build
        .resources
        .iter()
        .filter(|r| lacks(&r.object))
        .collect();
    if bad.is_empty() {
        return Ok(build);
    }
    let places = bad
        .iter()
        .map(|r| r.origin.to_string())
        .collect::<Vec<_>>()
        .join(", ");
    Err(format!(
        "failed to decode Kubernetes apiVersion, kind and name from: {places}"
    ))
}

/// Lists become their items; kustomize's own files are no objects.
fn expand(object: Value, into: &mut Vec<Value>) {
    let kind = manifest::object::kind(&object);
    if kind == "Kustomization" && manifest::object::group(&object) == "kustomize.config.k8s.io" {
        tracing::warn!("a kustomize.config.k8s.io Kustomization among the objects is left out");
        return;
    }
    let is_list = kind.ends_with("List") && object.get("items").is_some_and(Value::is_array);
    match object {
        Value::Object(mut map) if is_list => {
            if let Some(Value::Array(items)) = map.remove("items") {
                for item in items {
                    expand(item, into);
                }
            }
        }
        object => into.push(object),
    }
}

fn digest(yaml: &str) -> String {
    use sha2::{Digest, Sha256};
    format!("sha256:{}", hex::encode(Sha256::digest(yaml.as_bytes())))
}

/// What the spec adds to the kustomization file.
fn injection(object: &Kustomization) -> Injection {
    let spec = &object.spec;
    Injection {
        target_namespace: spec.target_namespace.clone(),
        name_prefix: spec.name_prefix.clone(),
        name_suffix: spec.name_suffix.clone(),
        patches: spec
            .all_patches()
            .iter()
            .map(|p| generate::Patch {
                patch: p.patch.clone(),
                target: p.target.as_ref().map(selector),
            })
            .collect(),
        components: spec.components.clone(),
        ignore_missing_components: spec.ignore_missing_components.unwrap_or(false),
        images: spec
            .images
            .iter()
            .map(|i| generate::Image {
                name: i.name.clone(),
                new_name: i.new_name.clone().unwrap_or_default(),
                new_tag: i.new_tag.clone().unwrap_or_default(),
                digest: i.digest.clone().unwrap_or_default(),
            })
            .collect(),
        build_metadata: spec
            .build_metadata
            .iter()
            .map(|m| build_metadata(*m).to_owned())
            .collect(),
    }
}

fn build_metadata(option: BuildMetadata) -> &'static str {
    match option {
        BuildMetadata::OriginAnnotations => "originAnnotations",
        BuildMetadata::TransformerAnnotations => "transformerAnnotations",
    }
}

fn selector(target: &Selector) -> generate::Selector {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    generate::Selector {
        group: text(&target.group),
        version: text(&target.version),
        kind: text(&target.kind),
        name: text(&target.name),
        namespace: text(&target.namespace),
        annotation_selector: text(&target.annotation_selector),
        label_selector: text(&target.label_selector),
    }
}

#[cfg(test)]
mod tests;
