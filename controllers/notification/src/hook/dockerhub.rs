//! Docker Hub: the path is the only proof; the body has to look like a push.
//!
//! Source: <https://docs.docker.com/docker-hub/repos/manage/webhooks/>.

use crate::server::Received;

pub(super) fn verify(request: &Received) -> Result<(), String> {
    super::json_with(
        &request.body,
        &[&["push_data", "tag"], &["repository", "repo_url"]],
    )
}
