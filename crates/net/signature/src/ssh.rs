//! SSH signatures of commits and tags.
//!
//! Source: <https://github.com/openssh/openssh-portable/blob/V_9_2/PROTOCOL.sshsig>; which keys count, and the words:
//! fluxcd/pkg git/signatures, as of source-controller 1.9.

use ssh_key::{HashAlg, PublicKey, SshSig};

/// What Git signs for.
const NAMESPACE: &str = "git";

/// Why no key vouches for a signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SshError {
    /// The signature cannot be read.
    #[error("unable to unarmor SSH signature")]
    Signature(#[source] ssh_key::Error),
    /// A line of the keys cannot be read.
    #[error("unable to parse authorized keys: unable to parse authorized key")]
    Keys(#[source] ssh_key::Error),
    /// None of the keys made the signature, or not for Git.
    #[error("unable to verify payload with any of the given authorized keys")]
    NoMatch,
}

/// Finds the key that signed `payload`, among texts in the form of `authorized_keys`.
///
/// Returns its fingerprint. Shape: `SHA256:<Base64 without padding>`.
///
/// # Errors
/// [`SshError`].
pub fn verify_ssh(payload: &[u8], signature: &[u8], keys: &[&str]) -> Result<String, SshError> {
    let signature = SshSig::from_pem(signature.trim_ascii()).map_err(SshError::Signature)?;
    for text in keys {
        for key in read(text)? {
            if key.verify(NAMESPACE, payload, &signature).is_ok() {
                return Ok(key.fingerprint(HashAlg::Sha256).to_string());
            }
        }
    }
    Err(SshError::NoMatch)
}

fn read(text: &str) -> Result<Vec<PublicKey>, SshError> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| parse(line).map_err(SshError::Keys))
        .collect()
}

/// Reads one line: a key, and before it options, which do not count here.
fn parse(line: &str) -> Result<PublicKey, ssh_key::Error> {
    PublicKey::from_openssh(line).or_else(|error| {
        let behind = line
            .match_indices([' ', '\t'])
            .map(|(at, _)| line[at..].trim_start());
        let mut keys = behind.filter_map(|rest| PublicKey::from_openssh(rest).ok());
        keys.next().ok_or(error)
    })
}
