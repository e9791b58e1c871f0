//! What is read from registries.

use std::time::{Duration, Instant};

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use testkit::{PushedArtifact, Registry, RegistryOptions};

use crate::odd_registry::{HUGE, OddRegistry};
use crate::world::{World, ready};

/// covers: IA-012, IA-015, IA-016, IA-034, IA-036, IA-060, IA-066
#[tokio::test]
async fn tags_are_listed_page_by_page_and_a_new_one_is_chosen() {
    let world = World::new().await;
    let registry = Registry::start(&RegistryOptions {
        page: Some(3),
        ..RegistryOptions::default()
    })
    .unwrap();
    let push = |tag: &str| {
        let artifact = PushedArtifact::default();
        registry.push("team/app", tag, &artifact).unwrap()
    };
    for minor in 0..12 {
        push(&format!("1.{minor}.0"));
    }
    push("2.0.0");
    push("1.0.0.sig");
    let image = format!("{}/team/app", registry.address());
    world.image("app", &image, json!({})).await;
    world.policy("app", json!({})).await;
    let object = world.scanned("app", 13).await;
    let status = object.status.unwrap();
    let last = status.last_scan_result.unwrap();
    assert_eq!(last.latest_tags.len(), 10);
    assert_eq!(last.latest_tags[0], "2.0.0");
    assert_eq!(status.canonical_image_name.as_deref(), Some(&*image));
    let pages = registry.requests().unwrap();
    let pages = pages.iter().filter(|r| r.contains("/tags/list")).count();
    assert!(pages >= 5, "{pages} pages");
    world.chosen("app", "1.11.0").await;

    push("1.12.0");
    let before = last.scan_time;
    world.request("app").await;
    let object = world.scanned("app", 14).await;
    let last = object.status.unwrap().last_scan_result.unwrap();
    assert!(last.scan_time >= before);
    let policy = world.chosen("app", "1.12.0").await;
    let status = policy.status.unwrap();
    let previous = status.observed_previous_ref.as_ref().unwrap();
    assert_eq!(previous.tag, "1.11.0");
    assert_eq!(status.latest_image, Some(format!("{image}:1.12.0")));

    let only = json!({ "exclusionList": ["^1\\.1", "sig$"] });
    world.image("app", &image, only).await;
    world.scanned("app", 10).await;
    world.chosen("app", "1.9.0").await;
}

/// covers: IA-011, IA-019, IA-060
#[tokio::test]
async fn registries_that_lie_hang_or_never_end_are_told_from_those_that_work() {
    let world = World::new().await;
    let odd = OddRegistry::start().await;
    let short = json!({ "timeout": "2s" });
    let cases = [
        ("hangs", short.clone(), "timed out"),
        ("drips", short.clone(), "timed out"),
        ("lies", json!({}), "list of tags"),
        ("mistypes", json!({}), "list of tags"),
        ("circles", json!({}), "go round in a circle"),
        ("endless", short, ""),
    ];
    for (name, fields, _) in &cases {
        world.image(name, &odd.image(name), fields.clone()).await;
        world.policy(name, json!({})).await;
    }
    world.image("works", &odd.image("works"), json!({})).await;
    world.policy("works", json!({})).await;
    world.chosen("works", "1.0.0").await;
    for (name, _, words) in cases {
        let (reason, message) = world.fails(name, words).await;
        assert_eq!(reason, "ReadOperationFailed", "{message}");
        assert!(message.starts_with("scan failed: "), "{message}");
        world.policy_fails(name, "DependencyNotReady").await;
    }
    // Links lead to the registry itself, wherever they point.
    world
        .image("elsewhere", &odd.image("elsewhere"), json!({}))
        .await;
    world.scanned("elsewhere", 1).await;
    assert_eq!(odd.asked("x"), 1);
    let object = world.repositories().get("endless").await.unwrap();
    assert!(object.status.unwrap().last_scan_result.is_none());
}

#[tokio::test]
async fn hundred_thousand_tags_are_read_and_one_is_chosen() {
    let world = World::new().await;
    let odd = OddRegistry::start().await;
    world.image("huge", &odd.image("huge"), json!({})).await;
    world.policy("huge", json!({})).await;
    let tags = i64::try_from(HUGE).unwrap();
    world.scanned("huge", tags).await;
    world.chosen("huge", &format!("1.0.{}", HUGE - 1)).await;
}

/// covers: IA-061
#[tokio::test]
async fn registry_that_asks_for_patience_is_left_alone_that_long() {
    let world = World::new().await;
    let odd = OddRegistry::start().await;
    let began = Instant::now();
    world.image("limits", &odd.image("limits"), json!({})).await;
    let (reason, message) = world.fails("limits", "TOOMANYREQUESTS: slow down").await;
    assert_eq!(reason, "ReadOperationFailed", "{message}");
    // Whoever comes with the same credentials is held back without asking.
    world.image("other", &odd.image("other"), json!({})).await;
    world.fails("other", "asked to be left alone").await;
    assert_eq!(odd.asked("other"), 0);
    world.scanned("limits", 1).await;
    assert!(began.elapsed() >= Duration::from_secs(4), "twice 2 s");
    assert_eq!(odd.asked("limits"), 3, "no request in between");
    world.scanned("other", 1).await;
    assert!(world.warnings("limits").await.is_empty());
}

/// covers: IA-063
#[tokio::test]
async fn image_without_tags_is_ready_and_not_asked_for_again() {
    let world = World::new().await;
    let odd = OddRegistry::start().await;
    world.image("empty", &odd.image("empty"), json!({})).await;
    let object = world.scanned("empty", 0).await;
    let (_, message) = ready(&object, "True").unwrap();
    assert!(message.contains("found 0 tags"), "{message}");
    let asked = odd.asked("empty");
    let label = json!({ "spec": { "suspend": false } });
    let params = PatchParams::default();
    let api = world.repositories();
    api.patch("empty", &params, &Patch::Merge(label))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(odd.asked("empty"), asked);
}

/// covers: IA-103
#[tokio::test]
async fn restart_neither_scans_anew_nor_takes_back_what_was_chosen() {
    let world = World::new().await;
    let odd = OddRegistry::start().await;
    world.image("app", &odd.image("app"), json!({})).await;
    world.policy("app", json!({})).await;
    let before = world.chosen("app", "1.0.0").await;
    assert_eq!(odd.asked("app"), 1);
    world.controller.restart().await.unwrap();
    // An object made after the restart shows that the controller is at work.
    world.image("late", &odd.image("late"), json!({})).await;
    world.scanned("late", 1).await;
    assert_eq!(odd.asked("app"), 1, "the tags were kept");

    // Without its storage it scans again; until it has, the choice stands.
    world.controller.kill();
    let storage = world.controller.folder().join("data");
    std::fs::remove_dir_all(&storage).unwrap();
    world.controller.restart().await.unwrap();
    let seen = watch_ready(&world, Duration::from_secs(3)).await;
    assert!(seen.iter().all(|ready| ready == "True"), "{seen:?}");
    let after = world.chosen("app", "1.0.0").await;
    assert_eq!(
        before.status.unwrap().conditions[0].last_transition_time,
        after.status.unwrap().conditions[0].last_transition_time
    );
    assert_eq!(odd.asked("app"), 2);
}

/// Returns every status that Ready of policy `app` has for a while.
async fn watch_ready(world: &World, long: Duration) -> Vec<String> {
    let began = Instant::now();
    let mut seen: Vec<String> = Vec::new();
    while began.elapsed() < long {
        let object = world.policies().get("app").await.unwrap();
        let status = object.status.unwrap_or_default();
        let ready = status.conditions.iter().find(|c| c.type_ == "Ready");
        seen.extend(ready.map(|ready| ready.status.clone()));
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    seen
}

/// covers: IA-031, IA-032, IA-035, IA-062
#[tokio::test]
async fn requests_are_answered_and_suspended_objects_left_alone() {
    let world = World::new().await;
    let odd = OddRegistry::start().await;
    let suspended = json!({ "suspend": true });
    world.image("app", &odd.image("app"), suspended).await;
    world.image("other", &odd.image("other"), json!({})).await;
    world.scanned("other", 1).await;
    let object = world.repositories().get("app").await.unwrap();
    let status = object.status.unwrap_or_default();
    assert!(status.last_scan_result.is_none() && odd.asked("app") == 0);
    world
        .image("app", &odd.image("app"), json!({ "suspend": false }))
        .await;
    world.scanned("app", 1).await;

    // A request whose scan fails is answered, and the object does not turn Ready without a scan.
    world.image("app", &odd.image("lies"), json!({})).await;
    world.fails("app", "list of tags").await;
    let asked = odd.asked("lies");
    let object = world.request("app").await;
    assert!(ready(&object, "True").is_none());
    let deadline = Instant::now() + Duration::from_secs(30);
    while odd.asked("lies") < asked + 2 {
        assert!(Instant::now() < deadline, "it is not tried again");
        let object = world.repositories().get("app").await.unwrap();
        assert!(ready(&object, "True").is_none());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// covers: IA-047, IA-048, IA-049
#[tokio::test]
async fn api_server_fills_in_defaults_and_refuses_what_makes_no_sense() {
    let world = World::new().await;
    let version = "image.toolkit.fluxcd.io/v1";
    let put = async |fields: Value| {
        let mut spec = json!({ "image": "example.com/app", "interval": "1h", "suspend": true });
        spec.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let spec = json!({ "spec": spec });
        world
            .put(world.ns(), version, "ImageRepository", "x", spec)
            .await
    };
    let made = put(json!({ "timeout": "60m" })).await.unwrap();
    assert_eq!(made.data["spec"]["provider"], "generic");
    assert_eq!(made.data["spec"]["exclusionList"], json!(["^.*\\.sig$"]));
    let many = |count: usize| json!({ "exclusionList": vec!["x"; count] });
    put(many(25)).await.unwrap();
    for (fields, words) in [
        (json!({ "timeout": "1h" }), "timeout"),
        (json!({ "interval": "1d" }), "interval"),
        (many(26), "exclusionList"),
        (json!({ "provider": "other" }), "provider"),
    ] {
        let error = put(fields).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// covers: IA-001, IA-009, IA-018, IA-029
#[tokio::test]
async fn storage_that_cannot_be_used_is_told_and_used_again_once_it_can() {
    let world = World::new().await;
    let odd = OddRegistry::start().await;
    world.image("app", &odd.image("app"), json!({})).await;
    world.policy("app", json!({})).await;
    world.chosen("app", "1.0.0").await;
    let folder = world.controller.folder().join("data/imagerepository");
    let own = folder.join(world.ns()).join("app");
    std::fs::remove_file(own.join("tags.txt")).unwrap();
    std::fs::create_dir(own.join("tags.txt")).unwrap();
    world.request("app").await;
    let (reason, message) = world.fails("app", "reading").await;
    assert_eq!(reason, "Failure", "{message}");
    assert!(
        message.starts_with("failed to determine if it's scan time: "),
        "{message}"
    );
    let deadline = Instant::now() + Duration::from_secs(30);
    while world.warnings("app").await.is_empty() {
        assert!(Instant::now() < deadline, "no warning was sent");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    std::fs::remove_dir(own.join("tags.txt")).unwrap();
    world.scanned("app", 1).await;
    // A file where the folder of a namespace should be.
    std::fs::remove_dir_all(folder.join(world.ns())).unwrap();
    std::fs::write(folder.join(world.ns()), "").unwrap();
    world.image("new", &odd.image("new"), json!({})).await;
    world.fails("new", "").await;
    std::fs::remove_file(folder.join(world.ns())).unwrap();
    world.scanned("new", 1).await;

    // What comes and goes while no controller runs is nothing to it.
    world.controller.kill();
    world.image("brief", &odd.image("brief"), json!({})).await;
    let params = kube::api::DeleteParams::default();
    world.repositories().delete("brief", &params).await.unwrap();
    world.controller.restart().await.unwrap();
    world.image("late", &odd.image("late"), json!({})).await;
    world.scanned("late", 1).await;
    assert_eq!(odd.asked("brief"), 0);
}
