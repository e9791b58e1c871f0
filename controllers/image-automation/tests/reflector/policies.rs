//! What policies choose, and from whose tags.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use testkit::{PushedArtifact, Registry, RegistryOptions};

use crate::odd_registry::OddRegistry;
use crate::world::{World, latest, ready};

/// covers: IA-076, IA-077, IA-078, IA-079, IA-080, IA-081, IA-082, IA-087
#[tokio::test]
async fn digest_follows_the_policy_of_its_reflection() {
    let world = World::new().await;
    let registry = Registry::start(&RegistryOptions::default()).unwrap();
    let push = |tag: &str, content: &str| {
        let artifact = PushedArtifact {
            config: format!("{{\"a\":\"{content}\"}}").into_bytes(),
            ..PushedArtifact::default()
        };
        registry.push("app", tag, &artifact).unwrap()
    };
    let first = push("1.0.0", "first");
    let image = format!("{}/app", registry.address());
    world.image("app", &image, json!({})).await;
    let reflect = async |how: &str| {
        let mut fields = json!({ "digestReflectionPolicy": how });
        if how == "Always" {
            fields["interval"] = json!("1s");
        }
        world.policy("app", fields).await;
    };
    let digest_is = async |wanted: Option<&str>| {
        let is = |object: &api::image::ImagePolicy| {
            let status = object.status.as_ref();
            status.and_then(|s| s.observed_generation) == object.metadata.generation
                && latest(object).is_some_and(|l| l.digest.as_deref() == wanted)
        };
        world.until(&world.policies(), "app", is).await
    };
    reflect("Never").await;
    digest_is(None).await;
    reflect("IfNotPresent").await;
    let object = digest_is(Some(&first)).await;
    let previous = object.status.unwrap().observed_previous_ref.unwrap();
    assert_eq!((&*previous.tag, previous.digest), ("1.0.0", None));
    let second = push("1.0.0", "second");
    world.request("app").await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    digest_is(Some(&first)).await;
    reflect("Always").await;
    let object = digest_is(Some(&second)).await;
    let previous = object.status.unwrap().observed_previous_ref.unwrap();
    assert_eq!(previous.digest.as_deref(), Some(&*first));
    // At its interval the registry is asked again, though no scan found anything new.
    let third = push("1.0.0", "third");
    digest_is(Some(&third)).await;
    reflect("IfNotPresent").await;
    digest_is(Some(&third)).await;
    reflect("Never").await;
    digest_is(None).await;
}

/// covers: IA-064, IA-067, IA-073, IA-083, IA-085, IA-091, IA-092
#[tokio::test]
async fn what_keeps_a_policy_from_choosing_is_told() {
    let world = World::new().await;
    let odd = OddRegistry::start().await;
    world.policy("app", json!({})).await;
    let words = world.policy_fails("app", "DependencyNotReady").await;
    assert!(
        words.contains("referenced ImageRepository does not exist"),
        "{words}"
    );
    world.image("app", &odd.image("hangs"), json!({})).await;
    let empty = |object: &api::image::ImagePolicy| {
        ready(object, "False").is_some_and(|(_, m)| m.contains("no tags in database"))
    };
    world.until(&world.policies(), "app", empty).await;
    world
        .image("app", "https://bad.example/app", json!({}))
        .await;
    world.policy_fails("app", "ImageURLInvalid").await;
    world.image("app", &odd.image("app"), json!({})).await;
    world.chosen("app", "1.0.0").await;
    for policy in [
        json!({ "policy": { "semver": { "range": "*-*" } } }),
        json!({ "filterTags": { "pattern": "^test-(.*" } }),
    ] {
        world.policy("app", policy).await;
        world.policy_fails("app", "InvalidPolicy").await;
        let object = world.policies().get("app").await.unwrap();
        let conditions = object.status.unwrap().conditions;
        assert!(conditions.iter().any(|c| c.type_ == "Stalled"));
        world.policy("app", json!({})).await;
        world.chosen("app", "1.0.0").await;
    }
    let nothing = json!({ "policy": { "semver": { "range": "2.x" } } });
    world.policy("app", nothing).await;
    let words = world.policy_fails("app", "Failure").await;
    assert!(words.contains("'2.x', such as '1.0.0'"), "{words}");
    let other = json!({ "policy": { "alphabetical": { "order": "desc" } } });
    world.policy("app", other).await;
    let object = world.chosen("app", "1.0.0").await;
    assert_eq!(object.status.unwrap().observed_previous_ref, None);
}

/// covers: IA-020, IA-046, IA-065, IA-068, IA-075
#[tokio::test]
async fn what_a_repository_is_kept_from_keeps_its_policies_from_it_too() {
    let world = World::new().await;
    let odd = OddRegistry::start().await;
    // The registry never says the digest: the repository's timeout ends it.
    world
        .image("slow", &odd.image("slow"), json!({ "timeout": "2s" }))
        .await;
    world
        .policy("slow", json!({ "digestReflectionPolicy": "IfNotPresent" }))
        .await;
    let words = world.policy_fails("slow", "Failed").await;
    assert!(words.starts_with("failed fetching digest of "), "{words}");
    let object = world.policies().get("slow").await.unwrap();
    assert!(latest(&object).is_none(), "no choice without its digest");

    world.image("app", &odd.image("app"), json!({})).await;
    world.policy("app", json!({})).await;
    let before = world.chosen("app", "1.0.0").await;
    // The repository fails without other tags: its policy has nothing to do.
    world
        .image(
            "app",
            &odd.image("app"),
            json!({ "secretRef": { "name": "absent" } }),
        )
        .await;
    world.fails("app", "not found").await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let after = world.policies().get("app").await.unwrap();
    assert_eq!(
        after.metadata.resource_version,
        before.metadata.resource_version
    );

    let identity = json!({ "provider": "aws", "serviceAccountName": "x" });
    world.image("gated", &odd.image("gated"), identity).await;
    world.policy("gated", json!({})).await;
    let (reason, message) = world.fails("gated", "ObjectLevelWorkloadIdentity").await;
    assert_eq!(reason, "FeatureGateDisabled", "{message}");
    let words = world.policy_fails("gated", "FeatureGateDisabled").await;
    assert!(words.contains("in the ImageRepository"), "{words}");
}

/// covers: IA-072, IA-074, IA-090
#[tokio::test]
async fn images_of_other_namespaces_are_used_where_both_sides_allow_it() {
    // Over all namespaces, but for the objects of this test only: others have controllers of their own.
    let world = World::with(|p| {
        p.flag("--watch-all-namespaces", "true")
            .flag("--watch-label-selector", "test=far")
    })
    .await;
    let odd = OddRegistry::start().await;
    let plane = testkit::control_plane().await;
    let elsewhere = plane.namespace("elsewhere").await;
    let version = "image.toolkit.fluxcd.io/v1";
    let labels = |name: &str| json!({ "name": name, "labels": { "test": "far" } });
    let there = json!({ "imageRepositoryRef": { "name": "app", "namespace": world.ns() },
        "policy": { "semver": { "range": "*" } } });
    let there = json!({ "metadata": labels("far"), "spec": there });
    world
        .put(elsewhere.name(), version, "ImagePolicy", "far", there)
        .await
        .unwrap();
    let api =
        kube::Api::<api::image::ImagePolicy>::namespaced(world.client.clone(), elsewhere.name());
    let says = async |words: &str| {
        let is = |object: &api::image::ImagePolicy| {
            ready(object, "False").is_some_and(|(_, m)| m.contains(words))
        };
        world.until(&api, "far", is).await;
    };
    let image = async |selectors: Value| {
        let mut spec = json!({ "image": odd.image("app"), "interval": "1h" });
        if !selectors.is_null() {
            spec["accessFrom"] = json!({ "namespaceSelectors": [{ "matchLabels": selectors }] });
        }
        let object = json!({ "metadata": labels("app"), "spec": spec });
        world
            .put(world.ns(), version, "ImageRepository", "app", object)
            .await
            .unwrap();
    };
    image(Value::Null).await;
    says("missing ACL labels on 'accessFrom'").await;
    image(json!({ "tenant": "b" })).await;
    says("ACL labels mismatch on namespace").await;
    image(json!({ "kubernetes.io/metadata.name": elsewhere.name() })).await;
    let is = |object: &api::image::ImagePolicy| ready(object, "True").is_some();
    world.until(&api, "far", is).await;

    let strict = World::with(|p| p.flag("--no-cross-namespace-refs", "true")).await;
    strict.image("app", &odd.image("app"), json!({})).await;
    strict.policy("app", json!({})).await;
    strict.chosen("app", "1.0.0").await;
    let far = json!({ "imageRepositoryRef": { "name": "app", "namespace": world.ns() } });
    strict.policy("app", far).await;
    let words = strict.policy_fails("app", "AccessDenied").await;
    assert!(words.contains("have been blocked"), "{words}");
}

/// covers: IA-070, IA-088, IA-089, IA-104
#[tokio::test]
async fn old_versions_hold_what_new_ones_say_and_the_api_server_keeps_the_rules() {
    let world = World::new().await;
    let odd = OddRegistry::start().await;
    world.image("app", &odd.image("app"), json!({})).await;
    let old = "image.toolkit.fluxcd.io/v1beta1";
    let spec = json!({ "imageRepositoryRef": { "name": "app" }, "digestReflectionPolicy": "Never",
        "suspend": true, "policy": { "semver": { "range": "*" } } });
    let body = json!({ "spec": spec });
    let put = world.put(world.ns(), old, "ImagePolicy", "app", body);
    put.await.unwrap();
    let object = world.policies().get("app").await.unwrap();
    assert!(object.spec.digest_reflection_policy.is_some());
    world.scanned("app", 1).await;
    let object = world.policies().get("app").await.unwrap();
    assert!(object.status.and_then(|s| s.latest()).is_none());
    let token = json!({ "metadata": { "annotations": { "reconcile.fluxcd.io/requestedAt": "now" } },
        "spec": { "suspend": false } });
    let params = PatchParams::default();
    let api = world.policies();
    api.patch("app", &params, &Patch::Merge(token))
        .await
        .unwrap();
    world.chosen("app", "1.0.0").await;
    let handled = |object: &api::image::ImagePolicy| {
        api::Reconciled::last_handled_reconcile_at(object) == Some("now")
    };
    world.until(&api, "app", handled).await;
    for (fields, words) in [
        (
            json!({ "interval": "1m" }),
            "spec.interval is only accepted when spec.digestReflectionPolicy is set to 'Always'",
        ),
        (
            json!({ "digestReflectionPolicy": "Always" }),
            "spec.interval must be set when spec.digestReflectionPolicy is set to 'Always'",
        ),
    ] {
        let mut spec = json!({ "imageRepositoryRef": { "name": "app" },
            "policy": { "semver": { "range": "*" } } });
        spec.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let version = "image.toolkit.fluxcd.io/v1";
        let made = world
            .put(
                world.ns(),
                version,
                "ImagePolicy",
                "rules",
                json!({ "spec": spec }),
            )
            .await;
        let error = made.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
