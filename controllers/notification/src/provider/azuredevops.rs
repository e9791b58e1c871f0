//! Azure DevOps: commit statuses.
//!
//! Source: <https://learn.microsoft.com/rest/api/azure/devops/git/statuses>;
//! notification-controller v1.9.3 `internal/notifier/azure_devops.go`.

use std::sync::Arc;

use futures::future::BoxFuture;
use net_http::{Client, HeaderValue, Method};
use serde::Deserialize;
use serde_json::json;

use super::{
    Boxed, BuildError, Notice, Notifier, Outgoing, SendError, Settings, git, identity, outgoing,
};

const VERSION: &str = "api-version=7.1";

struct Devops {
    client: Client,
    /// Up to `/commits`.
    api: String,
    /// Of the token; absent: an identity's is asked for.
    authorization: Option<HeaderValue>,
    settings: Arc<Settings>,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    let api = api_of(&settings.address)?;
    let token = settings.token_or_password().trim_end();
    let authorization = (!token.is_empty()).then(|| outgoing::basic("", token));
    Ok(Box::new(Devops {
        client: settings.client.clone(),
        api,
        authorization,
        settings: Arc::clone(settings),
    }))
}

/// `https://dev.azure.com/<organization>/<project>/_git/<repository>`.
fn api_of(address: &str) -> Result<String, BuildError> {
    let repository = git::repository(address)?;
    let parts: Vec<&str> = repository.id.split('/').collect();
    let [organization, project, "_git", name] = parts[..] else {
        let id = &repository.id;
        return Err(BuildError::new(format!("invalid repository id '{id}'")));
    };
    let base = &repository.base;
    Ok(format!(
        "{base}/{organization}/{project}/_apis/git/repositories/{name}/commits"
    ))
}

#[derive(Debug, Deserialize)]
struct List {
    #[serde(default)]
    value: Vec<Status>,
}

#[derive(Debug, Deserialize)]
struct Status {
    #[serde(default)]
    state: String,
    #[serde(default)]
    description: Option<String>,
    context: Option<Context>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Context {
    #[serde(default)]
    genre: Option<String>,
    #[serde(default)]
    name: String,
}

impl Notifier for Devops {
    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(self.update(notice))
    }
}

impl Devops {
    async fn update(&self, notice: &Notice) -> Result<(), SendError> {
        let event = &notice.event;
        if git::is_progress(event) {
            return Ok(());
        }
        let commit = git::commit(event)?;
        let state = match git::state(event, "azure devops")? {
            git::State::Success => "succeeded",
            git::State::Failure => "error",
        };
        let description = super::words(&event.reason);
        let genre = match event.metadata.get("summary").filter(|s| !s.is_empty()) {
            Some(summary) => format!("fluxcd:{summary}"),
            None => "fluxcd".to_owned(),
        };
        let authorization = self.authorization().await?;
        let url = format!("{}/{commit}/statuses?{VERSION}", self.api);
        let what = "could not list commit statuses";
        // The latest of each context only.
        let list = Outgoing::new(Method::GET, format!("{url}&latestOnly=true"));
        let list = list.header(http::header::AUTHORIZATION, authorization.clone());
        let answer = list.send(&self.client, what).await?.expect_success(what)?;
        let own = Context {
            genre: Some(genre.clone()),
            name: notice.status.clone(),
        };
        let all = answer.read::<List>(what)?.value;
        let latest = all.iter().find(|s| s.context.as_ref() == Some(&own));
        let same = latest
            .is_some_and(|s| s.state == state && s.description.as_deref() == Some(&description));
        if same {
            return Ok(());
        }
        let body = json!({ "state": state, "description": description,
            "context": { "genre": genre, "name": notice.status } });
        let what = "could not create commit status";
        let request = Outgoing::json(url, &body).header(http::header::AUTHORIZATION, authorization);
        let answer = request.send(&self.client, what).await?;
        answer.expect_success(what).map(drop)
    }

    async fn authorization(&self) -> Result<HeaderValue, SendError> {
        if let Some(own) = &self.authorization {
            return Ok(own.clone());
        }
        identity::azure(&self.settings, cloud::azure::DEVOPS).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organization_project_and_repository_are_read() {
        let api = api_of("https://dev.azure.com/foo/bar/_git/baz").unwrap();
        let expect = "https://dev.azure.com/foo/bar/_apis/git/repositories/baz/commits";
        assert_eq!(api, expect);
        for bad in [
            "https://dev.azure.com/foo/bar/baz",
            "https://dev.azure.com/foo/bar/baz/_git",
        ] {
            assert!(
                api_of(bad)
                    .unwrap_err()
                    .to_string()
                    .starts_with("invalid repository id")
            );
        }
    }
}
