//! Where chart, values and rights come from.

use std::time::Instant;

use api::source::{HelmChart, HelmRepository, OCIRepository};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use testkit::PublishedArtifact;

use crate::world::{PATIENCE, PAUSE, World, condition, history, is, message};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  colour: {{ .Values.colour | default \"none\" }}\n";

/// Says in the status of OCIRepository `app` that there is an artifact.
async fn announce_oci(world: &World, revision: &str, artifact: &PublishedArtifact) {
    let object = json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository",
        "metadata": { "name": "app" }, "spec": { "interval": "10m", "url": "oci://registry.example/app" } });
    let api = Api::<OCIRepository>::namespaced(world.client.clone(), world.ns());
    let params = PatchParams::apply("test").force();
    let made = api
        .patch("app", &params, &Patch::Apply(object))
        .await
        .unwrap();
    let status = json!({ "status": { "observedGeneration": made.metadata.generation, "artifact": {
        "url": artifact.url, "digest": artifact.digest, "revision": revision, "path": "x",
        "size": artifact.size, "lastUpdateTime": "2026-01-01T00:00:00Z" } } });
    let params = PatchParams::default();
    api.patch_status("app", &params, &Patch::Merge(status))
        .await
        .unwrap();
}

fn from_oci() -> Value {
    json!({ "chartRef": { "kind": "OCIRepository", "name": "app" } })
}

/// covers: HC-039, HC-156, HC-159
#[tokio::test]
async fn chart_of_a_moving_tag_is_upgraded_by_its_digest() {
    let world = World::new().await;
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    world.apply(json!({})).await;
    world.deployed(1).await;
    let chart = world.pack("app", "1.0.0", &[("templates/one.yaml", MAP)]);
    let digest = |c: char| format!("sha256:{}", c.to_string().repeat(64));
    announce_oci(&world, &format!("v1.0.0@{}", digest('a')), &chart).await;
    // Another kind of source is an upgrade like any other.
    world.apply(from_oci()).await;
    let object = world.deployed(2).await;
    let latest = object.status.as_ref().unwrap().history[0].clone();
    assert_eq!(latest.chart_version, "1.0.0+aaaaaaaaaaaa");
    assert_eq!(latest.oci_digest, Some(digest('a')));
    announce_oci(&world, &format!("v1.0.0@{}", digest('b')), &chart).await;
    let object = world.deployed(3).await;
    let status = object.status.unwrap();
    assert_eq!(status.history[0].chart_version, "1.0.0+bbbbbbbbbbbb");
    assert_eq!(status.last_attempted_revision_digest, Some(digest('b')));
    announce_oci(&world, &format!("2.0.0@{}", digest('c')), &chart).await;
    let object = world.failed("ChartMutateError").await;
    assert_eq!(
        message(&object, "Ready"),
        "artifact revision 2.0.0 does not match chart version 1.0.0"
    );
}

/// covers: HC-144, HC-139, HC-145
#[tokio::test]
async fn source_that_is_missing_or_forbidden_is_told() {
    let missing = async {
        let world = World::new().await;
        world.apply(from_oci()).await;
        let object = world.failed("ArtifactFailed").await;
        let ready = message(&object, "Ready");
        assert!(
            ready.starts_with("could not get Source object: "),
            "{ready}"
        );
    };
    let forbidden = async {
        let world = World::alone().await;
        let plane = testkit::control_plane().await;
        let program = world
            .controller(&plane.kubeconfig_path())
            .flag("--no-cross-namespace-refs", "true")
            .start()
            .await
            .unwrap();
        let reference = json!({ "kind": "OCIRepository", "name": "app", "namespace": "default" });
        world.apply(json!({ "chartRef": reference })).await;
        let object = world.stalled().await;
        assert_eq!(
            condition(&object, "Stalled").unwrap().reason,
            "AccessDenied"
        );
        assert!(!is(&object, "Reconciling", "True"));
        let spec = json!({ "chart": "x", "sourceRef": { "kind": "GitRepository", "name": "x", "namespace": "default" } });
        world
            .apply_named(
                "second",
                json!({ "chartRef": null, "chart": { "spec": spec } }),
            )
            .await;
        program
            .logs("cross-namespace references are not allowed")
            .await
            .unwrap();
    };
    tokio::join!(missing, forbidden);
}

/// Behind the gate, whoever has a source says which namespaces may use it.
#[tokio::test]
async fn source_of_another_namespace_is_used_as_its_owner_says() {
    let world = World::alone().await;
    let plane = testkit::control_plane().await;
    let _program = world
        .controller(&plane.kubeconfig_path())
        .flag("--feature-gates", "EnforceAccessFrom=true")
        .start()
        .await
        .unwrap();
    let owner = plane.namespace("owner").await;
    let repositories = Api::<HelmRepository>::namespaced(world.client.clone(), owner.name());
    let repository = |team: &str| {
        json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository",
            "metadata": { "name": "repo" },
            "spec": { "url": "http://charts.example", "interval": "1h",
                "accessFrom": { "namespaceSelectors": [{ "matchLabels": { "kubernetes.io/metadata.name": team } }] } } })
    };
    let params = PatchParams::apply("test").force();
    let write = async |team: &str| {
        let patch = Patch::Apply(repository(team));
        repositories.patch("repo", &params, &patch).await.unwrap();
    };
    write("somebody-else").await;
    let source = json!({ "kind": "HelmRepository", "name": "repo", "namespace": owner.name() });
    let chart = json!({ "spec": { "chart": "x", "sourceRef": source } });
    world
        .apply(json!({ "chartRef": null, "chart": chart }))
        .await;
    let object = world.failed("AccessDenied").await;
    let words = format!(
        "'{}/repo' can't be accessed due to ACL labels mismatch on namespace '{}'",
        owner.name(),
        world.ns()
    );
    assert_eq!(message(&object, "Ready"), words);
    let charts = Api::<HelmChart>::namespaced(world.client.clone(), owner.name());
    let none = charts.list(&ListParams::default()).await.unwrap();
    assert!(none.items.is_empty(), "nothing is made in that namespace");

    write(world.ns()).await;
    world.poke().await;
    world.failed("SourceNotReady").await;
    let made = charts.list(&ListParams::default()).await.unwrap();
    assert_eq!(made.items.len(), 1);

    // A kind that has no such rules is for its own namespace alone.
    let reference = json!({ "kind": "OCIRepository", "name": "app", "namespace": owner.name() });
    let images = Api::<OCIRepository>::namespaced(world.client.clone(), owner.name());
    let image = json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository",
        "metadata": { "name": "app" }, "spec": { "url": "oci://r.example/x", "interval": "1h" } });
    images
        .patch("app", &params, &Patch::Apply(image))
        .await
        .unwrap();
    world
        .apply(json!({ "chart": null, "chartRef": reference }))
        .await;
    world.failed("AccessDenied").await;
}

/// Lets a service account do everything in the namespace.
async fn allow(world: &World, account: &str) {
    let binding = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": { "name": account },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin" },
        "subjects": [{ "kind": "ServiceAccount", "name": account, "namespace": world.ns() }] });
    world.make::<RoleBinding>(account, binding).await;
    until_it_may(world, account, ("create", "secrets"), true).await;
}

async fn account(world: &World, name: &str) {
    let account =
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name } });
    world.make::<ServiceAccount>(name, account).await;
}

/// covers: HC-160
#[tokio::test]
async fn release_is_made_as_its_service_account() {
    let named = async {
        let world = World::new().await;
        world.publish("1.0.0", &[("one.yaml", MAP)]).await;
        account(&world, "deployer").await;
        world
            .apply(json!({ "serviceAccountName": "deployer" }))
            .await;
        let object = world
            .until("refused", |o| message(o, "Ready").contains("is forbidden"))
            .await;
        let user = format!("system:serviceaccount:{}:deployer", world.ns());
        assert!(message(&object, "Ready").contains(&user), "{object:#?}");
        allow(&world, "deployer").await;
        world.poke().await;
        world.until("ready", |o| is(o, "Ready", "True")).await;
        let before = world.revisions().await;
        // Without its account nobody may undo the release.
        let accounts = Api::<ServiceAccount>::namespaced(world.client.clone(), world.ns());
        accounts
            .delete("deployer", &DeleteParams::default())
            .await
            .unwrap();
        world.delete().await;
        assert_eq!(world.revisions().await, before);
    };
    let by_default = async {
        let world = World::alone().await;
        let plane = testkit::control_plane().await;
        let _program = world
            .controller(&plane.kubeconfig_path())
            .flag("--default-service-account", "deployer")
            .start()
            .await
            .unwrap();
        world.publish("1.0.0", &[("one.yaml", MAP)]).await;
        account(&world, "deployer").await;
        world.apply(json!({})).await;
        let user = format!("system:serviceaccount:{}:deployer", world.ns());
        world
            .until("refused", |o| message(o, "Ready").contains(&user))
            .await;
        account(&world, "other").await;
        allow(&world, "other").await;
        world.apply(json!({ "serviceAccountName": "other" })).await;
        world.until("ready", |o| is(o, "Ready", "True")).await;
    };
    tokio::join!(named, by_default);
}

/// covers: HC-160
#[tokio::test]
async fn release_goes_to_the_cluster_of_its_kubeconfig() {
    let world = World::new().await;
    let plane = testkit::control_plane().await;
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    account(&world, "remote").await;
    allow(&world, "remote").await;
    let reference = json!({ "secretRef": { "name": "there" } });
    world.apply(json!({ "kubeConfig": reference })).await;
    let object = world.failed("RESTClientError").await;
    let ns = world.ns();
    assert!(
        message(&object, "Ready")
            .starts_with(&format!("could not get KubeConfig secret '{ns}/there'")),
        "{object:#?}"
    );
    let config = plane.kubeconfig_for(ns, "remote").await.unwrap();
    let text = serde_json::to_string(&config).unwrap();
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "there" },
        "stringData": { "value": text } });
    world.make::<Secret>("there", secret).await;
    world.poke().await;
    world.until("ready", |o| is(o, "Ready", "True")).await;
    let before = world.revisions().await;
    let fields = world.config_maps().get("one").await.unwrap();
    let managers: Vec<_> = fields
        .metadata
        .managed_fields
        .iter()
        .flatten()
        .filter_map(|m| m.manager.as_deref())
        .collect();
    assert_eq!(managers, ["helm-controller"]);
    // The way to the cluster is gone: so is what it leads to.
    world
        .secrets()
        .delete("there", &DeleteParams::default())
        .await
        .unwrap();
    world.delete().await;
    assert_eq!(world.revisions().await, before);
}

/// A ConfigMap says where the cluster is and whose token it takes: here one of this cluster, of the account that it names, or of
/// the default one. Each request carries it, and it is not among what is written.
#[tokio::test]
async fn release_goes_to_the_cluster_of_its_config_map() {
    let world = World::alone().await;
    let plane = testkit::control_plane().await;
    let _program = world
        .controller(&plane.kubeconfig_path())
        .flag("--feature-gates", "ObjectLevelWorkloadIdentity=true")
        .flag("--default-kubeconfig-service-account", "usual")
        .start()
        .await
        .unwrap();
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    for name in ["named", "usual"] {
        account(&world, name).await;
    }
    allow(&world, "named").await;
    let describe = async |account: Option<&str>| {
        let mut data = json!({ "provider": "generic", "address": plane.url(), "ca.crt": plane.authority(),
            "audiences": "https://kubernetes.default.svc.cluster.local",
            "serviceAccountName": account });
        data.as_object_mut().unwrap().retain(|_, v| !v.is_null());
        let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "there",
            "labels": { "reconcile.fluxcd.io/watch": "Enabled" } }, "data": data });
        world.make::<ConfigMap>("there", map).await;
    };
    let reference = json!({ "configMapRef": { "name": "there" } });
    world.apply(json!({ "kubeConfig": reference })).await;
    let object = world.failed("RESTClientError").await;
    let words = format!("failed to get configmap {}/there", world.ns());
    let ready = message(&object, "Ready");
    assert!(ready.starts_with(&words), "{ready}");
    describe(Some("named")).await;
    world.deployed(1).await;
    // The default account may nothing, and says who it is.
    describe(None).await;
    let user = format!("system:serviceaccount:{}:usual", world.ns());
    world
        .apply(json!({ "kubeConfig": reference, "values": { "colour": "red" } }))
        .await;
    world
        .until("refused", |o| message(o, "Ready").contains(&user))
        .await;
    allow(&world, "usual").await;
    // The next try is a matter of moments; a request would end it where it has begun.
    world.until("ready", |o| is(o, "Ready", "True")).await;
    world.until_entry("one", "colour", Some("red")).await;
    // It goes by the same way.
    world.delete().await;
    assert_eq!(world.records().await, []);
}

/// covers: HC-140, HC-138, HC-141, HC-143
#[tokio::test]
async fn chart_object_is_made_from_the_template_and_goes_with_it() {
    let world = World::new().await;
    let charts = Api::<api::source::HelmChart>::namespaced(world.client.clone(), world.ns());
    let template = |chart: &str| {
        json!({ "chartRef": null, "chart": { "metadata": { "labels": { "team": "a" } }, "spec": { "chart": chart,
            "sourceRef": { "kind": "HelmRepository", "name": "app" },
            "verify": { "provider": "cosign", "secretRef": { "name": "keys" } } } } })
    };
    world.apply(template("app")).await;
    world
        .until("the chart is made", |o| {
            o.status
                .as_ref()
                .is_some_and(|s| s.helm_chart.as_deref().is_some_and(|c| !c.is_empty()))
        })
        .await;
    let name = format!("{}-app", world.ns());
    let chart = charts.get(&name).await.unwrap();
    assert_eq!(chart.spec.chart, "app");
    let labels = chart.metadata.labels.unwrap();
    assert_eq!(labels["team"], "a");
    assert_eq!(labels["helm.toolkit.fluxcd.io/name"], "app");
    assert_eq!(chart.spec.verify.unwrap().secret_ref.unwrap().name, "keys");
    // Suspended, it leaves its chart.
    let mut suspended = template("app");
    suspended["suspend"] = true.into();
    world.apply(suspended).await;
    world.delete().await;
    assert!(charts.get_opt(&name).await.unwrap().is_some());
    world.apply(template("app")).await;
    world
        .until("the chart is taken over", |o| {
            o.status
                .as_ref()
                .is_some_and(|s| s.helm_chart.as_deref().is_some_and(|c| !c.is_empty()))
        })
        .await;
    // A chart that is referred to needs none.
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    world.apply(json!({ "chart": null })).await;
    world.deployed(1).await;
    assert!(charts.get_opt(&name).await.unwrap().is_none());
}

/// What upstream's controller released and remembered is continued: with the same chart and values there is no upgrade.
#[tokio::test]
async fn release_of_the_upstream_controller_is_continued_without_an_upgrade() {
    let world = World::alone().await;
    let recorded = include_str!("../golden/upstream-release.json");
    let recorded: Value = serde_json::from_str(recorded).unwrap();
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
        "metadata": recorded["secret"]["metadata"], "data": recorded["secret"]["data"] });
    let id = recorded["secret"]["metadata"]["name"].as_str().unwrap();
    world.make::<Secret>(id, secret).await;
    let chart = world.pack("podinfo", "6.14.1", &[("templates/one.yaml", MAP)]);
    world.announce("6.14.1", &chart).await;
    world
        .apply(
            json!({ "releaseName": "podinfo-h-podinfo", "targetNamespace": "podinfo-h",
            "values": { "replicaCount": 2 } }),
        )
        .await;
    let mut status = recorded["status"].clone();
    status["storageNamespace"] = world.ns().into();
    status["helmChart"] = "".into();
    let params = PatchParams::default();
    world
        .releases()
        .patch_status("app", &params, &Patch::Merge(json!({ "status": status })))
        .await
        .unwrap();
    let plane = testkit::control_plane().await;
    let _program = world
        .controller(&plane.kubeconfig_path())
        .start()
        .await
        .unwrap();
    let object = world.request(&[]).await;
    assert!(is(&object, "Ready", "True"), "{object:#?}");
    assert_eq!(history(&object), [(1, "deployed", "install")]);
    assert_eq!(
        world.records().await,
        [(id.to_owned(), "deployed".to_owned())]
    );
    let kept =
        |object: &api::helm::HelmRelease| object.status.as_ref().unwrap().history[0].digest.clone();
    assert_eq!(kept(&object), recorded["status"]["history"][0]["digest"]);
}

#[tokio::test]
async fn values_come_from_config_maps_and_secrets_in_order() {
    let world = World::new().await;
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  values: {{ .Values | toJson | quote }}\n";
    world.publish("1.0.0", &[("one.yaml", text)]).await;
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "first" },
        "data": { "values.yaml": "colour: blue\nsize: 1\n", "raw": "a,b" } });
    world.make::<ConfigMap>("first", map).await;
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "second" },
        "stringData": { "values.yaml": "size: 2\nkind: x\n" } });
    world.make::<Secret>("second", secret).await;
    let from = json!([
        { "kind": "ConfigMap", "name": "first" },
        { "kind": "Secret", "name": "second" },
        { "kind": "Secret", "name": "nobody", "optional": true },
        { "kind": "ConfigMap", "name": "first", "valuesKey": "raw", "targetPath": "split.at" , "literal": true },
    ]);
    world
        .apply(json!({ "valuesFrom": from, "values": { "kind": "y" } }))
        .await;
    world.deployed(1).await;
    let values: Value = serde_json::from_str(&world.entry("one", "values").await.unwrap()).unwrap();
    assert_eq!(
        values,
        json!({ "colour": "blue", "size": 2, "kind": "y", "split": { "at": "a,b" } })
    );
}

/// Lets a service account do these things in the namespace, and nothing else.
async fn allow_only(world: &World, account: &str, rules: Value) {
    let role = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": { "name": account }, "rules": &rules });
    world.make::<Role>(account, role).await;
    let binding = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": { "name": account },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account },
        "subjects": [{ "kind": "ServiceAccount", "name": account, "namespace": world.ns() }] });
    world.make::<RoleBinding>(account, binding).await;
    for rule in rules.as_array().unwrap() {
        let resource = rule["resources"][0].as_str().unwrap();
        for verb in ALL_VERBS.split(' ') {
            let verbs = rule["verbs"].as_array().unwrap();
            until_it_may(
                world,
                account,
                (verb, resource),
                verbs.contains(&verb.into()),
            )
            .await;
        }
    }
}

const ALL_VERBS: &str = "get list watch create update patch delete";

/// Waits until the API server, which learns of roles after they are written, lets an account do something or not.
async fn until_it_may(world: &World, account: &str, (verb, resource): (&str, &str), may: bool) {
    let ns = world.ns();
    let review = json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": { "user": format!("system:serviceaccount:{ns}:{account}"),
            "resourceAttributes": { "namespace": ns, "verb": verb, "resource": resource } } });
    let review: SubjectAccessReview = serde_json::from_value(review).unwrap();
    let api = Api::<SubjectAccessReview>::all(world.client.clone());
    let began = Instant::now();
    loop {
        let answer = api.create(&PostParams::default(), &review).await.unwrap();
        if answer.status.unwrap().allowed == may {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{verb} {resource}: not {may}");
        tokio::time::sleep(PAUSE).await;
    }
}

fn rule(resource: &str, verbs: &str) -> Value {
    let verbs: Vec<_> = verbs.split(' ').collect();
    json!({ "apiGroups": [""], "resources": [resource], "verbs": verbs })
}

/// covers: HC-109, HC-127
#[tokio::test]
async fn records_that_cannot_be_read_or_written_are_told_and_nothing_is_counted() {
    let world = World::new().await;
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    account(&world, "limited").await;
    let rules = |secrets: &str| json!([rule("configmaps", ALL_VERBS), rule("secrets", secrets)]);
    allow_only(&world, "limited", rules(ALL_VERBS)).await;
    let with =
        |colour: &str| json!({ "serviceAccountName": "limited", "values": { "colour": colour } });
    world.apply(with("blue")).await;
    world.deployed(1).await;
    allow_only(
        &world,
        "limited",
        rules("get list watch update patch delete"),
    )
    .await;
    world.apply(with("red")).await;
    let object = world.failed("UpgradeFailed").await;
    let ready = message(&object, "Ready");
    assert!(
        ready.contains("create: failed to create: secrets"),
        "{ready}"
    );
    let status = object.status.unwrap();
    assert_eq!(status.upgrade_failures, None);
    assert_eq!(status.history[0].version, 1);
    assert_eq!(world.entry("one", "colour").await.as_deref(), Some("blue"));
    allow_only(&world, "limited", rules("create")).await;
    world.poke().await;
    let object = world.failed("StateError").await;
    let words = "Could not determine release state: query: failed to query with labels: ";
    assert!(message(&object, "Ready").starts_with(words), "{object:#?}");
    // It goes on as soon as it may.
    allow_only(&world, "limited", rules(ALL_VERBS)).await;
    world.until("ready", |o| is(o, "Ready", "True")).await;
    world.until_entry("one", "colour", Some("red")).await;
}

/// covers: HC-116
#[tokio::test]
async fn test_that_could_not_be_run_is_not_one_that_failed() {
    let check = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: check\n  annotations: {helm.sh/hook: test}\ndata: {}\n";
    let world = World::new().await;
    world
        .publish("1.0.0", &[("one.yaml", MAP), ("check.yaml", check)])
        .await;
    account(&world, "limited").await;
    let rules = |maps: &str| json!([rule("configmaps", maps), rule("secrets", ALL_VERBS)]);
    allow_only(
        &world,
        "limited",
        rules("get list watch create update patch"),
    )
    .await;
    let with = |colour: &str| json!({ "serviceAccountName": "limited", "test": { "enable": true }, "values": { "colour": colour } });
    world.apply(with("blue")).await;
    world.deployed(1).await;
    // The test's object is there and cannot be deleted.
    world.apply(with("red")).await;
    let object = world
        .until("not tested", |o| is(o, "TestSuccess", "False"))
        .await;
    let status = object.status.as_ref().unwrap();
    assert_eq!((status.upgrade_failures, history(&object)[0].0), (None, 2));
    let hooks = status.history[0].test_hooks.iter().flatten();
    let failed = hooks.filter(|(_, h)| h.phase.as_deref() == Some("Failed"));
    assert_eq!(failed.count(), 0);
    allow_only(&world, "limited", rules(ALL_VERBS)).await;
    world.poke().await;
    let object = world.deployed(2).await;
    assert!(is(&object, "TestSuccess", "True"));
}

/// covers: HC-162
#[tokio::test]
async fn names_and_paths_of_values_are_checked_by_the_api_server() {
    let world = World::new().await;
    let cases = [
        (json!({ "valuesKey": "a.b-c_D" }), true),
        (json!({ "valuesKey": "a/b" }), false),
        (json!({ "valuesKey": "x".repeat(254) }), false),
        (json!({ "targetPath": "a.b[0].c\\.d/e" }), true),
        (json!({ "targetPath": "a[12345]" }), true),
        (json!({ "targetPath": "a[123456]" }), false),
        (json!({ "targetPath": "a[x]" }), false),
        (json!({ "targetPath": "a b" }), false),
        (json!({ "targetPath": "x".repeat(251) }), false),
    ];
    for (fields, is_valid) in cases {
        let mut from = json!({ "kind": "Secret", "name": "x" });
        from.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let object = json!({ "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": { "name": "checked" }, "spec": { "interval": "1m", "suspend": true,
                "chartRef": { "kind": "HelmChart", "name": "app" }, "valuesFrom": [from] } });
        let params = PatchParams::apply("test").dry_run();
        let sent = world
            .releases()
            .patch("checked", &params, &Patch::Apply(object))
            .await;
        assert_eq!(sent.is_ok(), is_valid, "{fields}");
    }
}

/// covers: HC-121
#[tokio::test]
async fn release_that_is_gone_already_holds_nobody_up() {
    let world = World::new().await;
    world.publish("1.0.0", &[("one.yaml", MAP)]).await;
    world.apply(json!({})).await;
    world.deployed(1).await;
    let params = DeleteParams::default();
    let name = "sh.helm.release.v1.app.v1";
    world.secrets().delete(name, &params).await.unwrap();
    world.apply(json!({ "releaseName": "other" })).await;
    world
        .until("released under the other name", |o| {
            let latest = o.status.as_ref().and_then(|s| s.history.first());
            is(o, "Ready", "True") && latest.is_some_and(|l| l.name == "other")
        })
        .await;
    let name = "sh.helm.release.v1.other.v1";
    world.secrets().delete(name, &params).await.unwrap();
    world.delete().await;
}
