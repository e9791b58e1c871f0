//! GitHub: commit statuses.
//!
//! Source: <https://docs.github.com/rest/commits/statuses>; notification-controller v1.9.3
//! `internal/notifier/github.go`.

use std::sync::Arc;

use futures::future::BoxFuture;
use net_http::Method;
use serde::Deserialize;
use serde_json::json;

use super::{
    Boxed, BuildError, Notice, Notifier, SendError, Settings, git,
    github_app::{Login, api_of},
};

struct Github {
    login: Login,
    owner: String,
    name: String,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    let (login, owner, name) = repository(settings)?;
    Ok(Box::new(Github { login, owner, name }))
}

/// Reads which repository of which GitHub is meant, and how to log in.
pub(super) fn repository(settings: &Arc<Settings>) -> Result<(Login, String, String), BuildError> {
    let repository = git::repository(&settings.address)?;
    let (owner, name) = git::owner_and_name(&repository.id)?;
    let login = Login::new(settings, api_of(&repository.base, &repository.host))?;
    Ok((login, git::segment(owner), git::segment(name)))
}

#[derive(Debug, Deserialize)]
struct Status {
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    context: Option<String>,
    #[serde(default)]
    description: Option<String>,
}

impl Notifier for Github {
    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(self.update(notice))
    }
}

impl Github {
    async fn update(&self, notice: &Notice) -> Result<(), SendError> {
        let event = &notice.event;
        if git::is_progress(event) {
            return Ok(());
        }
        let commit = git::commit(event)?;
        let state = match git::state(event, "github")? {
            git::State::Success => "success",
            git::State::Failure => "failure",
        };
        let description = super::words(&event.reason);
        let (owner, name) = (&self.owner, &self.name);
        let path = format!("/repos/{owner}/{name}/commits/{commit}/statuses?per_page=50");
        let answer = self.login.call(Method::GET, &path, None).await;
        let answer = answer.map_err(|e| e.within("could not list commit statuses"))?;
        let all: Vec<Status> = answer.read("could not list commit statuses")?;
        if is_there(&all, &notice.status, state, &description) {
            return Ok(());
        }
        let path = format!("/repos/{owner}/{name}/statuses/{commit}");
        let body = json!({ "state": state, "context": notice.status, "description": description });
        let answer = self.login.call(Method::POST, &path, Some(&body)).await;
        answer
            .map(drop)
            .map_err(|e| e.within("could not create commit status"))
    }
}

/// Whether the latest status of this context says the same already. They come newest first.
fn is_there(all: &[Status], context: &str, state: &str, description: &str) -> bool {
    let own = |s: &&Status| s.context.as_deref() == Some(context);
    all.iter().find(own).is_some_and(|latest| {
        latest.state.as_deref() == Some(state) && latest.description.as_deref() == Some(description)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: NC-097
    #[test]
    fn only_the_latest_status_of_the_context_counts() {
        let status = |context: &str, state: &str| Status {
            state: Some(state.into()),
            context: Some(context.into()),
            description: Some("d".into()),
        };
        let nothing = Status {
            state: None,
            context: None,
            description: None,
        };
        let all = [
            nothing,
            status("x", "failure"),
            status("c", "success"),
            status("c", "failure"),
        ];
        assert!(is_there(&all, "c", "success", "d"));
        assert!(!is_there(&all, "c", "failure", "d"));
        assert!(!is_there(&all, "c", "success", "other"));
        assert!(!is_there(&[], "c", "success", "d"));
    }
}
