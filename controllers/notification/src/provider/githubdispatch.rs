//! GitHub: repository dispatch events, which start workflows.
//!
//! Source: <https://docs.github.com/rest/repos/repos#create-a-repository-dispatch-event>;
//! notification-controller v1.9.3 `internal/notifier/github_dispatch.go`.

use std::sync::Arc;

use futures::future::BoxFuture;
use net_http::Method;
use serde_json::json;

use super::{Boxed, BuildError, Notice, Notifier, SendError, Settings, github, github_app::Login};

struct Dispatch {
    login: Login,
    path: String,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    let (login, owner, name) = github::repository(settings)?;
    let path = format!("/repos/{owner}/{name}/dispatches");
    Ok(Box::new(Dispatch { login, path }))
}

impl Notifier for Dispatch {
    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(async move {
            let object = &notice.event.involved_object;
            let kind = format!("{}/{}.{}", object.kind, object.name, object.namespace);
            let body = json!({ "event_type": kind, "client_payload": notice.event });
            let sent = self.login.call(Method::POST, &self.path, Some(&body)).await;
            sent.map(drop)
                .map_err(|e| e.within("could not send github repository dispatch webhook"))
        })
    }
}
