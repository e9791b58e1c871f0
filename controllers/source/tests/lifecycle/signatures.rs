//! Signed commits and tags, made by the real gpg and ssh-keygen.

use api::source::{GitVerification, GitVerificationMode};
use serde_json::json;
use testkit::Repository;

use crate::bench::{Bench, artifact, condition, spec};

fn golden(name: &str) -> String {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../crates/net/signature/tests/golden"
    );
    std::fs::read_to_string(format!("{folder}/{name}")).unwrap()
}

/// Puts a signed commit on `main`, and its tag where there is one. Returns the id of the commit.
fn put(repository: &Repository, name: &str) -> String {
    // The tree that all of them are of.
    repository
        .commit("other", "x")
        .clear()
        .write("signed.txt", "signed\n")
        .push()
        .unwrap();
    let id = repository
        .store_object("commit", golden(&format!("{name}.commit")).as_bytes())
        .unwrap();
    repository.set_branch("main", &id).unwrap();
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../crates/net/signature/tests/golden"
    );
    if let Ok(tag) = std::fs::read(format!("{folder}/{name}.tag")) {
        let tag = repository.store_object("tag", &tag).unwrap();
        repository
            .git(&["update-ref", "refs/tags/v1.0.0", &tag])
            .unwrap();
    }
    id
}

impl Bench {
    async fn keys(&self, secret: &str, names: &[&str]) {
        let texts: Vec<(&str, String)> = names.iter().map(|name| (*name, golden(name))).collect();
        let pairs: Vec<(&str, &str)> = texts
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        self.secret(secret, &pairs).await;
    }

    /// Waits until SourceVerified is False and returns its reason and message.
    async fn distrusts(&self, name: &str, reason: &str) -> String {
        let object = self
            .wait(name, reason, |object| {
                condition(object, "SourceVerified")
                    .is_some_and(|found| found.status == "False" && found.reason == reason)
                    && condition(object, "Ready").is_some_and(|ready| ready.status == "False")
            })
            .await;
        let ready = condition(&object, "Ready").unwrap();
        assert_eq!(ready.reason, reason);
        condition(&object, "SourceVerified")
            .unwrap()
            .message
            .clone()
    }
}

fn verify(mode: GitVerificationMode, secret: &str) -> GitVerification {
    GitVerification {
        mode: Some(mode),
        secret_ref: Some(api::meta::LocalReference {
            name: secret.into(),
        }),
    }
}

/// covers: SC-023, SC-084
#[tokio::test]
async fn commit_is_verified_until_nobody_asks_for_it() {
    let (bench, repository) = Bench::with_repository().await;
    let id = put(&repository, "pgp-ed25519");
    bench
        .keys("keys", &["pgp-rsa2048.asc", "pgp-ed25519.asc"])
        .await;
    let mut signed = spec(repository.url());
    signed.verify = Some(verify(GitVerificationMode::LowerCaseHead, "keys"));
    bench.create("app", signed).await;
    let published = bench.ready("app", &format!("main@sha1:{id}")).await;
    assert_eq!(bench.files(&published).await, ["signed.txt"]);
    let object = bench.objects().get("app").await.unwrap();
    let verified = condition(&object, "SourceVerified").unwrap();
    assert_eq!(
        (verified.status.as_str(), verified.reason.as_str()),
        ("True", "Succeeded")
    );
    let key = verified.message.rsplit('\'').nth(1).unwrap().to_owned();
    assert_eq!(
        verified.message,
        format!("verified signature of\n\t- commit '{id}' with key '{key}'")
    );
    assert_eq!(key.len(), 16);
    assert_eq!(
        object.status.unwrap().source_verification_mode.as_deref(),
        Some("HEAD")
    );
    bench
        .event("app", "Normal Succeeded verified signature of")
        .await;

    bench
        .patch("app", json!({ "spec": { "verify": null } }))
        .await;
    bench.ready("app", &format!("main@sha1:{id}")).await;
    let object = bench.objects().get("app").await.unwrap();
    assert!(condition(&object, "SourceVerified").is_none());
    assert_eq!(object.status.unwrap().source_verification_mode, None);
}

/// covers: SC-085
#[tokio::test]
async fn tag_is_verified_where_there_is_one() {
    let (bench, repository) = Bench::with_repository().await;
    let id = put(&repository, "pgp-ed25519");
    bench.keys("keys", &["pgp-ed25519.asc"]).await;
    let mut signed = spec(repository.url());
    signed.verify = Some(verify(GitVerificationMode::Head, "keys"));
    bench.create("app", signed).await;
    let published = bench.ready("app", &format!("main@sha1:{id}")).await;
    let object = bench.objects().get("app").await.unwrap();
    let message = &condition(&object, "SourceVerified").unwrap().message;
    let key = message.rsplit('\'').nth(1).unwrap().to_owned();

    // A branch has no tag.
    bench
        .patch("app", json!({ "spec": { "verify": { "mode": "Tag" } } }))
        .await;
    let message = bench.distrusts("app", "InvalidVerificationMode").await;
    assert_eq!(
        message,
        "cannot verify tag object's signature if a tag reference is not specified"
    );
    let object = bench.objects().get("app").await.unwrap();
    assert_eq!(
        condition(&object, "Stalled").unwrap().reason,
        "InvalidVerificationMode"
    );
    assert_eq!(
        artifact(&object).unwrap().digest,
        published.digest,
        "the old one is served"
    );

    let tag = repository.git(&["rev-parse", "refs/tags/v1.0.0"]).unwrap();
    for (mode, lines) in [
        ("Tag", vec![format!("tag 'v1.0.0@{tag}'")]),
        (
            "TagAndHEAD",
            vec![format!("tag 'v1.0.0@{tag}'"), format!("commit '{id}'")],
        ),
    ] {
        let patch = json!({ "spec": { "ref": { "branch": null, "semver": ">=1.0.0" }, "verify": { "mode": mode } } });
        bench.patch("app", patch).await;
        bench.ready("app", &format!("v1.0.0@sha1:{id}")).await;
        let object = bench.objects().get("app").await.unwrap();
        let lines = lines.join(&format!(" with key '{key}'\n\t- "));
        assert_eq!(
            condition(&object, "SourceVerified").unwrap().message,
            format!("verified signature of\n\t- {lines} with key '{key}'")
        );
        assert_eq!(
            object.status.unwrap().source_verification_mode.as_deref(),
            Some(mode)
        );
    }
}

/// covers: SC-019, SC-086, SC-087, SC-088, SC-089
#[tokio::test]
async fn what_is_not_signed_by_a_trusted_key_is_not_published() {
    let (bench, repository) = Bench::with_repository().await;
    let id = put(&repository, "ssh-ed25519-256");
    bench
        .keys("ssh", &["ssh-rsa-2048.sshpub", "ssh-ed25519-256.sshpub"])
        .await;
    bench.keys("other", &["ssh-rsa-2048.sshpub"]).await;
    bench.keys("pgp", &["pgp-ed25519.asc"]).await;
    let mut signed = spec(repository.url());
    signed.verify = Some(verify(GitVerificationMode::Head, "gone"));
    bench.create("app", signed).await;
    let message = bench.distrusts("app", "VerificationError").await;
    assert!(
        message.starts_with("public keys secret error: ")
            && message.ends_with("secrets \"gone\" not found"),
        "{message}"
    );
    let with = |secret: &str| json!({ "spec": { "verify": { "secretRef": { "name": secret } } } });
    let start = |id: &str| format!("signature verification of commit '{id}' failed: ");
    for (secret, cause) in [
        (
            "other",
            "unable to verify Git commit: unable to verify payload with any of the given authorized keys",
        ),
        (
            "pgp",
            "SSH signature detected but no SSH public keys found in secret (keys with .sshpub suffix)",
        ),
    ] {
        bench.patch("app", with(secret)).await;
        bench
            .wait("app", cause, |object| {
                condition(object, "SourceVerified")
                    .is_some_and(|found| found.message == start(&id) + cause)
            })
            .await;
        assert!(artifact(&bench.objects().get("app").await.unwrap()).is_none());
    }
    bench.patch("app", with("ssh")).await;
    let published = bench.ready("app", &format!("main@sha1:{id}")).await;
    assert_eq!(bench.files(&published).await, ["signed.txt"]);
}

/// covers: SC-086, SC-087
#[tokio::test]
async fn commit_that_is_not_signed_leaves_the_one_before_served() {
    let (bench, repository) = Bench::with_repository().await;
    let id = put(&repository, "ssh-ed25519-256");
    bench.keys("ssh", &["ssh-ed25519-256.sshpub"]).await;
    bench
        .secret("garbage", &[("foo", "invalid PGP public key")])
        .await;
    let mut signed = spec(repository.url());
    signed.verify = Some(verify(GitVerificationMode::Head, "ssh"));
    bench.create("app", signed).await;
    let published = bench.ready("app", &format!("main@sha1:{id}")).await;
    let start = |id: &str| format!("signature verification of commit '{id}' failed: ");

    // The next commit is not signed: the one before stays served.
    let unsigned = put(&repository, "unsigned");
    bench.reconcile("app").await;
    let message = bench.distrusts("app", "InvalidCommitSignature").await;
    assert_eq!(
        message,
        start(&unsigned) + "unsupported signature type: empty"
    );
    let object = bench.objects().get("app").await.unwrap();
    assert_eq!(artifact(&object), Some(&published));
    assert_eq!(bench.files(&published).await, ["signed.txt"]);
    bench
        .event(
            "app",
            "Warning InvalidCommitSignature signature verification of commit",
        )
        .await;

    let tag = json!({ "spec": { "ref": { "branch": null, "tag": "v1.0.0" }, "verify": { "mode": "Tag" } } });
    bench.patch("app", tag).await;
    let message = bench.distrusts("app", "InvalidGitObject").await;
    assert_eq!(
        message,
        "cannot verify signature of tag 'v1.0.0' since it is not signed"
    );

    put(&repository, "pgp-rsa2048");
    let garbage = json!({ "spec": { "verify": { "secretRef": { "name": "garbage" } } } });
    bench.patch("app", garbage).await;
    let message = bench.distrusts("app", "InvalidTagSignature").await;
    assert!(message.ends_with("unable to verify Git tag: unable to read armored key ring: openpgp: invalid argument: no armored data found"), "{message}");
}

/// A key that is taken out of the Secret no longer vouches, although nothing else changed.
#[tokio::test]
async fn changed_keys_are_applied_to_what_is_published() {
    let (bench, repository) = Bench::with_repository().await;
    let id = put(&repository, "pgp-ed25519");
    bench.keys("keys", &["pgp-ed25519.asc"]).await;
    let mut signed = spec(repository.url());
    signed.verify = Some(verify(GitVerificationMode::Head, "keys"));
    bench.create("app", signed).await;
    let revision = format!("main@sha1:{id}");
    let published = bench.ready("app", &revision).await;
    bench.server.forget_requests();
    bench.reconcile("app").await;
    assert_eq!(
        bench.server.request_count(),
        1,
        "the same keys are not tried again"
    );

    bench.keys("keys", &["pgp-rsa2048.asc"]).await;
    bench.reconcile("app").await;
    let message = bench.distrusts("app", "InvalidCommitSignature").await;
    assert!(message.ends_with("no matching key"), "{message}");
    let object = bench.objects().get("app").await.unwrap();
    assert_eq!(artifact(&object), Some(&published), "it stays served");

    bench
        .keys("keys", &["pgp-rsa2048.asc", "pgp-ed25519.asc"])
        .await;
    bench.reconcile("app").await;
    let again = bench.ready("app", &revision).await;
    assert_eq!(
        (&again.digest, &again.last_update_time),
        (&published.digest, &published.last_update_time)
    );
}
