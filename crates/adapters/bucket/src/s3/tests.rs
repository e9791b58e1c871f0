use axum::response::IntoResponse;
use net_http::{ClientConfig, Clients, Environment};

use super::*;
use crate::Store;
use crate::fake::{Asked, Fake, client, soon};

async fn bucket(
    keys: bool,
    answer: impl Fn(&str) -> axum::response::Response + Clone + Send + Sync + 'static,
) -> (Store, Fake) {
    let fake = Fake::start(move |asked: &Asked| answer(&line(asked))).await;
    let settings = Settings {
        endpoint: fake.url.trim_start_matches("http://").to_owned(),
        insecure: true,
        bucket: "things".into(),
        region: None,
        keys: keys.then(|| Keys {
            access: "a".into(),
            secret: "b".into(),
            session: None,
        }),
    };
    let store = Store::S3(S3::new(client(), settings, soon()));
    (store, fake)
}

/// Returns method, path and query of a request.
fn line(asked: &Asked) -> String {
    let query: Vec<_> = asked
        .query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let signed = asked.headers.contains_key("authorization");
    format!(
        "{} {}?{}{}",
        asked.method,
        asked.path,
        query.join("&"),
        if signed { " signed" } else { "" }
    )
}

fn contents(key: &str) -> String {
    format!("<Contents><Key>{key}</Key><ETag>&quot;e-{key}&quot;</ETag><Size>3</Size></Contents>")
}

#[tokio::test]
async fn listing_is_read_page_by_page() {
    let (s3, fake) = bucket(true, |line| {
        let page = |more: &str, keys: &[&str]| {
            let all: String = keys.iter().map(|key| contents(key)).collect();
            format!(
                "<ListBucketResult>{more}<EncodingType>url</EncodingType>{all}</ListBucketResult>"
            )
        };
        if line.contains("continuation-token=t/1") {
            page("<IsTruncated>false</IsTruncated>", &["c"]).into_response()
        } else {
            let more =
                "<IsTruncated>true</IsTruncated><NextContinuationToken>t/1</NextContinuationToken>";
            page(more, &["a%2Bb", "d+e/f"]).into_response()
        }
    })
    .await;
    let objects = s3.list("x/").await.unwrap();
    let keys: Vec<_> = objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["a+b", "d e/f", "c"]);
    assert_eq!(objects[2].etag, "e-c");
    assert_eq!(
        line(&fake.seen()[0]),
        "GET /things/?encoding-type=url&list-type=2&max-keys=1000&prefix=x/ signed"
    );
}

/// covers: SC-115
#[tokio::test]
async fn what_is_not_there_is_told_apart_from_troubles() {
    let (s3, fake) = bucket(false, |line| {
        let error = |status, code: &str| {
            let body = format!("<Error><Code>{code}</Code><Message>{code} it is</Message></Error>");
            (axum::http::StatusCode::from_u16(status).unwrap(), body).into_response()
        };
        if line.contains("missing") {
            error(404, "NoSuchKey")
        } else if line.contains("secret") {
            error(403, "AccessDenied")
        } else if line.starts_with("HEAD") {
            axum::http::StatusCode::NOT_FOUND.into_response()
        } else {
            ([("etag", "\"e\"")], "content").into_response()
        }
    })
    .await;
    assert!(!s3.exists().await.unwrap());
    let missing = s3.get("missing", 10).await.unwrap_err();
    assert!(missing.is_not_found());
    let denied = s3.get("secret", 10).await.unwrap_err();
    assert!(!denied.is_not_found());
    assert_eq!(denied.to_string(), "AccessDenied it is");
    let found = s3.get("a b/c", 10).await.unwrap();
    assert_eq!(
        (found.content.as_slice(), found.etag.as_str()),
        (&b"content"[..], "e")
    );
    assert!(matches!(s3.get("x", 3).await, Err(Error::TooLarge { .. })));
    let asked: Vec<_> = fake.seen().iter().map(line).collect();
    assert!(asked.contains(&"GET /things/a%20b/c?".to_owned()));
}

#[test]
fn amazon_is_asked_by_host_and_its_region_is_known() {
    assert_eq!(
        region_of("s3.eu-west-1.amazonaws.com").as_deref(),
        Some("eu-west-1")
    );
    assert_eq!(
        region_of("s3-eu-west-1.amazonaws.com").as_deref(),
        Some("eu-west-1")
    );
    assert_eq!(region_of("s3.amazonaws.com"), None);
    assert_eq!(region_of("minio.example"), None);
    let clients = Clients::new("test", Environment::default());
    let base = |endpoint: &str, bucket: &str| {
        let settings = Settings {
            endpoint: endpoint.into(),
            insecure: false,
            bucket: bucket.into(),
            region: None,
            keys: None,
        };
        let client = clients.get(&ClientConfig::default()).unwrap();
        let s3 = S3::new(client, settings, Instant::now());
        format!("{}{}", s3.base, s3.prefix)
    };
    assert_eq!(base("s3.amazonaws.com", "b"), "https://b.s3.amazonaws.com");
    assert_eq!(
        base("s3.amazonaws.com", "b.c"),
        "https://s3.amazonaws.com/b.c"
    );
    assert_eq!(
        base("minio.example:9000", "b"),
        "https://minio.example:9000/b"
    );
}
