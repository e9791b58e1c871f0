//! How a kind becomes a Kubernetes object.

/// Defines the object type of a kind and its place in the API.
///
/// Written by hand rather than with kube's derive, so that an object without `spec`, which the schemas allow, is
/// decoded and reported on instead of being lost to its watch.
macro_rules! kind {
    (
        $(#[$meta:meta])*
        $kind:ident { group: $group:literal, version: $version:literal, plural: $plural:literal }
        $spec:ty, $status:ty
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
        pub struct $kind {
            /// Name, namespace, labels, annotations and the like.
            #[serde(default)]
            pub metadata: kube::core::ObjectMeta,
            /// What the user asks for.
            #[serde(default)]
            pub spec: $spec,
            /// What the controller found and did.
            #[serde(default)]
            pub status: Option<$status>,
        }

        impl $kind {
            /// Makes an object of this name, without namespace or status.
            #[must_use]
            pub fn new(name: &str, spec: $spec) -> Self {
                let name = Some(name.to_owned());
                Self {
                    metadata: kube::core::ObjectMeta { name, ..Default::default() },
                    spec,
                    status: None,
                }
            }
        }

        impl serde::Serialize for $kind {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeStruct;
                let fields = if self.status.is_some() { 5 } else { 4 };
                let mut object = serializer.serialize_struct(stringify!($kind), fields)?;
                object.serialize_field("apiVersion", concat!($group, "/", $version))?;
                object.serialize_field("kind", stringify!($kind))?;
                object.serialize_field("metadata", &self.metadata)?;
                object.serialize_field("spec", &self.spec)?;
                match &self.status {
                    Some(status) => object.serialize_field("status", status)?,
                    None => object.skip_field("status")?,
                }
                object.end()
            }
        }

        impl kube::Resource for $kind {
            type DynamicType = ();
            type Scope = kube::core::NamespaceResourceScope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                stringify!($kind).into()
            }

            fn group((): &()) -> std::borrow::Cow<'_, str> {
                $group.into()
            }

            fn version((): &()) -> std::borrow::Cow<'_, str> {
                $version.into()
            }

            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &kube::core::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut kube::core::ObjectMeta {
                &mut self.metadata
            }
        }

        impl kube::core::object::HasSpec for $kind {
            type Spec = $spec;

            fn spec(&self) -> &$spec {
                &self.spec
            }

            fn spec_mut(&mut self) -> &mut $spec {
                &mut self.spec
            }
        }

        impl kube::core::object::HasStatus for $kind {
            type Status = $status;

            fn status(&self) -> Option<&$status> {
                self.status.as_ref()
            }

            fn status_mut(&mut self) -> &mut Option<$status> {
                &mut self.status
            }
        }
    };
}

/// Implements [`crate::Reconciled`] for a kind whose status has the usual fields.
macro_rules! reconciled {
    ($kind:ident, interval: |$spec:ident| $interval:expr) => {
        impl crate::Reconciled for $kind {
            fn status_value(&self) -> serde_json::Result<serde_json::Value> {
                serde_json::to_value(&self.status)
            }

            fn conditions(&self) -> &[crate::meta::Condition] {
                self.status
                    .as_ref()
                    .map_or(&[], |status| &status.conditions)
            }

            fn observed_generation(&self) -> Option<i64> {
                self.status.as_ref()?.observed_generation
            }

            fn last_handled_reconcile_at(&self) -> Option<&str> {
                self.status.as_ref()?.last_handled_reconcile_at.as_deref()
            }

            fn suspended(&self) -> bool {
                self.spec.suspend.unwrap_or_default()
            }

            fn interval(&self) -> Option<crate::meta::Duration> {
                let $spec = &self.spec;
                $interval
            }
        }
    };
}

/// Reads a value that is there even if it is `null`, so that only a missing field is `None`.
pub(crate) fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<serde_json::Value>, D::Error> {
    serde::Deserialize::deserialize(deserializer).map(Some)
}
