//! Google Pub/Sub: a message to a topic.
//!
//! Source: <https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish>;
//! notification-controller v1.9.3 `internal/notifier/google_pubsub.go`.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use cloud::gcp::AccountKey;
use futures::future::BoxFuture;
use serde_json::json;

use super::{Boxed, BuildError, Notice, Notifier, Outgoing, SendError, Settings, identity};

const API: &str = "https://pubsub.googleapis.com";
/// Where an emulator listens instead; it asks for no token.
const EMULATOR: &str = "PUBSUB_EMULATOR_HOST";

struct Pubsub {
    api: String,
    /// Whether it wants to know who publishes.
    guarded: bool,
    topic: String,
    key: Option<AccountKey>,
    settings: Arc<Settings>,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    let pubsub = match runtime::env::variable(EMULATOR) {
        Some(host) => Pubsub::new(settings, format!("http://{host}"), false),
        None => Pubsub::new(settings, API.to_owned(), true),
    };
    pubsub.map(|pubsub| Box::new(pubsub) as Boxed)
}

impl Pubsub {
    fn new(settings: &Arc<Settings>, api: String, guarded: bool) -> Result<Self, BuildError> {
        let (project, topic) = (settings.address.trim(), settings.channel.trim());
        if project.is_empty() {
            return Err(BuildError::new("GCP project ID cannot be empty"));
        }
        if topic.is_empty() {
            return Err(BuildError::new("GCP Pub/Sub topic ID cannot be empty"));
        }
        let token = settings.token.trim();
        let key = (!token.is_empty()).then(|| AccountKey::from_json(token.as_bytes()));
        let key = key
            .transpose()
            .map_err(|_| BuildError::new("the secret's 'token' is no service account key"))?;
        Ok(Self {
            api,
            guarded,
            topic: format!("projects/{project}/topics/{topic}"),
            key,
            settings: Arc::clone(settings),
        })
    }

    async fn publish(&self, notice: &Notice) -> Result<(), SendError> {
        let event = notice.event.to_json();
        let message =
            json!({ "data": STANDARD.encode(event), "attributes": self.settings.headers });
        let body = json!({ "messages": [message] });
        let url = format!("{}/v1/{}:publish", self.api, self.topic);
        let mut request = Outgoing::json(url, &body);
        if self.guarded {
            let bearer = identity::google(&self.settings, self.key.as_ref()).await?;
            request = request.header(http::header::AUTHORIZATION, bearer);
        }
        let answer = request.send(&self.settings.client, "publish").await?;
        answer.expect_success("publish").map(drop)
    }
}

impl Notifier for Pubsub {
    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(async move {
            let what = format!("error publishing to GCP Pub/Sub topic {}", self.topic);
            self.publish(notice)
                .await
                .map_err(|error| error.within(&what))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use api::notification::ProviderKind;
    use serde_json::Value;
    use testkit::{Answer, HttpSink};

    use super::*;
    use crate::provider::tests::{identities, notice, settings};

    const KEY: &str = include_str!("../../tests/data/rsa.pem");
    const PUBLISH: &str = "/v1/projects/proj/topics/events:publish";

    /// Publishes twice to a local server; with a service account's key, or the pod's identity.
    async fn published(with_key: bool) -> Vec<testkit::ReceivedRequest> {
        let sink = HttpSink::start().unwrap();
        let token = r#"{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer"}"#;
        sink.answer_once(Answer::body(token));
        sink.answer(Answer::body(r#"{"messageIds":["1"]}"#));
        let mut settings = settings(ProviderKind::GooglePubsub, "proj");
        settings.channel = "events".into();
        settings.headers = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
        let clients = Arc::new(net_http::Clients::new(
            "test",
            net_http::Environment::default(),
        ));
        settings.identities = identities(&clients, &sink.url());
        if with_key {
            let account = json!({ "type": "service_account", "private_key_id": "k1",
                "client_email": "flux@proj.iam.gserviceaccount.com", "private_key": KEY,
                "token_uri": format!("{}/token", sink.url()) });
            settings.token = account.to_string();
        }
        let settings = Arc::new(settings);
        for severity in ["info", "error"] {
            let pubsub = Pubsub::new(&settings, sink.url(), true).unwrap();
            pubsub.send(&notice(severity)).await.unwrap();
        }
        sink.requests()
    }

    /// covers: NC-080
    #[tokio::test]
    async fn event_is_published_with_attributes_by_who_the_key_is_of() {
        let requests = published(true).await;
        let targets: Vec<_> = requests.iter().map(|r| r.target.as_str()).collect();
        assert_eq!(targets, ["/token", PUBLISH, PUBLISH], "the token is kept");
        let form: BTreeMap<_, _> = url::form_urlencoded::parse(&requests[0].body)
            .into_owned()
            .collect();
        let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        assert_eq!(form["grant_type"], grant);
        assert_eq!(form["assertion"].split('.').count(), 3);
        for (request, severity) in requests[1..].iter().zip(["info", "error"]) {
            assert_eq!(request.method, "POST");
            assert_eq!(request.header("authorization"), Some("Bearer ya29.x"));
            assert_eq!(request.header("content-type"), Some("application/json"));
            let body: Value = request.json().unwrap();
            let data = STANDARD.encode(notice(severity).event.to_json());
            let message = json!({ "data": data, "attributes": { "env": "prod" } });
            assert_eq!(body, json!({ "messages": [message] }));
        }
    }

    #[tokio::test]
    async fn without_a_key_the_identity_of_the_pod_publishes() {
        let requests = published(false).await;
        assert_eq!(requests[0].method, "GET");
        assert_eq!(requests[0].header("metadata-flavor"), Some("Google"));
        assert!(
            requests[0]
                .target
                .contains("/service-accounts/default/token")
        );
        assert_eq!(requests[1].target, PUBLISH);
        assert_eq!(requests[1].header("authorization"), Some("Bearer ya29.x"));
    }

    /// covers: NC-080
    #[tokio::test]
    async fn refusal_is_told_with_the_topic() {
        let sink = HttpSink::start().unwrap();
        sink.answer(Answer::body("no such topic"));
        sink.answer_once(Answer::status(404));
        let mut settings = settings(ProviderKind::GooglePubsub, "proj");
        settings.channel = "events".into();
        let pubsub = Pubsub::new(&Arc::new(settings), sink.url(), false).unwrap();
        let error = pubsub.send(&notice("info")).await.unwrap_err().to_string();
        let words = "error publishing to GCP Pub/Sub topic projects/proj/topics/events: ";
        assert!(error.starts_with(words) && error.contains("404"), "{error}");
        let request = sink.requests().remove(0);
        assert_eq!(
            request.header("authorization"),
            None,
            "an emulator asks for nothing"
        );
    }
}
