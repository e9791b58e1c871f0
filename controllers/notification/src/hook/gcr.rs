//! Google Artifact Registry, through a Pub/Sub push with a token of Google.
//!
//! Source: <https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions>;
//! notification-controller v1.9.3 `internal/server/receiver_handlers.go`.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Secret, Verified,
    jwt::{self, Token},
    keys::{Issuer, Keys},
};
use crate::server::Received;

const ISSUERS: [&str; 2] = ["accounts.google.com", "https://accounts.google.com"];

#[derive(Debug, Deserialize)]
struct Push {
    message: Message,
}

#[derive(Debug, Deserialize)]
struct Message {
    data: String,
}

/// What happened in the registry.
#[derive(Debug, Deserialize, Serialize)]
struct Change {
    #[serde(default)]
    action: String,
    #[serde(default)]
    digest: String,
    #[serde(default)]
    tag: String,
}

pub(super) async fn verify(
    secret: &Secret,
    request: &Received,
    keys: &Keys,
) -> Result<Verified, String> {
    let key = |name: &str| {
        let bytes = secret.get(name).filter(|v| !v.is_empty());
        let text = bytes
            .and_then(|v| std::str::from_utf8(v).ok())
            .map(str::trim);
        text.ok_or_else(|| format!("the secret has no key '{name}'"))
    };
    let (email, audience) = (key("email")?, key("audience")?);
    let text = jwt::bearer(request).ok_or("the Authorization header is missing or malformed")?;
    let token = Token::parse(text).ok_or("the token is malformed")?;
    if !ISSUERS.contains(&token.text("iss").unwrap_or_default()) {
        return Err("the token's issuer is not Google".into());
    }
    if !token.is_for(audience) {
        return Err("the token is for another audience".into());
    }
    if !token.is_current(Timestamp::now().as_second()) {
        return Err("the token has expired or is not valid yet".into());
    }
    let verified = token.claims.get("email_verified");
    let verified = verified.is_some_and(|v| v == true || v == "true");
    let same = super::is_same(
        token.text("email").unwrap_or_default().as_bytes(),
        email.as_bytes(),
    );
    if !same || !verified {
        return Err("the token's email is another one or not verified".into());
    }
    keys.verify(Issuer::Google, &token).await?;
    let push: Push = serde_json::from_slice(&request.body)
        .map_err(|error| format!("cannot decode the payload: {error}"))?;
    let data = STANDARD
        .decode(push.message.data.trim())
        .map_err(|_| "cannot decode the payload: the data is not base64")?;
    super::json_with(&data, &[&["action"], &["digest"], &["tag"]])?;
    let change: Change = serde_json::from_slice(&data)
        .map_err(|error| format!("cannot decode the payload: {error}"))?;
    let body = serde_json::to_vec(&change).unwrap_or_default();
    Ok(Verified {
        body: body.into(),
        unwrapped: true,
        claims: None,
    })
}
