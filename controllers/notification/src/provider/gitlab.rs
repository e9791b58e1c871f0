//! GitLab: commit statuses.
//!
//! Source: <https://docs.gitlab.com/api/commits/#set-commit-pipeline-status>;
//! notification-controller v1.9.3 `internal/notifier/gitlab.go`.

use std::sync::Arc;

use futures::future::BoxFuture;
use net_http::{Client, HeaderName, HeaderValue, Method};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer, Boxed, BuildError, Notice, Notifier, Outgoing, SendError, Settings, git, outgoing,
};

const TOKEN: HeaderName = HeaderName::from_static("private-token");

/// One project of one GitLab.
pub(super) struct Project {
    client: Client,
    api: String,
    /// `/projects/<id>`, the id encoded.
    path: String,
    token: HeaderValue,
}

impl Project {
    pub(super) fn new(settings: &Settings) -> Result<Self, BuildError> {
        let token = settings.token_or_password();
        if token.trim_end().is_empty() {
            return Err(BuildError::new("gitlab token cannot be empty"));
        }
        let repository = git::repository(&settings.address)?;
        Ok(Self {
            client: settings.client.clone(),
            api: format!("{}/api/v4", repository.base),
            path: format!("/projects/{}", git::segment(&repository.id)),
            token: outgoing::header_value("PRIVATE-TOKEN", token)?,
        })
    }

    /// Sends a request about the project.
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
        let mut request =
            Outgoing::new(method, format!("{}{path}", self.api)).header(TOKEN, self.token.clone());
        if let Some(body) = body {
            request = request.with_json(body);
        }
        let answer = request.send(&self.client, "gitlab").await?;
        answer.expect_success("gitlab")
    }
}

struct Gitlab(Project);

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    Project::new(settings).map(|project| Box::new(Gitlab(project)) as Boxed)
}

#[derive(Debug, Deserialize)]
struct Existing {
    #[serde(default)]
    sha: String,
    #[serde(default, rename = "status")]
    state: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: Option<String>,
}

impl Notifier for Gitlab {
    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(self.update(notice))
    }
}

impl Gitlab {
    async fn update(&self, notice: &Notice) -> Result<(), SendError> {
        let event = &notice.event;
        if git::is_progress(event) {
            return Ok(());
        }
        let commit = git::commit(event)?;
        let state = match git::state(event, "gitlab")? {
            git::State::Success => "success",
            git::State::Failure => "failed",
        };
        let description = super::words(&event.reason);
        let name = git::segment(&notice.status);
        let path = format!("/repository/commits/{commit}/statuses?name={name}");
        let answer = self.0.call(Method::GET, &path, None).await;
        let answer = answer.map_err(|e| e.within("unable to list commit status"))?;
        let all: Vec<Existing> = answer.read("unable to list commit status")?;
        let same = all.iter().any(|s| {
            s.sha == commit
                && s.state == state
                && s.name == notice.status
                && s.description.as_deref() == Some(&description)
        });
        if same {
            return Ok(());
        }
        let body = json!({ "state": state, "name": notice.status, "description": description });
        let sent = self
            .0
            .call(Method::POST, &format!("/statuses/{commit}"), Some(&body))
            .await;
        sent.map(drop)
            .map_err(|e| e.within("unable to set commit status"))
    }
}
