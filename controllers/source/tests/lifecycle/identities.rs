//! Who asks: identities of clouds, a GitHub App, certificates of the system.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};
use testkit::{
    Answer, Credentials, FileServer, HttpSink, PushedArtifact, Registry, RegistryOptions,
};

use crate::any::condition;
use crate::bench::{Bench, with_secret};

/// An RSA key and a certificate that nobody trusts.
const APPLICATION: &str = include_str!("../../../../crates/net/cloud/tests/data/application.pem");
const PACKED: &[u8] = include_bytes!("../../../../crates/net/cloud/tests/data/application.pfx");
const GATE: &str = "to use spec.serviceAccountName for provider authentication please enable the \
                    ObjectLevelWorkloadIdentity feature gate in the controller";

/// covers: SC-059
#[tokio::test]
async fn github_app_is_asked_for_a_token_behind_a_private_authority() {
    let (bench, repository, id) = Bench::with_commit().await;
    bench.server.demand(Some(Credentials::Basic {
        user: "x-access-token".into(),
        password: "ghs_s3cret".into(),
    }));
    let github = HttpSink::start_tls().unwrap();
    let made = json!({ "token": "ghs_s3cret", "expires_at": "2099-01-01T00:00:00Z" });
    github.answer(Answer::body(made.to_string()).with_status(201));
    let (url, authority) = (github.url(), github.authority().unwrap().pem());
    let mut app = vec![
        ("githubAppID", "7"),
        ("githubAppInstallationID", "42"),
        ("githubAppPrivateKey", APPLICATION),
        ("githubAppBaseURL", url.as_str()),
    ];
    bench.secret("app", &app).await;
    let mut wanted = with_secret(repository.url(), "app");
    wanted.provider = Some(api::source::GitProvider::Github);
    bench.create("app", wanted).await;
    let message = bench.fails("app", "AuthenticationFailed").await;
    assert!(message.contains("x509: "), "{message}");
    assert!(github.requests().is_empty(), "it was not trusted");

    app.push(("ca.crt", authority.as_str()));
    bench.secret("app", &app).await;
    bench.reconcile("app").await;
    bench.ready("app", &format!("main@sha1:{id}")).await;
    let asked = github.requests();
    let targets: Vec<_> = asked.iter().map(|each| each.target.as_str()).collect();
    assert_eq!(targets, ["/api/v3/app/installations/42/access_tokens"]);
    let log = bench.controller.log().unwrap();
    assert!(!log.contains("ghs_s3cret"), "a token is in the log");
}

fn image(registry: &str, more: &Value) -> Value {
    let mut spec = json!({ "url": format!("oci://{registry}"), "interval": "10m", "timeout": "30s",
        "ref": { "tag": "1.0.0" } });
    for (name, value) in more.as_object().unwrap() {
        spec[name] = value.clone();
    }
    spec
}

fn login(registry: &Registry) -> String {
    let login = json!({ "username": "robot", "password": "s3cret-pa55word" });
    json!({ "auths": { registry.address(): login } }).to_string()
}

fn registry() -> Registry {
    Registry::start(&RegistryOptions {
        credentials: Some(("robot".into(), "s3cret-pa55word".into())),
        ..RegistryOptions::default()
    })
    .unwrap()
}

/// covers: SC-122, SC-128
#[tokio::test]
async fn image_without_the_identity_of_its_provider_says_so_unless_a_secret_logs_in() {
    let plane = testkit::control_plane().await;
    let nobody = HttpSink::start().unwrap();
    nobody.answer(Answer::status(400));
    let bench = Bench::start_as(plane, |program| {
        program.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", &nobody.url())
    })
    .await;
    let azure = image("some.azurecr.io/app", &json!({ "provider": "azure" }));
    bench.put("OCIRepository", "app", azure).await;
    let words =
        "failed to determine artifact digest: failed to get access token for artifact registry: ";
    let message = bench
        .refused("OCIRepository", "app", "OCIArtifactPullFailed", words)
        .await;
    assert!(message.contains("ManagedIdentityCredential"), "{message}");

    let registry = registry();
    let pushed = PushedArtifact {
        config_type: "application/vnd.cncf.flux.config.v1+json".into(),
        layers: vec![(
            "application/vnd.cncf.flux.content.v1.tar+gzip".into(),
            testkit::archive(&[("a", "1")]).unwrap(),
        )],
        ..PushedArtifact::default()
    };
    registry.push("team/app", "1.0.0", &pushed).unwrap();
    bench.docker_secret("login", &login(&registry)).await;
    let with_secret =
        json!({ "provider": "azure", "insecure": true, "secretRef": { "name": "login" } });
    let of_secret = image(&format!("{}/team/app", registry.address()), &with_secret);
    bench.put("OCIRepository", "app", of_secret).await;
    bench.settled("OCIRepository", "app").await;

    let account = json!({ "provider": "aws", "serviceAccountName": "own" });
    let of_account = image("012345678901.dkr.ecr.eu-west-1.amazonaws.com/app", &account);
    bench.put("OCIRepository", "aws", of_account).await;
    let stalled = |object: &Value| {
        condition(object, "Stalled").is_some_and(|it| it["reason"] == "FeatureGateDisabled")
    };
    let object = bench
        .until("OCIRepository", "aws", "the closed gate", stalled)
        .await;
    assert_eq!(condition(&object, "Stalled").unwrap()["message"], GATE);
    assert!(condition(&object, "FetchFailed").is_none(), "{object:#}");
}

/// covers: SC-128
#[tokio::test]
async fn identity_of_an_account_is_asked_for_behind_the_open_gate() {
    let plane = testkit::control_plane().await;
    let sts = HttpSink::start().unwrap();
    sts.answer(Answer::status(403));
    let bench = Bench::start_as(plane, |program| {
        program
            .flag("--feature-gates", "ObjectLevelWorkloadIdentity=true")
            .env("AWS_ENDPOINT_URL_STS", &sts.url())
    })
    .await;
    let accounts: Api<ServiceAccount> =
        Api::namespaced(bench.client.clone(), bench.namespace.name());
    let role = json!({ "metadata": { "name": "own", "annotations": {
        "eks.amazonaws.com/role-arn": "arn:aws:iam::012345678901:role/r" } } });
    let account = serde_json::from_value(role).unwrap();
    accounts
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    let own = json!({ "provider": "aws", "serviceAccountName": "own" });
    let aws = image("012345678901.dkr.ecr.eu-west-1.amazonaws.com/app", &own);
    bench.put("OCIRepository", "aws", aws).await;
    let words = "failed to get access token for artifact registry: ";
    bench
        .refused("OCIRepository", "aws", "OCIArtifactPullFailed", words)
        .await;
    let asked = sts.requests();
    let form = String::from_utf8_lossy(&asked[0].body).into_owned();
    assert!(form.contains("AssumeRoleWithWebIdentity"), "{form}");
}

/// covers: SC-168
#[tokio::test]
async fn chart_without_the_identity_of_its_provider_says_so_unless_a_secret_logs_in() {
    let plane = testkit::control_plane().await;
    let nobody = HttpSink::start().unwrap();
    nobody.answer(Answer::status(400));
    let bench = Bench::start_as(plane, |program| {
        program.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", &nobody.url())
    })
    .await;
    let repo = json!({ "type": "oci", "url": "oci://some.azurecr.io/charts", "provider": "azure" });
    bench.put("HelmRepository", "repo", repo).await;
    let chart = json!({ "chart": "demo", "interval": "10m",
        "sourceRef": { "kind": "HelmRepository", "name": "repo" } });
    bench.put("HelmChart", "demo", chart).await;
    let words = "unable to get authentication data from OIDC: failed to get access token for artifact registry: ";
    bench
        .refused("HelmChart", "demo", "AuthenticationFailed", words)
        .await;

    let registry = registry();
    let pushed = PushedArtifact {
        config_type: "application/vnd.cncf.helm.config.v1+json".into(),
        config: br#"{"name":"demo","version":"0.1.0"}"#.to_vec(),
        layers: vec![(
            "application/vnd.cncf.helm.chart.content.v1.tar+gzip".into(),
            crate::charts::chart("demo", "0.1.0", &[]),
        )],
        ..PushedArtifact::default()
    };
    registry.push("charts/demo", "0.1.0", &pushed).unwrap();
    bench.docker_secret("login", &login(&registry)).await;
    let repo = json!({ "url": format!("oci://{}/charts", registry.address()), "insecure": true,
        "secretRef": { "name": "login" } });
    bench.put("HelmRepository", "repo", repo).await;
    bench.ask("HelmChart", "demo").await;
    bench.settled_at("HelmChart", "demo", "0.1.0").await;
}

/// covers: SC-140
#[tokio::test]
async fn authority_of_an_object_is_trusted_beside_those_of_the_system() {
    let plane = testkit::control_plane().await;
    let server = FileServer::start(true).unwrap();
    server.put("index.yaml", "apiVersion: v1\nentries: {}\n");
    let roots = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(roots.path(), server.authority().unwrap().pem()).unwrap();
    let path = roots.path().to_string_lossy().into_owned();
    let bench = Bench::start_as(plane, |program| program.env("SSL_CERT_FILE", &path)).await;
    let other = FileServer::start(true).unwrap();
    bench
        .secret("other", &[("ca.crt", &other.authority().unwrap().pem())])
        .await;
    let repo =
        json!({ "url": server.url(), "interval": "10m", "certSecretRef": { "name": "other" } });
    bench.put("HelmRepository", "repo", repo).await;
    bench.settled("HelmRepository", "repo").await;
}

/// Writes who asks Azure: an identity of the machine, and an application by its certificate in PEM and in PKCS #12.
async fn azure_secrets(bench: &Bench, url: &str) {
    let machine = [("clientId", "machine-1")];
    bench.secret("machine", &machine).await;
    let certified = [
        ("tenantId", "tenant-1"),
        ("clientId", "client-1"),
        ("clientCertificate", APPLICATION),
        ("clientCertificateSendChain", "1"),
        ("authorityHost", url),
    ];
    bench.secret("certified", &certified).await;
    let packed = [
        ("tenantId", "tenant-2".as_bytes()),
        ("clientId", b"client-2"),
        ("clientCertificate", PACKED),
        ("clientCertificatePassword", "s3cret-ä".as_bytes()),
        ("authorityHost", url.as_bytes()),
    ];
    bench.secret_of_bytes("packed", &packed).await;
}

/// An application by its certificate, and an identity of the machine by its client id.
#[tokio::test]
async fn azure_gives_tokens_for_a_certificate_and_to_the_machine() {
    let plane = testkit::control_plane().await;
    let azure = HttpSink::start().unwrap();
    let token = r#"{"access_token":"t0ken-of-azure","expires_in":"3600","token_type":"Bearer"}"#;
    azure.answer(Answer::body(token));
    let bench = Bench::start_as(plane, |program| {
        program.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", &azure.url())
    })
    .await;
    let url = azure.url();
    azure_secrets(&bench, &url).await;
    for name in ["machine", "certified", "packed"] {
        let bucket = json!({ "provider": "azure", "endpoint": azure.url(), "bucketName": name,
            "interval": "10m", "timeout": "30s", "secretRef": { "name": name } });
        bench.put("Bucket", name, bucket).await;
        // What answers has no containers to list.
        bench
            .refused("Bucket", name, "BucketOperationFailed", "")
            .await;
    }
    let asked = azure.requests();
    let to = |part: &str| {
        let found = asked.iter().find(|each| each.target.contains(part));
        found.unwrap_or_else(|| panic!("no {part}: {asked:#?}"))
    };
    let metadata = to("/metadata/identity/oauth2/token");
    assert!(
        metadata.target.contains("client_id=machine-1"),
        "{metadata:?}"
    );
    for name in ["machine", "certified", "packed"] {
        let listing = to(&format!("/{name}?"));
        let bearer = Some("Bearer t0ken-of-azure");
        assert_eq!(listing.header("authorization"), bearer, "{listing:?}");
    }
    let form = String::from_utf8_lossy(&to("/tenant-2/oauth2/v2.0/token").body).into_owned();
    assert!(
        form.contains("client_id=client-2") && form.contains("client_assertion=ey"),
        "{form}"
    );
    let form = String::from_utf8_lossy(&to("/tenant-1/oauth2/v2.0/token").body).into_owned();
    assert!(form.contains("client_id=client-1"), "{form}");
    let assertion = form
        .split('&')
        .find_map(|field| field.strip_prefix("client_assertion="));
    let mut parts = assertion.unwrap().split('.');
    let mut part = || -> Value {
        let text = URL_SAFE_NO_PAD.decode(parts.next().unwrap()).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    let (head, claims) = (part(), part());
    assert_eq!(head["alg"], "PS256");
    assert_eq!(head["x5c"].as_array().unwrap().len(), 1);
    assert_eq!(claims["sub"], "client-1");
    assert_eq!(claims["aud"], format!("{url}/tenant-1/oauth2/v2.0/token"));
    let log = bench.controller.log().unwrap();
    assert!(!log.contains("t0ken") && !log.contains("PRIVATE"));
}
