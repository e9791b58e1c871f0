use std::net::SocketAddr;

use net_http::{ClientConfig, Clients, Environment, HeaderName, HeaderValue, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use std::time::SystemTime;

use super::*;

const NAME: &str = "abc.tar.gz";
const MODIFIED: &str = "Sat, 21 Nov 2026 00:03:54 GMT";

struct Running {
    directory: tempfile::TempDir,
    address: SocketAddr,
    switch: Switch,
    stop: Option<oneshot::Sender<()>>,
    ended: tokio::task::JoinHandle<()>,
}

async fn start(limits: Limits) -> Running {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("gitrepository/ns/app");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(NAME), "0123456789").unwrap();
    std::fs::write(folder.join("a b&c"), "x").unwrap();
    let file = std::fs::File::options()
        .write(true)
        .open(folder.join(NAME))
        .unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_219_434))
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let root = directory.path().to_owned();
    let switch = Switch::default();
    switch.set(true);
    let ended = tokio::spawn(serve(listener, root, switch.clone(), limits, async {
        stopped.await.ok();
    }));
    Running {
        directory,
        address,
        switch,
        stop: Some(stop),
        ended,
    }
}

/// Sends one request and returns the head in lower case, and the body.
async fn raw(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

async fn get(address: SocketAddr, path: &str, headers: &str) -> (String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    raw(address, &request).await
}

const PATH: &str = "/gitrepository/ns/app/abc.tar.gz";

#[tokio::test]
async fn file_is_sent_with_its_headers() {
    let server = start(Limits::default()).await;
    let (head, body) = get(server.address, PATH, "").await;
    assert_eq!(body, "0123456789");
    for line in [
        "http/1.1 200 ok",
        "accept-ranges: bytes",
        "content-length: 10",
        "content-type: application/gzip",
        &format!("last-modified: {}", MODIFIED.to_lowercase()),
        "date: ",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
}

/// Returns the tag of the file.
async fn etag(address: SocketAddr) -> String {
    let (head, _) = get(address, PATH, "").await;
    let mut lines = head.lines();
    let line = lines.find_map(|line| line.strip_prefix("etag: "));
    line.unwrap().to_owned()
}

#[tokio::test]
async fn tag_tells_files_apart_that_are_of_one_second() {
    let server = start(Limits::default()).await;
    let tag = etag(server.address).await;
    for (headers, status) in [
        (format!("If-None-Match: {tag}\r\n"), "304"),
        (format!("If-None-Match: \"x\", W/{tag}\r\n"), "304"),
        ("If-None-Match: *\r\n".to_owned(), "304"),
        (
            format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {MODIFIED}\r\n"),
            "200",
        ),
        (format!("If-Match: {tag}\r\n"), "200"),
        ("If-Match: \"x\"\r\n".to_owned(), "412"),
        (format!("Range: bytes=0-3\r\nIf-Range: {tag}\r\n"), "206"),
        ("Range: bytes=0-3\r\nIf-Range: \"x\"\r\n".to_owned(), "200"),
    ] {
        let (head, _) = get(server.address, PATH, &headers).await;
        let start = format!("http/1.1 {status}");
        assert!(head.starts_with(&start), "{headers}: {head}");
        assert!(status == "412" || head.contains(&tag), "{headers}: {head}");
    }
    // The same length and second, and another file.
    let file = server.directory.path().join(&PATH[1..]);
    let modified = std::fs::metadata(&file).unwrap().modified().unwrap();
    let other = file.with_file_name("other");
    std::fs::write(&other, "9876543210").unwrap();
    let opened = std::fs::File::options().write(true).open(&other).unwrap();
    opened.set_modified(modified).unwrap();
    std::fs::rename(&other, &file).unwrap();
    assert_ne!(etag(server.address).await, tag);
}

#[tokio::test]
async fn nothing_is_handed_out_while_the_switch_is_off() {
    let server = start(Limits::default()).await;
    server.switch.set(false);
    for path in ["/", PATH] {
        let (head, _) = get(server.address, path, "").await;
        assert!(head.starts_with("http/1.1 503"), "{head}");
    }
    server.switch.set(true);
    assert_eq!(get(server.address, PATH, "").await.1, "0123456789");
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let server = start(Limits::default()).await;
    let request = format!("HEAD {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let (head, body) = raw(server.address, &request).await;
    assert!(
        head.starts_with("http/1.1 200 ok") && head.contains("content-length: 10"),
        "{head}"
    );
    assert_eq!(body, "");
}

#[tokio::test]
async fn conditional_requests_compare_seconds() {
    let server = start(Limits::default()).await;
    let condition = |header: &str, date: &str| format!("{header}: {date}\r\n");
    let earlier = "Sat, 21 Nov 2026 00:03:53 GMT";
    for (header, date, status) in [
        ("If-Modified-Since", MODIFIED, "304"),
        ("If-Modified-Since", earlier, "200"),
        ("If-Modified-Since", "nonsense", "200"),
        ("If-None-Match", "\"x\"", "200"),
        ("If-Unmodified-Since", earlier, "412"),
        ("If-Unmodified-Since", MODIFIED, "200"),
    ] {
        let (head, body) = get(server.address, PATH, &condition(header, date)).await;
        assert!(
            head.starts_with(&format!("http/1.1 {status}")),
            "{header} {date}: {head}"
        );
        assert_eq!(body.is_empty(), status != "200");
    }
}

#[tokio::test]
async fn ranges_give_parts() {
    let server = start(Limits::default()).await;
    for (range, status, part, content_range) in [
        ("bytes=0-3", 206, "0123", "bytes 0-3/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=-2", 206, "89", "bytes 8-9/10"),
        ("bytes=-20", 206, "0123456789", "bytes 0-9/10"),
        ("bytes=5-100", 206, "56789", "bytes 5-9/10"),
        ("bytes=0-0,2-3", 200, "0123456789", ""),
        (
            "bytes=10-",
            416,
            "invalid range: failed to overlap\n",
            "bytes */10",
        ),
        ("bytes=5-2", 416, "invalid range\n", "bytes */10"),
        ("lines=1-2", 416, "invalid range\n", "bytes */10"),
        ("bytes=x", 416, "invalid range\n", "bytes */10"),
    ] {
        let (head, body) = get(server.address, PATH, &format!("Range: {range}\r\n")).await;
        assert!(
            head.starts_with(&format!("http/1.1 {status}")),
            "{range}: {head}"
        );
        assert_eq!(body, part, "{range}");
        assert!(
            content_range.is_empty() || head.contains(content_range),
            "{range}: {head}"
        );
    }
    let stale = "Range: bytes=0-3\r\nIf-Range: Sat, 21 Nov 2026 00:03:53 GMT\r\n";
    assert_eq!(get(server.address, PATH, stale).await.1, "0123456789");
    let fresh = format!("Range: bytes=0-3\r\nIf-Range: {MODIFIED}\r\n");
    assert_eq!(get(server.address, PATH, &fresh).await.1, "0123");
}

#[tokio::test]
async fn directories_are_listed_and_paths_redirected() {
    let server = start(Limits::default()).await;
    let (head, body) = get(server.address, "/gitrepository/ns/app/", "").await;
    assert!(
        head.contains("content-type: text/html; charset=utf-8"),
        "{head}"
    );
    assert_eq!(
        body,
        "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n\
         <a href=\"a%20b&c\">a b&amp;c</a>\n<a href=\"abc.tar.gz\">abc.tar.gz</a>\n</pre>\n"
    );
    for (path, status, to) in [
        ("/gitrepository/ns/app", 301, "app/"),
        ("/gitrepository/ns/app/abc.tar.gz/", 301, "../abc.tar.gz"),
        ("/gitrepository/index.html", 301, "./"),
        (
            "/gitrepository//ns/../ns/app/abc.tar.gz?x=1",
            307,
            "/gitrepository/ns/app/abc.tar.gz?x=1",
        ),
        ("/../../etc/passwd", 307, "/etc/passwd"),
    ] {
        let (head, _) = get(server.address, path, "").await;
        assert!(
            head.starts_with(&format!("http/1.1 {status}")),
            "{path}: {head}"
        );
        assert!(
            head.contains(&format!("location: {to}\r\n")),
            "{path}: {head}"
        );
    }
    let (head, body) = get(server.address, "/", "").await;
    assert!(
        head.starts_with("http/1.1 200") && body.contains("gitrepository/"),
        "{head}"
    );
}

#[tokio::test]
async fn what_is_not_there_or_outside_is_not_found() {
    let server = start(Limits::default()).await;
    let outside = server.directory.path().join("out");
    std::os::unix::fs::symlink("/etc/hostname", &outside).unwrap();
    let inside = server.directory.path().join("in");
    std::os::unix::fs::symlink("gitrepository/ns/app/abc.tar.gz", &inside).unwrap();
    for path in [
        "/none",
        "/gitrepository/ns/app/none.tar.gz",
        "/out",
        "/%00",
        "/%zz",
    ] {
        let (head, body) = get(server.address, path, "").await;
        assert!(head.starts_with("http/1.1 404"), "{path}: {head}");
        assert!(
            head.contains("x-content-type-options: nosniff"),
            "{path}: {head}"
        );
        assert_eq!(body, "404 page not found\n", "{path}");
    }
    assert_eq!(get(server.address, "/in", "").await.1, "0123456789");
}

/// covers: SC-051
#[tokio::test]
async fn answers_under_way_end_and_new_connections_are_refused() {
    let mut server = start(Limits::default()).await;
    let big = vec![7; 8 << 20];
    std::fs::write(server.directory.path().join("big"), &big).unwrap();
    let clients = Clients::new("test", Environment::default());
    let client = clients.get(&ClientConfig::default()).unwrap();
    let request = net_http::Request::new(Method::GET, format!("http://{}/big", server.address))
        .header(
            HeaderName::from_static("connection"),
            HeaderValue::from_static("close"),
        );
    let answer = client.send(request).await.unwrap();
    server.stop.take().unwrap().send(()).unwrap();
    tokio::task::yield_now().await;
    assert_eq!(answer.bytes(16 << 20).await.unwrap().len(), big.len());
    server.ended.await.unwrap();
    TcpStream::connect(server.address).await.unwrap_err();
}

#[tokio::test]
async fn slow_heads_and_endless_answers_are_cut_off() {
    let limits = Limits {
        header_timeout: Duration::from_millis(50),
        drain: Duration::from_millis(50),
        ..Limits::default()
    };
    let mut server = start(limits).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.ok();

    std::fs::write(server.directory.path().join("big"), vec![7; 32 << 20]).unwrap();
    let mut stuck = TcpStream::connect(server.address).await.unwrap();
    stuck
        .write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    stuck.read_exact(&mut [0; 100]).await.unwrap();
    server.stop.take().unwrap().send(()).unwrap();
    server.ended.await.unwrap();
}

#[tokio::test]
async fn no_more_connections_are_served_than_allowed() {
    let limits = Limits {
        max_connections: 1,
        ..Limits::default()
    };
    let server = start(limits).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first
        .write_all(format!("GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
        .await
        .unwrap();
    first.read_exact(&mut [0; 12]).await.unwrap();
    let second = get(server.address, PATH, "");
    let mut second = std::pin::pin!(second);
    let waited = tokio::time::timeout(Duration::from_millis(100), &mut second).await;
    assert!(waited.is_err(), "the second connection waits");
    drop(first);
    assert_eq!(second.await.1, "0123456789");
}
