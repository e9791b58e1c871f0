//! Matrix: a text message to a room.
//!
//! Source: <https://spec.matrix.org/legacy/client_server/r0.6.1#put-matrix-client-r0-rooms-roomid-send-eventtype-txnid>;
//! notification-controller v1.9.3 `internal/notifier/matrix.go`.

use std::{fmt::Write, sync::Arc};

use net_http::{HeaderValue, Method};
use serde_json::json;
use sha1::{Digest, Sha1};

use super::{Boxed, BuildError, Notice, Outgoing, SendError, Settings, Webhook, outgoing};

#[derive(Debug)]
struct Matrix {
    base: String,
    room: String,
    authorization: Option<HeaderValue>,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    outgoing::web_url("Matrix homeserver URL", &settings.address)?;
    let hook = Matrix {
        base: settings.address.trim_end_matches('/').to_owned(),
        room: settings.channel.clone(),
        authorization: outgoing::bearer(&settings.token)?,
    };
    Ok(super::posting(hook, settings))
}

impl Webhook for Matrix {
    fn requests(&self, notice: &Notice) -> Result<Vec<Outgoing>, SendError> {
        let event = &notice.event;
        // The same event again is the same transaction: the room gets it once.
        let transaction = hex::encode(Sha1::digest(event.to_json()));
        let url = format!(
            "{}/_matrix/client/r0/rooms/{}/send/m.room.message/{transaction}",
            self.base, self.room
        );
        let sign = if event.is_error() { "🚨" } else { "💫" };
        let title = event.involved_object.title();
        let mut text = format!("{sign} {title}\n{}\n", event.message);
        for (key, value) in &event.metadata {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "- {key}: {value}");
        }
        let body = json!({ "body": text, "msgtype": "m.text" });
        let authorization = self.authorization.as_ref();
        let request = Outgoing::new(Method::PUT, url).with_json(&body);
        Ok(vec![
            request.header_if(http::header::AUTHORIZATION, authorization),
        ])
    }
}
