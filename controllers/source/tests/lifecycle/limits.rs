//! What charts may be: how large, and which of their files count.

use helm::chart::{Chart, read_archive};
use serde_json::{Value, json};

use crate::bench::{Bench, spec};
use crate::charts::chart;

fn about(name: &str, more: &str) -> String {
    format!("apiVersion: v1\nname: {name}\nversion: 0.1.0\n{more}")
}

/// Text that no compressor makes much of.
fn noise(bytes: usize) -> String {
    let mut state = 1u64;
    let letters = (0..bytes).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + u8::try_from((state >> 40) % 26).unwrap())
    });
    letters.collect()
}

async fn put(bench: &Bench, path: &str) {
    let spec = json!({ "chart": path, "interval": "10m",
        "sourceRef": { "kind": "GitRepository", "name": "app" } });
    bench.put("HelmChart", "demo", spec).await;
}

/// Publishes charts, each in a folder of its name.
async fn publish(bench: &Bench) {
    let git = bench.server.repository("app").unwrap();
    let many = noise(4_000);
    let more = noise(8_700);
    let id = git
        .commit("main", "charts")
        .write("good/Chart.yaml", about("good", ""))
        .write("good/.helmignore", "*.md\n/docs/\n")
        .write("good/README.md", "x")
        .write("good/docs/a.yaml", "x")
        .write("good/templates/app.yaml", "kind: A\n")
        .write("good/templates/.hidden.yaml", "kind: B\n")
        .write(
            "good/requirements.yaml",
            "dependencies:\n- {name: lib, version: 0.x, repository: \"file://../lib\"}\n",
        )
        .symlink("good/Chart.lock", "/etc/passwd")
        .symlink("good/templates/linked.yaml", "../../lib/Chart.yaml")
        .write("lib/Chart.yaml", about("lib", ""))
        .write(
            "wordy/Chart.yaml",
            about("wordy", &format!("description: {many}\n")),
        )
        .write("file/Chart.yaml", about("file", ""))
        .write("file/templates/large.yaml", &many)
        .write("ignored/Chart.yaml", about("ignored", ""))
        .write("ignored/.helmignore", "large.txt\n")
        .write("ignored/large.txt", &many)
        .write("none/values.yaml", "a: 1\n")
        .write(
            "packed/file.tgz",
            chart("file", "0.1.0", &[("templates/app.yaml", many.as_str())]),
        )
        .write(
            "packed/chart.tgz",
            chart(
                "chart",
                "0.1.0",
                &[
                    ("a", &more[..2_900]),
                    ("b", &more[2_900..5_800]),
                    ("c", &more[5_800..]),
                ],
            ),
        )
        .push()
        .unwrap();
    bench.create("app", spec(git.url())).await;
    bench.ready("app", &format!("main@sha1:{id}")).await;
}

/// Field 6.2: Helm's CVE-2025-32386 and -53547 as a repository could have them, too.
///
/// covers: SC-178, SC-179
#[tokio::test]
async fn charts_that_are_too_large_or_none_are_refused_by_name() {
    let plane = testkit::control_plane().await;
    let bench = Bench::start_as(plane, |program| {
        program
            .flag("--helm-chart-file-max-size", "3000")
            .flag("--helm-chart-max-size", "4000")
    })
    .await;
    publish(&bench).await;
    for (path, reason, words) in [
        (
            "none",
            "InvalidChartReference",
            "invalid chart reference: open /none/Chart.yaml: no such file or directory",
        ),
        (
            "wordy",
            "InvalidChartReference",
            "invalid chart reference: size of 'Chart.yaml' exceeds '3000' bytes limit",
        ),
        (
            "file",
            "ChartPackageError",
            "is larger than the maximum file size 3000",
        ),
        (
            "packed/file.tgz",
            "InvalidChartReference",
            "is larger than the maximum file size 3000",
        ),
        (
            "packed/chart.tgz",
            "InvalidChartReference",
            "invalid chart reference: size of chart 'chart.tgz' exceeds '4000' bytes limit",
        ),
    ] {
        put(&bench, path).await;
        bench.refused("HelmChart", "demo", reason, words).await;
    }
    // What is left out may have any size.
    put(&bench, "ignored").await;
    bench.settled("HelmChart", "demo").await;

    put(&bench, "good").await;
    let object = bench.settled("HelmChart", "demo").await;
    let built = read_archive("x", &bench.bytes(&object).await).unwrap();
    let templates: Vec<_> = built.templates.iter().map(|file| &*file.name).collect();
    assert_eq!(templates, ["templates/app.yaml"], "no dotfile and no link");
    let subcharts: Vec<_> = built.dependencies.iter().map(Chart::name).collect();
    assert_eq!(subcharts, ["lib"], "of requirements.yaml");
    let named = |name: &str| built.files.iter().any(|file| file.name == name);
    assert!(!named("README.md") && !named("docs/a.yaml"));
}

/// The archive of a chart has the size that its repository says, and its files what the flag allows.
#[tokio::test]
async fn downloaded_charts_have_the_same_limits() {
    let plane = testkit::control_plane().await;
    let bench = Bench::start_as(plane, |program| {
        program.flag("--helm-chart-file-max-size", "3000")
    })
    .await;
    let server = testkit::FileServer::start(false).unwrap();
    let index = "apiVersion: v1\nentries:\n  demo:\n  - {apiVersion: v2, name: demo, version: 0.1.0, urls: [demo.tgz]}\n";
    server.put("index.yaml", index);
    let many = noise(4_000);
    let large = chart("demo", "0.1.0", &[("templates/app.yaml", many.as_str())]);
    server.put("demo.tgz", large);
    let repo = json!({ "url": server.url(), "interval": "10m" });
    bench.put("HelmRepository", "repo", repo).await;
    bench.settled("HelmRepository", "repo").await;
    let demo = json!({ "chart": "demo", "interval": "10m",
        "sourceRef": { "kind": "HelmRepository", "name": "repo" } });
    bench.put("HelmChart", "demo", demo).await;
    let words = "is larger than the maximum file size 3000";
    bench
        .refused("HelmChart", "demo", "ChartPullError", words)
        .await;
}

/// covers: SC-009, SC-160
#[tokio::test]
async fn chart_of_the_same_version_is_not_downloaded_again() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let server = testkit::FileServer::start(false).unwrap();
    server.fail(Some(testkit::Misbehaviour::Status(503, vec![])));
    let index = "apiVersion: v1\nentries:\n  demo:\n  - {apiVersion: v2, name: demo, version: 0.1.0, urls: [demo.tgz]}\n";
    server.put("index.yaml", index);
    server.put("demo.tgz", chart("demo", "0.1.0", &[]));
    let repo = json!({ "url": server.url(), "interval": "10m" });
    bench.put("HelmRepository", "repo", repo).await;
    bench
        .refused("HelmRepository", "repo", "Failed", "503")
        .await;
    let demo = json!({ "chart": "demo", "interval": "10m", "ignoreMissingValuesFiles": true,
        "valuesFiles": ["values-prod.yaml", "no.yaml"],
        "sourceRef": { "kind": "HelmRepository", "name": "repo" } });
    bench.put("HelmChart", "demo", demo).await;
    let waiting = |object: &Value| {
        crate::any::condition(object, "FetchFailed")
            .is_some_and(|failed| failed["reason"] == "NoSourceArtifact")
    };
    let object = bench
        .until("HelmChart", "demo", "a wait for the source", waiting)
        .await;
    assert_eq!(
        object["status"]["observedGeneration"], -1,
        "it was not built yet"
    );
    server.fail(None);
    bench.ask("HelmRepository", "repo").await;
    bench.settled("HelmRepository", "repo").await;
    let built = bench.settled_at("HelmChart", "demo", "0.1.0+1").await;
    let words =
        "packaged 'demo' chart with version '0.1.0+1' and merged values files [values-prod.yaml]";
    let said = |object: &Value| {
        let stored = crate::any::condition(object, "ArtifactInStorage").unwrap();
        assert_eq!(stored["message"], words);
        assert_eq!(
            object["status"]["observedValuesFiles"],
            json!(["values-prod.yaml"])
        );
    };
    said(&built);

    server.forget_requests();
    server.put("index.yaml", format!("{index}# with a remark\n"));
    bench.ask("HelmRepository", "repo").await;
    let revision =
        bench.settled("HelmRepository", "repo").await["status"]["artifact"]["revision"].clone();
    let looked = |object: &Value| object["status"]["observedSourceArtifactRevision"] == revision;
    let object = bench
        .until("HelmChart", "demo", "a look at the new index", looked)
        .await;
    said(&object);
    assert_eq!(object["status"]["artifact"], built["status"]["artifact"]);
    let asked = server.requests();
    assert!(
        asked.iter().all(|each| each.path.ends_with("index.yaml")),
        "{asked:#?}"
    );
}
