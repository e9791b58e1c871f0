//! Reads the parts of an object that every other module needs.

use std::fmt;

use serde_json::Value;

/// Names an API type: group (empty for core), version and kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupVersionKind {
    /// API group, empty for the core group.
    pub group: String,
    /// API version, for example `v1`.
    pub version: String,
    /// Kind, for example `ConfigMap`.
    pub kind: String,
}

impl GroupVersionKind {
    /// Splits an `apiVersion` and joins it with a kind.
    pub fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        Self {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
        }
    }

    /// Returns the group and version of an object, empty where it has none.
    pub fn of(object: &Value) -> Self {
        Self::new(api_version(object), kind(object))
    }

    /// Prints `group/version`, or the version alone for the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

/// Prints the way the API machinery names a type: `apps/v1, Kind=Deployment`.
impl fmt::Display for GroupVersionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, Kind={}", self.api_version(), self.kind)
    }
}

/// Walks map keys down from the object.
pub fn at<'a>(object: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, key| value.get(key))
}

/// Reads the string at a path of map keys.
pub fn str_at<'a>(object: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(object, path).and_then(Value::as_str)
}

/// Reads the integer at a path of map keys.
pub fn int_at(object: &Value, path: &[&str]) -> Option<i64> {
    at(object, path).and_then(Value::as_i64)
}

/// Returns `apiVersion`, empty when missing.
pub fn api_version(object: &Value) -> &str {
    str_at(object, &["apiVersion"]).unwrap_or_default()
}

/// Returns `kind`, empty when missing.
pub fn kind(object: &Value) -> &str {
    str_at(object, &["kind"]).unwrap_or_default()
}

/// Returns the API group, empty for the core group.
pub fn group(object: &Value) -> &str {
    api_version(object)
        .rsplit_once('/')
        .map_or("", |(group, _)| group)
}

/// Returns `metadata.name`, empty when missing.
pub fn name(object: &Value) -> &str {
    str_at(object, &["metadata", "name"]).unwrap_or_default()
}

/// Returns `metadata.namespace`, empty when missing.
pub fn namespace(object: &Value) -> &str {
    str_at(object, &["metadata", "namespace"]).unwrap_or_default()
}

/// Returns a label's value.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    str_at(object, &["metadata", "labels", key])
}

/// Returns an annotation's value.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    str_at(object, &["metadata", "annotations", key])
}

/// Tells whether the API server already stores this object (a dry run that would create has none).
pub fn resource_version(object: &Value) -> Option<&str> {
    str_at(object, &["metadata", "resourceVersion"]).filter(|version| !version.is_empty())
}

/// Returns the identity that the API server gave a stored object.
pub fn uid(object: &Value) -> Option<&str> {
    str_at(object, &["metadata", "uid"]).filter(|uid| !uid.is_empty())
}

/// Returns the map at `key` of a map, made empty where it is missing or null.
///
/// Returns `None` when the value there is something other than a map, which is left untouched.
pub fn map_entry<'a>(
    map: &'a mut serde_json::Map<String, Value>,
    key: &str,
) -> Option<&'a mut serde_json::Map<String, Value>> {
    let entry = map.entry(key).or_insert(Value::Null);
    if entry.is_null() {
        *entry = Value::Object(serde_json::Map::new());
    }
    entry.as_object_mut()
}

/// Returns the `metadata` map, made where it is missing; `None` when the object is no map.
pub fn metadata_mut(object: &mut Value) -> Option<&mut serde_json::Map<String, Value>> {
    map_entry(object.as_object_mut()?, "metadata")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn group_version_and_kind_split_and_print() {
        for (api_version, group, version, text) in [
            ("v1", "", "v1", "v1, Kind=X"),
            ("apps/v1", "apps", "v1", "apps/v1, Kind=X"),
        ] {
            let gvk = GroupVersionKind::new(api_version, "X");
            assert_eq!((gvk.group.as_str(), gvk.version.as_str()), (group, version));
            assert_eq!(gvk.to_string(), text);
        }
    }

    #[test]
    fn accessors_are_empty_on_malformed_objects() {
        for object in [
            json!(null),
            json!([]),
            json!({"metadata": 3}),
            json!({"metadata": {"name": 1}}),
        ] {
            assert_eq!(name(&object), "");
            assert_eq!(namespace(&object), "");
            assert_eq!(kind(&object), "");
            assert_eq!(label(&object, "a"), None);
        }
    }

    #[test]
    fn metadata_is_made_only_in_maps() {
        assert!(metadata_mut(&mut json!([])).is_none());
        assert!(metadata_mut(&mut json!({"metadata": "text"})).is_none());
        let mut object = json!({"metadata": null});
        metadata_mut(&mut object)
            .unwrap()
            .insert("name".into(), json!("a"));
        assert_eq!(object, json!({"metadata": {"name": "a"}}));
    }
}
