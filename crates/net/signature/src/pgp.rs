//! OpenPGP signatures of commits and tags.
//!
//! rpgp checks the mathematics of one signature by one key; what a key may do, and for how long, is checked here.
//!
//! Source: RFC 9580; which keys count, and the words: fluxcd/pkg git/signatures, as of source-controller 1.9.

use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails, Tag, Timestamp};

/// How far the clock of who signed may be ahead of ours, in seconds.
const SKEW: u32 = 24 * 60 * 60;
const KEY_BLOCK: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// Why no key vouches for a signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PgpError {
    /// None of the key rings can be read.
    #[error("unable to read armored key ring: openpgp: invalid argument: {0}")]
    KeyRing(&'static str),
    /// The signature cannot be read.
    #[error("unable to verify payload with any of the given key rings: no matching key")]
    Signature(#[source] pgp::errors::Error),
    /// None of the keys made the signature, or was allowed to when it was made.
    #[error("unable to verify payload with any of the given key rings: no matching key")]
    NoMatch,
}

/// Finds the key that signed `payload`, among armoured key rings. `now` is in seconds since 1970.
///
/// A key counts if it may sign, was valid when the signature was made, and is not revoked. A signature over MD5,
/// SHA-1 or RIPEMD-160 never counts. Key rings that cannot be read are passed over if there is another.
///
/// Returns the id of the primary key, also where a subkey signed. Shape: 16 upper-case hex digits.
///
/// # Errors
/// [`PgpError`].
pub fn verify_pgp(
    payload: &[u8],
    signature: &[u8],
    key_rings: &[&str],
    now: u32,
) -> Result<String, PgpError> {
    let mut keys = Vec::new();
    let mut unreadable = None;
    let mut any = false;
    for text in key_rings {
        match read(text) {
            Ok(found) => {
                any = true;
                keys.extend(found);
            }
            Err(error) => unreadable = unreadable.or(Some(error)),
        }
    }
    if let Some(error) = unreadable.filter(|_| !any) {
        return Err(error);
    }
    let text = String::from_utf8_lossy(signature);
    let (signatures, _) =
        DetachedSignature::from_string_many(text.trim()).map_err(PgpError::Signature)?;
    for signature in signatures {
        let signature = signature.map_err(PgpError::Signature)?.signature;
        let Some(made) = made(&signature, now) else {
            continue;
        };
        for key in &keys {
            if signed(key, &signature, made, payload) {
                return Ok(key.legacy_key_id().to_string().to_uppercase());
            }
        }
    }
    Err(PgpError::NoMatch)
}

fn read(text: &str) -> Result<Vec<SignedPublicKey>, PgpError> {
    if !text.contains(KEY_BLOCK) {
        return Err(PgpError::KeyRing("no armored data found"));
    }
    let mut keys = Vec::new();
    // A Secret may join several blocks.
    for block in text.split(KEY_BLOCK).skip(1) {
        let block = format!("{KEY_BLOCK}{block}");
        let found = SignedPublicKey::from_armor_many(block.as_bytes());
        let (found, _) = found.map_err(|_| PgpError::KeyRing("key ring cannot be read"))?;
        // Keys of kinds that are not supported stand beside others.
        keys.extend(found.filter_map(Result::ok));
    }
    if keys.is_empty() {
        return Err(PgpError::KeyRing("key ring cannot be read"));
    }
    Ok(keys)
}

/// Returns when a signature was made, if it is one of data that can count now.
fn made(signature: &Signature, now: u32) -> Option<u32> {
    let is_of_data = matches!(
        signature.typ(),
        Some(SignatureType::Binary | SignatureType::Text)
    );
    let is_weak = matches!(
        signature.hash_alg(),
        None | Some(HashAlgorithm::Md5 | HashAlgorithm::Sha1 | HashAlgorithm::Ripemd160)
    );
    let made = signature.created()?.as_secs();
    let lasts = signature
        .signature_expiration_time()
        .map_or(0, pgp::types::Duration::as_secs);
    let is_over = lasts > 0 && made.saturating_add(lasts) < now;
    let is_early = made > now.saturating_add(SKEW);
    (is_of_data && !is_weak && !is_over && !is_early).then_some(made)
}

/// Says whether the key, or one of its subkeys, signed and was allowed to.
fn signed(key: &SignedPublicKey, signature: &Signature, made: u32, payload: &[u8]) -> bool {
    let Some(own) = own_signature(key, made) else {
        return false;
    };
    if is_revoked(key) || is_expired(key.created_at(), own, made) {
        return false;
    }
    // A key whose flags are not told may sign.
    let may_sign = own.key_flags() == pgp::packet::KeyFlags::default() || own.key_flags().sign();
    if may_sign && signature.verify(&key.primary_key, payload).is_ok() {
        return true;
    }
    let usable = |subkey: &&SignedPublicSubKey| subkey_may_sign(key, subkey, made);
    let mut subkeys = key.public_subkeys.iter().filter(usable);
    subkeys.any(|subkey| signature.verify(&subkey.key, payload).is_ok())
}

/// Returns the newest signature by which the key speaks about itself, of those made before a time.
fn own_signature(key: &SignedPublicKey, until: u32) -> Option<&Signature> {
    let direct = key.details.direct_signatures.iter();
    let direct = direct.filter(|each| each.verify_key(&key.primary_key).is_ok());
    let of_users = key.details.users.iter().flat_map(|user| {
        let signatures = user
            .signatures
            .iter()
            .filter(|each| each.is_certification());
        signatures.filter(|each| {
            let valid = each.verify_certification(&key.primary_key, Tag::UserId, &user.id);
            valid.is_ok()
        })
    });
    newest(of_users.chain(direct), until)
}

/// A key that is prolonged after it signed was valid all the time: where none is older, the oldest counts.
fn newest<'a>(
    signatures: impl Iterator<Item = &'a Signature>,
    until: u32,
) -> Option<&'a Signature> {
    let created = |each: &&Signature| each.created().map_or(0, Timestamp::as_secs);
    let (mut before, mut after): (Vec<_>, Vec<_>) =
        signatures.partition(|each| created(each) <= until);
    before.sort_by_key(created);
    after.sort_by_key(created);
    before.last().or(after.first()).copied()
}

fn is_revoked(key: &SignedPublicKey) -> bool {
    let revocations = key.details.revocation_signatures.iter();
    revocations
        .filter(|each| each.typ() == Some(SignatureType::KeyRevocation))
        .any(|each| each.verify_key(&key.primary_key).is_ok())
}

fn is_expired(created: Timestamp, own: &Signature, at: u32) -> bool {
    let lasts = own
        .key_expiration_time()
        .map_or(0, pgp::types::Duration::as_secs);
    at < created.as_secs() || (lasts > 0 && created.as_secs().saturating_add(lasts) < at)
}

fn subkey_may_sign(key: &SignedPublicKey, subkey: &SignedPublicSubKey, at: u32) -> bool {
    let of_kind = |kind: SignatureType| {
        subkey.signatures.iter().filter(move |each| {
            let valid = each.verify_subkey_binding(&key.primary_key, &subkey.key);
            each.typ() == Some(kind) && valid.is_ok()
        })
    };
    if of_kind(SignatureType::SubkeyRevocation).next().is_some() {
        return false;
    }
    let Some(binding) = newest(of_kind(SignatureType::SubkeyBinding), at) else {
        return false;
    };
    // The subkey must have agreed, or anybody could claim its signatures.
    let agreed = binding.embedded_signature().is_some_and(|back| {
        back.verify_primary_key_binding(&subkey.key, &key.primary_key)
            .is_ok()
    });
    binding.key_flags().sign() && agreed && !is_expired(subkey.key.created_at(), binding, at)
}
