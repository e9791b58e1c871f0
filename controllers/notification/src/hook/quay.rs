//! Quay: the path is the only proof; the body has to look like a push.
//!
//! Source: <https://docs.projectquay.io/use_quay.html#repository-notifications>.

use crate::server::Received;

pub(super) fn verify(request: &Received) -> Result<(), String> {
    super::json_with(&request.body, &[&["docker_url"]])
}
