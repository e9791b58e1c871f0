//! How each object stands, under the name and labels that dashboards for Flux read from kube-state-metrics.
//!
//! Source: <https://github.com/fluxcd/flux2-monitoring-example> `monitoring/controllers/kube-prometheus-stack`,
//! `gotk_resource_info`.

use std::fmt::Write as _;

use api::Reconciled;
use kube::{ResourceExt, runtime::reflector::Store};
use serde_json::Value;

/// Values that say what an object takes its content from and what is live: label, path.
const DETAILS: &[(&str, &[&str])] = &[
    (
        "revision",
        &[
            "/status/artifact/revision",
            "/status/lastAppliedRevision",
            "/status/history/0/chartVersion",
            "/status/latestRef/tag",
            "/status/lastPushCommit",
        ],
    ),
    (
        "source_name",
        &[
            "/spec/sourceRef/name",
            "/spec/chart/spec/sourceRef/name",
            "/spec/chartRef/name",
            "/spec/imageRepositoryRef/name",
        ],
    ),
    ("url", &["/spec/url", "/spec/image", "/spec/endpoint"]),
    (
        "chart_name",
        &["/spec/chart/spec/chart", "/status/history/0/chartName"],
    ),
];

/// Longer values are cut: a label is no place for a text.
const MAX_CHARS: usize = 250;

/// Prints a line for each object of a kind.
pub(crate) fn print<K: Reconciled>(store: &Store<K>, out: &mut String) {
    let (group, kind, version) = (K::group(&()), K::kind(&()), K::version(&()));
    let mut objects = store.state();
    objects.sort_by_key(|object| (object.namespace(), object.name_any()));
    for object in objects {
        let value = serde_json::to_value(&*object).unwrap_or_default();
        let ready = object
            .conditions()
            .iter()
            .find(|found| found.type_ == "Ready");
        let ready = ready.map_or("Unknown", |found| found.status.as_str());
        let name = object.name_any();
        let namespace = object.namespace().unwrap_or_default();
        let suspended = if object.suspended() { "true" } else { "false" };
        let mut labels = String::new();
        for (label, text) in [
            ("customresource_group", &*group),
            ("customresource_version", &*version),
            ("customresource_kind", &*kind),
            ("exported_namespace", &namespace),
            ("name", &name),
            ("ready", ready),
            ("suspended", suspended),
        ] {
            push(&mut labels, label, text);
        }
        for (label, paths) in DETAILS {
            let found = paths
                .iter()
                .find_map(|path| value.pointer(path).and_then(Value::as_str));
            if let Some(text) = found.filter(|text| !text.is_empty()) {
                // A URL may have been written with a password in it.
                push(&mut labels, label, &crate::redact::redact(text));
            }
        }
        // Writing to a String cannot fail.
        let _ = writeln!(out, "gotk_resource_info{{{labels}}} 1");
    }
}

fn push(labels: &mut String, label: &str, text: &str) {
    if !labels.is_empty() {
        labels.push(',');
    }
    labels.push_str(label);
    labels.push_str("=\"");
    for c in text.chars().take(MAX_CHARS) {
        match c {
            '\\' => labels.push_str("\\\\"),
            '"' => labels.push_str("\\\""),
            '\n' => labels.push_str("\\n"),
            other => labels.push(other),
        }
    }
    labels.push('"');
}

#[cfg(test)]
mod tests {
    use api::kustomize::Kustomization;
    use kube::runtime::reflector::store;
    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::*;

    #[test]
    fn each_object_is_a_line_with_what_dashboards_ask_for() {
        let (reader, mut writer) = store::<Kustomization>();
        let object: Kustomization = serde_json::from_value(json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "apps", "namespace": "prod"},
            "spec": {"interval": "1m", "prune": true, "suspend": true,
                "sourceRef": {"kind": "GitRepository", "name": "fleet"}},
            "status": {"lastAppliedRevision": "main@sha1:1", "conditions": [{"type": "Ready", "status": "False",
                "reason": "BuildFailed", "message": "a \"text\"", "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
        }))
        .unwrap();
        writer.apply_watcher_event(&Event::Apply(object));
        let mut out = String::new();
        print(&reader, &mut out);
        assert_eq!(
            out,
            "gotk_resource_info{customresource_group=\"kustomize.toolkit.fluxcd.io\",customresource_version=\"v1\",\
             customresource_kind=\"Kustomization\",exported_namespace=\"prod\",name=\"apps\",ready=\"False\",\
             suspended=\"true\",revision=\"main@sha1:1\",source_name=\"fleet\"} 1\n"
        );
    }

    #[test]
    fn labels_are_escaped_and_bounded() {
        let mut labels = String::new();
        push(&mut labels, "a", "x\"y\\z\n");
        assert_eq!(labels, "a=\"x\\\"y\\\\z\\n\"");
        let mut labels = String::new();
        push(&mut labels, "a", &"é".repeat(1_000));
        assert_eq!(labels.chars().count(), 250 + 4);
    }
}
