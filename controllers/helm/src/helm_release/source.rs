//! The source of a release's chart, known by its status.

use api::{
    helm::{ChartReferenceKind, HelmRelease},
    meta::Artifact,
};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
    core::GroupVersionKind,
};
use serde_json::Value;

const GROUP: &str = "source.toolkit.fluxcd.io";

/// Which source has a release's chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// Its kind.
    pub kind: ChartReferenceKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Reference {
    /// Reads the source of a release; `made` is the HelmChart that was made for it.
    pub(super) fn of(object: &HelmRelease, made: Option<&str>) -> Option<Self> {
        let (kind, namespace, name) = named(object, made)?;
        Some(Self {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Whether this is the source of a release. Every news of a source asks that of all releases: nothing is copied for it.
    pub(super) fn is_of(&self, object: &HelmRelease) -> bool {
        let status = object.status.as_ref();
        let made = status.and_then(|status| status.helm_chart.as_deref());
        named(object, made) == Some((self.kind, &self.namespace, &self.name))
    }
}

/// The kind, namespace and name of a release's source.
fn named<'a>(
    object: &'a HelmRelease,
    made: Option<&'a str>,
) -> Option<(ChartReferenceKind, &'a str, &'a str)> {
    if let Some(reference) = &object.spec.chart_ref {
        let namespace = reference.namespace.as_deref().filter(|n| !n.is_empty());
        let namespace = namespace.or(object.metadata.namespace.as_deref());
        return Some((
            reference.kind,
            namespace.unwrap_or_default(),
            &reference.name,
        ));
    }
    let (namespace, name) = made?.split_once('/')?;
    Some((ChartReferenceKind::HelmChart, namespace, name))
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}/{}/{}",
            kind_name(self.kind),
            self.namespace,
            self.name
        )
    }
}

/// Returns a kind's name.
pub(super) fn kind_name(kind: ChartReferenceKind) -> &'static str {
    match kind {
        ChartReferenceKind::OciRepository => "OCIRepository",
        ChartReferenceKind::HelmChart => "HelmChart",
        ChartReferenceKind::ExternalArtifact => "ExternalArtifact",
    }
}

/// Returns how the API server names a kind of source.
pub(super) fn resource(kind: ChartReferenceKind) -> ApiResource {
    let plural = match kind {
        ChartReferenceKind::OciRepository => "ocirepositories",
        ChartReferenceKind::HelmChart => "helmcharts",
        ChartReferenceKind::ExternalArtifact => "externalartifacts",
    };
    let gvk = GroupVersionKind::gvk(GROUP, "v1", kind_name(kind));
    ApiResource::from_gvk_with_plural(&gvk, plural)
}

/// Returns the API of a kind of source in a namespace.
pub(super) fn api(client: Client, reference: &Reference) -> Api<DynamicObject> {
    Api::namespaced_with(client, &reference.namespace, &resource(reference.kind))
}

/// Returns the artifact in a source's status.
pub(super) fn artifact(source: &DynamicObject) -> Option<Artifact> {
    let artifact = source.data.get("status")?.get("artifact")?;
    serde_json::from_value(artifact.clone()).ok()
}

fn condition<'a>(source: &'a DynamicObject, type_: &str) -> Option<(&'a str, &'a str)> {
    let conditions = source.data.get("status")?.get("conditions")?.as_array()?;
    let found = conditions.iter().find(|c| c["type"] == type_)?;
    Some((
        found["status"].as_str()?,
        found["message"].as_str().unwrap_or_default(),
    ))
}

/// Returns the artifact of a source that is up to date.
///
/// # Errors
/// A sentence for Ready.
pub(super) fn ready(reference: &Reference, source: &DynamicObject) -> Result<Artifact, String> {
    let not = |why: &str| {
        let (kind, namespace) = (kind_name(reference.kind), &reference.namespace);
        Err(format!(
            "{kind} '{namespace}/{}' is not ready: {why}",
            reference.name
        ))
    };
    // Who publishes an ExternalArtifact need not say which generation it has seen.
    let observed = source
        .data
        .get("status")
        .and_then(|s| s.get("observedGeneration"));
    let is_behind =
        observed.and_then(Value::as_i64).unwrap_or(-1) != source.metadata.generation.unwrap_or(0);
    if reference.kind != ChartReferenceKind::ExternalArtifact && is_behind {
        return match condition(source, "Ready") {
            Some(("False", message)) => not(message),
            _ => not("latest generation of object has not been reconciled"),
        };
    }
    if let Some(("True", message)) = condition(source, "Stalled") {
        return not(message);
    }
    artifact(source).map_or_else(|| not("does not have an artifact"), Ok)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn source(status: &Value) -> DynamicObject {
        serde_json::from_value(json!({ "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "HelmChart", "metadata": { "name": "c", "namespace": "ns", "generation": 2 },
            "status": status }))
        .unwrap()
    }

    #[test]
    fn release_is_found_by_the_source_that_it_names() {
        let object = |spec: Value, made: Option<&str>| -> HelmRelease {
            serde_json::from_value(json!({ "metadata": { "name": "app", "namespace": "ns" },
                "spec": spec, "status": { "helmChart": made } }))
            .unwrap()
        };
        let reference = |namespace: Option<&str>| {
            let kind = "OCIRepository";
            json!({ "interval": "1m", "chartRef": { "kind": kind, "name": "c", "namespace": namespace } })
        };
        let plain = json!({ "interval": "1m" });
        for object in [
            object(plain.clone(), Some("ns/ns-app")),
            object(plain.clone(), Some("other/ns-app")),
            object(reference(None), None),
            object(reference(Some("")), Some("ns/ns-app")),
            object(reference(Some("other")), None),
        ] {
            let made = object.status.as_ref().unwrap().helm_chart.clone();
            let own = Reference::of(&object, made.as_deref()).unwrap();
            assert!(own.is_of(&object), "{own}");
            for other in [
                Reference {
                    kind: ChartReferenceKind::ExternalArtifact,
                    ..own.clone()
                },
                Reference {
                    namespace: "elsewhere".into(),
                    ..own.clone()
                },
                Reference {
                    name: "d".into(),
                    ..own.clone()
                },
            ] {
                assert!(!other.is_of(&object), "{own} {other}");
            }
        }
        let none = object(plain, None);
        assert!(
            !Reference {
                kind: ChartReferenceKind::HelmChart,
                namespace: "ns".into(),
                name: "ns-app".into()
            }
            .is_of(&none)
        );
    }

    /// covers: HC-146, HC-147, HC-164
    #[test]
    fn source_that_is_not_ready_says_why() {
        let reference = Reference {
            kind: ChartReferenceKind::HelmChart,
            namespace: "ns".into(),
            name: "c".into(),
        };
        let ready = |status: Value| ready(&reference, &source(&status)).unwrap_err();
        let condition = |type_: &str, status: &str, message: &str| json!({ "type": type_, "status": status, "message": message });
        for (status, why) in [
            (
                json!({ "observedGeneration": 1 }),
                "latest generation of object has not been reconciled",
            ),
            (
                json!({ "observedGeneration": 1, "conditions": [condition("Ready", "False", "broken")] }),
                "broken",
            ),
            (
                json!({ "observedGeneration": 2, "conditions": [condition("Stalled", "True", "stuck")] }),
                "stuck",
            ),
            (
                json!({ "observedGeneration": 2 }),
                "does not have an artifact",
            ),
        ] {
            assert_eq!(
                ready(status),
                format!("HelmChart 'ns/c' is not ready: {why}")
            );
        }
    }
}
