//! The services that events are sent to: one file each, and this table of them.
//!
//! A type is built from [`Settings`], which are what a Provider and its Secrets say, and then turns
//! each [`Notice`] into one or more requests.

use std::{fmt::Write, sync::Arc};

use api::notification::ProviderKind;
use futures::future::BoxFuture;
use net_http::Client;

use crate::event::Event;

mod alertmanager;
mod azuredevops;
mod azureeventhub;
mod bitbucket;
mod bitbucketserver;
mod datadog;
mod discord;
mod error;
mod fit;
mod forge;
mod generic;
mod git;
mod gitea;
mod giteapullrequestcomment;
mod github;
mod github_app;
mod githubdispatch;
mod githubpullrequestcomment;
mod gitlab;
mod gitlabmergerequestcomment;
mod googlechat;
mod googlepubsub;
mod grafana;
mod identity;
mod incident_io;
mod lark;
mod matrix;
mod msteams;
mod nats;
mod opsgenie;
mod otel;
mod outgoing;
mod pagerduty;
mod rocket;
mod sentry;
mod settings;
mod slack;
mod telegram;
mod webex;
mod zoom;
mod zulip;

pub(crate) use error::{BuildError, SendError};
pub(crate) use identity::OPERATION;
pub(crate) use outgoing::{Answer, Outgoing};
pub(crate) use settings::{Loader, Settings};

/// An event on its way to one service, its metadata merged.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    /// The event.
    pub event: Event,
    /// The alert that sends it.
    pub alert: AlertIdentity,
    /// The name of the commit status; empty where the service has none.
    pub status: String,
}

/// Names an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AlertIdentity {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// Sends events to one service.
pub(crate) trait Notifier: Send + Sync {
    /// Sends one event.
    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SendError>>;
}

/// A service that takes plain requests.
pub(crate) trait Webhook: Send + Sync + 'static {
    /// Returns the requests that tell of an event, to be sent in this order; none where this
    /// service is not told of it.
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError>;

    /// Says whether an answer means success.
    fn judge(&self, answer: Answer) -> Result<(), SendError> {
        answer.expect_success("postMessage failed").map(drop)
    }
}

/// A boxed notifier, as the table makes it.
pub(crate) type Boxed = Box<dyn Notifier>;

/// Makes a notifier of a service that takes plain requests.
fn posting<W: Webhook>(hook: W, settings: &Settings) -> Boxed {
    let client = settings.client.clone();
    Box::new(Posting { hook, client })
}

struct Posting<W> {
    hook: W,
    client: Client,
}

impl<W: Webhook> Notifier for Posting<W> {
    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(async move {
            for request in self.hook.requests(notice)? {
                let answer = request.send(&self.client, "postMessage failed").await?;
                self.hook.judge(answer)?;
            }
            Ok(())
        })
    }
}

/// Makes the notifier of a type.
///
/// # Errors
/// Settings that the type cannot work with.
pub(crate) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    use ProviderKind as Kind;
    let make = match settings.kind {
        Kind::Alertmanager => alertmanager::build,
        Kind::AzureDevops => azuredevops::build,
        Kind::AzureEventhub => azureeventhub::build,
        Kind::Bitbucket => bitbucket::build,
        Kind::BitbucketServer => bitbucketserver::build,
        Kind::Datadog => datadog::build,
        Kind::Discord => discord::build,
        Kind::Generic => generic::build,
        Kind::GenericHmac => generic::build_signed,
        Kind::Gitea => gitea::build,
        Kind::GiteaPullRequestComment => giteapullrequestcomment::build,
        Kind::Github => github::build,
        Kind::GithubDispatch => githubdispatch::build,
        Kind::GithubPullRequestComment => githubpullrequestcomment::build,
        Kind::Gitlab => gitlab::build,
        Kind::GitlabMergeRequestComment => gitlabmergerequestcomment::build,
        Kind::GoogleChat => googlechat::build,
        Kind::GooglePubsub => googlepubsub::build,
        Kind::Grafana => grafana::build,
        Kind::IncidentIo => incident_io::build,
        Kind::Lark => lark::build,
        Kind::Matrix => matrix::build,
        Kind::MsTeams => msteams::build,
        Kind::Nats => nats::build,
        Kind::Opsgenie => opsgenie::build,
        Kind::Otel => otel::build,
        Kind::Pagerduty => pagerduty::build,
        Kind::Unknown => return Err(BuildError::unsupported("of this type")),
        Kind::Rocket => rocket::build,
        Kind::Sentry => sentry::build,
        Kind::Slack => slack::build,
        Kind::Telegram => telegram::build,
        Kind::Webex => webex::build,
        Kind::Zoom => zoom::build,
        Kind::Zulip => zulip::build,
    };
    make(settings).map(|notifier| fit::fitted(settings.kind, notifier))
}

/// Whether a type updates commit statuses.
pub(crate) fn is_commit_status(kind: ProviderKind) -> bool {
    matches!(
        kind,
        ProviderKind::Github
            | ProviderKind::Gitlab
            | ProviderKind::Gitea
            | ProviderKind::BitbucketServer
            | ProviderKind::Bitbucket
            | ProviderKind::AzureDevops
    )
}

/// Whether a type comments on pull requests.
pub(crate) fn is_change_request(kind: ProviderKind) -> bool {
    matches!(
        kind,
        ProviderKind::GithubPullRequestComment
            | ProviderKind::GitlabMergeRequestComment
            | ProviderKind::GiteaPullRequestComment
    )
}

/// Whether a type passes events on as they are.
pub(crate) fn is_generic(kind: ProviderKind) -> bool {
    matches!(kind, ProviderKind::Generic | ProviderKind::GenericHmac)
}

/// Splits `CamelCase` into lower-case words joined by blanks.
fn words(camel: &str) -> String {
    let mut out = String::with_capacity(camel.len() + 4);
    let chars: Vec<char> = camel.chars().collect();
    for (at, c) in chars.iter().enumerate() {
        let starts = c.is_uppercase() && at > 0;
        let after_lower = at > 0 && !chars[at - 1].is_uppercase();
        let before_lower = chars.get(at + 1).is_some_and(|n| n.is_lowercase());
        if starts && (after_lower || before_lower) {
            out.push(' ');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// Tells of an event in Markdown, as comments on pull requests and Zulip have it.
fn markdown(event: &Event) -> String {
    let sign = if event.is_error() { "⚠️" } else { "ℹ️" };
    let mut text = format!(
        "## Flux Status\n\n{sign} {}\n\n{}\n\nMetadata:\n",
        event.involved_object.id(),
        event.message
    );
    let shown = event
        .metadata
        .iter()
        .filter(|(key, _)| *key != crate::event::CHANGE_REQUEST);
    for (key, value) in shown {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "* `{key}`: {value}");
    }
    text
}

/// Names the object of an event: `kind/name` in lower case.
fn kind_and_name(event: &Event) -> String {
    let object = &event.involved_object;
    format!("{}/{}", object.kind, object.name).to_lowercase()
}

#[cfg(test)]
pub(crate) mod tests;
