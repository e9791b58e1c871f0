//! Buckets of a real store that speaks S3.

use kube::api::PostParams;
use serde_json::{Value, json};
use testkit::{Answer, HttpSink, ObjectStore};

use crate::any::names;
use crate::bench::Bench;

pub(crate) fn spec(store: &ObjectStore, more: &Value) -> Value {
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

pub(crate) async fn keys(bench: &Bench) {
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

/// Starts a store with five objects.
fn with_things() -> ObjectStore {
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
    store
}

/// covers: SC-102, SC-103, SC-105
#[tokio::test]
async fn bucket_that_cannot_be_had_says_why() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let store = with_things();
    keys(&bench).await;
    let insecure = json!({ "insecure": true, "secretRef": { "name": "gone" } });
    bench.put("Bucket", "things", spec(&store, &insecure)).await;
    for (change, reason, words) in [
        (json!({}), "AuthenticationFailed", "failed to get secret '"),
        (
            json!({ "secretRef": { "name": "wrong" } }),
            "BucketOperationFailed",
            "failed to confirm existence of 'things' bucket",
        ),
        (
            json!({ "secretRef": { "name": "keys" }, "bucketName": "none" }),
            "BucketOperationFailed",
            "bucket 'none' not found",
        ),
    ] {
        bench.put("Bucket", "things", change).await;
        let message = bench.refused("Bucket", "things", reason, words).await;
        assert!(message.starts_with(words), "{message}");
    }
    bench
        .put("Bucket", "things", json!({ "bucketName": "things" }))
        .await;
    bench.settled("Bucket", "things").await;
    let log = bench.controller.log().unwrap();
    assert!(!log.contains("s3cret"), "a credential is in the log");
}

/// covers: SC-106, SC-107, SC-108
#[tokio::test]
async fn bucket_becomes_an_artifact_and_only_what_changed_is_downloaded() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let store = with_things();
    keys(&bench).await;
    let insecure = json!({ "insecure": true });
    bench.put("Bucket", "things", spec(&store, &insecure)).await;
    let object = bench.settled("Bucket", "things").await;
    let all = [
        ".sourceignore",
        "deploy/app.yaml",
        "deploy/b c.yaml",
        "other/z.yaml",
    ];
    assert_eq!(names(&bench.contents(&object).await), all);
    let words = "Normal NewArtifact stored artifact with 3 fetched files from 'things' bucket";
    bench.event("things", words).await;

    // Nothing changed, and then one object, before and after a restart.
    let since = store.requests().unwrap().len();
    bench.ask("Bucket", "things").await;
    let asked = downloads(&store, since);
    assert!(asked.iter().all(|line| line.contains(".sourceignore")));
    for (round, restart) in [("2", false), ("3", true)] {
        if restart {
            let patience = std::time::Duration::from_secs(20);
            bench.controller.terminate(patience).await.unwrap();
            bench.controller.restart().await.unwrap();
        }
        let content = format!("kind: A{round}\n");
        store
            .put("things", "deploy/app.yaml", content.as_bytes())
            .unwrap();
        let since = store.requests().unwrap().len();
        bench.ask("Bucket", "things").await;
        let object = bench.settled("Bucket", "things").await;
        assert_eq!(bench.contents(&object).await["deploy/app.yaml"], content);
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
    let left = [".sourceignore", "deploy/app.yaml", "deploy/drop.md"];
    assert_eq!(names(&bench.contents(&object).await), left);
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

/// covers: SC-111
#[tokio::test]
async fn bucket_that_did_not_change_is_not_stored_again() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let store = ObjectStore::start(false).unwrap();
    store.bucket("things").unwrap();
    store.put("things", "a.yaml", b"kind: A\n").unwrap();
    keys(&bench).await;
    let things = spec(&store, &json!({ "insecure": true }));
    bench.put("Bucket", "things", things).await;
    let before = bench.settled("Bucket", "things").await;
    let link = before["status"]["url"].as_str().unwrap();
    assert!(link.ends_with("/things/latest.tar.gz"), "{link}");
    let path = before["status"]["artifact"]["path"].as_str().unwrap();
    let file = bench.storage.path().join(path);
    let folder = file.parent().unwrap().to_owned();
    assert_eq!(
        std::fs::canonicalize(folder.join("latest.tar.gz")).unwrap(),
        std::fs::canonicalize(&file).unwrap()
    );
    let written = || std::fs::metadata(&file).unwrap().modified().unwrap();
    let first = written();
    let after = bench.ask("Bucket", "things").await;
    assert_eq!(before["status"]["artifact"], after["status"]["artifact"]);
    assert_eq!(first, written());

    // A file where its folder should be.
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "").unwrap();
    let words = "failed to create artifact directory: ";
    bench.ask("Bucket", "things").await;
    bench
        .refused("Bucket", "things", "DirectoryCreationFailed", words)
        .await;
    std::fs::remove_file(&folder).unwrap();
    bench.settled("Bucket", "things").await;
}

/// Returns a bucket of a provider, with this token service where there is one.
fn bucket(provider: &str, sts: Value) -> Value {
    let mut spec = json!({ "provider": provider, "bucketName": "b", "endpoint": "e.example",
        "interval": "1m" });
    if !sts.is_null() {
        spec["sts"] = sts;
    }
    json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "Bucket",
        "metadata": { "name": "x" }, "spec": spec })
}

/// covers: SC-112
#[tokio::test]
async fn server_refuses_token_services_that_do_not_fit_the_provider() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let endpoint = "http://sts.example";
    let only = "STS configuration is only supported for the 'aws' and 'generic' Bucket providers";
    let of_aws = "'aws' is the only supported STS provider for the 'aws' Bucket provider";
    let of_generic = "'ldap' is the only supported STS provider for the 'generic' Bucket provider";
    let sts = |provider: &str| json!({ "provider": provider, "endpoint": endpoint });
    let with = |mut sts: Value, key: &str| {
        sts[key] = json!({ "name": "x" });
        sts
    };
    let odd = json!({ "provider": "ldap", "endpoint": "something" });
    let cases = [
        ("gcp", sts("aws"), only),
        ("azure", sts("ldap"), only),
        ("aws", sts("aws"), ""),
        ("aws", sts("ldap"), of_aws),
        ("generic", sts("ldap"), ""),
        ("generic", sts("aws"), of_generic),
        (
            "aws",
            with(sts("aws"), "secretRef"),
            "spec.sts.secretRef is not required for the 'aws' STS provider",
        ),
        (
            "aws",
            with(sts("aws"), "certSecretRef"),
            "spec.sts.certSecretRef is not required for the 'aws' STS provider",
        ),
        (
            "generic",
            with(with(sts("ldap"), "secretRef"), "certSecretRef"),
            "",
        ),
        ("generic", odd, "spec.sts.endpoint"),
        ("gcp", Value::Null, ""),
        ("azure", Value::Null, ""),
        ("aws", Value::Null, ""),
        ("generic", Value::Null, ""),
    ];
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    for (provider, sts, refusal) in cases {
        let shown = format!("{provider} {sts}");
        let object = serde_json::from_value(bucket(provider, sts)).unwrap();
        match bench.kind("Bucket").create(&dry, &object).await {
            Ok(_) => assert_eq!(refusal, "", "{shown} is accepted"),
            Err(error) => {
                let text = error.to_string();
                assert!(
                    !refusal.is_empty() && text.contains(refusal),
                    "{shown}: {text}"
                );
            }
        }
    }
}
