//! Images and charts of a real registry, signed by cosign and notation, against a real API server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bench;

use serde_json::{Value, json};

use bench::{Bench, condition, golden, said, status_of};

const OCI: &str = "OCIRepository";

fn keyed(secret: &str) -> Value {
    json!({"provider": "cosign", "secretRef": {"name": secret}})
}

fn keyless(subject: &str) -> Value {
    json!({
        "provider": "cosign",
        "trustedRootSecretRef": {"name": "root"},
        "matchOIDCIdentity": [{"issuer": "^https://accounts.example.test$", "subject": subject}],
    })
}

fn policy(level: &str, identity: &str) -> Vec<u8> {
    let rest = if level == "skip" {
        String::new()
    } else {
        format!(r#","trustStores":["ca:x"],"trustedIdentities":["{identity}"]"#)
    };
    format!(
        r#"{{"version":"1.0","trustPolicies":[{{"name":"all","registryScopes":["*"],"signatureVerification":{{"level":"{level}"}}{rest}}}]}}"#
    )
    .into_bytes()
}

/// covers: SC-131, SC-132, SC-133, SC-134
#[tokio::test]
async fn image_counts_as_long_as_one_of_the_keys_signed_it() {
    let bench = Bench::start().await;
    let key = |name: &str| golden(&format!("cosign/keyed/{name}.pub"));
    bench
        .secret("keys", &[("a.pub", key("rsa")), ("b.pub", key("p256"))])
        .await;
    let digest = bench.push("classic");
    bench.sign_classic("classic", &digest, &["cosign/keyed/p256.json"]);
    bench.push("bundle");
    bench.sign_bundle("bundle", &digest, golden("cosign/keyed/p256.bundle.json"));
    for name in ["classic", "bundle"] {
        bench.follow(name, name, keyed("keys")).await;
    }
    let words = format!("verified signature of revision 1.0.0@{digest}");
    for name in ["classic", "bundle"] {
        assert_eq!(bench.verified(OCI, name).await, words, "{name}");
    }

    // A key that is taken out of the Secret does not vouch any more, though nothing else changed.
    bench.secret("keys", &[("a.pub", key("rsa"))]).await;
    for name in ["classic", "bundle"] {
        bench.ask(OCI, name, "without").await;
        let why = bench.refused(OCI, name).await;
        let address = bench.registry.address();
        assert_eq!(
            why,
            format!(
                "failed to verify the signature using provider 'cosign': no matching signatures were found for '{address}/{name}@{digest}'"
            )
        );
        let object = bench.wait(OCI, name, |_| true).await;
        assert!(
            object.pointer("/status/artifact/digest").is_some(),
            "what was verified is served on"
        );
    }
    bench.secret("keys", &[("z.pub", key("p256"))]).await;
    bench.ask(OCI, "classic", "again").await;
    assert_eq!(bench.verified(OCI, "classic").await, words);

    bench
        .patch(OCI, "classic", json!({"spec": {"verify": null}}))
        .await;
    let done = |object: &Value| {
        status_of(object, "Ready") == "True" && condition(object, "SourceVerified").is_none()
    };
    bench.wait(OCI, "classic", done).await;
    bench
        .patch(OCI, "bundle", json!({"spec": {"verify": null}}))
        .await;
    bench.wait(OCI, "bundle", done).await;
}

/// covers: SC-135
#[tokio::test]
async fn image_without_keys_counts_by_identity_and_the_root_that_is_named() {
    let bench = Bench::start().await;
    bench
        .secret(
            "root",
            &[("trusted_root.json", golden("cosign/trusted_root.json"))],
        )
        .await;
    let digest = bench.push("classic");
    bench.sign_classic(
        "classic",
        &digest,
        &["cosign/keyless/late.json", "cosign/keyless/good.json"],
    );
    for name in ["v1", "v2", "message-v2"] {
        bench.push(name);
        let bundle = golden(&format!("cosign/keyless/{name}.bundle.json"));
        bench.sign_bundle(name, &digest, bundle);
    }
    let names = ["classic", "v1", "v2", "message-v2"];
    for name in names {
        bench.follow(name, name, keyless("^ada@")).await;
    }
    bench.follow("eve", "classic", keyless("^eve@")).await;
    let mut public = keyless("^ada@");
    public
        .as_object_mut()
        .unwrap()
        .remove("trustedRootSecretRef");
    bench.follow("public", "v1", public).await;
    bench.push("unsigned");
    bench.follow("unsigned", "unsigned", keyless("^ada@")).await;
    for name in names {
        let said = bench.verified(OCI, name).await;
        assert_eq!(
            said,
            format!("verified signature of revision 1.0.0@{digest}")
        );
    }
    let start = "failed to verify the signature using provider 'cosign keyless': ";
    let eve = bench.refused(OCI, "eve").await;
    assert!(
        eve.starts_with(start)
            && eve.contains("none of the expected identities matched what was in the certificate, got subjects [ada@example.test]"),
        "{eve}"
    );
    let public = bench.refused(OCI, "public").await;
    assert!(
        public.contains("not enough verified log entries"),
        "{public}"
    );
    let unsigned = bench.refused(OCI, "unsigned").await;
    assert_eq!(unsigned, format!("{start}no signatures found"));
    let object = bench.wait(OCI, "unsigned", |_| true).await;
    assert!(
        object.pointer("/status/artifact").is_none(),
        "nothing is published unverified"
    );
}

/// covers: SC-136
#[tokio::test]
async fn image_signed_by_notation_counts_as_the_policy_says() {
    let bench = Bench::start().await;
    let signer = r"x509.subject: C=DE, ST=Berlin, O=Example\\, Ltd, CN=signer";
    let eve = r"x509.subject: C=DE, ST=Berlin, O=Example\\, Ltd, CN=eve";
    let digest = bench.push("jose");
    bench.sign_notation("jose", &digest, "p256.jws");
    bench.push("cose");
    bench.sign_notation("cose", &digest, "rsa2048.cose");
    bench.push("unsigned");
    for (name, level, identity, certificate, repository) in [
        ("jose", "strict", signer, "root.crt", "jose"),
        ("cose", "strict", signer, "root.crt", "cose"),
        ("other", "strict", signer, "other.crt", "jose"),
        ("eve", "permissive", eve, "root.crt", "jose"),
        ("audit", "audit", eve, "root.crt", "jose"),
        ("skip", "skip", "", "root.crt", "unsigned"),
        ("unsigned", "strict", signer, "root.crt", "unsigned"),
    ] {
        let certificate = golden(&format!("notation/{certificate}"));
        let policy = policy(level, identity);
        let pairs = [("trustpolicy.json", policy), ("ca.crt", certificate)];
        bench.secret(name, &pairs).await;
        let verify = json!({"provider": "notation", "secretRef": {"name": name}});
        bench.follow(name, repository, verify).await;
    }
    for name in ["jose", "cose"] {
        let said = bench.verified(OCI, name).await;
        assert_eq!(
            said,
            format!("verified signature of revision 1.0.0@{digest}")
        );
    }
    for (name, words) in [
        ("other", "does not contain any trusted certificate"),
        ("eve", "does not match the X.509 trusted identities"),
        ("unsigned", "no signature is associated with \""),
    ] {
        let why = bench.refused(OCI, name).await;
        let start = "failed to verify the signature using provider 'notation': ";
        assert!(
            why.starts_with(start) && why.contains(words),
            "{name}: {why}"
        );
    }
    for name in ["audit", "skip"] {
        let object = bench
            .wait(OCI, name, |object| status_of(object, "Ready") == "True")
            .await;
        assert!(condition(&object, "SourceVerified").is_none(), "{object:#}");
    }
}

/// Field 6.2: Helm's CVE-2026-35205. What cannot be verified is not published.
///
/// covers: SC-170
#[tokio::test]
async fn chart_counts_if_it_is_signed() {
    let bench = Bench::start().await;
    let digest = bench.push("charts/app");
    bench.sign_bundle(
        "charts/app",
        &digest,
        golden("cosign/keyed/rsa.bundle.json"),
    );
    bench
        .secret("keys", &[("a.pub", golden("cosign/keyed/rsa.pub"))])
        .await;
    bench
        .secret("other", &[("a.pub", golden("cosign/keyed/p384.pub"))])
        .await;
    let repository = json!({
        "type": "oci",
        "url": format!("oci://{}/charts", bench.registry.address()),
        "insecure": true,
    });
    bench.create("HelmRepository", "charts", repository).await;
    for name in ["keys", "other"] {
        let spec = json!({
            "chart": "app",
            "version": "1.0.0",
            "interval": "10m",
            "sourceRef": {"kind": "HelmRepository", "name": "charts"},
            "verify": keyed(name),
        });
        bench.create("HelmChart", name, spec).await;
    }
    let said_of = bench.verified("HelmChart", "keys").await;
    assert_eq!(said_of, "verified signature of version 1.0.0");
    let why = bench.refused("HelmChart", "other").await;
    assert!(
        why.starts_with("chart verification error: failed to verify oci://")
            && why.contains("no matching signatures were found for"),
        "{why}"
    );
    let object = bench.wait("HelmChart", "other", |_| true).await;
    let failed = condition(&object, "BuildFailed").unwrap();
    assert_eq!(failed["reason"], "ChartVerificationError");
    assert_eq!(said(&object, "BuildFailed"), why);
    assert!(object.pointer("/status/artifact").is_none());
}

#[tokio::test]
async fn large_and_many_signatures_are_bounded() {
    let bench = Bench::start().await;
    bench
        .secret("keys", &[("a.pub", golden("cosign/keyed/rsa.pub"))])
        .await;
    let digest = bench.push("large");
    bench.sign_bundle("large", &digest, vec![b'x'; 10 << 20]);
    bench.push("many");
    for number in 0..150 {
        bench.sign_bundle("many", &digest, format!("{number}").into_bytes());
    }
    bench.push("cut");
    let mut cut = golden("cosign/keyed/rsa.bundle.json");
    cut.truncate(cut.len() / 2);
    bench.sign_bundle("cut", &digest, cut);
    for name in ["large", "many", "cut"] {
        bench.follow(name, name, keyed("keys")).await;
    }
    for name in ["large", "many", "cut"] {
        let why = bench.refused(OCI, name).await;
        assert!(why.contains("'cosign': "), "{name}: {why}");
    }
    let requests = bench.registry.requests().unwrap();
    let blobs = requests
        .iter()
        .filter(|each| each.contains("/v2/many/blobs/"));
    assert!(
        blobs.count().is_multiple_of(100),
        "a hundred a run, however many there are"
    );
}
