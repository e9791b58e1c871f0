//! Commits signed here are accepted by gpg and ssh-keygen themselves.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::{Command, Output};

use signature::{Kind, SigningKey, SigningKeyError};

const PAYLOAD: &[u8] = b"tree 0\nauthor bot <bot@example.com> 1 +0000\n\nmessage\n";

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
    output
}

fn gpg(home: &Path) -> Command {
    let mut command = Command::new("gpg");
    command
        .env("GNUPGHOME", home)
        .args(["--batch", "--pinentry-mode", "loopback"]);
    command
}

/// Makes a key in a home of its own and returns it armoured.
fn pgp_key(home: &Path, algorithm: &str, usage: &str, passphrase: &str) -> String {
    let mut made = gpg(home);
    made.args([
        "--passphrase",
        passphrase,
        "--quick-generate-key",
        "bot <bot@example.com>",
    ]);
    run(made.args([algorithm, usage, "never"]));
    let mut exported = gpg(home);
    exported.args([
        "--passphrase",
        passphrase,
        "--armor",
        "--export-secret-keys",
    ]);
    String::from_utf8(run(&mut exported).stdout).unwrap()
}

/// covers: IA-123, IA-141
#[test]
fn gpg_accepts_what_is_signed() {
    for (algorithm, passphrase) in [("ed25519", ""), ("rsa3072", "secret"), ("nistp256", "")] {
        let home = tempfile::tempdir().unwrap();
        let key = pgp_key(home.path(), algorithm, "sign", passphrase);
        let given = Some(passphrase).filter(|text| !text.is_empty());
        let signed = SigningKey::pgp(&key, given).unwrap().sign(PAYLOAD).unwrap();
        assert_eq!(Kind::of(signed.as_bytes()), Kind::Pgp);
        let (file, payload) = (home.path().join("x.asc"), home.path().join("x"));
        std::fs::write(&file, &signed).unwrap();
        std::fs::write(&payload, PAYLOAD).unwrap();
        run(gpg(home.path()).arg("--verify").arg(&file).arg(&payload));
        if given.is_some() {
            let missing = SigningKey::pgp(&key, None).unwrap_err();
            assert!(matches!(missing, SigningKeyError::NoPassphrase));
            let wrong = SigningKey::pgp(&key, Some("other")).unwrap_err();
            assert!(matches!(wrong, SigningKeyError::Passphrase(_)), "{wrong}");
        }
    }
}

/// covers: IA-141
#[test]
fn keys_that_cannot_be_used_are_told_apart() {
    let unreadable = SigningKey::pgp("no key", None).unwrap_err();
    assert!(matches!(unreadable, SigningKeyError::Unreadable(_)));
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let both =
        pgp_key(one.path(), "ed25519", "sign", "") + &pgp_key(other.path(), "ed25519", "sign", "");
    let several = SigningKey::pgp(&both, None).unwrap_err();
    assert!(matches!(several, SigningKeyError::Several), "{several}");
    assert!(matches!(
        SigningKey::ssh("no key", None).unwrap_err(),
        SigningKeyError::Unreadable(_)
    ));
}

/// covers: IA-124, IA-125
#[test]
fn ssh_keygen_accepts_what_is_signed() {
    for (kind, bits, passphrase) in [
        ("ed25519", None, ""),
        ("ed25519", None, "secret"),
        ("ecdsa", Some("256"), ""),
        ("ecdsa", Some("384"), ""),
        ("rsa", Some("2048"), ""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let mut made = Command::new("ssh-keygen");
        made.args(["-q", "-t", kind, "-N", passphrase, "-C", "bot", "-f"])
            .arg(&path);
        if let Some(bits) = bits {
            made.args(["-b", bits]);
        }
        run(&mut made);
        let key = std::fs::read_to_string(&path).unwrap();
        let given = Some(passphrase).filter(|text| !text.is_empty());
        let signed = SigningKey::ssh(&key, given).unwrap().sign(PAYLOAD).unwrap();
        assert_eq!(Kind::of(signed.as_bytes()), Kind::Ssh);
        let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
        let allowed = folder.path().join("allowed");
        std::fs::write(&allowed, format!("bot@example.com {public}")).unwrap();
        let (file, payload) = (folder.path().join("x.sig"), folder.path().join("x"));
        std::fs::write(&file, &signed).unwrap();
        std::fs::write(&payload, PAYLOAD).unwrap();
        let mut verify = Command::new("ssh-keygen");
        verify
            .args(["-Y", "verify", "-n", "git", "-I", "bot@example.com", "-f"])
            .arg(&allowed);
        verify
            .arg("-s")
            .arg(&file)
            .stdin(std::fs::File::open(&payload).unwrap());
        run(&mut verify);
        if given.is_some() {
            assert!(matches!(
                SigningKey::ssh(&key, None).unwrap_err(),
                SigningKeyError::NoPassphrase
            ));
            assert!(matches!(
                SigningKey::ssh(&key, Some("x")).unwrap_err(),
                SigningKeyError::Passphrase(_)
            ));
        }
    }
}
