//! Key services: one request each, to decrypt a data key.

use std::time::Duration;

use cloud::form::Form;
use http::{HeaderValue, Method, header};
use net_http::{Client, Request};
use serde::de::DeserializeOwned;

use crate::KeyError;

pub(crate) mod aws;
pub(crate) mod azure;
pub(crate) mod gcp;
pub(crate) mod vault;

/// How long a service may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer that is read.
const MAX_ANSWER: u64 = 1 << 20;

/// A POST of JSON.
fn post(url: &str, body: &serde_json::Value) -> Request {
    Request::new(Method::POST, url)
        .header(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )
        .timeout(TIMEOUT)
        .body(body.to_string())
}

/// A POST of a form.
fn form(form: Form) -> Request {
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    Request::new(Method::POST, form.url)
        .header(header::CONTENT_TYPE, kind)
        .timeout(TIMEOUT)
        .body(form.body)
}

/// Sends a request and reads the JSON of its answer.
async fn answer<T: DeserializeOwned>(client: &Client, request: Request) -> Result<T, KeyError> {
    let response = client.send(request).await.map_err(KeyError::Request)?;
    let status = response.status();
    if !status.is_success() {
        let message = response.text_for_message(512).await;
        let status = status.as_u16();
        return Err(KeyError::Refused { status, message });
    }
    let bytes = response
        .bytes(MAX_ANSWER)
        .await
        .map_err(KeyError::Request)?;
    serde_json::from_slice(&bytes).map_err(|_| KeyError::Shape("the answer cannot be understood"))
}
