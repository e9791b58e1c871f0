//! HelmRepositories and HelmCharts from a static web server and from a real registry.

use std::fmt::Write as _;
use std::path::Path;

use helm::chart::{File, from_files, package, read_archive};
use serde_json::{Value, json};
use testkit::{Credentials, FileServer, PushedArtifact, Registry, RegistryOptions};

use crate::any::condition;
use crate::bench::Bench;

fn chart(name: &str, version: &str, more: &[(&str, &str)]) -> Vec<u8> {
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

/// covers: SC-008, SC-025, SC-141, SC-142, SC-146, SC-155, SC-157, SC-158, SC-159, SC-161, SC-162, SC-163
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn chart_of_a_repository_with_tls_and_a_login() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let server = repository();
    secrets(&bench, &server).await;
    // The chart is there before its source, and the source before its artifact.
    let demo = chart_of("HelmRepository", "repo", "demo", &json!({}));
    bench.put("HelmChart", "demo", demo).await;
    let missing =
        "failed to get source: HelmRepository.source.toolkit.fluxcd.io \"repo\" not found";
    bench
        .refused("HelmChart", "demo", "SourceUnavailable", missing)
        .await;
    bench
        .secret("garbled", &[("ca.crt", "no certificate")])
        .await;
    let url = format!("{}/charts", server.url());
    let certificates = json!({ "name": "ca" });
    bench
        .put(
            "HelmRepository",
            "repo",
            json!({ "url": url, "interval": "10m", "certSecretRef": certificates }),
        )
        .await;
    bench
        .refused("HelmRepository", "repo", "Failed", "401 Unauthorized")
        .await;
    bench.ask("HelmChart", "demo").await;
    let none = "no artifact available for HelmRepository source 'repo'";
    bench
        .until("HelmChart", "demo", none, |object| {
            condition(object, "FetchFailed").is_some_and(|failed| {
                failed["reason"] == "NoSourceArtifact" && failed["message"] == none
            })
        })
        .await;
    let garbled = json!({ "certSecretRef": { "name": "garbled" } });
    bench.put("HelmRepository", "repo", garbled).await;
    let words = "failed to construct Helm client's TLS config: failed to parse CA certificate";
    bench
        .refused("HelmRepository", "repo", "AuthenticationFailed", words)
        .await;
    let certificates = json!({ "certSecretRef": { "name": "ca" } });
    bench.put("HelmRepository", "repo", certificates).await;
    bench
        .put(
            "HelmRepository",
            "repo",
            json!({ "secretRef": { "name": "login" } }),
        )
        .await;
    let object = bench.settled("HelmRepository", "repo").await;
    let path = object["status"]["artifact"]["path"].as_str().unwrap();
    assert!(
        path.contains("/repo/index-") && Path::new(path).extension().is_some_and(|e| e == "yaml"),
        "{path}"
    );
    let published: Value = serde_json::from_slice(&bench.bytes(&object).await).unwrap();
    assert_eq!(published["entries"]["demo"][0]["version"], "1.0.0-rc.1");
    assert!(
        object["status"]["url"]
            .as_str()
            .unwrap()
            .ends_with("/repo/index.yaml")
    );

    // The same index is not sent again, and not asked for without its tag, by this process or the next.
    server.forget_requests();
    bench.ask("HelmRepository", "repo").await;
    bench
        .controller
        .terminate(std::time::Duration::from_secs(20))
        .await
        .unwrap();
    bench.controller.restart().await.unwrap();
    bench.ask("HelmRepository", "repo").await;
    let mut asked = server.requests();
    // The chart may be fetched at any time from here on.
    asked.retain(|each| each.path.ends_with("/index.yaml"));
    assert!(
        asked.len() >= 2 && asked.iter().all(|each| each.status == 304),
        "{asked:#?}"
    );

    bench
        .put(
            "HelmChart",
            "demo",
            chart_of("HelmRepository", "repo", "demo", &json!({})),
        )
        .await;
    let object = bench.settled_at("HelmChart", "demo", "0.2.0").await;
    let path = object["status"]["artifact"]["path"].as_str().unwrap();
    assert!(path.ends_with("/demo/demo-0.2.0.tgz"), "{path}");
    assert_eq!(
        bench.bytes(&object).await,
        chart("demo", "0.2.0", &[]),
        "it is pulled as it is"
    );
    bench
        .event(
            "demo",
            "Normal ChartPullSucceeded pulled 'demo' chart with version '0.2.0'",
        )
        .await;
    bench
        .put("HelmChart", "demo", json!({ "version": "<0.2.0" }))
        .await;
    bench.settled_at("HelmChart", "demo", "0.1.0").await;

    let values = json!({ "version": "*", "valuesFiles": ["values.yaml", "values-prod.yaml"] });
    bench.put("HelmChart", "demo", values).await;
    let generation = bench.settled("HelmChart", "demo").await["metadata"]["generation"].clone();
    let object = bench
        .settled_at("HelmChart", "demo", &format!("0.2.0+{generation}"))
        .await;
    let built = read_archive("x", &bench.bytes(&object).await).unwrap();
    assert_eq!(Value::Object(built.values)["replicas"], 3.0);
    bench
        .put("HelmChart", "demo", json!({ "valuesFiles": ["no.yaml"] }))
        .await;
    bench
        .refused(
            "HelmChart",
            "demo",
            "ValuesFilesError",
            "no values file found at path 'no.yaml'",
        )
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
    assert_eq!(
        object["status"]["observedValuesFiles"],
        json!(["values.yaml"])
    );
    for name in ["Stalled", "BuildFailed", "FetchFailed"] {
        assert!(condition(&object, name).is_none(), "{object:#}");
    }
    bench
        .put(
            "HelmChart",
            "demo",
            json!({ "version": ">9", "valuesFiles": null }),
        )
        .await;
    bench
        .refused(
            "HelmChart",
            "demo",
            "InvalidChartReference",
            "no 'demo' chart with version matching '>9' found",
        )
        .await;
    let log = bench.controller.log().unwrap();
    assert!(!log.contains("s3cret"), "a credential is in the log");
}

/// covers: SC-145, SC-148, SC-149
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn changed_index_is_published_and_one_of_no_use_is_not() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let server = FileServer::start(false).unwrap();
    server.put("index.yaml", index(&[("demo", "0.1.0")]));
    bench
        .put(
            "HelmRepository",
            "repo",
            json!({ "url": server.url(), "interval": "10m" }),
        )
        .await;
    let first = bench.settled("HelmRepository", "repo").await;
    server.put("index.yaml", "entries: {}\n");
    bench.ask("HelmRepository", "repo").await;
    bench
        .refused(
            "HelmRepository",
            "repo",
            "IndexationFailed",
            "no API version specified",
        )
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
    bench
        .put("HelmRepository", "repo", json!({ "url": server.url() }))
        .await;
    bench.settled("HelmRepository", "repo").await;

    let registry = json!({ "type": "oci", "url": "oci://registry.example/charts" });
    bench.put("HelmRepository", "repo", registry).await;
    bench
        .until(
            "HelmRepository",
            "repo",
            "a clean static object",
            |object| {
                object["metadata"]["finalizers"].is_null() && object["status"]["artifact"].is_null()
            },
        )
        .await;
    let file = bench
        .storage
        .path()
        .join(second["status"]["artifact"]["path"].as_str().unwrap());
    assert!(!file.exists(), "what was stored is gone");
    bench
        .put(
            "HelmRepository",
            "repo",
            json!({ "type": "default", "url": server.url() }),
        )
        .await;
    bench.settled("HelmRepository", "repo").await;
}

/// covers: SC-150, SC-156, SC-167, SC-169, SC-172
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn chart_of_a_registry_with_tls_and_a_login() {
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
    bench
        .secret("ca", &[("ca.crt", &registry.authority().unwrap().pem())])
        .await;
    bench
        .secret(
            "login",
            &[("username", "robot"), ("password", "s3cret-pa55word")],
        )
        .await;
    bench
        .secret(
            "wrong",
            &[("username", "robot"), ("password", "s3cret-wrong")],
        )
        .await;
    let repo = json!({
        "type": "oci",
        "url": format!("oci://{}/charts/", registry.address()),
        "certSecretRef": { "name": "ca" },
        "secretRef": { "name": "wrong" },
    });
    bench.put("HelmRepository", "repo", repo).await;
    bench
        .put(
            "HelmChart",
            "demo",
            chart_of("HelmRepository", "repo", "demo", &json!({})),
        )
        .await;
    let message = bench
        .refused(
            "HelmChart",
            "demo",
            "AuthenticationFailed",
            "failed to authenticate with the Helm repository: ",
        )
        .await;
    assert!(!message.contains("s3cret"), "{message}");
    bench
        .put(
            "HelmRepository",
            "repo",
            json!({ "secretRef": { "name": "login" } }),
        )
        .await;
    bench.ask("HelmChart", "demo").await;
    for (range, version) in [
        ("*", "1.0.0"),
        ("0.2.x", "0.2.0"),
        ("0.*", "0.10.0"),
        (">=0.1.5", "1.0.0"),
        ("0.1.5", "0.1.5"),
    ] {
        bench
            .put("HelmChart", "demo", json!({ "version": range }))
            .await;
        let object = bench.settled_at("HelmChart", "demo", version).await;
        assert_eq!(bench.bytes(&object).await, chart("demo", version, &[]));
    }
    bench
        .put("HelmChart", "demo", json!({ "version": ">2.0.0" }))
        .await;
    bench
        .refused(
            "HelmChart",
            "demo",
            "ChartPullError",
            "could not locate a version matching provided version string >2.0.0",
        )
        .await;

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

/// covers: SC-164, SC-166
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn chart_of_a_git_repository_gets_its_dependencies_from_where_they_are() {
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
    let id = git
        .commit("main", "charts")
        .write("charts/app/Chart.yaml", about)
        .write("charts/app/values.yaml", "a: 1\n")
        .write("charts/app/templates/x.yaml", "kind: A\n")
        .write(
            "charts/lib/Chart.yaml",
            "apiVersion: v2\nname: lib\nversion: 1.2.3\n",
        )
        .write("prod.yaml", "a: 2\n")
        .push()
        .unwrap();
    bench.create("app", crate::bench::spec(git.url())).await;
    bench.ready("app", &format!("main@sha1:{id}")).await;
    let spec = chart_of(
        "GitRepository",
        "app",
        "./charts/app",
        &json!({ "reconcileStrategy": "Revision" }),
    );
    bench.put("HelmChart", "app", spec).await;
    let object = bench
        .settled_at("HelmChart", "app", &format!("0.1.0+{}", &id[..12]))
        .await;
    let built = read_archive("x", &bench.bytes(&object).await).unwrap();
    let mut found: Vec<_> = built
        .dependencies
        .iter()
        .map(|each| format!("{} {}", each.name(), each.metadata.version))
        .collect();
    found.sort();
    assert_eq!(found, ["demo 0.2.0", "second 1.2.3"]);
    bench
        .event(
            "app",
            "Normal ResolvedDependencies resolved 2 chart dependencies",
        )
        .await;
    bench
        .put("HelmChart", "app", json!({ "valuesFiles": ["prod.yaml"] }))
        .await;
    let object = bench.settled("HelmChart", "app").await;
    let generation = &object["metadata"]["generation"];
    assert_eq!(
        object["status"]["artifact"]["revision"],
        format!("0.1.0+{}.{generation}", &id[..12])
    );

    // A new commit wakes the chart.
    let next = git
        .commit("main", "next")
        .write("charts/app/values.yaml", "a: 3\n")
        .push()
        .unwrap();
    bench.reconcile("app").await;
    let revision = format!("0.1.0+{}.{generation}", &next[..12]);
    bench.settled_at("HelmChart", "app", &revision).await;

    bench
        .put("HelmChart", "app", json!({ "chart": "charts/none" }))
        .await;
    bench
        .refused(
            "HelmChart",
            "app",
            "InvalidChartReference",
            "no such file or directory",
        )
        .await;
}
