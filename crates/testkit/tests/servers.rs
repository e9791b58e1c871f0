//! The registry and the object store are what they say they are.

use std::io::{Read, Write};
use std::net::TcpStream;

use testkit::{ObjectStore, PushedArtifact, Registry, RegistryOptions};

/// A request without TLS; the whole answer.
fn get(address: &str, target: &str, headers: &str) -> String {
    ask(address, target, headers).unwrap_or_else(|error| format!("no answer: {error}"))
}

fn ask(address: &str, target: &str, headers: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let request = format!("GET {target} HTTP/1.0\r\nHost: {address}\r\n{headers}\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn registry_serves_pages_referrers_and_only_those_with_the_password() {
    let registry = Registry::start(&RegistryOptions {
        credentials: Some(("ada".to_owned(), "secret".to_owned())),
        page: Some(2),
        ..RegistryOptions::default()
    })
    .unwrap();
    let artifact = PushedArtifact {
        layers: vec![("text/plain".to_owned(), b"hello".to_vec())],
        ..PushedArtifact::default()
    };
    let digests: Vec<String> = ["1.0.0", "1.1.0", "1.2.0"]
        .iter()
        .map(|tag| registry.push("team/app", tag, &artifact).unwrap())
        .collect();
    assert_eq!(digests[0], digests[2], "the same content");
    let signature = PushedArtifact {
        artifact_type: Some("application/vnd.example.signature".to_owned()),
        subject: Some((digests[0].clone(), 1)),
        ..PushedArtifact::default()
    };
    let signature = registry.push("team/app", "", &signature).unwrap();

    let list = "/v2/team/app/tags/list";
    let refused = get(registry.address(), list, "");
    assert!(refused.starts_with("HTTP/1.0 401"), "{refused}");
    let auth = "Authorization: Basic YWRhOnNlY3JldA==\r\n";
    let first = get(registry.address(), list, auth);
    assert!(first.contains(r#""tags":["1.0.0","1.1.0"]"#), "{first}");
    assert!(first.contains("last=1.1.0&n=2>; rel=\"next\""), "{first}");
    let second = get(registry.address(), &format!("{list}?n=2&last=1.1.0"), auth);
    assert!(second.contains(r#""tags":["1.2.0"]"#), "{second}");
    let referrers = format!("/v2/team/app/referrers/{}", digests[0]);
    let referrers = get(registry.address(), &referrers, auth);
    assert!(referrers.contains(&signature), "{referrers}");
    assert_eq!(
        registry.requests().unwrap().len(),
        4,
        "what the test puts in does not count"
    );
    registry.delete("team/app", "1.2.0").unwrap();
    let first = get(registry.address(), list, auth);
    assert!(!first.contains("1.2.0"), "{first}");
}

#[test]
fn object_store_refuses_strangers() {
    let store = ObjectStore::start(false).unwrap();
    store.bucket("app").unwrap();
    store.put("app", "deploy/a.yaml", b"a: 1\n").unwrap();
    let answer = get(store.address(), "/app/deploy/a.yaml", "");
    assert!(answer.contains(" 403 "), "{answer}");
    assert!(store.put("app", "../b", b"").is_err());
    assert!(store.put("none", "b", b"").is_err());
}
