//! Tokens, asked for by a form.

use cloud::form::Form;
use net_http::{Client, HeaderName, HeaderValue, Method, Request};
use serde::Deserialize;
use tokio::time::Instant;

use crate::Error;

const MAX_ANSWER_BYTES: u64 = 1 << 20;

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

/// Posts a form and returns the token of the answer.
///
/// # Errors
/// [`Error::Token`].
pub(crate) async fn token(client: &Client, form: Form, deadline: Instant) -> Result<String, Error> {
    let given = ask(client, form, deadline).await;
    given.map_err(|error| Error::Token(Box::new(error)))
}

async fn ask(client: &Client, form: Form, deadline: Instant) -> Result<String, Error> {
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    let request = Request::new(Method::POST, form.url)
        .header(HeaderName::from_static("content-type"), kind)
        .timeout(deadline.saturating_duration_since(Instant::now()))
        .body(form.body);
    let response = client.send(request).await?;
    if !response.status().is_success() {
        return Err(Error::of(response, problem).await);
    }
    let body = response.bytes(MAX_ANSWER_BYTES).await?;
    let token: Token = serde_json::from_slice(&body).map_err(|_| Error::Malformed)?;
    Ok(token.access_token)
}

/// Finds the code and the sentence of a refusal.
///
/// Source: RFC 6749, 5.2.
fn problem(body: &str) -> (String, String) {
    let read: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let text = |name: &str| read[name].as_str().unwrap_or_default().to_owned();
    (text("error"), text("error_description"))
}
