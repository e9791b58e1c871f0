//! How the Git server of an automation is logged in at: Secrets, clouds, GitHub's apps; and sources that cannot be used.

use serde_json::json;

use crate::world::{World, marked};

/// covers: IA-133
#[tokio::test]
async fn source_is_a_git_repository_of_a_namespace_that_may_be_used() {
    let world = World::new().await;
    let words = world
        .refused(
            "bucket",
            json!({ "sourceRef": { "kind": "Bucket", "name": "repo" } }),
        )
        .await;
    assert!(words.contains("Unsupported value: \"Bucket\""), "{words}");
    world.choose("app", "app", "1").await;
    world.apply("bare", json!({ "git": null })).await;
    assert_eq!(
        world.fails("bare", "InvalidSourceConfiguration").await,
        "source kind 'GitRepository' necessitates field .spec.git: invalid source configuration"
    );
    // It is looked for there: nothing forbids it.
    let elsewhere =
        json!({ "sourceRef": { "kind": "GitRepository", "name": "repo", "namespace": "default" } });
    world.apply("elsewhere", elsewhere).await;
    let words = world.fails("elsewhere", "SourceManagerFailed").await;
    assert!(words.contains("does not exist"), "{words}");
}

/// covers: IA-139
#[tokio::test]
async fn provider_decides_how_to_log_in() {
    let world = World::new().await;
    let repository = world.repository(&[("app.yaml", &marked(&world, "app", "app:0"))]);
    world.choose("app", "app", "1").await;
    let url = repository.url();
    world.source(url, json!({ "provider": "azure" })).await;
    world.apply("auto", json!({})).await;
    world.fails_with("auto", "AZURE_FEDERATED_TOKEN_FILE").await;
    let refused = [
        (
            json!({ "provider": "aws" }),
            "AWS CodeCommit authentication requires an HTTPS Git URL",
        ),
        (
            json!({ "provider": "azure", "serviceAccountName": "robot" }),
            "enable the ObjectLevelWorkloadIdentity feature gate",
        ),
        (
            json!({ "provider": "aws", "serviceAccountName": "robot" }),
            "enable the ObjectLevelWorkloadIdentity feature gate",
        ),
        (
            json!({ "provider": "github" }),
            "secretRef with github app data must be specified when provider is set to github: invalid source configuration",
        ),
        (
            json!({ "provider": "github", "secretRef": { "name": "absent" } }),
            "failed to get auth secret",
        ),
        (
            json!({ "provider": "github", "secretRef": { "name": "basic" } }),
            "secretRef with github app data must be specified when provider is set to github: invalid source configuration",
        ),
        (
            json!({ "provider": "github", "secretRef": { "name": "app" } }),
            "failed to configure authentication options",
        ),
        (
            json!({ "provider": "generic", "secretRef": { "name": "app" } }),
            "has github app data but provider is not set to github: invalid source configuration",
        ),
    ];
    let pairs = json!({ "username": "u", "password": "p" });
    world.secret_of("basic", pairs).await;
    let app = json!({ "githubAppID": "1", "githubAppInstallationID": "2",
        "githubAppPrivateKey": "no key", "githubAppBaseURL": "http://127.0.0.1:1" });
    world.secret_of("app", app).await;
    for (fields, words) in refused {
        world.source(url, fields).await;
        world.fails_with("auto", words).await;
    }
    world.source(url, json!({ "provider": "generic" })).await;
    world.synced("auto", "app", "1").await;
}

/// covers: IA-142
#[tokio::test]
async fn files_below_the_path_get_what_every_policy_chose() {
    let world = World::new().await;
    let both = format!(
        "{}---\n{}",
        marked(&world, "app", "app:0"),
        marked(&world, "db", "db:0")
    );
    let outside = marked(&world, "app", "app:0");
    let repository = world.repository(&[("apps/all.yaml", &both), ("other/app.yaml", &outside)]);
    world.source(repository.url(), json!({})).await;
    world.choose("app", "app", "1").await;
    world.choose("db", "db", "2").await;
    let words = world
        .refused("odd", json!({ "update": { "strategy": "Guess" } }))
        .await;
    assert!(words.contains("Unsupported value: \"Guess\""), "{words}");
    let update = json!({ "path": "./apps", "strategy": "Setters" });
    world.apply("auto", json!({ "update": update })).await;
    world.synced("auto", "db", "2").await;
    let expected = both.replace("app:0", "app:1").replace("db:0", "db:2");
    assert_eq!(repository.read("main", "apps/all.yaml").unwrap(), expected);
    assert_eq!(repository.read("main", "other/app.yaml").unwrap(), outside);
    // No strategy is the default one.
    world
        .apply("plain", json!({ "update": { "path": "other" } }))
        .await;
    world.synced("plain", "app", "1").await;
    let text = repository.read("main", "other/app.yaml").unwrap();
    assert_eq!(text, outside.replace("app:0", "app:1"));
}

/// covers: IA-105
#[tokio::test]
async fn object_that_is_deleted_before_anything_was_done_with_it_just_goes() {
    let world = World::new().await;
    world.stop().await;
    world.apply_held("brief", json!({ "suspend": false })).await;
    world.delete("brief").await;
    world.start().await;
    // Another object is carried through after it: the first has been looked at by then.
    let repository = world.repository(&[("app.yaml", &marked(&world, "app", "app:0"))]);
    world.source(repository.url(), json!({})).await;
    world.choose("app", "app", "1").await;
    world.apply("auto", json!({})).await;
    world.synced("auto", "app", "1").await;
    let brief = world.object("brief").await;
    assert_eq!(
        brief.metadata.finalizers.as_deref(),
        Some(&["test/hold".to_owned()][..])
    );
    assert!(
        brief
            .status
            .is_none_or(|status| status.conditions.is_empty())
    );
    assert!(
        !world.log().contains("\"level\":\"error\""),
        "{}",
        world.log()
    );
    world.release("brief").await;
}
