//! Bitbucket Server, which signs as GitHub does.
//!
//! Source: <https://confluence.atlassian.com/bitbucketserver/manage-webhooks-938025878.html>.

use super::github;
use crate::server::Received;

pub(super) fn verify(token: &[u8], events: &[String], request: &Received) -> Result<(), String> {
    github::signed(token, request)?;
    let event = request.header("x-event-key").unwrap_or_default();
    if !super::is_listed(event, events) {
        return Err(format!(
            "the Bitbucket server event {event:?} is not authorised"
        ));
    }
    Ok(())
}
