//! Each type of receiver with a genuine and a forged call.

use std::sync::Arc;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use net_http::{Clients, Environment};
use ring::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::json;
use testkit::{Answer, HttpSink};

use super::*;
use keys::Keys;

type Headers<'a> = Vec<(&'a str, &'a str)>;

pub(super) const TOKEN: &str = "s3cret";

pub(super) fn store() -> Keys {
    drop(rustls::crypto::ring::default_provider().install_default());
    Keys::new(Arc::new(Clients::new("test", Environment::default())))
}

#[expect(clippy::needless_pass_by_value, reason = "values are written in place")]
pub(super) fn receiver(spec: Value) -> Receiver {
    let mut full = json!({ "resources": [] });
    full.as_object_mut()
        .unwrap()
        .extend(spec.as_object().unwrap().clone());
    serde_json::from_value(json!({ "metadata": { "name": "r" }, "spec": full })).unwrap()
}

pub(super) fn request(headers: &[(&str, &str)], body: &str) -> Received {
    let mut request = Received {
        body: body.to_owned().into(),
        ..Received::default()
    };
    for (name, value) in headers {
        let name = http::HeaderName::try_from(*name).unwrap();
        request.headers.insert(name, value.parse().unwrap());
    }
    request
}

async fn call(spec: Value, headers: &[(&str, &str)], body: &str) -> Result<Verified, String> {
    let secret = Secret::from([("token".to_owned(), TOKEN.as_bytes().to_vec())]);
    verify(&receiver(spec), &secret, &request(headers, body), &store()).await
}

pub(super) fn sign(algorithm: hmac::Algorithm, body: &str) -> String {
    let key = hmac::Key::new(algorithm, TOKEN.as_bytes());
    hex::encode(hmac::sign(&key, body.as_bytes()))
}

/// The payload that GitHub sends at a push, shortened.
const PUSH: &str = r#"{"ref":"refs/heads/main","before":"a","after":"b","repository":{"full_name":"o/r"},"pusher":{"name":"x"}}"#;

/// covers: NC-106
#[tokio::test]
async fn genuine_calls_are_accepted_and_forged_ones_refused() {
    const JSON: (&str, &str) = ("content-type", "application/json");
    let sha256 = format!("sha256={}", sign(hmac::HMAC_SHA256, PUSH));
    let sha1 = sign(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, PUSH);
    let prefixed = format!("sha1={sha1}");
    let good: Vec<(&str, Headers)> = vec![
        ("generic", vec![]),
        ("generic-hmac", vec![("x-signature", &sha256)]),
        ("generic-hmac", vec![("x-signature", &prefixed)]),
        ("github", vec![JSON, ("x-hub-signature-256", &sha256)]),
        ("github", vec![JSON, ("x-hub-signature", &prefixed)]),
        ("bitbucket", vec![JSON, ("x-hub-signature", &sha256)]),
        ("gitlab", vec![("x-gitlab-token", TOKEN)]),
        ("harbor", vec![("authorization", TOKEN)]),
        ("nexus", vec![("x-nexus-webhook-signature", &sha1)]),
        ("dockerhub", vec![]),
        ("quay", vec![]),
        ("acr", vec![]),
    ];
    for (kind, headers) in &good {
        let got = call(json!({ "type": kind }), headers, PUSH).await;
        assert!(got.is_ok(), "{kind}: {got:?}");
    }
    let flipped = sha256.replace(|c: char| c.is_ascii_digit(), "0");
    let bad: Vec<(&str, Headers, &str)> = vec![
        ("generic-hmac", vec![], PUSH),
        ("generic-hmac", vec![("x-signature", &flipped)], PUSH),
        ("generic-hmac", vec![("x-signature", &sha256[7..])], PUSH),
        ("generic-hmac", vec![("x-signature", "md5=00")], PUSH),
        ("generic-hmac", vec![("x-signature", &sha256)], "{}"),
        ("github", vec![JSON], PUSH),
        (
            "github",
            vec![JSON, ("x-hub-signature-256", &flipped)],
            PUSH,
        ),
        (
            "github",
            vec![
                ("content-type", "text/plain"),
                ("x-hub-signature-256", &sha256),
            ],
            PUSH,
        ),
        ("bitbucket", vec![JSON, ("x-hub-signature", &flipped)], PUSH),
        ("gitlab", vec![], PUSH),
        ("gitlab", vec![("x-gitlab-token", "s3cre")], PUSH),
        ("harbor", vec![("authorization", "s3cret2")], PUSH),
        ("harbor", vec![("authorization", "Bearer s3cret")], PUSH),
        ("nexus", vec![("x-nexus-webhook-signature", "00")], PUSH),
        ("nexus", vec![], PUSH),
        ("dockerhub", vec![], "no json"),
        ("dockerhub", vec![], r#"{"push_data":{"tag":1}}"#),
        ("quay", vec![], "[]"),
        ("acr", vec![], r#"{"target":"x"}"#),
    ];
    for (kind, headers, body) in &bad {
        let got = call(json!({ "type": kind }), headers, body).await;
        assert!(got.is_err(), "{kind} {headers:?} {body}");
    }
}

#[tokio::test]
async fn empty_token_opens_nothing() {
    let none = Secret::from([("token".to_owned(), Vec::new())]);
    for kind in ["generic", "github", "gitlab", "harbor", "generic-hmac"] {
        let receiver = receiver(json!({ "type": kind }));
        let call = request(&[("x-gitlab-token", ""), ("authorization", "")], PUSH);
        assert!(
            verify(&receiver, &none, &call, &store()).await.is_err(),
            "{kind}"
        );
    }
}

#[tokio::test]
async fn events_are_compared_without_case() {
    let signature = format!("sha256={}", sign(hmac::HMAC_SHA256, PUSH));
    let spec = json!({ "type": "github", "events": ["ping", "push"] });
    for (event, fine) in [("PUSH", true), ("ping", true), ("fork", false), ("", false)] {
        let headers = [
            ("content-type", "application/json"),
            ("x-hub-signature-256", signature.as_str()),
            ("x-github-event", event),
        ];
        let got = call(spec.clone(), &headers, PUSH).await;
        assert_eq!(got.is_ok(), fine, "{event}: {got:?}");
    }
}

const CHANGE_MERGED: &str = r#"{"context":{"version":"0.4.1","id":"271069a8","source":"/event/source/123","type":"dev.cdevents.change.merged.0.2.0","timestamp":"2023-03-20T14:27:05.315384Z"},"subject":{"id":"mySubject123","source":"/event/source/123","type":"change","content":{"repository":{"id":"cdevents/service"}}}}"#;

/// covers: NC-107
#[tokio::test]
async fn cdevents_have_to_be_listed_and_well_formed() {
    const TYPE: &str = "dev.cdevents.change.merged.0.2.0";
    let of = |events: Value| json!({ "type": "cdevents", "events": events });
    let ce = [("ce-type", TYPE)];
    assert!(call(of(json!([TYPE])), &ce, CHANGE_MERGED).await.is_ok());
    assert!(call(of(json!([])), &ce, CHANGE_MERGED).await.is_ok());
    let other = json!(["dev.cdevents.change.created.0.2.0"]);
    assert!(call(of(other), &ce, CHANGE_MERGED).await.is_err());
    for (from, to) in [
        ("change.merged", "change.exploded"),
        (r#""id":"mySubject123","#, ""),
        ("2023-03-20T14:27:05.315384Z", "yesterday"),
        (r#""content":{"#, r#""other":{"#),
    ] {
        let body = CHANGE_MERGED.replace(from, to);
        assert!(call(of(json!([])), &ce, &body).await.is_err(), "{to}");
    }
}

/// A token issuer with one Ed25519 key.
pub(super) struct Issuer {
    pub(super) sink: HttpSink,
    pair: Ed25519KeyPair,
}

impl Issuer {
    pub(super) fn new() -> Self {
        let sink = HttpSink::start().unwrap();
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        Self { sink, pair }
    }

    pub(super) fn url(&self) -> String {
        self.sink.url()
    }

    pub(super) fn key_set(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key());
        json!({ "keys": [{ "kty": "unknown", "kid": "0" },
            { "kty": "OKP", "crv": "Ed25519", "kid": "1", "use": "sig", "x": x }] })
        .to_string()
    }

    /// Answers discovery, then the keys.
    fn offers_keys(&self) {
        let url = self.url();
        let discovery = json!({ "issuer": url, "jwks_uri": format!("{url}/keys") });
        self.sink.answer_once(Answer::body(discovery.to_string()));
        self.sink.answer_once(Answer::body(self.key_set()));
    }

    pub(super) fn token(&self, claims: &Value) -> String {
        let header = json!({ "alg": "EdDSA", "kid": "1" });
        let encode = |v: &Value| URL_SAFE_NO_PAD.encode(v.to_string());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let tag = URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()).as_ref());
        format!("{signed}.{tag}")
    }

    pub(super) fn claims(&self) -> Value {
        let later = jiff::Timestamp::now().as_second() + 600;
        json!({ "iss": self.url(), "aud": "notification-controller", "exp": later, "sub": "repo:o/r" })
    }

    fn receiver(&self) -> Receiver {
        let provider = json!({ "issuerURL": self.url(),
            "variables": [
                { "name": "parts", "expression": "claims.sub.split(':')" },
                { "name": "repo", "expression": "vars.parts[1]" }],
            "validations": [
                { "expression": "vars.repo == 'o/r'", "message": "wrong repository" },
                { "expression": "!has(claims.bad)", "message": "bad claim" }] });
        receiver(json!({ "type": "generic-oidc", "oidcProviders": [provider] }))
    }
}

/// covers: NC-118
#[tokio::test]
async fn token_of_an_issuer_is_checked_in_every_respect() {
    let (issuer, keys) = (Issuer::new(), store());
    issuer.offers_keys();
    let receiver = issuer.receiver();
    let (keys, receiver) = (&keys, &receiver);
    let check = |header: Option<String>| async move {
        let pair = header.map(|h| ("authorization", h));
        let headers: Vec<_> = pair.iter().map(|(n, v)| (*n, v.as_str())).collect();
        verify(receiver, &Secret::new(), &request(&headers, "{}"), keys).await
    };
    let bearer = |claims: &Value| Some(format!("Bearer {}", issuer.token(claims)));
    let got = check(bearer(&issuer.claims())).await.unwrap();
    assert_eq!(got.claims.unwrap()["sub"], "repo:o/r");
    let asked = issuer.sink.requests().len();
    check(bearer(&issuer.claims())).await.unwrap();
    assert_eq!(issuer.sink.requests().len(), asked, "the keys are kept");

    let with = |key: &str, value: Value| {
        let mut claims = issuer.claims();
        claims[key] = value;
        bearer(&claims)
    };
    let malformed = "the Authorization header is missing or malformed";
    let audience = "the token is for another audience";
    let expired = "the token has expired or is not valid yet";
    for (header, expect) in [
        (None, malformed),
        (Some("Bearer nonsense".to_owned()), malformed),
        (Some("Basic abc".to_owned()), malformed),
        (
            with("iss", json!("https://evil")),
            "no oidcProvider configured for issuer \"https://evil\"",
        ),
        (with("aud", json!("other")), audience),
        (with("exp", json!(1)), expired),
        (with("exp", Value::Null), expired),
        (
            with("sub", json!("repo:x/y")),
            "token validation failed: wrong repository",
        ),
    ] {
        assert_eq!(check(header).await.unwrap_err(), expect);
    }
    let mut both = issuer.claims();
    both["sub"] = json!("repo:x/y");
    both["bad"] = json!(true);
    let error = check(bearer(&both)).await.unwrap_err();
    assert_eq!(
        error,
        "token validation failed: wrong repository; bad claim"
    );
    let mut forged = issuer.token(&issuer.claims());
    let claims = forged.split('.').nth(1).unwrap().to_owned();
    let other = URL_SAFE_NO_PAD.encode(both.to_string());
    forged = forged.replace(&claims, &other);
    let error = check(Some(format!("Bearer {forged}"))).await.unwrap_err();
    assert!(error.contains("signature"), "{error}");
}

/// No key is ever used with an algorithm that is not its own, and unsigned tokens are none.
#[tokio::test]
async fn algorithm_of_a_token_is_not_the_callers_to_choose() {
    let (issuer, keys) = (Issuer::new(), store());
    issuer.offers_keys();
    let claims = issuer.claims();
    for algorithm in ["none", "HS256", "RS256", "ES256"] {
        let header = json!({ "alg": algorithm, "kid": "1" });
        let encode = |v: &Value| URL_SAFE_NO_PAD.encode(v.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, issuer.pair.public_key().as_ref());
        let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
        for tag in [tag.as_str(), ""] {
            let header = format!("Bearer {signed}.{tag}");
            let call = request(&[("authorization", &header)], "{}");
            let got = verify(&issuer.receiver(), &Secret::new(), &call, &keys).await;
            assert!(got.is_err(), "{algorithm}");
        }
    }
}

/// covers: NC-115
#[tokio::test]
async fn google_tokens_are_checked_and_the_message_is_unwrapped() {
    let issuer = Issuer::new();
    issuer.sink.answer(Answer::body(issuer.key_set()));
    let keys = store().google_at(&issuer.url());
    let change = r#"{"action":"INSERT","digest":"eu.gcr.io/x@sha256:1","tag":"eu.gcr.io/x:1"}"#;
    let push = json!({ "message": { "data": STANDARD.encode(change), "messageId": "1" },
        "subscription": "s" })
    .to_string();
    let mut claims = issuer.claims();
    claims["iss"] = json!("https://accounts.google.com");
    claims["aud"] = json!("https://hook.example");
    claims["email"] = json!("pusher@x.iam.gserviceaccount.com");
    claims["email_verified"] = json!(true);
    let full = Secret::from(
        [
            ("token", TOKEN),
            ("email", "pusher@x.iam.gserviceaccount.com"),
            ("audience", "https://hook.example"),
        ]
        .map(|(k, v)| (k.to_owned(), v.as_bytes().to_vec())),
    );
    let receiver = receiver(json!({ "type": "gcr" }));
    let call = |claims: &Value| {
        let header = format!("Bearer {}", issuer.token(claims));
        request(&[("authorization", header.as_str())], &push)
    };
    let got = verify(&receiver, &full, &call(&claims), &keys)
        .await
        .unwrap();
    assert_eq!(&got.body[..], change.as_bytes());
    for key in ["email", "audience"] {
        let mut less = full.clone();
        less.remove(key);
        let got = verify(&receiver, &less, &call(&claims), &keys).await;
        assert_eq!(got.unwrap_err(), format!("the secret has no key '{key}'"));
    }
    for (key, value) in [
        ("iss", json!("https://evil")),
        ("aud", json!("https://other")),
        ("email", json!("other@x")),
        ("email_verified", json!(false)),
        ("exp", json!(1)),
    ] {
        let mut forged = claims.clone();
        forged[key] = value;
        assert!(
            verify(&receiver, &full, &call(&forged), &keys)
                .await
                .is_err(),
            "{key}"
        );
    }
}

/// Whatever comes, the answer is a refusal or not, and never a panic.
#[tokio::test]
async fn nonsense_is_refused() {
    let long = "x".repeat(100_000);
    let bodies = [
        "",
        "{",
        "[[[[",
        "\u{0}\u{7f}",
        "null",
        "1e999",
        long.as_str(),
    ];
    let headers = [
        "",
        "=",
        "sha256=",
        "sha256=zz",
        "Bearer",
        "Bearer ..",
        "a.b.c",
        "Bearer e30.e30.e30",
    ];
    let kinds = [
        "generic-hmac",
        "github",
        "gitlab",
        "bitbucket",
        "harbor",
        "nexus",
        "gcr",
        "cdevents",
    ];
    for kind in kinds {
        for body in bodies {
            for header in headers {
                let all = [
                    ("x-signature", header),
                    ("x-hub-signature-256", header),
                    ("x-gitlab-token", header),
                    ("x-nexus-webhook-signature", header),
                    ("authorization", header),
                    ("content-type", "application/json"),
                ];
                let got = call(json!({ "type": kind }), &all, body).await;
                assert!(got.is_err(), "{kind} {header} {body:.10}");
            }
        }
    }
}
