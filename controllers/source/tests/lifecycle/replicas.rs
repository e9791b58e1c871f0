//! The storage over restarts and replicas, and on a disk that is full.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use testkit::{GitServer, Program};

use crate::bench::{Bench, artifact, condition, spec};

/// What is stored of objects that are gone is removed at the start, and nothing of the others; what is there is not
/// fetched again.
#[tokio::test]
async fn restart_fetches_nothing_again_and_removes_orphans() {
    let (bench, repository, id) = Bench::with_commit().await;
    bench.create("app", spec(repository.url())).await;
    let published = bench.ready("app", &format!("main@sha1:{id}")).await;
    bench
        .controller
        .terminate(Duration::from_secs(20))
        .await
        .unwrap();
    let folder = |kind: &str, namespace: &str, name: &str| {
        bench.storage.path().join(kind).join(namespace).join(name)
    };
    let ours = bench.namespace.name();
    let orphans = [
        folder("gitrepository", ours, "gone"),
        folder("helmchart", ours, "gone"),
        // Nobody asked for other namespaces.
        folder("gitrepository", "elsewhere", "gone"),
    ];
    for orphan in &orphans {
        fs::create_dir_all(orphan).unwrap();
        fs::write(orphan.join("x.tar.gz"), "x").unwrap();
    }
    bench.server.forget_requests();
    bench.controller.restart().await.unwrap();
    tokio::time::timeout(Duration::from_mins(1), async {
        while orphans[0].exists() || orphans[1].exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    assert!(orphans[2].exists());
    let object = bench.reconcile("app").await;
    assert_eq!(artifact(&object), Some(&published));
    assert_eq!(bench.files(&published).await, ["a"]);
    let asked = bench.server.requests();
    // One question what the server can, then listings alone: a fetch would be one more.
    let posts = asked.iter().filter(|each| each.method == "POST").count();
    let gets = asked.iter().filter(|each| each.method == "GET").count();
    assert!(gets <= 1 && posts <= 2, "{asked:#?}");
}

/// A replica that does not lead hands artifacts out while it has all that statuses name, and nothing otherwise.
#[tokio::test]
async fn replica_serves_once_it_holds_what_statuses_name() {
    let plane = testkit::control_plane().await;
    let bench = Bench::start_as(plane, |program| {
        program.flag("--enable-leader-election", "true")
    })
    .await;
    let repository = bench.server.repository("app").unwrap();
    let id = repository
        .commit("main", "first")
        .write("a", "1")
        .push()
        .unwrap();
    bench.create("app", spec(repository.url())).await;
    let published = bench.ready("app", &format!("main@sha1:{id}")).await;
    let empty = tempfile::tempdir().unwrap();
    let start = async |storage: &Path| {
        Program::new(env!("CARGO_BIN_EXE_source-controller"), plane)
            .unwrap()
            .flag("--watch-all-namespaces", "false")
            .flag("--enable-leader-election", "true")
            .flag("--storage-path", &storage.to_string_lossy())
            .listens(&["--storage-addr", "--storage-adv-addr"])
            .env("RUNTIME_NAMESPACE", bench.namespace.name())
            .start()
            .await
            .unwrap()
    };
    let sharing = start(bench.storage.path()).await;
    let apart = start(empty.path()).await;
    let path = format!("/{}", published.path);
    let answers = async |program: &Program, path: &str, status: u16| {
        let waited = tokio::time::timeout(Duration::from_mins(1), async {
            while program
                .get("--storage-addr", path)
                .await
                .map(|found| found.0)
                .ok()
                != Some(status)
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        assert!(
            waited.await.is_ok(),
            "{path} {status}: {}",
            program.log().unwrap()
        );
    };
    answers(&sharing, &path, 200).await;
    answers(&sharing, "/", 200).await;
    answers(&apart, "/", 503).await;
    answers(&apart, &path, 503).await;

    // It goes as the artifact goes, and comes back with it.
    let file = bench.storage.path().join(&published.path);
    let aside = file.with_extension("aside");
    fs::rename(&file, &aside).unwrap();
    answers(&sharing, "/", 503).await;
    fs::rename(&aside, &file).unwrap();
    answers(&sharing, "/", 200).await;
}

/// A small file system in memory.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Returns none where this process may not mount.
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        mounted.then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).output();
        assert!(unmounted.is_ok());
    }
}

/// Bytes that no compressor makes less of.
fn noise() -> Vec<u8> {
    let mut state = 1u32;
    let bytes = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    bytes.take(4 << 20).collect()
}

/// Where the test may not mount, the storage's own test of a writer without space has to do.
#[tokio::test]
async fn full_disk_leaves_the_old_artifact_served_and_says_why() {
    let Some(disk) = SmallDisk::mount("1m") else {
        return;
    };
    let plane = testkit::control_plane().await;
    let path = disk.0.path().to_string_lossy().into_owned();
    let bench = Bench::start_as(plane, |program| program.flag("--storage-path", &path)).await;
    let repository = bench.server.repository("app").unwrap();
    let first = repository
        .commit("main", "first")
        .write("a", "1")
        .push()
        .unwrap();
    bench.create("app", spec(repository.url())).await;
    let published = bench.ready("app", &format!("main@sha1:{first}")).await;
    repository
        .commit("main", "large")
        .write("noise", noise())
        .push()
        .unwrap();
    bench.server.forget_requests();
    let asked = json!({ "reconcile.fluxcd.io/requestedAt": "now" });
    let asked = json!({ "metadata": { "annotations": asked } });
    bench.patch("app", asked).await;
    let object = bench
        .wait("app", "a full disk", |object| {
            condition(object, "StorageOperationFailed").is_some_and(|failed| {
                failed.reason == "ArchiveOperationFailed"
                    && failed
                        .message
                        .contains("unable to archive artifact to storage")
                    && failed.message.contains("No space left on device")
            })
        })
        .await;
    assert_eq!(artifact(&object), Some(&published));
    assert_eq!(bench.files(&published).await, ["a"], "it stays served");
    let before = bench.server.request_count();
    tokio::time::sleep(Duration::from_secs(8)).await;
    let tries = bench.server.request_count() - before;
    assert!(
        tries <= 10,
        "{tries} requests in eight seconds: it does not back off"
    );
    let folder = disk.0.path().join(&published.path);
    let left: Vec<_> = fs::read_dir(folder.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_none_or(|e| e != "lock"))
        .collect();
    let whole = [format!("{first}.tar.gz")];
    assert_eq!(left, whole, "nothing half written stays");

    let third = repository
        .commit("main", "small")
        .clear()
        .write("b", "2")
        .push()
        .unwrap();
    bench.reconcile("app").await;
    let published = bench.ready("app", &format!("main@sha1:{third}")).await;
    assert_eq!(bench.files(&published).await, ["b"]);
}

/// The proxy that an object names is asked for the repository, and its password shows nowhere.
#[tokio::test]
async fn repository_is_reached_through_the_proxy_that_the_object_names() {
    let proxy = testkit::ForwardProxy::start(Some(("user", "s3cret-proxy"))).unwrap();
    let plane = testkit::control_plane().await;
    let bench = Bench::start_with(plane, GitServer::start_tls().unwrap()).await;
    let repository = bench.server.repository("app").unwrap();
    let id = repository
        .commit("main", "first")
        .write("a", "1")
        .push()
        .unwrap();
    bench
        .secret(
            "ca",
            &[("ca.crt", &bench.server.authority().unwrap().pem())],
        )
        .await;
    let address = proxy.url();
    let mut through = vec![
        ("address", address.as_str()),
        ("username", "user"),
        ("password", "wrong-s3cret"),
    ];
    bench.secret("proxy", &through).await;
    let mut app = crate::bench::with_secret(repository.url(), "ca");
    app.proxy_secret_ref = Some(api::meta::LocalReference {
        name: "proxy".into(),
    });
    bench.create("app", app).await;
    bench.fails("app", "GitOperationFailed").await;
    through[2].1 = "s3cret-proxy";
    bench.secret("proxy", &through).await;
    bench.reconcile("app").await;
    bench.ready("app", &format!("main@sha1:{id}")).await;
    let host = bench.server.url().trim_start_matches("https://").to_owned();
    let tunnel = format!("CONNECT {host} HTTP/1.1");
    assert!(
        proxy.requests().contains(&tunnel),
        "{:#?}",
        proxy.requests()
    );
    let log = bench.controller.log().unwrap();
    assert!(!log.contains("s3cret"), "a credential is in the log");
}
