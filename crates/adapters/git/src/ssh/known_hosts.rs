//! Which keys of hosts are trusted: OpenSSH's `known_hosts`.
//!
//! Source: sshd(8), section "SSH_KNOWN_HOSTS FILE FORMAT", OpenSSH 9.2; what fits a host is judged as
//! golang.org/x/crypto/ssh/knownhosts does it, whose words users know.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::ssh_key::{Algorithm, Certificate, EcdsaCurve, Fingerprint, HashAlg, PublicKey};
use sha1::{Digest as _, Sha1};

const DEFAULT_PORT: u16 = 22;
/// The block of SHA-1, in bytes.
const BLOCK: usize = 64;

/// Why the key of a host is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostKeyError {
    /// No line is about the host.
    #[error("knownhosts: key is unknown")]
    Unknown,
    /// The lines about the host name other keys.
    #[error("knownhosts: key mismatch")]
    Mismatch,
    /// A line withdraws the key.
    #[error("knownhosts: key is revoked")]
    Revoked,
    /// The certificate is of an authority that is not trusted, for another host, or out of date.
    #[error("knownhosts: certificate is not trusted")]
    Certificate,
    /// A line cannot be read.
    #[error("knownhosts: line {0} cannot be read")]
    Malformed(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    None,
    Authority,
    Revoked,
}

#[derive(Clone, Debug)]
struct Line {
    marker: Marker,
    hosts: String,
    key: PublicKey,
}

/// The lines of a file.
#[derive(Clone, Debug)]
pub(crate) struct KnownHosts(Vec<Line>);

impl KnownHosts {
    /// Reads a file. Lines of key types that are not supported count for nothing.
    pub(crate) fn parse(text: &str) -> Result<Self, HostKeyError> {
        let mut lines = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let malformed = HostKeyError::Malformed(at + 1);
            let (marker, line) = match line.split_once(char::is_whitespace) {
                Some(("@cert-authority", rest)) => (Marker::Authority, rest.trim_start()),
                Some(("@revoked", rest)) => (Marker::Revoked, rest.trim_start()),
                Some((first, _)) if first.starts_with('@') => return Err(malformed),
                _ => (Marker::None, line),
            };
            let mut fields = line.split_whitespace();
            let (Some(hosts), Some(kind), Some(key)) =
                (fields.next(), fields.next(), fields.next())
            else {
                return Err(malformed);
            };
            if algorithm(kind).is_none() {
                continue;
            }
            let key = PublicKey::from_openssh(&format!("{kind} {key}")).map_err(|_| malformed)?;
            lines.push(Line {
                marker,
                hosts: hosts.to_owned(),
                key,
            });
        }
        Ok(Self(lines))
    }

    fn about<'a>(&'a self, host: &'a str, port: u16) -> impl Iterator<Item = &'a Line> {
        self.0
            .iter()
            .filter(move |line| fits(&line.hosts, host, port))
    }

    /// Returns the algorithms by which the host can show a key that is known; empty where none is.
    pub(crate) fn algorithms(&self, host: &str, port: u16) -> Vec<Algorithm> {
        let mut found = Vec::new();
        for line in self.about(host, port) {
            if line.marker != Marker::None {
                continue;
            }
            let algorithms = match line.key.algorithm() {
                // The key is the same; its old signatures are made with SHA-1.
                Algorithm::Rsa { .. } => [Some(HashAlg::Sha512), Some(HashAlg::Sha256), None]
                    .map(|hash| Algorithm::Rsa { hash })
                    .to_vec(),
                other => vec![other],
            };
            for algorithm in algorithms {
                if !found.contains(&algorithm) {
                    found.push(algorithm);
                }
            }
        }
        found
    }

    /// Returns whether an authority may vouch for the host.
    pub(crate) fn has_authority(&self, host: &str, port: u16) -> bool {
        self.about(host, port)
            .any(|line| line.marker == Marker::Authority)
    }

    /// Judges a key that a host showed.
    pub(crate) fn judge(&self, host: &str, port: u16, key: &PublicKey) -> Result<(), HostKeyError> {
        self.not_revoked(key)?;
        let mut any = false;
        for line in self
            .about(host, port)
            .filter(|line| line.marker == Marker::None)
        {
            any = true;
            if line.key.key_data() == key.key_data() {
                return Ok(());
            }
        }
        Err(if any {
            HostKeyError::Mismatch
        } else {
            HostKeyError::Unknown
        })
    }

    /// Judges a certificate that a host showed.
    pub(crate) fn judge_certificate(
        &self,
        host: &str,
        port: u16,
        certificate: &Certificate,
    ) -> Result<(), HostKeyError> {
        self.not_revoked(&PublicKey::new(certificate.public_key().clone(), ""))?;
        self.not_revoked(&PublicKey::new(certificate.signature_key().clone(), ""))?;
        let authorities: Vec<Fingerprint> = self
            .about(host, port)
            .filter(|line| line.marker == Marker::Authority)
            .map(|line| line.key.fingerprint(HashAlg::Sha256))
            .collect();
        if authorities.is_empty() {
            return Err(HostKeyError::Unknown);
        }
        let names = certificate.valid_principals();
        let is_for_host = certificate.cert_type().is_host()
            && (names.is_empty() || names.iter().any(|name| name.eq_ignore_ascii_case(host)));
        match certificate.validate(&authorities) {
            Ok(()) if is_for_host => Ok(()),
            _ => Err(HostKeyError::Certificate),
        }
    }

    fn not_revoked(&self, key: &PublicKey) -> Result<(), HostKeyError> {
        let revoked = self
            .0
            .iter()
            .any(|line| line.marker == Marker::Revoked && line.key.key_data() == key.key_data());
        if revoked {
            Err(HostKeyError::Revoked)
        } else {
            Ok(())
        }
    }
}

/// Reads the name of an algorithm of host keys.
pub(crate) fn algorithm(name: &str) -> Option<Algorithm> {
    match Algorithm::from_str(name).ok()? {
        Algorithm::Other(_) | Algorithm::Dsa => None,
        found => Some(found),
    }
}

/// Returns the algorithms that are offered to hosts that nothing is known of.
pub(crate) fn usual() -> Vec<Algorithm> {
    let curves = [
        EcdsaCurve::NistP256,
        EcdsaCurve::NistP384,
        EcdsaCurve::NistP521,
    ];
    let mut all = vec![Algorithm::Ed25519];
    all.extend(curves.map(|curve| Algorithm::Ecdsa { curve }));
    all.extend([HashAlg::Sha512, HashAlg::Sha256].map(|hash| Algorithm::Rsa { hash: Some(hash) }));
    all
}

/// Says whether the hosts of a line include one: a list of patterns, or the hash of one name.
fn fits(hosts: &str, host: &str, port: u16) -> bool {
    let full = if port == DEFAULT_PORT {
        host.to_owned()
    } else {
        format!("[{host}]:{port}")
    };
    if let Some(hashed) = hosts.strip_prefix("|1|") {
        return is_hash_of(hashed, &full);
    }
    let mut included = false;
    for pattern in hosts.split(',') {
        let (negated, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, pattern),
        };
        if fits_one(pattern, host, port) {
            if negated {
                return false;
            }
            included = true;
        }
    }
    included
}

fn fits_one(pattern: &str, host: &str, port: u16) -> bool {
    let (pattern, wanted) = match pattern
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]:"))
    {
        Some((pattern, port)) => (pattern, port.parse().ok()),
        None => (pattern.trim_matches(['[', ']']), Some(DEFAULT_PORT)),
    };
    wanted == Some(port) && matches(pattern.as_bytes(), host.as_bytes())
}

/// Compares with a pattern of `*` and `?`, in time linear in the product of the lengths.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        let same = |byte: u8| byte == b'?' || byte.eq_ignore_ascii_case(&text[read]);
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(byte) if same(*byte) => {
                at += 1;
                read += 1;
            }
            _ => match star {
                Some((before, from)) => {
                    at = before + 1;
                    read = from + 1;
                    star = Some((before, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// `<salt>|<HMAC-SHA-1 of the name>`, both Base64.
fn is_hash_of(hashed: &str, name: &str) -> bool {
    let Some((salt, hash)) = hashed.split_once('|') else {
        return false;
    };
    match (STANDARD.decode(salt), STANDARD.decode(hash)) {
        (Ok(salt), Ok(hash)) => hmac_sha1(&salt, name.as_bytes()) == hash[..],
        _ => false,
    }
}

fn hmac_sha1(key: &[u8], text: &[u8]) -> [u8; 20] {
    let mut block = [0_u8; BLOCK];
    if key.len() > BLOCK {
        block[..20].copy_from_slice(&Sha1::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha1::new()
        .chain_update(pad(0x36))
        .chain_update(text)
        .finalize();
    Sha1::new()
        .chain_update(pad(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests;
