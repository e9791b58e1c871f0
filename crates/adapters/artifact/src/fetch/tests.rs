use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State as Shared;
use axum::http::StatusCode as Code;
use kustomize::file_tree::Kind;
use kustomize::{FileTree, TreeError};
use net_http::{ClientConfig, Clients, Environment};

use super::*;
use crate::archive::ArchiveWriter;
use crate::digest::Algorithm;

/// Answers with each of the given answers in turn, the last one from then on.
#[derive(Clone)]
struct Script {
    answers: Arc<Vec<(Code, Vec<u8>)>>,
    asked: Arc<AtomicUsize>,
}

async fn serve(answers: Vec<(Code, Vec<u8>)>) -> (SocketAddr, Arc<AtomicUsize>) {
    let script = Script {
        answers: Arc::new(answers),
        asked: Arc::default(),
    };
    let asked = Arc::clone(&script.asked);
    let router = Router::new()
        .fallback(|Shared(script): Shared<Script>| async move {
            let at = script.asked.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
            script.answers[at.min(script.answers.len() - 1)].clone()
        })
        .with_state(script);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, asked)
}

fn cache(config: FetchConfig) -> ArtifactCache {
    let clients = Clients::new("test", Environment::default());
    ArtifactCache::new(clients.get(&ClientConfig::default()).unwrap(), config)
}

fn quick() -> FetchConfig {
    FetchConfig {
        wait_min: Duration::from_millis(1),
        retries: 2,
        ..FetchConfig::default()
    }
}

fn digest_of(bytes: &[u8]) -> String {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(bytes);
    hasher.finish().to_string()
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = ArchiveWriter::new(Vec::new());
    archive.directory(b".").unwrap();
    for (name, content) in files {
        archive
            .file(
                name.as_bytes(),
                false,
                content.len() as u64,
                content.as_bytes(),
            )
            .unwrap();
    }
    archive.finish().unwrap()
}

/// An archive with one entry whose header `change` may spoil.
fn odd_archive(name: &[u8], change: impl FnOnce(&mut tar::Header)) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_ustar_mut().unwrap().name[..name.len()].copy_from_slice(name);
    header.set_size(0);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::Regular);
    change(&mut header);
    header.set_cksum();
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    tar.append(&header, &b""[..]).unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}

fn unpack(archive: &[u8], bounds: Bounds) -> Result<ArtifactTree, String> {
    ArtifactTree::unpack(archive, &std::env::temp_dir(), bounds)
        .map_err(|error| net_http::chain(&error))
}

#[tokio::test]
async fn artifact_is_downloaded_once_and_readable() {
    let bytes = archive(&[("a/b.yaml", "x: 1"), ("top", "t"), ("a-b", "")]);
    let digest = digest_of(&bytes);
    let (address, asked) = serve(vec![(Code::OK, bytes)]).await;
    let (cache, url) = (cache(quick()), format!("http://{address}/x"));
    let (one, two, three) = tokio::join!(
        cache.get(&url, &digest),
        cache.get(&url, &digest),
        cache.get(&url, &digest)
    );
    let tree = one.unwrap();
    assert!(Arc::ptr_eq(&tree, &two.unwrap()) && Arc::ptr_eq(&tree, &three.unwrap()));
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    assert_eq!(&*tree.read("a/b.yaml").unwrap(), b"x: 1");
    assert_eq!(&*tree.read("a-b").unwrap(), b"");
    assert_eq!(tree.mode("top"), Some(0o600));
    assert_eq!(tree.stat("a"), Some(Kind::Directory));
    assert_eq!(tree.stat(""), Some(Kind::Directory));
    assert_eq!(tree.stat("a/b"), None);
    let names = |dir: &str| -> Vec<String> {
        tree.list(dir)
            .unwrap()
            .into_iter()
            .map(|entry| entry.name)
            .collect()
    };
    assert_eq!(names(""), ["a", "a-b", "top"]);
    assert_eq!(names("a"), ["b.yaml"]);
    assert_eq!(tree.files().collect::<Vec<_>>(), ["a-b", "a/b.yaml", "top"]);
    assert!(matches!(tree.read("a"), Err(TreeError::NotAFile { .. })));
    assert!(matches!(
        tree.list("top"),
        Err(TreeError::NotADirectory { .. })
    ));
    assert!(matches!(tree.read("none"), Err(TreeError::NotFound { .. })));
}

#[tokio::test]
async fn truncated_or_tampered_archive_is_refused_by_its_digest() {
    let bytes = archive(&[("a", "content")]);
    let digest = digest_of(&bytes);
    let mut tampered = bytes.clone();
    tampered[12] ^= 1;
    for wrong in [bytes[..bytes.len() - 1].to_vec(), tampered, Vec::new()] {
        let (address, asked) = serve(vec![(Code::OK, wrong)]).await;
        let error = cache(quick())
            .get(&format!("http://{address}/"), &digest)
            .await
            .unwrap_err();
        assert_eq!(
            net_http::chain(&error),
            format!(
                "failed to verify archive: computed digest doesn't match provided '{digest}' \
                 (check whether file size exceeds max download size)"
            )
        );
        assert_eq!(asked.load(Ordering::SeqCst), 1, "it is not asked for again");
    }
}

#[tokio::test]
async fn missing_artifact_is_told_apart_and_not_retried() {
    let (address, asked) = serve(vec![(Code::NOT_FOUND, Vec::new())]).await;
    let error = cache(quick())
        .get(&format!("http://{address}/"), &digest_of(b""))
        .await;
    assert!(matches!(error, Err(FetchError::NotFound)));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn server_errors_are_retried() {
    let bytes = archive(&[]);
    let digest = digest_of(&bytes);
    let (address, asked) = serve(vec![
        (Code::BAD_GATEWAY, Vec::new()),
        (Code::TOO_MANY_REQUESTS, Vec::new()),
        (Code::OK, bytes),
    ])
    .await;
    cache(quick())
        .get(&format!("http://{address}/"), &digest)
        .await
        .unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 3);

    let (address, asked) = serve(vec![(Code::SERVICE_UNAVAILABLE, Vec::new())]).await;
    let url = format!("http://user:secret@{address}/x");
    let error = cache(quick()).get(&url, &digest).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "failed to download archive from http://{address}/x (status: 503 Service Unavailable)"
        )
    );
    assert_eq!(asked.load(Ordering::SeqCst), 3);

    let (address, asked) = serve(vec![(Code::FORBIDDEN, Vec::new())]).await;
    cache(quick())
        .get(&format!("http://{address}/"), &digest)
        .await
        .unwrap_err();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn refused_connection_is_retried_and_named() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let error = cache(quick())
        .get(&format!("http://{closed}/"), &digest_of(b""))
        .await;
    let text = net_http::chain(&error.unwrap_err());
    assert!(
        text.starts_with("failed to download archive: cannot connect to 127.0.0.1:"),
        "{text}"
    );
}

#[tokio::test]
async fn digests_that_are_none_are_refused_before_any_request() {
    let cache = cache(quick());
    for (digest, expected) in [
        ("", "failed to verify archive: empty digest"),
        (
            "md5:abc",
            "failed to verify archive: failed to parse digest 'md5:abc': unsupported digest algorithm: md5",
        ),
    ] {
        let error = cache.get("http://127.0.0.1:1/", digest).await.unwrap_err();
        assert_eq!(net_http::chain(&error), expected);
    }
}

#[tokio::test]
async fn archives_over_the_limit_are_refused() {
    let bytes = vec![0; 100];
    let digest = digest_of(&bytes);
    let (address, _) = serve(vec![(Code::OK, bytes)]).await;
    let config = FetchConfig {
        max_archive_bytes: 99,
        ..quick()
    };
    let error = cache(config)
        .get(&format!("http://{address}/"), &digest)
        .await;
    assert!(matches!(error, Err(FetchError::TooLarge { max_bytes: 99 })));
}

#[tokio::test]
async fn of_each_source_the_newest_is_kept_and_of_all_so_many() {
    let archives = ["0", "1", "2", "3"].map(|text| archive(&[("a", text)]));
    let digests = archives.each_ref().map(|bytes| digest_of(bytes));
    let (address, asked) = serve(archives.map(|bytes| (Code::OK, bytes)).to_vec()).await;
    let cache = cache(FetchConfig {
        kept_trees: 2,
        ..quick()
    });
    let get = async |source: &str, at: usize| {
        let url = format!("http://{address}/{source}/{at}");
        drop(cache.get(&url, &digests[at]).await.unwrap());
        let state = cache.state();
        let oldest = state.kept[0].digest.to_string();
        let oldest = digests.iter().position(|digest| *digest == oldest);
        (state.kept.len(), oldest.unwrap())
    };
    assert_eq!(get("one", 0).await, (1, 0));
    assert_eq!(get("one", 1).await, (1, 1));
    assert_eq!(get("two", 2).await, (2, 1));
    assert_eq!(get("three", 3).await, (2, 2));
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn what_is_kept_is_bounded_and_what_is_in_use_stays() {
    let (one, two) = (
        archive(&[("a", "0123456789")]),
        archive(&[("b", "0123456789")]),
    );
    let digests = [digest_of(&one), digest_of(&two)];
    let (address, asked) = serve(vec![
        (Code::OK, one.clone()),
        (Code::OK, two),
        (Code::OK, one),
    ])
    .await;
    let urls = ["one", "two"].map(|source| format!("http://{address}/{source}/x"));
    let cache = cache(FetchConfig {
        kept_bytes: 15,
        ..quick()
    });
    let first = cache.get(&urls[0], &digests[0]).await.unwrap();
    let _second = cache.get(&urls[1], &digests[1]).await.unwrap();
    assert_eq!(&*first.read("a").unwrap(), b"0123456789");
    let again = cache.get(&urls[0], &digests[0]).await.unwrap();
    assert!(
        Arc::ptr_eq(&first, &again),
        "in use, so it is not fetched again"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    drop((first, again));
    cache.get(&urls[0], &digests[0]).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[test]
fn entries_that_lead_out_or_are_special_are_refused() {
    for name in ["/etc/passwd", "../x", "a/../../x", "a/..", "a\\b", ".."] {
        let text = unpack(&odd_archive(name.as_bytes(), |_| ()), Bounds::default()).unwrap_err();
        assert_eq!(text, format!("tar contained invalid name error {name:?}"));
    }
    for kind in [
        tar::EntryType::Link,
        tar::EntryType::Char,
        tar::EntryType::Fifo,
    ] {
        let bytes = odd_archive(b"x", |header| header.set_entry_type(kind));
        let text = unpack(&bytes, Bounds::default()).unwrap_err();
        assert!(
            text.starts_with("tar file entry x contained unsupported file type"),
            "{text}"
        );
    }
}

#[test]
fn symbolic_links_are_left_out() {
    let bytes = odd_archive(b"link", |header| {
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_link_name("/etc/passwd").unwrap();
    });
    let tree = unpack(&bytes, Bounds::default()).unwrap();
    assert_eq!(tree.stat("link"), None);
    assert_eq!(tree.files().count(), 0);
}

#[test]
fn one_name_for_file_and_directory_is_refused() {
    for files in [[("a", "x"), ("a/b", "y")], [("a/b", "y"), ("a", "x")]] {
        let text = unpack(&archive(&files), Bounds::default()).unwrap_err();
        assert!(
            text.starts_with("tar contained invalid name error"),
            "{text}"
        );
    }
    let tree = unpack(&archive(&[("a", "old"), ("a", "new")]), Bounds::default()).unwrap();
    assert_eq!(&*tree.read("a").unwrap(), b"new");
}

#[test]
fn archive_bombs_are_bounded() {
    let zeros = "0".repeat(2_000_000);
    let bomb = archive(&[("a", &zeros), ("b", &zeros)]);
    assert!(bomb.len() < 20_000);
    let few_bytes = Bounds {
        max_bytes: 3_000_000,
        ..Bounds::default()
    };
    assert_eq!(
        unpack(&bomb, few_bytes).unwrap_err(),
        "archive holds more than 3000000 bytes"
    );
    let few_entries = Bounds {
        max_entries: 2,
        ..Bounds::default()
    };
    assert_eq!(
        unpack(&bomb, few_entries).unwrap_err(),
        "archive holds more than 2 entries"
    );
    let small_files = Bounds {
        max_file_bytes: 100,
        ..Bounds::default()
    };
    let tree = unpack(&bomb, small_files).unwrap();
    assert!(matches!(tree.read("a"), Err(TreeError::TooLarge { .. })));
}

#[test]
fn texts_that_are_no_archive_are_refused() {
    for bytes in [&b"no gzip"[..], &archive(&[("a", "0123456789")])[..40]] {
        assert!(
            unpack(bytes, Bounds::default())
                .unwrap_err()
                .starts_with("archive cannot be read")
        );
    }
}
