//! OCIRepositories from a real registry.

use serde_json::{Value, json};
use testkit::{PushedArtifact, Registry, RegistryOptions};

use crate::any::{condition, names};
use crate::bench::Bench;

pub(crate) const CONTENT: &str = "application/vnd.cncf.flux.content.v1.tar+gzip";

pub(crate) fn image(files: &[(&str, &str)]) -> PushedArtifact {
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

pub(crate) fn spec(registry: &Registry, reference: &Value) -> Value {
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

/// Starts with an image in a registry that has TLS and asks for a login. Returns also the image's digest.
async fn with_private_image() -> (Bench, Registry, String) {
    let bench = Bench::start(testkit::control_plane().await).await;
    let registry = Registry::start(&RegistryOptions {
        credentials: Some(("robot".into(), "s3cret-pa55word".into())),
        tls: true,
        ..RegistryOptions::default()
    })
    .unwrap();
    let app = image(&[("deploy/app.yaml", "kind: A\n"), ("pic.png", "x")]);
    let digest = registry.push("team/app", "1.0.0", &app).unwrap();
    let pem = registry.authority().unwrap().pem();
    bench.secret("ca", &[("ca.crt", &pem)]).await;
    let wrong = login(&registry, "robot", "s3cret-wrong");
    bench.docker_secret("wrong", &wrong).await;
    let right = login(&registry, "robot", "s3cret-pa55word");
    bench.docker_secret("login", &right).await;
    (bench, registry, digest)
}

/// covers: SC-120, SC-121
#[tokio::test]
async fn image_that_cannot_be_had_says_why() {
    let (bench, registry, digest) = with_private_image().await;
    let app = spec(&registry, &json!({ "tag": "1.0.0" }));
    bench.put("OCIRepository", "app", app).await;
    for (change, words) in [
        (json!({}), "x509: "),
        (json!({ "certSecretRef": { "name": "ca" } }), "UNAUTHORIZED"),
        (json!({ "secretRef": { "name": "wrong" } }), "UNAUTHORIZED"),
    ] {
        bench.put("OCIRepository", "app", change).await;
        let message = bench
            .refused("OCIRepository", "app", "OCIArtifactPullFailed", words)
            .await;
        let start = "failed to determine artifact digest: ";
        assert!(message.starts_with(start), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
    }
    let right = json!({ "secretRef": { "name": "login" } });
    bench.put("OCIRepository", "app", right).await;
    let revision = format!("1.0.0@{digest}");
    bench.settled_at("OCIRepository", "app", &revision).await;
}

/// covers: SC-118, SC-119, SC-120, SC-125
#[tokio::test]
async fn image_behind_tls_and_a_login_becomes_an_artifact() {
    let (bench, registry, digest) = with_private_image().await;
    let secrets = json!({ "certSecretRef": { "name": "ca" }, "secretRef": { "name": "login" } });
    let app = with(spec(&registry, &json!({ "tag": "1.0.0" })), &secrets);
    bench.put("OCIRepository", "app", app).await;
    let revision = format!("1.0.0@{digest}");
    let object = bench.settled_at("OCIRepository", "app", &revision).await;
    assert_eq!(names(&bench.contents(&object).await), ["deploy/app.yaml"]);
    let (status, namespace) = (&object["status"], bench.namespace.name());
    assert_eq!(
        status["artifact"]["metadata"]["org.opencontainers.image.revision"],
        "main@sha1:abc"
    );
    assert_eq!(
        status["artifact"]["path"],
        format!("ocirepository/{namespace}/app/{digest}.tar.gz")
    );
    let url = status["url"].as_str().unwrap();
    assert!(url.ends_with("/app/latest.tar.gz"), "{url}");
    let told = format!(
        "Normal NewArtifact stored artifact with revision '{revision}' from 'oci://{}/team/app', \
         origin source 'https://git.example/app', origin revision 'main@sha1:abc'",
        registry.address()
    );
    bench.event("app", &told).await;
    let log = bench.controller.log().unwrap();
    assert!(!log.contains("s3cret"), "a credential is in the log");

    let fixed = json!({ "ref": { "digest": digest, "tag": null } });
    bench.put("OCIRepository", "app", fixed).await;
    bench.settled_at("OCIRepository", "app", &digest).await;
}

/// The digests of images, by tag.
type Digests = std::collections::BTreeMap<&'static str, String>;

/// Starts with images of several tags, in a registry that lists two of them at a time.
async fn with_tags() -> (Bench, Registry, Digests) {
    let bench = Bench::start(testkit::control_plane().await).await;
    let registry = Registry::start(&RegistryOptions {
        page: Some(2),
        ..RegistryOptions::default()
    })
    .unwrap();
    let mut digests = Digests::new();
    for tag in ["6.1.4", "6.1.5", "6.1.6", "6.1.6-rc.1", "latest"] {
        let mut image = image(&[("version", tag), ("drop.md", "x")]);
        let plain = format!("plain {tag}").into_bytes();
        image.layers.push(("text/plain".into(), plain));
        digests.insert(tag, registry.push("team/app", tag, &image).unwrap());
    }
    (bench, registry, digests)
}

/// covers: SC-125, SC-126
#[tokio::test]
async fn tag_range_and_filter_choose_what_is_published() {
    let (bench, registry, digests) = with_tags().await;
    let app = spec(&registry, &json!({ "semver": "<= 6.1.0" }));
    let app = with(app, &json!({ "insecure": true }));
    bench.put("OCIRepository", "app", app).await;
    let words = "no match found for semver: <= 6.1.0";
    let message = bench
        .refused("OCIRepository", "app", "ReadOperationFailed", words)
        .await;
    let start = "failed to determine the artifact tag for 'oci://";
    assert!(message.starts_with(start), "{message}");
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
        let reference = json!({ "ref": reference });
        bench.put("OCIRepository", "app", reference).await;
        let revision = format!("{tag}@{}", digests[tag]);
        let object = bench.settled_at("OCIRepository", "app", &revision).await;
        assert_eq!(bench.contents(&object).await["version"], tag);
    }
    let none = json!({ "ref": { "tag": "7.0.0" } });
    bench.put("OCIRepository", "app", none).await;
    let (reason, words) = ("OCIArtifactPullFailed", "MANIFEST_UNKNOWN");
    bench.refused("OCIRepository", "app", reason, words).await;
}

/// covers: SC-119, SC-129, SC-130
#[tokio::test]
async fn layer_and_rules_choose_what_is_published() {
    let (bench, registry, digests) = with_tags().await;
    let revision = format!("6.1.6@{}", digests["6.1.6"]);
    let copy = json!({
        "insecure": true,
        "layerSelector": { "mediaType": "text/plain", "operation": "copy" },
    });
    let app = with(spec(&registry, &json!({ "tag": "6.1.6" })), &copy);
    bench.put("OCIRepository", "app", app).await;
    let object = bench.settled_at("OCIRepository", "app", &revision).await;
    assert_eq!(bench.bytes(&object).await, b"plain 6.1.6");
    assert_eq!(
        object["status"]["observedLayerSelector"]["operation"],
        "copy"
    );
    let none = json!({ "layerSelector": { "mediaType": "text/none", "operation": null } });
    bench.put("OCIRepository", "app", none).await;
    let reason = "OCIArtifactLayerOperationFailed";
    let words = "failed to find layer with media type 'text/none' in artifact";
    bench.refused("OCIRepository", "app", reason, words).await;
    let ignoring = json!({ "layerSelector": null, "ignore": "*.md" });
    bench.put("OCIRepository", "app", ignoring).await;
    let object = bench.settled_at("OCIRepository", "app", &revision).await;
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
