//! Other repositories' artifacts inside one.

use api::meta::LocalReference;
use api::source::{GitRepositorySpec, Include};
use testkit::Repository;

use crate::bench::{Bench, artifact, condition, spec};

fn include(from: Option<&str>, to: Option<&str>) -> Include {
    Include {
        repository: LocalReference {
            name: "lib".to_owned(),
        },
        from_path: from.map(str::to_owned),
        to_path: to.map(str::to_owned),
    }
}

fn fill(app: &Repository, lib: &Repository) -> String {
    app.commit("main", "first")
        .write("deploy/app.yaml", "1")
        .write("z", "1")
        .push()
        .unwrap();
    lib.commit("main", "first")
        .write("base/one.yaml", "1")
        .write_executable("base/run.sh", "#!/bin/sh\n")
        .write("base/.sourceignore", "*.md")
        .write("base/drop.md", "1")
        .push()
        .unwrap()
}

/// covers: SC-012, SC-072, SC-078, SC-079
#[tokio::test]
async fn included_repositories_are_waited_for_and_followed() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let app = bench.server.repository("app").unwrap();
    let lib = bench.server.repository("lib").unwrap();
    let first = fill(&app, &lib);
    let including = GitRepositorySpec {
        include: vec![
            include(Some("./base"), Some("deploy/lib")),
            include(None, None),
        ],
        ..spec(app.url())
    };
    bench.create("app", including).await;
    let message = bench.fails("app", "NotFound").await;
    let words = "could not get resource for include 'lib': ";
    let missing = "GitRepository.source.toolkit.fluxcd.io \"lib\" not found";
    assert_eq!(message, format!("{words}{missing}"));
    bench
        .event("app", &format!("Normal NotFound {words}"))
        .await;
    bench.create("lib", spec(lib.url())).await;
    bench.ready("lib", &format!("main@sha1:{first}")).await;
    let object = bench.reconcile("app").await;
    let published = artifact(&object).unwrap();
    let expected = [
        "deploy/app.yaml",
        "deploy/lib/.sourceignore",
        "deploy/lib/one.yaml",
        "deploy/lib/run.sh",
        "lib/base/.sourceignore",
        "lib/base/one.yaml",
        "lib/base/run.sh",
        "z",
    ];
    assert_eq!(bench.files(published).await, expected);
    let status = object.status.as_ref().unwrap();
    assert_eq!(status.included_artifacts.len(), 2);
    assert_eq!(status.observed_include, object.spec.include);

    lib.commit("main", "second")
        .write("base/two.yaml", "2")
        .push()
        .unwrap();
    bench.reconcile("lib").await;
    let object = bench.reconcile("app").await;
    let renewed = artifact(&object).unwrap();
    assert_eq!(renewed.revision, published.revision);
    assert!(
        bench
            .files(renewed)
            .await
            .contains(&"deploy/lib/two.yaml".to_owned())
    );
}

/// covers: SC-078
#[tokio::test]
async fn includes_that_cannot_be_copied_are_named() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let app = bench.server.repository("app").unwrap();
    let lib = bench.server.repository("lib").unwrap();
    let first = fill(&app, &lib);
    bench.create("lib", spec(lib.url())).await;
    bench.ready("lib", &format!("main@sha1:{first}")).await;
    bench.create("app", spec(app.url())).await;
    for (from, to, cause) in [
        ("none", "x", "no such file or directory"),
        ("base", "deploy", "file exists"),
        ("base", "z/x", "not a directory"),
    ] {
        let patch = serde_json::json!({ "spec": { "include": [
            { "repository": { "name": "lib" }, "fromPath": from, "toPath": to }] } });
        bench.patch("app", patch).await;
        let words = format!("failed to copy 'lib' include from {from} to {to}: {cause}");
        bench
            .wait("app", &words, |object| {
                condition(object, "StorageOperationFailed")
                    .is_some_and(|failed| failed.reason == "CopyFailure" && failed.message == words)
            })
            .await;
    }
}

/// covers: SC-047
#[tokio::test]
async fn part_of_an_artifact_is_included_and_one_that_is_damaged_is_not() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let app = bench.server.repository("app").unwrap();
    let lib = bench.server.repository("lib").unwrap();
    let first = fill(&app, &lib);
    bench.create("lib", spec(lib.url())).await;
    let published = bench.ready("lib", &format!("main@sha1:{first}")).await;
    bench.create("app", spec(app.url())).await;
    let included = async |from: &str, to: &str| {
        let patch = serde_json::json!({ "spec": { "include": [
            { "repository": { "name": "lib" }, "fromPath": from, "toPath": to }] } });
        bench.patch("app", patch).await;
        let object = bench
            .wait("app", from, |object| {
                let status = object.status.as_ref();
                status.is_some_and(|status| {
                    status.observed_include == object.spec.include
                        && status.observed_generation == object.metadata.generation
                })
            })
            .await;
        let files = bench.files(artifact(&object).unwrap()).await;
        let own = ["deploy/app.yaml", "z"];
        files
            .into_iter()
            .filter(|file| !own.contains(&file.as_str()))
            .collect::<Vec<_>>()
    };
    let base =
        |to: &str| [".sourceignore", "one.yaml", "run.sh"].map(|name| format!("{to}/{name}"));
    assert_eq!(included("base/one.yaml", "x/y.yaml").await, ["x/y.yaml"]);
    assert_eq!(included("base", "x").await, base("x"));
    assert_eq!(included("./", "x").await, base("x/base"));
    // What would lead out of a tree stays at its root, on both sides.
    assert_eq!(
        included("../../../base/../../base", "../../y").await,
        base("y")
    );

    let file = bench.storage.path().join(&published.path);
    std::fs::write(&file, "no archive").unwrap();
    refuses(&bench, "computed digest doesn't match").await;
    std::fs::remove_file(&file).unwrap();
    refuses(&bench, "No such file or directory").await;
}

/// Makes sure that the directory `base` cannot be included as `w`, for this cause.
async fn refuses(bench: &Bench, cause: &str) {
    let patch = serde_json::json!({ "spec": { "include": [
        { "repository": { "name": "lib" }, "fromPath": "base", "toPath": "w" }] } });
    bench.patch("app", patch).await;
    let object = bench.reconcile("app").await;
    let failed = condition(&object, "StorageOperationFailed").unwrap();
    let start = "failed to copy 'lib' include from base to w: ";
    let told = failed.message.strip_prefix(start).unwrap();
    assert!(told.contains(cause), "{told}");
    assert_eq!(failed.reason, "CopyFailure");
}
