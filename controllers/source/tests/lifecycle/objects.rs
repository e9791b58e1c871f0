//! Buckets of a real store that speaks S3.

use serde_json::{Value, json};
use testkit::{Answer, HttpSink, ObjectStore};

use crate::any::names;
use crate::bench::Bench;

fn spec(store: &ObjectStore, more: &Value) -> Value {
    let mut spec = json!({
        "provider": "generic",
        "bucketName": "things",
        "endpoint": store.address(),
        "region": ObjectStore::REGION,
        "interval": "10m",
        "timeout": "30s",
        "secretRef": { "name": "keys" },
    });
    for (name, value) in more.as_object().unwrap() {
        spec[name] = value.clone();
    }
    spec
}

async fn keys(bench: &Bench) {
    let keys = [
        ("accesskey", ObjectStore::ACCESS_KEY),
        ("secretkey", ObjectStore::SECRET_KEY),
    ];
    bench.secret("keys", &keys).await;
    let wrong = [
        ("accesskey", ObjectStore::ACCESS_KEY),
        ("secretkey", "s3cret-wrong"),
    ];
    bench.secret("wrong", &wrong).await;
}

/// Returns how many objects were downloaded since.
fn downloads(store: &ObjectStore, since: usize) -> Vec<String> {
    let asked = store.requests().unwrap();
    let is_object = |line: &&String| {
        line.contains("GET") && line.contains("/things/") && !line.contains("list-type")
    };
    asked[since..].iter().filter(is_object).cloned().collect()
}

/// covers: SC-102, SC-103, SC-105, SC-106, SC-107, SC-108
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn bucket_becomes_an_artifact_and_only_what_changed_is_downloaded() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let store = ObjectStore::start(false).unwrap();
    store.bucket("things").unwrap();
    for (key, content) in [
        (".sourceignore", "*.md\n"),
        ("deploy/app.yaml", "kind: A\n"),
        ("deploy/b c.yaml", "kind: B\n"),
        ("deploy/drop.md", "x"),
        ("other/z.yaml", "kind: Z\n"),
    ] {
        store.put("things", key, content.as_bytes()).unwrap();
    }
    keys(&bench).await;
    let insecure = json!({ "insecure": true, "secretRef": { "name": "gone" } });
    bench.put("Bucket", "things", spec(&store, &insecure)).await;
    let message = bench
        .refused("Bucket", "things", "AuthenticationFailed", "not found")
        .await;
    assert!(message.starts_with("failed to get secret '"), "{message}");
    bench
        .put(
            "Bucket",
            "things",
            json!({ "secretRef": { "name": "wrong" } }),
        )
        .await;
    let message = bench
        .refused("Bucket", "things", "BucketOperationFailed", "")
        .await;
    assert!(
        message.starts_with("failed to confirm existence of 'things' bucket"),
        "{message}"
    );
    bench
        .put(
            "Bucket",
            "things",
            json!({ "secretRef": { "name": "keys" }, "bucketName": "none" }),
        )
        .await;
    bench
        .refused(
            "Bucket",
            "things",
            "BucketOperationFailed",
            "bucket 'none' not found",
        )
        .await;
    bench
        .put("Bucket", "things", json!({ "bucketName": "things" }))
        .await;
    let object = bench.settled("Bucket", "things").await;
    let files = bench.contents(&object).await;
    assert_eq!(
        names(&files),
        [
            ".sourceignore",
            "deploy/app.yaml",
            "deploy/b c.yaml",
            "other/z.yaml"
        ]
    );
    bench
        .event(
            "things",
            "Normal NewArtifact stored artifact with 3 fetched files from 'things' bucket",
        )
        .await;

    // Nothing changed, and then one object, before and after a restart.
    let since = store.requests().unwrap().len();
    bench.ask("Bucket", "things").await;
    assert!(
        downloads(&store, since)
            .iter()
            .all(|line| line.contains(".sourceignore"))
    );
    for (round, restart) in [("2", false), ("3", true)] {
        if restart {
            bench
                .controller
                .terminate(std::time::Duration::from_secs(20))
                .await
                .unwrap();
            bench.controller.restart().await.unwrap();
        }
        store
            .put(
                "things",
                "deploy/app.yaml",
                format!("kind: A{round}\n").as_bytes(),
            )
            .unwrap();
        let since = store.requests().unwrap().len();
        bench.ask("Bucket", "things").await;
        let object = bench.settled("Bucket", "things").await;
        assert_eq!(
            bench.contents(&object).await["deploy/app.yaml"],
            format!("kind: A{round}\n")
        );
        let asked = downloads(&store, since);
        assert!(
            asked.iter().any(|line| line.contains("app.yaml"))
                && !asked.iter().any(|line| line.contains("z.yaml")),
            "{asked:#?}"
        );
    }

    store.delete("things", "deploy/b c.yaml").unwrap();
    let narrow = json!({ "prefix": "deploy/", "ignore": "!deploy/drop.md\n" });
    bench.put("Bucket", "things", narrow).await;
    let object = bench.settled("Bucket", "things").await;
    let files = bench.contents(&object).await;
    assert_eq!(
        names(&files),
        [".sourceignore", "deploy/app.yaml", "deploy/drop.md"]
    );
    let log = bench.controller.log().unwrap();
    assert!(!log.contains("s3cret"), "a credential is in the log");
}

/// covers: SC-102
#[tokio::test]
async fn bucket_is_reached_by_tls_and_through_a_proxy() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let store = ObjectStore::start(true).unwrap();
    store.bucket("things").unwrap();
    store.put("things", "a.yaml", b"kind: A\n").unwrap();
    keys(&bench).await;
    bench
        .put("Bucket", "things", spec(&store, &json!({})))
        .await;
    bench
        .refused("Bucket", "things", "BucketOperationFailed", "x509: ")
        .await;
    bench
        .secret("ca", &[("ca.crt", &store.authority().unwrap().pem())])
        .await;
    let proxy = testkit::ForwardProxy::start(None).unwrap();
    bench.secret("proxy", &[("address", &proxy.url())]).await;
    let both = json!({ "certSecretRef": { "name": "ca" }, "proxySecretRef": { "name": "proxy" } });
    bench.put("Bucket", "things", both).await;
    let object = bench.settled("Bucket", "things").await;
    assert_eq!(names(&bench.contents(&object).await), ["a.yaml"]);
    let tunnel = format!("CONNECT {} HTTP/1.1", store.address());
    assert!(
        proxy.requests().contains(&tunnel),
        "{:#?}",
        proxy.requests()
    );
}

/// Keys of the process, where the object names no Secret.
///
/// covers: SC-110
#[tokio::test]
async fn cloud_gives_the_identity_that_no_secret_does() {
    let plane = testkit::control_plane().await;
    let store = ObjectStore::start(false).unwrap();
    store.bucket("things").unwrap();
    store.put("things", "a.yaml", b"kind: A\n").unwrap();
    let google = HttpSink::start().unwrap();
    google.answer(Answer::body(r#"{"items":[]}"#));
    let azure = HttpSink::start().unwrap();
    let token = r#"{"access_token":"t0ken-of-azure","expires_in":"3600","token_type":"Bearer"}"#;
    azure.answer(Answer::body(token));
    let bench = Bench::start_as(plane, |program| {
        program
            .env("AWS_ACCESS_KEY_ID", ObjectStore::ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", ObjectStore::SECRET_KEY)
            .env("AWS_REGION", ObjectStore::REGION)
            .env("STORAGE_EMULATOR_HOST", &google.url())
            .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", &azure.url())
    })
    .await;
    let without = |provider: &str, endpoint: &str| {
        json!({ "provider": provider, "endpoint": endpoint, "bucketName": "things", "insecure": true,
            "interval": "10m", "timeout": "30s" })
    };
    let aws = without("aws", store.address());
    bench.put("Bucket", "aws", aws).await;
    let object = bench.settled("Bucket", "aws").await;
    assert_eq!(names(&bench.contents(&object).await), ["a.yaml"]);

    let gcp = without("gcp", "storage.googleapis.com");
    bench.put("Bucket", "gcp", gcp).await;
    bench.settled("Bucket", "gcp").await;

    let account = azure.url();
    bench
        .put("Bucket", "azure", without("azure", &account))
        .await;
    // What answers has no containers to list.
    bench
        .refused("Bucket", "azure", "BucketOperationFailed", "")
        .await;
    let asked = azure.requests();
    assert!(
        asked.iter().any(|request| {
            request.target.contains("/things")
                && request.header("authorization") == Some("Bearer t0ken-of-azure")
        }),
        "{asked:#?}"
    );
    for provider in ["aws", "gcp", "azure"] {
        let own = json!({ "serviceAccountName": "own" });
        bench.put("Bucket", provider, own).await;
        bench
            .refused(
                "Bucket",
                provider,
                "FeatureGateDisabled",
                "ObjectLevelWorkloadIdentity",
            )
            .await;
    }
    let log = bench.controller.log().unwrap();
    assert!(!log.contains("t0ken") && !log.contains(ObjectStore::SECRET_KEY));
}
