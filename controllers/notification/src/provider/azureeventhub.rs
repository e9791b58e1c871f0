//! Azure Event Hubs: an event to a hub, over HTTPS.
//!
//! Source: <https://learn.microsoft.com/rest/api/eventhub/send-event>,
//! <https://learn.microsoft.com/rest/api/eventhub/generate-sas-token>; notification-controller
//! v1.9.3 `internal/notifier/azure_eventhub.go`, which speaks AMQP.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::future::BoxFuture;
use jiff::Timestamp;
use net_http::{HeaderValue, Method};
use ring::hmac;

use super::{
    Boxed, BuildError, Notice, Notifier, Outgoing, SendError, Settings, git, identity, outgoing,
};

const SCOPE: &str = "https://eventhubs.azure.net/.default";
/// How long a signature counts, in seconds.
const SIGNED_FOR: i64 = 900;

struct EventHub {
    url: String,
    way: Way,
    settings: Arc<Settings>,
}

enum Way {
    /// The name and the key of a shared access policy.
    Shared(String, String),
    /// A token that the user keeps fresh.
    Token(HeaderValue),
    /// Tokens of the identity of a service account, or the pod.
    Identity,
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    let (url, way) = read(settings).map_err(|e| e.within("invalid authentication options"))?;
    Ok(Box::new(EventHub {
        url,
        way,
        settings: Arc::clone(settings),
    }))
}

fn read(settings: &Settings) -> Result<(String, Way), BuildError> {
    let (address, token) = (&settings.address, &settings.token);
    let wrong = |message: &str| Err(BuildError::new(message));
    if address.is_empty() {
        return wrong("endpoint URL cannot be empty");
    }
    let named = settings.service_account.is_some();
    if address.contains("SharedAccessKey") {
        if named {
            return wrong(
                "serviceAccountName and SAS authentication cannot be set at the same time",
            );
        }
        if !token.is_empty() {
            return wrong("jwt token and SAS authentication cannot be set at the same time");
        }
        return shared(address);
    }
    if named && !token.is_empty() {
        return wrong(
            "serviceAccountName and jwt token authentication cannot be set at the same time",
        );
    }
    let mut host = settings.channel.clone();
    if !host.contains(".servicebus.") {
        host.push_str(suffix(settings.identities.azure_authority()));
    }
    let url = format!("https://{host}/{}/messages", git::segment(address));
    outgoing::web_url("Event Hubs namespace", &url)?;
    let way = match outgoing::bearer(token)? {
        Some(token) => Way::Token(token),
        None => Way::Identity,
    };
    Ok((url, way))
}

/// The namespace's domain, by the cloud whose tokens an authority gives.
fn suffix(authority: &str) -> &'static str {
    if authority.contains("chinacloudapi.cn") {
        ".servicebus.chinacloudapi.cn"
    } else if authority.contains("microsoftonline.us") {
        ".servicebus.usgovcloudapi.net"
    } else {
        ".servicebus.windows.net"
    }
}

/// Reads a connection string:
/// `Endpoint=sb://<host>/;SharedAccessKeyName=…;SharedAccessKey=…;EntityPath=<hub>`.
fn shared(text: &str) -> Result<(String, Way), BuildError> {
    let field = |name: &str| {
        let mut fields = text.split(';').filter_map(|field| field.split_once('='));
        let found = fields.find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
        found
            .map(|(_, value)| value.trim())
            .filter(|v| !v.is_empty())
    };
    let need = |name: &str| {
        let missing = || BuildError::new(format!("the connection string has no {name}"));
        field(name).ok_or_else(missing)
    };
    let endpoint = need("Endpoint")?;
    let host = endpoint
        .split_once("://")
        .map_or(endpoint, |(_, host)| host);
    // A test's server has no TLS; the schemes of real ones all mean it.
    let scheme = if endpoint.starts_with("http://") {
        "http"
    } else {
        "https"
    };
    let hub = git::segment(need("EntityPath")?);
    let url = format!("{scheme}://{}/{hub}/messages", host.trim_end_matches('/'));
    if url::Url::parse(&url).is_err() {
        return Err(BuildError::new(
            "the connection string's Endpoint is no address",
        ));
    }
    let (name, key) = (need("SharedAccessKeyName")?, need("SharedAccessKey")?);
    Ok((url, Way::Shared(name.to_owned(), key.to_owned())))
}

/// Signs a resource for the next minutes.
fn signature(url: &str, name: &str, key: &str, now: i64) -> String {
    let resource = git::segment(url.trim_end_matches("/messages"));
    let expiry = now + SIGNED_FOR;
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let tag = hmac::sign(&key, format!("{resource}\n{expiry}").as_bytes());
    let tag = git::segment(&STANDARD.encode(tag));
    let name = git::segment(name);
    format!("SharedAccessSignature sr={resource}&sig={tag}&se={expiry}&skn={name}")
}

impl EventHub {
    async fn authorization(&self) -> Result<HeaderValue, SendError> {
        let text = match &self.way {
            Way::Token(token) => return Ok(token.clone()),
            Way::Shared(name, key) => signature(&self.url, name, key, Timestamp::now().as_second()),
            Way::Identity => return identity::azure(&self.settings, SCOPE).await,
        };
        HeaderValue::try_from(text).map_err(|_| SendError::rejected("the token is no header"))
    }
}

impl Notifier for EventHub {
    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(async move {
            let what = "failed to send event to Event Hubs";
            let authorization = self.authorization().await.map_err(|e| e.within(what))?;
            let url = format!("{}?timeout=60&api-version=2014-01", self.url);
            let kind = HeaderValue::from_static("application/json");
            let request = Outgoing::new(Method::POST, url)
                .header(http::header::CONTENT_TYPE, kind)
                .header(http::header::AUTHORIZATION, authorization)
                .body(notice.event.to_json());
            let answer = request.send(&self.settings.client, what).await?;
            answer.expect_success(what).map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector was computed with openssl.
    #[test]
    fn connection_string_is_read_and_signs() {
        let text = "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=c2VjcmV0;EntityPath=hub";
        let (url, way) = shared(text).unwrap();
        assert_eq!(url, "https://ns.servicebus.windows.net/hub/messages");
        let Way::Shared(name, key) = way else {
            panic!("another way");
        };
        let got = signature(&url, &name, &key, 1_767_224_700);
        assert!(got.starts_with(
            "SharedAccessSignature sr=https%3A%2F%2Fns.servicebus.windows.net%2Fhub&sig="
        ));
        assert!(got.ends_with("&se=1767225600&skn=send"), "{got}");
        assert!(shared("Endpoint=sb://x/;SharedAccessKey=a").is_err());
    }

    #[test]
    fn namespace_is_in_the_cloud_of_the_authority() {
        for (authority, expect) in [
            (
                "https://login.microsoftonline.com",
                ".servicebus.windows.net",
            ),
            (
                "https://login.chinacloudapi.cn/",
                ".servicebus.chinacloudapi.cn",
            ),
            (
                "https://login.microsoftonline.us",
                ".servicebus.usgovcloudapi.net",
            ),
        ] {
            assert_eq!(suffix(authority), expect);
        }
    }

    #[tokio::test]
    async fn identity_of_the_pod_is_asked_once_for_a_token_that_lets_in() {
        use testkit::{Answer, HttpSink};
        let sink = HttpSink::start().unwrap();
        sink.answer_once(Answer::body(
            r#"{"access_token":"ey.x","expires_in":"3599"}"#,
        ));
        sink.answer(Answer::status(201));
        let kind = api::notification::ProviderKind::AzureEventhub;
        let mut settings = crate::provider::tests::settings(kind, "hub");
        let clients = net_http::Clients::new("test", net_http::Environment::default());
        settings.identities = crate::provider::tests::identities(&Arc::new(clients), &sink.url());
        settings.channel = "ns".into();
        let (url, way) = read(&settings).unwrap();
        assert_eq!(url, "https://ns.servicebus.windows.net/hub/messages");
        let hub = EventHub {
            url: format!("{}/hub/messages", sink.url()),
            way,
            settings: Arc::new(settings),
        };
        for severity in ["info", "error"] {
            let notice = crate::provider::tests::notice(severity);
            hub.send(&notice).await.unwrap();
        }
        let requests = sink.requests();
        assert_eq!(requests.len(), 3, "the token is kept");
        assert_eq!(requests[0].header("metadata"), Some("true"));
        let resource = "resource=https%3A%2F%2Feventhubs.azure.net";
        assert!(
            requests[0].target.contains(resource),
            "{}",
            requests[0].target
        );
        for request in &requests[1..] {
            assert_eq!(request.header("authorization"), Some("Bearer ey.x"));
            assert_eq!(
                request.target,
                "/hub/messages?timeout=60&api-version=2014-01"
            );
        }
    }
}
