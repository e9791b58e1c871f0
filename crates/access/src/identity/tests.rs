use std::sync::Mutex;

use ::registry::{Credentials, Repository};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use kube::client::Body;
use net_http::Auth;
use serde_json::json;
use testkit::{Answer, HttpSink};

use super::*;
use crate::identity::cluster::ClusterConfig;
use crate::secrets::view;

const ECR: &str = "012345678901.dkr.ecr.eu-west-1.amazonaws.com/app";
const DIRECT: Proxy = Proxy::Direct;

/// An API server that has ServiceAccounts with these annotations, and gives tokens for them.
fn cluster(annotations: &[(&str, &str)]) -> (Client, Arc<Mutex<Vec<String>>>) {
    let annotations: BTreeMap<String, String> = annotations
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let service = tower::service_fn(move |request: Request<Body>| {
        let (annotations, notes) = (annotations.clone(), Arc::clone(&notes));
        async move {
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect_bytes().await.unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            notes.lock().unwrap().push(format!("{path} {body}"));
            let (status, answer) = if path.ends_with("/token") {
                // The same token each time, so that a test knows it.
                let claims = json!({ "exp": 4_102_444_800_i64 });
                let token = format!("k8s.{}.of", URL_SAFE_NO_PAD.encode(claims.to_string()));
                let name = path.split('/').nth(6).unwrap();
                let token = format!("{token}-{name}");
                (
                    201,
                    json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {},
                        "spec": { "audiences": [] },
                        "status": { "token": token, "expirationTimestamp": "2099-01-01T00:00:00Z" } }),
                )
            } else if path.ends_with("/gone") {
                (
                    404,
                    json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
                        "reason": "NotFound", "message": "serviceaccounts \"gone\" not found" }),
                )
            } else {
                let name = path.rsplit('/').next().unwrap();
                (
                    200,
                    json!({ "apiVersion": "v1", "kind": "ServiceAccount",
                        "metadata": { "name": name, "namespace": "tenant", "annotations": annotations } }),
                )
            };
            let response = Response::builder()
                .status(status)
                .body(Body::from(answer.to_string().into_bytes()));
            Ok::<_, std::convert::Infallible>(response.unwrap())
        }
    });
    (Client::new(service, "default"), seen)
}

fn clients() -> Arc<Clients> {
    Arc::new(Clients::new("test", net_http::Environment::default()))
}

/// Identities whose clouds are all one server.
fn identities(client: Client, url: &str, variables: &[(&str, &str)]) -> Identities {
    let one = || Some(url.to_owned());
    let endpoints = Endpoints {
        sts: one(),
        ecr: one(),
        ecr_public: one(),
        eks: one(),
        azure_metadata: one(),
        azure_manager: one(),
        azure_registry: one(),
        google_metadata: one(),
        google_sts: one(),
        google_iam: one(),
        gke: one(),
    };
    let variables: BTreeMap<String, String> = variables
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let rules = Rules {
        object_level: true,
        default_account: None,
        most_tokens: 100,
        longest: Duration::from_hours(1),
    };
    let variable = move |name: &str| variables.get(name).cloned();
    let metrics = Metrics::new();
    Identities::with_endpoints(client, clients(), &metrics, rules, (variable, endpoints))
}

fn asker(account: Option<&'static str>) -> &'static Asker<'static> {
    Box::leak(Box::new(Asker {
        kind: "OCIRepository",
        namespace: "tenant",
        name: "app",
        operation: "reconcile",
        account,
        proxy: &DIRECT,
    }))
}

fn soon() -> Timestamp {
    Timestamp::now() + SignedDuration::from_mins(30)
}

fn sts_answer() -> Answer {
    let until = soon();
    Answer::body(format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
         <AccessKeyId>ASIAKEY</AccessKeyId><SecretAccessKey>k3y</SecretAccessKey>\
         <SessionToken>s3ssion</SessionToken><Expiration>{until}</Expiration>\
         </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    ))
}

fn ecr_answer(password: &str) -> Answer {
    let token = STANDARD.encode(format!("AWS:{password}"));
    let until = soon().as_second();
    let data = json!([{ "authorizationToken": token, "expiresAt": until }]);
    Answer::body(json!({ "authorizationData": data }).to_string())
}

fn basic(username: &str, password: &str) -> Credentials {
    Credentials::Basic {
        username: username.into(),
        password: password.into(),
    }
}

fn said<T: std::fmt::Debug>(result: Result<T, IdentityError>) -> String {
    runtime::failure::chain(&result.unwrap_err())
}

#[tokio::test]
async fn account_gets_a_login_at_ecr_that_is_kept_for_it_alone() {
    let role = "arn:aws:iam::012345678901:role/app";
    let (client, seen) = cluster(&[("eks.amazonaws.com/role-arn", role)]);
    let sink = HttpSink::start().unwrap();
    let identities = identities(client, &sink.url(), &[]);
    let repository = Repository::parse(ECR).unwrap();
    let login = async |account| {
        let asker = asker(Some(account));
        identities
            .registry_login(Cloud::Aws, &repository, asker)
            .await
    };
    sink.answer_once(sts_answer());
    sink.answer_once(ecr_answer("one"));
    assert_eq!(login("a").await.unwrap(), basic("AWS", "one"));
    assert_eq!(
        login("a").await.unwrap(),
        basic("AWS", "one"),
        "it was kept"
    );
    let requests = sink.requests();
    assert_eq!(requests.len(), 2);
    let form = String::from_utf8(requests[0].body.to_vec()).unwrap();
    for part in [
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15",
        "RoleArn=arn%3Aaws%3Aiam%3A%3A012345678901%3Arole%2Fapp",
        "RoleSessionName=a.tenant.eu-west-1.fluxcd.io",
        "WebIdentityToken=k8s.",
    ] {
        assert!(form.contains(part), "{form}");
    }
    let ecr = &requests[1];
    assert_eq!(
        ecr.header("x-amz-target"),
        Some("AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken")
    );
    assert_eq!(ecr.header("x-amz-security-token"), Some("s3ssion"));
    let signed = ecr.header("authorization").unwrap();
    assert!(
        signed.starts_with("AWS4-HMAC-SHA256 Credential=ASIAKEY/"),
        "{signed}"
    );
    assert!(signed.contains("/eu-west-1/ecr/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, "), "{signed}");
    let audience = r#""audiences":["sts.amazonaws.com"]"#;
    assert!(seen.lock().unwrap().iter().any(|it| it.contains(audience)));
    sink.answer_once(sts_answer());
    sink.answer_once(ecr_answer("two"));
    assert_eq!(login("b").await.unwrap(), basic("AWS", "two"));
    assert_eq!(
        login("a").await.unwrap(),
        basic("AWS", "one"),
        "nobody gets another's"
    );
}

#[tokio::test]
async fn account_gets_a_login_at_acr() {
    let (client, seen) = cluster(&[
        ("azure.workload.identity/tenant-id", "t-1"),
        ("azure.workload.identity/client-id", "c-1"),
    ]);
    let sink = HttpSink::start().unwrap();
    let url = sink.url();
    let identities = identities(client, &url, &[("AZURE_AUTHORITY_HOST", &url)]);
    sink.answer_once(Answer::body(r#"{"access_token":"aad","expires_in":3599}"#));
    let claims = json!({ "exp": soon().as_second() }).to_string();
    let refresh = format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims));
    sink.answer_once(Answer::body(
        json!({ "refresh_token": refresh }).to_string(),
    ));
    let repository = Repository::parse("mine.azurecr.io/app").unwrap();
    let login = identities.registry_login(Cloud::Azure, &repository, asker(Some("a")));
    assert_eq!(
        login.await.unwrap(),
        basic("00000000-0000-0000-0000-000000000000", &refresh)
    );
    let requests = sink.requests();
    assert_eq!(requests[0].target, "/t-1/oauth2/v2.0/token");
    let form = String::from_utf8(requests[0].body.to_vec()).unwrap();
    assert!(form.contains("client_id=c-1&scope=https%3A%2F%2Fcontainerregistry.azure.net%2F.default&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=k8s."), "{form}");
    assert_eq!(requests[1].target, "/oauth2/exchange");
    let form = String::from_utf8(requests[1].body.to_vec()).unwrap();
    assert_eq!(
        form,
        "grant_type=access_token&service=mine.azurecr.io&access_token=aad"
    );
    let audience = r#""audiences":["api://AzureADTokenExchange"]"#;
    assert!(seen.lock().unwrap().iter().any(|it| it.contains(audience)));
}

#[tokio::test]
async fn account_acts_as_one_of_google() {
    let provider = "projects/1/locations/global/workloadIdentityPools/p/providers/q";
    let (client, seen) = cluster(&[
        ("gcp.auth.fluxcd.io/workload-identity-provider", provider),
        (
            "iam.gke.io/gcp-service-account",
            "app@project.iam.gserviceaccount.com",
        ),
    ]);
    let sink = HttpSink::start().unwrap();
    let identities = identities(client, &sink.url(), &[]);
    sink.answer_once(Answer::body(
        r#"{"access_token":"federated","expires_in":3599}"#,
    ));
    let until = soon();
    sink.answer_once(Answer::body(
        json!({ "accessToken": "own", "expireTime": until.to_string() }).to_string(),
    ));
    let repository = Repository::parse("europe-docker.pkg.dev/p/r/app").unwrap();
    let login = identities.registry_login(Cloud::Gcp, &repository, asker(Some("a")));
    assert_eq!(login.await.unwrap(), basic("oauth2accesstoken", "own"));
    let requests = sink.requests();
    assert_eq!(requests[0].target, "/v1/token");
    let form = String::from_utf8(requests[0].body.to_vec()).unwrap();
    assert!(form.contains("audience=%2F%2Fiam.googleapis.com%2Fprojects%2F1%2Flocations%2Fglobal%2FworkloadIdentityPools%2Fp%2Fproviders%2Fq"), "{form}");
    assert_eq!(
        requests[1].target,
        "/v1/projects/-/serviceAccounts/app@project.iam.gserviceaccount.com:generateAccessToken"
    );
    assert_eq!(
        requests[1].header("authorization"),
        Some("Bearer federated")
    );
    let audience = format!(r#""audiences":["//iam.googleapis.com/{provider}"]"#);
    assert!(seen.lock().unwrap().iter().any(|it| it.contains(&audience)));
}

#[tokio::test]
async fn process_has_what_its_place_gives() {
    let (client, _) = cluster(&[]);
    let sink = HttpSink::start().unwrap();
    let url = sink.url();
    let variables = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str()),
    ];
    let identities = identities(client, &url, &variables);
    let until = soon();
    sink.answer_once(Answer::body("imds"));
    sink.answer_once(Answer::body("node-role"));
    sink.answer_once(Answer::body(
        json!({ "Code": "Success", "AccessKeyId": "A", "SecretAccessKey": "S", "Token": "T",
            "Expiration": until.to_string() })
        .to_string(),
    ));
    let keys = identities.aws_keys(asker(None), crate::AwsPlace::default());
    assert_eq!(keys.await.unwrap().access, "A");
    let requests = sink.requests();
    assert_eq!(
        (requests[0].method.as_str(), requests[0].target.as_str()),
        ("PUT", "/latest/api/token")
    );
    assert_eq!(
        requests[2].target,
        "/latest/meta-data/iam/security-credentials/node-role"
    );
    assert_eq!(requests[2].header("x-aws-ec2-metadata-token"), Some("imds"));
    sink.answer_once(Answer::body(
        r#"{"access_token":"managed","expires_in":"3599"}"#,
    ));
    let token = identities.azure_token(asker(None), cloud::azure::DEVOPS);
    assert_eq!(token.await.unwrap(), "managed");
    assert_eq!(
        sink.requests()[3].target,
        "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=499b84ac-1321-427f-aa17-267ca6975798"
    );
    sink.answer_once(Answer::body(
        r#"{"access_token":"machine","expires_in":3599}"#,
    ));
    assert_eq!(
        identities.google_token(asker(None)).await.unwrap(),
        "machine"
    );
    let request = &sink.requests()[4];
    assert_eq!(request.header("metadata-flavor"), Some("Google"));
    assert!(
        request
            .target
            .starts_with("/computeMetadata/v1/instance/service-accounts/default/token?scopes="),
        "{}",
        request.target
    );
}

#[tokio::test]
async fn refusals_are_told_without_any_token_and_not_kept() {
    let role = "arn:aws:iam::012345678901:role/app";
    let (client, _) = cluster(&[("eks.amazonaws.com/role-arn", role)]);
    let sink = HttpSink::start().unwrap();
    let identities = identities(client, &sink.url(), &[]);
    let repository = Repository::parse(ECR).unwrap();
    let login = async |account| {
        let asker = asker(Some(account));
        identities
            .registry_login(Cloud::Aws, &repository, asker)
            .await
    };
    sink.answer_once(Answer::body("nothing of use"));
    assert_eq!(
        said(login("a").await),
        "failed to get access token for artifact registry: failed to create provider access token for service account \
         'tenant/a': AssumeRoleWithWebIdentity: credentials are nil"
    );
    let requests = sink.requests();
    let form = String::from_utf8(requests[0].body.to_vec()).unwrap();
    let sent = form.split("WebIdentityToken=").nth(1).unwrap().to_owned();
    for status in [403, 429, 500] {
        let body = format!("no {sent} for\n you");
        sink.answer_once(Answer::body(body).with_status(status));
        let words = said(login("a").await);
        assert!(
            words.ends_with(&format!("status {status}: no ***** for you")),
            "{words}"
        );
        assert!(!words.contains(&sent), "{words}");
    }
    sink.answer_once(sts_answer());
    sink.answer_once(Answer::status(403));
    let words = said(login("a").await);
    assert_eq!(words, "ECR GetAuthorizationToken: status 403");
    // The keys were kept, the refusal was not.
    sink.answer_once(ecr_answer("one"));
    assert_eq!(login("a").await.unwrap(), basic("AWS", "one"));
    assert_eq!(
        said(login("gone").await),
        "failed to get access token for artifact registry: failed to get service account 'tenant/gone': serviceaccounts \"gone\" not found"
    );
    let elsewhere = Repository::parse("ghcr.io/app").unwrap();
    let count = sink.requests().len();
    for cloud in [Cloud::Aws, Cloud::Azure, Cloud::Gcp] {
        let asker = asker(Some("a"));
        let words = said(identities.registry_login(cloud, &elsewhere, asker).await);
        assert!(words.contains("registry: 'ghcr.io'"), "{words}");
    }
    assert_eq!(sink.requests().len(), count, "nothing was sent");
}

#[tokio::test]
async fn account_without_the_gate_or_with_wrong_annotations_gets_nothing() {
    let (client, seen) = cluster(&[("eks.amazonaws.com/role-arn", "me")]);
    let sink = HttpSink::start().unwrap();
    let closed = Identities::new(
        client.clone(),
        clients(),
        &Metrics::new(),
        Rules::default(),
        |_| None,
    );
    assert!(closed.needs_gate(Some("a")) && !closed.needs_gate(None));
    assert!(said(closed.google_token(asker(Some("a"))).await).contains(OBJECT_LEVEL));
    assert!(seen.lock().unwrap().is_empty());
    let open = identities(client, &sink.url(), &[]);
    let keys = open.aws_keys(asker(Some("a")), crate::AwsPlace::default());
    assert_eq!(
        said(keys.await),
        r"failed to get provider identity from service account 'tenant/a' annotations: invalid eks.amazonaws.com/role-arn annotation: 'me'. must match ^arn:aws[\w-]*:iam::[0-9]{1,30}:role/.{1,200}$"
    );
    let token = open.azure_token(asker(Some("a")), cloud::azure::DEVOPS);
    assert!(
        said(token.await)
            .ends_with("azure tenant ID is not set in the service account annotation azure.workload.identity/tenant-id")
    );
    assert!(sink.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn service_that_hangs_is_given_up() {
    let (client, _) = cluster(&[]);
    let sink = HttpSink::start().unwrap();
    sink.answer(Answer::status(200).after(Duration::from_hours(1)));
    let identities = identities(client, &sink.url(), &[]);
    let begun = tokio::time::Instant::now();
    let words = said(identities.google_token(asker(None)).await);
    assert!(
        words.starts_with("failed to create provider access token for the controller: "),
        "{words}"
    );
    assert!(begun.elapsed() <= Duration::from_mins(1));
}

#[tokio::test]
async fn github_app_logs_in_as_its_installation() {
    use rsa::pkcs8::{EncodePrivateKey, LineEnding};
    let key = rsa::RsaPrivateKey::new(&mut rand_core::OsRng, 2048).unwrap();
    let pem = key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string();
    let (client, _) = cluster(&[]);
    let sink = HttpSink::start().unwrap();
    let url = sink.url();
    let identities = identities(client, &url, &[]);
    let secret = view(
        "ns/app",
        &[
            ("githubAppID", "7"),
            ("githubAppInstallationOwner", "org"),
            ("githubAppPrivateKey", &pem),
            ("githubAppBaseURL", &url),
        ],
    );
    let http = ClientConfig {
        proxy: Proxy::Direct,
        ..ClientConfig::default()
    };
    let login = async || {
        let asker = asker(None);
        identities.github_app_login(&secret, &http, asker).await
    };
    sink.answer_once(Answer::body("{}").with_status(404));
    sink.answer_once(Answer::body(r#"{"id":42}"#));
    let until = soon();
    let made = json!({ "token": "ghs_1", "expires_at": until.to_string() });
    sink.answer_once(Answer::body(made.to_string()).with_status(201));
    let expected = Auth::Basic {
        username: "x-access-token".into(),
        password: "ghs_1".into(),
    };
    assert!(login().await.unwrap() == expected);
    assert!(login().await.unwrap() == expected, "it was kept");
    let requests = sink.requests();
    let targets: Vec<_> = requests.iter().map(|it| it.target.as_str()).collect();
    assert_eq!(
        targets,
        [
            "/api/v3/orgs/org/installation",
            "/api/v3/users/org/installation",
            "/api/v3/app/installations/42/access_tokens"
        ]
    );
    let signed = requests[2].header("authorization").unwrap();
    let signed = signed.strip_prefix("Bearer ").unwrap();
    let (text, tag) = signed.rsplit_once('.').unwrap();
    let tag = URL_SAFE_NO_PAD.decode(tag).unwrap();
    let hash = <rsa::sha2::Sha256 as rsa::sha2::Digest>::digest(text.as_bytes());
    let scheme = rsa::Pkcs1v15Sign::new::<rsa::sha2::Sha256>();
    key.to_public_key().verify(scheme, &hash, &tag).unwrap();
    let claims = text.split('.').nth(1).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["iss"], "7");
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(life, 120);
}

#[tokio::test]
async fn clusters_are_reached_with_tokens_of_accounts_and_clouds() {
    let role = "arn:aws:iam::012345678901:role/app";
    let (client, seen) = cluster(&[("eks.amazonaws.com/role-arn", role)]);
    let sink = HttpSink::start().unwrap();
    let identities = identities(client, &sink.url(), &[]);
    let generic = ClusterConfig {
        address: "https://api.example".into(),
        authority: "PEM".into(),
        account: Some("a".into()),
        ..ClusterConfig::default()
    };
    let made = identities.cluster(&generic, asker(None)).await.unwrap();
    assert_eq!(made.server, "https://api.example:443");
    assert!(made.token.starts_with("k8s.") && made.token.ends_with("-a"));
    assert!(!format!("{made:?}").contains("k8s."));
    let audience = r#""audiences":["https://api.example"]"#;
    assert!(seen.lock().unwrap().iter().any(|it| it.contains(audience)));
    sink.answer_once(sts_answer());
    let described = json!({ "cluster": { "endpoint": "https://eks.example",
        "certificateAuthority": { "data": STANDARD.encode("PEM") } } });
    sink.answer_once(Answer::body(described.to_string()));
    let eks = ClusterConfig {
        provider: Some(Cloud::Aws),
        cluster: "arn:aws:eks:eu-west-1:012345678901:cluster/prod".into(),
        account: Some("a".into()),
        ..ClusterConfig::default()
    };
    let made = identities.cluster(&eks, asker(None)).await.unwrap();
    assert_eq!(made.server, "https://eks.example");
    assert_eq!(made.authority, Some(b"PEM".to_vec()));
    assert!(made.token.starts_with("k8s-aws-v1."));
    let asked = &sink.requests()[1];
    assert_eq!(asked.target, "/clusters/prod");
    let signed = asked.header("authorization").unwrap();
    assert!(signed.contains("/eu-west-1/eks/aws4_request"), "{signed}");
}
