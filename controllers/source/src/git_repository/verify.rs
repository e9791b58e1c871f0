//! Whose signatures count, and whether they are there.

use std::collections::BTreeMap;

use api::meta::Artifact;
use api::source::{GitRepository, GitVerificationMode};
use git::{Signed, Snapshot};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use kube::ResourceExt;
use runtime::Failure;
use sha2::{Digest, Sha256};
use signature::{Kind, verify_pgp, verify_ssh};

use super::GitRepositories;
use super::act::untrusted;
use crate::conditions::{FETCH_FAILED, SOURCE_VERIFIED};
use crate::failure::{chain, stalled};

/// Under which key an artifact's metadata names the keys and the mode that it was verified with.
const MARK: &str = "lockgate.dev/verified";
const SSH_KEYS: &str = ".sshpub";

/// Whose signatures count, and on what they have to be.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    mode: GitVerificationMode,
    pgp: Vec<String>,
    ssh: Vec<String>,
}

/// The reference of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TagRef {
    /// Its short name.
    pub(super) name: String,
    /// Id of the object that it names: the tag's own where it is annotated.
    pub(super) object: String,
}

/// What was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Which objects, by which keys.
    pub(super) message: String,
    /// `HEAD`, `Tag` or `TagAndHEAD`.
    pub(super) mode: &'static str,
}

impl GitRepositories {
    /// Reads the keys that count, where a signature has to be there.
    pub(super) async fn trust(&self, object: &GitRepository) -> Result<Option<Trust>, Failure> {
        let Some(verify) = &object.spec.verify else {
            return Ok(None);
        };
        let name = verify.secret_ref.as_ref().map_or("", |secret| &secret.name);
        let failed = |cause: String| {
            untrusted(
                "VerificationError",
                format!("public keys secret error: {cause}"),
            )
        };
        if name.is_empty() {
            return Err(failed("no secret is named".to_owned()));
        }
        let namespace = object.namespace().unwrap_or_default();
        let secret = self.setup.reader.secret(&namespace, name).await;
        let secret = secret.map_err(|error| failed(chain(&error)))?;
        let mode = verify.mode.unwrap_or_default();
        Ok(Some(Trust::new(mode, &secret.data)))
    }
}

impl Trust {
    fn new(mode: GitVerificationMode, data: &BTreeMap<String, ByteString>) -> Self {
        let mut trust = Self {
            mode,
            pgp: Vec::new(),
            ssh: Vec::new(),
        };
        for (name, value) in data {
            let text = String::from_utf8_lossy(&value.0).into_owned();
            // What is not said to be an SSH key is an OpenPGP one, as before there were others.
            if name.ends_with(SSH_KEYS) {
                trust.ssh.push(text);
            } else {
                trust.pgp.push(text);
            }
        }
        trust
    }

    fn mode(&self) -> &'static str {
        match self.mode {
            GitVerificationMode::LowerCaseHead | GitVerificationMode::Head => "HEAD",
            GitVerificationMode::Tag => "Tag",
            GitVerificationMode::TagAndHead => "TagAndHEAD",
        }
    }

    /// Returns the entry of an artifact's metadata that says who vouched for it: the mode, and a digest of the keys
    /// that does not depend on their names.
    pub(super) fn mark(&self) -> (String, String) {
        let mut keys: Vec<[u8; 32]> = Vec::new();
        for (kind, texts) in [("pgp", &self.pgp), ("ssh", &self.ssh)] {
            let digest = |text: &String| -> [u8; 32] {
                Sha256::new()
                    .chain_update(kind)
                    .chain_update(text)
                    .finalize()
                    .into()
            };
            keys.extend(texts.iter().map(digest));
        }
        keys.sort_unstable();
        keys.dedup();
        let all = keys
            .iter()
            .fold(Sha256::new(), Sha256::chain_update)
            .finalize();
        let text = format!("{}@sha256:{}", self.mode(), hex::encode(all));
        (MARK.to_owned(), text)
    }

    /// Says whether the artifact was verified with these keys, in this mode.
    pub(super) fn vouched_for(&self, artifact: &Artifact) -> bool {
        let (key, value) = self.mark();
        artifact.metadata.get(&key) == Some(&value)
    }

    /// Checks what the mode asks for.
    ///
    /// # Errors
    /// InvalidVerificationMode stalls; InvalidGitObject, InvalidTagSignature, InvalidCommitSignature.
    pub(super) fn verify(
        &self,
        snapshot: &Snapshot,
        commit: &str,
        tag: Option<&TagRef>,
    ) -> Result<Verified, Failure> {
        let mut lines = vec!["verified signature of".to_owned()];
        if self.mode() != "HEAD" {
            let (name, key) = self.verify_tag(snapshot, tag)?;
            lines.push(format!("- tag '{name}' with key '{key}'"));
        }
        if self.mode() != "Tag" {
            let signed = snapshot.signed_commit();
            let signed = signed.map_err(|error| untrusted("InvalidGitObject", chain(&error)))?;
            let key = self.check(&signed, "commit").map_err(|cause| {
                let words = format!("signature verification of commit '{commit}' failed: {cause}");
                untrusted("InvalidCommitSignature", words)
            })?;
            lines.push(format!("- commit '{commit}' with key '{key}'"));
        }
        Ok(Verified {
            message: lines.join("\n\t"),
            mode: self.mode(),
        })
    }

    fn verify_tag(
        &self,
        snapshot: &Snapshot,
        tag: Option<&TagRef>,
    ) -> Result<(String, String), Failure> {
        let Some(TagRef { name, object }) = tag else {
            let words = "cannot verify tag object's signature if a tag reference is not specified";
            let mut failure = stalled("InvalidVerificationMode", words);
            failure.change = runtime::Change::default()
                .condition(SOURCE_VERIFIED, "False", "InvalidVerificationMode", words)
                .remove(FETCH_FAILED);
            return Err(failure);
        };
        let unreadable = |error| untrusted("InvalidGitObject", chain(&error));
        let found = snapshot.tag(object).map_err(unreadable)?;
        let Some(found) = found.filter(|found| !found.signed.signature.is_empty()) else {
            let words = format!("cannot verify signature of tag '{name}' since it is not signed");
            return Err(untrusted("InvalidGitObject", words));
        };
        let name = format!("{name}@{object}");
        let failed = |cause: String| {
            let words = format!("signature verification of tag '{name}' failed: {cause}");
            untrusted("InvalidTagSignature", words)
        };
        // Else a server could show one commit under the signed tag of another.
        if !found.is_of_commit {
            return Err(failed("it is a tag of another commit".to_owned()));
        }
        let key = self.check(&found.signed, "tag").map_err(failed)?;
        Ok((name, key))
    }

    /// Returns the name of the key that vouches.
    fn check(&self, signed: &Signed, what: &str) -> Result<String, String> {
        fn texts(keys: &[String]) -> Vec<&str> {
            keys.iter().map(String::as_str).collect()
        }
        let Signed { payload, signature } = signed;
        let missing = |kind: &str, end: &str| {
            format!(
                "{kind} signature detected but no {kind} public keys found in secret (keys with {end} suffix)"
            )
        };
        let unable = |cause: String| format!("unable to verify Git {what}: {cause}");
        match Kind::of(signature) {
            Kind::Pgp if self.pgp.is_empty() => Err(missing("PGP", ".asc")),
            Kind::Ssh if self.ssh.is_empty() => Err(missing("SSH", SSH_KEYS)),
            Kind::Pgp => {
                let now = u32::try_from(Timestamp::now().as_second()).unwrap_or(u32::MAX);
                verify_pgp(payload, signature, &texts(&self.pgp), now)
                    .map_err(|error| unable(error.to_string()))
            }
            Kind::Ssh => verify_ssh(payload, signature, &texts(&self.ssh))
                .map_err(|error| unable(chain(&error))),
            kind => Err(format!("unsupported signature type: {kind}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn trust(mode: GitVerificationMode, keys: &[(&str, &str)]) -> Trust {
        let data = keys
            .iter()
            .map(|(name, text)| ((*name).to_owned(), ByteString(text.as_bytes().to_vec())));
        Trust::new(mode, &data.collect())
    }

    /// covers: SC-090
    #[test]
    fn other_keys_or_another_mode_are_other_trust_and_other_names_are_not() {
        use GitVerificationMode::{Head, LowerCaseHead, Tag, TagAndHead};
        let mark = |mode, keys: &[(&str, &str)]| trust(mode, keys).mark().1;
        let base = mark(Head, &[("a.asc", "x"), ("b.asc", "y")]);
        assert_eq!(
            base,
            mark(LowerCaseHead, &[("c", "y"), ("d", "x"), ("e", "x")])
        );
        for other in [
            mark(Tag, &[("a.asc", "x"), ("b.asc", "y")]),
            mark(TagAndHead, &[("a.asc", "x"), ("b.asc", "y")]),
            mark(Head, &[("a.asc", "x")]),
            mark(Head, &[("a.asc", "x"), ("b.asc", "z")]),
            mark(Head, &[("a.sshpub", "x"), ("b.asc", "y")]),
            mark(Head, &[("a.asc", "xy")]),
        ] {
            assert_ne!(base, other);
        }
    }

    /// covers: SC-089
    #[test]
    fn signatures_without_a_key_of_their_kind_are_told() {
        let check = |keys: &[(&str, &str)], signature: &str| {
            let signed = Signed {
                payload: b"x".to_vec(),
                signature: signature.as_bytes().to_vec(),
            };
            trust(GitVerificationMode::Head, keys)
                .check(&signed, "commit")
                .unwrap_err()
        };
        let (pgp, ssh) = (
            "-----BEGIN PGP SIGNATURE-----\n",
            "-----BEGIN SSH SIGNATURE-----\n",
        );
        assert_eq!(
            check(&[("a.sshpub", "x")], pgp),
            "PGP signature detected but no PGP public keys found in secret (keys with .asc suffix)"
        );
        assert_eq!(
            check(&[("a.asc", "x")], ssh),
            "SSH signature detected but no SSH public keys found in secret (keys with .sshpub suffix)"
        );
        let x509 = "-----BEGIN SIGNED MESSAGE-----\n";
        assert_eq!(
            check(&[("a.asc", "x")], x509),
            "unsupported signature type: x509"
        );
        assert_eq!(
            check(&[("a.asc", "x")], ""),
            "unsupported signature type: empty"
        );
    }
}
