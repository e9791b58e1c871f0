//! Charts of every make.

use futures::future::join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};

use crate::world::{World, history, is, message};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  colour: {{ .Values.colour | default \"none\" }}\n";

fn hook(event: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {event}\n  annotations: {{helm.sh/hook: {event}}}\ndata:\n  revision: {{{{ .Release.Revision | quote }}}}\n  state: {{{{ index (.Values.hooks | default dict) {event:?} | default \"good\" }}}}\n"
    )
}

const EVENTS: [&str; 8] = [
    "pre-install",
    "post-install",
    "pre-upgrade",
    "post-upgrade",
    "pre-rollback",
    "post-rollback",
    "pre-delete",
    "post-delete",
];

fn chart_with_hooks() -> Vec<(String, String)> {
    let mut files = vec![("one.yaml".to_owned(), MAP.to_owned())];
    files.extend(EVENTS.iter().map(|e| (format!("{e}.yaml"), hook(e))));
    files
}

async fn publish(world: &World, version: &str, files: &[(String, String)]) {
    let files: Vec<_> = files
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    world.publish(version, &files).await;
}

/// Hooks whose ConfigMap says so have failed.
fn rule() -> Value {
    json!([{ "apiVersion": "v1", "kind": "ConfigMap", "current": "true",
        "failed": "data.?state.orValue('') == 'bad' || data.?colour.orValue('') == 'sick'" }])
}

/// Each hook runs at its event and at no other.
#[tokio::test]
async fn hooks_run_at_their_events() {
    let world = World::new().await;
    publish(&world, "1.0.0", &chart_with_hooks()).await;
    world.apply(json!({})).await;
    world.deployed(1).await;
    let ran = |event: &'static str| world.entry(event, "revision");
    assert_eq!(ran("pre-install").await.as_deref(), Some("1"));
    assert_eq!(ran("post-install").await.as_deref(), Some("1"));
    assert_eq!(ran("pre-upgrade").await, None);
    let remediation = json!({ "retries": 0, "remediateLastFailure": true });
    let upgrade = json!({ "remediation": remediation });
    let spec =
        |values: Value| json!({ "healthCheckExprs": rule(), "upgrade": upgrade, "values": values });
    world.apply(spec(json!({ "colour": "blue" }))).await;
    world.deployed(2).await;
    assert_eq!(ran("pre-upgrade").await.as_deref(), Some("2"));
    assert_eq!(ran("post-upgrade").await.as_deref(), Some("2"));
    assert_eq!(ran("pre-rollback").await, None);
    world.apply(spec(json!({ "colour": "sick" }))).await;
    world.failed("RollbackSucceeded").await;
    // A rollback runs the hooks of the release that it goes back to.
    assert_eq!(ran("pre-rollback").await.as_deref(), Some("2"));
    assert_eq!(ran("post-rollback").await.as_deref(), Some("2"));
    assert_eq!(ran("pre-install").await.as_deref(), Some("1"));
    assert_eq!(ran("pre-delete").await, None);
    world.delete().await;
    assert!(ran("pre-delete").await.is_some() && ran("post-delete").await.is_some());
}

/// Whatever stage of an upgrade fails, what was in place before is in place again.
#[tokio::test]
async fn upgrade_that_fails_at_any_stage_is_rolled_back() {
    let cases = [
        (
            "its hook before",
            json!({ "hooks": { "pre-upgrade": "bad" } }),
        ),
        ("an object refused", json!({ "refused": true })),
        ("an object not created", json!({ "uncreated": true })),
        ("an object not ready", json!({ "colour": "sick" })),
        (
            "its hook after",
            json!({ "hooks": { "post-upgrade": "bad" } }),
        ),
        ("its test", json!({ "verdict": "not good" })),
    ];
    let all = cases.map(|(what, mut values)| async move {
        let world = World::new().await;
        let mut files = chart_with_hooks();
        files[0].1.push_str("{{ if .Values.refused }}  a bad key: x\n{{ end }}");
        files.push(("new.yaml".into(), "{{ if .Values.uncreated }}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: new}\ndata: {\"a bad key\": x}\n{{ end }}".into()));
        files.push(("left.yaml".into(), "{{ if not .Values.changed }}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: left}\ndata: {here: \"yes\"}\n{{ end }}".into()));
        files.push(("check.yaml".into(), "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: check\n  annotations: {helm.sh/hook: test, helm.sh/hook-delete-policy: before-hook-creation}\ndata:\n  {{ .Values.verdict | default \"good\" | quote }}: x\n".into()));
        publish(&world, "1.0.0", &files).await;
        let remediation = json!({ "retries": 0, "remediateLastFailure": true });
        let spec = |values: &Value| {
            json!({ "healthCheckExprs": rule(), "test": { "enable": true },
                "upgrade": { "remediation": remediation }, "values": values })
        };
        let good = json!({ "colour": "blue" });
        world.apply(spec(&good)).await;
        world.deployed(1).await;
        values["changed"] = true.into();
        if values.get("colour").is_none() {
            values["colour"] = "red".into();
        }
        world.apply(spec(&values)).await;
        let object = world
            .until(what, |o| is(o, "Remediated", "True") && is(o, "Stalled", "True"))
            .await;
        assert_eq!(history(&object)[0], (3, "deployed", "rollback"), "{what}");
        let revisions = world.revisions().await;
        let statuses: Vec<_> = revisions.iter().map(|(_, s)| s.as_str()).collect();
        let second = if what == "its test" { "superseded" } else { "failed" };
        assert_eq!(statuses, ["superseded", second, "deployed"], "{what}");
        assert_eq!(world.entry("one", "colour").await.as_deref(), Some("blue"), "{what}");
        assert_eq!(world.entry("left", "here").await.as_deref(), Some("yes"), "{what}");
    });
    join_all(all).await;
}

/// covers: HC-056, HC-107, HC-111
#[tokio::test]
async fn tests_of_a_chart_are_run_and_remembered() {
    let world = World::new().await;
    let map = |name: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  annotations: {{helm.sh/hook: test}}\ndata: {{}}\n"
        )
    };
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    world.apply(json!({ "test": { "enable": true } })).await;
    let object = world.deployed(1).await;
    let words = message(&object, "TestSuccess");
    assert!(words.ends_with(": no test hooks"), "{words}");
    let files = [
        ("one.yaml", MAP),
        ("a.yaml", &map("a")),
        ("b.yaml", &map("b")),
    ];
    world.publish("1.1.0", &files).await;
    let object = world.deployed(2).await;
    let words = message(&object, "TestSuccess");
    assert!(
        words.ends_with(": 2 test hooks completed successfully"),
        "{words}"
    );
    let hooks = object.status.unwrap().history[0]
        .test_hooks
        .clone()
        .unwrap();
    let phases: Vec<_> = hooks
        .iter()
        .map(|(n, h)| (n.as_str(), h.phase.as_deref()))
        .collect();
    assert_eq!(phases, [("a", Some("Succeeded")), ("b", Some("Succeeded"))]);
    let filters = json!([{ "name": "a", "exclude": true }]);
    world
        .apply(json!({ "test": { "enable": true, "filters": filters }, "values": { "colour": "red" } }))
        .await;
    let object = world.deployed(3).await;
    let hooks = object.status.unwrap().history[0]
        .test_hooks
        .clone()
        .unwrap();
    assert_eq!(hooks.keys().collect::<Vec<_>>(), ["b"]);
}

/// The definition of a kind of the world's own group, with a description.
fn definition(world: &World, kind: &str, words: &str) -> String {
    let (ns, plural) = (world.ns(), kind.to_lowercase());
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: {plural}s.{ns}.test\nspec:\n  group: {ns}.test\n  scope: Namespaced\n  names: {{kind: {kind}, plural: {plural}s}}\n  versions:\n  - name: v1\n    served: true\n    storage: true\n    schema: {{openAPIV3Schema: {{type: object, description: {words}}}}}\n"
    )
}

fn definitions(world: &World) -> Api<CustomResourceDefinition> {
    Api::all(world.client.clone())
}

/// The description of a definition in the cluster; none where it is not there.
async fn described(world: &World, kind: &str) -> Option<String> {
    let name = format!("{kind}s.{}.test", world.ns());
    let found = definitions(world).get_opt(&name).await.unwrap()?;
    let schema = found.spec.versions[0].schema.clone().unwrap();
    schema.open_api_v3_schema.unwrap().description
}

/// Publishes a chart with a definition and an object of it, and a subchart with another.
async fn publish_definitions(world: &World, version: &str, words: &str) {
    let chart = format!(
        "apiVersion: v2\nname: app\nversion: {version}\ndependencies:\n- {{name: sub, version: 1.0.0, condition: sub.enabled}}\n"
    );
    let object = format!(
        "apiVersion: {}.test/v1\nkind: Toy\nmetadata: {{name: toy}}\n",
        world.ns()
    );
    let (toy, sub) = (
        definition(world, "Toy", words),
        definition(world, "Sub", words),
    );
    let other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n";
    let files = [
        ("Chart.yaml", chart.as_str()),
        ("crds/toy.yaml", toy.as_str()),
        ("crds/other.yaml", other),
        ("templates/toy.yaml", object.as_str()),
        (
            "charts/sub/Chart.yaml",
            "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
        ),
        ("charts/sub/crds/sub.yaml", sub.as_str()),
    ];
    world.publish_files(version, &files).await;
}

fn with_definitions(policy: &str, sub: bool) -> Value {
    json!({ "install": { "crds": policy }, "upgrade": { "crds": policy },
        "values": { "sub": { "enabled": sub } } })
}

/// covers: HC-103, HC-105, HC-173
#[tokio::test]
async fn definitions_follow_their_policy() {
    let world = World::new().await;
    let ns = world.ns();
    publish_definitions(&world, "1.0.0", "first").await;
    world.apply(with_definitions("Skip", false)).await;
    let failed = world.failed("InstallFailed").await;
    let ready = message(&failed, "Ready");
    assert!(ready.contains("no matches for kind"), "{ready}");
    world.apply(with_definitions("Create", false)).await;
    let installed = world.deployed(1).await;
    let described = async |kind: &str| described(&world, kind).await;
    assert_eq!(described("toy").await.as_deref(), Some("first"));
    assert_eq!(described("sub").await, None);
    // Only definitions are taken from the folder.
    let other = world.config_maps().get_opt("other").await.unwrap();
    assert!(other.is_none());
    let inventory = installed.status.unwrap().inventory.unwrap();
    let ids: Vec<_> = inventory.entries.iter().map(|e| e.id.clone()).collect();
    for id in [
        format!("_toys.{ns}.test_apiextensions.k8s.io_CustomResourceDefinition"),
        format!("{ns}_toy_{ns}.test_Toy"),
    ] {
        assert!(ids.contains(&id), "{id} is not in {ids:?}");
    }
    publish_definitions(&world, "1.1.0", "second").await;
    world.deployed(2).await;
    world.apply(with_definitions("Create", true)).await;
    world.deployed(3).await;
    assert_eq!(described("toy").await.as_deref(), Some("first"));
    assert_eq!(described("sub").await.as_deref(), Some("second"));
    world.apply(with_definitions("CreateReplace", true)).await;
    publish_definitions(&world, "1.2.0", "third").await;
    world
        .until("replaced", |o| {
            let latest = o.status.as_ref().and_then(|s| s.history.first());
            is(o, "Ready", "True") && latest.is_some_and(|l| l.chart_version == "1.2.0")
        })
        .await;
    assert_eq!(described("toy").await.as_deref(), Some("third"));
    // Definitions stay when the release goes.
    world.delete().await;
    assert_eq!(described("toy").await.as_deref(), Some("third"));
    for kind in ["toy", "sub"] {
        let (name, params) = (format!("{kind}s.{ns}.test"), DeleteParams::default());
        definitions(&world).delete(&name, &params).await.unwrap();
    }
}

#[tokio::test]
async fn subcharts_import_values_and_lookups_are_rendered() {
    let world = World::new().await;
    let chart = "apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n- name: sub\n  version: 1.0.0\n  alias: db\n  import-values: [exported, {child: inner, parent: taken}]\n- {name: sub, version: 1.0.0, alias: idle, condition: idle.enabled}\n";
    let own = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  exported: {{ .Values.word | quote }}\n  taken: {{ .Values.taken.deep | quote }}\n  looked: {{ (lookup \"v1\" \"ConfigMap\" .Release.Namespace \"there\").data.key | quote }}\n  missing: {{ lookup \"v1\" \"ConfigMap\" .Release.Namespace \"nobody\" | len | quote }}\n";
    let sub = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Chart.Name }}}\ndata:\n  colour: {{ .Values.colour }}\n  global: {{ .Values.global.word }}\n";
    let files = [
        ("Chart.yaml", chart),
        (
            "values.yaml",
            "idle: {enabled: false}\nglobal: {word: everywhere}\n",
        ),
        ("templates/one.yaml", own),
        (
            "charts/sub/Chart.yaml",
            "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
        ),
        (
            "charts/sub/values.yaml",
            "colour: grey\nexports: {exported: {word: out}}\ninner: {deep: value}\n",
        ),
        ("charts/sub/templates/map.yaml", sub),
    ];
    let there = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "there" }, "data": { "key": "seen" } });
    world
        .make::<k8s_openapi::api::core::v1::ConfigMap>("there", there)
        .await;
    world.publish_files("1.0.0", &files).await;
    world
        .apply(json!({ "values": { "db": { "colour": "blue" } } }))
        .await;
    world.deployed(1).await;
    let one = world.config_maps().get("one").await.unwrap().data.unwrap();
    let of = |key: &str| one[key].clone();
    assert_eq!(
        ["exported", "taken", "looked", "missing"].map(of),
        ["out", "value", "seen", "0"]
    );
    let db = world.config_maps().get("db").await.unwrap().data.unwrap();
    assert_eq!(
        (db["colour"].as_str(), db["global"].as_str()),
        ("blue", "everywhere")
    );
    assert!(world.config_maps().get_opt("idle").await.unwrap().is_none());
}
