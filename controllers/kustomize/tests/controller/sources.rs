//! Kinds of sources, dependencies, variables: what starts a run, and what holds it back.

use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use testkit::ControlPlane;

use crate::world::{World, config_map, controller, definitions, has, is, message};

/// Publishes one ConfigMap as a source of another kind than Git.
async fn publish_as(world: &World, kind: &str, plural: &str, spec: Value, colour: &str) -> String {
    let settings = config_map("settings", "colour", colour);
    let path = format!("{plural}-{colour}.tar.gz");
    let published = world
        .artifacts
        .publish(&path, &[("s.yaml", &settings)])
        .unwrap();
    let gvk = GroupVersionKind::gvk("source.toolkit.fluxcd.io", "v1", kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
    let api = Api::<DynamicObject>::namespaced_with(world.client.clone(), world.ns(), &resource);
    let object = json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": kind,
        "metadata": { "name": "app" }, "spec": spec });
    let params = PatchParams::apply("test").force();
    api.patch("app", &params, &Patch::Apply(object))
        .await
        .unwrap();
    let revision = format!("latest@sha256:{colour:0>64}");
    let status = json!({ "status": { "artifact": { "url": published.url, "digest": published.digest,
        "revision": revision, "path": "x", "size": published.size, "lastUpdateTime": "2026-01-01T00:00:00Z",
        "metadata": { "org.opencontainers.image.revision": format!("main@sha1:{colour}") } } } });
    let params = PatchParams::default();
    api.patch_status("app", &params, &Patch::Merge(status))
        .await
        .unwrap();
    revision
}

/// covers: KC-023, KC-037
#[tokio::test]
async fn other_kinds_of_sources_work_and_tell_what_they_were_made_from() {
    for (kind, plural, spec) in [
        (
            "OCIRepository",
            "ocirepositories",
            json!({ "interval": "10m", "url": "oci://registry.example/app" }),
        ),
        (
            "Bucket",
            "buckets",
            json!({ "interval": "10m", "bucketName": "app", "endpoint": "s3.example" }),
        ),
    ] {
        let world = World::new().await;
        world
            .apply(json!({ "sourceRef": { "kind": kind, "name": "app" }, "retryInterval": "1h" }))
            .await;
        let waiting = world.failed("app", "ArtifactFailed").await;
        assert!(
            message(&waiting, "Ready").contains("not found"),
            "{}",
            message(&waiting, "Ready")
        );
        let first = publish_as(&world, kind, plural, spec.clone(), "blue").await;
        let object = world.applied("app", &first).await;
        let status = object.status.unwrap();
        assert_eq!(
            status.last_applied_origin_revision.as_deref(),
            Some("main@sha1:blue")
        );
        assert_eq!(
            status.history[0].metadata["originRevision"],
            "main@sha1:blue"
        );
        let event = world.event("Progressing", "settings created").await;
        let annotations = event.metadata.annotations.unwrap();
        assert_eq!(
            annotations["kustomize.toolkit.fluxcd.io/originRevision"],
            "main@sha1:blue"
        );
        let second = publish_as(&world, kind, plural, spec, "red").await;
        world.applied("app", &second).await;
        world.config_map("settings", has("colour", "red")).await;
    }
}

#[tokio::test]
async fn external_artifacts_need_their_gate() {
    let world = World::new().await;
    world
        .apply(json!({ "sourceRef": { "kind": "ExternalArtifact", "name": "app" } }))
        .await;
    let denied = world.failed("app", "AccessDenied").await;
    let words = format!(
        "can't access 'ExternalArtifact/{}/app', ExternalArtifact feature gate is disabled",
        world.ns()
    );
    assert_eq!(message(&denied, "Ready"), words);
    assert!(is(&denied, "Stalled", "True", "AccessDenied"));
}

/// covers: KC-001
#[tokio::test]
async fn source_of_another_namespace_may_be_named() {
    let world = World::new().await;
    let plane = testkit::control_plane().await;
    let elsewhere = World::on(plane).await;
    let settings = config_map("settings", "k", "v");
    let revision = elsewhere.publish(&[("s.yaml", &settings)]).await;
    let source = json!({ "kind": "GitRepository", "name": "app", "namespace": elsewhere.ns() });
    world.apply(json!({ "sourceRef": source })).await;
    world.applied("app", &revision).await;
    world.config_map("settings", |c| c.is_some()).await;
}

/// covers: KC-002, KC-026
#[tokio::test]
async fn flags_open_external_artifacts_and_close_other_namespaces() {
    // Of its own: the controller that the others share has the gate shut.
    let plane = ControlPlane::start().await.unwrap();
    testkit::install_definitions(&plane.client(), &definitions())
        .await
        .unwrap();
    let program = controller(&plane)
        .flag("--feature-gates", "ExternalArtifact=true")
        .flag("--no-cross-namespace-refs", "true");
    let program = program.start().await.unwrap();
    let world = World::on(&plane).await;
    world
        .apply(json!({ "sourceRef": { "kind": "ExternalArtifact", "name": "app" } }))
        .await;
    for colour in ["blue", "red"] {
        let spec = json!({ "sourceRef": { "apiVersion": "example.com/v1", "kind": "Thing", "name": "t" } });
        let revision = publish_as(
            &world,
            "ExternalArtifact",
            "externalartifacts",
            spec,
            colour,
        )
        .await;
        world.applied("app", &revision).await;
        world.config_map("settings", has("colour", colour)).await;
    }
    let other = json!({ "kind": "GitRepository", "name": "app", "namespace": "elsewhere" });
    world
        .apply_named("other", json!({ "sourceRef": other }))
        .await;
    let denied = world.failed("other", "AccessDenied").await;
    let words =
        "can't access 'GitRepository/elsewhere/app', cross-namespace references have been blocked";
    assert_eq!(message(&denied, "Ready"), words);
    assert!(is(&denied, "Stalled", "True", "AccessDenied"));
    let patience = std::time::Duration::from_secs(30);
    program.terminate(patience).await.unwrap();
    let program = controller(&plane).flag("--feature-gates", "EnforceAccessFrom=true");
    let _program = program.start().await.unwrap();
    owners_of_sources_say_who_may_use_them(&plane).await;
}

/// With the gate open: nobody, until the source names the namespace that asks; then whatever comes.
async fn owners_of_sources_say_who_may_use_them(plane: &ControlPlane) {
    let (world, owner) = (World::on(plane).await, World::on(plane).await);
    let revision = owner
        .publish(&[("s.yaml", &config_map("settings", "k", "v"))])
        .await;
    let source = json!({ "kind": "GitRepository", "name": "app", "namespace": owner.ns() });
    world
        .apply(json!({ "sourceRef": source, "retryInterval": "1s" }))
        .await;
    let denied = world.failed("app", "AccessDenied").await;
    let words = format!(
        "'{}/app' can't be accessed due to missing ACL labels on 'accessFrom'",
        owner.ns()
    );
    assert_eq!(message(&denied, "Ready"), words);
    let gvk = GroupVersionKind::gvk("source.toolkit.fluxcd.io", "v1", "GitRepository");
    let resource = ApiResource::from_gvk_with_plural(&gvk, "gitrepositories");
    let sources =
        Api::<DynamicObject>::namespaced_with(world.client.clone(), owner.ns(), &resource);
    let allow = async |name: &str| {
        let selector = json!({ "matchLabels": { "kubernetes.io/metadata.name": name } });
        let rules = json!({ "spec": { "accessFrom": { "namespaceSelectors": [selector] } } });
        let params = PatchParams::default();
        sources
            .patch("app", &params, &Patch::Merge(rules))
            .await
            .unwrap();
    };
    allow(world.ns()).await;
    world.applied("app", &revision).await;
    allow("somebody-else").await;
    let next = owner
        .publish(&[("s.yaml", &config_map("settings", "k", "w"))])
        .await;
    let denied = world.failed("app", "AccessDenied").await;
    let status = denied.status.unwrap();
    assert_eq!(status.last_applied_revision.as_deref(), Some(&*revision));
    assert_ne!(revision, next);
}

/// covers: KC-017
#[tokio::test]
async fn missing_source_is_told_and_its_coming_starts_the_run() {
    let world = World::new().await;
    world.apply(json!({ "retryInterval": "1h" })).await;
    let waiting = world.failed("app", "ArtifactFailed").await;
    let words = "gitrepositories.source.toolkit.fluxcd.io \"app\" not found";
    assert_eq!(message(&waiting, "Ready"), words);
    let revision = world
        .publish(&[("s.yaml", &config_map("settings", "k", "v"))])
        .await;
    world.applied("app", &revision).await;
}

/// covers: KC-022
#[tokio::test]
async fn deletion_asks_no_dependency_and_no_source() {
    let world = World::new().await;
    let revision = world
        .publish(&[("s.yaml", &config_map("settings", "k", "v"))])
        .await;
    world.apply(json!({})).await;
    world.applied("app", &revision).await;
    let gone = json!({ "dependsOn": [{ "name": "nobody" }], "sourceRef": { "kind": "GitRepository", "name": "nothing" } });
    world.apply(gone).await;
    world.failed("app", "ArtifactFailed").await;
    world
        .apply(json!({ "dependsOn": [{ "name": "nobody" }] }))
        .await;
    world.failed("app", "DependencyNotReady").await;
    world.delete("app").await;
    world.config_map("settings", |c| c.is_none()).await;
}

/// covers: KC-007
#[tokio::test]
async fn unit_that_is_deleted_as_soon_as_it_is_made_leaves_nothing() {
    let world = World::new().await;
    world
        .publish(&[("s.yaml", &config_map("settings", "k", "v"))])
        .await;
    for _ in 0..5 {
        world.apply(json!({})).await;
        let params = DeleteParams::default();
        world.kustomizations().delete("app", &params).await.unwrap();
        world.gone("app").await;
        world.config_map("settings", |c| c.is_none()).await;
    }
}

/// covers: KC-056
#[tokio::test]
async fn optional_variables_may_come_later() {
    let world = World::new().await;
    let text = config_map("settings", "colour", "${colour:=blue}");
    let revision = world.publish(&[("s.yaml", &text)]).await;
    let from = json!([{ "kind": "ConfigMap", "name": "variables", "optional": true }]);
    world
        .apply(json!({ "postBuild": { "substitute": { "x": "y" }, "substituteFrom": from } }))
        .await;
    world.applied("app", &revision).await;
    world.config_map("settings", has("colour", "blue")).await;
    // The label makes its coming start a run.
    let variables = json!({ "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "variables", "labels": { "reconcile.fluxcd.io/watch": "Enabled" } },
        "data": { "colour": "red" } });
    let params = PatchParams::apply("test");
    world
        .config_maps()
        .patch("variables", &params, &Patch::Apply(variables))
        .await
        .unwrap();
    world.config_map("settings", has("colour", "red")).await;
}

/// covers: KC-065
#[tokio::test]
async fn new_revision_ends_the_wait_for_the_old_one() {
    let world = World::new().await;
    let web = |mark: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  \
             selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata:\n      labels: {{app: web}}\n      \
             annotations: {{testkit.lockgate.dev/pod: {mark}}}\n    \
             spec: {{containers: [{{name: web, image: 'registry.example/web:{mark}'}}]}}\n"
        )
    };
    let first = world.publish(&[("web.yaml", &web("unready"))]).await;
    world.apply(json!({ "wait": true, "timeout": "10m" })).await;
    world
        .until("app", "the wait has begun", |k| {
            is(k, "Healthy", "Unknown", "Progressing")
        })
        .await;
    let second = world.publish(&[("web.yaml", &web("fine"))]).await;
    let object = world.applied("app", &second).await;
    world
        .event(
            "HealthCheckCanceled",
            "Health checks canceled due to new reconciliation triggered by GitRepository/",
        )
        .await;
    let statuses = object.status.unwrap().history;
    assert!(
        statuses
            .iter()
            .all(|e| e.last_reconciled_status != "HealthCheckFailed"),
        "{statuses:?}"
    );
    assert!(
        statuses.iter().all(|e| e.metadata["revision"] != first),
        "{statuses:?}"
    );
}

/// covers: KC-066
#[tokio::test]
async fn rule_of_a_whole_group_judges_each_of_its_kinds() {
    let world = World::new().await;
    let claim = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: budget, annotations: {state: bad}}\n\
        spec: {maxUnavailable: 1, selector: {matchLabels: {app: web}}}\n";
    world.publish(&[("a.yaml", claim)]).await;
    let rule = json!([{ "apiVersion": "policy/v1", "current": "metadata.annotations.state == 'good'",
        "failed": "metadata.annotations.state == 'bad'" }]);
    world
        .apply(json!({ "wait": true, "timeout": "40s", "healthCheckExprs": rule }))
        .await;
    let sick = world.failed("app", "HealthCheckFailed").await;
    let words = message(&sick, "Ready");
    assert!(
        words.contains(&format!(
            "PodDisruptionBudget/{}/budget status: 'Failed'",
            world.ns()
        )),
        "{words}"
    );
    let good = claim.replace("bad", "good");
    let revision = world.publish(&[("a.yaml", &good)]).await;
    world.applied("app", &revision).await;
}
