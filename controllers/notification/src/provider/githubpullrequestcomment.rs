//! GitHub: one comment per object on a pull request.
//!
//! Source: <https://docs.github.com/rest/issues/comments>; notification-controller v1.9.3
//! `internal/notifier/github_pull_request_comment.go`. All pages are looked through.

use std::sync::Arc;

use futures::future::BoxFuture;
use net_http::Method;
use serde::Deserialize;
use serde_json::json;

use super::{
    Boxed, BuildError, Notice, Notifier, SendError, Settings, git, github, github_app::Login,
};

const PAGE: usize = 100;
const MOST_PAGES: usize = 30;

struct Comments {
    login: Login,
    issues: String,
    uid: String,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    if settings.uid.is_empty() {
        return Err(BuildError::new("provider UID cannot be empty"));
    }
    let (login, owner, name) = github::repository(settings)?;
    Ok(Box::new(Comments {
        login,
        issues: format!("/repos/{owner}/{name}/issues"),
        uid: settings.uid.clone(),
    }))
}

#[derive(Debug, Deserialize)]
struct Comment {
    id: u64,
    #[serde(default)]
    body: Option<String>,
    user: Option<User>,
}

#[derive(Debug, Deserialize)]
struct User {
    login: String,
}

impl Notifier for Comments {
    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(self.update(notice))
    }
}

impl Comments {
    async fn update(&self, notice: &Notice) -> Result<(), SendError> {
        let number = git::change_request(&notice.event)?;
        let (body, marker) = git::comment(&notice.event, "flux-pr-comment-key", &self.uid);
        let user = self.login.user().await?;
        let found = self.find(number, &user, &marker).await;
        let found = found.map_err(|e| e.within("failed to find pull request comment"))?;
        let body = json!({ "body": body });
        let (method, path) = match found {
            Some(id) => (Method::PATCH, format!("{}/comments/{id}", self.issues)),
            None => (Method::POST, format!("{}/{number}/comments", self.issues)),
        };
        let sent = self.login.call(method, &path, Some(&body)).await;
        sent.map(drop)
            .map_err(|e| e.within("failed to write pull request comment"))
    }

    async fn find(&self, number: u64, user: &str, marker: &str) -> Result<Option<u64>, SendError> {
        for page in 1..=MOST_PAGES {
            let path = format!(
                "{}/{number}/comments?per_page={PAGE}&page={page}&sort=created&direction=asc",
                self.issues
            );
            let answer = self.login.call(Method::GET, &path, None).await?;
            let comments: Vec<Comment> = answer.read("comments")?;
            let own = |c: &&Comment| {
                c.user.as_ref().is_some_and(|u| u.login == user)
                    && c.body.as_deref().is_some_and(|b| b.contains(marker))
            };
            if let Some(comment) = comments.iter().find(own) {
                return Ok(Some(comment.id));
            }
            if comments.len() < PAGE {
                break;
            }
        }
        Ok(None)
    }
}
