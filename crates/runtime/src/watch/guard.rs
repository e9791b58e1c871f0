//! An object that cannot be read must not end the watch that brings all others.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// An object as it came, read or not. Managed fields are left out: nobody reads them, and they are
/// half of what many objects weigh.
#[derive(Clone, Debug)]
pub(super) enum Guarded<K> {
    /// It could be read.
    Good(Box<K>),
    /// It could not; its metadata could.
    Bad(Box<Bad>),
}

/// What is known of an object that could not be read.
#[derive(Clone, Debug)]
pub(super) struct Bad {
    pub(super) metadata: ObjectMeta,
    pub(super) error: String,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        if let Some(Value::Object(metadata)) = value.get_mut("metadata") {
            metadata.remove("managedFields");
        }
        match K::deserialize(&value) {
            Ok(object) => Ok(Self::Good(Box::new(object))),
            Err(error) => {
                let metadata = value.get("metadata").map(ObjectMeta::deserialize);
                Ok(Self::Bad(Box::new(Bad {
                    metadata: metadata.and_then(Result::ok).unwrap_or_default(),
                    error: error.to_string(),
                })))
            }
        }
    }
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn metadata_api() -> bool {
        K::metadata_api()
    }

    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Good(object) => object.meta(),
            Self::Bad(bad) => &bad.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Good(object) => object.meta_mut(),
            Self::Bad(bad) => &mut bad.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{ResourceExt, core::WatchEvent};

    use super::*;

    fn read(text: &str) -> Guarded<ConfigMap> {
        match serde_json::from_str(text).unwrap() {
            WatchEvent::Added(object) => object,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn unreadable_object_keeps_its_name() {
        let got = read(
            r#"{"type":"ADDED","object":{"apiVersion":"v1","kind":"ConfigMap",
                "metadata":{"name":"a","namespace":"ns","resourceVersion":"7"},"data":[]}}"#,
        );
        assert!(matches!(got, Guarded::Bad(_)));
        assert_eq!(got.name_any(), "a");
        assert_eq!(got.resource_version().as_deref(), Some("7"));
    }

    #[test]
    fn readable_object_loses_only_its_managed_fields() {
        let got = read(
            r#"{"type":"ADDED","object":{"apiVersion":"v1","kind":"ConfigMap",
                "metadata":{"name":"a","managedFields":[{"manager":"x"}]},"data":{"k":"v"}}}"#,
        );
        let Guarded::Good(object) = got else {
            panic!("not read");
        };
        assert_eq!(object.data.unwrap()["k"], "v");
        assert!(object.metadata.managed_fields.is_none());
    }
}
