//! Signatures of what registries have: by cosign, with keys or without, and by notation. What cannot be checked counts as
//! not signed.

mod cosign;
mod notation;

use std::path::Path;

use access::Reader;
use api::source::{ChartVerification, OCIVerification, OIDCIdentity, VerificationProvider};
use registry::Remote;
use runtime::Change;
use runtime::secrets::SecretView;
use sha2::{Digest, Sha256};
use signature::PublicKey;
use signature::cosign::{Identity, TrustedRoot};
use signature::notation::{TrustPolicy, TrustStore};

use crate::conditions::SOURCE_VERIFIED;
use crate::failure::chain;

/// The reason of what is not signed as it should be.
pub(crate) const VERIFICATION_ERROR: &str = "VerificationError";
/// Under which key an artifact's metadata names what it was verified with.
pub(crate) const MARK: &str = "lockgate.dev/verified";
const TRUST_POLICY: &str = "trustpolicy.json";
const TRUSTED_ROOT: &str = "trusted_root.json";
/// The largest signature, in bytes, and the largest manifest of one.
const MAX_SIGNATURE_BYTES: u64 = 4 << 20;

/// What an object asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    provider: VerificationProvider,
    secret: Option<&'a str>,
    identities: &'a [OIDCIdentity],
    root: Option<&'a str>,
}

impl<'a> From<&'a OCIVerification> for Wanted<'a> {
    fn from(verify: &'a OCIVerification) -> Self {
        let root = verify.trusted_root_secret_ref.as_ref();
        Self {
            provider: verify.provider,
            secret: verify
                .secret_ref
                .as_ref()
                .map(|secret| secret.name.as_str()),
            identities: &verify.match_oidc_identity,
            root: root.map(|secret| secret.name.as_str()),
        }
    }
}

impl<'a> From<&'a ChartVerification> for Wanted<'a> {
    fn from(verify: &'a ChartVerification) -> Self {
        Self {
            provider: verify.provider,
            secret: verify
                .secret_ref
                .as_ref()
                .map(|secret| secret.name.as_str()),
            identities: &verify.match_oidc_identity,
            root: None,
        }
    }
}

impl Wanted<'_> {
    /// Says that a signature does not count.
    pub(crate) fn refusal(&self, why: &str) -> String {
        let provider = match (self.provider, self.secret) {
            (VerificationProvider::Cosign, None) => "cosign keyless",
            (VerificationProvider::Cosign, Some(_)) => "cosign",
            (VerificationProvider::Notation, _) => "notation",
        };
        format!("failed to verify the signature using provider '{provider}': {why}")
    }
}

/// Returns the change that says that a source is not signed as it should be.
pub(crate) fn unverified(message: &str) -> Change {
    Change::default().condition(SOURCE_VERIFIED, "False", VERIFICATION_ERROR, message)
}

/// Whose signatures count.
#[derive(Debug)]
pub(crate) struct Trust {
    kind: Kind,
    mark: String,
}

#[derive(Debug)]
enum Kind {
    Keys(Vec<PublicKey>),
    Keyless {
        root: Box<TrustedRoot>,
        identities: Vec<Identity>,
    },
    Notation {
        policy: TrustPolicy,
        store: TrustStore,
    },
}

/// What came of looking at signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// One of them counts.
    Verified,
    /// The policy does not ask for one, or not for one of somebody who is trusted.
    Ignored,
}

/// Where a manifest is, and whose word counts for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed<'a> {
    pub(crate) remote: &'a Remote,
    /// Digest of the manifest. Shape: `sha256:<hex>`.
    pub(crate) digest: &'a str,
}

impl std::fmt::Display for Signed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.remote.repository(), self.digest)
    }
}

impl Trust {
    /// Reads whose signatures count. `subject` is what is to be signed, for the words of an error.
    pub(crate) async fn read(
        reader: &Reader,
        namespace: &str,
        wanted: Wanted<'_>,
        subject: &str,
    ) -> Result<Self, String> {
        let mut mark = Mark::new(wanted);
        let kind = match (wanted.provider, wanted.secret) {
            (VerificationProvider::Notation, None) => {
                return Err(format!("verification secret cannot be empty: '{subject}'"));
            }
            (VerificationProvider::Notation, Some(name)) => {
                let secret = secret(reader, namespace, name).await?;
                notation_trust(&secret, &format!("{namespace}/{name}"), &mut mark)?
            }
            (VerificationProvider::Cosign, Some(name)) => {
                let secret = secret(reader, namespace, name).await?;
                Kind::Keys(keys(&secret, &mut mark)?)
            }
            (VerificationProvider::Cosign, None) => Kind::Keyless {
                root: Box::new(root(reader, namespace, wanted.root, &mut mark).await?),
                identities: identities(wanted.identities)?,
            },
        };
        Ok(Self {
            kind,
            mark: mark.finish(),
        })
    }

    /// Returns what tells this trust from any other: a digest of keys, certificates, policy and identities.
    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }

    /// Looks for a signature that counts.
    pub(crate) async fn check(&self, signed: Signed<'_>) -> Result<Verdict, String> {
        match &self.kind {
            Kind::Keys(keys) => cosign::by_key(keys, signed).await,
            Kind::Keyless { root, identities } => cosign::keyless(root, identities, signed).await,
            Kind::Notation { policy, store } => notation::check(policy, store, signed).await,
        }
    }
}

/// Digests what signatures are judged by. Names of keys do not count, nor does their order.
struct Mark {
    head: Sha256,
    parts: Vec<[u8; 32]>,
}

impl Mark {
    fn new(wanted: Wanted<'_>) -> Self {
        let mut head = Sha256::new();
        head.update(format!("{:?} {:?}", wanted.provider, wanted.identities));
        Self {
            head,
            parts: Vec::new(),
        }
    }

    fn add(&mut self, part: &[u8]) {
        self.parts.push(Sha256::digest(part).into());
    }

    fn finish(mut self) -> String {
        self.parts.sort_unstable();
        self.parts.dedup();
        let all = self.parts.iter().fold(self.head, Sha256::chain_update);
        format!("sha256:{}", hex::encode(all.finalize()))
    }
}

async fn secret(reader: &Reader, namespace: &str, name: &str) -> Result<SecretView, String> {
    let secret = reader.secret(namespace, name).await;
    secret.map_err(|error| chain(&error))
}

/// Returns the keys of a Secret, those of names that end in `.pub`.
fn keys(secret: &SecretView, mark: &mut Mark) -> Result<Vec<PublicKey>, String> {
    let mut keys = Vec::new();
    for (_, value) in secret
        .data
        .iter()
        .filter(|(name, _)| Path::new(name).extension().is_some_and(|of| of == "pub"))
    {
        let key = PublicKey::from_pem(&value.0).map_err(|error| chain(&error))?;
        mark.add(key.der());
        keys.push(key);
    }
    Ok(keys)
}

async fn root(
    reader: &Reader,
    namespace: &str,
    name: Option<&str>,
    mark: &mut Mark,
) -> Result<TrustedRoot, String> {
    let Some(name) = name else {
        return TrustedRoot::public_good().map_err(|error| chain(&error));
    };
    let failed = |why: String| {
        format!("failed to read trusted root from secret '{namespace}/{name}': {why}")
    };
    let secret = secret(reader, namespace, name).await.map_err(failed)?;
    let value = secret.data.get(TRUSTED_ROOT).ok_or_else(|| {
        failed(format!(
            "'{TRUSTED_ROOT}' not found in secret '{namespace}/{name}'"
        ))
    })?;
    mark.add(&value.0);
    TrustedRoot::from_json(&value.0).map_err(|error| chain(&error))
}

fn identities(wanted: &[OIDCIdentity]) -> Result<Vec<Identity>, String> {
    let each = |each: &OIDCIdentity| Identity::new(&each.issuer, &each.subject);
    let all: Result<Vec<Identity>, _> = wanted.iter().map(each).collect();
    all.map_err(|error| chain(&error))
}

fn notation_trust(secret: &SecretView, shown: &str, mark: &mut Mark) -> Result<Kind, String> {
    let policy = secret.data.get(TRUST_POLICY);
    let policy = policy.ok_or_else(|| format!("'{TRUST_POLICY}' not found in secret '{shown}'"))?;
    mark.add(&policy.0);
    let policy = TrustPolicy::parse(&policy.0).map_err(|error| chain(&error))?;
    let mut store = TrustStore::default();
    let is_certificate = |name: &str| {
        std::path::Path::new(name)
            .extension()
            .is_some_and(|end| end == "crt" || end == "pem")
    };
    for (name, value) in secret.data.iter().filter(|(name, _)| is_certificate(name)) {
        mark.add(&value.0);
        let added = store.add(&value.0);
        added
            .map_err(|error| format!("failed to parse certificate '{name}': {}", chain(&error)))?;
    }
    if store.is_empty() {
        return Err(format!("no certificates found in secret '{shown}'"));
    }
    Ok(Kind::Notation { policy, store })
}

/// Reads a blob of a signature.
async fn blob(remote: &Remote, digest: &str) -> Result<Vec<u8>, registry::Error> {
    remote.blob(digest).await?.bytes(MAX_SIGNATURE_BYTES).await
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn golden(name: &str) -> Vec<u8> {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../crates/net/signature/tests/golden"
        );
        std::fs::read(format!("{folder}/{name}")).unwrap()
    }

    fn view(pairs: &[(&str, &[u8])]) -> SecretView {
        let pairs = pairs.iter();
        SecretView {
            name: "s".to_owned(),
            kind: String::new(),
            data: pairs
                .map(|(name, value)| ((*name).to_owned(), ByteString(value.to_vec())))
                .collect(),
        }
    }

    fn wanted(provider: VerificationProvider) -> Wanted<'static> {
        Wanted {
            provider,
            secret: Some("s"),
            identities: &[],
            root: None,
        }
    }

    fn mark_of(pairs: &[(&str, &[u8])]) -> String {
        let mut mark = Mark::new(wanted(VerificationProvider::Cosign));
        keys(&view(pairs), &mut mark).unwrap();
        mark.finish()
    }

    #[test]
    fn other_keys_are_other_trust_and_other_names_are_not() {
        let (one, two) = (
            golden("cosign/keyed/p256.pub"),
            golden("cosign/keyed/rsa.pub"),
        );
        let base = mark_of(&[("a.pub", &one), ("b.pub", &two)]);
        assert_eq!(
            base,
            mark_of(&[("d.pub", &one), ("c.pub", &two), ("x", b"y")])
        );
        assert_ne!(base, mark_of(&[("a.pub", &one)]));
        assert_ne!(base, mark_of(&[]));
        let words = keys(
            &view(&[("a.pub", b"x")]),
            &mut Mark::new(wanted(VerificationProvider::Cosign)),
        );
        assert_eq!(words.unwrap_err(), "PEM decoding failed");
    }

    /// covers: SC-137
    #[test]
    fn secrets_that_notation_can_not_do_with_are_told() {
        let words = |pairs: &[(&str, &[u8])]| {
            let mut mark = Mark::new(wanted(VerificationProvider::Notation));
            notation_trust(&view(pairs), "ns/s", &mut mark)
                .map(|_| ())
                .unwrap_err()
        };
        let policy = br#"{"version":"1.0","trustPolicies":[{"name":"a","registryScopes":["*"],"signatureVerification":{"level":"strict"},"trustStores":["ca:x"],"trustedIdentities":["*"]}]}"#;
        assert_eq!(words(&[]), "'trustpolicy.json' not found in secret 'ns/s'");
        assert_eq!(
            words(&[("trustpolicy.json", b"{}")]),
            "trust policy document has empty version, version must be specified"
        );
        assert_eq!(
            words(&[("trustpolicy.json", policy), ("x", b"y")]),
            "no certificates found in secret 'ns/s'"
        );
        assert!(
            words(&[("trustpolicy.json", policy), ("x.crt", b"y")])
                .starts_with("failed to parse certificate 'x.crt': malformed certificate")
        );
        let root = golden("notation/root.crt");
        let mut mark = Mark::new(wanted(VerificationProvider::Notation));
        let secret = view(&[("trustpolicy.json", policy), ("x.pem", &root)]);
        assert!(notation_trust(&secret, "ns/s", &mut mark).is_ok());
    }
}
