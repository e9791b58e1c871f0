//! One request, one answer.

use std::path::Path;

use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use http::{HeaderMap, Request, Response, StatusCode};

use super::file;
use super::path::{Target, encode, target};

const TEXT: &str = "text/plain; charset=utf-8";

/// Answers a request for a file or a listing below `root`. Every method is answered like GET, HEAD without the body.
pub async fn answer<B>(root: &Path, request: &Request<B>) -> Response<Body> {
    let mut response = match target(request.uri().path()) {
        Target::Nothing => not_found(),
        Target::Redirect(to) => {
            let query = request.uri().query().map(|query| format!("?{query}"));
            redirect(
                StatusCode::TEMPORARY_REDIRECT,
                &(to + &query.unwrap_or_default()),
            )
        }
        Target::Path { path, slash } => look_up(root, &path, slash, request.headers()).await,
    };
    if request.method() == http::Method::HEAD {
        // The length stays in its header: hyper sends no body to HEAD.
        *response.body_mut() = Body::empty();
    }
    response
}

async fn look_up(root: &Path, path: &str, slash: bool, headers: &HeaderMap) -> Response<Body> {
    if !slash && (path == "index.html" || path.ends_with("/index.html")) {
        return redirect(StatusCode::MOVED_PERMANENTLY, "./");
    }
    let (root, wanted) = (root.to_owned(), root.join(path));
    let found = tokio::task::spawn_blocking(move || file::look_up(&root, &wanted)).await;
    let last = path.rsplit('/').next().unwrap_or_default();
    match found {
        Ok(Ok(file::Found::File(file))) if slash => {
            drop(file);
            redirect(
                StatusCode::MOVED_PERMANENTLY,
                &format!("../{}", encode(last)),
            )
        }
        Ok(Ok(file::Found::File(file))) => file::send(file, last, headers),
        Ok(Ok(file::Found::Directory(_))) if !slash => {
            redirect(StatusCode::MOVED_PERMANENTLY, &format!("{}/", encode(last)))
        }
        Ok(Ok(file::Found::Directory(directory))) => file::list(&directory, headers),
        Ok(Err(error)) => match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => not_found(),
            std::io::ErrorKind::PermissionDenied => plain(StatusCode::FORBIDDEN, "403 Forbidden\n"),
            _ => plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "500 Internal Server Error\n",
            ),
        },
        Err(_) => plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "500 Internal Server Error\n",
        ),
    }
}

/// Says that another replica has to be asked.
pub(super) fn unavailable() -> Response<Body> {
    plain(
        StatusCode::SERVICE_UNAVAILABLE,
        "503 not every artifact is here\n",
    )
}

fn not_found() -> Response<Body> {
    plain(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// Returns an answer that is a line of text.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    response
}

fn redirect(status: StatusCode, to: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}
