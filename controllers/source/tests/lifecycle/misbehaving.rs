//! Images that somebody made to do harm: what was published stays.

use artifact::ArchiveWriter;
use serde_json::json;
use testkit::{Registry, RegistryOptions};

use crate::any::names;
use crate::bench::Bench;
use crate::images::{self, CONTENT, image};

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
