use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use super::*;

fn storage() -> (tempfile::TempDir, Storage) {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::new(directory.path(), "host:9090", Algorithm::Sha256).unwrap();
    (directory, storage)
}

fn path(file: &str) -> ArtifactPath {
    ArtifactPath::new("GitRepository", "apps", "web", file).unwrap()
}

fn put(storage: &Storage, file: &str, content: &[u8]) -> Stored {
    storage
        .write(&path(file), |out| {
            out.write_all(content).unwrap();
            Ok::<(), Infallible>(())
        })
        .unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// covers: SC-044
#[test]
fn storage_must_be_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for bad in [file, directory.path().join("missing")] {
        let error = Storage::new(&bad, "h", Algorithm::Sha256).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("invalid dir path: {}", bad.display())
        );
    }
}

#[test]
fn written_file_has_layout_modes_digest_and_size() {
    let (directory, storage) = storage();
    let stored = put(&storage, "abc.tar.gz", b"abc");
    let file = directory.path().join("gitrepository/apps/web/abc.tar.gz");
    assert_eq!(fs::read(&file).unwrap(), b"abc");
    assert_eq!(mode(&file), 0o600);
    for parent in [
        "gitrepository",
        "gitrepository/apps",
        "gitrepository/apps/web",
    ] {
        assert_eq!(mode(&directory.path().join(parent)), 0o700);
    }
    assert_eq!(stored.size, 3);
    assert_eq!(
        stored.digest.as_str(),
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    let names: Vec<_> = fs::read_dir(file.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "the file and its lock: {names:?}");
    storage
        .verify(&path("abc.tar.gz"), stored.digest.as_str())
        .unwrap();
}

#[test]
fn failed_content_leaves_the_old_file_and_nothing_else() {
    let (directory, storage) = storage();
    put(&storage, "a", b"old");
    let error = storage
        .write(&path("a"), |out| {
            out.write_all(b"half of the n").unwrap();
            Err(io::Error::other("broke"))
        })
        .unwrap_err();
    assert_eq!(error.to_string(), "unable to archive artifact to storage");
    let folder = directory.path().join("gitrepository/apps/web");
    assert_eq!(fs::read(folder.join("a")).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder).unwrap().count(), 2);
}

/// covers: SC-041
#[test]
fn only_regular_files_exist() {
    let (directory, storage) = storage();
    put(&storage, "a", b"x");
    let folder = directory.path().join("gitrepository/apps/web");
    fs::create_dir(folder.join("dir")).unwrap();
    std::os::unix::fs::symlink(folder.join("a"), folder.join("link")).unwrap();
    assert!(storage.exists(&path("a")));
    for other in ["dir", "link", "missing"] {
        assert!(!storage.exists(&path(other)), "{other}");
    }
}

/// covers: SC-042
#[test]
fn verification_names_what_is_wrong() {
    let (_directory, storage) = storage();
    let digest = put(&storage, "a", b"x").digest.to_string();
    let text = |file: &str, digest: &str| {
        net_http::chain(&storage.verify(&path(file), digest).unwrap_err())
    };
    assert_eq!(text("a", ""), "artifact has no digest");
    assert_eq!(
        text("a", "invalid"),
        "failed to parse artifact digest 'invalid': invalid checksum digest format"
    );
    assert!(text("missing", &digest).starts_with("failed to read artifact: No such file"));
    put(&storage, "a", b"y");
    assert_eq!(
        text("a", &digest),
        format!("computed digest doesn't match '{digest}'")
    );
}

/// covers: SC-043
#[test]
fn url_takes_the_advertised_address_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    for (advertised, expected) in [
        ("host", "http://host/gitrepository/apps/web/a"),
        ("host:80", "http://host:80/gitrepository/apps/web/a"),
        ("http://host", "http://host/gitrepository/apps/web/a"),
        ("https://host/", "https://host/gitrepository/apps/web/a"),
        (
            "source-controller.flux-system.svc.cluster.local.",
            "http://source-controller.flux-system.svc.cluster.local./gitrepository/apps/web/a",
        ),
    ] {
        let storage = Storage::new(directory.path(), advertised, Algorithm::Sha256).unwrap();
        assert_eq!(storage.url(&path("a")), expected);
    }
}

#[test]
fn paths_cannot_lead_out() {
    for bad in [
        "",
        "a",
        "/a/b/c",
        "a/b/c",
        "a/b/c/d/e",
        "a/../c/d",
        "a/b/./d",
        "a//c/d",
        "a/b/c/",
        "a/b/c/..",
        "a/b/c/x\\y",
    ] {
        assert!(ArtifactPath::parse(bad).is_err(), "{bad}");
    }
    assert!(ArtifactPath::new("K", "a/b", "c", "d").is_err());
    assert_eq!(path("f").file_name(), "f");
}

/// covers: SC-005, SC-040
#[test]
fn removing_an_object_removes_its_folder_only() {
    let (directory, storage) = storage();
    put(&storage, "a", b"x");
    assert!(
        storage
            .remove_object("GitRepository", "apps", "web")
            .unwrap()
    );
    assert!(!directory.path().join("gitrepository/apps/web").exists());
    assert!(directory.path().join("gitrepository/apps").exists());
    assert!(
        !storage
            .remove_object("GitRepository", "apps", "web")
            .unwrap()
    );
    storage.remove(&path("a")).unwrap();
    storage
        .remove_object("GitRepository", "..", "web")
        .unwrap_err();
}

/// covers: SC-054
#[test]
fn writers_of_one_artifact_come_after_each_other() {
    let (_directory, storage) = storage();
    let inside = Arc::new(std::sync::atomic::AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let inside = Arc::clone(&inside);
            let storage = &storage;
            scope.spawn(move || {
                storage
                    .write(&path("a"), |out| {
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        out.write_all(&vec![7; 100_000]).unwrap();
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        Ok::<(), Infallible>(())
                    })
                    .unwrap();
            });
        }
    });
    assert!(storage.exists(&path("a")));
}

/// covers: SC-053
#[test]
fn advertised_address_is_given_or_derived() {
    for (advertised, listen, expected) in [
        ("example.com", ":9090", "example.com"),
        ("", ":9090", "localhost:9090"),
        ("", "10.0.0.1:9090", "10.0.0.1:9090"),
        ("", "0.0.0.0:9090", "pod:9090"),
    ] {
        assert_eq!(
            advertised_address(advertised, listen, "pod").unwrap(),
            expected
        );
    }
    advertised_address("", "9090", "pod").unwrap_err();
    advertised_address("", "host:port", "pod").unwrap_err();
}

#[test]
fn what_is_known_of_an_artifact_goes_with_it() {
    let (_directory, storage) = storage();
    let path = path("a.tar.gz");
    put(&storage, "a.tar.gz", b"1");
    assert_eq!(storage.recall(&path, 10).unwrap(), None);
    storage.remember(&path, b"old").unwrap();
    storage.remember(&path, b"etags").unwrap();
    assert_eq!(storage.recall(&path, 10).unwrap().unwrap(), b"etags");
    assert_eq!(storage.recall(&path, 4).unwrap(), None, "it is too much");
    storage.remove(&path).unwrap();
    assert_eq!(storage.recall(&path, 10).unwrap(), None);
}

/// The content that cannot be written in full never takes the place of the one that is there.
#[test]
fn disk_without_space_leaves_the_old_artifact() {
    let (directory, storage) = storage();
    let old = put(&storage, "a.tar.gz", b"old");
    let full = storage.write(&path("a.tar.gz"), |out| {
        out.write_all(&vec![0; 100_000])?;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    });
    assert!(matches!(full, Err(WriteError::Content(_))), "{full:?}");
    let digest = old.digest.to_string();
    storage.verify(&path("a.tar.gz"), &digest).unwrap();
    let folder = directory.path().join("gitrepository/apps/web");
    assert_eq!(fs::read_dir(folder).unwrap().count(), 2, "file and lock");
}

#[test]
fn artifact_that_nobody_touched_is_not_read_again_and_any_touch_shows() {
    let (_directory, storage) = storage();
    let stored = put(&storage, "a.tar.gz", b"content");
    let (path, digest) = (path("a.tar.gz"), stored.digest.to_string());
    let file = storage.file(&path);
    let mark = || Mark::of(&fs::metadata(&file).unwrap());
    let is_sealed = || storage.seals.hold(&file, mark(), &stored.digest);
    storage.verify(&path, &digest).unwrap();
    storage.seals.forget(file.parent().unwrap());
    let soon = fs::metadata(&file).unwrap().modified().unwrap() + Duration::from_secs(1);
    storage
        .seals
        .keep(&file, mark(), stored.digest.clone(), soon);
    assert!(
        !is_sealed(),
        "it may change within the same tick of the clock"
    );
    std::thread::sleep(Duration::from_millis(3_100));
    storage.verify(&path, &digest).unwrap();
    assert!(is_sealed());

    let times = fs::metadata(&file).unwrap().modified().unwrap();
    fs::write(&file, b"CONTENT").unwrap();
    fs::File::options()
        .append(true)
        .open(&file)
        .unwrap()
        .set_modified(times)
        .unwrap();
    assert!(!is_sealed(), "its size and time are as they were");
    let error = storage.verify(&path, &digest).unwrap_err();
    assert!(matches!(error, VerifyError::Mismatch(_)), "{error:?}");
}
