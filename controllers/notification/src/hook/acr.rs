//! Azure Container Registry: the path is the only proof; the body has to look like an event.
//!
//! Source: <https://learn.microsoft.com/azure/container-registry/container-registry-webhook-reference>.

use crate::server::Received;

pub(super) fn verify(request: &Received) -> Result<(), String> {
    let texts: &[&[&str]] = &[&["action"], &["target", "repository"], &["target", "tag"]];
    super::json_with(&request.body, texts)
}
