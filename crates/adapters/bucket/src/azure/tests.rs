use axum::http::StatusCode;
use axum::response::IntoResponse;

use super::*;
use crate::Store;
use crate::fake::{Asked, Fake, client, soon};

/// Answers as the documentation of the Blob service says: two pages of blobs, their content, and refusals.
fn answer(asked: &Asked) -> axum::response::Response {
    assert_eq!(asked.method, "GET");
    assert_eq!(asked.header("x-ms-version"), VERSION);
    let refused = |status: u16, code: &str| {
        let body = format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{code} it is.\nRequestId:1\nTime:2</Message></Error>"
        );
        (StatusCode::from_u16(status).unwrap(), body).into_response()
    };
    let page = |names: &[&str], next: &str| {
        let blob = |name: &&str| {
            format!(
                "<Blob><Name>{name}</Name><Properties><Content-Length>7</Content-Length><Etag>0x{name}</Etag></Properties></Blob>"
            )
        };
        let blobs: String = names.iter().map(blob).collect();
        format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"https://x/\" ContainerName=\"things\"><MaxResults>5000</MaxResults><Blobs>{blobs}</Blobs>{next}</EnumerationResults>"
        )
        .into_response()
    };
    match (
        asked.path.as_str(),
        asked.query("comp"),
        asked.query("marker"),
    ) {
        ("/account/things", "list", "m!2") => page(&["b"], "<NextMarker />"),
        ("/account/things", "list", _) => page(&["a b/c", "a"], "<NextMarker>m!2</NextMarker>"),
        ("/account/things", "", _) => {
            assert_eq!(asked.query("restype"), "container");
            StatusCode::OK.into_response()
        }
        ("/account/things/a%20b/c", _, _) => ([("etag", "\"0x8D\"")], "content").into_response(),
        ("/account/closed", _, _) => refused(403, "AuthorizationFailure"),
        ("/account/missing", _, _) => refused(404, "ContainerNotFound"),
        _ => refused(404, "BlobNotFound"),
    }
}

fn store(fake: &Fake, container: &str, identity: AzureIdentity) -> Store {
    let endpoint = format!("{}/account", fake.url);
    Store::Azure(Azure::new(client(), &endpoint, container, identity, soon()).unwrap())
}

/// covers: SC-114, SC-115
#[tokio::test]
async fn container_is_listed_and_read_by_the_documented_requests() {
    let fake = Fake::start(answer).await;
    let key = || AzureIdentity::AccountKey("MDEyMzQ1Njc4OWFiY2RlZg==".into());
    let things = store(&fake, "things", key());
    assert!(things.exists().await.unwrap());
    let objects = things.list("a/").await.unwrap();
    let keys: Vec<_> = objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["a b/c", "a", "b"]);
    assert_eq!((objects[1].etag.as_str(), objects[1].size), ("0xa", 7));
    let found = things.get("a b/c", 10).await.unwrap();
    assert_eq!(found.content, b"content");
    assert_eq!(found.etag, "0x8D", "in the form of the listing's");
    let seen = fake.seen();
    for asked in &seen {
        let signed = asked.header("authorization");
        assert!(signed.starts_with("SharedKey account:"), "{signed}");
        assert!(asked.header("x-ms-date").ends_with(" GMT"));
    }
    assert_eq!(seen[1].query("prefix"), "a/");
    assert_eq!(seen[2].query("marker"), "m!2");

    assert!(things.get("gone", 10).await.unwrap_err().is_not_found());
    assert!(!store(&fake, "missing", key()).exists().await.unwrap());
    let closed = store(&fake, "closed", AzureIdentity::Anonymous);
    let error = closed.exists().await.unwrap_err();
    assert_eq!(error.to_string(), "AuthorizationFailure it is.");
    assert_eq!(fake.seen().last().unwrap().header("authorization"), "");
}

/// covers: SC-114
#[test]
fn signature_joins_the_query_of_the_endpoint_and_counts_before_it() {
    for mark in ["", "?"] {
        let signature = AzureIdentity::SharedAccessSignature(format!("{mark}sv=2&sig=a%2Fb"));
        let endpoint = "https://account.blob.core.windows.net/?sv=1&x=y";
        let azure = Azure::new(client(), endpoint, "things", signature, soon()).unwrap();
        let pairs: Vec<_> = azure
            .query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(pairs, ["x=y", "sv=2", "sig=a/b"]);
        assert!(!format!("{:?}", azure.identity).contains("a%2Fb"));
    }
}

/// covers: SC-114
#[test]
fn account_is_the_first_label_of_the_host() {
    let account_of = |text: &str| account(&url::Url::parse(text).unwrap());
    let expected = Some("acme".to_owned());
    assert_eq!(account_of("https://acme.blob.core.windows.net"), expected);
    assert_eq!(account_of("http://127.0.0.1:10000/acme"), expected);
    assert_eq!(account_of("https://localhost"), None);
    let key = AzureIdentity::AccountKey("MDEy".into());
    let error = Azure::new(client(), "https://localhost", "x", key, soon()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the endpoint 'https://localhost' names no account"
    );
    let error = Azure::new(client(), "acme", "x", AzureIdentity::Anonymous, soon()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid endpoint 'acme': it must be an http or https URL"
    );
}

#[tokio::test]
async fn application_shows_its_secret_to_the_authority_alone() {
    let fake = Fake::start(|asked| {
        if asked.path == "/te%2Fnant/oauth2/v2.0/token" {
            assert_eq!(
                asked.body,
                "grant_type=client_credentials&client_id=app&client_secret=s3cret&scope=https%3A%2F%2Fstorage.azure.com%2F.default"
            );
            return r#"{"access_token": "given"}"#.into_response();
        }
        assert_eq!(asked.header("authorization"), "Bearer given");
        answer(asked)
    })
    .await;
    let identity = AzureIdentity::ClientSecret {
        tenant: "te/nant".into(),
        client: "app".into(),
        secret: "s3cret".into(),
        authority: Some(fake.url.clone()),
    };
    let things = store(&fake, "things", identity);
    assert!(things.exists().await.unwrap());
    assert_eq!(things.list("").await.unwrap().len(), 3);
}
