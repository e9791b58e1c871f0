//! GitLab: one comment per object on a merge request.
//!
//! Source: <https://docs.gitlab.com/api/notes/#merge-requests>; notification-controller v1.9.3
//! `internal/notifier/gitlab_merge_request_comment.go`. All pages are looked through.

use std::sync::Arc;

use futures::future::BoxFuture;
use net_http::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Boxed, BuildError, Notice, Notifier, SendError, Settings, forge::Forge, git, gitlab};

const PAGE: usize = 100;
const MOST_PAGES: usize = 30;

struct Notes {
    project: Forge,
    uid: String,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    if settings.uid.is_empty() {
        return Err(BuildError::new("provider UID cannot be empty"));
    }
    let project = gitlab::project(settings)?;
    let uid = settings.uid.clone();
    Ok(Box::new(Notes { project, uid }))
}

#[derive(Debug, Deserialize)]
struct Note {
    id: u64,
    #[serde(default)]
    body: String,
    author: User,
}

#[derive(Debug, Deserialize)]
struct User {
    id: u64,
}

impl Notifier for Notes {
    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(self.update(notice))
    }
}

impl Notes {
    async fn update(&self, notice: &Notice) -> Result<(), SendError> {
        let number = git::change_request(&notice.event)?;
        let (body, marker) = git::comment(&notice.event, "flux-mr-comment-key", &self.uid);
        let user: User = self
            .project
            .ask(Method::GET, "/user", None)
            .await?
            .read("gitlab user")?;
        let found = self.find(number, &user, &marker).await;
        let found = found.map_err(|e| e.within("failed to find merge request note"))?;
        let body = json!({ "body": body });
        let notes = format!("/merge_requests/{number}/notes");
        let sent = match found {
            Some(id) => {
                let path = format!("{notes}/{id}");
                self.project.call(Method::PUT, &path, Some(&body)).await
            }
            None => self.project.call(Method::POST, &notes, Some(&body)).await,
        };
        sent.map(drop)
            .map_err(|e| e.within("failed to write merge request note"))
    }

    async fn find(&self, number: u64, user: &User, marker: &str) -> Result<Option<u64>, SendError> {
        for page in 1..=MOST_PAGES {
            let path = format!(
                "/merge_requests/{number}/notes?per_page={PAGE}&page={page}&sort=asc&order_by=created_at"
            );
            let answer = self.project.call(Method::GET, &path, None).await?;
            let notes: Vec<Note> = answer.read("notes")?;
            let own = |n: &&Note| n.author.id == user.id && n.body.contains(marker);
            if let Some(note) = notes.iter().find(own) {
                return Ok(Some(note.id));
            }
            if notes.len() < PAGE {
                break;
            }
        }
        Ok(None)
    }
}
