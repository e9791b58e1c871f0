//! Google Pub/Sub: a message to a topic.
//!
//! Source: <https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish>;
//! notification-controller v1.9.3 `internal/notifier/google_pubsub.go`.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::future::BoxFuture;
use net_http::HeaderValue;
use serde_json::json;

use super::{
    Boxed, BuildError, Notice, Notifier, Outgoing, SendError, Settings,
    cloud::{self, GoogleKey},
};

const API: &str = "https://pubsub.googleapis.com";
const SCOPE: &str = "https://www.googleapis.com/auth/pubsub";
/// Where an emulator listens instead; it asks for no token.
const EMULATOR: &str = "PUBSUB_EMULATOR_HOST";

struct Pubsub {
    topic: String,
    key: Option<GoogleKey>,
    settings: Arc<Settings>,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    Pubsub::new(settings).map(|pubsub| Box::new(pubsub) as Boxed)
}

impl Pubsub {
    fn new(settings: &Arc<Settings>) -> Result<Self, BuildError> {
        let (project, topic) = (settings.address.trim(), settings.channel.trim());
        if project.is_empty() {
            return Err(BuildError::new("GCP project ID cannot be empty"));
        }
        if topic.is_empty() {
            return Err(BuildError::new("GCP Pub/Sub topic ID cannot be empty"));
        }
        let token = settings.token.trim();
        let key = (!token.is_empty()).then(|| cloud::google_key(token));
        Ok(Self {
            topic: format!("projects/{project}/topics/{topic}"),
            key: key.transpose()?,
            settings: Arc::clone(settings),
        })
    }

    async fn publish(&self, notice: &Notice) -> Result<(), SendError> {
        let event = notice.event.to_json();
        let message =
            json!({ "data": STANDARD.encode(event), "attributes": self.settings.headers });
        let body = json!({ "messages": [message] });
        let path = format!("/v1/{}:publish", self.topic);
        let request = if let Some(host) = runtime::env::variable(EMULATOR) {
            Outgoing::json(format!("http://{host}{path}"), &body)
        } else {
            let token = cloud::google_token(&self.settings, self.key.as_ref(), SCOPE).await?;
            let bearer = HeaderValue::try_from(format!("Bearer {token}"));
            let bearer = bearer.map_err(|_| SendError::rejected("the token is no header"))?;
            let request = Outgoing::json(format!("{API}{path}"), &body);
            request.header(http::header::AUTHORIZATION, bearer)
        };
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
