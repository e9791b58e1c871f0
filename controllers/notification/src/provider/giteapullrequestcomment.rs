//! Gitea and Forgejo: one comment per object on a pull request.
//!
//! Source: <https://docs.gitea.com/api/> `/repos/{owner}/{repo}/issues/{index}/comments`;
//! notification-controller v1.9.3 `internal/notifier/gitea_pull_request_comment.go`.

use std::sync::Arc;

use futures::future::BoxFuture;
use net_http::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Boxed, BuildError, Notice, Notifier, SendError, Settings, forge::Forge, git, gitea};

struct Comments {
    repository: Forge,
    uid: String,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    if settings.uid.is_empty() {
        return Err(BuildError::new("provider UID cannot be empty"));
    }
    let repository = gitea::repository(settings)?;
    let uid = settings.uid.clone();
    Ok(Box::new(Comments { repository, uid }))
}

#[derive(Debug, Deserialize)]
struct Comment {
    id: u64,
    #[serde(default)]
    body: String,
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
        let user: User = self
            .repository
            .ask(Method::GET, "/user", None)
            .await?
            .read("gitea user")?;
        // This list has no pages.
        let path = format!("/issues/{number}/comments");
        let answer = self.repository.call(Method::GET, &path, None).await;
        let answer = answer.map_err(|e| e.within("failed to find pull request comment"))?;
        let comments: Vec<Comment> = answer.read("failed to find pull request comment")?;
        let own = |c: &&Comment| {
            c.user.as_ref().is_some_and(|u| u.login == user.login) && c.body.contains(&marker)
        };
        let body = json!({ "body": body });
        let sent = match comments.iter().find(own) {
            Some(comment) => {
                let path = format!("/issues/comments/{}", comment.id);
                self.repository
                    .call(Method::PATCH, &path, Some(&body))
                    .await
            }
            None => self.repository.call(Method::POST, &path, Some(&body)).await,
        };
        sent.map(drop)
            .map_err(|e| e.within("failed to write pull request comment"))
    }
}
