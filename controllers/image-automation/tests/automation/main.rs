//! ImageUpdateAutomations on a real API server with a real Git server. Policies are objects whose choice the tests write
//! themselves.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod inputs;
mod providers;
mod world;

use serde_json::json;
use testkit::{Answer, Fault, HttpSink};

use world::{World, marked};

/// covers: IA-112, IA-113, IA-114, IA-115, IA-117, IA-155
#[tokio::test]
async fn manifest_of_v1beta1_commits_what_the_policy_chose() {
    let world = World::new().await;
    let repository = world.repository(&[("k8s/app.yaml", &marked(&world, "app", "app:0"))]);
    world.source(repository.url(), json!({})).await;
    world.choose("app", "ghcr.io/org/app", "1.0.0").await;
    // As users wrote it: neither interval nor checkout nor push, and a template of the older API.
    world
        .apply_version(
            "v1beta1",
            "auto",
            json!({
            "sourceRef": { "kind": "GitRepository", "name": "repo" },
            "git": { "commit": { "author": { "name": "Flux", "email": "flux@example.com" },
                "messageTemplate": "Update image to {{range .Updated.Images}}{{.}}{{end}}" } },
            "update": { "path": "./k8s", "strategy": "Setters" } }),
        )
        .await;
    let object = world.synced("auto", "app", "1.0.0").await;
    let head = repository.id_of("main").unwrap();
    let status = object.status.unwrap();
    assert_eq!(status.last_push_commit.as_deref(), Some(&*head));
    assert_eq!(
        status.observed_source_revision,
        Some(format!("main@sha1:{head}"))
    );
    let log = repository
        .git(&["log", "-1", "--format=%an <%ae> %B", "main"])
        .unwrap();
    assert_eq!(
        log.trim(),
        "Flux <flux@example.com> Update image to ghcr.io/org/app:1.0.0"
    );
    let text = repository.read("main", "k8s/app.yaml").unwrap();
    assert!(text.contains("image: ghcr.io/org/app:1.0.0 #"), "{text}");

    world.choose("app", "ghcr.io/org/app", "1.1.0").await;
    world.synced("auto", "app", "1.1.0").await;
    let text = repository.read("main", "k8s/app.yaml").unwrap();
    assert!(text.contains("image: ghcr.io/org/app:1.1.0 #"), "{text}");

    let second = repository.id_of("main").unwrap();
    let elsewhere = repository
        .commit("main", "other")
        .write("x", "1")
        .push()
        .unwrap();
    world.request("auto").await;
    let status = world.object("auto").await.status.unwrap();
    assert_eq!(
        status.observed_source_revision,
        Some(format!("main@sha1:{elsewhere}"))
    );
    assert_eq!(status.last_push_commit.as_deref(), Some(&*second));
    let before = status.last_push_time.clone();
    world.request("auto").await;
    let status = world.object("auto").await.status.unwrap();
    assert_eq!(status.last_push_time, before);
    assert_eq!(repository.id_of("main").unwrap(), elsewhere);
}

/// covers: IA-122, IA-136
#[tokio::test]
async fn push_branch_is_made_and_then_continued() {
    let world = World::new().await;
    let repository = world.repository(&[
        ("yes/app.yaml", &marked(&world, "app", "app:0")),
        ("no/app.yaml", &marked(&world, "app", "app:0")),
    ]);
    world
        .source(repository.url(), json!({ "ref": { "branch": "main" } }))
        .await;
    world.choose("app", "app", "1").await;
    world
        .apply(
            "auto",
            json!({ "git": { "commit": { "author": { "email": "bot@example.com" } },
            "push": { "branch": "updates", "options": {} } }, "update": { "path": "yes" } }),
        )
        .await;
    world.synced("auto", "app", "1").await;
    let main = repository.id_of("main").unwrap();
    world.choose("app", "app", "2").await;
    world.synced("auto", "app", "2").await;
    assert_eq!(repository.id_of("main").unwrap(), main);
    let count = repository
        .git(&["rev-list", "--count", "main..updates"])
        .unwrap();
    assert_eq!(count.trim(), "2");
    assert!(
        repository
            .read("updates", "yes/app.yaml")
            .unwrap()
            .contains("image: app:2 #")
    );
    assert!(
        repository
            .read("updates", "no/app.yaml")
            .unwrap()
            .contains("image: app:0 #")
    );
}

/// covers: IA-152
#[tokio::test]
async fn automations_that_push_to_one_branch_both_land() {
    let world = World::new().await;
    let files: Vec<_> = (0..4)
        .map(|n| (format!("a{n}/app.yaml"), marked(&world, "app", "app:0")))
        .collect();
    let files: Vec<_> = files
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    let repository = world.repository(&files);
    world
        .source(repository.url(), json!({ "ref": { "branch": "main" } }))
        .await;
    for n in 0..4 {
        let update = json!({ "path": format!("a{n}") });
        world
            .apply(&format!("auto{n}"), json!({ "update": update }))
            .await;
    }
    world.choose("app", "app", "1").await;
    for n in 0..4 {
        world.synced(&format!("auto{n}"), "app", "1").await;
        let text = repository.read("main", &format!("a{n}/app.yaml")).unwrap();
        assert!(text.contains("image: app:1 #"), "{text}");
    }
    let count = repository.git(&["rev-list", "--count", "main"]).unwrap();
    assert_eq!(count.trim(), "5");
}

/// covers: IA-110, IA-111, IA-116, IA-156
#[tokio::test]
async fn what_keeps_it_from_running_is_told_and_mended() {
    let world = World::new().await;
    let repository = world.repository(&[("app.yaml", &marked(&world, "app", "app:0"))]);
    world.choose("app", "app", "1").await;
    world.apply("auto", json!({})).await;
    let words = world.fails("auto", "SourceManagerFailed").await;
    assert!(
        words.contains("referenced git repository does not exist"),
        "{words}"
    );
    world
        .source(repository.url(), json!({ "ref": { "branch": "absent" } }))
        .await;
    let words = world.fails("auto", "GitOperationFailed").await;
    assert!(
        words.contains("couldn't find remote ref \"refs/heads/absent\""),
        "{words}"
    );
    world
        .source(repository.url(), json!({ "ref": { "branch": "main" } }))
        .await;
    world.synced("auto", "app", "1").await;

    let empty = world.server.repository("empty").unwrap();
    world
        .source(empty.url(), json!({ "ref": { "branch": "main" } }))
        .await;
    let words = world.fails("auto", "GitOperationFailed").await;
    assert!(words.contains("remote repository is empty"), "{words}");
}

#[tokio::test]
async fn server_that_fails_or_refuses_leaves_no_half_commit() {
    let world = World::new().await;
    let repository = world.repository(&[("app.yaml", &marked(&world, "app", "app:0"))]);
    let hook = repository.path().join("hooks/update");
    std::fs::write(&hook, "#!/bin/sh\necho main is protected >&2\nexit 1\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&hook, mode).unwrap();
    let before = repository.id_of("main").unwrap();
    world
        .source(repository.url(), json!({ "ref": { "branch": "main" } }))
        .await;
    world.choose("app", "app", "1").await;
    world.apply("auto", json!({})).await;
    let words = world.fails("auto", "GitOperationFailed").await;
    assert!(words.contains("main is protected"), "{words}");
    assert_eq!(repository.id_of("main").unwrap(), before);
    std::fs::remove_file(&hook).unwrap();
    world.server.fail(Some(Fault::Status(503)));
    world.request_only("auto").await;
    let words = world.fails_with("auto", "503").await;
    assert!(words.contains("failed to checkout source"), "{words}");
    world.server.fail(None);
    world.synced("auto", "app", "1").await;
}

/// covers: IA-108, IA-121
#[tokio::test]
async fn source_of_another_namespace_is_refused_where_that_is_forbidden() {
    let world = World::strict().await;
    world.choose("app", "app", "1").await;
    let elsewhere =
        json!({ "sourceRef": { "kind": "GitRepository", "name": "repo", "namespace": "default" } });
    world.apply("auto", elsewhere).await;
    let words = world.fails("auto", "AccessDenied").await;
    assert_eq!(
        words,
        "can't access 'GitRepository/default/repo', cross-namespace references have been blocked"
    );
    world.apply("bare", json!({ "git": null })).await;
    world.fails("bare", "InvalidSourceConfiguration").await;
}

/// covers: IA-107, IA-123
#[tokio::test]
async fn commits_are_signed_and_suspension_holds() {
    let world = World::new().await;
    let repository = world.repository(&[("app.yaml", &marked(&world, "app", "app:0"))]);
    world
        .source(repository.url(), json!({ "ref": { "branch": "main" } }))
        .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "bot", "-f"])
        .arg(&path)
        .status();
    assert!(made.unwrap().success());
    world
        .secret("key", "identity", &std::fs::read_to_string(&path).unwrap())
        .await;
    world.choose("app", "app", "1").await;
    let commit = json!({ "author": { "email": "bot@example.com" },
        "signingKey": { "secretRef": { "name": "key" }, "type": "ssh" } });
    world
        .apply(
            "auto",
            json!({ "git": { "commit": commit }, "suspend": true }),
        )
        .await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let status = world.object("auto").await.status.unwrap_or_default();
    assert!(status.conditions.is_empty() && status.last_automation_run_time.is_none());
    world
        .apply("auto", json!({ "git": { "commit": commit } }))
        .await;
    world.synced("auto", "app", "1").await;
    let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
    let allowed = folder.path().join("allowed");
    std::fs::write(&allowed, format!("bot@example.com {public}")).unwrap();
    let setting = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
    repository
        .git(&["-c", &setting, "verify-commit", "main"])
        .unwrap();
}

#[tokio::test]
async fn pull_request_is_opened_for_the_branch_that_is_pushed_to() {
    let world = World::new().await;
    let repository = world.repository(&[("app.yaml", &marked(&world, "app", "app:0"))]);
    world
        .source(repository.url(), json!({ "ref": { "branch": "main" } }))
        .await;
    world.secret("forge", "token", "marked-token").await;
    world.choose("app", "app", "1").await;
    let sink = HttpSink::start().unwrap();
    sink.answer_once(Answer::status(500));
    let git = json!({ "commit": { "author": { "email": "bot@example.com" } }, "push": { "branch": "updates" },
        "pullRequest": { "provider": "github", "address": sink.url(), "secretRef": { "name": "forge" },
            "titleTemplate": "Update {{ len .Changed.Changes }} images" } });
    sink.answer_once(Answer::body("[]"));
    sink.answer_once(Answer::body("{}"));
    world.apply("auto", json!({ "git": git })).await;
    // The API failed at first: what was pushed stays, and the request is opened by the next run.
    world.synced("auto", "app", "1").await;
    assert!(
        repository
            .read("updates", "app.yaml")
            .unwrap()
            .contains("image: app:1 #")
    );
    let requests = sink.requests();
    assert_eq!(requests.len(), 3, "{requests:#?}");
    assert_eq!(requests[2].method, "POST");
    let body: serde_json::Value = requests[2].json().unwrap();
    assert_eq!(
        (&body["head"], &body["base"]),
        (&json!("updates"), &json!("main"))
    );
    sink.answer_once(Answer::body("[{\"number\": 7}]"));
    sink.answer_once(Answer::body("{}"));
    world.choose("app", "app", "2").await;
    world.synced("auto", "app", "2").await;
    let requests = sink.requests();
    assert_eq!(
        (&*requests[4].method, &*requests[4].target),
        ("PATCH", &*format!("{}/pulls/7", path(&requests[2].target)))
    );
    let body: serde_json::Value = requests[4].json().unwrap();
    assert_eq!(body["title"], "Update 1 images");
    assert!(!world.log().contains("marked-token"));
}

/// `/repos/<owner>/<name>` of a target.
fn path(target: &str) -> &str {
    target.strip_suffix("/pulls").unwrap()
}
