//! Brings objects into the form in which they are sent to the API server.
//!
//! Upstream decodes built-in kinds into Go structs and encodes them again. Of the effects of that
//! round trip these matter to server-side apply, and are done here on the data:
//! - nulls vanish (a null would be applied as "remove what others put here");
//! - `protocol: TCP` is spelled out in ports, because merge keys must be present;
//! - a Secret's `stringData` becomes `data`, because only `data` is stored and compared;
//! - `status` and `metadata.creationTimestamp` are not sent.
//!
//! The others (quantities, zero values, empty lists) are made by the API server itself on the live
//! object and on the dry run alike, so they never show as drift. Unknown fields, which the round
//! trip also drops, need the server's schema: see [`crate::unknown_fields`].

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use crate::object::{self, GroupVersionKind};

/// Groups whose kinds are compiled into every API server. Source: client-go v0.34 `kubernetes/scheme`.
const BUILT_IN_GROUPS: [&str; 21] = [
    "",
    "admissionregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "extensions",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// Tells whether the kinds of a group are built into the API server.
pub fn is_built_in(group: &str) -> bool {
    BUILT_IN_GROUPS.contains(&group)
}

/// Normalises one object in place. See the module's documentation for what changes.
///
/// A field of the wrong type is left as it is, so that the API server reports it.
pub fn normalize(value: &mut Value) {
    let gvk = GroupVersionKind::of(value);
    if gvk.group == "rbac.authorization.k8s.io" {
        return;
    }
    if is_built_in(&gvk.group) {
        empty_text_for_nulls(&gvk, value);
        drop_nulls(value);
        if gvk.group.is_empty() && gvk.kind == "Secret" {
            merge_string_data(value);
        }
        default_protocols(&gvk, value);
    }
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("creationTimestamp");
    }
    let is_crd = gvk.group == "apiextensions.k8s.io" && gvk.kind == "CustomResourceDefinition";
    if is_crd {
        drop_invalid_ca_bundle(value);
    } else if let Some(map) = value.as_object_mut() {
        map.remove("status");
    }
}

/// Tells whether a Secret still carries SOPS ciphertext that nothing has decrypted.
///
/// Looks for the `sops` block that encryption adds; `…/decrypt: disabled` on the object turns the
/// test off.
pub fn is_encrypted_secret(value: &Value) -> bool {
    let disabled = object::annotation(value, "kustomize.toolkit.fluxcd.io/decrypt")
        .is_some_and(|text| text.eq_ignore_ascii_case("disabled"));
    object::api_version(value) == "v1"
        && object::kind(value) == "Secret"
        && value.get("sops").is_some()
        && !disabled
}

/// Removes a CRD's conversion CA bundle unless it is base64 of a PEM certificate: cert-manager's
/// injector fills it in later, and the API server refuses placeholders.
fn drop_invalid_ca_bundle(value: &mut Value) {
    let Some(config) = value
        .pointer_mut("/spec/conversion/webhook/clientConfig")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    let is_valid = |bundle: &Value| {
        let bytes = bundle.as_str().and_then(|text| STANDARD.decode(text).ok());
        bytes.is_some_and(|bytes| {
            let text = String::from_utf8_lossy(&bytes);
            text.contains("-----BEGIN ") && text.contains("-----END ")
        })
    };
    if config
        .get("caBundle")
        .is_some_and(|bundle| !is_valid(bundle))
    {
        config.remove("caBundle");
    }
}

/// Makes nulls in ConfigMap data, labels and annotations empty strings: there a null is a value.
fn empty_text_for_nulls(gvk: &GroupVersionKind, value: &mut Value) {
    let mut pointers = vec!["/metadata/labels", "/metadata/annotations"];
    if gvk.group.is_empty() && gvk.kind == "ConfigMap" {
        pointers.push("/data");
    }
    if gvk.group.is_empty() && gvk.kind == "Secret" {
        pointers.push("/stringData");
    }
    for pointer in pointers {
        if let Some(map) = value.pointer_mut(pointer).and_then(Value::as_object_mut) {
            for entry in map.values_mut().filter(|entry| entry.is_null()) {
                *entry = Value::String(String::new());
            }
        }
    }
}

/// Removes map entries whose value is null, at every depth.
fn drop_nulls(value: &mut Value) {
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        match value {
            Value::Object(map) => {
                map.retain(|_, entry| !entry.is_null());
                pending.extend(map.values_mut());
            }
            Value::Array(items) => pending.extend(items.iter_mut()),
            _ => {}
        }
    }
}

/// Encodes `stringData` into `data` and removes it, unless either holds something that is no string.
fn merge_string_data(value: &mut Value) {
    let Some(secret) = value.as_object_mut() else {
        return;
    };
    let is_text_map = |field: &Value| {
        field
            .as_object()
            .is_some_and(|map| map.values().all(Value::is_string))
    };
    let Some(string_data) = secret.get("stringData") else {
        return;
    };
    if !is_text_map(string_data) || !secret.get("data").is_none_or(is_text_map) {
        return;
    }
    let Some(Value::Object(string_data)) = secret.remove("stringData") else {
        return;
    };
    if let Some(data) = object::map_entry(secret, "data") {
        for (key, text) in string_data {
            let encoded = STANDARD.encode(text.as_str().unwrap_or_default());
            data.insert(key, Value::String(encoded));
        }
    }
}

/// Spells out TCP in the ports of Services and of workloads' containers.
fn default_protocols(gvk: &GroupVersionKind, value: &mut Value) {
    let pod_spec = match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Service") => {
            default_ports(value.pointer_mut("/spec/ports"));
            return;
        }
        ("", "Pod") => "/spec",
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch", "Job") => {
            "/spec/template/spec"
        }
        ("batch", "CronJob") => "/spec/jobTemplate/spec/template/spec",
        _ => return,
    };
    let containers = value
        .pointer_mut(&format!("{pod_spec}/containers"))
        .and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        default_ports(container.get_mut("ports"));
    }
}

fn default_ports(ports: Option<&mut Value>) {
    let ports = ports.and_then(Value::as_array_mut).into_iter().flatten();
    for port in ports.filter_map(Value::as_object_mut) {
        let is_unset =
            |map: &Map<String, Value>| map.get("protocol").is_none_or(|it| it.as_str() == Some(""));
        if is_unset(port) {
            port.insert("protocol".into(), Value::String("TCP".into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(mut input: Value, expected: &Value) {
        normalize(&mut input);
        assert_eq!(&input, expected);
        normalize(&mut input);
        assert_eq!(&input, expected, "a second pass changes nothing");
    }

    /// covers: KC-101
    #[test]
    fn ports_name_their_protocol() {
        check(
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
                   "spec": {"ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}, {"port": 1, "protocol": ""}]}}),
            &json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
                   "spec": {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}, {"port": 1, "protocol": "TCP"}]}}),
        );
        for (api, kind, pointer) in [
            ("v1", "Pod", "/spec"),
            ("apps/v1", "Deployment", "/spec/template/spec"),
            ("apps/v1", "StatefulSet", "/spec/template/spec"),
            ("apps/v1", "DaemonSet", "/spec/template/spec"),
            ("apps/v1", "ReplicaSet", "/spec/template/spec"),
            ("batch/v1", "Job", "/spec/template/spec"),
            (
                "batch/v1",
                "CronJob",
                "/spec/jobTemplate/spec/template/spec",
            ),
        ] {
            let mut spec = json!({
                "containers": [{"name": "a", "ports": [{"containerPort": 80}]}],
                "initContainers": [{"name": "b", "ports": [{"containerPort": 80}]}],
            });
            for key in pointer.rsplit('/').filter(|key| !key.is_empty()) {
                spec = json!({ key: spec });
            }
            spec["apiVersion"] = json!(api);
            spec["kind"] = json!(kind);
            normalize(&mut spec);
            let pod = spec.pointer(pointer).unwrap();
            assert_eq!(
                pod["containers"][0]["ports"][0]["protocol"], "TCP",
                "{kind}"
            );
            assert_eq!(
                pod["initContainers"][0]["ports"][0].get("protocol"),
                None,
                "{kind}"
            );
        }
        let custom =
            json!({"apiVersion": "x.io/v1", "kind": "Service", "spec": {"ports": [{"port": 80}]}});
        check(custom.clone(), &custom);
    }

    #[test]
    fn string_data_becomes_data_and_wins() {
        check(
            json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "b2xk", "b": "Yg=="}, "stringData": {"a": "new", "c": null}}),
            &json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "bmV3", "b": "Yg==", "c": ""}}),
        );
        let wrong = json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"a": 3}});
        check(wrong.clone(), &wrong);
    }

    #[test]
    fn status_and_creation_time_are_not_sent() {
        check(
            json!({"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": "a", "creationTimestamp": null}, "status": {"a": 1}, "spec": {"keep": null}}),
            &json!({"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"keep": null}}),
        );
        let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "status": {"storedVersions": ["v1"]}});
        check(crd.clone(), &crd);
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"creationTimestamp": null}});
        check(role.clone(), &role);
    }

    #[test]
    fn nulls_vanish_from_built_in_kinds() {
        check(
            json!({"apiVersion": "apps/v1", "kind": "Deployment",
                   "metadata": {"annotations": {"a": null}},
                   "spec": {"replicas": null, "template": {"metadata": {"creationTimestamp": null}, "spec": {"containers": [{"name": "a", "env": null}]}}}}),
            &json!({"apiVersion": "apps/v1", "kind": "Deployment",
                   "metadata": {"annotations": {"a": ""}},
                   "spec": {"template": {"metadata": {}, "spec": {"containers": [{"name": "a"}]}}}}),
        );
        check(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": null}}),
            &json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": ""}}),
        );
    }

    /// covers: KC-107
    #[test]
    fn only_a_usable_ca_bundle_stays_on_a_crd() {
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (bundle, stays) in [
            (STANDARD.encode(pem), true),
            (pem.to_string(), false),
            ("Cg==".to_string(), false),
            ("not base64!".to_string(), false),
            (String::new(), false),
        ] {
            let mut crd = json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": bundle, "url": "https://x"}}}},
            });
            normalize(&mut crd);
            let config = &crd["spec"]["conversion"]["webhook"]["clientConfig"];
            assert_eq!(config.get("caBundle").is_some(), stays, "{bundle:?}");
            assert_eq!(config["url"], "https://x");
        }
    }

    #[test]
    fn undecrypted_secrets_are_seen_before_normalising() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"a": "ENC[…]"}, "sops": {"mac": "x"}});
        assert!(is_encrypted_secret(&secret));
        let mut opted_out = secret.clone();
        opted_out["metadata"] =
            json!({"annotations": {"kustomize.toolkit.fluxcd.io/decrypt": "Disabled"}});
        assert!(!is_encrypted_secret(&opted_out));
        let mut map = secret;
        map["kind"] = json!("ConfigMap");
        assert!(!is_encrypted_secret(&map));
    }
}
