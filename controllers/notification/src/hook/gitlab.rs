//! GitLab, which sends the token itself.
//!
//! Source: <https://docs.gitlab.com/user/project/integrations/webhooks/>.

use crate::server::Received;

pub(super) fn verify(token: &[u8], events: &[String], request: &Received) -> Result<(), String> {
    let given = request.headers.get("x-gitlab-token");
    let given = given.map(http::HeaderValue::as_bytes).unwrap_or_default();
    if !super::is_same(given, token) {
        return Err("the X-Gitlab-Token header value does not match the receiver token".into());
    }
    let event = request.header("x-gitlab-event").unwrap_or_default();
    if !super::is_listed(event, events) {
        return Err(format!("the GitLab event {event:?} is not authorised"));
    }
    Ok(())
}
