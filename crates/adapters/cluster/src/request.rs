//! One request, with bounded retries.

use std::time::Duration;

use kube::{
    Client,
    api::{DeleteParams, GetParams, Patch, PatchParams},
    core::Request,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Cluster, discovery::Resource, error::RequestError};

/// Waits between attempts; a request that fails after the last one has failed.
const BACKOFF: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(800),
    Duration::from_millis(1800),
];

/// How long one attempt may take: a little more than an API server gives a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(65);

/// The longest wait that the API server may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Where an object lives on the API server.
#[derive(Clone, Copy, Debug)]
pub struct Location<'a> {
    /// How its type is served.
    pub resource: &'a Resource,
    /// Its namespace; empty for what lives in none.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

impl Cluster {
    /// Reads an object; `None` when it does not exist.
    ///
    /// # Errors
    /// The API server's refusal, or no answer.
    pub async fn get(&self, at: &Location<'_>) -> Result<Option<Value>, RequestError> {
        let name = segment(at.name)?;
        let request = Request::new(at.resource.path(&segment(at.namespace)?))
            .get(&name, &GetParams::default())
            .map_err(|error| RequestError::Invalid(error.to_string()))?;
        match send(&self.client, request).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Patches an object and returns it as the API server stores it, or would.
    ///
    /// # Errors
    /// The API server's refusal, or no answer.
    pub async fn patch(
        &self,
        at: &Location<'_>,
        params: &PatchParams,
        patch: &Patch<&Value>,
    ) -> Result<Value, RequestError> {
        let name = segment(at.name)?;
        let request = Request::new(at.resource.path(&segment(at.namespace)?))
            .patch(&name, params, patch)
            .map_err(|error| RequestError::Invalid(error.to_string()))?;
        send(&self.client, request).await
    }

    /// Asks for an object's deletion.
    ///
    /// # Errors
    /// The API server's refusal, or no answer; an object that does not exist is one.
    pub async fn delete(
        &self,
        at: &Location<'_>,
        params: &DeleteParams,
    ) -> Result<(), RequestError> {
        let name = segment(at.name)?;
        let request = Request::new(at.resource.path(&segment(at.namespace)?))
            .delete(&name, params)
            .map_err(|error| RequestError::Invalid(error.to_string()))?;
        send::<Value>(&self.client, request).await.map(drop)
    }
}

/// Sends a request; tries again while the failure is transient and attempts are left.
///
/// Every request this crate makes can be repeated: an apply states the whole outcome, a patch of
/// managed fields and a delete state what they expect to find.
pub(crate) async fn send<T: DeserializeOwned>(
    client: &Client,
    request: http::Request<Vec<u8>>,
) -> Result<T, RequestError> {
    let mut waits = BACKOFF.iter();
    loop {
        let answer = client.request::<T>(request.clone());
        let error = match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => RequestError::from(error),
            Err(_) => return Err(RequestError::Timeout(REQUEST_TIMEOUT)),
        };
        match waits.next() {
            Some(wait) if error.is_transient() => {
                tokio::time::sleep(retry_after(&error).unwrap_or(*wait)).await;
            }
            _ => return Err(error),
        }
    }
}

/// Reads how long the API server asks to wait, within bounds.
fn retry_after(error: &RequestError) -> Option<Duration> {
    let RequestError::Status(status) = error else {
        return None;
    };
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)).min(MAX_RETRY_AFTER))
}

/// Encodes a name as one URL path segment.
///
/// # Errors
/// Names that would reach another path; no object can have one. The words are those of client-go.
pub(crate) fn segment(name: &str) -> Result<String, RequestError> {
    let refuse = |what: String| {
        Err(RequestError::Invalid(format!(
            "invalid resource name \"{name}\": [{what}]"
        )))
    };
    if name == "." || name == ".." {
        return refuse(format!("may not be '{name}'"));
    }
    if let Some(c) = ['/', '%'].into_iter().find(|c| name.contains(*c)) {
        return refuse(format!("may not contain '{c}'"));
    }
    let encode = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    Ok(name.bytes().map(encode).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use http::{Request as HttpRequest, Response};
    use kube::client::Body;
    use serde_json::json;

    use super::*;

    /// Answers with the statuses of `script` in turn, the last one from then on; 0 hangs up.
    fn server(script: &'static [(u16, u32)]) -> (Client, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let service = tower::service_fn(move |_: HttpRequest<Body>| {
            let turn = counter.fetch_add(1, Ordering::SeqCst).min(script.len() - 1);
            let (code, retry_after) = script[turn];
            async move {
                if code == 0 {
                    return Err(std::io::Error::other("connection reset"));
                }
                let body = json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "code": code,
                    "status": if code < 300 { "Success" } else { "Failure" },
                    "message": "no", "reason": "x", "details": {"retryAfterSeconds": retry_after},
                });
                let body = Body::from(body.to_string().into_bytes());
                Ok(Response::builder().status(code).body(body).unwrap())
            }
        });
        (Client::new(service, "default"), asked)
    }

    async fn ask(script: &'static [(u16, u32)]) -> (Result<Value, RequestError>, usize, Duration) {
        let (client, asked) = server(script);
        let started = tokio::time::Instant::now();
        let request = HttpRequest::get("/x").body(Vec::new()).unwrap();
        let result = send::<Value>(&client, request).await;
        (result, asked.load(Ordering::SeqCst), started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn passing_failures_are_tried_again() {
        for code in [429, 502, 503, 504, 0] {
            let script: &'static [(u16, u32)] = match code {
                429 => &[(429, 0), (429, 0), (200, 0)],
                502 => &[(502, 0), (502, 0), (200, 0)],
                503 => &[(503, 0), (503, 0), (200, 0)],
                504 => &[(504, 0), (504, 0), (200, 0)],
                _ => &[(0, 0), (0, 0), (200, 0)],
            };
            let (result, asked, _) = ask(script).await;
            assert!(result.is_ok(), "{code}");
            assert_eq!(asked, 3, "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_not_tried_again() {
        for script in [
            &[(409, 0)],
            &[(422, 0)],
            &[(403, 0)],
            &[(404, 0)],
            &[(500, 0)],
        ] {
            let (result, asked, _) = ask(script).await;
            assert_eq!((result.unwrap_err().code(), asked), (script[0].0, 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_and_waits_are_bounded() {
        let (result, asked, took) = ask(&[(503, 0)]).await;
        assert!(result.unwrap_err().is_transient());
        assert_eq!((asked, took), (5, Duration::from_secs(3)));
        let (_, asked, took) = ask(&[(429, 2)]).await;
        assert_eq!((asked, took), (5, Duration::from_secs(8)));
        let (_, asked, took) = ask(&[(429, 3600)]).await;
        assert_eq!((asked, took), (5, Duration::from_secs(20)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_given_up() {
        let service = tower::service_fn(|_: HttpRequest<Body>| {
            std::future::pending::<Result<Response<Body>, std::io::Error>>()
        });
        let client = Client::new(service, "default");
        let request = HttpRequest::get("/x").body(Vec::new()).unwrap();
        let error = send::<Value>(&client, request).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the API server did not answer within 65s"
        );
        assert!(error.is_unreachable());
    }

    #[test]
    fn names_stay_one_path_segment() {
        for (name, encoded) in [
            ("web-1", "web-1"),
            ("system:node", "system:node"),
            ("a?x=1", "a%3Fx%3D1"),
            ("ä", "%C3%A4"),
        ] {
            assert_eq!(segment(name).unwrap(), encoded);
        }
        for name in ["..", ".", "a/../b", "a%2Fb"] {
            assert!(segment(name).is_err(), "{name}");
        }
    }
}
