//! Gitea and Forgejo: commit statuses.
//!
//! Source: <https://docs.gitea.com/api/> `/repos/{owner}/{repo}/statuses/{sha}`;
//! notification-controller v1.9.3 `internal/notifier/gitea.go`.

use std::sync::Arc;

use futures::future::BoxFuture;
use net_http::Method;
use serde::Deserialize;
use serde_json::json;

use super::{
    Boxed, BuildError, Notice, Notifier, SendError, Settings, forge::Forge, git, outgoing,
};

/// Returns the repository of a Gitea.
pub(super) fn repository(settings: &Settings) -> Result<Forge, BuildError> {
    let token = settings.token_or_password();
    let authorization = outgoing::prefixed("token ", token)?
        .ok_or_else(|| BuildError::new("gitea token cannot be empty"))?;
    let repository = git::repository(&settings.address)?;
    let (owner, name) = git::owner_and_name(&repository.id)
        .map_err(|_| BuildError::new(format!("invalid repository id {:?}", repository.id)))?;
    Ok(Forge {
        client: settings.client.clone(),
        service: "gitea",
        api: format!("{}/api/v1", repository.base),
        path: format!("/repos/{}/{}", git::segment(owner), git::segment(name)),
        credentials: (http::header::AUTHORIZATION, authorization),
    })
}

struct Gitea(Forge);

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    repository(settings).map(|forge| Box::new(Gitea(forge)) as Boxed)
}

#[derive(Debug, Deserialize)]
struct Existing {
    #[serde(default, rename = "status")]
    state: String,
    #[serde(default)]
    context: String,
    #[serde(default)]
    description: String,
}

impl Notifier for Gitea {
    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(self.update(notice))
    }
}

impl Gitea {
    async fn update(&self, notice: &Notice) -> Result<(), SendError> {
        let event = &notice.event;
        let commit = git::commit(event)?;
        let state = match git::state(event, "gitea")? {
            _ if git::is_progress(event) => "pending",
            git::State::Success => "success",
            git::State::Failure => "failure",
        };
        let description = super::words(&event.reason);
        let path = format!("/commits/{commit}/statuses?limit=50&page=1");
        let answer = self.0.call(Method::GET, &path, None).await;
        let answer = answer.map_err(|e| e.within("could not list commit statuses"))?;
        let all: Option<Vec<Existing>> = answer.read("could not list commit statuses")?;
        let all = all.unwrap_or_default();
        let latest = all.iter().find(|s| s.context == notice.status);
        if latest.is_some_and(|s| s.state == state && s.description == description) {
            return Ok(());
        }
        let body = json!({ "state": state, "target_url": "", "description": description,
            "context": notice.status });
        let sent = self
            .0
            .call(Method::POST, &format!("/statuses/{commit}"), Some(&body))
            .await;
        sent.map(drop)
            .map_err(|e| e.within("could not create commit status"))
    }
}
