//! OCIRepositories from a real registry.

use serde_json::{Value, json};
use testkit::{PushedArtifact, Registry, RegistryOptions};

use crate::any::{condition, names};
use crate::bench::Bench;

const CONTENT: &str = "application/vnd.cncf.flux.content.v1.tar+gzip";

fn image(files: &[(&str, &str)]) -> PushedArtifact {
    PushedArtifact {
        config_type: "application/vnd.cncf.flux.config.v1+json".into(),
        layers: vec![(CONTENT.into(), testkit::archive(files).unwrap())],
        annotations: vec![
            (
                "org.opencontainers.image.source".into(),
                "https://git.example/app".into(),
            ),
            (
                "org.opencontainers.image.revision".into(),
                "main@sha1:abc".into(),
            ),
        ],
        ..PushedArtifact::default()
    }
}

fn spec(registry: &Registry, reference: &Value) -> Value {
    json!({
        "url": format!("oci://{}/team/app", registry.address()),
        "interval": "10m",
        "timeout": "30s",
        "ref": reference,
    })
}

fn with(mut spec: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        spec[name] = value.clone();
    }
    spec
}

fn login(registry: &Registry, user: &str, password: &str) -> String {
    json!({ "auths": { registry.address(): { "username": user, "password": password } } })
        .to_string()
}

/// covers: SC-118, SC-119, SC-120, SC-121, SC-125
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn image_behind_tls_and_a_login_becomes_an_artifact() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let registry = Registry::start(&RegistryOptions {
        credentials: Some(("robot".into(), "s3cret-pa55word".into())),
        tls: true,
        ..RegistryOptions::default()
    })
    .unwrap();
    let app = image(&[("deploy/app.yaml", "kind: A\n"), ("pic.png", "x")]);
    let digest = registry.push("team/app", "1.0.0", &app).unwrap();
    bench
        .put(
            "OCIRepository",
            "app",
            spec(&registry, &json!({ "tag": "1.0.0" })),
        )
        .await;
    let message = bench
        .refused("OCIRepository", "app", "OCIArtifactPullFailed", "x509: ")
        .await;
    assert!(
        message.starts_with("failed to determine artifact digest: "),
        "{message}"
    );

    let pem = registry.authority().unwrap().pem();
    bench.secret("ca", &[("ca.crt", &pem)]).await;
    bench
        .docker_secret("wrong", &login(&registry, "robot", "s3cret-wrong"))
        .await;
    bench
        .docker_secret("login", &login(&registry, "robot", "s3cret-pa55word"))
        .await;
    let patch = json!({ "certSecretRef": { "name": "ca" } });
    bench.put("OCIRepository", "app", patch).await;
    bench
        .refused(
            "OCIRepository",
            "app",
            "OCIArtifactPullFailed",
            "UNAUTHORIZED",
        )
        .await;
    bench
        .put(
            "OCIRepository",
            "app",
            json!({ "secretRef": { "name": "wrong" } }),
        )
        .await;
    let message = bench
        .refused(
            "OCIRepository",
            "app",
            "OCIArtifactPullFailed",
            "UNAUTHORIZED",
        )
        .await;
    assert!(!message.contains("s3cret"), "{message}");
    bench
        .put(
            "OCIRepository",
            "app",
            json!({ "secretRef": { "name": "login" } }),
        )
        .await;
    let object = bench
        .settled_at("OCIRepository", "app", &format!("1.0.0@{digest}"))
        .await;
    assert_eq!(names(&bench.contents(&object).await), ["deploy/app.yaml"]);
    let status = &object["status"];
    assert_eq!(
        status["artifact"]["metadata"]["org.opencontainers.image.revision"],
        "main@sha1:abc"
    );
    let path = status["artifact"]["path"].as_str().unwrap();
    assert_eq!(
        path,
        format!(
            "ocirepository/{}/app/{digest}.tar.gz",
            bench.namespace.name()
        )
    );
    assert!(
        status["url"]
            .as_str()
            .unwrap()
            .ends_with("/app/latest.tar.gz")
    );
    bench
        .event(
            "app",
            &format!(
                "Normal NewArtifact stored artifact with revision '1.0.0@{digest}' from 'oci://{}/team/app', origin source 'https://git.example/app', origin revision 'main@sha1:abc'",
                registry.address()
            ),
        )
        .await;
    let log = bench.controller.log().unwrap();
    assert!(!log.contains("s3cret"), "a credential is in the log");

    bench
        .put(
            "OCIRepository",
            "app",
            json!({ "ref": { "digest": digest, "tag": null } }),
        )
        .await;
    bench.settled_at("OCIRepository", "app", &digest).await;
}

/// covers: SC-119, SC-125, SC-126, SC-129, SC-130
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn tag_range_filter_and_layer_choose_what_is_published() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let registry = Registry::start(&RegistryOptions {
        page: Some(2),
        ..RegistryOptions::default()
    })
    .unwrap();
    let mut digests = std::collections::BTreeMap::new();
    for tag in ["6.1.4", "6.1.5", "6.1.6", "6.1.6-rc.1", "latest"] {
        let mut image = image(&[("version", tag), ("drop.md", "x")]);
        image
            .layers
            .push(("text/plain".into(), format!("plain {tag}").into_bytes()));
        digests.insert(tag, registry.push("team/app", tag, &image).unwrap());
    }
    let at = |tag: &str| format!("{tag}@{}", digests[tag]);
    let app = with(
        spec(&registry, &json!({ "semver": "<= 6.1.0" })),
        &json!({ "insecure": true }),
    );
    bench.put("OCIRepository", "app", app).await;
    let message = bench
        .refused(
            "OCIRepository",
            "app",
            "ReadOperationFailed",
            "no match found for semver: <= 6.1.0",
        )
        .await;
    assert!(
        message.starts_with("failed to determine the artifact tag for 'oci://"),
        "{message}"
    );
    for (reference, tag) in [
        (json!({ "semver": ">= 6.1.5", "tag": "6.1.4" }), "6.1.6"),
        (
            json!({ "semver": ">= 6.1.x-0", "semverFilter": ".*-rc.*" }),
            "6.1.6-rc.1",
        ),
        (
            json!({ "semver": null, "semverFilter": null, "tag": "6.1.4" }),
            "6.1.4",
        ),
        (json!({ "tag": null }), "latest"),
    ] {
        bench
            .put("OCIRepository", "app", json!({ "ref": reference }))
            .await;
        let object = bench.settled_at("OCIRepository", "app", &at(tag)).await;
        assert_eq!(bench.contents(&object).await["version"], tag);
    }
    bench
        .put("OCIRepository", "app", json!({ "ref": { "tag": "7.0.0" } }))
        .await;
    bench
        .refused(
            "OCIRepository",
            "app",
            "OCIArtifactPullFailed",
            "MANIFEST_UNKNOWN",
        )
        .await;

    let copy = json!({
        "ref": { "tag": "6.1.6" },
        "layerSelector": { "mediaType": "text/plain", "operation": "copy" },
    });
    bench.put("OCIRepository", "app", copy).await;
    let object = bench.settled_at("OCIRepository", "app", &at("6.1.6")).await;
    assert_eq!(bench.bytes(&object).await, b"plain 6.1.6");
    assert_eq!(
        object["status"]["observedLayerSelector"]["operation"],
        "copy"
    );
    let none = json!({ "layerSelector": { "mediaType": "text/none", "operation": null } });
    bench.put("OCIRepository", "app", none).await;
    bench
        .refused(
            "OCIRepository",
            "app",
            "OCIArtifactLayerOperationFailed",
            "failed to find layer with media type 'text/none' in artifact",
        )
        .await;
    let ignoring = json!({ "layerSelector": null, "ignore": "*.md" });
    bench.put("OCIRepository", "app", ignoring).await;
    let object = bench.settled_at("OCIRepository", "app", &at("6.1.6")).await;
    assert_eq!(names(&bench.contents(&object).await), ["version"]);
    assert!(
        condition(&object, "ArtifactOutdated").is_none(),
        "{object:#}"
    );

    let before = registry.requests().unwrap().len();
    bench.ask("OCIRepository", "app").await;
    let asked = registry.requests().unwrap()[before..].to_vec();
    assert!(
        asked.iter().all(|line| !line.contains("/blobs/")),
        "the same is not pulled again: {asked:#?}"
    );
}

/// covers: SC-121, SC-123
#[tokio::test]
async fn client_certificate_is_shown_to_the_registry() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let registry = Registry::start(&RegistryOptions {
        tls: true,
        client_certificates: true,
        ..RegistryOptions::default()
    })
    .unwrap();
    let digest = registry
        .push("team/app", "1.0.0", &image(&[("a", "1")]))
        .unwrap();
    let authority = registry.authority().unwrap();
    let person = authority.client("someone", None).unwrap();
    bench.secret("ca", &[("ca.crt", &authority.pem())]).await;
    let both = [
        ("ca.crt", authority.pem()),
        ("tls.crt", person.certificate),
        ("tls.key", person.key),
    ];
    let pairs: Vec<_> = both
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    bench.secret("both", &pairs).await;
    let mut garbled = pairs.clone();
    garbled[2].1 = "no key";
    bench.secret("garbled", &garbled).await;
    let app = spec(&registry, &json!({ "tag": "1.0.0" }));
    let app = with(app, &json!({ "certSecretRef": { "name": "ca" } }));
    bench.put("OCIRepository", "app", app).await;
    bench
        .refused("OCIRepository", "app", "OCIArtifactPullFailed", "")
        .await;
    bench
        .put(
            "OCIRepository",
            "app",
            json!({ "certSecretRef": { "name": "garbled" } }),
        )
        .await;
    bench
        .refused(
            "OCIRepository",
            "app",
            "AuthenticationFailed",
            "tls: failed to find any PEM data in key input",
        )
        .await;
    bench
        .put(
            "OCIRepository",
            "app",
            json!({ "certSecretRef": { "name": "both" } }),
        )
        .await;
    bench
        .settled_at("OCIRepository", "app", &format!("1.0.0@{digest}"))
        .await;
}

/// covers: SC-124
#[tokio::test]
async fn registry_is_reached_through_the_proxy_that_the_object_names() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let proxy = testkit::ForwardProxy::start(Some(("user", "s3cret-proxy"))).unwrap();
    let registry = Registry::start(&RegistryOptions {
        tls: true,
        ..RegistryOptions::default()
    })
    .unwrap();
    let digest = registry
        .push("team/app", "1.0.0", &image(&[("a", "1")]))
        .unwrap();
    bench
        .secret("ca", &[("ca.crt", &registry.authority().unwrap().pem())])
        .await;
    bench
        .secret("gone", &[("address", "http://127.0.0.1:1")])
        .await;
    let through = [
        ("address", proxy.url()),
        ("username", "user".into()),
        ("password", "s3cret-proxy".into()),
    ];
    let through: Vec<_> = through
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    bench.secret("proxy", &through).await;
    let app = spec(&registry, &json!({ "tag": "1.0.0" }));
    let app = with(
        app,
        &json!({ "certSecretRef": { "name": "ca" }, "proxySecretRef": { "name": "gone" } }),
    );
    bench.put("OCIRepository", "app", app).await;
    bench
        .refused(
            "OCIRepository",
            "app",
            "OCIArtifactPullFailed",
            "onnection refused",
        )
        .await;
    bench
        .put(
            "OCIRepository",
            "app",
            json!({ "proxySecretRef": { "name": "proxy" } }),
        )
        .await;
    bench
        .settled_at("OCIRepository", "app", &format!("1.0.0@{digest}"))
        .await;
    let tunnel = format!("CONNECT {} HTTP/1.1", registry.address());
    assert!(
        proxy.requests().contains(&tunnel),
        "{:#?}",
        proxy.requests()
    );
}
