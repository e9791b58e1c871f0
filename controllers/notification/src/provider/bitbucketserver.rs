//! Bitbucket Server and Data Center: build statuses.
//!
//! Source: <https://developer.atlassian.com/server/bitbucket/rest/> `builds`;
//! notification-controller v1.9.3 `internal/notifier/bitbucketserver.go`.

use std::sync::Arc;

use futures::future::BoxFuture;
use net_http::{Client, HeaderName, HeaderValue, Method};
use serde::Deserialize;
use serde_json::json;
use sha1::{Digest, Sha1};

use super::{Boxed, BuildError, Notice, Notifier, Outgoing, SendError, Settings, git, outgoing};

const CLONES: &str = "/scm/";

#[derive(Debug)]
struct Server {
    client: Client,
    /// Up to `/commits`.
    api: String,
    address: String,
    authorization: HeaderValue,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    let api = api_of(&settings.address)?;
    let wrong = "invalid credentials, expected to be one of username/password or API Token";
    let authorization = match outgoing::bearer(&settings.token)? {
        Some(token) => token,
        None if !settings.username.is_empty() && !settings.password.is_empty() => {
            outgoing::basic(&settings.username, &settings.password)
        }
        None => return Err(BuildError::new(wrong)),
    };
    Ok(Box::new(Server {
        client: settings.client.clone(),
        api,
        address: settings.address.clone(),
        authorization,
    }))
}

/// Finds the API of an http clone URL: what stands before the last `/scm/` is the server's own.
fn api_of(address: &str) -> Result<String, BuildError> {
    let wrong = |cause: &str| BuildError::new(format!("could not parse git address: {cause}"));
    let url = url::Url::parse(address)
        .map_err(|_| wrong("supplied provider address is not http(s) git clone url"))?;
    if !matches!(url.scheme(), "http" | "https") {
        let scheme = url.scheme();
        return Err(wrong(&format!(
            "unsupported scheme type in address: {scheme}. Must be http or https"
        )));
    }
    let path = url.path();
    let at = path
        .rfind(CLONES)
        .ok_or_else(|| wrong("supplied provider address is not http(s) git clone url"))?;
    let (context, id) = (&path[..at], &path[at + CLONES.len()..]);
    let id = id.strip_suffix(".git").unwrap_or(id);
    let (project, name) =
        git::owner_and_name(id).map_err(|_| wrong(&format!("invalid repository id {id:?}")))?;
    let base = outgoing::on_host(&url, context);
    Ok(format!(
        "{base}/rest/api/latest/projects/{project}/repos/{name}/commits"
    ))
}

#[derive(Debug, Deserialize)]
struct Status {
    #[serde(default)]
    state: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    name: String,
}

impl Notifier for Server {
    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(self.update(notice))
    }
}

impl Server {
    async fn update(&self, notice: &Notice) -> Result<(), SendError> {
        let event = &notice.event;
        if git::is_progress(event) {
            return Ok(());
        }
        let commit = git::commit(event)?;
        let state = match git::state(event, "bitbucket server")? {
            git::State::Success => "SUCCESSFUL",
            git::State::Failure => "FAILED",
        };
        let key = hex::encode(Sha1::digest(&notice.status));
        let description = super::words(&event.reason);
        let name = format!("{} [{description}]", super::kind_and_name(event));
        let builds = format!("{}/{commit}/builds", self.api);
        let what = "could not get existing commit status";
        let request = self.headed(Outgoing::new(Method::GET, format!("{builds}?key={key}")));
        let answer = request.send(&self.client, what).await?;
        if answer.status.as_u16() != 404 {
            let status: Status = answer.expect_success(what)?.read(what)?;
            let same =
                status.state == state && status.description == description && status.name == name;
            if same {
                return Ok(());
            }
        }
        let body = json!({ "key": key, "state": state, "url": self.address,
            "description": description, "name": name });
        let what = "could not update build status";
        let request = self.headed(Outgoing::json(builds, &body));
        let answer = request.send(&self.client, what).await?;
        answer.expect_success(what).map(drop)
    }

    fn headed(&self, request: Outgoing) -> Outgoing {
        const CHECK: HeaderName = HeaderName::from_static("x-atlassian-token");
        const WITH: HeaderName = HeaderName::from_static("x-requested-with");
        request
            .header(CHECK, HeaderValue::from_static("no-check"))
            .header(WITH, HeaderValue::from_static("XMLHttpRequest"))
            .header(http::header::AUTHORIZATION, self.authorization.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_is_found_behind_any_context_path() {
        for (address, context) in [
            ("https://b.org/scm/p/r.git", ""),
            ("https://b.org:7990/ctx/scm/p/r.git", "/ctx"),
            ("https://b.org/a/b/scm/p/r", "/a/b"),
            ("https://b.org/scm/ctx/scm/p/r.git", "/scm/ctx"),
        ] {
            let api = api_of(address).unwrap();
            let expect = format!("{context}/rest/api/latest/projects/p/repos/r/commits");
            assert!(api.ends_with(&expect), "{address}: {api}");
        }
        let error = |address| api_of(address).unwrap_err().to_string();
        let text = error("ssh://git@b.org/scm/p/r.git");
        assert_eq!(
            text,
            "could not parse git address: unsupported scheme type in address: ssh. Must be http or https"
        );
        assert!(error("https://b.org/p/r.git").ends_with("is not http(s) git clone url"));
        assert!(error("https://b.org/scm/p/r/x.git").ends_with("invalid repository id \"p/r/x\""));
    }
}
