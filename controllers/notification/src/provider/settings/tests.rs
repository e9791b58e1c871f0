//! Secrets as users write them.

use serde_json::{Value, json};

use super::*;

fn data(pairs: &[(&str, &str)]) -> Data {
    let own = |(k, v): &(&str, &str)| ((*k).to_owned(), v.as_bytes().to_vec());
    pairs.iter().map(own).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "values are written in place")]
fn provider(spec: Value) -> Provider {
    let mut full = json!({ "type": "slack" });
    full.as_object_mut()
        .unwrap()
        .extend(spec.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "metadata": { "name": "p", "namespace": "ns" }, "spec": full }))
    .unwrap()
}

/// covers: NC-060
#[test]
fn address_of_the_secret_goes_first_and_is_bounded() {
    let spec = provider(json!({ "address": "not a url" }));
    let own = address(&spec, &data(&[("address", " https://a \n")])).unwrap();
    assert_eq!(own, ("https://a".to_owned(), true));
    assert_eq!(
        address(&spec, &data(&[])).unwrap(),
        ("not a url".to_owned(), false)
    );
    let long = "x".repeat(2048);
    assert!(address(&spec, &data(&[("address", &long)])).is_ok());
    let longer = format!("{long}x");
    let error = address(&spec, &data(&[("address", &longer)])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid address in secret: address exceeds maximum length of 2048 bytes"
    );
}

/// covers: NC-052, NC-054
#[test]
fn headers_are_a_map_of_texts() {
    let good = headers(&data(&[("headers", "Authorization: Bearer x\nX-A: b\n")])).unwrap();
    assert_eq!(good["Authorization"], "Bearer x");
    assert_eq!(good.len(), 2);
    for bad in ["foo", "a: [1]", "a: true", "a: 8080", "- x", ": :"] {
        let error = headers(&data(&[("headers", bad)])).unwrap_err().to_string();
        assert!(
            error.starts_with("failed to read headers from secret: "),
            "{bad}"
        );
    }
    assert!(headers(&data(&[])).unwrap().is_empty());
}

/// covers: NC-053
#[test]
fn proxies_have_a_known_scheme_and_no_nonsense() {
    for good in ["http://p:3128", "https://p", "socks5://p:1080"] {
        assert!(proxy_of(good, None).is_some(), "{good}");
    }
    for bad in [
        "https://exampleproxy.com|",
        "ftp://p",
        "p:3128",
        "",
        &format!("http://{}", "x".repeat(2100)),
    ] {
        assert!(proxy_of(bad, None).is_none(), "{bad}");
    }
    let own = proxy_of("http://u:p%40ss@p:3128", None).unwrap();
    let Proxy::Explicit { url, credentials } = own else {
        panic!("{own:?}");
    };
    assert!(!url.contains('@'), "{url}");
    assert_eq!(credentials, Some(("u".into(), "p@ss".into())));
    let with = data(&[
        ("address", "http://p"),
        ("username", "u"),
        ("password", "s"),
    ]);
    assert!(proxy_of_secret("ns/p", &with).is_ok());
    assert!(proxy_of_secret("ns/p", &data(&[("address", "http://p")])).is_ok());
    let error = proxy_of_secret("ns/p", &data(&[("username", "u")])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid proxy secret 'ns/p': key 'address' not found"
    );
}

fn authority() -> String {
    drop(rustls::crypto::ring::default_provider().install_default());
    testkit::Authority::new().unwrap().pem()
}

/// covers: NC-057, NC-058
#[test]
fn certificates_are_read_under_new_and_old_keys() {
    let ca = authority();
    let pair = [("tls.crt", "c"), ("tls.key", "k")];
    for good in [
        data(&[("ca.crt", &ca)]),
        data(&[("caFile", &ca)]),
        data(&[("ca.crt", &ca), ("caFile", "broken")]),
        data(&pair),
        data(&[("certFile", "c"), ("keyFile", "k")]),
        data(&[
            ("tls.crt", "c"),
            ("tls.key", "k"),
            (".dockerconfigjson", "{}"),
        ]),
    ] {
        assert!(tls("ns/s", &good, true).is_ok());
    }
    let error = |pairs: &[(&str, &str)]| tls("ns/s", &data(pairs), true).unwrap_err().to_string();
    let text = "secret 'ns/s' contains 'tls.crt' but missing 'tls.key'";
    assert_eq!(error(&[("tls.crt", "c")]), text);
    let text = "secret 'ns/s' contains 'tls.key' but missing 'tls.crt'";
    assert_eq!(error(&[("tls.key", "k")]), text);
    let text = "secret 'ns/s' must contain either 'ca.crt' or both 'tls.crt' and 'tls.key'";
    assert_eq!(error(&[]), text);
    assert_eq!(
        error(&[("ca.crt", "broken")]),
        "failed to parse CA certificate"
    );
}

#[test]
fn nothing_secret_is_told() {
    let address = "https://hooks.slack.com/services/T00/B00/XXXX?k=v";
    let secret = data(&[
        ("token", "t0ken"),
        ("password", "pa55"),
        ("username", "bob"),
    ]);
    let headers = BTreeMap::from([("Authorization".to_owned(), "Bearer abcd".to_owned())]);
    let redactor = redactor(ProviderKind::Slack, address, true, &secret, &headers);
    let text = format!("{address} t0ken pa55 abcd bob");
    assert_eq!(
        redactor.redact(&text),
        "https://hooks.slack.com/***** ***** ***** ***** bob"
    );
}

/// A Provider as definitions newer than ours may let it in.
///
/// covers: NC-059
#[tokio::test]
async fn type_that_is_not_known_is_named_and_not_supported() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let stored = json!({ "apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Provider",
        "metadata": { "name": "p", "namespace": "ns" },
        "spec": { "type": "carrier-pigeon", "address": "https://loft.example" } });
    let decoded: Provider = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(decoded.spec.kind, ProviderKind::Unknown);
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let path = "/apis/notification.toolkit.fluxcd.io/v1beta3/namespaces/ns/providers/p";
        assert_eq!(request.uri().path(), path);
        let body = kube::client::Body::from(stored.to_string().into_bytes());
        std::future::ready(Ok::<_, std::convert::Infallible>(http::Response::new(body)))
    });
    let clients = Arc::new(Clients::new("test", net_http::Environment::default()));
    let loader = Loader {
        kube: Kube::new(service, "ns"),
        identities: crate::provider::tests::identities(&clients, "http://127.0.0.1:1"),
        clients,
    };
    let error = loader.load(&decoded).await.unwrap_err();
    assert_eq!(error.to_string(), "provider carrier-pigeon not supported");
    assert!(!error.is_transient());
}
