//! What Providers take from their Secrets: used where it is right, told where it is not.

use serde_json::{Value, json};
use testkit::{HttpSink, ReceivedRequest};

use crate::world::{PATIENCE, World};

/// Applies a Provider with an alert of its own; an event then either reaches a sink or is told to have failed.
async fn provider(world: &World, name: &str, spec: Value) {
    let mut full = json!({ "type": "slack" });
    full.as_object_mut()
        .unwrap()
        .extend(spec.as_object().unwrap().clone());
    world.provider(name, full).await;
    world.alert(name, name, json!({})).await;
}

/// Sends events until one has come to a sink at a path. Returns it.
async fn arrives(world: &World, sink: &HttpSink, path: &str) -> ReceivedRequest {
    let came = || {
        sink.requests()
            .into_iter()
            .find(|r| r.target.ends_with(path))
    };
    world
        .until(&format!("something comes to {path}"), || async {
            let message = format!("to {path} {}", sink.requests().len());
            world.post(json!({ "message": message })).await;
            came().is_some()
        })
        .await;
    came().unwrap()
}

/// Sends events until a failure with these words is told of an alert.
async fn fails(world: &World, alert: &str, words: &str) {
    world
        .until(&format!("{alert}: {words}"), || async {
            let message = format!("about {alert} {:?}", std::time::Instant::now());
            world.post(json!({ "message": message })).await;
            let events = world.events_of("Alert", alert).await;
            events.iter().any(|event| {
                event.reason.as_deref() == Some("NotificationDispatchFailed")
                    && event.message.as_deref().is_some_and(|m| m.contains(words))
            })
        })
        .await;
}

/// covers: NC-051, NC-055, NC-073
#[tokio::test]
async fn address_may_stand_in_the_spec_or_in_the_secret() {
    let world = World::new().await;
    let at = |path: &str| format!("{}{path}", world.sink.url());
    provider(&world, "bare", json!({ "address": at("/bare") })).await;
    let request = arrives(&world, &world.sink, "/bare").await;
    assert_eq!(request.header("authorization"), None);
    let address = json!({ "address": at("/secret"), "token": "xoxb-1" });
    world.secret("address", address).await;
    let spec = json!({ "address": "not a url", "secretRef": { "name": "address" } });
    provider(&world, "overridden", spec).await;
    let request = arrives(&world, &world.sink, "/secret").await;
    assert_eq!(request.header("authorization"), Some("Bearer xoxb-1"));
    let spec = json!({ "address": at("/never"), "secretRef": { "name": "absent" } });
    provider(&world, "absent", spec).await;
    fails(&world, "absent", "\"absent\" not found").await;
    let none = world.sink.requests();
    assert!(none.iter().all(|r| r.target != "/never"));
}

/// covers: NC-055, NC-061, NC-062
#[tokio::test]
async fn proxies_of_spec_and_secrets_are_gone_through() {
    let world = World::new().await;
    // The host is not there: what comes has come through the proxy.
    let far = |name: &str| format!("http://hooks.invalid/{name}");
    let proxy = HttpSink::start().unwrap();
    let spec = json!({ "address": far("deprecated"), "proxy": proxy.url() });
    provider(&world, "deprecated", spec).await;
    let request = arrives(&world, &proxy, "/deprecated").await;
    assert_eq!(request.header("host"), Some("hooks.invalid"));
    world.secret("plain", json!({ "proxy": proxy.url() })).await;
    let spec = json!({ "address": far("plain"), "proxy": "http://127.0.0.1:1",
        "secretRef": { "name": "plain" } });
    provider(&world, "plain", spec).await;
    arrives(&world, &proxy, "/plain").await;
    for (name, data, header) in [
        ("open", json!({ "address": proxy.url() }), None),
        (
            "closed",
            json!({ "address": proxy.url(), "username": "u", "password": "p" }),
            Some("Basic dTpw"),
        ),
    ] {
        world.secret(name, data).await;
        let spec = json!({ "address": far(name), "proxySecretRef": { "name": name } });
        provider(&world, name, spec).await;
        let request = arrives(&world, &proxy, &format!("/{name}")).await;
        assert_eq!(request.header("proxy-authorization"), header);
    }
    let spec = json!({ "address": far("x"), "proxySecretRef": { "name": "absent" } });
    provider(&world, "absent", spec).await;
    fails(&world, "absent", "\"absent\" not found").await;
    world.secret("keyless", json!({ "username": "u" })).await;
    let spec = json!({ "address": far("x"), "proxySecretRef": { "name": "keyless" } });
    provider(&world, "keyless", spec).await;
    fails(&world, "keyless", "key 'address' not found").await;
}

/// covers: NC-056, NC-064
#[tokio::test]
async fn certificates_come_from_their_own_secret() {
    let world = World::new().await;
    let sink = HttpSink::start_tls().unwrap();
    let authority = sink.authority().unwrap().pem();
    let spec = |name: &str| json!({ "address": format!("{}/{name}", sink.url()), "certSecretRef": { "name": name } });
    provider(&world, "cert", spec("cert")).await;
    fails(&world, "cert", "\"cert\" not found").await;
    world.secret("cert", json!({ "other": "x" })).await;
    fails(&world, "cert", "must contain either 'ca.crt'").await;
    let both = json!({ "ca.crt": authority, ".dockerconfigjson": "{}" });
    world.secret("cert", both).await;
    arrives(&world, &sink, "/cert").await;
    let bare = json!({ "address": format!("{}/bare", sink.url()) });
    provider(&world, "bare", bare).await;
    fails(&world, "bare", "certificate").await;
    let came = sink.wait_for(1, PATIENCE).await.unwrap();
    assert!(came.iter().all(|r| r.target != "/bare"));
}

/// What an event says can neither add a header nor leave the text that it belongs to.
#[tokio::test]
async fn content_that_is_meant_to_do_harm_stays_content() {
    const HARM: &str = "<script>alert(1)</script> <!channel> </pre>\r\nX-Evil: 1\u{0} *_~`[x](javascript:1) \u{202e}";
    let world = World::new().await;
    let slack = format!("{}/slack", world.sink.url());
    provider(&world, "slack", json!({ "address": slack })).await;
    let generic = json!({ "type": "generic", "address": format!("{}/generic", world.sink.url()) });
    provider(&world, "generic", generic).await;
    let zulip = json!({ "type": "zulip", "address": world.sink.url(), "channel": "a/b" });
    provider(&world, "zulip", zulip).await;
    for path in ["/slack", "/generic", "/api/v1/messages"] {
        arrives(&world, &world.sink, path).await;
    }
    // What was sent before may still be on its way.
    let harmful = || {
        let all = world.sink.requests().into_iter();
        let is = |r: &ReceivedRequest| String::from_utf8_lossy(&r.body).contains("javascript");
        all.filter(is).collect::<Vec<_>>()
    };
    let facts = json!({ "kustomize.toolkit.fluxcd.io/revision": HARM });
    let event = json!({ "message": HARM, "reason": "Bad\r\nX-Evil: 1",
        "reportingController": "c\r\nX-Evil: 1", "metadata": facts });
    let answer = world.post(event).await;
    assert_eq!(answer.status, 202);
    world
        .until("all three are told", || async {
            let new = harmful();
            let told = |path: &str| new.iter().any(|r| r.target.ends_with(path));
            told("/slack") && told("/messages") && told("/generic")
        })
        .await;
    let new = harmful();
    assert!(new.iter().all(|r| !r.headers.contains_key("x-evil")));
    let of = |path: &str| new.iter().find(|r| r.target.ends_with(path)).unwrap();
    let body: Value = of("/slack").json().unwrap();
    let text = body["attachments"][0]["text"].as_str().unwrap();
    assert_eq!(text, HARM.replace("<!", "&lt;!"));
    let raw = String::from_utf8(of("/slack").body.to_vec()).unwrap();
    assert!(!raw.contains("<script"), "markup is escaped in JSON");
    let form = String::from_utf8(of("/messages").body.to_vec()).unwrap();
    assert!(!form.contains("<script") && !form.contains('\n'), "{form}");
    // No header can hold the controller's name: it is left out.
    let forwarded = of("/generic");
    assert_eq!(forwarded.header("gotk-component"), None);
    let event: Value = forwarded.json().unwrap();
    assert_eq!(event["message"], HARM);
}

/// A service that tells everything it was sent gives nothing of it away: not in the log, in events, or in the status.
#[tokio::test]
async fn no_credential_is_told_wherever_a_failure_is() {
    const SECRETS: [&str; 5] = [
        "T0SECRET",
        "t0ken-value",
        "pa55word",
        "h3ader-value",
        "qu3ry",
    ];
    let (world, program) = World::alone(|p| p.flag("--log-level", "debug")).await;
    let address = format!("{}/services/T0SECRET?key=qu3ry", world.sink.url());
    let secret = json!({ "address": address, "token": "t0ken-value", "password": "pa55word",
        "username": "u", "headers": "X-Api-Key: h3ader-value\n" });
    world.secret("login", secret).await;
    let echo = format!("no: {address} {}", SECRETS.join(" "));
    for (name, kind) in [("chat", "slack"), ("plain", "generic")] {
        world
            .sink
            .answer(testkit::Answer::body(echo.clone()).with_status(400));
        let spec = json!({ "type": kind, "address": "", "secretRef": { "name": "login" } });
        provider(&world, name, spec).await;
        fails(&world, name, "no: ").await;
        world
            .until("the status tells of it", || async {
                let status = world.providers().get(name).await.unwrap().status;
                status.is_some_and(|s| s.last_failure_message.is_some())
            })
            .await;
        let status = world.providers().get(name).await.unwrap().status.unwrap();
        let events = world.events_of("Alert", name).await;
        let told = format!(
            "{:?} {status:?}",
            events.iter().map(|e| &e.message).collect::<Vec<_>>()
        );
        for secret in SECRETS {
            assert!(!told.contains(secret), "{secret} is in {told}");
        }
    }
    let log = program.log().unwrap();
    assert!(log.contains("notification"), "{log}");
    for secret in SECRETS {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
}
