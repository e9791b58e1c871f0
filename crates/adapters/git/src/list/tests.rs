use std::time::Duration;

use net_http::{Clients, Environment};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use crate::Limits;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn read(lines: &[&str]) -> Result<(Advertised, Vec<Ref>), Error> {
    let lines = lines
        .iter()
        .map(|line| Bytes::copy_from_slice(line.as_bytes()));
    advertised::read(lines.collect())
}

#[test]
fn references_tags_and_capabilities_are_read() {
    let (server, refs) = read(&[
        &format!("{A} HEAD\0shallow allow-tip-sha1-in-want agent=git/2\n"),
        &format!("{A} refs/heads/main\n"),
        &format!("{B} refs/tags/v1\n"),
        &format!("{A} refs/tags/v1^{{}}\n"),
    ])
    .unwrap();
    let names: Vec<_> = refs.iter().map(|each| each.name.as_str()).collect();
    assert_eq!(names, ["HEAD", "refs/heads/main", "refs/tags/v1"]);
    assert_eq!(refs[2].object, B);
    assert_eq!(refs[2].peeled.as_deref(), Some(A));
    assert!(server.can("shallow") && !server.can("filter"));
    assert_eq!(server.protocol, Protocol::V0);
}

#[test]
fn version_2_tells_what_it_can_and_lists_when_asked() {
    let (server, none) = read(&[
        "version 2\n",
        "agent=git/2\n",
        "ls-refs=unborn\n",
        "fetch=shallow wait-for-done filter\n",
        "object-format=sha1\n",
    ])
    .unwrap();
    assert_eq!((server.protocol, none), (Protocol::V2, Vec::new()));
    assert!(server.can("shallow") && server.can("side-band-64k") && !server.can("filter"));
    let request = String::from_utf8(list_refs(&server, &["refs/tags/".to_owned()])).unwrap();
    assert!(request.contains("object-format=sha1") && request.contains("ref-prefix refs/tags/"));
    let lines = [
        format!("{A} refs/heads/main\n"),
        "unborn HEAD symref-target:refs/heads/x\n".to_owned(),
        format!("{B} refs/tags/v1 peeled:{A}\n"),
        format!("{A} HEAD symref-target:refs/heads/main\n"),
    ];
    let listed = refs(lines.into_iter().map(Bytes::from).collect()).unwrap();
    assert_eq!(listed.len(), 3);
    assert_eq!(
        (listed[1].object.as_str(), listed[1].peeled.as_deref()),
        (B, Some(A))
    );
    assert!(refs(vec![Bytes::from("xyz refs/heads/main")]).is_err());
}

#[test]
fn empty_repository_has_no_reference() {
    let zero = "0".repeat(40);
    let (server, refs) = read(&[&format!("{zero} capabilities^{{}}\0shallow\n")]).unwrap();
    assert!(refs.is_empty() && server.can("shallow"));
    assert!(read(&[]).unwrap().1.is_empty());
}

#[test]
fn other_object_formats_are_refused_by_name() {
    let line = format!("{} HEAD\0object-format=sha256\n", "a".repeat(64));
    for lines in [&[line.as_str()][..], &["version 2", "object-format=sha256"]] {
        let error = read(lines).unwrap_err();
        assert_eq!(error.to_string(), "object format 'sha256' is not supported");
    }
}

#[test]
fn malformed_lines_are_refused() {
    for line in ["nonsense\n", "xyz HEAD\n", ""] {
        assert!(matches!(read(&[line]), Err(Error::NotGit(_))), "{line}");
    }
}

proptest::proptest! {
    #[test]
    fn any_lines_give_a_listing_or_an_error(lines in proptest::collection::vec(".{0,60}", 0..6)) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        drop(read(&lines));
        drop(refs(lines.iter().map(|line| Bytes::copy_from_slice(line.as_bytes())).collect()));
    }
}

/// Answers each request of a connection with what a server of version 2 says, and counts them. The end of an answer comes
/// later than the rest, or never.
async fn answer(
    mut connection: TcpStream,
    ends: bool,
    counted: mpsc::UnboundedSender<usize>,
) -> std::io::Result<()> {
    for count in 1.. {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(connection.read_u8().await?);
        }
        counted.send(count).ok();
        let head = String::from_utf8_lossy(&head).to_lowercase();
        let length = head.split("content-length: ").nth(1).map_or(0, |rest| {
            let digits = rest.split("\r\n").next();
            digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
        });
        connection.read_exact(&mut vec![0; length]).await?;
        let mut body = Vec::new();
        if head.starts_with("get ") {
            packet::put(&mut body, "version 2\n");
        } else {
            packet::put(&mut body, &format!("{A} refs/heads/main\n"));
        }
        packet::flush(&mut body);
        let (length, body) = (body.len(), String::from_utf8_lossy(&body));
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {ADVERTISEMENT}\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n"
        );
        connection.write_all(answer.as_bytes()).await?;
        if ends {
            tokio::time::sleep(Duration::from_millis(20)).await;
            connection.write_all(b"0\r\n\r\n").await?;
        }
    }
    Ok(())
}

/// Serves and returns a client, the server's repository, and how many requests a connection has had at each.
async fn served(
    ends: bool,
) -> (
    Git,
    tempfile::TempDir,
    Remote,
    mpsc::UnboundedReceiver<usize>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (counted, counts) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(answer(connection, ends, counted.clone()));
        }
    });
    let clients = Arc::new(Clients::new("test", Environment::default()));
    let folder = tempfile::tempdir().unwrap();
    let git = Git::new(clients, folder.path().to_owned(), Limits::default());
    let remote = Remote {
        url: format!("http://{address}/app.git"),
        ..Remote::default()
    };
    (git, folder, remote, counts)
}

#[tokio::test]
async fn connection_serves_many_listings() {
    let (git, _folder, remote, mut counts) = served(true).await;
    let deadline = Instant::now() + Duration::from_mins(1);
    // Now and then a request is sooner than the connection of the one before is free.
    let mut most = 0;
    while most < 4 {
        git.list(&remote, &[], deadline).await.unwrap();
        while let Ok(count) = counts.try_recv() {
            most = most.max(count);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn answer_without_an_end_is_one() {
    let (git, _folder, remote, _) = served(false).await;
    let deadline = Instant::now() + Duration::from_mins(1);
    let listing = git.list(&remote, &[], deadline).await.unwrap();
    assert_eq!(listing.refs[0].object, A);
}
