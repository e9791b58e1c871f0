//! A repository on a real OpenSSH server.

use testkit::{SshKey, SshOptions, SshServer};

use crate::bench::{Bench, condition, spec, with_secret};

/// covers: SC-060, SC-096
#[tokio::test]
async fn repository_and_submodule_come_over_ssh() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let server = SshServer::start(&SshOptions::default()).unwrap();
    let key = SshKey::new("ed25519", "s3cret-pa55word").unwrap();
    server.authorize(&key.public).unwrap();
    let lib = server.repository("org/lib").unwrap();
    let lib_id = lib.commit("main", "lib").write("b", "2").push().unwrap();
    let app = server.repository("org/app").unwrap();
    let id = app
        .commit("main", "first")
        .write("a", "1")
        .write(
            ".gitmodules",
            "[submodule \"lib\"]\npath = lib\nurl = ../lib.git\n",
        )
        .submodule("lib", &lib_id)
        .push()
        .unwrap();
    let known_hosts = server.known_hosts().unwrap();
    let pairs = [
        ("identity", key.private.as_str()),
        ("known_hosts", &known_hosts),
        ("password", "s3cret-pa55word"),
    ];
    bench.secret("none", &[]).await;
    bench.secret("locked", &pairs[..2]).await;
    bench.secret("ssh", &pairs).await;
    bench.create("app", spec(app.url())).await;
    let message = bench.fails("app", "AuthenticationFailed").await;
    assert_eq!(
        message,
        "failed to configure authentication options: invalid 'ssh' auth option: 'identity' is required"
    );
    let with = |name: &str| serde_json::json!({ "spec": { "secretRef": { "name": name } } });
    bench.patch("app", with("locked")).await;
    let object = bench
        .wait("app", "an encrypted key", |object| {
            condition(object, "FetchFailed")
                .is_some_and(|failed| failed.message.contains("encrypted"))
        })
        .await;
    assert!(condition(&object, "FetchFailed").unwrap().message.ends_with(&format!(
        "SSH identity key is encrypted but no 'password' field was provided in the secret '{}/locked'",
        bench.namespace.name()
    )));
    bench.patch("app", with("ssh")).await;
    let revision = format!("main@sha1:{id}");
    let published = bench.ready("app", &revision).await;
    assert_eq!(bench.files(&published).await, ["a"]);

    let modules = serde_json::json!({ "spec": { "recurseSubmodules": true } });
    bench.patch("app", modules).await;
    let published = bench.ready("app", &revision).await;
    assert_eq!(bench.files(&published).await, ["a", "lib/b"]);
    let status = bench.objects().get("app").await.unwrap().status.unwrap();
    assert_eq!(status.observed_recurse_submodules, Some(true));
}

/// covers: SC-097
#[tokio::test]
async fn unknown_hosts_and_strangers_are_refused() {
    let bench = Bench::start(testkit::control_plane().await).await;
    let server = SshServer::start(&SshOptions::default()).unwrap();
    let (key, other) = (
        SshKey::new("ed25519", "").unwrap(),
        SshKey::new("ed25519", "").unwrap(),
    );
    server.authorize(&key.public).unwrap();
    let app = server.repository("app").unwrap();
    let id = app.commit("main", "first").write("a", "1").push().unwrap();
    let known = server.known_hosts().unwrap();
    let wrong = format!(
        "[127.0.0.1]:{} {}",
        server.address().rsplit(':').next().unwrap(),
        other.public
    );
    for (name, identity, hosts) in [
        ("mitm", &key, &wrong),
        ("stranger", &other, &known),
        ("right", &key, &known),
    ] {
        bench
            .secret(
                name,
                &[("identity", &identity.private), ("known_hosts", hosts)],
            )
            .await;
    }
    bench.create("app", with_secret(app.url(), "mitm")).await;
    let start = format!(
        "failed to checkout and determine revision: unable to clone '{}': ssh: handshake failed: ",
        app.url()
    );
    assert_eq!(
        bench.fails("app", "GitOperationFailed").await,
        format!("{start}knownhosts: key mismatch")
    );
    let with = |name: &str| serde_json::json!({ "spec": { "secretRef": { "name": name } } });
    bench.patch("app", with("stranger")).await;
    bench
        .wait("app", "a refused key", |object| {
            condition(object, "FetchFailed").is_some_and(|failed| {
                failed.message == format!("{start}ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain")
            })
        })
        .await;
    bench.patch("app", with("right")).await;
    bench.ready("app", &format!("main@sha1:{id}")).await;
}
