//! The HelmChart that is made for a release whose spec has a chart template.

use std::collections::BTreeMap;

use api::{
    helm::{ChartTemplate, HelmRelease},
    source::HelmChart,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use runtime::{Failure, Note, Progress};
use serde_json::{Value, json};

use super::{Reconciler, journal::Journal};
use crate::{FIELD_MANAGER, GROUP};

impl Reconciler {
    /// Makes the HelmChart of a release, or deletes one that is no longer wanted.
    ///
    /// # Errors
    /// What the API server says; a reference that may not leave its namespace.
    pub(super) async fn settle_chart(
        &self,
        object: &HelmRelease,
        journal: &mut Journal,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let wanted = object
            .spec
            .chart
            .as_ref()
            .map(|template| place(object, template));
        let old = journal
            .status
            .helm_chart
            .clone()
            .filter(|old| !old.is_empty());
        if let Some(old) = old
            && wanted
                .as_ref()
                .map(|(namespace, name)| format!("{namespace}/{name}"))
                .as_ref()
                != Some(&old)
        {
            self.delete_chart(object, &old, progress).await?;
            journal.status.helm_chart = None;
        }
        let (Some(template), Some((namespace, name))) = (&object.spec.chart, wanted) else {
            return Ok(());
        };
        self.allow_chart(object, &namespace, &name)?;
        self.obey_for_template(object, template, (&namespace, &mut *journal))
            .await?;
        let desired = desired(object, template, &namespace, &name);
        let api = Api::<HelmChart>::namespaced(self.client.clone(), &namespace);
        let live = api
            .get_opt(&name)
            .await
            .map_err(|error| failed("reconcile", &error))?;
        if live.as_ref().is_none_or(|live| differs(live, &desired)) {
            let params = PatchParams::apply(FIELD_MANAGER).force();
            let applied = api.patch(&name, &params, &Patch::Apply(&desired)).await;
            applied.map_err(|error| failed("reconcile", &error))?;
            let (reason, done) = match live {
                None => ("HelmChartCreated", "Created"),
                Some(_) => ("HelmChartConfigured", "Configured"),
            };
            let source = &template.spec.source_ref;
            let kind = desired["spec"]["sourceRef"]["kind"]
                .as_str()
                .unwrap_or_default();
            let words = format!(
                "{done} HelmChart/{namespace}/{name} with SourceRef '{kind}/{namespace}/{}'",
                source.name
            );
            progress.emit(Note::trace(reason, words));
        }
        journal.status.helm_chart = Some(format!("{namespace}/{name}"));
        Ok(())
    }

    /// Deletes a HelmChart that was made for a release.
    ///
    /// # Errors
    /// What the API server says; a reference that may not leave its namespace.
    pub(super) async fn delete_chart(
        &self,
        object: &HelmRelease,
        chart: &str,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let Some((namespace, name)) = chart.split_once('/') else {
            return Ok(());
        };
        self.allow_chart(object, namespace, name)?;
        let api = Api::<HelmChart>::namespaced(self.client.clone(), namespace);
        match api.delete(name, &DeleteParams::background()).await {
            Ok(_) => {
                let words = format!("Deleted HelmChart '{namespace}/{name}'");
                progress.emit(Note::trace("HelmChartDeleted", words));
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(failed("delete", &error)),
        }
    }

    fn allow_chart(
        &self,
        object: &HelmRelease,
        namespace: &str,
        name: &str,
    ) -> Result<(), Failure> {
        let own = object.namespace().unwrap_or_default();
        let allowed = self.access.check(&own, "HelmChart", namespace, name);
        allowed.map_err(|_| {
            let words = "cross-namespace references are not allowed: cannot access HelmChart";
            Failure::retry("AccessDenied", format!("{words} {namespace}/{name}"))
                .quietly()
                .verbatim()
        })
    }
}

fn failed(doing: &str, error: &kube::Error) -> Failure {
    let cause = runtime::failure::chain(error);
    let words = format!("failed to {doing} HelmChart: {cause}");
    Failure::retry("HelmChartSyncErr", words)
        .quietly()
        .verbatim()
}

/// Returns namespace and name of the HelmChart.
fn place(object: &HelmRelease, template: &ChartTemplate) -> (String, String) {
    let own = object.namespace().unwrap_or_default();
    let name = format!("{own}-{}", object.name_any());
    let namespace = template.spec.source_ref.namespace.clone();
    (namespace.filter(|n| !n.is_empty()).unwrap_or(own), name)
}

fn desired(object: &HelmRelease, template: &ChartTemplate, namespace: &str, name: &str) -> Value {
    let ChartTemplate { metadata, spec } = template;
    let metadata = metadata.clone().unwrap_or_default();
    let mut labels = metadata.labels;
    labels.extend(origin(object));
    let interval = spec.interval.unwrap_or(object.spec.interval).to_string();
    let strategy = spec.reconcile_strategy.unwrap_or_default();
    let files: Vec<_> = spec.all_values_files().collect();
    let mut chart = json!({
        "chart": spec.chart,
        "version": spec.version.clone().unwrap_or_else(|| "*".to_owned()),
        "sourceRef": { "kind": spec.source_ref.kind, "name": spec.source_ref.name },
        "interval": interval,
        "reconcileStrategy": strategy,
    });
    if !files.is_empty() {
        chart["valuesFiles"] = json!(files);
    }
    if let Some(true) = spec.ignore_missing_values_files {
        chart["ignoreMissingValuesFiles"] = json!(true);
    }
    if let Some(verify) = &spec.verify {
        chart["verify"] = json!(verify);
    }
    let mut meta = json!({ "name": name, "namespace": namespace, "labels": labels });
    if !metadata.annotations.is_empty() {
        meta["annotations"] = json!(metadata.annotations);
    }
    json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmChart", "metadata": meta,
        "spec": chart })
}

/// Returns the labels that say which release an object is of.
pub(super) fn origin(object: &HelmRelease) -> BTreeMap<String, String> {
    [
        (format!("{GROUP}/name"), object.name_any()),
        (
            format!("{GROUP}/namespace"),
            object.namespace().unwrap_or_default(),
        ),
    ]
    .into()
}

/// Whether anything that is wanted lives otherwise, or something is left that once was wanted.
fn differs(live: &HelmChart, desired: &Value) -> bool {
    let Ok(live) = serde_json::to_value(live) else {
        return true;
    };
    let has_all = |field: &str| {
        let wanted = desired["metadata"][field].as_object().into_iter().flatten();
        wanted
            .into_iter()
            .all(|(key, value)| live["metadata"][field].get(key) == Some(value))
    };
    let mut spec = live["spec"].clone();
    if let Some(map) = spec.as_object_mut() {
        map.remove("suspend");
    }
    // Durations are compared as they are meant, not as they are spelt.
    let interval = |value: &Value| -> Option<api::meta::Duration> {
        value["interval"]
            .as_str()
            .and_then(|text| text.parse().ok())
    };
    let same_interval = interval(&spec) == interval(&desired["spec"]);
    spec["interval"] = desired["spec"]["interval"].clone();
    !(has_all("labels") && has_all("annotations") && same_interval && spec == desired["spec"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(spec: &Value) -> HelmRelease {
        serde_json::from_value(json!({ "metadata": { "name": "app", "namespace": "ns" },
            "spec": { "interval": "10m", "chart": { "spec": spec,
                "metadata": { "labels": { "own": "1" } } } } }))
        .unwrap()
    }

    /// covers: HC-137, HC-142
    #[test]
    fn chart_has_the_owners_labels_and_the_releases_interval() {
        let object = object(
            &json!({ "chart": "./charts/app", "valuesFile": "a.yaml", "valuesFiles": ["b.yaml"],
            "sourceRef": { "kind": "GitRepository", "name": "repo", "namespace": "there" } }),
        );
        let template = object.spec.chart.clone().unwrap();
        let (namespace, name) = place(&object, &template);
        assert_eq!((namespace.as_str(), name.as_str()), ("there", "ns-app"));
        let chart = desired(&object, &template, &namespace, &name);
        assert_eq!(chart["spec"]["interval"], "10m0s");
        assert_eq!(chart["spec"]["valuesFiles"], json!(["a.yaml", "b.yaml"]));
        assert_eq!(
            chart["metadata"]["labels"],
            json!({ "own": "1", "helm.toolkit.fluxcd.io/name": "app", "helm.toolkit.fluxcd.io/namespace": "ns" })
        );
        let live: HelmChart = serde_json::from_value(chart.clone()).unwrap();
        assert!(!differs(&live, &chart));
        let mut other = chart.clone();
        other["spec"]["version"] = json!("1.x");
        assert!(differs(&live, &other));
    }
}
