//! Harbor, which sends the token in the Authorization header as it is.
//!
//! Source: <https://goharbor.io/docs/latest/working-with-projects/project-configuration/configure-webhooks/>.

use crate::server::Received;

pub(super) fn verify(token: &[u8], request: &Received) -> Result<(), String> {
    let given = request.headers.get(http::header::AUTHORIZATION);
    let given = given.map(http::HeaderValue::as_bytes).unwrap_or_default();
    if !super::is_same(given, token) {
        return Err(
            "the Harbor Authorization header value does not match the receiver token".into(),
        );
    }
    Ok(())
}
