//! Runs `git http-backend` for one request, as a web server runs a CGI program (RFC 3875).

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

/// The largest pack that a test may push.
const MAX_REQUEST_BYTES: usize = 256 * 1024 * 1024;
const CHUNK_BYTES: usize = 32 * 1024;

/// Answers `request` from the repositories under `root`. With `cut`, a pack ends after so many bytes, and so does the
/// connection.
pub(super) async fn run(root: &Path, request: Request, cut: Option<usize>) -> Response {
    match try_run(root, request, cut).await {
        Ok(response) => response,
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}

async fn try_run(root: &Path, request: Request, cut: Option<usize>) -> Result<Response> {
    let cut = cut.filter(|_| request.uri().path().ends_with("/git-upload-pack"));
    let mut child = command(root, &request)
        .spawn()
        .context("starting git http-backend")?;
    let input = to_bytes(request.into_body(), MAX_REQUEST_BYTES)
        .await
        .context("reading the request")?;
    let mut stdin = child.stdin.take().context("no input of git http-backend")?;
    // Beside the reading: the program may answer before it has read everything.
    tokio::spawn(async move {
        // It may also end early, and says so in its answer.
        stdin.write_all(&input).await.ok();
    });
    let mut output = BufReader::new(
        child
            .stdout
            .take()
            .context("no output of git http-backend")?,
    );
    let mut response = Response::new(Body::empty());
    read_headers(&mut output, &mut response).await?;
    *response.body_mut() = body(child, output, cut);
    Ok(response)
}

fn command(root: &Path, request: &Request) -> Command {
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    };
    let mut command = Command::new("git");
    super::repository::isolate(command.as_std_mut(), root);
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", request.uri().path())
        .env("QUERY_STRING", request.uri().query().unwrap_or(""))
        .env("REQUEST_METHOD", request.method().as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_USER", "test")
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn read_headers(output: &mut BufReader<ChildStdout>, response: &mut Response) -> Result<()> {
    loop {
        let mut line = String::new();
        output
            .read_line(&mut line)
            .await
            .context("reading the headers of git http-backend")?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            return Ok(());
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or_default();
            *response.status_mut() = code
                .parse()
                .context("reading the status of git http-backend")?;
        } else {
            let name: HeaderName = name
                .parse()
                .context("reading a header of git http-backend")?;
            response
                .headers_mut()
                .insert(name, HeaderValue::from_str(value)?);
        }
    }
}

fn body(child: Child, output: BufReader<ChildStdout>, cut: Option<usize>) -> Body {
    // The child is part of the state: it ends when the client goes away.
    let state = (child, output, cut.unwrap_or(usize::MAX));
    Body::from_stream(stream::try_unfold(
        state,
        |(child, mut output, left)| async move {
            if left == 0 {
                return Err(std::io::Error::other("cut, as the test asked"));
            }
            let mut chunk = vec![0; CHUNK_BYTES.min(left)];
            let length = output.read(&mut chunk).await?;
            if length == 0 {
                return Ok(None);
            }
            chunk.truncate(length);
            Ok(Some((
                Bytes::from(chunk),
                (child, output, left.saturating_sub(length)),
            )))
        },
    ))
}
