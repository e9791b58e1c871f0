//! What Helm does with objects and records that one would not guess.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
};
use serde_json::{Value, json};

use crate::world::{World, history, is, message};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  colour: {{ .Values.colour | default \"none\" }}\n";

/// A definition of kind Toy in the world's own group, with these annotations.
fn toys(world: &World, annotations: &str) -> String {
    let group = format!("{}.test", world.ns());
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: toys.{group}\n  annotations: {annotations}\nspec:\n  group: {group}\n  scope: Namespaced\n  names: {{kind: Toy, plural: toys}}\n  versions:\n  - name: v1\n    served: true\n    storage: true\n    schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}\n"
    )
}

fn definitions(world: &World) -> Api<CustomResourceDefinition> {
    Api::all(world.client.clone())
}

async fn uid(world: &World, name: &str) -> String {
    let map = world.config_maps().get(name).await.unwrap();
    map.metadata.uid.unwrap()
}

/// covers: HE-097, HE-099
#[tokio::test]
async fn hooks_are_made_anew_and_nobody_s_afterwards() {
    let world = World::new().await;
    let definition = toys(
        &world,
        "{helm.sh/hook: \"pre-install,pre-upgrade\", helm.sh/hook-delete-policy: \"before-hook-creation,hook-succeeded\"}",
    );
    let hook = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: before\n  annotations: {helm.sh/hook: \"pre-install,pre-upgrade\"}\n";
    let files = [
        ("one.yaml", MAP),
        ("before.yaml", hook),
        ("toys.yaml", &definition),
    ];
    world.publish("1.0.0", &files).await;
    world.apply(json!({})).await;
    let object = world.deployed(1).await;
    let inventory = object.status.unwrap().inventory.unwrap().entries;
    assert_eq!(inventory.len(), 1, "{inventory:?}");
    let name = format!("toys.{}.test", world.ns());
    let defined = async || {
        let found = definitions(&world).get(&name).await.unwrap();
        found.metadata.uid.unwrap()
    };
    let (first, definition) = (uid(&world, "before").await, defined().await);
    world.apply(json!({ "values": { "colour": "red" } })).await;
    world.deployed(2).await;
    let second = uid(&world, "before").await;
    assert_ne!(first, second);
    // With a definition everything of its kind would go, so it is left whatever its policy says.
    assert_eq!(defined().await, definition);
    world.delete().await;
    assert_eq!(uid(&world, "before").await, second);
    assert_eq!(defined().await, definition);
    let params = DeleteParams::default();
    definitions(&world).delete(&name, &params).await.unwrap();
}

/// covers: HE-098, HE-132
#[tokio::test]
async fn tests_are_judged_by_what_the_cluster_says_of_them() {
    let test = |kind: &str, spec: &str| {
        format!(
            "{kind}\nmetadata:\n  name: check\n  annotations: {{helm.sh/hook: test}}\nspec:\n{spec}"
        )
    };
    let containers = "restartPolicy: Never, containers: [{name: c, image: example.org/none}]";
    let endless = async {
        let world = World::new().await;
        let pod = test(
            "apiVersion: v1\nkind: Pod",
            "  restartPolicy: Never\n  containers: [{name: c, image: example.org/none}]\n",
        );
        let files = [("one.yaml", MAP), ("check.yaml", &pod)];
        world.publish("1.0.0", &files).await;
        let enabled = json!({ "enable": true, "timeout": "2s" });
        world.apply(json!({ "test": enabled })).await;
        let object = world.failed("TestFailed").await;
        // Nothing else was held up, and the release stands.
        assert_eq!(history(&object), [(1, "deployed", "install")]);
        let hooks = object.status.unwrap().history[0].test_hooks.clone();
        assert_eq!(hooks.unwrap()["check"].phase.as_deref(), Some("Failed"));
        world.until_entry("one", "colour", Some("none")).await;
    };
    // A suspended job is as it is meant to be; Helm 3 would have waited for its end.
    let suspended = async {
        let world = World::new().await;
        let job = test(
            "apiVersion: batch/v1\nkind: Job",
            &format!("  suspend: true\n  template: {{spec: {{{containers}}}}}\n"),
        );
        let files = [("one.yaml", MAP), ("check.yaml", &job)];
        world.publish("1.0.0", &files).await;
        let spec = json!({ "test": { "enable": true }, "waitStrategy": { "name": "legacy" } });
        world.apply(spec).await;
        let object = world.deployed(1).await;
        let words = message(&object, "TestSuccess");
        assert!(
            words.ends_with(": 1 test hook completed successfully"),
            "{words}"
        );
    };
    tokio::join!(endless, suspended);
}

fn kept(name: &str, policy: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, annotations: {{helm.sh/resource-policy: {policy}}}}}\n"
    )
}

/// covers: HE-100, HE-101
#[tokio::test]
async fn policies_of_objects_count_when_the_chart_or_the_release_drops_them() {
    let world = World::new().await;
    let (exact, shouted, other) = (
        kept("exact", "keep"),
        kept("shouted", "KEEP"),
        kept("other", "x"),
    );
    let files = [
        ("one.yaml", MAP),
        ("exact.yaml", exact.as_str()),
        ("shouted.yaml", &shouted),
        ("other.yaml", &other),
    ];
    let exists = async |name: &str| world.config_maps().get_opt(name).await.unwrap().is_some();
    world.publish("1.0.0", &files).await;
    world.apply(json!({})).await;
    world.deployed(1).await;
    world.publish("1.1.0", &files[..1]).await;
    world.deployed(2).await;
    // Whoever writes KEEP wants to keep it.
    assert!(exists("exact").await && exists("shouted").await && !exists("other").await);
    world.publish("1.2.0", &files).await;
    world.deployed(3).await;
    world.delete().await;
    assert!(exists("exact").await && exists("shouted").await && exists("other").await);
    assert!(!exists("one").await);
}

/// covers: HE-103, HE-180
#[tokio::test]
async fn objects_may_go_into_a_namespace_of_the_chart() {
    let world = World::new().await;
    let there = format!("{}-there", world.ns());
    let map =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, namespace: {there}}}\n");
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {there}}}\n");
    // By their files' names the namespace would come last.
    world
        .publish("1.0.0", &[("a.yaml", &map), ("z.yaml", &namespace)])
        .await;
    world.apply(json!({})).await;
    world.deployed(1).await;
    let maps = Api::<ConfigMap>::namespaced(world.client.clone(), &there);
    let annotations = maps.get("a").await.unwrap().metadata.annotations.unwrap();
    let of = |key: &str| annotations[&format!("meta.helm.sh/{key}")].clone();
    assert_eq!(of("release-name"), "app");
    assert_eq!(of("release-namespace"), world.ns());
    assert_eq!(world.revisions().await, [(1, "deployed".to_owned())]);
    let secrets = Api::<Secret>::namespaced(world.client.clone(), &there);
    let records = ListParams::default().labels("owner=helm");
    assert_eq!(secrets.list(&records).await.unwrap().items.len(), 0);
    world.delete().await;
}

/// covers: HE-104
#[tokio::test]
async fn namespace_that_was_made_for_a_release_is_not_part_of_it() {
    let world = World::new().await;
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    let there = format!("{}-made", world.ns());
    let spec = |colour: &str| {
        json!({ "targetNamespace": there, "releaseName": "app",
        "storageNamespace": world.ns(), "install": { "createNamespace": true },
        "values": { "colour": colour } })
    };
    world.apply(spec("blue")).await;
    world.deployed(1).await;
    let namespaces = Api::<Namespace>::all(world.client.clone());
    let labels = namespaces
        .get(&there)
        .await
        .unwrap()
        .metadata
        .labels
        .unwrap();
    assert_eq!(labels["name"], there);
    assert!(!labels.contains_key("app.kubernetes.io/managed-by"));
    let change = json!({ "metadata": { "labels": { "name": "changed" } } });
    let params = PatchParams::default();
    namespaces
        .patch(&there, &params, &Patch::Merge(change))
        .await
        .unwrap();
    world.apply(spec("red")).await;
    world.deployed(2).await;
    world.delete().await;
    let left = namespaces.get(&there).await.unwrap();
    assert_eq!(left.metadata.labels.unwrap()["name"], "changed");
    assert!(left.metadata.deletion_timestamp.is_none());
    let params = DeleteParams::default();
    namespaces.delete(&there, &params).await.unwrap();
}

/// covers: HE-105
#[tokio::test]
async fn two_releases_of_one_object_take_it_from_each_other() {
    let world = World::new().await;
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    let owner = async || {
        let one = world.config_maps().get("one").await.unwrap();
        one.metadata.annotations.unwrap()["meta.helm.sh/release-name"].clone()
    };
    world.apply(json!({})).await;
    world.deployed(1).await;
    assert_eq!(owner().await, "app");
    world.apply_named("other", json!({})).await;
    world
        .until_named("other", "ready", |o| is(o, "Ready", "True"))
        .await;
    assert_eq!(owner().await, "other");
    world.apply(json!({ "values": { "colour": "red" } })).await;
    world.deployed(2).await;
    assert_eq!(owner().await, "app");
    // Without leave to take, what another release has is refused.
    let spec =
        json!({ "values": { "colour": "blue" }, "install": { "disableTakeOwnership": true } });
    world.apply_named("third", spec).await;
    let third = world
        .until_named("third", "refused", |o| is(o, "Ready", "False"))
        .await;
    let words = "annotation validation error: key \"meta.helm.sh/release-name\" must equal \"third\": current value is \"app\"";
    assert!(message(&third, "Ready").contains(words), "{third:#?}");
}

/// covers: HE-106
#[tokio::test]
async fn custom_objects_are_patched_by_what_the_chart_changed() {
    let world = World::new().await;
    let group = format!("{}.test", world.ns());
    let (definition, toy) = (
        toys(&world, "{}"),
        format!(
            "apiVersion: {group}/v1\nkind: Toy\nmetadata: {{name: toy}}\nspec: {{size: 1, colour: {{{{ .Values.colour }}}}}}\n"
        ),
    );
    let files = [
        ("crds/toys.yaml", definition.as_str()),
        ("templates/toy.yaml", &toy),
    ];
    world.publish_files("1.0.0", &files).await;
    let spec = |colour: &str, method: &str| {
        json!({ "install": { "serverSideApply": false, "crds": "Create" },
            "upgrade": { "serverSideApply": method }, "values": { "colour": colour } })
    };
    world.apply(spec("blue", "auto")).await;
    world.deployed(1).await;
    let kind =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(&group, "v1", "Toy"), "toys");
    let api = Api::<DynamicObject>::namespaced_with(world.client.clone(), world.ns(), &kind);
    let now = async || api.get("toy").await.unwrap().data["spec"].clone();
    let params = PatchParams::default();
    let change = json!({ "spec": { "size": 9 } });
    api.patch("toy", &params, &Patch::Merge(change))
        .await
        .unwrap();
    // The chart did not change the size, so nobody looks at it.
    world.apply(spec("red", "auto")).await;
    world.deployed(2).await;
    assert_eq!(now().await, json!({ "size": 9, "colour": "red" }));
    world.apply(spec("green", "enabled")).await;
    world.deployed(3).await;
    assert_eq!(now().await, json!({ "size": 1, "colour": "green" }));
    world.delete().await;
    let name = format!("toys.{group}");
    let params = DeleteParams::default();
    definitions(&world).delete(&name, &params).await.unwrap();
}

/// An object that two groups serve is one object.
///
/// covers: HE-109
#[tokio::test]
async fn object_that_moves_to_another_group_is_not_deleted() {
    let world = World::new().await;
    let ns = world.ns();
    let common = "eventTime: \"2026-01-01T00:00:00.000000Z\"\ntype: Normal\nreason: Told\naction: Tell\nreportingInstance: here\n";
    let old = format!(
        "apiVersion: v1\nkind: Event\nmetadata: {{name: told}}\ninvolvedObject: {{apiVersion: v1, kind: ConfigMap, name: one, namespace: {ns}}}\nreportingComponent: lockgate.test/chart\n{common}"
    );
    let new = format!(
        "apiVersion: events.k8s.io/v1\nkind: Event\nmetadata: {{name: told}}\nregarding: {{apiVersion: v1, kind: ConfigMap, name: one, namespace: {ns}}}\nreportingController: lockgate.test/chart\n{common}"
    );
    let events = Api::<k8s_openapi::api::core::v1::Event>::namespaced(world.client.clone(), ns);
    let uid = async || events.get_opt("told").await.unwrap()?.metadata.uid;
    world.publish("1.0.0", &[("told.yaml", &old)]).await;
    world.apply(json!({})).await;
    world.deployed(1).await;
    let first = uid().await;
    assert!(first.is_some());
    world.publish("1.1.0", &[("told.yaml", &new)]).await;
    world.deployed(2).await;
    assert_eq!(uid().await, first);
}

/// Stores a record again under the name of its revision, as another program does.
async fn restore(world: &World, version: i64, change: impl FnOnce(&mut helm::release::Record)) {
    let mut record = world.record(version).await;
    change(&mut record);
    world.store(&record).await;
}

/// covers: HE-110
#[tokio::test]
async fn kinds_that_are_no_longer_served_block_nothing() {
    let world = World::new().await;
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    world.apply(json!({})).await;
    world.deployed(1).await;
    restore(&world, 1, |record| {
        record.manifest.push_str(
            "---\napiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {name: old}\n",
        );
    })
    .await;
    world.apply(json!({ "values": { "colour": "red" } })).await;
    world.deployed(2).await;
    world.until_entry("one", "colour", Some("red")).await;
}

/// covers: HE-121, HE-122
#[tokio::test]
async fn labels_of_records_follow_their_status_and_their_times_count_for_nothing() {
    let world = World::new().await;
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    world.apply(json!({})).await;
    world.deployed(1).await;
    let params = PatchParams::default();
    let change =
        json!({ "metadata": { "labels": { "createdAt": "99999999999", "modifiedAt": null } } });
    let name = "sh.helm.release.v1.app.v1";
    world
        .secrets()
        .patch(name, &params, &Patch::Merge(change))
        .await
        .unwrap();
    let object = world.request(&[]).await;
    assert_eq!(history(&object), [(1, "deployed", "install")]);
    world.apply(json!({ "values": { "colour": "red" } })).await;
    world.deployed(2).await;
    let labelled = world.revisions().await;
    assert_eq!(
        labelled,
        [(1, "superseded".to_owned()), (2, "deployed".to_owned())]
    );
    for (version, status) in labelled {
        assert_eq!(world.record(version).await.status, status);
    }
}

/// covers: HE-123
#[tokio::test]
async fn rollback_takes_runs_of_hooks_and_labels_from_where_it_goes() {
    let hook = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: after\n  annotations: {helm.sh/hook: post-install}\n";
    let bad = format!("{MAP}{{{{ if .Values.bad }}}}  a bad key: x\n{{{{ end }}}}");
    let world = World::new().await;
    world
        .publish("1.0.0", &[("one.yaml", &bad), ("after.yaml", hook)])
        .await;
    let remediation = json!({ "retries": 0, "remediateLastFailure": true });
    let spec =
        |values: Value| json!({ "upgrade": { "remediation": remediation }, "values": values });
    world.apply(spec(json!({}))).await;
    world.deployed(1).await;
    let label = json!({ "metadata": { "labels": { "team": "a" } } });
    let params = PatchParams::default();
    let name = |n: i64| format!("sh.helm.release.v1.app.v{n}");
    world
        .secrets()
        .patch(&name(1), &params, &Patch::Merge(label))
        .await
        .unwrap();
    world.apply(spec(json!({ "bad": true }))).await;
    world.failed("RollbackSucceeded").await;
    let (first, third) = (world.record(1).await, world.record(3).await);
    assert_eq!(third.hooks[0].last_run.phase, "Succeeded");
    assert_eq!(third.hooks[0].last_run, first.hooks[0].last_run);
    let labels = world.secrets().get(&name(3)).await.unwrap().metadata.labels;
    assert_eq!(labels.unwrap()["team"], "a");
}

/// covers: HE-124, HE-128
#[tokio::test]
async fn failed_installation_can_be_upgraded_and_stays_the_first() {
    let bad = format!("{MAP}{{{{ if .Values.bad }}}}  a bad key: x\n{{{{ end }}}}");
    let world = World::new().await;
    world.publish("1.0.0", &[("one.yaml", &bad)]).await;
    let strategy = json!({ "name": "RetryOnFailure", "retryInterval": "1h" });
    let spec = |values: Value| json!({ "install": { "strategy": strategy }, "values": values });
    world.apply(spec(json!({ "bad": true }))).await;
    world
        .until("retrying", |o| {
            message(o, "Reconciling").starts_with("retrying")
        })
        .await;
    let first = world.record(1).await;
    let words = "Release \"app\" failed: ";
    assert!(
        first.description.starts_with(words),
        "{}",
        first.description
    );
    world.apply(spec(json!({ "colour": "red" }))).await;
    let object = world.deployed(2).await;
    assert_eq!(history(&object)[0], (2, "deployed", "upgrade"));
    let second = world.record(2).await;
    assert_eq!(second.first_deployed, first.first_deployed);
    world.apply(spec(json!({ "bad": true }))).await;
    world.stalled().await;
    let third = world.record(3).await;
    let words = "Upgrade \"app\" failed: ";
    assert!(
        third.description.starts_with(words),
        "{}",
        third.description
    );
}

/// covers: HE-129, HE-130
#[tokio::test]
async fn paused_deployments_and_services_without_an_address_hold_nothing_up() {
    let world = World::new().await;
    let paused = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  paused: true\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      containers: [{name: c, image: example.org/none}]\n";
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n";
    world
        .publish("1.0.0", &[("web.yaml", paused), ("service.yaml", service)])
        .await;
    world.apply(json!({})).await;
    world.deployed(1).await;
    let client = || world.client.clone();
    let deployments =
        Api::<k8s_openapi::api::apps::v1::Deployment>::namespaced(client(), world.ns());
    let web = deployments.get("web").await.unwrap();
    assert_eq!(web.status.and_then(|s| s.available_replicas), None);
    let services = Api::<k8s_openapi::api::core::v1::Service>::namespaced(client(), world.ns());
    let web = services.get("web").await.unwrap();
    let addresses = web
        .status
        .and_then(|s| s.load_balancer)
        .and_then(|l| l.ingress);
    assert_eq!(addresses.unwrap_or_default().len(), 0);
    assert!(web.spec.unwrap().cluster_ip.is_some());
}

/// covers: HE-135
#[tokio::test]
async fn groups_that_cannot_be_discovered_hold_nobody_up() {
    let plane = testkit::control_plane().await;
    let world = World::alone().await;
    let (ns, services) = (world.ns(), Api::<APIService>::all(world.client.clone()));
    let name = format!("v1.{ns}.test");
    let broken = json!({ "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": { "name": name }, "spec": { "group": format!("{ns}.test"), "version": "v1",
            "groupPriorityMinimum": 1000, "versionPriority": 1, "insecureSkipTLSVerify": true,
            "service": { "name": "nobody", "namespace": ns } } });
    let params = PatchParams::apply("test").force();
    services
        .patch(&name, &params, &Patch::Apply(broken))
        .await
        .unwrap();
    let program = world
        .controller(&plane.kubeconfig_path())
        .start()
        .await
        .unwrap();
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  pods: {{ .Capabilities.APIVersions.Has \"v1/Pod\" | quote }}\n";
    world.publish("1.0.0", &[("one.yaml", map)]).await;
    world.apply(json!({})).await;
    world.deployed(1).await;
    world.until_entry("one", "pods", Some("true")).await;
    world.delete().await;
    drop(program);
    let params = DeleteParams::default();
    services.delete(&name, &params).await.unwrap();
}

/// covers: HE-179
#[tokio::test]
async fn objects_without_a_name_are_made_anew_and_never_found_again() {
    let world = World::new().await;
    let nameless =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: made-, labels: {made: anew}}\n";
    world
        .publish("1.0.0", &[("one.yaml", MAP), ("made.yaml", nameless)])
        .await;
    let made = async || {
        let labelled = ListParams::default().labels("made=anew");
        world
            .config_maps()
            .list(&labelled)
            .await
            .unwrap()
            .items
            .len()
    };
    world.apply(json!({})).await;
    world.deployed(1).await;
    assert_eq!(made().await, 1);
    world.apply(json!({ "values": { "colour": "red" } })).await;
    world.deployed(2).await;
    assert_eq!(made().await, 2);
    world.delete().await;
    assert_eq!(made().await, 2);
}
