//! Key services: the requests are those of their documentation.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::sync::Arc;

use keys::{Endpoints, Identity, Keyring, Login};
use net_http::{ClientConfig, Clients, Environment};
use serde_json::{Value, json};
use sops::Metadata;
use testkit::{Answer, HttpSink};

/// Thirty-two bytes and their Base64.
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

fn keyring(endpoints: Endpoints) -> Keyring {
    let clients = Clients::new("test", Environment::default());
    let client = clients.get(&ClientConfig::default()).unwrap();
    Keyring::new(client, endpoints)
}

fn metadata(service: &str, entry: &Value) -> Metadata {
    Metadata::read(&json!({ service: [entry], "mac": "x", "lastmodified": "2026-01-01T00:00:00Z" }))
        .unwrap()
}

#[tokio::test]
async fn vault_is_asked_with_its_token() {
    let sink = HttpSink::start().unwrap();
    sink.answer(Answer::body(
        json!({ "data": { "plaintext": KEY } }).to_string(),
    ));
    let mut keyring = keyring(Endpoints::default());
    keyring.import("sops.vault-token", b"s.token\n").unwrap();
    let entry = json!({ "vault_address": sink.url(), "engine_path": "transit", "key_name": "k",
        "enc": "vault:v1:abc" });
    keyring
        .data_key(&metadata("hc_vault", &entry))
        .await
        .unwrap();
    let requests = sink.requests();
    assert_eq!(requests[0].method, "POST");
    assert_eq!(requests[0].target, "/v1/transit/decrypt/k");
    assert_eq!(requests[0].header("x-vault-token"), Some("s.token"));
    assert_eq!(
        requests[0].json::<Value>().unwrap(),
        json!({ "ciphertext": "vault:v1:abc" })
    );
}

/// Knows one server of Vault, and has tokens of all clouds but where it is of nobody.
struct Account(String);

impl Account {
    fn cloud<T: Send + 'static>(&self, given: T) -> keys::Answer<'_, Result<T, String>> {
        let refused = self.0 == "nobody";
        let answer = if refused {
            Err("it has no role".to_owned())
        } else {
            Ok(given)
        };
        Box::pin(async move { answer })
    }
}

impl Identity for Account {
    fn aws<'a>(&'a self, region: &'a str) -> keys::Answer<'a, Result<cloud::aws::Keys, String>> {
        self.cloud(cloud::aws::Keys {
            access: format!("ASIA-{region}"),
            secret: "hidden".into(),
            session: Some("session".into()),
        })
    }

    fn azure<'a>(&'a self, scope: &'a str) -> keys::Answer<'a, Result<String, String>> {
        self.cloud(format!("token for {scope}"))
    }

    fn gcp(&self) -> keys::Answer<'_, Result<String, String>> {
        self.cloud("google's token".to_owned())
    }

    fn vault<'a>(&'a self, address: &'a str) -> keys::Answer<'a, Result<Option<Login>, String>> {
        let login = Login {
            path: "auth/kubernetes/login".into(),
            role: "ns_app".into(),
            token: "jwt".to_owned().into(),
        };
        let login = (self.0 == address).then_some(login);
        Box::pin(async move { Ok(login) })
    }
}

#[tokio::test]
async fn vault_is_logged_in_to_where_there_is_no_token_of_the_tenant() {
    let sink = HttpSink::start().unwrap();
    let key = || Answer::body(json!({ "data": { "plaintext": KEY } }).to_string());
    let granted = json!({ "auth": { "client_token": "s.granted" } });
    sink.answer_once(Answer::body(granted.to_string()));
    sink.answer(key());
    let entry = json!({ "vault_address": sink.url(), "engine_path": "transit", "key_name": "k",
        "enc": "vault:v1:abc" });
    let metadata = metadata("hc_vault", &entry);
    let account = |address: String| Some(Arc::new(Account(address)) as Arc<dyn Identity>);
    let own = Some("s.own".to_owned());
    let tokens = |sink: &HttpSink| {
        let requests = sink.requests().into_iter();
        requests
            .filter_map(|r| r.header("x-vault-token").map(str::to_owned))
            .collect::<Vec<_>>()
    };

    let ring = keyring(Endpoints::default()).or_identity(account(sink.url()));
    let ring = ring.or_vault_token(own.clone());
    ring.data_key(&metadata).await.unwrap();
    let login = &sink.requests()[0];
    assert_eq!(login.target, "/v1/auth/kubernetes/login");
    let body = json!({ "role": "ns_app", "jwt": "jwt" });
    assert_eq!(login.json::<Value>().unwrap(), body);
    assert_eq!(tokens(&sink), ["s.granted"]);

    // A server that is not among those of the configuration gets no token of the cluster.
    let ring = keyring(Endpoints::default()).or_identity(account("http://other".into()));
    ring.or_vault_token(own).data_key(&metadata).await.unwrap();
    assert_eq!(tokens(&sink)[1], "s.own");
    let mut ring = keyring(Endpoints::default()).or_identity(account(sink.url()));
    ring.import("sops.vault-token", b"s.tenant").unwrap();
    ring.data_key(&metadata).await.unwrap();
    assert_eq!(tokens(&sink)[2], "s.tenant");
    let logins = sink.requests().into_iter();
    assert_eq!(logins.filter(|r| r.target.ends_with("/login")).count(), 1);
}

#[tokio::test]
async fn aws_is_asked_with_a_signature() {
    let sink = HttpSink::start().unwrap();
    sink.answer(Answer::body(json!({ "Plaintext": KEY }).to_string()));
    let mut keyring = keyring(Endpoints {
        aws_kms: Some(sink.url()),
        ..Endpoints::default()
    });
    let credentials =
        b"aws_access_key_id: AKID\naws_secret_access_key: hidden\naws_session_token: session\n";
    keyring.import("sops.aws-kms", credentials).unwrap();
    let arn = "arn:aws:kms:eu-west-1:111122223333:key/1234";
    let entry = json!({ "arn": arn, "enc": "Y2lwaGVy", "context": { "app": "x" } });
    keyring.data_key(&metadata("kms", &entry)).await.unwrap();
    let requests = sink.requests();
    assert_eq!(
        requests[0].header("x-amz-target"),
        Some("TrentService.Decrypt")
    );
    assert_eq!(requests[0].header("x-amz-security-token"), Some("session"));
    let authorization = requests[0].header("authorization").unwrap();
    assert!(
        authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"),
        "{authorization}"
    );
    assert!(
        authorization.contains("/eu-west-1/kms/aws4_request"),
        "{authorization}"
    );
    assert!(!authorization.contains("hidden"));
    let body =
        json!({ "CiphertextBlob": "Y2lwaGVy", "KeyId": arn, "EncryptionContext": { "app": "x" } });
    assert_eq!(requests[0].json::<Value>().unwrap(), body);
}

/// covers: KC-070
#[tokio::test]
async fn each_key_of_aws_is_asked_for_in_its_own_region() {
    let sink = HttpSink::start().unwrap();
    let mut keyring = keyring(Endpoints {
        aws_kms: Some(sink.url()),
        ..Endpoints::default()
    });
    let credentials = b"aws_access_key_id: AKID\naws_secret_access_key: hidden\n";
    keyring.import("sops.aws-kms", credentials).unwrap();
    let arn = |region: &str| format!("arn:aws:kms:{region}:111122223333:key/1234");
    let entry = |region: &str| json!({ "arn": arn(region), "enc": "Y2lwaGVy" });
    let keys = json!({ "kms": [entry("eu-west-1"), entry("us-east-2")], "mac": "x",
        "lastmodified": "2026-01-01T00:00:00Z" });
    sink.answer_once(Answer::status(400));
    sink.answer(Answer::body(json!({ "Plaintext": KEY }).to_string()));
    keyring
        .data_key(&Metadata::read(&keys).unwrap())
        .await
        .unwrap();
    let requests = sink.requests();
    for (request, region) in requests.iter().zip(["eu-west-1", "us-east-2"]) {
        let authorization = request.header("authorization").unwrap();
        assert!(
            authorization.contains(&format!("/{region}/kms/")),
            "{authorization}"
        );
    }
    assert_eq!(requests.len(), 2);
    // Who has no key of AWS is not asked for one.
    let none = self::keyring(Endpoints::default());
    let error = none
        .data_key(&Metadata::read(&keys).unwrap())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("no key or credential for it"),
        "{error}"
    );
}

/// A key of a vault.
fn vault() -> Value {
    json!({ "vault_url": "https://own.vault.azure.net", "name": "k", "version": "7", "enc": "abc" })
}

fn azure_token(token: &str) -> Answer {
    Answer::body(json!({ "access_token": token, "expires_in": 3600 }).to_string())
}

fn azure_key() -> Answer {
    Answer::body(json!({ "value": KEY.trim_end_matches('=') }).to_string())
}

/// All clouds are one server.
fn endpoints(sink: &HttpSink) -> Endpoints {
    let one = || Some(sink.url());
    Endpoints {
        aws_kms: one(),
        aws_sts: one(),
        gcp_kms: one(),
        azure_vault: one(),
        azure_metadata: one(),
    }
}

/// covers: KC-070
#[tokio::test]
async fn clouds_are_asked_as_an_identity_where_the_tenant_gave_no_credential() {
    let of = |name: &str| Some(Arc::new(Account(name.into())) as Arc<dyn Identity>);
    let aws = json!({ "arn": "arn:aws:kms:eu-west-1:111122223333:key/1234", "enc": "Y2lwaGVy" });
    let resource = "projects/p/locations/global/keyRings/r/cryptoKeys/k";
    let gcp = json!({ "resource_id": resource, "enc": "Y2lwaGVy" });
    for (service, entry, answer, target, proof) in [
        (
            "kms",
            &aws,
            json!({ "Plaintext": KEY }),
            "/",
            "AWS4-HMAC-SHA256 Credential=ASIA-eu-west-1/",
        ),
        (
            "gcp_kms",
            &gcp,
            json!({ "plaintext": KEY }),
            "/v1/projects/p/locations/global/keyRings/r/cryptoKeys/k:decrypt",
            "Bearer google's token",
        ),
        (
            "azure_kv",
            &vault(),
            json!({ "value": KEY.trim_end_matches('=') }),
            "/keys/k/7/decrypt?api-version=7.4",
            "Bearer token for https://vault.azure.net/.default",
        ),
    ] {
        let sink = HttpSink::start().unwrap();
        sink.answer(Answer::body(answer.to_string()));
        let ring = keyring(endpoints(&sink)).or_identity(of("somebody"));
        ring.data_key(&metadata(service, entry)).await.unwrap();
        let requests = sink.requests();
        assert_eq!(requests.len(), 1, "{service}");
        assert_eq!(requests[0].target, target);
        let shown = requests[0].header("authorization").unwrap();
        assert!(shown.starts_with(proof), "{service}: {shown}");
        // Why an identity has no token is told.
        let ring = keyring(endpoints(&sink)).or_identity(of("nobody"));
        let error = ring.data_key(&metadata(service, entry)).await.unwrap_err();
        assert!(error.to_string().contains("it has no role"), "{error}");
        assert_eq!(sink.requests().len(), 1, "{service}");
    }
}

/// covers: KC-070
#[tokio::test]
async fn key_of_aws_with_a_role_is_asked_for_as_that_role() {
    let sink = HttpSink::start().unwrap();
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(30);
    sink.answer_once(Answer::body(format!(
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId>\
         <SecretAccessKey>k3y</SecretAccessKey><SessionToken>s3ssion</SessionToken>\
         <Expiration>{until}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )));
    sink.answer(Answer::body(json!({ "Plaintext": KEY }).to_string()));
    let mut keyring = keyring(endpoints(&sink));
    let credentials = b"aws_access_key_id: AKID\naws_secret_access_key: hidden\n";
    keyring.import("sops.aws-kms", credentials).unwrap();
    let entry = json!({ "arn": "arn:aws:kms:eu-west-1:111122223333:key/1234", "enc": "Y2lwaGVy",
        "role": "arn:aws:iam::111122223333:role/reader" });
    keyring.data_key(&metadata("kms", &entry)).await.unwrap();
    let requests = sink.requests();
    let form = String::from_utf8(requests[0].body.to_vec()).unwrap();
    assert_eq!(
        form,
        "Action=AssumeRole&Version=2011-06-15&\
         RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Freader&RoleSessionName=sops"
    );
    for (request, proof) in requests.iter().zip([
        "AWS4-HMAC-SHA256 Credential=AKID/",
        "AWS4-HMAC-SHA256 Credential=ASIAROLE/",
    ]) {
        let shown = request.header("authorization").unwrap();
        assert!(shown.starts_with(proof), "{shown}");
    }
    assert!(
        requests[0]
            .header("authorization")
            .unwrap()
            .contains("/eu-west-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date,")
    );
    assert_eq!(requests[1].header("x-amz-security-token"), Some("s3ssion"));
}

#[tokio::test]
async fn azure_takes_a_certificate_for_a_secret() {
    let sink = HttpSink::start().unwrap();
    let pem = include_str!("../../../net/cloud/tests/data/application.pem");
    let (certificate, _) = pem.split_once("-----BEGIN PRIVATE KEY").unwrap();
    for (given, password, words) in [
        (certificate, "", "has no RSA key that can be read"),
        ("none", "", "is missing"),
        (
            pem,
            "x",
            "a client certificate with a password is not supported",
        ),
    ] {
        let mut ring = keyring(endpoints(&sink));
        let credentials = json!({ "tenantId": "tenant", "clientId": "id",
            "clientCertificate": given, "clientCertificatePassword": password });
        ring.import("sops.azure-kv", credentials.to_string().as_bytes())
            .unwrap();
        let error = ring.data_key(&metadata("azure_kv", &vault())).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert!(sink.requests().is_empty());

    sink.answer_once(azure_token("t"));
    sink.answer_once(azure_key());
    let mut ring = keyring(endpoints(&sink));
    let credentials = json!({ "tenantId": "tenant", "clientId": "id", "clientCertificate": pem,
        "authorityHost": sink.url() });
    ring.import("sops.azure-kv", credentials.to_string().as_bytes())
        .unwrap();
    ring.data_key(&metadata("azure_kv", &vault()))
        .await
        .unwrap();
    let form = String::from_utf8(sink.requests()[0].body.to_vec()).unwrap();
    assert!(
        form.contains(
            "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
        ),
        "{form}"
    );
    assert!(form.contains("&client_assertion=eyJ"), "{form}");
}

#[tokio::test]
async fn azure_takes_a_managed_identity_and_tokens_go_to_vaults_only() {
    let sink = HttpSink::start().unwrap();
    sink.answer_once(azure_token("t"));
    sink.answer_once(azure_key());
    let mut ring = keyring(endpoints(&sink));
    ring.import("sops.azure-kv", b"clientId: some-identity\n")
        .unwrap();
    ring.data_key(&metadata("azure_kv", &vault()))
        .await
        .unwrap();
    let requests = sink.requests();
    assert_eq!(
        requests[0].target,
        "/metadata/identity/oauth2/token?api-version=2018-02-01&\
         resource=https%3A%2F%2Fvault.azure.net&client_id=some-identity"
    );
    assert_eq!(requests[0].header("metadata"), Some("true"));
    assert_eq!(requests[1].header("authorization"), Some("Bearer t"));

    // A file names the address of its vault: a token goes to no other host.
    let mut elsewhere = vault();
    elsewhere["vault_url"] = json!("https://evil.example");
    let error = ring.data_key(&metadata("azure_kv", &elsewhere)).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("not that of a key vault"), "{error}");
    assert_eq!(sink.requests().len(), 2);
}

#[tokio::test]
async fn azure_gives_a_token_and_then_the_key() {
    let sink = HttpSink::start().unwrap();
    sink.answer_once(azure_token("t"));
    sink.answer_once(azure_key());
    let mut keyring = keyring(Endpoints {
        azure_vault: Some(sink.url()),
        ..Endpoints::default()
    });
    let credentials = json!({ "tenantId": "tenant", "clientId": "id", "clientSecret": "a&b",
        "authorityHost": sink.url() });
    keyring
        .import("sops.azure-kv", credentials.to_string().as_bytes())
        .unwrap();
    keyring
        .data_key(&metadata("azure_kv", &vault()))
        .await
        .unwrap();
    let requests = sink.requests();
    assert_eq!(requests[0].target, "/tenant/oauth2/v2.0/token");
    let form = String::from_utf8(requests[0].body.to_vec()).unwrap();
    for field in [
        "grant_type=client_credentials",
        "client_id=id",
        "client_secret=a%26b",
        "scope=https%3A%2F%2Fvault.azure.net%2F.default",
    ] {
        assert!(form.split('&').any(|own| own == field), "{form}");
    }
    assert_eq!(requests[1].target, "/keys/k/7/decrypt?api-version=7.4");
    assert_eq!(requests[1].header("authorization"), Some("Bearer t"));
    let body = json!({ "alg": "RSA-OAEP-256", "value": "abc" });
    assert_eq!(requests[1].json::<Value>().unwrap(), body);
}

#[tokio::test]
async fn refusals_are_told_without_secrets() {
    let sink = HttpSink::start().unwrap();
    sink.answer(Answer::status(403));
    let mut keyring = keyring(Endpoints::default());
    keyring
        .import("sops.vault-token", b"marked-secret")
        .unwrap();
    let entry = json!({ "vault_address": sink.url(), "engine_path": "transit", "key_name": "k",
        "enc": "vault:v1:abc" });
    let error = keyring
        .data_key(&metadata("hc_vault", &entry))
        .await
        .unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("the service answered 403"), "{text}");
    assert!(!text.contains("marked-secret"), "{text}");
    let none = self::keyring(Endpoints::default());
    let error = none
        .data_key(&metadata("hc_vault", &entry))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("no key or credential for it"),
        "{error}"
    );
}
