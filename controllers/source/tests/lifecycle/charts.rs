//! HelmRepositories and HelmCharts from a static web server and from a real registry.

use std::fmt::Write as _;
use std::path::Path;

use helm::chart::{File, from_files, package, read_archive};
use serde_json::{Value, json};
use testkit::{Credentials, FileServer, PushedArtifact, Registry, RegistryOptions, Repository};

use crate::any::condition;
use crate::bench::Bench;

pub(crate) fn chart(name: &str, version: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let about = format!("apiVersion: v2\nname: {name}\nversion: {version}\n");
    let mut files = vec![
        File::new("Chart.yaml", about.into_bytes()),
        File::new(
            "values.yaml",
            b"replicas: 1\nimage: {tag: a, name: x}\n".to_vec(),
        ),
        File::new(
            "values-prod.yaml",
            b"replicas: 3\nimage: {tag: b}\n".to_vec(),
        ),
        File::new("templates/app.yaml", b"kind: ConfigMap\n".to_vec()),
    ];
    for (name, text) in more {
        files.retain(|file| file.name != *name);
        files.push(File::new(*name, text.as_bytes().to_vec()));
    }
    package(&from_files(&files).unwrap()).unwrap()
}

fn index(versions: &[(&str, &str)]) -> String {
    let mut text = "apiVersion: v1\nentries:\n".to_owned();
    let mut names: Vec<&str> = versions.iter().map(|(name, _)| *name).collect();
    names.dedup();
    for name in names {
        let _infallible = writeln!(text, "  {name}:");
        for (_, version) in versions.iter().filter(|(other, _)| *other == name) {
            let _infallible = writeln!(
                text,
                "  - {{apiVersion: v2, name: {name}, version: {version}, urls: [{name}-{version}.tgz]}}"
            );
        }
    }
    text
}

/// A repository with TLS and a login, and its chart `demo` in three versions.
fn repository() -> FileServer {
    let server = FileServer::start(true).unwrap();
    for version in ["0.1.0", "0.2.0", "1.0.0-rc.1"] {
        let file = format!("charts/demo-{version}.tgz");
        server.put(&file, chart("demo", version, &[]));
    }
    let versions = [("demo", "0.1.0"), ("demo", "0.2.0"), ("demo", "1.0.0-rc.1")];
    server.put("charts/index.yaml", index(&versions));
    server.demand(Some(Credentials::Basic {
        user: "robot".into(),
        password: "s3cret-pa55word".into(),
    }));
    server
}

async fn secrets(bench: &Bench, server: &FileServer) {
    let pem = server.authority().unwrap().pem();
    bench.secret("ca", &[("ca.crt", &pem)]).await;
    let login = [("username", "robot"), ("password", "s3cret-pa55word")];
    bench.secret("login", &login).await;
}

fn chart_of(kind: &str, name: &str, chart: &str, more: &Value) -> Value {
    let mut spec = json!({
        "chart": chart,
        "interval": "10m",
        "sourceRef": { "kind": kind, "name": name },
    });
    for (name, value) in more.as_object().unwrap() {
        spec[name] = value.clone();
    }
    spec
}

/// Starts with a repository that has TLS and a login, and the Secrets for it. Returns also how it is asked for, and a chart
/// of it.
async fn with_repository() -> (Bench, FileServer, Value, Value) {
    let bench = Bench::start(testkit::control_plane().await).await;
    let server = repository();
    secrets(&bench, &server).await;
    let url = format!("{}/charts", server.url());
    let repo = json!({
        "url": url,
        "interval": "10m",
        "certSecretRef": { "name": "ca" },
        "secretRef": { "name": "login" },
    });
    let demo = chart_of("HelmRepository", "repo", "demo", &json!({}));
    (bench, server, repo, demo)
}

/// covers: SC-142, SC-157
#[tokio::test]
async fn repository_that_cannot_be_had_says_why_and_its_chart_waits() {
    let (bench, _server, mut repo, demo) = with_repository().await;
    // The chart is there before its source, and the source before its artifact.
    bench.put("HelmChart", "demo", demo).await;
    let missing =
        "failed to get source: HelmRepository.source.toolkit.fluxcd.io \"repo\" not found";
    bench
        .refused("HelmChart", "demo", "SourceUnavailable", missing)
        .await;
    repo.as_object_mut().unwrap().remove("secretRef");
    bench.put("HelmRepository", "repo", repo).await;
    bench
        .refused("HelmRepository", "repo", "Failed", "401 Unauthorized")
        .await;
    bench.ask("HelmChart", "demo").await;
    let none = "no artifact available for HelmRepository source 'repo'";
    let waits = |object: &Value| {
        condition(object, "FetchFailed").is_some_and(|failed| {
            failed["reason"] == "NoSourceArtifact" && failed["message"] == none
        })
    };
    bench.until("HelmChart", "demo", none, waits).await;
    let garbled = [("ca.crt", "no certificate")];
    bench.secret("garbled", &garbled).await;
    let garbled = json!({ "certSecretRef": { "name": "garbled" } });
    bench.put("HelmRepository", "repo", garbled).await;
    let words = "failed to construct Helm client's TLS config: failed to parse CA certificate";
    bench
        .refused("HelmRepository", "repo", "AuthenticationFailed", words)
        .await;
    let right = json!({ "certSecretRef": { "name": "ca" }, "secretRef": { "name": "login" } });
    bench.put("HelmRepository", "repo", right).await;
    bench.settled("HelmRepository", "repo").await;
    bench.settled_at("HelmChart", "demo", "0.2.0").await;
    let log = bench.controller.log().unwrap();
    assert!(!log.contains("s3cret"), "a credential is in the log");
}

/// covers: SC-141, SC-146
#[tokio::test]
async fn index_is_published_and_not_sent_again_while_it_is_the_same() {
    let (bench, server, repo, _) = with_repository().await;
    bench.put("HelmRepository", "repo", repo).await;
    let object = bench.settled("HelmRepository", "repo").await;
    let path = object["status"]["artifact"]["path"].as_str().unwrap();
    assert!(
        path.contains("/repo/index-") && Path::new(path).extension().is_some_and(|e| e == "yaml"),
        "{path}"
    );
    let published: Value = serde_json::from_slice(&bench.bytes(&object).await).unwrap();
    assert_eq!(published["entries"]["demo"][0]["version"], "1.0.0-rc.1");
    let url = object["status"]["url"].as_str().unwrap();
    assert!(url.ends_with("/repo/index.yaml"), "{url}");

    // It is not asked for without its tag, by this process or the next.
    server.forget_requests();
    bench.ask("HelmRepository", "repo").await;
    let patience = std::time::Duration::from_secs(20);
    bench.controller.terminate(patience).await.unwrap();
    bench.controller.restart().await.unwrap();
    bench.ask("HelmRepository", "repo").await;
    let asked = server.requests();
    assert!(
        asked.len() >= 2 && asked.iter().all(|each| each.status == 304),
        "{asked:#?}"
    );
}

/// covers: SC-155, SC-159
#[tokio::test]
async fn chart_is_pulled_as_it_is_in_the_version_that_is_meant() {
    let (bench, _server, repo, demo) = with_repository().await;
    bench.put("HelmRepository", "repo", repo).await;
    bench.settled("HelmRepository", "repo").await;
    bench.put("HelmChart", "demo", demo).await;
    let object = bench.settled_at("HelmChart", "demo", "0.2.0").await;
    let path = object["status"]["artifact"]["path"].as_str().unwrap();
    assert!(path.ends_with("/demo/demo-0.2.0.tgz"), "{path}");
    assert_eq!(bench.bytes(&object).await, chart("demo", "0.2.0", &[]));
    let told = "Normal ChartPullSucceeded pulled 'demo' chart with version '0.2.0'";
    bench.event("demo", told).await;
    let below = json!({ "version": "<0.2.0" });
    bench.put("HelmChart", "demo", below).await;
    bench.settled_at("HelmChart", "demo", "0.1.0").await;
    let none = json!({ "version": ">9" });
    bench.put("HelmChart", "demo", none).await;
    let words = "no 'demo' chart with version matching '>9' found";
    bench
        .refused("HelmChart", "demo", "InvalidChartReference", words)
        .await;
    let log = bench.controller.log().unwrap();
    assert!(!log.contains("s3cret"), "a credential is in the log");
}

/// covers: SC-008, SC-025, SC-158, SC-161, SC-162, SC-163
#[tokio::test]
async fn values_files_make_another_package_and_one_that_is_missing_stalls() {
    let (bench, _server, repo, demo) = with_repository().await;
    bench.put("HelmRepository", "repo", repo).await;
    bench.settled("HelmRepository", "repo").await;
    bench.put("HelmChart", "demo", demo).await;
    bench.settled_at("HelmChart", "demo", "0.2.0").await;
    let values = json!({ "valuesFiles": ["values.yaml", "values-prod.yaml"] });
    bench.put("HelmChart", "demo", values).await;
    let object = bench.settled_at("HelmChart", "demo", "0.2.0+2").await;
    assert_eq!(object["metadata"]["generation"], 2);
    let built = read_archive("x", &bench.bytes(&object).await).unwrap();
    assert_eq!(Value::Object(built.values)["replicas"], 3.0);

    let missing = json!({ "valuesFiles": ["no.yaml"] });
    bench.put("HelmChart", "demo", missing).await;
    let words = "no values file found at path 'no.yaml'";
    bench
        .refused("HelmChart", "demo", "ValuesFilesError", words)
        .await;
    let object = bench.kind("HelmChart").get("demo").await.unwrap();
    let object = serde_json::to_value(&object).unwrap();
    for name in ["Stalled", "BuildFailed"] {
        let failed = condition(&object, name).unwrap();
        assert_eq!(failed["reason"], "ValuesFilesError", "{object:#}");
    }
    let ignoring =
        json!({ "valuesFiles": ["values.yaml", "no.yaml"], "ignoreMissingValuesFiles": true });
    bench.put("HelmChart", "demo", ignoring).await;
    let object = bench.settled("HelmChart", "demo").await;
    let observed = json!(["values.yaml"]);
    assert_eq!(object["status"]["observedValuesFiles"], observed);
    for name in ["Stalled", "BuildFailed", "FetchFailed"] {
        assert!(condition(&object, name).is_none(), "{object:#}");
    }
    let unknown = json!({ "chart": "none", "valuesFiles": null });
    bench.put("HelmChart", "demo", unknown).await;
    let words = "failed to get chart version for remote reference";
    bench
        .refused("HelmChart", "demo", "InvalidChartReference", words)
        .await;
}

/// Starts with a repository of one chart that everybody may have.
async fn with_open_repository() -> (Bench, FileServer, Value) {
    let bench = Bench::start(testkit::control_plane().await).await;
    let server = FileServer::start(false).unwrap();
    server.put("index.yaml", index(&[("demo", "0.1.0")]));
    let repo = json!({ "url": server.url(), "interval": "10m" });
    bench.put("HelmRepository", "repo", repo).await;
    let object = bench.settled("HelmRepository", "repo").await;
    (bench, server, object)
}

/// covers: SC-145, SC-149
#[tokio::test]
async fn changed_index_is_published_and_one_of_no_use_is_not() {
    let (bench, server, first) = with_open_repository().await;
    server.put("index.yaml", "entries: {}\n");
    bench.ask("HelmRepository", "repo").await;
    let words = "no API version specified";
    bench
        .refused("HelmRepository", "repo", "IndexationFailed", words)
        .await;
    server.put("index.yaml", index(&[("demo", "0.1.0"), ("demo", "0.2.0")]));
    bench.ask("HelmRepository", "repo").await;
    let second = bench.settled("HelmRepository", "repo").await;
    assert_ne!(
        first["status"]["artifact"]["revision"],
        second["status"]["artifact"]["revision"]
    );

    let elsewhere = json!({ "url": "http://no-such-host.invalid" });
    bench.put("HelmRepository", "repo", elsewhere).await;
    bench
        .refused("HelmRepository", "repo", "Failed", "no-such-host.invalid")
        .await;
    let object = bench.kind("HelmRepository").get("repo").await.unwrap();
    let generation = object.metadata.generation.unwrap();
    let object = serde_json::to_value(&object).unwrap();
    assert!(object["status"]["observedGeneration"].as_i64().unwrap() < generation);
    let back = json!({ "url": server.url() });
    bench.put("HelmRepository", "repo", back).await;
    bench.settled("HelmRepository", "repo").await;
}

/// covers: SC-148
#[tokio::test]
async fn repository_that_becomes_a_registry_leaves_nothing_and_may_come_back() {
    let (bench, server, object) = with_open_repository().await;
    let registry = json!({ "type": "oci", "url": "oci://registry.example/charts" });
    bench.put("HelmRepository", "repo", registry).await;
    let clean = |object: &Value| {
        object["metadata"]["finalizers"].is_null() && object["status"]["artifact"].is_null()
    };
    bench
        .until("HelmRepository", "repo", "a clean static object", clean)
        .await;
    let path = object["status"]["artifact"]["path"].as_str().unwrap();
    let file = bench.storage.path().join(path);
    assert!(!file.exists(), "what was stored is gone");
    let back = json!({ "type": "default", "url": server.url() });
    bench.put("HelmRepository", "repo", back).await;
    bench.settled("HelmRepository", "repo").await;
}

/// Starts with charts in a registry that has TLS and asks for a login, and a chart of it that is not there yet.
async fn with_registry() -> (Bench, Registry, Value) {
    let bench = Bench::start(testkit::control_plane().await).await;
    let registry = Registry::start(&RegistryOptions {
        credentials: Some(("robot".into(), "s3cret-pa55word".into())),
        tls: true,
        ..RegistryOptions::default()
    })
    .unwrap();
    for version in ["0.1.5", "0.2.0", "0.10.0", "1.0.0"] {
        let pushed = PushedArtifact {
            config_type: "application/vnd.cncf.helm.config.v1+json".into(),
            config: format!("{{\"name\":\"demo\",\"version\":\"{version}\"}}").into_bytes(),
            layers: vec![(
                "application/vnd.cncf.helm.chart.content.v1.tar+gzip".into(),
                chart("demo", version, &[]),
            )],
            ..PushedArtifact::default()
        };
        registry.push("charts/demo", version, &pushed).unwrap();
    }
    let pem = registry.authority().unwrap().pem();
    bench.secret("ca", &[("ca.crt", &pem)]).await;
    let right = [("username", "robot"), ("password", "s3cret-pa55word")];
    bench.secret("login", &right).await;
    let wrong = [("username", "robot"), ("password", "s3cret-wrong")];
    bench.secret("wrong", &wrong).await;
    let repo = json!({
        "type": "oci",
        "url": format!("oci://{}/charts/", registry.address()),
        "certSecretRef": { "name": "ca" },
        "secretRef": { "name": "login" },
    });
    (bench, registry, repo)
}

/// covers: SC-150, SC-156, SC-167
#[tokio::test]
async fn registry_that_refuses_a_login_or_is_none_is_named() {
    let (bench, _registry, mut repo) = with_registry().await;
    repo["secretRef"]["name"] = "wrong".into();
    bench.put("HelmRepository", "repo", repo).await;
    let demo = chart_of("HelmRepository", "repo", "demo", &json!({}));
    bench.put("HelmChart", "demo", demo).await;
    let words = "failed to authenticate with the Helm repository: ";
    let message = bench
        .refused("HelmChart", "demo", "AuthenticationFailed", words)
        .await;
    assert!(!message.contains("s3cret"), "{message}");
    let right = json!({ "secretRef": { "name": "login" } });
    bench.put("HelmRepository", "repo", right).await;
    bench.ask("HelmChart", "demo").await;
    bench.settled_at("HelmChart", "demo", "1.0.0").await;

    // A repository of this type only names a registry.
    let repo = bench.kind("HelmRepository").get("repo").await.unwrap();
    assert!(repo.metadata.finalizers.is_none(), "{repo:#?}");
    assert!(repo.data["status"]["conditions"].is_null(), "{repo:#?}");
    let url = json!({ "url": "https://registry.example/charts" });
    bench.put("HelmRepository", "repo", url).await;
    bench.ask("HelmChart", "demo").await;
    bench
        .refused("HelmChart", "demo", "Failed", "invalid OCI registry URL")
        .await;
}

/// covers: SC-169, SC-172
#[tokio::test]
async fn chart_of_a_registry_comes_in_the_version_that_is_meant() {
    let (bench, _registry, repo) = with_registry().await;
    bench.put("HelmRepository", "repo", repo).await;
    for (range, version) in [
        ("*", "1.0.0"),
        ("0.2.x", "0.2.0"),
        ("0.*", "0.10.0"),
        (">=0.1.5", "1.0.0"),
        ("0.1.5", "0.1.5"),
    ] {
        let demo = json!({ "version": range });
        let demo = chart_of("HelmRepository", "repo", "demo", &demo);
        bench.put("HelmChart", "demo", demo).await;
        let object = bench.settled_at("HelmChart", "demo", version).await;
        assert_eq!(bench.bytes(&object).await, chart("demo", version, &[]));
    }
    let above = json!({ "version": ">2.0.0" });
    bench.put("HelmChart", "demo", above).await;
    let words = "could not locate a version matching provided version string >2.0.0";
    bench
        .refused("HelmChart", "demo", "ChartPullError", words)
        .await;
}

/// Starts with a chart in a Git repository, one of whose subcharts is in a repository of charts and the other beside it.
/// Returns the commit's id, too.
async fn with_chart_in_git() -> (Bench, FileServer, Repository, String) {
    let (bench, git) = Bench::with_repository().await;
    let server = repository();
    secrets(&bench, &server).await;
    let url = format!("{}/charts", server.url());
    let repo = json!({ "url": url, "interval": "10m", "certSecretRef": { "name": "ca" }, "secretRef": { "name": "login" } });
    bench.put("HelmRepository", "repo", repo).await;
    bench.settled("HelmRepository", "repo").await;
    let about = format!(
        "apiVersion: v2\nname: app\nversion: 0.1.0\ndependencies:\n- {{name: demo, version: 0.x, repository: \"{url}\"}}\n- {{name: lib, version: 1.x, repository: \"file://../lib\", alias: second}}\n"
    );
    let lib = "apiVersion: v2\nname: lib\nversion: 1.2.3\n";
    let id = git
        .commit("main", "charts")
        .write("charts/app/Chart.yaml", about)
        .write("charts/app/values.yaml", "a: 1\n")
        .write("charts/app/templates/x.yaml", "kind: A\n")
        .write("charts/lib/Chart.yaml", lib)
        .write("prod.yaml", "a: 2\n")
        .push()
        .unwrap();
    bench.create("app", crate::bench::spec(git.url())).await;
    bench.ready("app", &format!("main@sha1:{id}")).await;
    (bench, server, git, id)
}

/// covers: SC-164
#[tokio::test]
async fn chart_of_a_git_repository_gets_its_dependencies_from_where_they_are() {
    let (bench, _server, _git, id) = with_chart_in_git().await;
    let revision = json!({ "reconcileStrategy": "Revision" });
    let spec = chart_of("GitRepository", "app", "./charts/app", &revision);
    bench.put("HelmChart", "app", spec).await;
    let revision = format!("0.1.0+{}", &id[..12]);
    let object = bench.settled_at("HelmChart", "app", &revision).await;
    let built = read_archive("x", &bench.bytes(&object).await).unwrap();
    let mut found: Vec<_> = built
        .dependencies
        .iter()
        .map(|each| format!("{} {}", each.name(), each.metadata.version))
        .collect();
    found.sort();
    assert_eq!(found, ["demo 0.2.0", "second 1.2.3"]);
    let told = "Normal ResolvedDependencies resolved 2 chart dependencies";
    bench.event("app", told).await;
    let none = json!({ "chart": "charts/none" });
    bench.put("HelmChart", "app", none).await;
    let words = "no such file or directory";
    bench
        .refused("HelmChart", "app", "InvalidChartReference", words)
        .await;
}

/// covers: SC-164, SC-166
#[tokio::test]
async fn new_commit_wakes_the_charts_of_its_repository() {
    let (bench, _server, git, id) = with_chart_in_git().await;
    let more = json!({ "reconcileStrategy": "Revision", "valuesFiles": ["prod.yaml"] });
    let spec = chart_of("GitRepository", "app", "./charts/app", &more);
    bench.put("HelmChart", "app", spec).await;
    let first = format!("0.1.0+{}.1", &id[..12]);
    bench.settled_at("HelmChart", "app", &first).await;
    let next = git
        .commit("main", "next")
        .write("charts/app/values.yaml", "a: 3\n")
        .push()
        .unwrap();
    bench.reconcile("app").await;
    let second = format!("0.1.0+{}.1", &next[..12]);
    let object = bench.settled_at("HelmChart", "app", &second).await;
    let stored = condition(&object, "ArtifactInStorage").unwrap();
    assert_eq!(stored["reason"], "ChartPackageSucceeded");
    assert!(condition(&object, "ArtifactOutdated").is_none());
    let url = object["status"]["url"].as_str().unwrap();
    assert!(url.ends_with("/app/latest.tar.gz"), "{url}");
}
