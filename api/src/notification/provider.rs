//! Provider: a service that gets events.

use serde::{Deserialize, Serialize};

use crate::meta::{Condition, Duration, LocalReference, Time};

kind! {
    /// Describes a service that events are sent to, and how to log in to it.
    Provider { group: "notification.toolkit.fluxcd.io", version: "v1beta3", plural: "providers" }
    ProviderSpec, ProviderStatus
}

reconciled!(Provider, interval: |_spec| None);

/// Says which service it is and how to reach it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("x-kubernetes-validations" = crate::schema::rules(&[RULE]))))]
#[serde(rename_all = "camelCase")]
pub struct ProviderSpec {
    /// Kind of the service.
    #[serde(rename = "type")]
    pub kind: ProviderKind,
    /// Has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// Channel, room, stream or topic to send to, where the service has such.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = 2048)))]
    pub channel: Option<String>,
    /// Name to send under, where the service has such.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = 2048)))]
    pub username: Option<String>,
    /// Address of the service: a URL, or what the service has instead, such as a project's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = 2048)))]
    pub address: Option<String>,
    /// How long sending one event may take, such as `30s`. Hours are not accepted. Default: `15s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = crate::schema::TIMEOUT)))]
    pub timeout: Option<Duration>,
    /// Address of a proxy to go through; `proxySecretRef` takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = 2048), extend("pattern" = "^(http|https)://.*$")))]
    pub proxy: Option<String>,
    /// Secret with the proxy to go through. Keys: `address`, and `username` and `password` where it asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalReference>,
    /// Secret to log in with. Keys: `address`, which goes before `spec.address`, `token`, `username`, `password`, `headers` and
    /// what else the service needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// ServiceAccount in the same namespace whose cloud identity is used with `azureeventhub`, `azuredevops` and
    /// `googlepubsub`. Default: that of the controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Secret with certificates for TLS. Keys: `ca.crt`, and `tls.crt` and `tls.key` for a client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalReference>,
    /// Sends nothing while true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// CEL expression over `event`, `provider` and `alert` that makes the name of a commit status. Only for Git providers. Default: kind,
    /// name and start of the provider's UID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_status_expr: Option<String>,
}

#[cfg(feature = "schema")]
const RULE: (&str, &str) = (
    "self.type == 'github' || self.type == 'gitlab' || self.type == 'gitea' || self.type == 'bitbucketserver' || self.type == 'bitbucket' || self.type == 'azuredevops' || !has(self.commitStatusExpr)",
    "spec.commitStatusExpr is only supported for the 'github', 'gitlab', 'gitea', 'bitbucketserver', 'bitbucket', 'azuredevops' provider types",
);

/// A service that events are sent to.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// Messages in Slack.
    Slack,
    /// Messages in Discord.
    Discord,
    /// Messages in Microsoft Teams.
    MsTeams,
    /// Messages in Rocket.Chat.
    Rocket,
    /// Events as JSON, to any address.
    #[default]
    Generic,
    /// Events as JSON, signed with a shared key.
    #[serde(rename = "generic-hmac")]
    GenericHmac,
    /// Commit statuses in GitHub.
    Github,
    /// Commit statuses in GitLab.
    Gitlab,
    /// Commit statuses in Gitea or Forgejo.
    Gitea,
    /// Comments on pull requests in Gitea or Forgejo.
    GiteaPullRequestComment,
    /// Commit statuses in Bitbucket Server.
    BitbucketServer,
    /// Commit statuses in Bitbucket Cloud.
    Bitbucket,
    /// Commit statuses in Azure DevOps.
    AzureDevops,
    /// Messages in Google Chat.
    GoogleChat,
    /// Messages to a Google Pub/Sub topic.
    GooglePubsub,
    /// Messages in Webex.
    Webex,
    /// Events in Sentry.
    Sentry,
    /// Events to an Azure Event Hub.
    AzureEventhub,
    /// Messages in Telegram.
    Telegram,
    /// Messages in Lark.
    Lark,
    /// Messages in Matrix.
    Matrix,
    /// Alerts in Opsgenie.
    Opsgenie,
    /// Alerts in Prometheus Alertmanager.
    Alertmanager,
    /// Annotations in Grafana.
    Grafana,
    /// Repository dispatch events in GitHub.
    GithubDispatch,
    /// Comments on pull requests in GitHub.
    GithubPullRequestComment,
    /// Comments on merge requests in GitLab.
    GitlabMergeRequestComment,
    /// Alerts in PagerDuty.
    Pagerduty,
    /// Events in Datadog.
    Datadog,
    /// Messages to a NATS subject.
    Nats,
    /// Messages in Zulip.
    Zulip,
    /// Spans to an OpenTelemetry collector.
    Otel,
    /// Messages in Zoom.
    Zoom,
    /// Alerts in incident.io.
    #[serde(rename = "incident.io")]
    IncidentIo,
    /// A service that these types do not know; definitions newer than they are may let it in.
    #[serde(other, skip_serializing)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}

/// Says how sending went. It has no default and no condition is written, so that nothing waits for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProviderStatus {
    /// Generation of the object that the last finished run acted on; -1 before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the service last took an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time"))]
    pub last_delivery_time: Option<Time>,
    /// When sending an event last failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time"))]
    pub last_failure_time: Option<Time>,
    /// Why that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure_message: Option<String>,
    /// State of the object as v1beta1 and v1beta2 wrote it, one entry a type: `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::conditions")
    )]
    pub conditions: Vec<Condition>,
    /// Value of the last request annotation that was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}
