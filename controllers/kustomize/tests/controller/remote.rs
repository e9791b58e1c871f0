//! Bases and files of other hosts, from a real git server and a real web server.

use serde_json::json;
use testkit::{Answer, GitServer, HttpSink};

use crate::world::{World, config_map, has, message};

#[tokio::test]
async fn base_of_a_git_server_is_fetched_once_a_commit_and_followed() {
    let world = World::new().await;
    let git = GitServer::start().unwrap();
    let repository = git.repository("bases").unwrap();
    let commit = |colour: &str| {
        let shared = config_map("shared", "colour", colour);
        let commit = repository.commit("main", "change");
        let commit = commit.write("base/kustomization.yaml", "resources: [../linked]\n");
        let commit = commit.write("real/kustomization.yaml", "resources: [shared.yaml]\n");
        let commit = commit.write("real/shared.yaml", shared);
        commit.symlink("linked", "real").push().unwrap()
    };
    let pinned = commit("blue");
    let entry = |reference: &str| {
        format!(
            "resources: ['{}//base?ref={reference}']\n",
            repository.url()
        )
    };
    let revision = world
        .publish(&[("kustomization.yaml", &entry("main"))])
        .await;
    world.apply(json!({})).await;
    let object = world.applied("app", &revision).await;
    world.config_map("shared", has("colour", "blue")).await;
    assert_eq!(crate::world::inventory(&object).len(), 1);

    // The next run asks which commit the branch has, and fetches nothing that it has.
    git.forget_requests();
    world.request("app").await;
    let packs = |git: &GitServer| {
        let requests = git.requests();
        requests
            .iter()
            .filter(|r| r.method == "POST" && r.target.ends_with("git-upload-pack"))
            .count()
    };
    let asked = packs(&git);
    assert!(
        asked <= 1,
        "a commit was fetched again: {:#?}",
        git.requests()
    );
    assert!(git.requests().iter().all(|r| r.authorization.is_none()));
    commit("red");
    world.request("app").await;
    world.config_map("shared", has("colour", "red")).await;

    // A commit that is named and known needs no server at all.
    let revision = world
        .publish(&[("kustomization.yaml", &entry(&pinned))])
        .await;
    world.applied("app", &revision).await;
    world.config_map("shared", has("colour", "blue")).await;
    git.forget_requests();
    world.request("app").await;
    assert_eq!(packs(&git), 0, "{:#?}", git.requests());
}

#[tokio::test]
async fn file_of_a_web_server_is_asked_for_again_only_if_it_changed() {
    let world = World::new().await;
    let web = HttpSink::start().unwrap();
    let shared = config_map("shared", "colour", "blue");
    web.answer(Answer::body(shared).header("etag", "\"1\""));
    let file = format!("resources: ['{}/shared.yaml']\n", web.url());
    let revision = world.publish(&[("kustomization.yaml", &file)]).await;
    world.apply(json!({})).await;
    world.applied("app", &revision).await;
    world.config_map("shared", has("colour", "blue")).await;
    web.answer(Answer::status(304));
    world.request("app").await;
    world.applied("app", &revision).await;
    let last = web.requests().pop().unwrap();
    assert_eq!(last.header("if-none-match"), Some("\"1\""));
    web.answer(Answer::status(503));
    world.request("app").await;
    let failed = world.failed("app", "BuildFailed").await;
    assert!(
        message(&failed, "Ready").contains("status 503"),
        "{}",
        message(&failed, "Ready")
    );
    world.config_map("shared", has("colour", "blue")).await;
}

#[tokio::test]
async fn where_a_server_sends_us_to_credentials_of_the_node_nobody_follows() {
    let world = World::new().await;
    let web = HttpSink::start().unwrap();
    web.answer(
        Answer::status(302).header("location", "http://169.254.169.254/latest/meta-data/x.yaml"),
    );
    for url in [
        format!("{}/x.yaml", web.url()),
        "http://169.254.169.254/latest/meta-data/x.yaml".to_owned(),
        "file:///etc/kubernetes".to_owned(),
        "http://user:word@127.0.0.1/a/b.git//c".to_owned(),
    ] {
        let file = format!("resources: ['{url}']\n");
        world.publish(&[("kustomization.yaml", &file)]).await;
        world.apply(json!({ "retryInterval": "1h" })).await;
        let failed = world.failed("app", "BuildFailed").await;
        assert!(
            !message(&failed, "Ready").contains("word@"),
            "{}",
            message(&failed, "Ready")
        );
        world.delete("app").await;
    }
    assert_eq!(web.requests().len(), 1);
}
