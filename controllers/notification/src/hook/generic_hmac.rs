//! Anyone who signs with the shared key.
//!
//! Source: notification-controller v1.9.3 `internal/server/receiver_handlers.go`.

use super::signature;
use crate::server::Received;

pub(super) fn verify(token: &[u8], request: &Received) -> Result<(), String> {
    let header = request.header("x-signature").unwrap_or_default();
    if header.is_empty() {
        return Err("the X-Signature header is missing".into());
    }
    signature::check(header, token, &request.body)
}
