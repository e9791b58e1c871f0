//! age files, as far as SOPS uses them: a data key to X25519 and post-quantum recipients.
//!
//! Source: <https://age-encryption.org/v1>, <https://c2sp.org/age>; for `mlkem768x25519` also
//! draft-connolly-cfrg-xwing-kem and RFC 9180.

mod hybrid;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac};
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::bech32;

const VERSION: &str = "age-encryption.org/v1";
const X25519_LABEL: &[u8] = b"age-encryption.org/v1/X25519";
/// The payload's chunks.
const CHUNK: usize = 64 * 1024;
/// A chunk's tag.
const TAG: usize = 16;
/// The key of a file.
const FILE_KEY: usize = 16;
/// The most recipients of a file that are tried.
const MAX_STANZAS: usize = 1_000;

/// A private key.
#[derive(Clone)]
pub struct Identity(Kind);

#[derive(Clone)]
enum Kind {
    X25519(StaticSecret),
    Hybrid(Zeroizing<[u8; 32]>),
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(..)")
    }
}

/// A text that holds no identities, or a broken one. No variant shows the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A line is no identity.
    #[error("error at line {0}: unknown identity type or malformed secret key")]
    Line(usize),
    /// There is none.
    #[error("no secret keys found")]
    None,
}

/// A file that cannot be decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgeError {
    /// It is no age file.
    #[error("failed to read the age header")]
    Format,
    /// It is encrypted to others.
    #[error("no identity matched any of the recipients")]
    NoMatch,
    /// It was changed.
    #[error("the age file fails its authentication")]
    Authentication,
}

/// Reads a file of identities: one on a line, beside comments and empty lines.
///
/// # Errors
/// [`IdentityError`].
pub fn identities(text: &str) -> Result<Vec<Identity>, IdentityError> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        found.push(identity(line).ok_or(IdentityError::Line(index + 1))?);
    }
    if found.is_empty() {
        return Err(IdentityError::None);
    }
    Ok(found)
}

fn identity(line: &str) -> Option<Identity> {
    let (prefix, bytes) = bech32::decode(line)?;
    let bytes = Zeroizing::new(bytes);
    let secret: Zeroizing<[u8; 32]> = Zeroizing::new(bytes.as_slice().try_into().ok()?);
    match prefix.as_str() {
        "AGE-SECRET-KEY-" => Some(Identity(Kind::X25519(StaticSecret::from(*secret)))),
        "AGE-SECRET-KEY-PQ-" => Some(Identity(Kind::Hybrid(secret))),
        _ => None,
    }
}

/// One recipient's line of a header, and the body below it.
struct Stanza<'a> {
    kind: &'a str,
    args: Vec<&'a str>,
    body: Vec<u8>,
}

struct Header<'a> {
    stanzas: Vec<Stanza<'a>>,
    /// What the header's code covers.
    covered: &'a [u8],
    mac: Vec<u8>,
    payload: &'a [u8],
}

/// Decrypts a file, armored or not, with the first identity that fits.
///
/// # Errors
/// [`AgeError`].
pub fn decrypt(file: &[u8], identities: &[Identity]) -> Result<Zeroizing<Vec<u8>>, AgeError> {
    let dearmored = dearmor(file)?;
    let file = dearmored.as_deref().unwrap_or(file);
    let header = header(file).ok_or(AgeError::Format)?;
    let unwrap = |identity: &Identity| {
        let try_one = |stanza| identity.unwrap(stanza);
        header.stanzas.iter().find_map(try_one)
    };
    let file_key = identities
        .iter()
        .find_map(unwrap)
        .ok_or(AgeError::NoMatch)?;
    let mac_key = expand(&[], file_key.as_slice(), b"header");
    let mut mac =
        Hmac::<Sha256>::new_from_slice(mac_key.as_slice()).map_err(|_| AgeError::Authentication)?;
    mac.update(header.covered);
    mac.verify_slice(&header.mac)
        .map_err(|_| AgeError::Authentication)?;
    payload(header.payload, file_key.as_slice()).ok_or(AgeError::Authentication)
}

fn dearmor(file: &[u8]) -> Result<Option<Vec<u8>>, AgeError> {
    let Ok(text) = std::str::from_utf8(file) else {
        return Ok(None);
    };
    let Some(rest) = text
        .trim()
        .strip_prefix("-----BEGIN AGE ENCRYPTED FILE-----")
    else {
        return Ok(None);
    };
    let body = rest
        .strip_suffix("-----END AGE ENCRYPTED FILE-----")
        .ok_or(AgeError::Format)?;
    let body: String = body.split_whitespace().collect();
    STANDARD
        .decode(body)
        .map(Some)
        .map_err(|_| AgeError::Format)
}

fn header(file: &[u8]) -> Option<Header<'_>> {
    let mut at = 0;
    let mut line = || {
        let rest = file.get(at..)?;
        let end = rest.iter().position(|b| *b == b'\n')?;
        let start = at;
        at += end + 1;
        Some((std::str::from_utf8(rest.get(..end)?).ok()?, start))
    };
    if line()?.0 != VERSION {
        return None;
    }
    let mut stanzas: Vec<Stanza<'_>> = Vec::new();
    let mut in_body = false;
    loop {
        let (text, start) = line()?;
        if in_body {
            let bytes = STANDARD_NO_PAD.decode(text).ok()?;
            stanzas.last_mut()?.body.extend(&bytes);
            in_body = text.len() == 64;
        } else if let Some(args) = text.strip_prefix("-> ") {
            let mut args = args.split(' ');
            stanzas.push(Stanza {
                kind: args.next()?,
                args: args.collect(),
                body: Vec::new(),
            });
            in_body = true;
        } else {
            let mac = STANDARD_NO_PAD.decode(text.strip_prefix("--- ")?).ok()?;
            return (stanzas.len() <= MAX_STANZAS).then_some(Header {
                stanzas,
                covered: file.get(..start + 3)?,
                mac,
                payload: file.get(at..)?,
            });
        }
    }
}

fn expand(salt: &[u8], key: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    // 32 bytes are never too many for SHA-256.
    if Hkdf::<Sha256>::new(Some(salt), key)
        .expand(info, out.as_mut_slice())
        .is_err()
    {
        out.fill(0);
    }
    out
}

/// Opens a box whose nonce is zero: its key is used once.
fn open_once(key: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let cipher = ChaCha20Poly1305::new_from_slice(key).ok()?;
    let opened = cipher
        .decrypt(&chacha20poly1305::Nonce::default(), sealed)
        .ok()?;
    Some(Zeroizing::new(opened))
}

impl Identity {
    fn unwrap(&self, stanza: &Stanza<'_>) -> Option<Zeroizing<Vec<u8>>> {
        let [share] = stanza.args.as_slice() else {
            return None;
        };
        if stanza.body.len() != FILE_KEY + TAG {
            return None;
        }
        let share = STANDARD_NO_PAD.decode(share).ok()?;
        match (&self.0, stanza.kind) {
            (Kind::X25519(secret), "X25519") => {
                let theirs: [u8; 32] = share.as_slice().try_into().ok()?;
                let shared = secret.diffie_hellman(&PublicKey::from(theirs));
                if !shared.was_contributory() {
                    return None;
                }
                let mut salt = share;
                salt.extend(PublicKey::from(secret).as_bytes());
                let key = expand(&salt, shared.as_bytes(), X25519_LABEL);
                open_once(key.as_slice(), &stanza.body)
            }
            (Kind::Hybrid(seed), "mlkem768x25519") => hybrid::open(seed, &share, &stanza.body),
            _ => None,
        }
    }
}

/// Decrypts the chunks: each is sealed under its number and whether it is the last.
fn payload(sealed: &[u8], file_key: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, mut rest) = sealed.split_at_checked(16)?;
    let key = expand(nonce, file_key, b"payload");
    let cipher = ChaCha20Poly1305::new_from_slice(key.as_slice()).ok()?;
    let mut plain = Zeroizing::new(Vec::with_capacity(rest.len()));
    for number in 0u64.. {
        let is_last = rest.len() <= CHUNK + TAG;
        let (chunk, after) = rest.split_at(rest.len().min(CHUNK + TAG));
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&number.to_be_bytes());
        nonce[11] = u8::from(is_last);
        let opened = cipher.decrypt(&nonce.into(), chunk).ok()?;
        if opened.is_empty() && number > 0 {
            return None;
        }
        plain.extend(opened);
        if is_last {
            return Some(plain);
        }
        rest = after;
    }
    None
}
