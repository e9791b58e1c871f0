use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response as Answer};
use http::StatusCode;
use net_http::{Clients, Environment};

use super::*;
use crate::{Access, Credentials, Registries, Repository};

type Served = (Arc<Mutex<Vec<Asked>>>, Arc<Handler>);
type Handler = dyn Fn(&Asked) -> Answer + Send + Sync;

/// One request as the fake saw it.
#[derive(Clone, Debug)]
struct Asked {
    method: String,
    uri: String,
    authorization: String,
}

struct Fake {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    async fn start(handler: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let handler: Arc<Handler> = Arc::new(handler);
        let router = Router::new()
            .fallback(serve)
            .with_state((Arc::clone(&asked), handler));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, asked }
    }

    fn seen(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .map(|each| format!("{} {} {}", each.method, each.uri, each.authorization))
            .map(|line| line.trim().to_owned())
            .collect()
    }

    fn remote(&self, registries: &Registries, user: Option<&str>) -> Remote {
        let credentials = match user {
            Some(user) => Credentials::Basic {
                username: user.into(),
                password: "p".into(),
            },
            None => Credentials::Anonymous,
        };
        let access = Access {
            credentials,
            ..Access::default()
        };
        let repository = Repository::parse(&format!("{}/org/app", self.address)).unwrap();
        registries.remote(repository, access).unwrap()
    }
}

async fn serve(State((asked, handler)): State<Served>, request: Request) -> Answer {
    let header = request.headers().get("authorization");
    let request = Asked {
        method: request.method().to_string(),
        uri: request.uri().to_string(),
        authorization: header.map_or(String::new(), |value| value.to_str().unwrap().to_owned()),
    };
    asked.lock().unwrap().push(request.clone());
    handler(&request)
}

fn registries() -> Registries {
    Registries::new(Arc::new(Clients::new("test", Environment::default())))
}

fn challenge(header: String) -> Answer {
    (StatusCode::UNAUTHORIZED, [("www-authenticate", header)], "").into_response()
}

fn not_found(code: &str) -> Answer {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"not here"}}]}}"#);
    (StatusCode::NOT_FOUND, body).into_response()
}

#[tokio::test]
async fn tags_are_read_page_by_page() {
    let fake = Fake::start(|asked| match asked.uri.as_str() {
        "/v2/org/app/tags/list?n=1000" => (
            [(
                "link",
                "</v2/org/app/tags/list?n=1000&last=b>; rel=\"next\"",
            )],
            r#"{"name":"org/app","tags":["a","b"]}"#,
        )
            .into_response(),
        "/v2/org/app/tags/list?n=1000&last=b" => (
            [(
                "link",
                "<https://elsewhere.example/v2/org/app/tags/list?last=c>; rel=\"next\"",
            )],
            r#"{"tags":["c"]}"#,
        )
            .into_response(),
        "/v2/org/app/tags/list?last=c" => r#"{"tags":null}"#.into_response(),
        _ => not_found("X"),
    })
    .await;
    let tags = fake.remote(&registries(), None).tags().await.unwrap();
    assert_eq!(tags, ["a", "b", "c"]);
}

#[tokio::test]
async fn token_is_asked_for_once_and_never_used_for_others() {
    let base = Arc::new(Mutex::new(String::new()));
    let shared = Arc::clone(&base);
    let fake = Fake::start(move |asked| {
        let base = shared.lock().unwrap();
        if let Some(query) = asked.uri.strip_prefix("/token?") {
            assert_eq!(query, "scope=repository:org/app:pull&service=reg");
            let user = if asked.authorization == "Basic YTpw" {
                "a"
            } else {
                "b"
            };
            return format!(r#"{{"token":"token-{user}","expires_in":300}}"#).into_response();
        }
        match asked.authorization.as_str() {
            "Bearer token-a" | "Bearer token-b" => r#"{"tags":["x"]}"#.into_response(),
            _ => challenge(format!("Bearer realm=\"{base}/token\",service=\"reg\"")),
        }
    })
    .await;
    *base.lock().unwrap() = format!("http://{}", fake.address);
    let registries = registries();
    for user in ["a", "a", "b"] {
        fake.remote(&registries, Some(user)).tags().await.unwrap();
    }
    let list = "GET /v2/org/app/tags/list?n=1000";
    let token = "GET /token?scope=repository:org/app:pull&service=reg";
    assert_eq!(
        fake.seen(),
        [
            list.to_owned(),
            format!("{token} Basic YTpw"),
            format!("{list} Bearer token-a"),
            format!("{list} Bearer token-a"),
            list.to_owned(),
            format!("{token} Basic Yjpw"),
            format!("{list} Bearer token-b"),
        ]
    );
}

#[tokio::test]
async fn password_is_sent_only_when_asked_for_and_refusals_keep_the_registrys_words() {
    let fake = Fake::start(|asked| {
        if asked.authorization == "Basic YTpw" {
            r#"{"tags":["x"]}"#.into_response()
        } else {
            let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}"#;
            let header = [("www-authenticate", "Basic realm=\"r\"")];
            (StatusCode::UNAUTHORIZED, header, body).into_response()
        }
    })
    .await;
    let registries = registries();
    fake.remote(&registries, Some("a")).tags().await.unwrap();
    assert_eq!(fake.seen()[0], "GET /v2/org/app/tags/list?n=1000");
    for user in [None, Some("b")] {
        let error = fake.remote(&registries, user).tags().await.unwrap_err();
        assert!(error.is_unauthorized());
        assert_eq!(
            error.to_string(),
            format!(
                "GET http://{}/v2/org/app/tags/list: UNAUTHORIZED: authentication required",
                fake.address
            )
        );
    }
}

#[tokio::test]
async fn refresh_token_is_posted_to_the_token_server() {
    let base = Arc::new(Mutex::new(String::new()));
    let shared = Arc::clone(&base);
    let fake = Fake::start(move |asked| {
        let base = shared.lock().unwrap();
        match (asked.method.as_str(), asked.authorization.as_str()) {
            ("POST", "") => r#"{"access_token":"t"}"#.into_response(),
            ("GET", "Bearer t") => r#"{"tags":[]}"#.into_response(),
            _ => challenge(format!("Bearer realm=\"{base}/oauth2\"")),
        }
    })
    .await;
    *base.lock().unwrap() = format!("http://{}", fake.address);
    let mut remote = fake.remote(&registries(), None);
    remote = registries()
        .remote(
            remote.repository().clone(),
            Access {
                credentials: Credentials::Identity("refresh".into()),
                ..Access::default()
            },
        )
        .unwrap();
    assert!(remote.tags().await.unwrap().is_empty());
    assert_eq!(fake.seen()[1], "POST /oauth2");
}

#[tokio::test]
async fn passing_troubles_are_tried_again_and_others_are_not() {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let fake = Fake::start(move |asked| {
        if asked.uri.contains("gone") {
            return not_found("MANIFEST_UNKNOWN");
        }
        match counter.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            _ => r#"{"tags":["x"]}"#.into_response(),
        }
    })
    .await;
    let remote = fake.remote(&registries(), None);
    assert_eq!(remote.tags().await.unwrap(), ["x"]);
    assert_eq!(count.load(Ordering::SeqCst), 3);
    let error = remote.manifest("gone").await.unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(
        error.to_string(),
        format!(
            "GET http://{}/v2/org/app/manifests/gone: MANIFEST_UNKNOWN: not here",
            fake.address
        )
    );
    assert_eq!(fake.seen().len(), 4);
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

#[tokio::test]
async fn content_that_is_not_what_its_digest_says_is_refused() {
    let good = sha256(b"good");
    let fake = Fake::start(|asked| {
        if asked.uri.contains("short") {
            return not_found("X");
        }
        "evil".into_response()
    })
    .await;
    let remote = fake.remote(&registries(), None);
    let blob = remote.blob(&good).await.unwrap();
    let error = blob.bytes(100).await.unwrap_err();
    assert!(matches!(error, Error::Digest { .. }), "{error}");
    let error = remote.manifest(&good).await.unwrap_err();
    assert!(matches!(error, Error::Digest { .. }), "{error}");
    let blob = remote.blob(&sha256(b"evil")).await.unwrap();
    assert!(matches!(blob.bytes(3).await, Err(Error::TooMuch { .. })));
    let blob = remote.blob(&sha256(b"evil")).await.unwrap();
    assert_eq!(blob.bytes(4).await.unwrap(), b"evil");
    assert!(matches!(
        remote.blob("../../x").await,
        Err(Error::Malformed { .. })
    ));
}

#[tokio::test]
async fn digest_comes_from_the_head_or_from_the_content() {
    let body =
        r#"{"schemaVersion":2,"config":{"mediaType":"a","digest":"b","size":1},"layers":[]}"#;
    let digest = sha256(body.as_bytes());
    let told = digest.clone();
    let fake = Fake::start(
        move |asked| match (asked.method.as_str(), asked.uri.ends_with("/a")) {
            ("HEAD", true) => {
                let headers = [
                    ("docker-content-digest", told.clone()),
                    ("content-type", "t".to_owned()),
                ];
                (headers, "").into_response()
            }
            ("HEAD", false) => StatusCode::METHOD_NOT_ALLOWED.into_response(),
            _ => body.into_response(),
        },
    )
    .await;
    let remote = fake.remote(&registries(), None);
    let resolved = remote.resolve("a").await.unwrap();
    assert_eq!(
        (resolved.digest.as_str(), resolved.media_type.as_str()),
        (digest.as_str(), "t")
    );
    assert_eq!(fake.seen().len(), 1);
    let resolved = remote.resolve("b").await.unwrap();
    assert_eq!(resolved.digest, digest);
    assert_eq!(resolved.media_type, media_type::IMAGE);
}

#[tokio::test]
async fn referrers_come_from_the_registry_or_from_the_tag_that_stands_in() {
    let index = |digest: &str| {
        serde_json::json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": [
            {"mediaType": media_type::IMAGE, "digest": digest, "size": 1, "artifactType": "sig"}]})
        .to_string()
    };
    let digest = sha256(b"x");
    let tag = digest.replace(':', "-");
    let pages = BTreeMap::from([(
        format!("/v2/org/app/manifests/{tag}"),
        index("sha256:by-tag"),
    )]);
    let fake = Fake::start(move |asked| match pages.get(&asked.uri) {
        Some(page) => ([("content-type", media_type::INDEX)], page.clone()).into_response(),
        None => not_found("NOT_FOUND"),
    })
    .await;
    let found = fake
        .remote(&registries(), None)
        .referrers(&digest)
        .await
        .unwrap();
    assert_eq!(found[0].digest, "sha256:by-tag");
    assert_eq!(found[0].artifact_type.as_deref(), Some("sig"));
    let none = fake
        .remote(&registries(), None)
        .referrers(&sha256(b"y"))
        .await
        .unwrap();
    assert!(none.is_empty());

    let path = format!("/v2/org/app/referrers/{digest}");
    let fake = Fake::start(move |asked| {
        if asked.uri == path {
            index("sha256:by-api").into_response()
        } else {
            not_found("X")
        }
    })
    .await;
    let found = fake
        .remote(&registries(), None)
        .referrers(&digest)
        .await
        .unwrap();
    assert_eq!(found[0].digest, "sha256:by-api");
}

#[test]
fn links_stay_within_the_registry() {
    let current = "/v2/org/app/tags/list?n=2";
    for (target, expected) in [
        ("/v2/x?last=a", Some("/v2/x?last=a")),
        ("https://h.example/v2/x", Some("/v2/x")),
        ("list?last=a", Some("/v2/org/app/tags/list?last=a")),
        ("?last=a", Some("/v2/org/app/tags/list?last=a")),
        ("/admin", None),
        ("../../x", None),
    ] {
        assert_eq!(
            resolve_link(target, current).as_deref(),
            expected,
            "{target}"
        );
    }
}
