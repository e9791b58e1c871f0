//! Registries and stores that misbehave, and images that somebody made to do harm: what was published stays.

use std::fmt::Write as _;
use std::time::Duration;

use artifact::ArchiveWriter;
use serde_json::{Value, json};
use testkit::{FileServer, Misbehaviour, ObjectStore, Registry, RegistryOptions};

use crate::any::names;
use crate::bench::Bench;
use crate::charts::chart;
use crate::images::{CONTENT, image};
use crate::{images, objects};

/// A kind, the reason of its failures and what makes an object ask another server.
type Away<'a> = (&'a str, &'a str, Value);

fn away(address: &str, fault: &Misbehaviour) -> [Away<'static>; 2] {
    // Who answers in time may take as long as the machine needs.
    let timeout = match fault {
        Misbehaviour::Hang => "2s",
        _ => "30s",
    };
    let url = json!({ "url": format!("oci://{address}/team/app"), "timeout": timeout });
    let endpoint = json!({ "endpoint": address, "timeout": timeout });
    [
        ("OCIRepository", "OCIArtifactPullFailed", url),
        ("Bucket", "BucketOperationFailed", endpoint),
    ]
}

/// The ways to fail, each with what is said of an image and of a bucket.
fn faults(elsewhere: &str) -> Vec<(Misbehaviour, &'static str, &'static str)> {
    let status = |code, words| (Misbehaviour::Status(code, vec![]), words, words);
    let redirect = vec![("location", format!("{elsewhere}/x"))];
    vec![
        (Misbehaviour::Hang, "timed out", "timed out"),
        (Misbehaviour::Cut(20), "exchange with", "exchange with"),
        status(401, "401 Unauthorized"),
        status(403, "403 Forbidden"),
        status(503, "503 Service Unavailable"),
        (
            Misbehaviour::Status(302, redirect),
            "404 Not Found",
            "bucket 'things' not found",
        ),
        // The last: a registry that says so is left alone for a while.
        (
            Misbehaviour::Status(429, vec![]),
            "asked to be left alone",
            "429 Too Many Requests",
        ),
    ]
}

#[tokio::test]
async fn registry_and_store_that_misbehave_are_bounded_named_and_forgiven() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let registry = Registry::start(&RegistryOptions::default()).unwrap();
    let app = image(&[("a", "1")]);
    registry.push("team/app", "1.0.0", &app).unwrap();
    let store = ObjectStore::start(false).unwrap();
    store.bucket("things").unwrap();
    store.put("things", "a", b"1").unwrap();
    objects::keys(&bench).await;
    let image = images::spec(&registry, &json!({ "tag": "1.0.0" }));
    let bucket = objects::spec(&store, &json!({ "insecure": true }));
    let home = [("OCIRepository", image), ("Bucket", bucket)];
    let mut before = Vec::new();
    for (kind, spec) in &home {
        bench.put(kind, "app", spec.clone()).await;
        let object = bench.settled(kind, "app").await;
        before.push(object["status"]["artifact"].clone());
    }

    let (front, other) = (
        FileServer::start(false).unwrap(),
        FileServer::start(false).unwrap(),
    );
    front.put("v2/team/app/manifests/1.0.0", "{}".repeat(50));
    front.put("things/", "<ListBucketResult></ListBucketResult>");
    let (front_url, other_url) = (front.url(), other.url());
    let address = front_url.trim_start_matches("http://");
    for (fault, of_image, of_bucket) in faults(&other_url) {
        front.fail(Some(fault.clone()));
        let moved = away(address, &fault);
        for (((kind, reason, spec), words), before) in
            moved.iter().zip([of_image, of_bucket]).zip(&before)
        {
            bench.put(kind, "app", spec.clone()).await;
            bench.ask(kind, "app").await;
            bench.refused(kind, "app", reason, words).await;
            let object = bench.until(kind, "app", "it", |_| true).await;
            assert_eq!(&object["status"]["artifact"], before, "{kind}: {fault:?}");
            assert_eq!(names(&bench.contents(&object).await), ["a"], "it is served");
        }
    }
    let asked = other.requests();
    assert!(asked.len() >= 2, "{asked:#?}");
    let strangers = asked.iter().filter(|each| each.authorization.is_some());
    assert_eq!(strangers.count(), 0, "credentials went elsewhere");

    for ((kind, spec), before) in home.iter().zip(&before) {
        bench.put(kind, "app", spec.clone()).await;
        let object = bench.settled(kind, "app").await;
        assert_eq!(object["status"]["artifact"]["digest"], before["digest"]);
    }
    let log = bench.controller.log().unwrap();
    assert!(
        !log.contains(ObjectStore::SECRET_KEY),
        "a key is in the log"
    );
}

/// Returns an archive with a file of this name.
fn archive(name: &str) -> Vec<u8> {
    let mut archive = ArchiveWriter::new(Vec::new());
    archive.file(name.as_bytes(), false, 1, &b"1"[..]).unwrap();
    archive.finish().unwrap()
}

/// Field 6.2: paths that lead out, as go-git's CVE-2023-49569 and Helm's CVE-2024-25620 had them, in a layer.
#[tokio::test]
async fn layers_that_lead_out_or_are_cut_are_refused_and_the_old_ones_stay() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let registry = Registry::start(&RegistryOptions::default()).unwrap();
    let first = image(&[("a", "1")]);
    registry.push("team/app", "latest", &first).unwrap();
    let spec = images::spec(&registry, &json!({ "tag": "latest" }));
    bench.put("OCIRepository", "app", spec).await;
    let before = bench.settled("OCIRepository", "app").await;
    let whole = archive("whole");
    let half = whole[..whole.len() / 2].to_vec();
    for (layer, words) in [
        (b"no archive".to_vec(), "archive cannot be read"),
        (archive("../../evil"), "tar contained invalid name error"),
        (half, "archive cannot be read"),
        (archive("/evil"), "tar contained invalid name error"),
    ] {
        let mut hostile = image(&[]);
        hostile.layers = vec![(CONTENT.into(), layer)];
        registry.push("team/app", "latest", &hostile).unwrap();
        bench.ask("OCIRepository", "app").await;
        let reason = "OCIArtifactLayerOperationFailed";
        bench.refused("OCIRepository", "app", reason, words).await;
        let object = bench.until("OCIRepository", "app", "it", |_| true).await;
        assert_eq!(object["status"]["artifact"], before["status"]["artifact"]);
    }
    let escaped = bench.storage.path().parent().unwrap().join("evil");
    assert!(!escaped.exists());
    assert_eq!(names(&bench.contents(&before).await), ["a"]);
}

/// Publishes an index whose charts lie on another server.
async fn publish_index(bench: &Bench, index: &FileServer, charts: &[(&str, &str)], at: &str) {
    let mut text = "apiVersion: v1\nentries:\n".to_owned();
    for (name, version) in charts {
        let url = format!("{at}/{name}-{version}.tgz");
        let _infallible = writeln!(
            text,
            "  {name}: [{{apiVersion: v2, name: {name}, version: {version}, urls: ['{url}']}}]"
        );
    }
    index.put("index.yaml", text);
    bench.ask("HelmRepository", "repo").await;
    bench.settled("HelmRepository", "repo").await;
}

fn demo(name: &str) -> Value {
    json!({ "chart": name, "interval": "10m", "sourceRef": { "kind": "HelmRepository", "name": "repo" } })
}

/// The ways to fail, each with the reason and the words of it.
fn chart_faults(elsewhere: &str) -> [(Misbehaviour, &'static str, &'static str); 8] {
    let status = |code| Misbehaviour::Status(code, vec![]);
    let redirect = vec![("location", format!("{elsewhere}/x.tgz"))];
    [
        (Misbehaviour::Hang, "ChartPullError", "timed out"),
        (Misbehaviour::Cut(20), "ChartPullError", "failed"),
        (status(401), "AuthenticationFailed", "401 Unauthorized"),
        (status(403), "ChartPullError", "403 Forbidden"),
        (status(404), "ChartPullError", "404 Not Found"),
        (status(429), "ChartPullError", "429 Too Many Requests"),
        (status(503), "ChartPullError", "503 Service Unavailable"),
        (
            Misbehaviour::Status(302, redirect),
            "ChartPullError",
            "404 Not Found",
        ),
    ]
}

/// Credentials that are for every server of an index are for those that it names, not for where those send us.
#[tokio::test]
async fn server_of_charts_that_misbehaves_is_bounded_named_and_forgiven() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let start = || FileServer::start(false).unwrap();
    let (index, front, other) = (start(), start(), start());
    let login = [("username", "robot"), ("password", "s3cret-pa55word")];
    bench.secret("login", &login).await;
    let repo = json!({ "url": index.url(), "interval": "10m", "timeout": "30s",
        "passCredentials": true, "secretRef": { "name": "login" } });
    bench.put("HelmRepository", "repo", repo).await;
    front.put("demo-0.0.1.tgz", chart("demo", "0.0.1", &[]));
    publish_index(&bench, &index, &[("demo", "0.0.1")], &front.url()).await;
    bench.put("HelmChart", "demo", demo("demo")).await;
    let before = bench.settled_at("HelmChart", "demo", "0.0.1").await;

    let mut newest = String::new();
    for (at, (fault, reason, words)) in chart_faults(&other.url()).into_iter().enumerate() {
        newest = format!("0.1.{at}");
        front.put(&format!("demo-{newest}.tgz"), chart("demo", &newest, &[]));
        // Who answers in time may take as long as the machine needs.
        let timeout = match fault {
            Misbehaviour::Hang => "3s",
            _ => "30s",
        };
        let spec = json!({ "timeout": timeout });
        bench.put("HelmRepository", "repo", spec).await;
        front.fail(Some(fault));
        publish_index(&bench, &index, &[("demo", newest.as_str())], &front.url()).await;
        bench.ask("HelmChart", "demo").await;
        let said = bench.refused("HelmChart", "demo", reason, words).await;
        assert!(!said.contains("s3cret"), "{said}");
        let object = bench.until("HelmChart", "demo", "it", |_| true).await;
        assert_eq!(object["status"]["artifact"], before["status"]["artifact"]);
        assert_eq!(bench.bytes(&object).await, chart("demo", "0.0.1", &[]));
    }
    assert!(
        front
            .requests()
            .iter()
            .any(|each| each.authorization.is_some())
    );
    let strangers = other.requests();
    assert!(
        !strangers.is_empty() && strangers.iter().all(|each| each.authorization.is_none()),
        "{strangers:#?}"
    );
    front.fail(None);
    bench.ask("HelmChart", "demo").await;
    bench.settled_at("HelmChart", "demo", &newest).await;
}

/// Six at a time, however many charts may be built at once.
#[tokio::test]
async fn charts_of_one_host_are_downloaded_a_few_at_a_time() {
    let plane = testkit::control_plane().await;
    let bench = Bench::start_as(plane, |program| program.flag("--concurrent", "20")).await;
    let (index, front) = (
        FileServer::start(false).unwrap(),
        FileServer::start(false).unwrap(),
    );
    let repo = json!({ "url": index.url(), "interval": "10m", "timeout": "10m" });
    bench.put("HelmRepository", "repo", repo).await;
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let charts = names.map(|name| (name, "0.1.0"));
    publish_index(&bench, &index, &charts, &front.url()).await;
    front.fail(Some(Misbehaviour::Hang));
    for name in names {
        bench.put("HelmChart", name, demo(name)).await;
    }
    let six = async {
        while front.requests().len() < 6 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(90), six)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(front.requests().len(), 6, "the others wait for their turn");
}
