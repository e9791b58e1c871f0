//! Signatures that the real gpg and ssh-keygen made, see `golden/make`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;

use signature::{Kind, verify_pgp, verify_ssh};

/// A year after the signatures were made.
const NOW: u32 = 1_790_000_000;

fn golden(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    fs::read_to_string(format!("{folder}/{name}")).unwrap()
}

/// Splits a commit or a tag. Test data holds one signature and nothing like it.
fn split(name: &str) -> (String, String) {
    let object = golden(name);
    if object.starts_with("object ") {
        let at = object.find("-----BEGIN").unwrap();
        return (object[..at].to_owned(), object[at..].to_owned());
    }
    let (mut payload, mut signature) = (String::new(), String::new());
    let mut within = false;
    let (head, text) = object.split_once("\n\n").unwrap();
    for line in head.lines() {
        if let Some(first) = line.strip_prefix("gpgsig ") {
            within = true;
            signature.extend([first, "\n"]);
        } else if let Some(more) = line.strip_prefix(' ').filter(|_| within) {
            signature.extend([more, "\n"]);
        } else {
            within = false;
            payload.extend([line, "\n"]);
        }
    }
    (format!("{payload}\n{text}"), signature)
}

fn pgp(object: &str, keys: &[&str]) -> Result<String, String> {
    let (payload, signature) = split(object);
    assert_eq!(Kind::of(signature.as_bytes()), Kind::Pgp);
    let keys: Vec<String> = keys
        .iter()
        .map(|name| golden(&format!("{name}.asc")))
        .collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    verify_pgp(payload.as_bytes(), signature.as_bytes(), &keys, NOW)
        .map_err(|error| error.to_string())
}

fn ssh(object: &str, keys: &[&str]) -> Result<String, String> {
    let (payload, signature) = split(object);
    assert_eq!(Kind::of(signature.as_bytes()), Kind::Ssh);
    let keys: Vec<String> = keys
        .iter()
        .map(|name| golden(&format!("{name}.sshpub")))
        .collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    verify_ssh(payload.as_bytes(), signature.as_bytes(), &keys).map_err(|error| error.to_string())
}

const NO_KEY: &str = "unable to verify payload with any of the given key rings: no matching key";

/// covers: SC-084
#[test]
fn commits_and_tags_signed_with_gpg_are_verified() {
    for kind in ["pgp-ed25519", "pgp-rsa2048", "pgp-nistp384"] {
        for what in ["commit", "tag"] {
            let id = pgp(&format!("{kind}.{what}"), &[kind]).unwrap();
            let plain = id.len() == 16
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte));
            assert!(plain, "{kind} {what}: {id}");
        }
    }
    let id = pgp("pgp-ed25519.commit", &["pgp-rsa2048", "pgp-ed25519"]).unwrap();
    assert_eq!(id, pgp("pgp-ed25519.tag", &["pgp-ed25519"]).unwrap());
}

#[test]
fn subkey_vouches_under_the_id_of_its_primary_key() {
    let id = pgp("pgp-subkey.commit", &["pgp-subkey"]).unwrap();
    let issuer = golden("pgp-subkey.id");
    assert_eq!(id, issuer.trim());
}

/// covers: SC-086
#[test]
fn other_revoked_expired_and_weak_keys_do_not_count() {
    for (object, key) in [
        ("pgp-ed25519.commit", "pgp-rsa2048"),
        ("pgp-ed25519.tag", "pgp-nistp384"),
        ("pgp-revoked.commit", "pgp-revoked"),
        ("pgp-expired-late.commit", "pgp-expired"),
        ("pgp-sha1.commit", "pgp-sha1"),
    ] {
        assert_eq!(pgp(object, &[key]).unwrap_err(), NO_KEY, "{object}");
    }
    // The key was valid when it signed.
    pgp("pgp-expired-in-time.commit", &["pgp-expired"]).unwrap();
}

#[test]
fn changed_text_and_signatures_of_the_future_do_not_count() {
    let (payload, signature) = split("pgp-ed25519.commit");
    let key = golden("pgp-ed25519.asc");
    let verify = |payload: &str, signature: &str, now| {
        verify_pgp(payload.as_bytes(), signature.as_bytes(), &[&key], now)
            .map_err(|error| error.to_string())
    };
    verify(&payload, &signature, NOW).unwrap();
    assert_eq!(
        verify(&payload.replace("signed", "Signed"), &signature, NOW).unwrap_err(),
        NO_KEY
    );
    assert_eq!(
        verify(&payload, &signature, 1_759_000_000).unwrap_err(),
        NO_KEY
    );
    assert_eq!(
        verify(&payload, &signature.replace('A', "B"), NOW).unwrap_err(),
        NO_KEY
    );
    let (payload, signature) = split("ssh-ed25519-256.commit");
    let key = golden("ssh-ed25519-256.sshpub");
    verify_ssh(
        payload.replace("signed", "Signed").as_bytes(),
        signature.as_bytes(),
        &[&key],
    )
    .unwrap_err();
}

/// covers: SC-087
#[test]
fn key_rings_that_cannot_be_read_are_told_unless_there_is_another() {
    let (payload, signature) = split("pgp-ed25519.commit");
    let verify = |keys: &[&str]| {
        verify_pgp(payload.as_bytes(), signature.as_bytes(), keys, NOW)
            .map_err(|error| error.to_string())
    };
    let garbage =
        "unable to read armored key ring: openpgp: invalid argument: no armored data found";
    assert_eq!(verify(&["invalid PGP public key"]).unwrap_err(), garbage);
    assert_eq!(verify(&[]).unwrap_err(), NO_KEY);
    let (good, other) = (golden("pgp-ed25519.asc"), golden("pgp-rsa2048.asc"));
    verify(&["garbage", &good]).unwrap();
    verify(&[&format!("{other}\n{good}")]).unwrap();
    assert_eq!(verify(&["garbage", &other]).unwrap_err(), NO_KEY);
    let broken = good.replace("mDME", "AAAA");
    assert!(
        verify(&[&broken])
            .unwrap_err()
            .starts_with("unable to read armored key ring")
    );
}

/// covers: SC-089
#[test]
fn commits_and_tags_signed_with_ssh_keys_are_verified() {
    for kind in [
        "ssh-ed25519-256",
        "ssh-ecdsa-256",
        "ssh-ecdsa-384",
        "ssh-ecdsa-521",
        "ssh-rsa-2048",
    ] {
        for what in ["commit", "tag"] {
            let id = ssh(&format!("{kind}.{what}"), &["ssh-ecdsa-256", kind]).unwrap();
            assert!(id.starts_with("SHA256:") && id.len() == 50, "{id}");
        }
    }
    let error = "unable to verify payload with any of the given authorized keys";
    assert_eq!(
        ssh("ssh-ed25519-256.commit", &["ssh-rsa-2048"]).unwrap_err(),
        error
    );
    // The right key, for another purpose than Git's.
    assert_eq!(
        ssh("ssh-other-purpose.commit", &["ssh-ed25519-256"]).unwrap_err(),
        error
    );
}

#[test]
fn lines_of_authorized_keys_are_read_and_malformed_ones_told() {
    let (payload, signature) = split("ssh-ed25519-256.commit");
    let key = golden("ssh-ed25519-256.sshpub");
    let verify = |keys: &str| {
        verify_ssh(payload.as_bytes(), signature.as_bytes(), &[keys])
            .map_err(|error| error.to_string())
    };
    verify(&format!("# me\n\n  {key}")).unwrap();
    verify(&format!("no-pty,command=\"x y\" {key}")).unwrap();
    let error = verify("ssh-ed25519 nonsense").unwrap_err();
    assert_eq!(
        error,
        "unable to parse authorized keys: unable to parse authorized key"
    );
}

proptest::proptest! {
    #[test]
    fn any_signature_and_key_give_an_answer(at in 0_usize..400, byte: u8) {
        for (object, key) in [("pgp-ed25519.commit", "pgp-ed25519.asc"), ("ssh-ed25519-256.commit", "ssh-ed25519-256.sshpub")] {
            let (payload, signature) = split(object);
            let mut signature = signature.into_bytes();
            let place = at % signature.len();
            signature[place] = byte;
            let mut key = golden(key).into_bytes();
            let place = at % key.len();
            key[place] = byte;
            let key = String::from_utf8_lossy(&key);
            drop(verify_pgp(payload.as_bytes(), &signature, &[&key], NOW));
            drop(verify_ssh(payload.as_bytes(), &signature, &[&key]));
        }
    }
}
