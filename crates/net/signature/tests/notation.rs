//! Signatures of images that notation's own library made, and what is wrong with them. Made by `hack/oracles/notation`,
//! which also asked upstream's own verifier about each.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use jiff::{Timestamp, ToSpan};
use signature::notation::{Outcome, Target, TrustPolicy, TrustStore, verify};

const JOSE: &str = "application/jose+json";
const COSE: &str = "application/cose";
const SIGNER: &str = r"x509.subject: C=DE, ST=Berlin, O=Example\\, Ltd, CN=signer";

fn file(name: &str) -> Vec<u8> {
    let path = format!(
        "{}/tests/golden/notation/{name}",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn media_type(name: &str) -> &'static str {
    if name.contains(".jws") { JOSE } else { COSE }
}

fn store(names: &[&str]) -> TrustStore {
    let mut store = TrustStore::default();
    for name in names {
        store.add(&file(name)).unwrap();
    }
    store
}

struct Case<'a> {
    verification: &'a str,
    stores: &'a str,
    identity: &'a str,
    certificates: &'a [&'a str],
    target: Option<Target<'a>>,
    now: Timestamp,
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self {
            verification: r#"{"level":"strict"}"#,
            stores: r#"["ca:x","signingAuthority:x"]"#,
            identity: SIGNER,
            certificates: &["root.crt"],
            target: None,
            now: Timestamp::now(),
        }
    }
}

impl Case<'_> {
    fn check_bytes(&self, envelope: &[u8], media_type: &str) -> Result<Outcome, String> {
        let Self {
            verification,
            stores,
            identity,
            ..
        } = self;
        let policy = format!(
            r#"{{"version":"1.0","trustPolicies":[{{"name":"all","registryScopes":["*"],"signatureVerification":{verification},"trustStores":{stores},"trustedIdentities":["{identity}"]}}]}}"#
        );
        let policy = TrustPolicy::parse(policy.as_bytes()).unwrap();
        let statement = policy
            .applicable("registry.example.test/org/app", "sha256:x")
            .unwrap();
        let manifest = file("../cosign/manifest.json");
        let digest = {
            use sha2::Digest;
            format!("sha256:{}", hex::encode(sha2::Sha256::digest(&manifest)))
        };
        let target = self.target.unwrap_or(Target {
            media_type: "application/vnd.oci.image.manifest.v1+json",
            digest: &digest,
            size: manifest.len() as u64,
        });
        let trust = (statement, &store(self.certificates));
        let result = verify(envelope, media_type, trust, target, self.now);
        result.map_err(|error| {
            let mut words = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                words = format!("{words}: {cause}");
                source = cause.source();
            }
            words
        })
    }

    fn check(&self, name: &str) -> Result<Outcome, String> {
        self.check_bytes(&file(name), media_type(name))
    }

    #[track_caller]
    fn good(&self, name: &str) {
        let outcome = self
            .check(name)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            outcome.is_authentic && outcome.told.is_empty(),
            "{name}: {outcome:?}"
        );
    }

    #[track_caller]
    fn refused(&self, name: &str, expected: &str) {
        let error = self.check(name).unwrap_err();
        assert!(error.contains(expected), "{name}: {error}");
    }
}

/// covers: SC-136
#[test]
fn signatures_of_every_kind_of_key_count_in_both_envelopes() {
    for name in [
        "p256.jws",
        "p384.jws",
        "p521.jws",
        "rsa2048.jws",
        "rsa3072.jws",
        "rsa4096.jws",
        "p256.cose",
        "p384.cose",
        "p521.cose",
        "rsa2048.cose",
        "authority.jws",
        "authority.cose",
    ] {
        Case::default().good(name);
        let wrong = Case {
            certificates: &["other.crt"],
            ..Case::default()
        };
        wrong.refused(name, "does not contain any trusted certificate");
    }
    let own = Case {
        certificates: &["self.crt"],
        ..Case::default()
    };
    own.good("self.jws");
    Case::default().refused("self.jws", "does not contain any trusted certificate");
}

#[test]
fn kind_of_store_has_to_be_the_scheme_s() {
    let other = Case {
        stores: r#"["signingAuthority:x"]"#,
        ..Case::default()
    };
    other.refused("p256.jws", "no trusted certificates are found");
    let other = Case {
        stores: r#"["ca:x"]"#,
        ..Case::default()
    };
    other.refused("authority.jws", "no trusted certificates are found");
}

/// covers: SC-136
#[test]
fn what_a_level_asks_for_decides() {
    let eve = r"x509.subject: C=DE, ST=Berlin, O=Example\\, Ltd, CN=eve";
    let level = |level, identity| Case {
        verification: level,
        identity,
        ..Case::default()
    };
    let (strict, permissive, audit) = (
        r#"{"level":"strict"}"#,
        r#"{"level":"permissive"}"#,
        r#"{"level":"audit"}"#,
    );
    let words = "does not match the X.509 trusted identities";
    level(strict, eve).refused("p256.jws", words);
    level(permissive, eve).refused("p256.jws", words);
    let outcome = level(audit, eve).check("p256.jws").unwrap();
    assert!(!outcome.is_authentic);
    assert!(outcome.told[0].contains(words), "{outcome:?}");
    level(strict, "*").good("p256.jws");
    level(strict, "x509.subject: C=DE, ST=Berlin, O=Example\\\\, Ltd").good("p256.cose");

    for name in ["expired.jws", "expired.cose"] {
        level(strict, SIGNER).refused(name, "digital signature has expired on");
        let outcome = level(permissive, SIGNER).check(name).unwrap();
        assert!(outcome.is_authentic && outcome.told[0].contains("has expired on"));
        let custom = r#"{"level":"permissive","override":{"expiry":"enforce"}}"#;
        level(custom, SIGNER).refused(name, "digital signature has expired on");
    }
}

#[test]
fn certificates_that_are_over_count_only_with_a_clock_that_is_trusted() {
    Case::default().refused("old.jws", "it was expired at");
    let stores = r#"["ca:x","tsa:x"]"#;
    for name in ["old-stamped.jws", "old-stamped.cose"] {
        Case::default().refused(name, "it was expired at");
        let clock = Case {
            stores,
            certificates: &["root.crt", "clock.crt"],
            ..Case::default()
        };
        clock.good(name);
        let other = Case {
            stores,
            certificates: &["root.crt", "other.crt"],
            ..Case::default()
        };
        other.refused(name, "failed to verify the timestamp countersignature");
    }
    let clock = || Case {
        stores,
        certificates: &["root.crt", "clock.crt"],
        ..Case::default()
    };
    clock().refused("old.jws", "no timestamp countersignature was found");
    clock().refused("p256.jws", "no timestamp countersignature was found");
    let verification = r#"{"level":"strict","verifyTimestamp":"afterCertExpiry"}"#;
    let after = Case {
        verification,
        ..clock()
    };
    after.good("p256.jws");
    after.good("old-stamped.jws");
    let before = Case {
        now: Timestamp::now() - 240.hours(),
        ..Case::default()
    };
    before.refused("p256.jws", "it will be valid from");
}

#[test]
fn signature_is_of_one_image_only() {
    let manifest = file("../cosign/manifest.json");
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    let size = manifest.len() as u64;
    for target in [
        Target {
            media_type,
            digest,
            size,
        },
        Target {
            media_type,
            digest: "",
            size,
        },
    ] {
        let other = Case {
            target: Some(target),
            ..Case::default()
        };
        other.refused("p256.jws", "content descriptor mismatch");
        other.refused("p256.cose", "content descriptor mismatch");
    }
}

#[test]
fn signature_that_needs_a_program_is_refused() {
    Case::default().refused("plugin.jws", "plugin unsupported");
    let audit = Case {
        verification: r#"{"level":"audit"}"#,
        ..Case::default()
    };
    audit.refused("plugin.jws", "plugin unsupported");
}

#[test]
fn changed_envelopes_are_refused_at_every_level() {
    let audit = Case {
        verification: r#"{"level":"audit"}"#,
        ..Case::default()
    };
    for name in ["p256.jws", "p521.jws", "rsa2048.jws"] {
        let envelope: serde_json::Value = serde_json::from_slice(&file(name)).unwrap();
        for part in ["payload", "protected", "signature"] {
            let mut changed = envelope.clone();
            let text = changed[part].as_str().unwrap();
            let mut bytes = text.as_bytes().to_vec();
            bytes[10] = if bytes[10] == b'A' { b'B' } else { b'A' };
            changed[part] = String::from_utf8(bytes).unwrap().into();
            let result = audit.check_bytes(changed.to_string().as_bytes(), JOSE);
            assert!(result.is_err(), "{name} {part}");
        }
        let mut swapped = envelope.clone();
        swapped["header"]["x5c"].as_array_mut().unwrap().reverse();
        assert!(
            audit
                .check_bytes(swapped.to_string().as_bytes(), JOSE)
                .is_err()
        );
        let mut alone = envelope.clone();
        alone["header"]["x5c"].as_array_mut().unwrap().truncate(1);
        let error = audit
            .check_bytes(alone.to_string().as_bytes(), JOSE)
            .unwrap_err();
        assert!(error.contains("certificate-chain is invalid"), "{error}");
    }
    let whole = file("p256.cose");
    for length in (0..whole.len()).step_by(53) {
        assert!(audit.check_bytes(&whole[..length], COSE).is_err());
    }
    let mut changes = 0;
    for at in (0..whole.len()).step_by(7) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        changes += usize::from(audit.check_bytes(&changed, COSE).is_err());
    }
    // What is not signed is who made the program, and the certificates are checked by themselves.
    assert!(
        changes > whole.len() / 14,
        "{changes} of {}",
        whole.len() / 7
    );
    for (bytes, kind) in [
        (file("p256.jws"), COSE),
        (file("p256.cose"), JOSE),
        (file("p256.jws"), "application/json"),
        (Vec::new(), JOSE),
        (Vec::new(), COSE),
        (vec![b'['; 1 << 20], JOSE),
        (vec![0x9f; 1 << 20], COSE),
        (vec![0; 10 << 20], COSE),
    ] {
        assert!(audit.check_bytes(&bytes, kind).is_err());
    }
}

#[test]
fn certificates_are_read_from_text_and_bytes() {
    let mut store = TrustStore::default();
    assert!(store.is_empty());
    store.add(&file("root.crt")).unwrap();
    assert!(!store.is_empty());
    assert!(store.add(b"x").is_err());
    assert!(
        store
            .add(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
            .is_err()
    );
}
