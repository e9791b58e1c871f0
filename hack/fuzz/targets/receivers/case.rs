//! One case of the target `receivers`; the controller's own tests run it too, on changed seeds.
//!
//! The first byte is the type, the second says whether the call is signed as its type wants it; then come header lines
//! up to an empty one, then the body.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderName, HeaderValue};
use net_http::{Clients, Environment};
use notification_controller::dispatch::{limiter, metadata};
use notification_controller::event::Event;
use notification_controller::hook::{keys::Keys, verify};
use notification_controller::server::Received;
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

/// The types of receivers, and the event decoder.
pub const TYPES: &[&str] = &[
    "generic",
    "generic-hmac",
    "generic-oidc",
    "github",
    "gitlab",
    "bitbucket",
    "harbor",
    "dockerhub",
    "quay",
    "gcr",
    "nexus",
    "acr",
    "cdevents",
    "event",
];
const TOKEN: &str = "fuzz-s3cret-token";
const ISSUER: &str = "http://127.0.0.1:1/issuer";
/// Nothing listens there: a key that is not known is asked for and not found.
const GOOGLE: &str = "http://127.0.0.1:1/google";

struct Rig {
    runtime: tokio::runtime::Runtime,
    keys: Keys,
    pair: Ed25519KeyPair,
    set: String,
}

impl Rig {
    fn new() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed");
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "1", "x": x }] });
        let clients = Arc::new(Clients::new("fuzz", Environment::default()));
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            keys: Keys::new(clients).google_at(GOOGLE),
            pair,
            set: set.to_string(),
        }
    }

    /// Signs what a caller says, with claims that are in order.
    fn bearer(&self, google: bool, says: &str) -> String {
        let later = i64::MAX / 4;
        let issuer = if google {
            "accounts.google.com"
        } else {
            ISSUER
        };
        let claims = json!({ "iss": issuer, "aud": "notification-controller", "exp": later, "sub": says,
            "email": "pusher@example.com", "email_verified": true });
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let signed = format!(
            "{}.{}",
            encode(r#"{"alg":"EdDSA","kid":"1"}"#),
            encode(&claims.to_string())
        );
        let tag = URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()).as_ref());
        format!("Bearer {signed}.{tag}")
    }
}

thread_local! {
    static RIG: OnceCell<Rig> = const { OnceCell::new() };
}

fn receiver(kind: &str, first: &str) -> Value {
    let mut spec =
        json!({ "type": kind, "resources": [{ "kind": "GitRepository", "name": "app" }] });
    match kind {
        "generic-oidc" => {
            spec["oidcProviders"] = json!([{ "issuerURL": ISSUER,
                "variables": [{ "name": "parts", "expression": "claims.sub.split(':')" }],
                "validations": [{ "expression": "vars.parts.size() > 0", "message": "m" }] }]);
        }
        "github" | "gitlab" | "bitbucket" | "cdevents" if !first.is_empty() => {
            spec["events"] = json!([first]);
        }
        _ => {}
    }
    json!({ "metadata": { "name": "r", "namespace": "ns" }, "spec": spec })
}

fn sign(rig: &Rig, kind: &str, request: &mut Received) {
    let tag = |algorithm| {
        let key = hmac::Key::new(algorithm, TOKEN.as_bytes());
        let tag = hmac::sign(&key, &request.body);
        tag.as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let sha256 = format!("sha256={}", tag(hmac::HMAC_SHA256));
    let says = String::from_utf8_lossy(&request.body).into_owned();
    let (name, value) = match kind {
        "generic-hmac" => ("x-signature", sha256),
        "github" | "bitbucket" => ("x-hub-signature-256", sha256),
        "gitlab" => ("x-gitlab-token", TOKEN.to_owned()),
        "harbor" => ("authorization", TOKEN.to_owned()),
        "nexus" => (
            "x-nexus-webhook-signature",
            tag(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        ),
        "generic-oidc" | "gcr" => ("authorization", rig.bearer(kind == "gcr", &says)),
        _ => return,
    };
    request.headers.insert(
        HeaderName::from_static(name),
        value.parse().expect("a value"),
    );
}

fn event(body: &[u8]) {
    let Ok(event) = Event::decode(body) else {
        return;
    };
    let printed = event.to_json();
    let again = Event::decode(printed.as_bytes()).expect("what was printed reads");
    assert_eq!(again.to_json(), printed);
    let mut clean = event.clone();
    metadata::clean(&mut clean);
    assert_eq!(limiter::key_of(&clean), limiter::key_of(&clean.clone()));
    let normal = limiter::normalize(&event.message);
    assert!(normal.len() <= event.message.len() * 2 + 16);
    metadata::strip_internal(&mut clean);
    let extra = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
    let (merged, _) = metadata::merge(&clean, &extra, Some("summary"));
    assert!(merged.contains_key("summary"));
    drop((
        event.revision(),
        event.involved_object.title(),
        event.rfc3339(),
    ));
}

fn call(rig: &Rig, kind: &str, signed: bool, rest: &[u8]) {
    let mut request = Received::default();
    let mut body = rest;
    let mut first = String::new();
    while let Some(end) = body.iter().position(|byte| *byte == b'\n') {
        let line = &body[..end];
        body = &body[end + 1..];
        if line.is_empty() {
            break;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            if first.is_empty() {
                first = value.to_str().unwrap_or_default().to_owned();
            }
            request.headers.insert(name, value);
        }
    }
    request.body = body.to_vec().into();
    if signed {
        sign(rig, kind, &mut request);
    }
    let receiver = serde_json::from_value(receiver(kind, &first)).expect("a receiver");
    let secret = [
        ("token", TOKEN),
        ("email", "pusher@example.com"),
        ("audience", "notification-controller"),
    ]
    .map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()))
    .into();
    for issuer in [ISSUER, GOOGLE] {
        rig.keys
            .learn(issuer, rig.set.as_bytes())
            .expect("a key set");
    }
    let work = Box::pin(verify(&receiver, &secret, &request, &rig.keys));
    // Inside: the clock belongs to the runtime.
    let timed = async { tokio::time::timeout(Duration::from_secs(5), work).await };
    let answer = rig.runtime.block_on(timed);
    match answer.expect("an answer in time") {
        Ok(verified) => {
            let proves = !matches!(kind, "generic" | "dockerhub" | "quay" | "acr" | "cdevents");
            let knows = request
                .headers
                .values()
                .any(|value| value.as_bytes() == TOKEN.as_bytes());
            assert!(
                signed || !proves || knows,
                "{kind} accepts what nobody signed"
            );
            assert!(verified.body.len() <= body.len().max(1024));
        }
        Err(why) => assert!(!why.contains(TOKEN), "{kind} tells the token"),
    }
}

/// Runs a case.
///
/// # Panics
/// Where the controller does what it must not do.
pub fn run(bytes: &[u8]) {
    let [kind, flags, rest @ ..] = bytes else {
        return;
    };
    let kind = TYPES[usize::from(*kind) % TYPES.len()];
    if kind == "event" {
        event(rest);
    } else {
        RIG.with(|rig| call(rig.get_or_init(Rig::new), kind, flags & 1 == 1, rest));
    }
}
