//! Charts, values and clusters that are not as they should be: a clear condition, the live release intact.

use std::fmt::Write;

use futures::future::join_all;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use testkit::{Answer, HttpSink};

use crate::world::{PATIENCE, PAUSE, World, condition, is, message};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  colour: {{ .Values.colour | default \"none\" }}\n";

async fn deployed() -> World {
    let world = World::new().await;
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    world.apply(json!({ "values": { "colour": "blue" } })).await;
    world.deployed(1).await;
    world
}

/// Nothing of the release was touched.
async fn is_intact(world: &World) {
    assert_eq!(world.entry("one", "colour").await.as_deref(), Some("blue"));
    assert_eq!(world.revisions().await, [(1, "deployed".to_owned())]);
}

/// Charts that cannot be rendered; the release stays, and the next good chart is released.
///
/// covers: HE-126
#[tokio::test]
async fn chart_that_cannot_be_rendered_touches_nothing() {
    let cases = [
        ("fails", "{{ fail \"not today\" }}", "not today"),
        ("is no template", "{{ if }}", "missing value for if"),
        (
            "calls what is not there",
            "{{ include \"nobody\" . }}",
            "nobody",
        ),
        ("is no YAML", "a: b: c: d", "mapping values are not allowed"),
        (
            "has no kind",
            "apiVersion: v1\nmetadata: {name: x}\n",
            "Kind",
        ),
        (
            "names an unknown kind",
            "apiVersion: nobody.example/v1\nkind: Nobody\nmetadata: {name: x}\n",
            "no matches for kind \"Nobody\"",
        ),
        (
            "never ends",
            "{{ define \"a\" }}{{ include \"a\" . }}{{ end }}{{ include \"a\" . }}",
            "",
        ),
        (
            "explodes",
            "{{ range until 100000 }}{{ repeat 100000 \"x\" }}{{ end }}",
            "",
        ),
        (
            "counts for ever",
            "{{ range $i := until 2000000000 }}{{ end }}",
            "",
        ),
    ];
    let all = cases.map(|(what, text, words)| async move {
        let world = deployed().await;
        world
            .publish("1.1.0", &[("one.yaml", MAP), ("bad.yaml", text)])
            .await;
        let object = world.failed("UpgradeFailed").await;
        let ready = message(&object, "Ready");
        assert!(ready.contains(words), "a chart that {what}: {ready}");
        assert!(ready.len() < 40_000, "a chart that {what}");
        is_intact(&world).await;
        world.publish("1.2.0", &[("one.yaml", MAP)]).await;
        world.deployed(2).await;
    });
    join_all(all).await;
}

/// covers: HC-148
#[tokio::test]
async fn values_that_do_not_fit_touch_nothing() {
    let schema = "{\"properties\": {\"colour\": {\"type\": \"string\"}}}";
    let schemed = async {
        let world = deployed().await;
        let files = [("templates/one.yaml", MAP), ("values.schema.json", schema)];
        world.publish_files("1.1.0", &files).await;
        world.deployed(2).await;
        world.apply(json!({ "values": { "colour": 7 } })).await;
        let object = world.failed("UpgradeFailed").await;
        let ready = message(&object, "Ready");
        assert!(
            ready.contains("values don't meet the specifications of the schema"),
            "{ready}"
        );
        assert_eq!(world.entry("one", "colour").await.as_deref(), Some("blue"));
        let upgrade = json!({ "disableSchemaValidation": true });
        world
            .apply(json!({ "values": { "colour": "red" }, "upgrade": upgrade }))
            .await;
        world.deployed(3).await;
    };
    let typed = async {
        let world = deployed().await;
        let text = format!("{MAP}  count: {{{{ add (index .Values.list 0) 1 | quote }}}}\n");
        world.publish("1.1.0", &[("one.yaml", &text)]).await;
        let object = world.failed("UpgradeFailed").await;
        assert!(message(&object, "Ready").contains("list"), "{object:#?}");
        is_intact(&world).await;
    };
    let missing = async {
        let world = deployed().await;
        let from = |name: &str| json!([{ "kind": "Secret", "name": name }]);
        world.apply(json!({ "valuesFrom": from("nobody") })).await;
        let object = world.failed("ValuesError").await;
        let ns = world.ns();
        assert_eq!(
            message(&object, "Ready"),
            format!(
                "could not resolve Secret chart values reference '{ns}/nobody' with key 'values.yaml': secrets \"nobody\" not found"
            )
        );
        is_intact(&world).await;
        let broken = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "broken" },
            "stringData": { "values.yaml": "a: [" } });
        world
            .make::<k8s_openapi::api::core::v1::Secret>("broken", broken)
            .await;
        world.apply(json!({ "valuesFrom": from("broken") })).await;
        world
            .until("broken values", |o| {
                condition(o, "Ready")
                    .is_some_and(|c| c.reason == "ValuesError" && c.message.contains("/broken'"))
            })
            .await;
        is_intact(&world).await;
    };
    tokio::join!(schemed, typed, missing);
}

/// covers: HC-149, HC-177
#[tokio::test]
async fn chart_that_vanishes_or_is_another_touches_nothing() {
    let vanished = async {
        let world = deployed().await;
        let artifact = world.pack("app", "1.1.0", &[("templates/one.yaml", MAP)]);
        world.artifacts.remove("app-1.1.0.tgz");
        world.announce("1.1.0", &artifact).await;
        let object = world.failed("ArtifactFailed").await;
        assert_eq!(
            message(&object, "Ready"),
            "Source not ready: artifact not found. Retrying in 30s"
        );
        is_intact(&world).await;
        world.publish("1.2.0", &[("one.yaml", MAP)]).await;
        world.deployed(2).await;
    };
    let changed = async {
        let world = deployed().await;
        let mut artifact = world.pack("app", "1.1.0", &[("templates/one.yaml", MAP)]);
        artifact.digest = format!("sha256:{}", "0".repeat(64));
        world.announce("1.1.0", &artifact).await;
        let object = world.failed("ArtifactFailed").await;
        let ready = message(&object, "Ready");
        assert!(ready.starts_with("Could not load chart: "), "{ready}");
        is_intact(&world).await;
    };
    let broken = async {
        let world = deployed().await;
        let artifact = world
            .artifacts
            .put("app-9.tgz", b"this is no archive".to_vec());
        world.announce("9.0.0", &artifact).await;
        let object = world.failed("ArtifactFailed").await;
        let ready = message(&object, "Ready");
        assert!(ready.starts_with("Could not load chart: "), "{ready}");
        is_intact(&world).await;
    };
    let no_chart = async {
        let world = deployed().await;
        world
            .publish_files("1.1.0", &[("Chart.yaml", "nothing: here\n")])
            .await;
        let object = world.failed("ArtifactFailed").await;
        let ready = message(&object, "Ready");
        assert!(ready.starts_with("Could not load chart: "), "{ready}");
        is_intact(&world).await;
    };
    tokio::join!(vanished, changed, broken, no_chart);
}

/// A release that does not fit into a Secret is refused before anything is applied, and says what takes the room.
#[tokio::test]
async fn release_larger_than_a_secret_is_refused_before_anything_is_applied() {
    let world = World::new().await;
    // What does not compress: a long walk of a small generator.
    let mut state = 1_u64;
    let mut noise =
        String::from("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: noise}\ndata:\n");
    for line in 0..12_000 {
        write!(noise, "  k{line}: ").unwrap();
        for _ in 0..12 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            write!(noise, "{:012x}", state >> 16).unwrap();
        }
        noise.push('\n');
    }
    let files = [("one.yaml", MAP), ("noise.yaml", noise.as_str())];
    world.publish("1.0.0", &files).await;
    world.apply(json!({})).await;
    let object = world.failed("InstallFailed").await;
    let ready = message(&object, "Ready");
    assert!(
        ready.contains("the release is too large to be stored: its record takes "),
        "{ready}"
    );
    assert_eq!(world.records().await, []);
    assert!(world.config_maps().get_opt("one").await.unwrap().is_none());
}

/// covers: HC-129
#[tokio::test]
async fn field_that_cannot_change_is_told_and_the_rest_goes_on() {
    let world = World::new().await;
    let fixed = "apiVersion: v1\nkind: Secret\nmetadata: {name: fixed}\nimmutable: true\nstringData:\n  key: {{ .Values.key }}\n";
    world
        .publish("1.0.0", &[("one.yaml", MAP), ("fixed.yaml", fixed)])
        .await;
    world
        .apply(json!({ "values": { "key": "old", "colour": "blue" } }))
        .await;
    world.deployed(1).await;
    world
        .apply(json!({ "values": { "key": "verysecret", "colour": "red" } }))
        .await;
    let object = world.stalled().await;
    let ready = message(&object, "Ready");
    assert!(
        ready.contains("field is immutable when `immutable` is set"),
        "{ready}"
    );
    assert!(!ready.contains("verysecret"), "{ready}");
    // What could be changed, was.
    world.until_entry("one", "colour", Some("red")).await;
    world
        .apply(json!({ "values": { "key": "old", "colour": "green" } }))
        .await;
    world.deployed(3).await;
}

/// Waits until the API server, which needs a moment to know its webhooks, allows what is red or refuses it.
async fn until_red_is(world: &World, allowed: bool) {
    let red = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "probe" },
        "data": { "colour": "red" } });
    let params = PatchParams::apply("test").dry_run();
    let began = std::time::Instant::now();
    loop {
        let sent = world.config_maps();
        let sent = sent.patch("probe", &params, &Patch::Apply(&red)).await;
        if sent.is_ok() == allowed {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "red stays as it was: {sent:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// A webhook refuses one object: the upgrade is rolled back, and succeeds once the webhook lets it.
#[tokio::test]
async fn webhook_that_refuses_is_told_and_what_it_refused_undone() {
    let world = deployed().await;
    let sink = HttpSink::start_tls().unwrap();
    let verdict = |allowed: bool, uid: &str| {
        json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {
            "uid": uid, "allowed": allowed, "status": { "message": "no red today" } } })
    };
    // Without the request's uid the answer is no answer: the API server refuses all the same.
    sink.answer(Answer::body(verdict(false, "").to_string()));
    let authority = sink.authority().unwrap();
    let ns = world.ns();
    let bundle = k8s_openapi::ByteString(authority.pem().into_bytes());
    let hook: Value = json!({ "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": { "name": ns }, "webhooks": [{ "name": "no.red.test", "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "failurePolicy": "Fail", "timeoutSeconds": 5,
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": ns } },
            "matchConditions": [{ "name": "red", "expression": "has(object.data) && 'colour' in object.data && object.data.colour == 'red'" }],
            "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
                "resources": ["configmaps"] }],
            "clientConfig": { "url": sink.url(), "caBundle": bundle } }] });
    let api = Api::<ValidatingWebhookConfiguration>::all(world.client.clone());
    let params = PatchParams::apply("test");
    api.patch(ns, &params, &Patch::Apply(hook)).await.unwrap();
    let remediation = json!({ "retries": 0, "remediateLastFailure": true });
    let with = |colour: &str| json!({ "values": { "colour": colour }, "upgrade": { "remediation": remediation } });
    until_red_is(&world, false).await;
    world.apply(with("red")).await;
    let object = world.failed("RollbackSucceeded").await;
    let released = message(&object, "Released");
    assert!(released.contains("no.red.test"), "{released}");
    assert_eq!(world.entry("one", "colour").await.as_deref(), Some("blue"));
    api.delete(ns, &DeleteParams::default()).await.unwrap();
    until_red_is(&world, true).await;
    world.request(&["resetAt"]).await;
    world.until("deployed", |o| is(o, "Ready", "True")).await;
    world.until_entry("one", "colour", Some("red")).await;
}
