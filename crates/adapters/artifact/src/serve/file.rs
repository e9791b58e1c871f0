//! Files and listings: conditional requests, ranges, and bytes as a stream.

use std::fmt::Write;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use bytes::Bytes;
use futures::Stream;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::answer::plain;
use super::path::encode;

/// How much is read at once.
const CHUNK: u64 = 64 << 10;

/// What stands at a path.
pub(super) enum Found {
    File(Opened),
    Directory(Listed),
}

/// A regular file, open.
pub(super) struct Opened {
    file: File,
    size: u64,
    modified: Timestamp,
    /// What no other content has had at this path.
    etag: String,
}

/// A directory and what it holds.
pub(super) struct Listed {
    /// Names, those of directories with a slash at the end.
    names: Vec<String>,
    modified: Timestamp,
}

/// Opens what stands at `wanted`. Symbolic links are followed as long as they stay below `root`.
pub(super) fn look_up(root: &Path, wanted: &Path) -> io::Result<Found> {
    let real = wanted.canonicalize()?;
    if !real.starts_with(root.canonicalize()?) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file = File::open(&real)?;
    let about = file.metadata()?;
    let modified = whole_seconds(about.modified()?);
    if about.is_file() {
        return Ok(Found::File(Opened {
            file,
            size: about.len(),
            modified,
            etag: etag(&about),
        }));
    }
    if !about.is_dir() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut names = Vec::new();
    for entry in real.read_dir()? {
        let entry = entry?;
        let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
        names.push(format!("{}{slash}", entry.file_name().to_string_lossy()));
    }
    names.sort();
    Ok(Found::Directory(Listed { names, modified }))
}

/// A file is never written in place: another one is renamed over it, with a number and time of its own.
fn etag(about: &Metadata) -> String {
    format!(
        "\"{:x}-{:x}.{:x}-{:x}\"",
        about.ino(),
        about.mtime(),
        about.mtime_nsec(),
        about.len()
    )
}

fn whole_seconds(time: SystemTime) -> Timestamp {
    let seconds = Timestamp::try_from(time).map(Timestamp::as_second);
    seconds
        .and_then(Timestamp::from_second)
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

fn date(time: Timestamp) -> Option<HeaderValue> {
    let text = rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&time)
        .ok()?;
    HeaderValue::try_from(text).ok()
}

fn asked_date(headers: &HeaderMap, name: HeaderName) -> Option<Timestamp> {
    let text = headers.get(name)?.to_str().ok()?;
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

fn is_unmodified(headers: &HeaderMap, modified: Timestamp) -> bool {
    asked_date(headers, header::IF_MODIFIED_SINCE).is_some_and(|since| modified <= since)
}

/// Says whether a list of tags names this one, or any. `weak`: whether a tag that is marked as weak counts.
fn names_tag(headers: &HeaderMap, name: HeaderName, etag: &str, weak: bool) -> Option<bool> {
    let text = headers.get(name)?.to_str().unwrap_or_default();
    Some(text.split(',').map(str::trim).any(|each| {
        let bare = each.strip_prefix("W/").filter(|_| weak).unwrap_or(each);
        each == "*" || bare == etag
    }))
}

fn not_modified(modified: Timestamp) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    if let Some(date) = date(modified) {
        response.headers_mut().insert(header::LAST_MODIFIED, date);
    }
    response
}

/// Answers with a file or the part of it that is asked for.
pub(super) fn send(opened: Opened, name: &str, headers: &HeaderMap) -> Response<Body> {
    let Opened {
        file,
        size,
        modified,
        etag,
    } = opened;
    let tag = HeaderValue::try_from(etag.as_str());
    let unmodified_since = asked_date(headers, header::IF_UNMODIFIED_SINCE);
    let holds = names_tag(headers, header::IF_MATCH, &etag, false)
        .unwrap_or(unmodified_since.is_none_or(|since| modified <= since));
    if !holds {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::PRECONDITION_FAILED;
        return response;
    }
    // Where a tag is asked for, the time does not count.
    let known = names_tag(headers, header::IF_NONE_MATCH, &etag, true)
        .unwrap_or(is_unmodified(headers, modified));
    if known {
        let mut response = not_modified(modified);
        response
            .headers_mut()
            .extend(tag.map(|tag| (header::ETAG, tag)));
        return response;
    }
    let (status, start, length) = match range(headers, size, modified, &etag) {
        Range::Whole => (StatusCode::OK, 0, size),
        Range::Part { start, length } => (StatusCode::PARTIAL_CONTENT, start, length),
        Range::Bad(text) => {
            let mut response = plain(StatusCode::RANGE_NOT_SATISFIABLE, text);
            if let Ok(value) = HeaderValue::try_from(format!("bytes */{size}")) {
                response.headers_mut().insert(header::CONTENT_RANGE, value);
            }
            return response;
        }
    };
    let mut response = Response::new(Body::from_stream(stream(file, start, length)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.extend(tag.map(|tag| (header::ETAG, tag)));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, length.into());
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(content_type(name)),
    );
    if let Some(date) = date(modified) {
        headers.insert(header::LAST_MODIFIED, date);
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let end = (start + length).saturating_sub(1);
        if let Ok(value) = HeaderValue::try_from(format!("bytes {start}-{end}/{size}")) {
            headers.insert(header::CONTENT_RANGE, value);
        }
    }
    response
}

fn content_type(name: &str) -> &'static str {
    match Path::new(name)
        .extension()
        .and_then(|extension| extension.to_str())
    {
        Some("gz" | "tgz") => "application/gzip",
        Some("yaml" | "yml" | "lock" | "txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    Whole,
    Part { start: u64, length: u64 },
    Bad(&'static str),
}

/// Reads `Range` and `If-Range`. Several ranges at once are answered with the whole file, which the standard allows.
fn range(headers: &HeaderMap, size: u64, modified: Timestamp, etag: &str) -> Range {
    let Some(value) = headers.get(header::RANGE) else {
        return Range::Whole;
    };
    if headers
        .get(header::IF_RANGE)
        .is_some_and(|asked| asked != etag)
        && asked_date(headers, header::IF_RANGE) != Some(modified)
    {
        return Range::Whole;
    }
    let malformed = Range::Bad("invalid range\n");
    let beyond = Range::Bad("invalid range: failed to overlap\n");
    let Some(text) = value
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix("bytes="))
    else {
        return malformed;
    };
    if text.contains(',') {
        return Range::Whole;
    }
    let Some((first, last)) = text.trim().split_once('-') else {
        return malformed;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (
        first.is_empty(),
        number(first),
        last.is_empty(),
        number(last),
    ) {
        (true, _, false, Some(count)) => {
            let length = count.min(size);
            Range::Part {
                start: size - length,
                length,
            }
        }
        (false, Some(start), _, _)
            if start >= size && (last.is_empty() || number(last).is_some()) =>
        {
            beyond
        }
        (false, Some(start), true, _) => Range::Part {
            start,
            length: size - start,
        },
        (false, Some(start), false, Some(end)) if end >= start => Range::Part {
            start,
            length: end.min(size - 1) - start + 1,
        },
        _ => malformed,
    }
}

/// Reads a part of a file piece by piece, each on a thread that may block.
fn stream(file: File, start: u64, length: u64) -> impl Stream<Item = io::Result<Bytes>> {
    let file = Arc::new(file);
    futures::stream::try_unfold((start, length), move |(at, left)| {
        let file = Arc::clone(&file);
        async move {
            if left == 0 {
                return Ok(None);
            }
            let count = left.min(CHUNK);
            let read = move || {
                let mut piece = vec![0; usize::try_from(count).map_err(io::Error::other)?];
                file.read_exact_at(&mut piece, at).map(|()| piece)
            };
            let piece = tokio::task::spawn_blocking(read)
                .await
                .map_err(io::Error::other)??;
            Ok(Some((Bytes::from(piece), (at + count, left - count))))
        }
    })
}

/// Answers with a page that links to what a directory holds.
pub(super) fn list(listed: &Listed, headers: &HeaderMap) -> Response<Body> {
    if is_unmodified(headers, listed.modified) {
        return not_modified(listed.modified);
    }
    let mut page = String::from(
        "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n",
    );
    for name in &listed.names {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "<a href=\"{}\">{}</a>", encode(name), escape(name));
    }
    page.push_str("</pre>\n");
    let mut response = Response::new(Body::from(page));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    if let Some(date) = date(listed.modified) {
        headers.insert(header::LAST_MODIFIED, date);
    }
    response
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}
