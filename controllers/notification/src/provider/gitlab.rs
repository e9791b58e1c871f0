//! GitLab: commit statuses.
//!
//! Source: <https://docs.gitlab.com/api/commits/#set-commit-pipeline-status>;
//! notification-controller v1.9.3 `internal/notifier/gitlab.go`.

use std::sync::Arc;

use futures::future::BoxFuture;
use net_http::{HeaderName, Method};
use serde::Deserialize;
use serde_json::json;

use super::{
    Boxed, BuildError, Notice, Notifier, SendError, Settings, forge::Forge, git, outgoing,
};

const TOKEN: HeaderName = HeaderName::from_static("private-token");

/// Returns the project of a GitLab.
pub(super) fn project(settings: &Settings) -> Result<Forge, BuildError> {
    let token = settings.token_or_password();
    if token.trim_end().is_empty() {
        return Err(BuildError::new("gitlab token cannot be empty"));
    }
    let repository = git::repository(&settings.address)?;
    Ok(Forge {
        client: settings.client.clone(),
        service: "gitlab",
        api: format!("{}/api/v4", repository.base),
        path: format!("/projects/{}", git::segment(&repository.id)),
        credentials: (TOKEN, outgoing::header_value("PRIVATE-TOKEN", token)?),
    })
}

struct Gitlab(Forge);

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    project(settings).map(|forge| Box::new(Gitlab(forge)) as Boxed)
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
