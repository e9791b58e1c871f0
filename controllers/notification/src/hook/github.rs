//! GitHub, and Gitea, which signs the same way.
//!
//! Source: <https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries>; go-github's
//! `ValidatePayload` for content types.

use super::signature;
use crate::server::Received;

pub(super) fn verify(token: &[u8], events: &[String], request: &Received) -> Result<(), String> {
    signed(token, request)?;
    let event = request.header("x-github-event").unwrap_or_default();
    if !super::is_listed(event, events) {
        return Err(format!("the GitHub event {event:?} is not authorised"));
    }
    Ok(())
}

/// Checks the signature, and that the body is of a type that the service sends.
pub(super) fn signed(token: &[u8], request: &Received) -> Result<(), String> {
    let full = request.header("content-type").unwrap_or_default();
    let kind = full.split(';').next().unwrap_or_default().trim();
    match kind {
        "application/json" => {}
        "application/x-www-form-urlencoded" => {
            let mut pairs = url::form_urlencoded::parse(&request.body);
            if !pairs.any(|(key, _)| key == "payload") {
                return Err("the form has no payload".into());
            }
        }
        _ => return Err("the content type is neither JSON nor a form".into()),
    }
    let header = request.header("x-hub-signature-256");
    let header = header.filter(|h| !h.is_empty());
    let header = header.or_else(|| request.header("x-hub-signature"));
    match header.filter(|h| !h.is_empty()) {
        Some(header) => signature::check(header, token, &request.body),
        None => Err("the signature is missing".into()),
    }
}
