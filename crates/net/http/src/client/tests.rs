use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Redirect;
use axum::routing::get;
use rcgen::{CertifiedIssuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::{Auth, chain};

fn clients() -> Clients {
    Clients::new("lockgate-test", Environment::default())
}

fn plain() -> Client {
    clients().get(&ClientConfig::default()).unwrap()
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Answers with the value of the Authorization header, or `none`.
fn echo() -> Router {
    Router::new().route(
        "/",
        get(|headers: HeaderMap| async move {
            let value = headers.get(header::AUTHORIZATION);
            value
                .map_or("none", |value| value.to_str().unwrap())
                .to_owned()
        }),
    )
}

async fn body_of(request: Request) -> String {
    let body = plain()
        .send(request)
        .await
        .unwrap()
        .bytes(1000)
        .await
        .unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn credentials_are_sent_from_the_request_or_the_url() {
    let address = serve(echo()).await;
    let basic = Auth::Basic {
        username: "u".into(),
        password: "p".into(),
    };
    assert_eq!(
        body_of(Request::get(format!("http://{address}/"))).await,
        "none"
    );
    let given = Request::get(format!("http://{address}/")).auth(Some(basic));
    assert_eq!(body_of(given).await, "Basic dTpw");
    let given = Request::get(format!("http://{address}/")).auth(Some(Auth::Bearer("t".into())));
    assert_eq!(body_of(given).await, "Bearer t");
    assert_eq!(
        body_of(Request::get(format!("http://u:p@{address}/"))).await,
        "Basic dTpw"
    );
}

#[tokio::test]
async fn redirect_to_another_port_loses_the_credentials() {
    let target = serve(echo()).await;
    let elsewhere = format!("http://{target}/");
    let router = echo()
        .route(
            "/away",
            get(move || async move { Redirect::temporary(&elsewhere) }),
        )
        .route("/back", get(|| async { Redirect::temporary("/") }));
    let address = serve(router).await;
    let to = |path: &str| {
        Request::get(format!("http://{address}{path}")).auth(Some(Auth::Bearer("t".into())))
    };
    assert_eq!(body_of(to("/away")).await, "none");
    assert_eq!(body_of(to("/back")).await, "Bearer t");
}

#[tokio::test]
async fn redirect_to_a_metadata_address_is_not_followed_where_those_are_closed() {
    let router = Router::new().route(
        "/",
        get(|| async { Redirect::temporary("http://169.254.169.254/latest/meta-data") }),
    );
    let address = serve(router).await;
    for redirects in [Redirects::Follow, Redirects::SameHost] {
        let config = ClientConfig {
            redirects,
            destinations: Destinations::NoMetadata,
            ..ClientConfig::default()
        };
        let client = clients().get(&config).unwrap();
        let request = Request::get(format!("http://{address}/"));
        let error = client.send(request).await.unwrap_err();
        assert!(
            chain(&error).contains("it leads to a metadata address"),
            "{}",
            chain(&error)
        );
    }
}

#[tokio::test]
async fn endless_redirects_end() {
    let router = Router::new().route("/", get(|| async { Redirect::temporary("/") }));
    let address = serve(router).await;
    let error = plain()
        .send(Request::get(format!("http://{address}/")))
        .await
        .unwrap_err();
    assert_eq!(
        chain(&error),
        format!("refused to follow a redirect of {address}: too many redirects")
    );
    assert!(!error.is_transient());
}

#[tokio::test]
async fn body_over_the_limit_is_refused() {
    let router = Router::new().route("/", get(|| async { "0123456789" }));
    let address = serve(router).await;
    let get = || Request::get(format!("http://{address}/"));
    assert_eq!(
        plain()
            .send(get())
            .await
            .unwrap()
            .bytes(10)
            .await
            .unwrap()
            .len(),
        10
    );
    let error = plain()
        .send(get())
        .await
        .unwrap()
        .bytes(9)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { max_bytes: 9, .. }),
        "{error}"
    );
    assert_eq!(
        plain().send(get()).await.unwrap().text_for_message(4).await,
        "0123"
    );
}

#[tokio::test]
async fn errors_name_host_and_cause_but_no_credential() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let error = plain()
        .send(Request::get(format!("http://u:secret@{closed}/x")))
        .await
        .unwrap_err();
    let text = chain(&error);
    assert_eq!(
        text,
        format!("cannot connect to {closed}: Connection refused (os error 111)")
    );
    assert!(error.is_transient());

    let error = plain()
        .send(Request::get("http://u:secret@no-such-host.invalid/x"))
        .await;
    let text = chain(&error.unwrap_err());
    assert!(
        text.starts_with("cannot connect to no-such-host.invalid: "),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");

    let error = plain()
        .send(Request::get("ssh://u:secret@host/x"))
        .await
        .unwrap_err();
    assert_eq!(chain(&error), "'ssh://host/x' is not an http or https URL");
}

#[tokio::test]
async fn silent_peer_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let request = Request::get(format!("http://{address}/")).timeout(Duration::from_millis(50));
    let error = plain().send(request).await.unwrap_err();
    assert_eq!(chain(&error), format!("timed out waiting for {address}"));
}

#[tokio::test]
async fn explicit_proxy_is_used_with_its_own_credentials() {
    let proxy = serve(Router::new().fallback(|headers: HeaderMap| async move {
        let value = headers.get(header::PROXY_AUTHORIZATION);
        (
            StatusCode::OK,
            value
                .map_or("none", |value| value.to_str().unwrap())
                .to_owned(),
        )
    }))
    .await;
    let config = ClientConfig {
        proxy: Proxy::Explicit {
            url: format!("http://{proxy}"),
            credentials: Some(("u".into(), "p".into())),
        },
        ..ClientConfig::default()
    };
    assert!(!format!("{config:?}").contains("\"p\""));
    let client = clients().get(&config).unwrap();
    let answer = client
        .send(Request::get("http://example.invalid/"))
        .await
        .unwrap();
    assert_eq!(answer.bytes(100).await.unwrap(), "Basic dTpw");
}

#[tokio::test]
async fn environment_proxy_is_not_used_for_loopback_and_exceptions() {
    let proxy = serve(Router::new().fallback(|| async { "proxied" })).await;
    let address = serve(echo()).await;
    let environment = Environment::from_variables(|name| match name {
        "http_proxy" => Some(proxy.to_string()),
        "NO_PROXY" => Some("direct.invalid".into()),
        _ => None,
    });
    let client = Clients::new("t", environment)
        .get(&ClientConfig::default())
        .unwrap();
    let get = async |url: String| client.send(Request::get(url)).await;
    let body = get(format!("http://{address}/"))
        .await
        .unwrap()
        .bytes(100)
        .await
        .unwrap();
    assert_eq!(body, "none");
    let body = get("http://other.invalid/".into())
        .await
        .unwrap()
        .bytes(100)
        .await
        .unwrap();
    assert_eq!(body, "proxied");
    assert!(get("http://direct.invalid/".into()).await.is_err());
}

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
        }
    }

    fn pem(&self) -> Vec<u8> {
        self.issuer.pem().into_bytes()
    }

    fn leaf(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// Serves `hello` over TLS; with `clients`, only to those with a certificate of that authority.
async fn serve_tls(authority: &Authority, clients: Option<&Authority>) -> String {
    let (certificate, key) = authority.leaf("localhost");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = rustls::RootCertStore::empty();
            roots
                .add(CertificateDer::from(clients.issuer.der().to_vec()))
                .unwrap();
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
                Arc::new(roots),
                provider,
            );
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = builder
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok() {
                let answer =
                    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
                stream.write_all(answer).await.ok();
                stream.shutdown().await.ok();
            }
        }
    });
    format!("https://localhost:{port}/")
}

async fn fetch(config: &ClientConfig, url: &str) -> Result<String, String> {
    let client = clients().get(config).map_err(|error| chain(&error))?;
    let answer = client
        .send(Request::get(url))
        .await
        .map_err(|error| chain(&error))?;
    let body = answer.bytes(100).await.map_err(|error| chain(&error))?;
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

/// covers: SC-058
#[tokio::test]
async fn own_authority_is_trusted_by_its_configuration_only() {
    let authority = Authority::new();
    let url = serve_tls(&authority, None).await;
    let trusting = ClientConfig {
        certificate_authority: Some(authority.pem()),
        ..ClientConfig::default()
    };
    assert_eq!(fetch(&trusting, &url).await.unwrap(), "hello");
    let stranger = ClientConfig {
        certificate_authority: Some(Authority::new().pem()),
        ..trusting.clone()
    };
    for config in [ClientConfig::default(), stranger] {
        let text = fetch(&config, &url).await.unwrap_err();
        assert!(
            text.contains("x509: certificate signed by unknown authority"),
            "{text}"
        );
    }
    let broken = ClientConfig {
        certificate_authority: Some(b"no pem".to_vec()),
        ..trusting
    };
    assert!(
        fetch(&broken, &url)
            .await
            .unwrap_err()
            .starts_with("x509: ")
    );
}

/// covers: SC-056
#[tokio::test]
async fn client_certificate_is_presented() {
    let (servers, people) = (Authority::new(), Authority::new());
    let url = serve_tls(&servers, Some(&people)).await;
    let without = ClientConfig {
        certificate_authority: Some(servers.pem()),
        ..ClientConfig::default()
    };
    assert!(fetch(&without, &url).await.is_err());
    let (certificate, key) = people.leaf("someone");
    let identity = Identity {
        certificate: certificate.pem().into_bytes(),
        key: key.serialize_pem().into_bytes(),
    };
    let with = ClientConfig {
        identity: Some(identity.clone()),
        ..without.clone()
    };
    assert_eq!(fetch(&with, &url).await.unwrap(), "hello");
    let garbage = Identity {
        key: b"garbage".to_vec(),
        ..identity
    };
    let with_garbage = ClientConfig {
        identity: Some(garbage),
        ..without
    };
    let text = fetch(&with_garbage, &url).await.unwrap_err();
    assert_eq!(text, "tls: failed to find any PEM data in key input");
}

#[test]
fn same_configuration_gives_the_same_client_and_few_are_kept() {
    let clients = clients();
    let with = |port: usize| ClientConfig {
        proxy: Proxy::Explicit {
            url: format!("http://127.0.0.1:{port}"),
            credentials: None,
        },
        ..ClientConfig::default()
    };
    let first = clients.get(&with(1)).unwrap();
    assert!(Arc::ptr_eq(
        &first.inner,
        &clients.get(&with(1)).unwrap().inner
    ));
    for port in 2..=KEPT + 1 {
        clients.get(&with(port)).unwrap();
    }
    assert!(!Arc::ptr_eq(
        &first.inner,
        &clients.get(&with(1)).unwrap().inner
    ));
    assert_eq!(clients.kept.lock().unwrap().len(), KEPT);
}
