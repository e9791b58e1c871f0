//! CustomResourceDefinitions, made from the Rust types and the table of served versions.

use std::fmt;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    helm, image, kustomize, notification, schema,
    served::{self, Difference, Kind, Version},
    source,
};

/// Says that the table of served versions names a part that the schema does not have.
#[derive(Debug)]
pub struct CrdError {
    kind: &'static str,
    version: &'static str,
    path: &'static str,
}

impl fmt::Display for CrdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            version,
            path,
        } = self;
        write!(
            f,
            "{kind} {version}: no {path:?} in the schema, or its difference is no JSON"
        )
    }
}

impl std::error::Error for CrdError {}

/// Returns the definitions of all kinds, in the order of [`served::kinds`].
///
/// # Errors
/// [`CrdError`] where the table of served versions does not fit the types.
pub fn all_crds() -> Result<Vec<Value>, CrdError> {
    served::kinds().map(definition).collect()
}

/// Returns the schemas of spec and status of a kind as the stored version has them.
#[must_use]
pub fn schemas(kind: &Kind) -> Option<(Value, Value)> {
    Some(match kind.kind {
        "Alert" => of::<notification::AlertSpec, notification::AlertStatus>(),
        "Bucket" => of::<source::BucketSpec, source::BucketStatus>(),
        "ExternalArtifact" => of::<source::ExternalArtifactSpec, source::ExternalArtifactStatus>(),
        "GitRepository" => of::<source::GitRepositorySpec, source::GitRepositoryStatus>(),
        "HelmChart" => of::<source::HelmChartSpec, source::HelmChartStatus>(),
        "HelmRelease" => of::<helm::HelmReleaseSpec, helm::HelmReleaseStatus>(),
        "HelmRepository" => of::<source::HelmRepositorySpec, source::HelmRepositoryStatus>(),
        "ImagePolicy" => of::<image::ImagePolicySpec, image::ImagePolicyStatus>(),
        "ImageRepository" => of::<image::ImageRepositorySpec, image::ImageRepositoryStatus>(),
        "ImageUpdateAutomation" => {
            of::<image::ImageUpdateAutomationSpec, image::ImageUpdateAutomationStatus>()
        }
        "Kustomization" => of::<kustomize::KustomizationSpec, kustomize::KustomizationStatus>(),
        "OCIRepository" => of::<source::OCIRepositorySpec, source::OCIRepositoryStatus>(),
        "Provider" => of::<notification::ProviderSpec, notification::ProviderStatus>(),
        "Receiver" => of::<notification::ReceiverSpec, notification::ReceiverStatus>(),
        _ => return None,
    })
}

fn of<Spec: JsonSchema, Status: JsonSchema>() -> (Value, Value) {
    (plain::<Spec>(), plain::<Status>())
}

fn plain<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| {
        s.inline_subschemas = true;
        s.meta_schema = None;
    });
    schema::structural(
        settings
            .into_generator()
            .into_root_schema_for::<T>()
            .to_value(),
    )
}

/// Makes the definition of one kind.
///
/// # Errors
/// [`CrdError`] where the table of served versions does not fit the types.
pub fn definition(kind: &Kind) -> Result<Value, CrdError> {
    let mut versions = kind.versions.iter().collect::<Vec<_>>();
    versions.sort_by_key(|version| version.name);
    let versions = versions
        .into_iter()
        .map(|version| describe(kind, version))
        .collect::<Result<Vec<_>, _>>()?;
    let mut names = json!({
        "categories": kind.categories,
        "kind": kind.kind,
        "listKind": format!("{}List", kind.kind),
        "plural": kind.plural,
        "singular": kind.kind.to_lowercase(),
    });
    if !kind.short_names.is_empty() {
        names["shortNames"] = json!(kind.short_names);
    }
    let mut metadata = json!({ "name": kind.definition_name() });
    if !kind.annotations.is_empty() {
        let annotations = kind
            .annotations
            .iter()
            .map(|(k, v)| ((*k).to_owned(), json!(v)));
        metadata["annotations"] = Value::Object(annotations.collect());
    }
    Ok(json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata,
        "spec": {
            "group": kind.group,
            "names": names,
            "scope": "Namespaced",
            "versions": versions,
        },
    }))
}

fn describe(kind: &Kind, version: &Version) -> Result<Value, CrdError> {
    let missing = |path| CrdError {
        kind: kind.kind,
        version: version.name,
        path,
    };
    let (spec, status) = schemas(kind).ok_or_else(|| missing("spec"))?;
    let mut root = json!({
        "description": kind.about,
        "type": "object",
        "properties": {
            "apiVersion": {
                "type": "string",
                "description": "Group and version of the object's schema.",
            },
            "kind": { "type": "string", "description": "Name of the object's kind." },
            "metadata": { "type": "object" },
            "spec": spec,
            "status": status,
        },
    });
    if version.fresh_status {
        root["properties"]["status"]["default"] = json!({ "observedGeneration": -1 });
    }
    for Difference(path, patch) in version.differences {
        let patch = serde_json::from_str(patch).map_err(|_| missing(path))?;
        let part = part_mut(&mut root, path).ok_or_else(|| missing(path))?;
        merge(part, patch);
    }
    name_defaults(&mut root);
    let columns = version.columns.iter().map(|column| {
        let mut shown =
            json!({ "name": column.name, "jsonPath": column.path, "type": column.kind });
        if column.wide {
            shown["priority"] = json!(1);
        }
        shown
    });
    let mut described = json!({
        "name": version.name,
        "served": true,
        "storage": version.name == kind.storage().name,
        "schema": { "openAPIV3Schema": root },
    });
    if !version.columns.is_empty() {
        described["additionalPrinterColumns"] = columns.collect();
    }
    if version.status_path {
        described["subresources"] = json!({ "status": {} });
    }
    if let Some(warning) = kind.deprecation(version) {
        described["deprecated"] = json!(true);
        described["deprecationWarning"] = json!(warning);
    }
    Ok(described)
}

/// Adds to each description what the API server fills in, where the description does not say it.
fn name_defaults(schema: &mut Value) {
    let default = schema
        .get("default")
        .filter(|value| !value.is_object() && !value.is_array());
    let text = default.map(|value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    });
    let unsaid =
        |text: &str, description: &str| !description.contains(&format!("Default: `{text}`"));
    if let (Some(text), Some(description)) = (text, schema["description"].as_str())
        && unsaid(&text, description)
    {
        let (first, rest) = match description.find("\n- `") {
            Some(at) => description.split_at(at),
            None => (description, ""),
        };
        schema["description"] = json!(format!("{first} Default: `{text}`.{rest}"));
    }
    for part in ["items", "additionalProperties"] {
        schema.get_mut(part).map(name_defaults);
    }
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(Map::values_mut) {
        name_defaults(property);
    }
}

/// Finds a part of a schema by its path.
fn part_mut<'a>(root: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    path.split('.').try_fold(root, |part, step| {
        let name = step.trim_end_matches("[]");
        let mut part = part.get_mut("properties")?.get_mut(name)?;
        for _ in 0..(step.len() - name.len()) / 2 {
            part = part.get_mut("items")?;
        }
        Some(part)
    })
}

/// Applies a JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(&key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_of_a_part_that_is_not_there_is_an_error() {
        let mut kind = *served::kinds().find(|kind| kind.kind == "Alert").unwrap();
        let mut versions = kind.versions.to_vec();
        versions[1].differences = &[Difference("spec.eventSources[].nothing", "{}")];
        kind.versions = versions.leak();
        let error = definition(&kind).unwrap_err().to_string();
        assert!(
            error.contains("Alert v1beta2: no \"spec.eventSources[].nothing\""),
            "{error}"
        );
    }

    #[test]
    fn descriptions_name_what_is_filled_in() {
        let mut schema = json!({
            "properties": {
                "a": { "description": "What.\n- `x`: X.", "default": "x" },
                "b": { "description": "What. Default: `7`.", "default": 7 },
                "c": { "items": { "description": "What.", "default": false } },
            },
        });
        name_defaults(&mut schema);
        let properties = &schema["properties"];
        assert_eq!(
            properties["a"]["description"],
            "What. Default: `x`.\n- `x`: X."
        );
        assert_eq!(properties["b"]["description"], "What. Default: `7`.");
        assert_eq!(
            properties["c"]["items"]["description"],
            "What. Default: `false`."
        );
    }

    #[test]
    fn differences_are_merge_patches() {
        let mut part = json!({ "pattern": "a", "enum": ["x"], "type": "string" });
        merge(
            &mut part,
            json!({ "pattern": null, "enum": ["y"], "maxLength": 3 }),
        );
        assert_eq!(
            part,
            json!({ "enum": ["y"], "type": "string", "maxLength": 3 })
        );
    }
}
