//! A registry that does what registries should not, by the name of the repository.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// How many tags repository `huge` has.
pub(crate) const HUGE: usize = 100_000;

pub(crate) struct OddRegistry {
    address: SocketAddr,
    asked: Asked,
}

type Asked = Arc<Mutex<HashMap<String, usize>>>;

impl OddRegistry {
    pub(crate) async fn start() -> Self {
        let asked = Asked::default();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&asked));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, asked }
    }

    pub(crate) fn image(&self, repository: &str) -> String {
        format!("{}/{repository}", self.address)
    }

    /// How often a repository was asked for its tags.
    pub(crate) fn asked(&self, repository: &str) -> usize {
        *self.asked.lock().unwrap().get(repository).unwrap_or(&0)
    }
}

async fn answer(State(asked): State<Asked>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if path.starts_with("/v2/slow/manifests/") {
        return std::future::pending().await;
    }
    let inner = path.strip_prefix("/v2/");
    let Some(repository) = inner.and_then(|path| path.strip_suffix("/tags/list")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let count = {
        let mut asked = asked.lock().unwrap();
        let count = asked.entry(repository.to_owned()).or_default();
        *count += 1;
        *count
    };
    let tags = |tags: Vec<String>| json!({ "name": repository, "tags": tags }).to_string();
    let linked = |to: String, text: String| ([("link", format!("<{to}>; rel=\"next\""))], text);
    match repository {
        "hangs" => std::future::pending().await,
        "drips" => drip(),
        "lies" => "<html>Welcome!</html>".into_response(),
        "mistypes" => json!({ "tags": [1, { "a": 2 }] })
            .to_string()
            .into_response(),
        "circles" => {
            let other = if count.is_multiple_of(2) { "a" } else { "b" };
            linked(format!("{path}?last={other}"), tags(vec!["1.0.0".into()])).into_response()
        }
        "endless" => linked(
            format!("{path}?last={count}"),
            tags((0..1000).map(|n| format!("{count}.0.{n}")).collect()),
        )
        .into_response(),
        "elsewhere" => linked(
            "http://169.254.169.254/v2/x/tags/list".into(),
            tags(Vec::new()),
        )
        .into_response(),
        "limits" if count <= 2 => {
            let body = json!({ "errors": [{ "code": "TOOMANYREQUESTS", "message": "slow down" }] });
            (
                StatusCode::TOO_MANY_REQUESTS,
                [("retry-after", "2")],
                body.to_string(),
            )
                .into_response()
        }
        "huge" => tags((0..HUGE).map(|n| format!("1.0.{n}")).collect()).into_response(),
        "empty" => json!({ "tags": null }).to_string().into_response(),
        _ => tags(vec!["1.0.0".into()]).into_response(),
    }
}

/// A body that never ends.
fn drip() -> Response {
    let drops = futures::stream::unfold(0_u32, |n| async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let drop = if n == 0 { "{\"tags\":[" } else { "\"1.0.0\"," };
        Some((Ok::<_, std::io::Error>(drop), n + 1))
    });
    Body::from_stream(drops).into_response()
}
