//! Manifests as objects that the cluster knows.

use cluster::{Cluster, Location, ResolveError, Resource};
use manifest::{GroupVersionKind, Inventory, ObjectId, inventory::Entry, object};
use serde_json::Value;
use yaml::Schema;

/// An object of a manifest and how the API server serves it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Its identity, with the namespace it goes into.
    pub id: ObjectId,
    /// How its type is served.
    pub resource: Resource,
    /// The object.
    pub object: Value,
}

impl Target {
    /// Returns where it lives.
    pub(crate) fn location(&self) -> Location<'_> {
        Location {
            resource: &self.resource,
            namespace: &self.id.namespace,
            name: &self.id.name,
        }
    }

    /// Returns name and type as errors of Helm have them.
    pub(crate) fn words(&self) -> String {
        let gvk = &self.resource.gvk;
        let (namespace, name) = (&self.id.namespace, &self.id.name);
        let (group, version, kind) = (&gvk.group, &gvk.version, &gvk.kind);
        format!("{namespace}/{name} {group}/{version}, Kind={kind}")
    }

    /// Returns kind and name as messages about ownership have them.
    pub(crate) fn title(&self) -> String {
        let (kind, name, namespace) = (&self.id.kind, &self.id.name, &self.id.namespace);
        format!("{kind} {name:?} in namespace {namespace:?}")
    }
}

/// Which objects a manifest that is no longer served may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unserved {
    /// None: it is an error.
    Refuse,
    /// Those are left out: they cannot exist any more.
    Skip,
}

/// Reads the objects of a manifest. Lists become their items.
///
/// # Errors
/// The text that Helm shows.
pub(crate) fn parse(manifest: &str) -> Result<Vec<Value>, String> {
    let mut objects = Vec::new();
    for document in helm::manifest::split(manifest) {
        let node = yaml::Reader::new(Schema::Legacy)
            .read_first(document.as_bytes(), "")
            .map_err(|error| {
                format!(
                    "error parsing : error converting YAML to JSON: {}",
                    error.go_text()
                )
            })?;
        let Some(node) = node else { continue };
        let value = yaml::to_json(&node)
            .map_err(|error| format!("error parsing : error converting YAML to JSON: {error}"))?;
        flatten(value, &mut objects);
    }
    Ok(objects)
}

fn flatten(value: Value, into: &mut Vec<Value>) {
    let is_list = object::kind(&value).ends_with("List") && value["items"].is_array();
    match value {
        Value::Null => {}
        Value::Object(mut map) if is_list => {
            if let Some(Value::Array(items)) = map.remove("items") {
                for item in items {
                    flatten(item, into);
                }
            }
        }
        value => into.push(value),
    }
}

/// Finds out how the objects of a manifest are served and where they go.
///
/// # Errors
/// The text that Helm shows.
pub(crate) async fn build(
    cluster: &Cluster,
    manifest: &str,
    namespace: &str,
    unserved: Unserved,
) -> Result<Vec<Target>, String> {
    let mut targets = Vec::new();
    let mut errors = Vec::new();
    for mut value in parse(manifest)? {
        if object::kind(&value).is_empty() {
            errors.push("Object 'Kind' is missing".to_owned());
            continue;
        }
        let gvk = GroupVersionKind::of(&value);
        let resource = match cluster.resolve(&gvk).await {
            Ok(resource) => resource,
            Err(error) if error.is_no_match() => {
                if unserved == Unserved::Refuse {
                    errors.push(no_match(&value, &error));
                }
                continue;
            }
            Err(error) => return Err(cluster::chain_text(&error)),
        };
        place(&mut value, &resource, namespace);
        targets.push(Target {
            id: ObjectId::of(&value),
            resource,
            object: value,
        });
    }
    match errors.as_slice() {
        [] => Ok(targets),
        [one] => Err(one.clone()),
        all => Err(format!("[{}]", all.join(", "))),
    }
}

fn no_match(value: &Value, error: &ResolveError) -> String {
    let (name, namespace) = (object::name(value), object::namespace(value));
    format!(
        "resource mapping not found for name: {name:?} namespace: {namespace:?} from \"\": {error}\nensure CRDs are installed first"
    )
}

/// Gives an object the release's namespace where it has none and needs one.
fn place(value: &mut Value, resource: &Resource, namespace: &str) {
    let Some(metadata) = object::metadata_mut(value) else {
        return;
    };
    if !resource.namespaced {
        metadata.remove("namespace");
    } else if metadata
        .get("namespace")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .is_empty()
    {
        metadata.insert("namespace".into(), namespace.into());
    }
}

/// Marks an object as Helm's, of this release.
pub(crate) fn mark(value: &mut Value, name: &str, namespace: &str) {
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    let labels = [pair("app.kubernetes.io/managed-by", "Helm")].into();
    let annotations = [
        pair("meta.helm.sh/release-name", name),
        pair("meta.helm.sh/release-namespace", namespace),
    ];
    manifest::metadata::set_labels(value, &labels);
    manifest::metadata::set_annotations(value, &annotations.into());
}

/// Lists objects in the order of the manifest.
pub(crate) fn inventory(targets: &[Target]) -> Inventory {
    Inventory::new(targets.iter().map(|target| Entry {
        id: target.id.clone(),
        version: target.resource.gvk.version.clone(),
    }))
}

/// Says why an object does not belong to a release.
///
/// # Errors
/// The text that Helm shows.
pub(crate) fn check_owner(live: &Value, name: &str, namespace: &str) -> Result<(), String> {
    let want = |kind: &str, actual: Option<&str>, key: &str, value: &str| match actual {
        Some(actual) if actual == value => None,
        Some(actual) => Some(format!(
            "{kind} validation error: key {key:?} must equal {value:?}: current value is {actual:?}"
        )),
        None => Some(format!(
            "{kind} validation error: missing key {key:?}: must be set to {value:?}"
        )),
    };
    let label = "app.kubernetes.io/managed-by";
    let (by_name, by_namespace) = (
        "meta.helm.sh/release-name",
        "meta.helm.sh/release-namespace",
    );
    let faults: Vec<_> = [
        want("label", object::label(live, label), label, "Helm"),
        want(
            "annotation",
            object::annotation(live, by_name),
            by_name,
            name,
        ),
        want(
            "annotation",
            object::annotation(live, by_namespace),
            by_namespace,
            namespace,
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    if faults.is_empty() {
        return Ok(());
    }
    Err(format!("invalid ownership metadata; {}", faults.join("; ")))
}

const POLICY: &str = "helm.sh/resource-policy";

/// Whether an object says what becomes of it: such are left by an uninstallation, also where what
/// they say is not known.
pub(crate) fn has_policy(value: &Value) -> bool {
    object::annotation(value, POLICY).is_some()
}

/// Whether a live object is to be left where Helm would delete it.
pub(crate) fn is_kept(value: &Value) -> bool {
    object::annotation(value, POLICY)
        .is_some_and(|policy| policy.trim().eq_ignore_ascii_case("keep"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_and_lists_become_objects() {
        let text = "---\n# Source: a\nkind: A\n---\nkind: ConfigMapList\nitems:\n- kind: B\n- kind: C\n---\n# nothing\n";
        let kinds: Vec<_> = parse(text)
            .unwrap()
            .iter()
            .map(|o| object::kind(o).to_owned())
            .collect();
        assert_eq!(kinds, ["A", "B", "C"]);
        assert!(
            parse("a: [")
                .unwrap_err()
                .contains("error converting YAML to JSON")
        );
    }

    #[test]
    fn owner_is_checked_by_label_and_annotations() {
        let mut live = json!({ "metadata": { "name": "a" } });
        let error = check_owner(&live, "app", "ns").unwrap_err();
        assert!(
            error.starts_with("invalid ownership metadata; label validation error: missing key"),
            "{error}"
        );
        mark(&mut live, "app", "ns");
        assert_eq!(check_owner(&live, "app", "ns"), Ok(()));
        let error = check_owner(&live, "other", "ns").unwrap_err();
        assert_eq!(
            error,
            "invalid ownership metadata; annotation validation error: key \"meta.helm.sh/release-name\" must equal \"other\": current value is \"app\""
        );
    }
}
