//! Whose credentials and certificates are used.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use testkit::{HttpSink, PushedArtifact, Registry, RegistryOptions};

use crate::world::World;

const DOCKER: &str = "kubernetes.io/dockerconfigjson";

fn docker(host: &str, password: &str) -> Value {
    let auth = STANDARD.encode(format!("robot:{password}"));
    let config = json!({ "auths": { host: { "auth": auth } } });
    json!({ ".dockerconfigjson": config.to_string() })
}

/// covers: IA-030, IA-037, IA-043, IA-044
#[tokio::test]
async fn credentials_and_certificates_come_from_secrets_and_show_nowhere() {
    const PASSWORD: &str = "marked-registry-password";
    const WRONG: &str = "marked-wrong-password";
    let world = World::new().await;
    let registry = Registry::start(&RegistryOptions {
        credentials: Some(("robot".to_owned(), PASSWORD.to_owned())),
        tls: true,
        client_certificates: true,
        ..RegistryOptions::default()
    })
    .unwrap();
    registry
        .push("team/app", "1.0.0", &PushedArtifact::default())
        .unwrap();
    let image = format!("{}/team/app", registry.address());
    let fields =
        json!({ "secretRef": { "name": "pull" }, "certSecretRef": { "name": "certificates" } });
    world.image("app", &image, fields).await;
    let (reason, _) = world.fails("app", "not found").await;
    assert_eq!(reason, "AuthenticationFailed");
    let authority = registry.authority().unwrap();
    let client = authority.client("robot", None).unwrap();
    let certificates = json!({ "ca.crt": authority.pem(), "tls.crt": client.certificate,
        "tls.key": client.key });
    world.secret("certificates", "Opaque", certificates).await;
    let wrong = docker(registry.address(), WRONG);
    world.secret("pull", DOCKER, wrong).await;
    let (reason, message) = world.fails("app", "UNAUTHORIZED").await;
    assert_eq!(reason, "ReadOperationFailed", "{message}");
    let right = docker(registry.address(), PASSWORD);
    world.secret("pull", DOCKER, right).await;
    world.scanned("app", 1).await;

    // Without the authority, or without the client's certificate, there is no connection.
    let bare = json!({ "secretRef": { "name": "pull" } });
    world.image("bare", &image, bare).await;
    let (reason, message) = world.fails("bare", "certificate").await;
    assert_eq!(reason, "ReadOperationFailed", "{message}");
    let half = json!({ "tls.crt": client.certificate });
    world.secret("half", "Opaque", half).await;
    let fields = json!({ "certSecretRef": { "name": "half" } });
    world.image("half", &image, fields).await;
    let (reason, message) = world.fails("half", "tls.key").await;
    assert_eq!(reason, "AuthenticationFailed", "{message}");
    let log = world.controller.log().unwrap();
    let metrics = world.controller.metrics().await.unwrap();
    let said = log + &metrics + &world.warnings("app").await.join("\n");
    for secret in [
        PASSWORD,
        WRONG,
        &STANDARD.encode(format!("robot:{PASSWORD}")),
    ] {
        assert!(!said.contains(secret), "{secret} shows");
    }
}

/// covers: IA-038
#[tokio::test]
async fn pull_secrets_of_a_service_account_are_used() {
    let world = World::new().await;
    let registry = Registry::start(&RegistryOptions {
        credentials: Some(("robot".to_owned(), "right".to_owned())),
        ..RegistryOptions::default()
    })
    .unwrap();
    registry
        .push("team/app", "1.0.0", &PushedArtifact::default())
        .unwrap();
    let image = format!("{}/team/app", registry.address());
    let account = json!({ "serviceAccountName": "puller" });
    world.image("app", &image, account).await;
    let (reason, _) = world.fails("app", "puller").await;
    assert_eq!(reason, "AuthenticationFailed");
    let put = async |fields: Value| {
        world
            .put(world.ns(), "v1", "ServiceAccount", "puller", fields)
            .await
            .unwrap();
    };
    put(json!({})).await;
    world.fails("app", "UNAUTHORIZED").await;
    put(json!({ "imagePullSecrets": [{ "name": "absent" }, { "name": "pull" }] })).await;
    let right = docker(registry.address(), "right");
    world.secret("pull", DOCKER, right).await;
    world.scanned("app", 1).await;
}

/// covers: IA-014, IA-042, IA-045
#[tokio::test]
async fn registry_is_asked_through_the_proxy_of_the_secret() {
    let world = World::new().await;
    // It answers for every host: what comes is a request for the registry's own address.
    let proxy = HttpSink::start().unwrap();
    proxy.answer(testkit::Answer::body(r#"{"tags":["1.0.0"]}"#));
    let fields = json!({ "insecure": true, "proxySecretRef": { "name": "proxy" } });
    world
        .image("app", "registry.invalid/team/app", fields)
        .await;
    let (reason, _) = world.fails("app", "not found").await;
    assert_eq!(reason, "AuthenticationFailed");
    let closed = json!({ "address": "http://127.0.0.1:1" });
    world.secret("proxy", "Opaque", closed).await;
    let (reason, message) = world.fails("app", "").await;
    assert!(
        matches!(&*reason, "ReadOperationFailed" | "AuthenticationFailed"),
        "{message}"
    );
    let open = json!({ "address": proxy.url(), "username": "u", "password": "p" });
    world.secret("proxy", "Opaque", open).await;
    world.scanned("app", 1).await;
    let request = proxy.requests().pop().unwrap();
    assert_eq!(request.header("proxy-authorization"), Some("Basic dTpw"));
    assert!(
        request.target.starts_with("/v2/team/app/tags/list"),
        "{}",
        request.target
    );
}
