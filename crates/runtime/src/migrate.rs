//! Objects stored at older versions, and installed definitions that know less than the controller does.
//!
//! The API server keeps an object at the version that was stored when it was last written, and refuses to drop a
//! version that any object may be stored at. [`run`] writes such objects again at start, unchanged, and then says so in
//! the definition. It also warns where an installed definition would refuse or cut what users apply.

use std::collections::BTreeSet;

use api::served::Kind;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps,
    JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::{
    Client, ResourceExt as _,
    api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{Note, events::Recorder};

/// How many objects one page of a list holds.
const PAGE: u32 = 500;

/// How many dropped fields of upstream's a warning names.
const NAMED: usize = 5;

/// Says why a definition could not be looked at, or its objects not be written again.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The definition could not be read.
    #[error("cannot read the definition")]
    Read(#[source] kube::Error),
    /// The objects could not be listed.
    #[error("cannot list the objects")]
    List(#[source] kube::Error),
    /// Some objects could not be written; the definition still names their versions.
    #[error("{left} of {total} objects could not be written again, first {first}")]
    Write {
        /// How many could not be written.
        left: usize,
        /// How many there are.
        total: usize,
        /// Namespace and name of the first.
        first: String,
        /// Why not.
        #[source]
        source: kube::Error,
    },
    /// The definition's list of stored versions could not be written.
    #[error("cannot write the stored versions")]
    Status(#[source] kube::Error),
}

/// What was written again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// Versions that objects may have been stored at.
    pub from: Vec<String>,
    /// The version that they are stored at now.
    pub to: String,
    /// How many objects there are.
    pub objects: usize,
}

/// Reason of the event that tells what an installed definition would refuse or cut.
const NARROWER: &str = "NarrowerDefinition";

/// Looks at the definitions of kinds: warns of what they would refuse or cut, in the log and as an event of the definition,
/// and, if `enabled`, writes objects of older stored versions again.
///
/// A controller starts whether or not this succeeds. A definition that is not installed is passed over, and all are where
/// the controller may not read definitions. Needs `get` on `customresourcedefinitions`, `patch` on their `status`, and
/// `list` and `patch` on the kinds.
pub async fn run(
    client: &Client,
    recorder: &Recorder,
    kinds: impl IntoIterator<Item = &Kind>,
    enabled: bool,
) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for kind in kinds {
        let name = kind.definition_name();
        let definition = match definitions.get_opt(&name).await {
            Ok(Some(definition)) => definition,
            Ok(None) => continue,
            // Upstream's roles do not allow it; those who keep them are not to be told at every start.
            Err(kube::Error::Api(status)) if status.code == 403 => {
                tracing::info!(definition = %name, "definitions are not looked at: may not read them");
                return;
            }
            Err(error) => {
                warn(&name, &MigrateError::Read(error));
                continue;
            }
        };
        let narrower = shortcomings(kind, &definition).join("; ");
        if !narrower.is_empty() {
            tracing::warn!(definition = %name, narrower, "definition is narrower than the controller's");
            let message = format!("Definition is narrower than the controller's: {narrower}");
            recorder.emit(&definition, Note::error(NARROWER, message));
        }
        if !enabled {
            continue;
        }
        match migrate(client, &definition).await {
            Ok(Some(done)) => tracing::info!(
                definition = %name,
                from = %done.from.join(","),
                to = %done.to,
                objects = done.objects,
                "stored objects migrated"
            ),
            Ok(None) => {}
            Err(error) => warn(&name, &error),
        }
    }
}

fn warn(name: &str, error: &MigrateError) {
    let source = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(definition = %name, %error, source, "stored objects not migrated");
}

/// Writes the objects of a definition again where they may be stored at an older version; `None` where none is.
///
/// # Errors
/// [`MigrateError`]; the definition then still names the older versions, and the next start tries again.
pub async fn migrate(
    client: &Client,
    definition: &CustomResourceDefinition,
) -> Result<Option<Migrated>, MigrateError> {
    let Some(storage) = definition
        .spec
        .versions
        .iter()
        .find(|version| version.storage)
    else {
        return Ok(None);
    };
    let stored = definition
        .status
        .as_ref()
        .and_then(|status| status.stored_versions.clone());
    let older = stored
        .unwrap_or_default()
        .into_iter()
        .filter(|name| *name != storage.name);
    let from = older.collect::<Vec<_>>();
    if from.is_empty() {
        return Ok(None);
    }
    let resource = resource_of(definition, storage);
    let objects = rewrite_all(client, &resource).await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    // The resource version makes sure that no other version was stored since the definition was read.
    let status = json!({
        "metadata": { "resourceVersion": definition.resource_version() },
        "status": { "storedVersions": [storage.name] },
    });
    definitions
        .patch_status(
            &definition.name_any(),
            &PatchParams::default(),
            &Patch::Merge(&status),
        )
        .await
        .map_err(MigrateError::Status)?;
    Ok(Some(Migrated {
        from,
        to: storage.name.clone(),
        objects,
    }))
}

fn resource_of(
    definition: &CustomResourceDefinition,
    version: &CustomResourceDefinitionVersion,
) -> ApiResource {
    let (group, names) = (&definition.spec.group, &definition.spec.names);
    ApiResource {
        group: group.clone(),
        version: version.name.clone(),
        api_version: format!("{group}/{}", version.name),
        kind: names.kind.clone(),
        plural: names.plural.clone(),
    }
}

/// Writes every object with nothing changed, which stores it at the version of today; returns how many there are.
async fn rewrite_all(client: &Client, resource: &ApiResource) -> Result<usize, MigrateError> {
    let all: Api<DynamicObject> = Api::all_with(client.clone(), resource);
    let (mut total, mut left, mut failure) = (0, 0, None);
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = all
            .list_metadata(&params)
            .await
            .map_err(MigrateError::List)?;
        for object in page.items {
            total += 1;
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            let one: Api<DynamicObject> =
                Api::namespaced_with(client.clone(), &namespace, resource);
            let nothing = Patch::Merge(json!({}));
            match one.patch(&name, &PatchParams::default(), &nothing).await {
                Ok(_) => {}
                // It was deleted since it was listed.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => {
                    left += 1;
                    failure.get_or_insert((format!("{namespace}/{name}"), error));
                }
            }
        }
        match page.metadata.continue_ {
            Some(token) if !token.is_empty() => params = params.continue_token(&token),
            _ => break,
        }
    }
    match failure {
        Some((first, source)) => Err(MigrateError::Write {
            left,
            total,
            first,
            source,
        }),
        None => Ok(total),
    }
}

/// Lists what an installed definition would refuse or cut of what users apply, a sentence each.
#[must_use]
pub fn shortcomings(kind: &Kind, definition: &CustomResourceDefinition) -> Vec<String> {
    let installed = &definition.spec.versions;
    let served = |name: &str| {
        installed
            .iter()
            .find(|version| version.served && version.name == name)
    };
    let mut found = Vec::new();
    let missing = kind
        .versions
        .iter()
        .map(|version| version.name)
        .filter(|name| served(name).is_none());
    let missing = missing.collect::<Vec<_>>();
    if !missing.is_empty() {
        found.push(format!("does not serve {}", missing.join(", ")));
    }
    let every: BTreeSet<String> = installed.iter().flat_map(fields).collect();
    for version in installed.iter().filter(|version| version.served) {
        let own: BTreeSet<String> = fields(version).collect();
        let dropped = every
            .difference(&own)
            .map(String::as_str)
            .collect::<Vec<_>>();
        if let Some((named, rest)) = dropped.split_at_checked(NAMED.min(dropped.len()))
            && !named.is_empty()
        {
            let more = if rest.is_empty() {
                String::new()
            } else {
                format!(" and {} more", rest.len())
            };
            found.push(format!("{} drops {}{more}", version.name, named.join(", ")));
        }
    }
    let extensions = api::extension::entries().filter(|entry| entry.kinds.contains(&kind.kind));
    for entry in extensions {
        let lacking = installed
            .iter()
            .filter(|version| version.served && !fields(version).any(|field| field == entry.path))
            .map(|version| version.name.as_str())
            .collect::<Vec<_>>();
        if !lacking.is_empty() {
            let versions = lacking.join(", ");
            found.push(format!(
                "no {} in {versions}, use annotation {}",
                entry.path, entry.annotation
            ));
        }
    }
    found
}

/// Lists the fields of a version by path: `spec.include[].toPath`.
fn fields(version: &CustomResourceDefinitionVersion) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    let root = version
        .schema
        .as_ref()
        .and_then(|schema| schema.open_api_v3_schema.as_ref());
    if let Some(root) = root {
        collect(&mut found, root, "");
    }
    found.into_iter()
}

fn collect(found: &mut Vec<String>, schema: &JSONSchemaProps, path: &str) {
    for (name, property) in schema.properties.iter().flatten() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        found.push(path.clone());
        collect(found, property, &path);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        collect(found, items, &format!("{path}[]"));
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
        collect(found, values, &format!("{path}{{}}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(versions: &serde_json::Value) -> CustomResourceDefinition {
        serde_json::from_value(json!({
            "metadata": {},
            "spec": {
                "group": "source.toolkit.fluxcd.io",
                "names": { "kind": "GitRepository", "plural": "gitrepositories" },
                "scope": "Namespaced",
                "versions": versions,
            },
        }))
        .unwrap()
    }

    fn version(name: &str, fields: &[&str]) -> serde_json::Value {
        let properties = fields
            .iter()
            .map(|field| ((*field).to_owned(), json!({ "type": "string" })));
        let item = json!({ "type": "object", "properties": properties.collect::<serde_json::Map<_, _>>() });
        let spec = json!({
            "type": "object", "properties": { "list": { "type": "array", "items": item } },
        });
        json!({
            "name": name, "served": true, "storage": name == "v1",
            "schema": { "openAPIV3Schema": { "type": "object", "properties": { "spec": spec } } },
        })
    }

    fn check(versions: &serde_json::Value, expected: &[&str]) {
        let kind = api::served::kinds()
            .find(|kind| kind.kind == "GitRepository")
            .unwrap();
        assert_eq!(shortcomings(kind, &definition(versions)), expected);
    }

    #[test]
    fn equal_versions_have_no_shortcoming() {
        let all = ["v1", "v1beta2", "v1beta1"].map(|name| version(name, &["a", "b"]));
        check(&json!(all), &[]);
    }

    #[test]
    fn extensions_that_are_dropped_are_named_with_their_annotations() {
        let kind = api::served::kinds().find(|kind| kind.kind == "Alert");
        let (with, without) = (["recovered"], ["summary"]);
        let version = |name: &str, fields: &[&str]| {
            let mut version = version(name, &[]);
            for field in fields {
                version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][field] =
                    json!({ "type": "boolean" });
            }
            version
        };
        let definition = definition(&json!([
            version("v1beta3", &with),
            version("v1beta2", &without),
            version("v1beta1", &with),
        ]));
        let found = shortcomings(kind.unwrap(), &definition);
        let extension = "no spec.recovered in v1beta2, use annotation lockgate.dev/recovered";
        assert!(found.iter().any(|one| one == extension), "{found:?}");
    }

    #[test]
    fn missing_versions_and_dropped_fields_are_named() {
        check(
            &json!([
                version("v1", &["a"]),
                version("v1beta2", &["a", "b", "c", "d", "e", "f", "g"])
            ]),
            &[
                "does not serve v1beta1",
                "v1 drops spec.list[].b, spec.list[].c, spec.list[].d, spec.list[].e, spec.list[].f and 1 more",
            ],
        );
        check(
            &json!([
                version("v1", &["a", "b"]),
                version("v1beta1", &["a"]),
                version("v1beta2", &["b", "a"])
            ]),
            &["v1beta1 drops spec.list[].b"],
        );
    }
}
