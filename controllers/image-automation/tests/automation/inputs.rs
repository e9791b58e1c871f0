//! What automations are given: references, policies, files and templates, good and bad.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{World, marked};

const EMAIL: &str = "bot@example.com";

/// Settings of Git with a checkout and a push branch.
fn from_to(reference: &Value, branch: &str) -> Value {
    json!({ "commit": { "author": { "email": EMAIL } }, "checkout": { "ref": reference },
        "push": { "branch": branch } })
}

/// covers: IA-106, IA-127, IA-132, IA-134, IA-135, IA-140
#[tokio::test]
async fn each_kind_of_reference_is_checked_out_and_committed_upon() {
    let world = World::new().await;
    let old = marked(&world, "app", "app:0");
    let repository = world.repository(&[("app.yaml", &old)]);
    let first = repository.id_of("main").unwrap();
    repository.tag("v1.0.0", &first).unwrap();
    repository.annotated_tag("v1.1.0", &first, "one").unwrap();
    let second = repository
        .commit("main", "second")
        .write("other", "x")
        .push()
        .unwrap();
    world
        .source(repository.url(), json!({ "ref": { "branch": "main" } }))
        .await;
    world.choose("app", "app", "1").await;
    for (name, reference, parent) in [
        ("branch", json!({ "branch": "main" }), &second),
        ("name", json!({ "name": "refs/heads/main" }), &second),
        ("tag", json!({ "tag": "v1.0.0" }), &first),
        ("semver", json!({ "semver": ">=1.0.0 <2" }), &first),
        ("commit", json!({ "commit": first }), &first),
        (
            "pinned",
            json!({ "branch": "main", "commit": first }),
            &first,
        ),
    ] {
        let branch = format!("from-{name}");
        let git = from_to(&reference, &branch);
        world.apply(name, json!({ "git": git })).await;
        let object = world.synced(name, "app", "1").await;
        assert!(object.spec.update.unwrap().strategy.is_some());
        let count = format!("{parent}..{branch}");
        let count = repository.git(&["rev-list", "--count", &count]).unwrap();
        assert_eq!(count.trim(), "1", "{name}");
        let text = repository.read(&branch, "app.yaml").unwrap();
        assert_eq!(text, old.replace("app:0", "app:1"), "{name}");
    }
    assert_eq!(repository.id_of("main").unwrap(), second);

    // Beside the branch, what the refspec says gets the same commit.
    let mut git = from_to(&json!({ "branch": "main" }), "main");
    git["push"]["refspec"] = json!("refs/heads/main:refs/heads/copy");
    git["commit"]["messageTemplate"] = json!("{{ .Values.who }} for {{ .AutomationObject.Name }}");
    git["commit"]["messageTemplateValues"] = json!({ "who": "robot" });
    world.apply("both", json!({ "git": git })).await;
    world.synced("both", "app", "1").await;
    let main = repository.id_of("main").unwrap();
    assert_eq!(repository.id_of("copy").unwrap(), main);
    let line = ["log", "-1", "--format=%B", "main"];
    let log = repository.git(&line).unwrap();
    assert_eq!(log.trim(), "robot for both");

    // Without a branch to push to there is nothing that a tag could be inferred from.
    let mut git = from_to(&json!({ "tag": "v1.0.0" }), "");
    git.as_object_mut().unwrap().remove("push");
    world.apply("nowhere", json!({ "git": git })).await;
    let words = world.fails("nowhere", "SourceManagerFailed").await;
    assert!(words.contains("push spec not provided"), "{words}");

    // Another spec of the source is looked at, another status is not.
    let before = world.ran("both").await;
    world
        .source(repository.url(), json!({ "timeout": "30s" }))
        .await;
    world.ran_after("both", before).await;
}

/// covers: IA-109, IA-129
#[tokio::test]
async fn selector_chooses_the_policies() {
    let world = World::new().await;
    let files = [
        ("a.yaml", marked(&world, "in", "app:0")),
        ("b.yaml", marked(&world, "out", "app:0")),
    ];
    let files: Vec<_> = files.iter().map(|(p, t)| (*p, t.as_str())).collect();
    let repository = world.repository(&files);
    world
        .source(repository.url(), json!({ "ref": { "branch": "main" } }))
        .await;
    for name in ["in", "out"] {
        world.choose(name, "app", "1").await;
    }
    world.label("in", "team", "a").await;
    let selector = json!({ "matchLabels": { "team": "a" } });
    world
        .apply("auto", json!({ "policySelector": selector }))
        .await;
    let object = world.synced("auto", "in", "1").await;
    assert_eq!(object.status.unwrap().observed_policies.len(), 1);
    let read = |path| repository.read("main", path).unwrap();
    assert!(read("a.yaml").contains("app:1") && read("b.yaml").contains("app:0"));
    let wrong = json!({ "matchExpressions": [{ "key": "team", "operator": "Wrong" }] });
    world
        .apply("auto", json!({ "policySelector": wrong }))
        .await;
    let words = world.fails("auto", "InvalidPolicySelector").await;
    assert!(
        words.contains("\"Wrong\" is not a valid label selector operator"),
        "{words}"
    );
}

/// covers: IA-146, IA-151, IA-154
#[tokio::test]
async fn links_and_files_that_cannot_be_read_are_left_alone() {
    let world = World::new().await;
    let good = marked(&world, "app", "app:0");
    let broken = format!("a: [1\n{good}");
    let chart = format!("image: {{{{ .Values.image }}}}: {{{{\n{good}");
    let repository = world.server.repository("org/fleet").unwrap();
    let commit = repository.commit("main", "first");
    let commit = commit
        .write("deploy/app.yaml", &good)
        .write("deploy/copy.yaml", &good)
        .write("deploy/broken.yaml", &broken)
        .write("deploy/chart.yaml", &chart)
        .write("deploy/binary.yaml", b"\xff\xfe\"$imagepolicy\"")
        .write("elsewhere/app.yaml", &good)
        .symlink("deploy/inside.yaml", "../elsewhere/app.yaml")
        .symlink("deploy/outside.yaml", "/etc/hostname")
        .symlink("deploy/dangling.yaml", "nowhere.yaml")
        .symlink("deploy/folder", "../elsewhere");
    commit.push().unwrap();
    world
        .source(repository.url(), json!({ "ref": { "branch": "main" } }))
        .await;
    world.choose("app", "app", "1").await;
    let git = json!({ "commit": { "author": { "email": EMAIL },
        "messageTemplate": "{{ range .Changed.Changes }}{{ .NewValue }};{{ end }}{{ len .Changed.FileChanges }}" } });
    let update = json!({ "path": "./deploy" });
    world
        .apply("auto", json!({ "git": git, "update": update }))
        .await;
    world.synced("auto", "app", "1").await;
    let changed = repository
        .git(&["diff", "--name-only", "main~1", "main"])
        .unwrap();
    assert_eq!(changed.trim(), "deploy/app.yaml\ndeploy/copy.yaml");
    let log = repository
        .git(&["log", "-1", "--format=%B", "main"])
        .unwrap();
    assert_eq!(log.trim(), "app:1;2", "the same change of two files is one");
    let told = world.told("auto", "MarkersLeftAlone").await;
    for file in [
        "deploy/broken.yaml",
        "deploy/chart.yaml",
        "deploy/binary.yaml",
    ] {
        assert!(told.contains(file), "{told}");
    }
    // A path that leads through a link leads nowhere.
    let update = json!({ "path": "./deploy/folder" });
    world.apply("through", json!({ "update": update })).await;
    let words = world.fails("through", "UpdateFailed").await;
    assert!(words.contains("no such file or directory"), "{words}");
}

/// What fails leaves neither half a commit nor one after the other.
#[tokio::test]
async fn templates_that_fail_and_missing_rights_push_nothing() {
    let world = World::new().await;
    let repository = world.repository(&[("app.yaml", &marked(&world, "app", "app:0"))]);
    world
        .source(repository.url(), json!({ "ref": { "branch": "main" } }))
        .await;
    world.choose("app", "app", "1").await;
    let before = repository.id_of("main").unwrap();
    for (template, words) in [
        (
            "{{ .Changed",
            "unable to create commit message template from spec",
        ),
        (
            "{{ env \"HOME\" }}",
            "unable to create commit message template from spec",
        ),
        ("{{ .Absent }}", "failed to run template from spec"),
        (
            "{{ index .Changed.Changes 9 }}",
            "failed to run template from spec",
        ),
        ("{{ fail \"no\" }}", "failed to run template from spec"),
    ] {
        let commit = json!({ "author": { "email": EMAIL }, "messageTemplate": template });
        world
            .apply("auto", json!({ "git": { "commit": commit } }))
            .await;
        let found = world.fails_with("auto", words).await;
        assert!(found.starts_with("failed to update source: "), "{found}");
        assert_eq!(repository.id_of("main").unwrap(), before, "{template}");
    }
    repository
        .git(&["config", "http.receivepack", "false"])
        .unwrap();
    world.apply("auto", json!({})).await;
    let words = world.fails_with("auto", "failed to push to remote").await;
    assert!(words.contains("authorization failed"), "{words}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let all = repository.git(&["rev-list", "--all", "--count"]).unwrap();
    assert_eq!(
        (repository.id_of("main").unwrap(), all.trim()),
        (before, "1")
    );
    repository
        .git(&["config", "http.receivepack", "true"])
        .unwrap();
    world.synced("auto", "app", "1").await;
    let all = repository.git(&["rev-list", "--all", "--count"]).unwrap();
    assert_eq!(all.trim(), "2", "one commit, however often it was tried");
}

/// A branch that is deleted meanwhile, and one whose history was written anew.
#[tokio::test]
async fn branch_that_goes_or_is_rewritten_is_followed() {
    let world = World::new().await;
    let old = marked(&world, "app", "app:0");
    let repository = world.repository(&[("app.yaml", &old)]);
    world
        .source(repository.url(), json!({ "ref": { "branch": "main" } }))
        .await;
    world.choose("app", "app", "1").await;
    let git = from_to(&json!({ "branch": "main" }), "updates");
    world.apply("auto", json!({ "git": git })).await;
    world.synced("auto", "app", "1").await;
    repository.delete_branch("updates").unwrap();
    world.choose("app", "app", "2").await;
    world.synced("auto", "app", "2").await;
    let text = repository.read("updates", "app.yaml").unwrap();
    assert!(text.contains("app:2"), "{text}");
    let follows = ["merge-base", "--is-ancestor", "main", "updates"];
    repository.git(&follows).unwrap();
    // Main is written anew: the push branch has no common history with it any more.
    let orphan = repository
        .commit("rewritten", "anew")
        .write("app.yaml", &old)
        .push()
        .unwrap();
    repository.set_branch("main", &orphan).unwrap();
    repository.delete_branch("updates").unwrap();
    world.choose("app", "app", "3").await;
    world.synced("auto", "app", "3").await;
    repository.git(&follows).unwrap();
    assert_eq!(repository.id_of("main").unwrap(), orphan);
    repository.delete_branch("main").unwrap();
    world.choose("app", "app", "4").await;
    let words = world.fails("auto", "GitOperationFailed").await;
    assert!(words.contains("failed to checkout source"), "{words}");
}
