//! What logs of certificates sign when they take one in.
//!
//! Source: RFC 6962, 3.2 and 3.3.

use der::asn1::ObjectIdentifier;
use sha2::{Digest, Sha256};

use super::trusted_root::Log;
use crate::certificate::{Certificate, inner_bytes};
use crate::key::{Form, Hash};

const SCT_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");
const MAX_SCTS: usize = 32;

/// Why no log of certificates is known to know one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SctError {
    /// The certificate brings no word of a log.
    #[error("certificate does not include required embedded SCT and no detached SCT was set")]
    Missing,
    /// It cannot be read.
    #[error("malformed SCT")]
    Malformed,
    /// None of the logs is trusted, or none signed this certificate.
    #[error("only able to verify 0 SCT entries; unable to meet threshold of 1")]
    Unverified,
}

/// Says whether a log that is trusted signed that it knows `leaf`. `chain` begins with who issued it.
pub(super) fn verify(
    leaf: &Certificate,
    chain: &[Certificate],
    logs: &[Log],
) -> Result<(), SctError> {
    let extension = leaf.extension(SCT_LIST).ok_or(SctError::Missing)?;
    let list = inner_bytes(extension).ok_or(SctError::Malformed)?;
    let mut reader = Reader(&list);
    let mut reader = Reader(reader.vector::<2>().ok_or(SctError::Malformed)?);
    let tbs = leaf.signed_without(SCT_LIST).ok_or(SctError::Malformed)?;
    let issuer = chain.iter().find(|each| leaf.is_issued_by(each));
    let issuer = issuer.and_then(Certificate::key_info);
    let issuer = Sha256::digest(issuer.ok_or(SctError::Malformed)?);
    for _ in 0..MAX_SCTS {
        if reader.0.is_empty() {
            break;
        }
        let one = reader.vector::<2>().ok_or(SctError::Malformed)?;
        let sct = Sct::read(one).ok_or(SctError::Malformed)?;
        let seconds = i64::try_from(sct.timestamp / 1000).map_err(|_| SctError::Malformed)?;
        let signed = sct.signed(&issuer, &tbs);
        let mut known = logs
            .iter()
            .filter(|log| log.id == sct.log && log.is_valid_at(seconds));
        let holds = |log: &Log| {
            log.key
                .verifies(Hash::Sha256, Form::Classic, &signed, sct.signature)
        };
        if known.any(holds) {
            return Ok(());
        }
    }
    Err(SctError::Unverified)
}

struct Sct<'a> {
    log: &'a [u8],
    timestamp: u64,
    extensions: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Sct<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let [0] = *reader.take(1)? else {
            return None;
        };
        let log = reader.take(32)?;
        let timestamp = u64::from_be_bytes(reader.take(8)?.try_into().ok()?);
        let extensions = reader.vector::<2>()?;
        // SHA-256, the only one that logs may take; the key says the rest.
        let [4, _] = *reader.take(2)? else {
            return None;
        };
        let signature = reader.vector::<2>()?;
        reader.0.is_empty().then_some(Self {
            log,
            timestamp,
            extensions,
            signature,
        })
    }

    /// Returns what was signed: the certificate as it was before this was added.
    fn signed(&self, issuer: &[u8], tbs: &[u8]) -> Vec<u8> {
        const PRECERTIFICATE: u8 = 1;
        let mut out = vec![0, 0];
        out.extend(self.timestamp.to_be_bytes());
        out.extend([0, PRECERTIFICATE]);
        out.extend(issuer);
        let length = u32::try_from(tbs.len()).unwrap_or(u32::MAX).to_be_bytes();
        out.extend(&length[1..]);
        out.extend(tbs);
        let length = u16::try_from(self.extensions.len()).unwrap_or(u16::MAX);
        out.extend(length.to_be_bytes());
        out.extend(self.extensions);
        out
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// Reads bytes behind their length, which is of so many bytes.
    fn vector<const WIDTH: usize>(&mut self) -> Option<&'a [u8]> {
        let length = self.take(WIDTH)?;
        let length = length
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        self.take(length)
    }
}
