//! A real OpenSSH server.

use testkit::{Repository, SshKey, SshOptions, SshServer};

use super::*;
use crate::{SshAccess, SshAlgorithms};

fn start(options: &SshOptions) -> (SshServer, Repository) {
    let server = SshServer::start(options).unwrap();
    let repository = server.repository("org/app").unwrap();
    repository
        .commit("main", "first")
        .write("a", "1")
        .push()
        .unwrap();
    (server, repository)
}

fn over(url: &str, key: &SshKey, known_hosts: &str, passphrase: Option<&str>) -> Remote {
    Remote {
        url: url.to_owned(),
        ssh: Some(SshAccess {
            identity: key.private.clone(),
            passphrase: passphrase.map(str::to_owned),
            known_hosts: known_hosts.to_owned(),
            proxy: None,
        }),
        ..Remote::default()
    }
}

/// covers: SC-060
#[tokio::test]
async fn keys_of_every_kind_and_with_a_passphrase_let_us_in() {
    let (server, repository) = start(&SshOptions::default());
    let known = server.known_hosts().unwrap();
    for (kind, passphrase) in [
        ("ed25519", ""),
        ("ed25519", "pass phrase"),
        ("rsa:4096", ""),
        ("ecdsa:256", ""),
        ("ecdsa:384", ""),
        ("ecdsa:521", ""),
    ] {
        let key = SshKey::new(kind, passphrase).unwrap();
        server.authorize(&key.public).unwrap();
        let remote = over(repository.url(), &key, &known, Some(passphrase));
        let bench = bench();
        let snapshot = bench.tip(&remote, "refs/heads/main").await.unwrap();
        assert_eq!(
            entries(&snapshot, None, &[]).unwrap(),
            ["./", "a 1"],
            "{kind}"
        );
        if !passphrase.is_empty() {
            assert!(remote.ssh.as_ref().unwrap().is_encrypted());
            let without = over(repository.url(), &key, &known, None);
            assert_eq!(
                bench.list(&without).await.unwrap_err(),
                "ssh: private key cannot be read"
            );
        }
    }
    let connections = server.log().unwrap().matches("Accepted publickey").count();
    assert_eq!(
        connections, 6,
        "the fetch goes on with the connection of the listing"
    );
}

#[tokio::test]
async fn listing_fetch_and_history_go_over_both_versions_of_the_protocol() {
    let key = SshKey::new("ed25519", "").unwrap();
    for config in [
        vec![],
        vec![
            "AcceptEnv NOTHING".to_owned(),
            "SetEnv GIT_PROTOCOL=version=0".to_owned(),
        ],
    ] {
        let (server, repository) = start(&SshOptions {
            host_keys: Vec::new(),
            config,
        });
        server.authorize(&key.public).unwrap();
        let remote = over(repository.url(), &key, &server.known_hosts().unwrap(), None);
        let bench = bench();
        let first = repository.id_of("main").unwrap();
        bench.tip(&remote, "refs/heads/main").await.unwrap();
        let second = repository
            .commit("main", "second")
            .write("b", "2")
            .push()
            .unwrap();
        let snapshot = bench.tip(&remote, "refs/heads/main").await.unwrap();
        assert_eq!(entries(&snapshot, None, &[]).unwrap(), ["./", "a 1", "b 2"]);
        repository
            .git(&["config", "uploadpack.allowAnySHA1InWant", "false"])
            .unwrap();
        for id in [&first, &second] {
            super::bench()
                .pinned(&remote, id, Some("main"))
                .await
                .unwrap();
        }
    }
}

/// covers: SC-097
#[tokio::test]
async fn host_keys_and_algorithms_are_those_that_are_known_and_set() {
    let kinds = ["rsa:2048", "ecdsa:256", "ecdsa:384", "ecdsa:521", "ed25519"];
    let host_keys = kinds.map(str::to_owned).to_vec();
    let config = vec!["KexAlgorithms +diffie-hellman-group14-sha1".to_owned()];
    let (server, repository) = start(&SshOptions { host_keys, config });
    let key = SshKey::new("ed25519", "").unwrap();
    server.authorize(&key.public).unwrap();
    let known = server.known_hosts().unwrap();
    // One known key is enough, whichever the server would rather show.
    for line in known.lines() {
        let remote = over(repository.url(), &key, line, None);
        bench()
            .list(&remote)
            .await
            .unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    let remote = over(repository.url(), &key, &known, None);
    let with = async |key_exchange: &[&str], host_keys: &[&str]| {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let algorithms = SshAlgorithms {
            key_exchange: list(key_exchange),
            host_keys: list(host_keys),
        };
        assert_eq!(algorithms.unknown(), [""; 0]);
        let git = bench().git.with_ssh(algorithms);
        git.list(&remote, &[], soon())
            .await
            .map(|_| ())
            .map_err(|error| text(&error))
    };
    for exchange in [
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group14-sha1",
        "diffie-hellman-group14-sha256",
    ] {
        with(&[exchange], &[])
            .await
            .unwrap_or_else(|error| panic!("{exchange}: {error}"));
    }
    for algorithm in [
        "rsa-sha2-512",
        "rsa-sha2-256",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "ssh-ed25519",
    ] {
        with(&[], &[algorithm])
            .await
            .unwrap_or_else(|error| panic!("{algorithm}: {error}"));
    }
    let unknown = SshAlgorithms {
        key_exchange: vec!["x".into()],
        host_keys: vec!["y".into()],
    };
    assert_eq!(unknown.unknown(), ["x", "y"]);
}

/// covers: SC-097
#[tokio::test]
async fn refusals_over_ssh_are_told_in_the_known_words() {
    let config = vec!["KexAlgorithms curve25519-sha256".to_owned()];
    let (server, repository) = start(&SshOptions {
        host_keys: Vec::new(),
        config,
    });
    let key = SshKey::new("ed25519", "").unwrap();
    server.authorize(&key.public).unwrap();
    let known = server.known_hosts().unwrap();
    let stranger = SshKey::new("ed25519", "").unwrap();
    let bench = bench();
    let url = repository.url();
    let error = bench
        .list(&over(url, &stranger, &known, None))
        .await
        .unwrap_err();
    assert_eq!(
        error,
        "ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain"
    );
    let address = server.address().replace("127.0.0.1", "[127.0.0.1]");
    let other_key = format!("{address} {}", stranger.public);
    let error = bench
        .list(&over(url, &key, &other_key, None))
        .await
        .unwrap_err();
    assert_eq!(error, "ssh: handshake failed: knownhosts: key mismatch");
    let error = bench
        .list(&over(url, &key, "example.org ssh-ed25519 AAAA", None))
        .await
        .unwrap_err();
    assert_eq!(
        error,
        "ssh: handshake failed: knownhosts: line 1 cannot be read"
    );
    let elsewhere = format!("example.org {}", stranger.public);
    let error = bench
        .list(&over(url, &key, &elsewhere, None))
        .await
        .unwrap_err();
    assert_eq!(error, "ssh: handshake failed: knownhosts: key is unknown");
    let algorithms = SshAlgorithms {
        key_exchange: vec!["ecdh-sha2-nistp256".into()],
        host_keys: Vec::new(),
    };
    let git = bench.git.clone().with_ssh(algorithms);
    let error = git
        .list(&over(url, &key, &known, None), &[], soon())
        .await
        .unwrap_err();
    assert!(
        text(&error)
            .starts_with("ssh: handshake failed: ssh: no common algorithm for key exchange;"),
        "{error}"
    );
}

#[tokio::test]
async fn missing_repositories_keys_and_hosts_are_told_over_ssh() {
    let (server, repository) = start(&SshOptions::default());
    let key = SshKey::new("ed25519", "").unwrap();
    server.authorize(&key.public).unwrap();
    let known = server.known_hosts().unwrap();
    let (bench, url) = (bench(), repository.url());
    let gone = url.replace("app.git", "gone.git");
    let error = bench
        .list(&over(&gone, &key, &known, None))
        .await
        .unwrap_err();
    assert!(error.starts_with("repository not found: "), "{error}");
    let mut none = over(url, &key, &known, None);
    none.ssh = None;
    assert_eq!(bench.list(&none).await.unwrap_err(), "no SSH credentials");
    let nobody = over("ssh://git@127.0.0.1:1/x", &key, &known, None);
    let error = bench.list(&nobody).await.unwrap_err();
    assert!(
        error.starts_with("cannot connect to 127.0.0.1:1: "),
        "{error}"
    );
}

/// CVE-2017-1000117 and the like: nothing of a URL becomes an option or a command of a shell.
#[tokio::test]
async fn path_with_quotes_runs_nothing_on_the_host() {
    let (server, _) = start(&SshOptions::default());
    let key = SshKey::new("ed25519", "").unwrap();
    server.authorize(&key.public).unwrap();
    let marker = tempfile::tempdir().unwrap();
    let touched = marker.path().join("touched");
    let url = format!(
        "ssh://git@{}/x'; touch {}; '",
        server.address(),
        touched.display()
    );
    let remote = over(&url, &key, &server.known_hosts().unwrap(), None);
    bench().list(&remote).await.unwrap_err();
    assert!(!touched.exists());
}

/// covers: SC-096
#[tokio::test]
async fn submodules_come_over_ssh_too() {
    let (server, app) = start(&SshOptions::default());
    let key = SshKey::new("ed25519", "").unwrap();
    server.authorize(&key.public).unwrap();
    let lib = server.repository("org/lib").unwrap();
    let id = lib.commit("main", "lib").write("b", "2").push().unwrap();
    app.commit("main", "second")
        .write(
            ".gitmodules",
            "[submodule \"lib\"]\npath = lib\nurl = ../lib.git\n",
        )
        .submodule("lib", &id)
        .push()
        .unwrap();
    let remote = over(app.url(), &key, &server.known_hosts().unwrap(), None);
    let bench = bench();
    let snapshot = bench.tip(&remote, "refs/heads/main").await.unwrap();
    let snapshot = bench
        .git
        .fetch_modules(&remote, snapshot, soon())
        .await
        .unwrap();
    assert!(
        entries(&snapshot, None, &[])
            .unwrap()
            .contains(&"lib/b 2".to_owned())
    );
}

#[tokio::test]
async fn deadline_holds_over_ssh() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let key = SshKey::new("ed25519", "").unwrap();
    let url = format!("ssh://git@{}/x", silent.local_addr().unwrap());
    let remote = over(&url, &key, "", None);
    let deadline = Instant::now() + Duration::from_millis(100);
    let error = bench().git.list(&remote, &[], deadline).await.unwrap_err();
    assert_eq!(text(&error), "timed out while listing references");
}
