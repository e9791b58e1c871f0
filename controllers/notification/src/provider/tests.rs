//! Each service's requests, against the facts of its API.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use access::{Endpoints, Identities, Rules};
use net_http::{ClientConfig, Clients, Environment, Redactor};
use serde_json::{Value, json};

use super::*;

mod forges;

/// A notice about the sample event.
pub(crate) fn notice(severity: &str) -> Notice {
    Notice {
        event: crate::event::tests::sample(severity),
        alert: AlertIdentity {
            namespace: "gitops-system".into(),
            name: "alert".into(),
            uid: "alert-uid".into(),
        },
        status: "gitrepository/webapp/0c9c2e41".into(),
    }
}

/// Identities of a process that has none; `metadata` is where machines of clouds would tell.
pub(crate) fn identities(clients: &Arc<Clients>, metadata: &str) -> Identities {
    /// Clients of the API server want one.
    static RUNTIME: LazyLock<tokio::runtime::Runtime> =
        LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());
    let _inside = RUNTIME.enter();
    let nobody = tower::service_fn(|_: http::Request<kube::client::Body>| {
        std::future::ready(Err::<http::Response<kube::client::Body>, _>(
            std::io::Error::other("there is no API server"),
        ))
    });
    let endpoints = Endpoints {
        azure_metadata: Some(metadata.to_owned()),
        google_metadata: Some(metadata.to_owned()),
        ..Endpoints::default()
    };
    let rules = Rules {
        most_tokens: 10,
        longest: std::time::Duration::from_hours(1),
        ..Rules::default()
    };
    Identities::with_endpoints(
        kube::Client::new(nobody, "ns"),
        Arc::clone(clients),
        &runtime::metrics::Metrics::new(),
        rules,
        (|_: &str| None, endpoints),
    )
}

/// Settings with these fields.
pub(crate) fn settings(kind: ProviderKind, address: &str) -> Settings {
    drop(rustls::crypto::ring::default_provider().install_default());
    let clients = Arc::new(Clients::new("test", Environment::default()));
    Settings {
        kind,
        uid: "0c9c2e41-d2f9".into(),
        namespace: "gitops-system".into(),
        name: "provider".into(),
        address: address.into(),
        channel: String::new(),
        username: String::new(),
        password: String::new(),
        token: String::new(),
        headers: BTreeMap::new(),
        secret: BTreeMap::new(),
        service_account: None,
        timeout: std::time::Duration::from_secs(15),
        client: clients.get(&ClientConfig::default()).unwrap(),
        certificate_authority: None,
        proxy: net_http::Proxy::Direct,
        identities: identities(&clients, "http://127.0.0.1:1"),
        redactor: Redactor::default(),
    }
}

/// Returns a client that trusts an authority besides the system's.
fn trusting(authority: &testkit::Authority) -> Client {
    let config = ClientConfig {
        certificate_authority: Some(authority.pem().into()),
        ..ClientConfig::default()
    };
    Clients::new("test", Environment::default())
        .get(&config)
        .unwrap()
}

fn all() -> Vec<ProviderKind> {
    // The names of the definition, so that none is forgotten here.
    let names = "slack discord msteams rocket generic generic-hmac github gitlab gitea \
        giteapullrequestcomment bitbucketserver bitbucket azuredevops googlechat googlepubsub webex \
        sentry azureeventhub telegram lark matrix opsgenie alertmanager grafana githubdispatch \
        githubpullrequestcomment gitlabmergerequestcomment pagerduty datadog nats zulip otel zoom \
        incident.io";
    let kinds = names.split_whitespace();
    kinds
        .map(|name| serde_json::from_value(name.into()).unwrap())
        .collect()
}

/// No type may panic or say a secret, whatever its settings are.
#[test]
fn nonsense_is_refused_without_telling_secrets() {
    const SECRET: &str = "s3cr3t-t0ken";
    for kind in all() {
        for address in [
            "",
            "not a url",
            "ftp://host",
            "https://",
            "http://[::1",
            "\u{0}",
        ] {
            let mut settings = settings(kind, address);
            settings.token = format!("{SECRET}\r\nX-Evil: 1");
            settings.password = SECRET.into();
            settings.headers.insert("X-A\r\nB".into(), SECRET.into());
            settings.secret.insert("githubAppID".into(), b"1".to_vec());
            settings.secret.insert("creds".into(), SECRET.into());
            if let Err(error) = build(&Arc::new(settings)) {
                assert!(!error.to_string().contains(SECRET), "{kind:?}: {error}");
            }
        }
    }
}

#[test]
fn every_type_can_be_built() {
    for kind in all() {
        let mut settings = settings(kind, "https://host.example/org/repo");
        settings.channel = "a/b".into();
        settings.username = "user".into();
        settings.token = "user:token".into();
        match kind {
            ProviderKind::AzureDevops => {
                settings.address = "https://dev.azure.com/a/b/_git/c".into();
            }
            ProviderKind::AzureEventhub => settings.address = "hub".into(),
            ProviderKind::BitbucketServer => settings.address = "https://b.org/scm/p/r.git".into(),
            ProviderKind::GooglePubsub => settings.token = String::new(),
            ProviderKind::Nats => settings.address = "nats://host".into(),
            ProviderKind::Sentry => settings.address = "https://key@host/1".into(),
            _ => {}
        }
        if let Err(error) = build(&Arc::new(settings)) {
            panic!("{kind:?}: {error}");
        }
    }
}

#[test]
fn reasons_become_words() {
    for (camel, expect) in [
        ("ApplySucceeded", "apply succeeded"),
        ("BuildFailedTwice", "build failed twice"),
        ("HelmOCIFailed", "helm oci failed"),
        ("ok", "ok"),
        ("", ""),
    ] {
        assert_eq!(words(camel), expect);
    }
}

/// Sends the sample event through a built notifier to a local server and returns what came.
async fn sent(
    change: impl FnMut(&mut Settings),
    kind: ProviderKind,
    severity: &str,
) -> Vec<testkit::ReceivedRequest> {
    sent_with(change, kind, &notice(severity)).await
}

/// Sends a notice through a built notifier to a local server and returns what came.
pub(crate) async fn sent_with(
    mut change: impl FnMut(&mut Settings),
    kind: ProviderKind,
    notice: &Notice,
) -> Vec<testkit::ReceivedRequest> {
    let sink = testkit::HttpSink::start().unwrap();
    let mut settings = settings(kind, &format!("{}/hook", sink.url()));
    change(&mut settings);
    let notifier = build(&Arc::new(settings)).unwrap_or_else(|e| panic!("{e}"));
    notifier.send(notice).await.unwrap();
    sink.requests()
}

async fn one(
    change: impl FnMut(&mut Settings),
    kind: ProviderKind,
    severity: &str,
) -> (testkit::ReceivedRequest, Value) {
    let mut all = sent(change, kind, severity).await;
    assert_eq!(all.len(), 1);
    let request = all.remove(0);
    let body = request.json().unwrap();
    (request, body)
}

/// covers: NC-075, NC-077
#[tokio::test]
async fn slack_discord_and_rocket_get_one_attachment() {
    for (kind, target, colors) in [
        (ProviderKind::Slack, "/hook", ("good", "danger")),
        (ProviderKind::Discord, "/hook/slack", ("good", "danger")),
        (ProviderKind::Rocket, "/hook", ("#0076D7", "#FF0000")),
    ] {
        for (severity, color) in [("info", colors.0), ("error", colors.1)] {
            let (request, body) = one(|_| {}, kind, severity).await;
            assert_eq!(
                (request.method.as_str(), request.target.as_str()),
                ("POST", target)
            );
            let attachment = &body["attachments"][0];
            assert_eq!(
                attachment["author_name"],
                "gitrepository/webapp.gitops-system"
            );
            assert_eq!(attachment["color"], color);
            assert_eq!(attachment["fields"][0]["value"], "metadata");
            assert_eq!(body["username"], "source-controller");
        }
    }
}

/// covers: NC-074
#[tokio::test]
async fn forwarder_signs_what_it_sends() {
    let preset = |s: &mut Settings| {
        s.headers.insert("X-Signature".into(), "preset".into());
        s.token = "key".into();
    };
    let (request, _) = one(preset, ProviderKind::Generic, "info").await;
    assert_eq!(request.header("x-signature"), Some("preset"));
    let (request, body) = one(preset, ProviderKind::GenericHmac, "info").await;
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"key");
    let tag = hex::encode(ring::hmac::sign(&key, &request.body));
    assert_eq!(
        request.header("x-signature"),
        Some(format!("sha256={tag}").as_str())
    );
    assert_eq!(body["metadata"]["test"], "metadata");
    let error = build(&Arc::new(settings(ProviderKind::GenericHmac, "http://x")))
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "HMAC key is empty");
}

/// covers: NC-078
#[tokio::test]
async fn teams_gets_adaptive_cards_but_for_old_connectors() {
    let (_, card) = one(|_| {}, ProviderKind::MsTeams, "error").await;
    let expect = json!({ "type": "message", "attachments": [{
        "contentType": "application/vnd.microsoft.card.adaptive",
        "content": { "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard", "version": "1.4",
            "body": [{ "type": "Container", "items": [
                { "type": "TextBlock", "text": "gitrepository/webapp.gitops-system",
                  "size": "large", "weight": "bolder", "wrap": true },
                { "type": "TextBlock", "text": "message", "color": "attention", "wrap": true },
                { "type": "FactSet", "facts": [{ "title": "test", "value": "metadata" }] }] }],
            "msteams": { "width": "Full" } } }] });
    assert_eq!(card, expect);
    for (address, connector) in [
        ("https://x.webhook.office.com/a", true),
        ("https://x.webhook.office.com:443/a", true),
        ("https://x.webhook.office.com.evil.org/a", false),
        ("https://prod.logic.azure.com/workflows/a", false),
    ] {
        assert_eq!(msteams::is_connector(address), connector, "{address}");
    }
}

/// covers: NC-079
#[tokio::test]
async fn google_chat_gets_a_card_with_text_and_facts() {
    let (_, body) = one(|_| {}, ProviderKind::GoogleChat, "info").await;
    let card = &body["cards"][0];
    assert_eq!(
        card["header"]["title"],
        "gitrepository/webapp.gitops-system"
    );
    assert_eq!(card["header"]["subtitle"], "source-controller");
    assert_eq!(
        card["sections"][0]["widgets"][0]["textParagraph"]["text"],
        "message"
    );
    assert_eq!(
        card["sections"][1]["widgets"][0]["keyValue"]["topLabel"],
        "test"
    );
}

/// covers: NC-081
#[tokio::test]
async fn grafana_gets_tags_in_their_order() {
    let (request, body) = one(|s| s.token = "t".into(), ProviderKind::Grafana, "info").await;
    let tags = json!([
        "flux",
        "source-controller",
        "test: metadata",
        "kind: GitRepository",
        "name: webapp",
        "namespace: gitops-system"
    ]);
    assert_eq!(body["tags"], tags);
    assert_eq!(request.header("authorization"), Some("Bearer t"));
}

/// covers: NC-082
#[tokio::test]
async fn incident_io_is_told_of_firing_and_resolved() {
    let token = |s: &mut Settings| s.token = "t".into();
    let kind = ProviderKind::IncidentIo;
    for (severity, status) in [("info", "resolved"), ("error", "firing")] {
        let (_, body) = one(token, kind, severity).await;
        assert_eq!(body["status"], status);
        let metadata = json!({ "test": "metadata", "severity": severity,
            "reason": "ReconciliationFailed", "reportingController": "source-controller" });
        assert_eq!(body["metadata"], metadata);
        assert_eq!(body["deduplication_key"], "1234-uid");
    }
    let none = settings(kind, "https://host/x");
    let error = build(&Arc::new(none)).err().unwrap().to_string();
    assert_eq!(error, "empty incident.io API token");
    let hook = incident_io::build(&Arc::new({
        let mut s = settings(kind, "http://127.0.0.1:9/x");
        s.token = "t".into();
        s
    }));
    let mut progress = notice("info");
    progress.event.reason = "Progressing".into();
    hook.unwrap_or_else(|e| panic!("{e}"))
        .send(&progress)
        .await
        .unwrap();
}

/// covers: NC-083
#[tokio::test]
async fn lark_gets_a_card_and_its_code_is_read() {
    let (_, body) = one(|_| {}, ProviderKind::Lark, "info").await;
    let header = &body["card"]["header"];
    assert_eq!(
        header["title"]["content"],
        "💫 gitrepository/webapp.gitops-system"
    );
    assert_eq!(header["template"], "turquoise");
    let sink = testkit::HttpSink::start().unwrap();
    sink.answer(testkit::Answer::body(
        r#"{"code":19001,"msg":"param invalid"}"#,
    ));
    let notifier = build(&Arc::new(settings(ProviderKind::Lark, &sink.url())));
    let error = notifier
        .unwrap_or_else(|e| panic!("{e}"))
        .send(&notice("info"))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("19001: param invalid"),
        "{error}"
    );
}

/// covers: NC-088
#[tokio::test]
async fn pagerduty_is_triggered_resolved_and_told_of_changes() {
    let kind = ProviderKind::Pagerduty;
    let key = |s: &mut Settings| s.channel = "key".into();
    let (request, body) = one(key, kind, "error").await;
    assert_eq!(request.target, "/v2/enqueue");
    let expect = json!({ "routing_key": "key", "event_action": "trigger", "dedup_key": "1234-uid",
        "payload": { "summary": "reconciliation failed: gitrepository/webapp",
            "source": "Flux source-controller", "severity": "error",
            "timestamp": "2026-01-01T00:00:00Z", "component": "webapp", "group": "GitRepository",
            "custom_details": { "message": "message", "metadata": { "test": "metadata" } } } });
    assert_eq!(body, expect);
    let both = sent(key, kind, "info").await;
    let targets: Vec<_> = both.iter().map(|r| r.target.as_str()).collect();
    assert_eq!(targets, ["/v2/enqueue", "/v2/change/enqueue"]);
    let body: Value = both[0].json().unwrap();
    assert_eq!(body["event_action"], "resolve");
}

/// covers: NC-091
#[tokio::test]
async fn webex_and_zoom_are_told_with_their_tokens() {
    let change = |s: &mut Settings| {
        s.channel = "room".into();
        s.token = "t".into();
    };
    let (request, body) = one(change, ProviderKind::Webex, "info").await;
    assert_eq!(request.header("authorization"), Some("Bearer t"));
    assert_eq!(body["roomId"], "room");
    let (request, body) = one(change, ProviderKind::Zoom, "info").await;
    assert_eq!(request.header("authorization"), Some("t"));
    assert_eq!(request.target, "/hook?format=full");
    assert_eq!(body["content"]["head"]["sub_head"]["text"], "info");
    let given = |s: &mut Settings| {
        s.token = "t".into();
        s.address.push_str("?format=message");
    };
    let (request, _) = one(given, ProviderKind::Zoom, "info").await;
    assert_eq!(request.target, "/hook?format=message");
}

/// covers: NC-092
#[tokio::test]
async fn zulip_gets_a_form_with_markdown() {
    let change = |s: &mut Settings| {
        s.channel = "channel/topic/more".into();
        s.username = "bot".into();
        s.password = "p".into();
    };
    let requests = sent(change, ProviderKind::Zulip, "error").await;
    assert_eq!(requests[0].target, "/api/v1/messages");
    assert_eq!(requests[0].header("authorization"), Some("Basic Ym90OnA="));
    let form: BTreeMap<_, _> = url::form_urlencoded::parse(&requests[0].body)
        .into_owned()
        .collect();
    assert_eq!(
        (form["to"].as_str(), form["topic"].as_str()),
        ("channel", "topic/more")
    );
    assert_eq!(form["type"], "stream");
    let text = "## Flux Status\n\n⚠️ GitRepository/gitops-system/webapp\n\nmessage\n\nMetadata:\n* `test`: metadata\n";
    assert_eq!(form["content"], text);
    let error = |address: &str, channel: &str| {
        let mut settings = settings(ProviderKind::Zulip, address);
        settings.channel = channel.into();
        build(&Arc::new(settings)).err().unwrap().to_string()
    };
    let text = error("https://h", "x");
    assert_eq!(
        text,
        "invalid Zulip channel format, expected <channel>/<topic>, got 'x'"
    );
    assert!(error("::", "a/b").starts_with("invalid Zulip URL"));
}

/// covers: NC-093
#[tokio::test]
async fn datadog_gets_lower_case_tags_at_its_own_path() {
    let token = |s: &mut Settings| s.token = "t".into();
    let (request, body) = one(token, ProviderKind::Datadog, "error").await;
    assert_eq!(request.target, "/api/v1/events");
    assert_eq!(request.header("dd-api-key"), Some("t"));
    assert_eq!(body["tags"][2], "kube_kind:gitrepository");
    assert_eq!(body["alert_type"], "error");
    let error = |s: Settings| build(&Arc::new(s)).err().unwrap().to_string();
    assert_eq!(
        error(settings(ProviderKind::Datadog, "https://h")),
        "token cannot be empty"
    );
    let mut bad = settings(ProviderKind::Datadog, "not a url");
    bad.token = "t".into();
    assert!(error(bad).starts_with("invalid Datadog URL"));
    let sink = testkit::HttpSink::start().unwrap();
    sink.answer(testkit::Answer::status(500));
    let mut failing = settings(ProviderKind::Datadog, &sink.url());
    failing.token = "t".into();
    let notifier = build(&Arc::new(failing)).unwrap_or_else(|e| panic!("{e}"));
    let error = notifier.send(&notice("info")).await.unwrap_err();
    assert!(matches!(error, SendError::Failed { .. }), "{error}");
}

/// covers: NC-094
#[tokio::test]
async fn alertmanager_gets_a_list_of_one() {
    let (_, body) = one(|_| {}, ProviderKind::Alertmanager, "error").await;
    let alerts = body.as_array().unwrap();
    assert_eq!(alerts.len(), 1);
    let labels = &alerts[0]["labels"];
    assert_eq!(labels["alertname"], "FluxGitRepositoryReconciliationfailed");
    assert_eq!(labels["test"], "metadata");
}

/// covers: NC-084, NC-086
#[tokio::test]
async fn opsgenie_and_matrix_get_what_their_apis_ask_for() {
    let token = |s: &mut Settings| s.token = "t".into();
    let (request, body) = one(token, ProviderKind::Opsgenie, "error").await;
    assert_eq!(request.header("authorization"), Some("GenieKey t"));
    let alias = body["alias"].as_str().unwrap();
    let expect = json!({ "message": "GitRepository/webapp", "description": "message",
        "alias": alias, "details": { "test": "metadata", "severity": "error" } });
    assert_eq!(body, expect);
    let mut bare = notice("error");
    bare.event.metadata.clear();
    let requests = sent_with(token, ProviderKind::Opsgenie, &bare).await;
    let body: Value = requests[0].json().unwrap();
    assert_eq!(body["alias"], alias, "facts are no part of it");
    assert_eq!(body["details"], json!({ "severity": "error" }));
    let room = |s: &mut Settings| {
        s.token = "t".into();
        s.channel = "!room:h".into();
    };
    let (request, body) = one(room, ProviderKind::Matrix, "info").await;
    let transaction = hex::encode({
        use sha1::Digest;
        sha1::Sha1::digest(notice("info").event.to_json())
    });
    let target = format!("/hook/_matrix/client/r0/rooms/!room:h/send/m.room.message/{transaction}");
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("PUT", target.as_str())
    );
    assert_eq!(body["msgtype"], "m.text");
}

/// covers: NC-080
#[test]
fn pubsub_needs_a_project_and_a_topic() {
    let error = |project: &str, topic: &str| {
        let mut settings = settings(ProviderKind::GooglePubsub, project);
        settings.channel = topic.into();
        build(&Arc::new(settings)).err().unwrap().to_string()
    };
    assert_eq!(error("", "t"), "GCP project ID cannot be empty");
    assert_eq!(error("p", ""), "GCP Pub/Sub topic ID cannot be empty");
}

#[tokio::test]
async fn event_hub_is_told_with_a_signature_over_https_rules() {
    let sink = testkit::HttpSink::start().unwrap();
    let host = sink.url();
    let address = format!(
        "Endpoint={host}/;SharedAccessKeyName=send;SharedAccessKey=c2VjcmV0;EntityPath=hub"
    );
    let settings = settings(ProviderKind::AzureEventhub, &address);
    let notifier = build(&Arc::new(settings)).unwrap_or_else(|e| panic!("{e}"));
    notifier.send(&notice("info")).await.unwrap();
    let request = sink.requests().remove(0);
    assert_eq!(
        request.target,
        "/hub/messages?timeout=60&api-version=2014-01"
    );
    let authorization = request.header("authorization").unwrap();
    assert!(authorization.starts_with("SharedAccessSignature sr=http%3A%2F%2F"));
    assert_eq!(request.method, "POST");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(&request.body[..], notice("info").event.to_json().as_bytes());
}

/// covers: NC-072
#[tokio::test]
async fn silence_self_signed_certificates_and_refusals_are_told() {
    let sink = testkit::HttpSink::start_tls().unwrap();
    let strange = build(&Arc::new(settings(ProviderKind::Generic, &sink.url())));
    let error = strange
        .unwrap_or_else(|e| panic!("{e}"))
        .send(&notice("info"))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("certificate signed by unknown authority"),
        "{error}"
    );
    let mut trusted = settings(ProviderKind::Generic, &sink.url());
    trusted.client = trusting(sink.authority().unwrap());
    let trusted = build(&Arc::new(trusted)).unwrap_or_else(|e| panic!("{e}"));
    trusted.send(&notice("info")).await.unwrap();
    sink.answer(testkit::Answer::body("x").after(std::time::Duration::from_secs(30)));
    let limit = std::time::Duration::from_millis(200);
    let late = tokio::time::timeout(limit, trusted.send(&notice("info"))).await;
    assert!(
        late.is_err(),
        "it waits for the answer until its caller ends it"
    );
}
