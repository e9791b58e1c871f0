//! Bitbucket Cloud: build statuses.
//!
//! Source: <https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commit-statuses/>;
//! notification-controller v1.9.3 `internal/notifier/bitbucket.go`.

use std::sync::Arc;

use futures::future::BoxFuture;
use net_http::{Client, HeaderValue, Method};
use serde::Deserialize;
use serde_json::json;
use sha1::{Digest, Sha1};

use super::{Boxed, BuildError, Notice, Notifier, Outgoing, SendError, Settings, git, outgoing};

const CLOUD: &str = "https://api.bitbucket.org";

struct Bitbucket {
    client: Client,
    repository: String,
    authorization: HeaderValue,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    let token = settings.token.trim_end();
    if token.is_empty() {
        return Err(BuildError::new("bitbucket token cannot be empty"));
    }
    let (user, password) = token
        .split_once(':')
        .filter(|(_, password)| !password.contains(':'))
        .ok_or_else(|| BuildError::new("invalid token format, expected to be <user>:<password>"))?;
    let repository = git::repository(&settings.address)?;
    let (owner, name) = git::owner_and_name(&repository.id)?;
    // Only Bitbucket's own name stands for its API; any other host is asked itself.
    let api = if repository.host == "bitbucket.org" {
        CLOUD
    } else {
        &repository.base
    };
    Ok(Box::new(Bitbucket {
        client: settings.client.clone(),
        repository: format!(
            "{api}/2.0/repositories/{}/{}",
            git::segment(owner),
            git::segment(name)
        ),
        authorization: outgoing::basic(user, password),
    }))
}

#[derive(Debug, Deserialize)]
struct Status {
    #[serde(default)]
    state: String,
    #[serde(default)]
    description: String,
}

impl Notifier for Bitbucket {
    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(self.update(notice))
    }
}

impl Bitbucket {
    async fn update(&self, notice: &Notice) -> Result<(), SendError> {
        let event = &notice.event;
        if git::is_progress(event) {
            return Ok(());
        }
        let commit = git::commit(event)?;
        let state = match git::state(event, "bitbucket")? {
            git::State::Success => "SUCCESSFUL",
            git::State::Failure => "FAILED",
        };
        // Keys have 40 characters at most.
        let key = hex::encode(Sha1::digest(&notice.status));
        let description = super::words(&event.reason);
        let name = super::kind_and_name(event);
        let builds = format!("{}/commit/{commit}/statuses/build", self.repository);
        let request = Outgoing::new(Method::GET, format!("{builds}/{key}"))
            .header(http::header::AUTHORIZATION, self.authorization.clone());
        let answer = request
            .send(&self.client, "could not get commit status")
            .await?;
        if answer.status.as_u16() != 404 {
            let answer = answer.expect_success("could not get commit status")?;
            let status: Status = answer.read("could not get commit status")?;
            if status.state == state && status.description == description {
                return Ok(());
            }
        }
        let body = json!({ "state": state, "key": key, "name": name, "description": description,
            "url": "https://bitbucket.org" });
        let request = Outgoing::json(builds, &body)
            .header(http::header::AUTHORIZATION, self.authorization.clone());
        let answer = request
            .send(&self.client, "could not create commit status")
            .await?;
        answer
            .expect_success("could not create commit status")
            .map(drop)
    }
}
