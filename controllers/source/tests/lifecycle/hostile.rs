//! Servers that misbehave, and content that somebody made to do harm: a condition that names the cause, what was
//! published before stays, and no credential goes elsewhere.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Credentials, FileServer, Misbehaviour};

use crate::any::condition;
use crate::bench::{Bench, artifact};

const INDEX: &str = "apiVersion: v1\nentries:\n  demo:\n  - {apiVersion: v2, name: demo, version: 0.1.0, urls: [demo-0.1.0.tgz]}\n";

fn repo(server: &FileServer) -> Value {
    json!({ "url": server.url(), "interval": "10m", "timeout": "3s", "secretRef": { "name": "login" } })
}

async fn published(bench: &Bench, server: &FileServer) -> Value {
    server.put("index.yaml", INDEX);
    let login = [("username", "robot"), ("password", "s3cret-pa55word")];
    bench.secret("login", &login).await;
    bench.put("HelmRepository", "repo", repo(server)).await;
    bench.settled("HelmRepository", "repo").await["status"]["artifact"].clone()
}

#[tokio::test]
async fn web_server_that_misbehaves_is_bounded_named_and_forgiven() {
    let plane = testkit::control_plane().await;
    let small = |program: testkit::Program| program.flag("--helm-index-max-size", "1000000");
    let bench = Bench::start_as(plane, small).await;
    let server = FileServer::start(false).unwrap();
    let before = published(&bench, &server).await;
    let status = |code| Misbehaviour::Status(code, vec![]);
    for (fault, words) in [
        (Misbehaviour::Hang, "timed out"),
        (Misbehaviour::Cut(20), "failed"),
        (status(401), "401 Unauthorized"),
        (status(403), "403 Forbidden"),
        (status(404), "404 Not Found"),
        (
            Misbehaviour::Status(429, vec![("retry-after", "1".into())]),
            "429 Too Many Requests",
        ),
        (status(503), "503 Service Unavailable"),
        (
            Misbehaviour::Endless,
            "index exceeds the maximum index file size of 1000000 bytes",
        ),
    ] {
        // A new index each time: what did not change is not sent.
        server.put("index.yaml", format!("{INDEX}# {words}\n"));
        server.fail(Some(fault.clone()));
        bench.ask("HelmRepository", "repo").await;
        let message = bench
            .refused("HelmRepository", "repo", "Failed", words)
            .await;
        assert!(
            message.starts_with("failed to fetch Helm repository index: "),
            "{message}"
        );
        let object = bench
            .until("HelmRepository", "repo", "its artifact", |_| true)
            .await;
        assert_eq!(object["status"]["artifact"], before, "{fault:?}");
        server.fail(None);
        server.put("index.yaml", INDEX);
        bench.ask("HelmRepository", "repo").await;
        bench.settled("HelmRepository", "repo").await;
    }
}

/// Field 6.2: Helm's CVE-2021-32690.
#[tokio::test]
async fn credentials_follow_no_redirect_and_no_chart_to_another_host() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let (server, other) = (
        FileServer::start(false).unwrap(),
        FileServer::start(false).unwrap(),
    );
    server.demand(Some(Credentials::Basic {
        user: "robot".into(),
        password: "s3cret-pa55word".into(),
    }));
    let elsewhere = INDEX.replace("demo-0.1.0.tgz", &format!("{}/demo-0.1.0.tgz", other.url()));
    server.put("index.yaml", elsewhere);
    let login = [("username", "robot"), ("password", "s3cret-pa55word")];
    bench.secret("login", &login).await;
    bench.put("HelmRepository", "repo", repo(&server)).await;
    bench.settled("HelmRepository", "repo").await;
    let chart = json!({ "chart": "demo", "interval": "10m", "sourceRef": { "kind": "HelmRepository", "name": "repo" } });
    bench.put("HelmChart", "demo", chart).await;
    bench
        .refused("HelmChart", "demo", "ChartPullError", "404")
        .await;
    server.fail(Some(Misbehaviour::Status(
        302,
        vec![("location", format!("{}/index.yaml", other.url()))],
    )));
    other.put("index.yaml", INDEX);
    bench.ask("HelmRepository", "repo").await;
    bench.settled("HelmRepository", "repo").await;
    let asked = other.requests();
    assert!(asked.len() >= 2, "{asked:#?}");
    assert!(
        asked.iter().all(|each| each.authorization.is_none()),
        "{asked:#?}"
    );
    // Only who asks for it sends them everywhere.
    server.fail(None);
    other.forget_requests();
    bench
        .put("HelmRepository", "repo", json!({ "passCredentials": true }))
        .await;
    bench.settled("HelmRepository", "repo").await;
    bench.ask("HelmChart", "demo").await;
    let sent = async {
        while !other
            .requests()
            .iter()
            .any(|each| each.authorization.is_some())
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), sent)
        .await
        .unwrap();
}

/// Field 6.2: CVE-2019-11253 and Helm's CVE-2024-26147, -2022-23525: aliases that multiply, entries without fields.
#[tokio::test]
async fn hostile_indexes_are_refused_or_their_entries_left_out() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let server = FileServer::start(false).unwrap();
    let mut laughs = "apiVersion: v1\nx0: &x0 [a, a, a, a, a, a, a, a, a, a]\n".to_owned();
    for level in 1..10 {
        let below = vec![format!("*x{}", level - 1); 10].join(", ");
        let _infallible = writeln!(laughs, "x{level}: &x{level} [{below}]");
    }
    laughs += "entries: {demo: *x9}\n";
    let deep = format!(
        "apiVersion: v1\nentries: {}{}\n",
        "[".repeat(20_000),
        "]".repeat(20_000)
    );
    bench
        .put(
            "HelmRepository",
            "repo",
            json!({ "url": server.url(), "interval": "10m" }),
        )
        .await;
    for hostile in [laughs, deep] {
        server.put("index.yaml", hostile);
        bench.ask("HelmRepository", "repo").await;
        bench
            .refused(
                "HelmRepository",
                "repo",
                "IndexationFailed",
                "failed to load Helm repository from index YAML",
            )
            .await;
    }
    let odd = format!(
        "{INDEX}  odd: [null, {{}}, {{name: odd}}, {{apiVersion: v2, name: '../../x', version: 1.0.0, urls: [x]}}]\n  none: null\n"
    );
    server.put("index.yaml", odd);
    bench.ask("HelmRepository", "repo").await;
    let object = bench.settled("HelmRepository", "repo").await;
    let index: Value = serde_json::from_slice(&bench.bytes(&object).await).unwrap();
    assert_eq!(index["entries"]["demo"][0]["version"], "0.1.0");
    assert!(bench.controller.still_runs().is_ok());
}

/// Starts with a repository of charts that would like to be elsewhere.
async fn with_hostile_charts() -> Bench {
    let (bench, git) = Bench::with_repository().await;
    let about = |name: &str| format!("apiVersion: v2\nname: {name}\nversion: 0.1.0\n");
    let id = git
        .commit("main", "charts")
        .write("outside.yaml", "a: 1\n")
        .write("evil/Chart.yaml", about("../../../evil"))
        .write("good/Chart.yaml", about("good"))
        .write("good/values.yaml", "a: 1\n")
        .symlink("good/templates", "/etc")
        .symlink("passwd.yaml", "/etc/passwd")
        .push()
        .unwrap();
    bench.create("app", crate::bench::spec(git.url())).await;
    bench.ready("app", &format!("main@sha1:{id}")).await;
    bench
}

/// Field 6.2: Helm's CVE-2024-25620 and Argo's CVE-2022-24348, as a repository of Git could have them.
#[tokio::test]
async fn charts_that_reach_out_of_their_source_are_refused() {
    let bench = with_hostile_charts().await;
    let chart = |path: &str, files: &[&str]| {
        json!({
            "chart": path,
            "interval": "10m",
            "valuesFiles": files,
            "sourceRef": { "kind": "GitRepository", "name": "app" },
        })
    };
    bench.put("HelmChart", "evil", chart("evil", &[])).await;
    bench
        .until("HelmChart", "evil", "a refusal", |object| {
            condition(object, "Ready").is_some_and(|ready| ready["status"] == "False")
        })
        .await;
    for (path, files) in [
        ("../../../../../../etc", &[][..]),
        ("good", &["../../../../etc/passwd"][..]),
        ("good", &["passwd.yaml"][..]),
    ] {
        bench.put("HelmChart", "out", chart(path, files)).await;
        bench
            .refused(
                "HelmChart",
                "out",
                if files.is_empty() {
                    "InvalidChartReference"
                } else {
                    "ValuesFilesError"
                },
                "",
            )
            .await;
    }
    bench.put("HelmChart", "good", chart("good", &[])).await;
    let object = bench.settled("HelmChart", "good").await;
    let built = helm::chart::read_archive("x", &bench.bytes(&object).await).unwrap();
    assert!(
        built.templates.is_empty(),
        "what a link leads to is not part of the chart"
    );
    let above = bench
        .storage
        .path()
        .parent()
        .unwrap()
        .join("evil-0.1.0.tgz");
    assert!(!above.exists());
}

/// Field 6.2: Flux's CVE-2024-31216, and tokens in addresses.
///
/// covers: SC-116
#[tokio::test]
async fn signature_of_azure_shows_nowhere() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let server = FileServer::start(false).unwrap();
    server.fail(Some(Misbehaviour::Status(403, vec![])));
    bench
        .secret("sas", &[("sasKey", "?sv=2&sig=s3cret-signature")])
        .await;
    let bucket = json!({
        "provider": "azure",
        "bucketName": "things",
        "endpoint": server.url(),
        "interval": "10m",
        "secretRef": { "name": "sas" },
    });
    bench.put("Bucket", "things", bucket).await;
    let message = bench
        .refused("Bucket", "things", "BucketOperationFailed", "")
        .await;
    assert!(
        message.starts_with("failed to confirm existence of 'things' bucket: "),
        "{message}"
    );
    let refused = json!({ "endpoint": "http://127.0.0.1:1" });
    bench.put("Bucket", "things", refused).await;
    bench
        .refused(
            "Bucket",
            "things",
            "BucketOperationFailed",
            "onnection refused",
        )
        .await;
    let events = bench.events("things").await.join("\n");
    let log = bench.controller.log().unwrap();
    let metrics = bench.controller.metrics().await.unwrap();
    for (place, text) in [("events", events), ("log", log), ("metrics", metrics)] {
        assert!(
            !text.contains("s3cret"),
            "a credential shows in the {place}: {text}"
        );
    }
}

/// Field 6.2: go-git's CVE-2025-21613 and GHSA-qgq7-7hm3-q39j: names of references are no paths and no arguments.
#[tokio::test]
async fn odd_references_are_not_found_and_do_no_harm() {
    let (bench, repository, id) = Bench::with_commit().await;
    bench
        .create("app", crate::bench::spec(repository.url()))
        .await;
    let published = bench.ready("app", &format!("main@sha1:{id}")).await;
    for branch in [
        "--upload-pack=touch /tmp/x",
        "../../etc/passwd",
        "a..b",
        "x\u{7f}y",
        "main^{commit}",
        "*",
    ] {
        let patch = json!({ "spec": { "ref": { "branch": branch } } });
        bench.patch("app", patch).await;
        let object = bench
            .wait("app", branch, |object| {
                crate::bench::condition(object, "Ready").is_some_and(|ready| {
                    ready.status == "False"
                        && ready.observed_generation == object.metadata.generation
                        && ready.reason == "GitOperationFailed"
                })
            })
            .await;
        assert_eq!(artifact(&object), Some(&published), "{branch}");
    }
}
