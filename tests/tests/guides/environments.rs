//! `docs/environments.md`: the four layouts, each with a change that goes from staging to production.

use testkit::Namespace;

use crate::world::{World, map, repository, unit};

const OVERLAY: &str = "resources: [../../base]\n";

/// A world with a namespace for each environment.
async fn with_environments() -> (World, Namespace, Namespace) {
    let plane = testkit::control_plane().await;
    let world = World::on(plane).await;
    let staging = plane.namespace("staging").await;
    let production = plane.namespace("production").await;
    (world, staging, production)
}

fn into(namespace: &Namespace) -> String {
    format!("  targetNamespace: {namespace}\n")
}

#[tokio::test]
async fn directories_share_a_base_and_differ_where_they_say() {
    let (world, staging, production) = with_environments().await;
    let git = world.git.repository("fleet").unwrap();
    let patch = "resources: [../../base]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    \
                 metadata: {name: app}\n    data: {v: two}\n";
    let files = [
        ("base/kustomization.yaml", "resources: [app.yaml]\n"),
        ("base/app.yaml", &map("app", "one")),
        ("environments/staging/kustomization.yaml", OVERLAY),
        ("environments/production/kustomization.yaml", OVERLAY),
    ];
    git.commit_files("main", "first", files).unwrap();
    world
        .apply(&repository("fleet", git.url(), "branch: main"))
        .await;
    for (name, namespace) in [("staging", &staging), ("production", &production)] {
        let path = format!("./environments/{name}");
        world
            .apply(&unit(name, "fleet", &path, &into(namespace)))
            .await;
        world.says(namespace.name(), "app", Some("one")).await;
    }
    let tried = git.commit("main", "Try two in staging");
    let tried = tried.write("environments/staging/kustomization.yaml", patch);
    let tried = tried.push().unwrap();
    world.says(staging.name(), "app", Some("two")).await;
    world.applied("production", &tried).await;
    world.says(production.name(), "app", Some("one")).await;

    let promoted = git.commit("main", "Two for all");
    let promoted = promoted.write("base/app.yaml", map("app", "two"));
    promoted
        .write("environments/staging/kustomization.yaml", OVERLAY)
        .push()
        .unwrap();
    world.says(production.name(), "app", Some("two")).await;
    world.says(staging.name(), "app", Some("two")).await;
}

#[tokio::test]
async fn branches_are_promoted_by_a_merge() {
    let (world, staging, production) = with_environments().await;
    let git = world.git.repository("fleet").unwrap();
    let first = git.commit("staging", "first");
    first
        .write("deploy/app.yaml", map("app", "one"))
        .push()
        .unwrap();
    git.set_branch("production", "staging").unwrap();
    for (name, namespace) in [("staging", &staging), ("production", &production)] {
        let branch = format!("branch: {name}");
        world.apply(&repository(name, git.url(), &branch)).await;
        world
            .apply(&unit(name, name, "./deploy", &into(namespace)))
            .await;
        world.says(namespace.name(), "app", Some("one")).await;
    }
    let second = git.commit("staging", "Try two");
    second
        .write("deploy/app.yaml", map("app", "two"))
        .push()
        .unwrap();
    world.says(staging.name(), "app", Some("two")).await;
    world.says(production.name(), "app", Some("one")).await;
    // What a merge request does where production has nothing of its own.
    git.set_branch("production", "staging").unwrap();
    world.says(production.name(), "app", Some("two")).await;
    git.revert("production").unwrap();
    world.says(production.name(), "app", Some("one")).await;
    world.says(staging.name(), "app", Some("two")).await;
}

#[tokio::test]
async fn repositories_of_environments_take_the_application_by_its_tag() {
    let (world, staging, production) = with_environments().await;
    let app = world.git.repository("app").unwrap();
    let commit = app.commit("main", "first");
    let commit = commit.write("deploy/app.yaml", map("app", "one"));
    app.tag("v1.0.0", &commit.push().unwrap()).unwrap();
    // The environment's own repository: which version, and where it goes.
    let own = |name: &str, reference: &str, namespace: &Namespace| {
        let name = format!("app-{name}");
        let source = repository(&name, app.url(), reference);
        let text = format!(
            "{source}---\n{}",
            unit(&name, &name, "./deploy", &into(namespace))
        );
        let here = format!("\nmetadata: {{namespace: {}, name: ", world.ns());
        text.replace("\nmetadata: {name: ", &here)
    };
    let newest = "semver: \">=1.0.0\"";
    for (name, namespace, reference) in [
        ("staging", &staging, newest),
        ("production", &production, "tag: v1.0.0"),
    ] {
        let git = world.git.repository(name).unwrap();
        let commit = git.commit("main", "first");
        let commit = commit.write("app.yaml", own(name, reference, namespace));
        commit.push().unwrap();
        world
            .apply(&repository(name, git.url(), "branch: main"))
            .await;
        world.apply(&unit(name, name, "./", "")).await;
        world.says(namespace.name(), "app", Some("one")).await;
    }
    let second = app.commit("main", "second");
    let second = second.write("deploy/app.yaml", map("app", "two"));
    app.tag("v1.1.0", &second.push().unwrap()).unwrap();
    world.says(staging.name(), "app", Some("two")).await;
    world.says(production.name(), "app", Some("one")).await;
    let git = world.git.repository("production").unwrap();
    let promoted = git.commit("main", "Take 1.1.0");
    promoted
        .write("app.yaml", own("production", "tag: v1.1.0", &production))
        .push()
        .unwrap();
    world.says(production.name(), "app", Some("two")).await;
}

#[tokio::test]
async fn kustomization_of_kustomizations_adds_and_removes_whole_units() {
    let (world, staging, production) = with_environments().await;
    let git = world.git.repository("fleet").unwrap();
    let units = |folder: &str, namespace: &Namespace| {
        let ns = format!("\nmetadata: {{namespace: {}, name: ", world.ns());
        let first = unit(
            &format!("{folder}-base"),
            "fleet",
            "./base",
            &into(namespace),
        );
        let second = unit(
            &format!("{folder}-apps"),
            "fleet",
            "./apps",
            &format!(
                "{}  dependsOn: [{{name: {folder}-base}}]\n",
                into(namespace)
            ),
        );
        format!("{first}---\n{second}").replace("\nmetadata: {name: ", &ns)
    };
    let files = [
        ("base/base.yaml", map("base", "one")),
        ("apps/app.yaml", map("app", "one")),
        ("clusters/all/staging.yaml", units("staging", &staging)),
        (
            "clusters/all/production.yaml",
            units("production", &production),
        ),
    ];
    let files = files.iter().map(|(path, text)| (*path, text.as_str()));
    git.commit_files("main", "first", files).unwrap();
    world
        .apply(&repository("fleet", git.url(), "branch: main"))
        .await;
    let waiting = unit(
        "fleet",
        "fleet",
        "./clusters/all",
        "  wait: true\n  timeout: 1m\n",
    );
    world.apply(&waiting).await;
    world.applied("fleet", &git.id_of("main").unwrap()).await;
    for namespace in [&staging, &production] {
        world.says(namespace.name(), "base", Some("one")).await;
        world.says(namespace.name(), "app", Some("one")).await;
    }
    let gone = git.commit("main", "Give staging up");
    gone.remove("clusters/all/staging.yaml").push().unwrap();
    world.says(staging.name(), "app", None).await;
    world.says(staging.name(), "base", None).await;
    world.says(production.name(), "app", Some("one")).await;
}
