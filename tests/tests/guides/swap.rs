//! `docs/migrate.md`: our source-controller in the place of upstream's, on its volume and its statuses as they were recorded.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use testkit::{ArtifactServer, GitServer, Program, archive, http_get};

use crate::world::{PATIENCE, api, config, controller, is_ready, map, objects, put, repository};

const SOURCE: (&str, &str) = ("source.toolkit.fluxcd.io/v1", "GitRepository");

/// A status as source-controller v1.9 writes it.
fn recorded(namespace: &str, commit: &str, digest: &str, size: usize) -> Value {
    let revision = format!("main@sha1:{commit}");
    let condition = |kind: &str| {
        json!({ "type": kind, "status": "True", "reason": "Succeeded", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-02T03:04:05Z",
            "message": format!("stored artifact for revision '{revision}'") })
    };
    let path = format!("gitrepository/{namespace}/app/{commit}.tar.gz");
    json!({ "observedGeneration": 1, "conditions": [condition("Ready"), condition("ArtifactInStorage")],
        "artifact": { "digest": digest, "lastUpdateTime": "2026-01-02T03:04:05Z", "path": path,
            "revision": revision, "size": size,
            "url": format!("http://source-controller.flux-system.svc.cluster.local./{path}") } })
}

/// What upstream's controller left: an object with its status, and a file on its volume.
struct Left {
    api: Api<DynamicObject>,
    status: Value,
    file: PathBuf,
    packed: Vec<u8>,
}

/// Leaves an artifact of a commit below `storage`.
async fn left(client: &kube::Client, ns: &str, url: &str, commit: &str, storage: &Path) -> Left {
    // Packed by another program: ours would never make these bytes of that commit.
    let packed = archive(&[("upstream.yaml", "packed: by upstream\n")]).unwrap();
    let server = ArtifactServer::start().unwrap();
    let digest = server.put("x", packed.clone()).digest;
    let folder = storage.join("gitrepository").join(ns).join("app");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{commit}.tar.gz"));
    std::fs::write(&file, &packed).unwrap();
    let manifest = objects(&repository("app", url, "branch: main")).remove(0);
    put(client, &manifest, ns).await.unwrap();
    let api = api(client, ns, SOURCE).await;
    let status = recorded(ns, commit, &digest, packed.len());
    let written = Patch::Merge(json!({ "status": status }));
    let params = PatchParams::default();
    api.patch_status("app", &params, &written).await.unwrap();
    let asked = json!({ "reconcile.fluxcd.io/requestedAt": "swap" });
    let asked = Patch::Merge(json!({ "metadata": { "annotations": asked } }));
    api.patch("app", &params, &asked).await.unwrap();
    Left {
        api,
        status,
        file,
        packed,
    }
}

/// Waits until the object is as wanted, and returns its artifact.
async fn artifact(left: &Left, source: &Program, wanted: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let object = json!(left.api.get("app").await.unwrap());
        if wanted(&object) {
            return object["status"]["artifact"].clone();
        }
        let log = || source.log().unwrap();
        assert!(began.elapsed() < PATIENCE, "{object:#}\n{}", log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn artifacts_of_upstream_stay_as_they_are() {
    let plane = testkit::control_plane().await;
    let client = plane.client();
    testkit::install_definitions(&client, &config("crd/bases"))
        .await
        .unwrap();
    let namespace = plane.namespace("swap").await;
    let ns = namespace.name();
    let git = GitServer::start().unwrap();
    let origin = git.repository("app").unwrap();
    let first = origin.commit("main", "first");
    let first = first.write("app.yaml", map("app", "one")).push().unwrap();
    let source = controller(plane, "source-controller", &namespace);
    let storage = source.folder().join("storage");
    let left = left(&client, ns, origin.url(), &first, &storage).await;
    let source = source.stores_artifacts().unwrap().start().await.unwrap();
    let kept = artifact(&left, &source, |object| {
        object["status"]["lastHandledReconcileAt"] == "swap" && is_ready(object, "True")
    })
    .await;
    for field in ["digest", "lastUpdateTime", "path", "revision", "size"] {
        assert_eq!(kept[field], left.status["artifact"][field], "{field}");
    }
    assert_eq!(std::fs::read(&left.file).unwrap(), left.packed);
    let address = source.address("--storage-addr").unwrap();
    let path = kept["path"].as_str().unwrap();
    assert_eq!(http_get(address, &format!("/{path}")).unwrap(), 200);

    // What ours writes lies where upstream's looks for it.
    let second = origin.commit("main", "second");
    let second = second.write("app.yaml", map("app", "two")).push().unwrap();
    let revision = format!("main@sha1:{second}");
    let ours = artifact(&left, &source, |object| {
        object["status"]["artifact"]["revision"] == revision
    })
    .await;
    let path = format!("gitrepository/{ns}/app/{second}.tar.gz");
    assert_eq!(ours["path"], path.as_str());
    assert!(storage.join(path).exists());
}
