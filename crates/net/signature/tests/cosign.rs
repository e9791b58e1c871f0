//! Signatures of images that cosign made, and what is wrong with them. Made by `hack/oracles/cosign`, which also asked
//! upstream's own verifier about each.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use serde_json::{Value, json};
use signature::PublicKey;
use signature::cosign::{
    Identity, Layer, Subject, Trust, TrustedRoot, verify_bundle, verify_layer,
};

const ISSUER: &str = "^https://accounts.example.test$";

fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/golden/cosign/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn manifest() -> Vec<u8> {
    file("manifest.json")
}

fn digest() -> String {
    use sha2::Digest;
    format!("sha256:{}", hex::encode(sha2::Sha256::digest(manifest())))
}

fn root(name: &str) -> TrustedRoot {
    TrustedRoot::from_json(&file(name)).unwrap()
}

fn identity(issuer: &str, subject: &str) -> Identity {
    Identity::new(issuer, subject).unwrap()
}

fn ada() -> Vec<Identity> {
    vec![identity(ISSUER, "^ada@.*$")]
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}

fn layer(name: &str) -> Layer {
    serde_json::from_slice(&file(name)).unwrap()
}

fn check_layer(layer: &Layer, trust: Trust<'_>, digest: &str) -> Result<(), String> {
    let manifest = None;
    let subject = Subject { digest, manifest };
    verify_layer(layer, trust, subject).map_err(|error| chain(&error))
}

fn check_bundle(bundle: &[u8], trust: Trust<'_>, digest: &str) -> Result<(), String> {
    let manifest = manifest();
    let manifest = Some(manifest.as_slice());
    let subject = Subject { digest, manifest };
    verify_bundle(bundle, trust, subject).map_err(|error| chain(&error))
}

fn keyless_layer(layer: &Layer, root: &TrustedRoot, who: &[Identity]) -> Result<(), String> {
    let identities = who;
    check_layer(layer, Trust::Keyless { root, identities }, &digest())
}

fn keyless_bundle(bundle: &[u8], root: &TrustedRoot, who: &[Identity]) -> Result<(), String> {
    let identities = who;
    check_bundle(bundle, Trust::Keyless { root, identities }, &digest())
}

fn key(name: &str) -> PublicKey {
    PublicKey::from_pem(&file(&format!("keyed/{name}.pub"))).unwrap()
}

#[track_caller]
fn refused(result: Result<(), String>, expected: &str) {
    let error = result.unwrap_err();
    assert!(error.contains(expected), "{error}");
}

/// covers: SC-131
#[test]
fn signature_counts_by_its_own_key_for_its_own_image_only() {
    let kinds = ["p256", "p384", "rsa", "ed25519"];
    let other = format!("sha256:{}", "0".repeat(64));
    for kind in kinds {
        let signed = layer(&format!("keyed/{kind}.json"));
        let bundle = file(&format!("keyed/{kind}.bundle.json"));
        let own = key(kind);
        let trust = Trust::Key(&own);
        assert_eq!(check_layer(&signed, trust, &digest()), Ok(()), "{kind}");
        assert_eq!(check_bundle(&bundle, trust, &digest()), Ok(()), "{kind}");
        refused(
            check_layer(&signed, trust, &other),
            "invalid or missing digest in claim",
        );
        refused(
            check_bundle(&bundle, trust, &other),
            "does not match any digest",
        );
        for wrong in kinds.into_iter().filter(|wrong| *wrong != kind) {
            let wrong = key(wrong);
            let wrong = Trust::Key(&wrong);
            refused(check_layer(&signed, wrong, &digest()), "invalid signature");
            refused(
                check_bundle(&bundle, wrong, &digest()),
                "could not verify envelope",
            );
        }
        let mut tampered = signed.clone();
        tampered.payload = tampered.payload.replace("cosign", "cosigm");
        refused(
            check_layer(&tampered, trust, &digest()),
            "invalid signature",
        );
    }
}

#[test]
fn signature_without_keys_counts_where_authority_log_and_clock_agree() {
    let root = root("trusted_root.json");
    assert_eq!(
        keyless_layer(&layer("keyless/good.json"), &root, &ada()),
        Ok(())
    );
    for name in ["v1", "v2", "message-v1", "message-v2"] {
        let bundle = file(&format!("keyless/{name}.bundle.json"));
        assert_eq!(keyless_bundle(&bundle, &root, &ada()), Ok(()), "{name}");
    }
}

/// covers: SC-135
#[test]
fn one_identity_of_those_asked_for_has_to_match_both_issuer_and_subject() {
    let root = root("trusted_root.json");
    let signed = layer("keyless/good.json");
    let bundle = file("keyless/v1.bundle.json");
    let eve = identity(ISSUER, "^eve@.*$");
    let elsewhere = identity("^https://elsewhere.example.test$", "^ada@.*$");
    assert_eq!(keyless_layer(&signed, &root, &[]), Ok(()));
    refused(
        keyless_bundle(&bundle, &root, &[]),
        "can't verify identities without providing at least one identity",
    );
    let both = [eve.clone(), ada()[0].clone()];
    assert_eq!(keyless_layer(&signed, &root, &both), Ok(()));
    assert_eq!(keyless_bundle(&bundle, &root, &both), Ok(()));
    for wrong in [eve, elsewhere] {
        let wrong = [wrong];
        refused(
            keyless_layer(&signed, &root, &wrong),
            "none of the expected identities matched what was in the certificate, got subjects [ada@example.test] with issuer https://accounts.example.test",
        );
        refused(
            keyless_bundle(&bundle, &root, &wrong),
            "no matching CertificateIdentity found",
        );
    }
    assert!(Identity::new("(", "x").is_err());
    assert!(Identity::new("x", "(").is_err());
}

#[test]
fn certificate_of_ten_minutes_vouches_for_nothing_later() {
    let root = root("trusted_root.json");
    let words = "leaf certificate verification failed";
    refused(
        keyless_layer(&layer("keyless/late.json"), &root, &ada()),
        words,
    );
    for name in ["late-v1", "late-v2"] {
        let bundle = file(&format!("keyless/{name}.bundle.json"));
        refused(keyless_bundle(&bundle, &root, &ada()), words);
    }
}

#[test]
fn certificate_that_no_log_knows_does_not_count() {
    let root = root("trusted_root.json");
    let words = "certificate does not include required embedded SCT";
    refused(
        keyless_layer(&layer("keyless/no-sct.json"), &root, &ada()),
        words,
    );
    refused(
        keyless_bundle(&file("keyless/no-sct.bundle.json"), &root, &ada()),
        words,
    );
}

#[test]
fn other_root_vouches_for_nothing() {
    let root = root("other_root.json");
    refused(
        keyless_layer(&layer("keyless/good.json"), &root, &ada()),
        "not enough verified log entries",
    );
    for name in ["v1", "v2"] {
        let bundle = file(&format!("keyless/{name}.bundle.json"));
        refused(
            keyless_bundle(&bundle, &root, &ada()),
            "not enough verified log entries",
        );
    }
}

/// A root of which one part is another's: each part has to be the right one.
#[test]
fn every_part_of_the_root_is_needed() {
    let own: Value = serde_json::from_slice(&file("trusted_root.json")).unwrap();
    let other: Value = serde_json::from_slice(&file("other_root.json")).unwrap();
    for (part, concerns) in [
        ("tlogs", ["v1", "v2"].as_slice()),
        ("certificateAuthorities", &["v1", "v2"]),
        ("ctlogs", &["v1", "v2"]),
        ("timestampAuthorities", &["v2"]),
    ] {
        let mut mixed = own.clone();
        mixed[part] = other[part].clone();
        let root = TrustedRoot::from_json(mixed.to_string().as_bytes()).unwrap();
        for name in ["v1", "v2"] {
            let bundle = file(&format!("keyless/{name}.bundle.json"));
            let result = keyless_bundle(&bundle, &root, &ada());
            assert_eq!(result.is_err(), concerns.contains(&name), "{part} {name}");
        }
    }
}

#[test]
fn authority_and_log_count_only_while_they_are_said_to() {
    let bundle = file("keyless/v1.bundle.json");
    let own: Value = serde_json::from_slice(&file("trusted_root.json")).unwrap();
    for pointer in [
        "/tlogs/0/publicKey/validFor",
        "/certificateAuthorities/0/validFor",
        "/ctlogs/0/publicKey/validFor",
    ] {
        for period in [
            json!({"start": "2020-01-01T00:00:00Z", "end": "2021-01-01T00:00:00Z"}),
            json!({"start": "2999-01-01T00:00:00Z"}),
            json!({}),
        ] {
            let mut changed = own.clone();
            *changed.pointer_mut(pointer).unwrap() = period;
            let root = TrustedRoot::from_json(changed.to_string().as_bytes()).unwrap();
            let result = keyless_bundle(&bundle, &root, &ada());
            assert!(result.is_err(), "{pointer}");
        }
    }
}

const ENTRY: &str = "/verificationMaterial/tlogEntries/0";

/// Changes a good bundle and says what comes of it.
fn changed(name: &str, change: &dyn Fn(&mut Value)) -> Result<(), String> {
    let root = root("trusted_root.json");
    let bundle = file(&format!("keyless/{name}.bundle.json"));
    let mut bundle: Value = serde_json::from_slice(&bundle).unwrap();
    change(&mut bundle);
    keyless_bundle(bundle.to_string().as_bytes(), &root, &ada())
}

#[test]
fn proof_and_promise_have_to_be_there_and_right() {
    let entry = ENTRY;
    for name in ["v1", "v2"] {
        refused(
            changed(name, &|bundle| {
                *bundle
                    .pointer_mut(&format!("{entry}/inclusionProof"))
                    .unwrap() = Value::Null;
            }),
            "inclusion proof missing in bundle",
        );
        refused(
            changed(name, &|bundle| {
                *bundle
                    .pointer_mut("/verificationMaterial/tlogEntries")
                    .unwrap() = json!([]);
            }),
            "not enough verified log entries from transparency log: 0 < 1",
        );
        refused(
            changed(name, &|bundle| {
                let hash = bundle.pointer_mut(&format!("{entry}/inclusionProof/hashes/0"));
                *hash.unwrap() = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
            }),
            "calculated root does not match",
        );
        refused(
            changed(name, &|bundle| {
                let path = format!("{entry}/inclusionProof/checkpoint/envelope");
                let text = bundle.pointer_mut(&path).unwrap();
                *text = json!(text.as_str().unwrap().replacen("\n2\n", "\n3\n", 1));
            }),
            "signature on checkpoint did not verify",
        );
        refused(
            changed(name, &|bundle| {
                let entries = bundle
                    .pointer_mut("/verificationMaterial/tlogEntries")
                    .unwrap();
                let first = entries[0].clone();
                entries.as_array_mut().unwrap().push(first);
            }),
            "duplicate tlog entries found",
        );
        refused(
            changed(name, &|bundle| {
                let entries = bundle
                    .pointer_mut("/verificationMaterial/tlogEntries")
                    .unwrap();
                let first = entries[0].clone();
                *entries = json!(vec![first; 33]);
            }),
            "too many tlog entries",
        );
    }
}

#[test]
fn time_has_to_be_signed() {
    let entry = ENTRY;
    refused(
        changed("v1", &|bundle| {
            *bundle
                .pointer_mut(&format!("{entry}/inclusionPromise"))
                .unwrap() = Value::Null;
        }),
        "threshold not met for verified log entry integrated timestamps",
    );
    refused(
        changed("v1", &|bundle| {
            let time = bundle
                .pointer_mut(&format!("{entry}/integratedTime"))
                .unwrap();
            let seconds: i64 = time.as_str().unwrap().parse().unwrap();
            *time = json!((seconds + 1).to_string());
        }),
        "not enough verified log entries",
    );
    refused(
        changed("v2", &|bundle| {
            let path = "/verificationMaterial/timestampVerificationData";
            *bundle.pointer_mut(path).unwrap() = Value::Null;
        }),
        "threshold not met for verified signed timestamps",
    );
}

/// What one bundle brings must not do for another.
#[test]
fn parts_of_another_signature_do_not_count() {
    let root = root("trusted_root.json");
    let read = |name: &str| -> Value {
        serde_json::from_slice(&file(&format!("keyless/{name}.bundle.json"))).unwrap()
    };
    let mixed = |base: &str, from: &str, pointer: &str| {
        let (mut base, from) = (read(base), read(from));
        *base.pointer_mut(pointer).unwrap() = from.pointer(pointer).unwrap().clone();
        keyless_bundle(base.to_string().as_bytes(), &root, &ada())
    };
    let material = "/verificationMaterial";
    refused(
        mixed("v1", "late-v1", &format!("{material}/tlogEntries")),
        "transparency log signature does not match",
    );
    refused(
        mixed("v1", "late-v1", &format!("{material}/certificate")),
        "transparency log certificate does not match",
    );
    refused(
        mixed("v1", "late-v1", "/dsseEnvelope/signatures"),
        "transparency log signature does not match",
    );
    refused(
        mixed(
            "v2",
            "late-v2",
            &format!("{material}/timestampVerificationData"),
        ),
        "mismatched message",
    );
    refused(
        mixed("message-v1", "message-v2", "/messageSignature/signature"),
        "transparency log signature does not match",
    );
}

#[test]
fn layer_without_its_log_or_certificate_does_not_count() {
    let root = root("trusted_root.json");
    let good = layer("keyless/good.json");
    let without = |name: &str| {
        let mut changed = good.clone();
        changed.annotations.remove(name).unwrap();
        keyless_layer(&changed, &root, &ada())
    };
    refused(
        without("dev.sigstore.cosign/bundle"),
        "brings no signed entry timestamp",
    );
    refused(
        without("dev.sigstore.cosign/certificate"),
        "no certificate found on signature",
    );
    refused(without("dev.cosignproject.cosign/signature"), "is missing");
    let late = layer("keyless/late.json");
    for name in [
        "dev.sigstore.cosign/bundle",
        "dev.sigstore.cosign/certificate",
    ] {
        let mut mixed = good.clone();
        let value = late.annotations[name].clone();
        mixed.annotations.insert(name.to_owned(), value);
        assert!(keyless_layer(&mixed, &root, &ada()).is_err(), "{name}");
    }
    // A chain that the layer brings is not asked: it could be anybody's.
    let mut chainless = good.clone();
    chainless
        .annotations
        .remove("dev.sigstore.cosign/chain")
        .unwrap();
    assert_eq!(keyless_layer(&chainless, &root, &ada()), Ok(()));
}

#[test]
fn key_and_certificate_do_not_stand_for_each_other() {
    let root = root("trusted_root.json");
    let own = key("p256");
    refused(
        check_bundle(&file("keyless/v1.bundle.json"), Trust::Key(&own), &digest()),
        "expected key signature, not certificate",
    );
    refused(
        keyless_bundle(&file("keyed/p256.bundle.json"), &root, &ada()),
        "entity was not signed with a certificate",
    );
}

/// A bundle that the public instance vouches for, made by others in 2023.
#[test]
fn public_instance_vouches_for_what_it_has_vouched_for() {
    let root = TrustedRoot::public_good().unwrap();
    let bundle = file("public/provenance.bundle.json");
    let parsed: Value = serde_json::from_slice(&bundle).unwrap();
    let payload = parsed
        .pointer("/dsseEnvelope/payload")
        .unwrap()
        .as_str()
        .unwrap();
    let payload = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, payload);
    let statement: Value = serde_json::from_slice(&payload.unwrap()).unwrap();
    let digest = statement["subject"][0]["digest"]["sha512"]
        .as_str()
        .unwrap();
    let digest = format!("sha512:{digest}");
    let github = identity(
        "^https://token.actions.githubusercontent.com$",
        "^https://github.com/sigstore/sigstore-js/.github/workflows/",
    );
    let check = |who: Identity, digest: &str| {
        let identities = &[who];
        check_bundle(
            &bundle,
            Trust::Keyless {
                root: &root,
                identities,
            },
            digest,
        )
    };
    assert_eq!(check(github.clone(), &digest), Ok(()));
    refused(
        check(github, &digest.replace('1', "2")),
        "does not match any digest",
    );
    refused(
        check(ada()[0].clone(), &digest),
        "no matching CertificateIdentity",
    );
}

#[test]
fn cut_off_and_changed_bundles_are_refused_and_harm_nothing() {
    let root = root("trusted_root.json");
    for name in ["v1", "v2", "message-v1"] {
        let bundle = file(&format!("keyless/{name}.bundle.json"));
        for length in (0..bundle.len()).step_by(97) {
            assert!(keyless_bundle(&bundle[..length], &root, &ada()).is_err());
        }
        // All but what nobody reads: hints which key it may be, the clock's certificate, which the root has as well.
        let (mut changes, mut harmless) = (0, 0);
        for at in (0..bundle.len()).step_by(41) {
            let mut changed = bundle.clone();
            changed[at] = if bundle[at] == b'A' { b'B' } else { b'A' };
            changes += 1;
            harmless += usize::from(keyless_bundle(&changed, &root, &ada()).is_ok());
        }
        assert!(harmless * 5 < changes, "{name}: {harmless} of {changes}");
    }
    let own = key("p256");
    let mut signed = layer("keyed/p256.json");
    signed.payload = "x".repeat(10 << 20);
    assert!(check_layer(&signed, Trust::Key(&own), &digest()).is_err());
    signed.payload = "[".repeat(1 << 20);
    assert!(check_layer(&signed, Trust::Key(&own), &digest()).is_err());
}

#[test]
fn texts_that_are_no_keys_are_told() {
    for text in [
        "",
        "x",
        "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----",
    ] {
        let error = PublicKey::from_pem(text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "PEM decoding failed");
    }
    let text = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----";
    let error = PublicKey::from_pem(text.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "unable to parse public key");
}
