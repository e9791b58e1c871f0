//! Gitea and Forgejo: commit statuses.
//!
//! Source: <https://docs.gitea.com/api/> `/repos/{owner}/{repo}/statuses/{sha}`;
//! notification-controller v1.9.3 `internal/notifier/gitea.go`.

use std::sync::Arc;

use futures::future::BoxFuture;
use net_http::{Client, HeaderValue, Method};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer, Boxed, BuildError, Notice, Notifier, Outgoing, SendError, Settings, git, outgoing,
};

/// One repository of one Gitea.
pub(super) struct Repository {
    client: Client,
    api: String,
    /// `/repos/<owner>/<name>`.
    path: String,
    authorization: HeaderValue,
}

impl Repository {
    pub(super) fn new(settings: &Settings) -> Result<Self, BuildError> {
        let token = settings.token_or_password();
        let authorization = outgoing::prefixed("token ", token)?
            .ok_or_else(|| BuildError::new("gitea token cannot be empty"))?;
        let repository = git::repository(&settings.address)?;
        let (owner, name) = git::owner_and_name(&repository.id)
            .map_err(|_| BuildError::new(format!("invalid repository id {:?}", repository.id)))?;
        Ok(Self {
            client: settings.client.clone(),
            api: format!("{}/api/v1", repository.base),
            path: format!("/repos/{}/{}", git::segment(owner), git::segment(name)),
            authorization,
        })
    }

    /// Sends a request about the repository.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, SendError> {
        self.ask(method, &format!("{}{path}", self.path), body)
            .await
    }

    /// Sends a request.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, SendError> {
        let mut request = Outgoing::new(method, format!("{}{path}", self.api))
            .header(http::header::AUTHORIZATION, self.authorization.clone());
        if let Some(body) = body {
            request = request.with_json(body);
        }
        let answer = request.send(&self.client, "gitea").await?;
        answer.expect_success("gitea")
    }
}

struct Gitea(Repository);

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    Repository::new(settings).map(|repository| Box::new(Gitea(repository)) as Boxed)
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
