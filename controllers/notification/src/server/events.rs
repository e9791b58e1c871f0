//! The server that takes events of controllers.
//!
//! Any path, any method; the body is an event as JSON.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use jiff::{Timestamp, fmt::rfc2822};

use super::{Handler, Received, status};
use crate::{
    dispatch::{Accepted, Dispatcher},
    event::Event,
};

/// Answers to events.
pub(crate) struct Events {
    pub dispatcher: Arc<Dispatcher>,
}

impl Handler for Events {
    fn serves(&self, _path: &str) -> bool {
        true
    }

    async fn handle(&self, request: Received) -> Response<Body> {
        let event = match Event::decode(&request.body) {
            Ok(event) => event,
            Err(error) => {
                // The position is told, not the text.
                let at = error.column();
                tracing::error!(column = at, "decoding the request body failed");
                return status(StatusCode::BAD_REQUEST);
            }
        };
        drop(request);
        let interval = self.dispatcher.interval();
        match Box::pin(self.dispatcher.accept(event)).await {
            Accepted::Taken => limited(status(StatusCode::ACCEPTED), interval),
            Accepted::Duplicate(left) => duplicate(left),
        }
    }
}

fn duplicate(left: Duration) -> Response<Body> {
    let mut answer = Response::new(Body::from("Too Many Requests\n"));
    *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    let mut answer = limited(answer, left);
    let seconds = left.as_secs().max(1);
    let headers = answer.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, plain);
    answer
}

/// Says how many more of the same event are taken, and when the next one is.
fn limited(mut answer: Response<Body>, reset: Duration) -> Response<Body> {
    let headers = answer.headers_mut();
    headers.insert("x-ratelimit-limit", HeaderValue::from_static("1"));
    headers.insert("x-ratelimit-remaining", HeaderValue::from_static("0"));
    let at = Timestamp::now().checked_add(reset).unwrap_or_default();
    let text = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at);
    if let Ok(text) = text
        && let Ok(value) = HeaderValue::try_from(text.replace("GMT", "UTC"))
    {
        headers.insert("x-ratelimit-reset", value);
    }
    answer
}
