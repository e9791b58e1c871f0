//! Entries of transparency logs: that a log knows of a signature, and since when.
//!
//! Source: Rekor 1 (`dsse` 0.0.1, `hashedrekord` 0.0.1, `intoto` 0.0.2) and Rekor 2 (`hashedrekord` 0.0.2); RFC 6962, 2.1;
//! C2SP `tlog-checkpoint` and `signed-note`.

mod body;
mod proof;

use serde::Deserialize;

use self::body::Body;
use super::trusted_root::{Log, TrustedRoot};
use crate::encoding::{bytes, number, to_base64};
use crate::key::{Form, Hash, Kind, PublicKey};

/// How many entries of one signature are looked at.
const MAX_ENTRIES: usize = 32;

/// Why no log is known to know of a signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The signature brings no entry.
    #[error("not enough verified log entries from transparency log: 0 < 1")]
    None,
    /// It brings too many.
    #[error("too many tlog entries: {0} > {MAX_ENTRIES}")]
    Many(usize),
    /// It brings one twice.
    #[error("duplicate tlog entries found")]
    Twice,
    /// It brings neither a promise nor a proof.
    #[error("entry must contain an inclusion proof and/or promise")]
    Bare,
    /// It lacks the proof that its form has.
    #[error("inclusion proof missing in bundle (required for bundle v0.2)")]
    NoProof,
    /// It lacks the promise that its form has.
    #[error("inclusion promises missing in bundle (required for bundle v0.1)")]
    NoPromise,
    /// The entry cannot be read.
    #[error("entry body is not a recognizable Rekor v1 or Rekor v2 type")]
    Body,
    /// The proof does not lead to a root that the log signed.
    #[error("verifying inclusion: {0}")]
    Proof(&'static str),
    /// The promise is not the log's.
    #[error("unable to verify SET")]
    Promise,
    /// The entry is of another signature.
    #[error("transparency log signature does not match")]
    OtherSignature,
    /// The entry is of another signer.
    #[error("transparency log certificate does not match")]
    OtherSigner,
    /// The entry is of other content.
    #[error("transparency log entry digest does not match artifact")]
    OtherContent,
}

/// An entry, as bundles have it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    #[serde(default, with = "number")]
    pub(super) log_index: i64,
    pub(super) log_id: LogId,
    #[serde(default, with = "number")]
    pub(super) integrated_time: i64,
    pub(super) inclusion_promise: Option<Promise>,
    pub(super) inclusion_proof: Option<InclusionProof>,
    #[serde(with = "bytes")]
    pub(super) canonicalized_body: Vec<u8>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogId {
    #[serde(with = "bytes")]
    pub(super) key_id: Vec<u8>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Promise {
    #[serde(with = "bytes")]
    pub(super) signed_entry_timestamp: Vec<u8>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InclusionProof {
    #[serde(default, with = "number")]
    log_index: i64,
    #[serde(default, with = "number")]
    tree_size: i64,
    #[serde(default, with = "bytes")]
    root_hash: Vec<u8>,
    #[serde(default)]
    hashes: Vec<HashText>,
    checkpoint: Checkpoint,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
struct HashText {
    #[serde(with = "bytes")]
    bytes: Vec<u8>,
}

#[derive(Clone, Debug, Deserialize)]
struct Checkpoint {
    envelope: String,
}

/// What an entry has to be about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'a> {
    pub(super) signature: &'a [u8],
    /// The signer's certificate, in DER.
    pub(super) certificate: &'a [u8],
    pub(super) content: Content<'a>,
    /// What was signed, for logs that know of no envelopes.
    pub(super) message: Option<&'a [u8]>,
}

/// What was signed, as entries have it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content<'a> {
    /// The SHA-256 of the message.
    Message(&'a [u8]),
    /// The SHA-256 of the envelope's payload.
    Payload(&'a [u8]),
}

/// What logs say of a signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Logged {
    /// When logs took it in, in seconds since 1970, where they signed that.
    pub(super) times: Vec<i64>,
    /// Whether some entry says when it was taken in, signed or not.
    pub(super) told_time: bool,
}

/// Checks that a log that is trusted knows of a signature. Entries of logs that are not are passed over.
pub(super) fn verify(
    entries: &[Entry],
    claim: &Claim<'_>,
    root: &TrustedRoot,
) -> Result<Logged, LogError> {
    if entries.len() > MAX_ENTRIES {
        return Err(LogError::Many(entries.len()));
    }
    for (at, entry) in entries.iter().enumerate() {
        let same = |other: &Entry| {
            other.log_id.key_id == entry.log_id.key_id && other.log_index == entry.log_index
        };
        if entries[..at].iter().any(same) {
            return Err(LogError::Twice);
        }
    }
    let mut logged = Logged::default();
    let mut known = 0;
    for entry in entries {
        logged.told_time |= entry.integrated_time != 0;
        let body = Body::read(&entry.canonicalized_body).ok_or(LogError::Body)?;
        let Some(log) = find(&root.logs, &entry.log_id.key_id) else {
            continue;
        };
        if entry.inclusion_promise.is_none() && entry.inclusion_proof.is_none() {
            return Err(LogError::Bare);
        }
        if let Some(promise) = &entry.inclusion_promise
            && (body.is_second() || !is_promised(entry, promise, log))
        {
            continue;
        }
        match &entry.inclusion_proof {
            Some(found) => found.check(entry, &body, log)?,
            None if body.is_second() => return Err(LogError::NoProof),
            None => {}
        }
        body.check(claim)?;
        known += 1;
        if entry.inclusion_promise.is_some() {
            logged.times.push(entry.integrated_time);
        }
    }
    if known == 0 {
        return Err(LogError::None);
    }
    Ok(logged)
}

/// Checks the promise of one entry alone, as the classic form brings it.
pub(super) fn verify_promise(
    entry: &Entry,
    claim: &Claim<'_>,
    root: &TrustedRoot,
) -> Result<i64, LogError> {
    let body = Body::read(&entry.canonicalized_body).ok_or(LogError::Body)?;
    body.check(claim)?;
    let promise = entry.inclusion_promise.as_ref().ok_or(LogError::Bare)?;
    let log = find(&root.logs, &entry.log_id.key_id).ok_or(LogError::None)?;
    if body.is_second() || !is_promised(entry, promise, log) {
        return Err(LogError::Promise);
    }
    Ok(entry.integrated_time)
}

fn find<'a>(logs: &'a [Log], id: &[u8]) -> Option<&'a Log> {
    logs.iter().find(|log| log.id == id)
}

/// Says whether the log signed that it will take the entry in. What it signs is canonical JSON.
fn is_promised(entry: &Entry, promise: &Promise, log: &Log) -> bool {
    let signed = format!(
        r#"{{"body":"{}","integratedTime":{},"logID":"{}","logIndex":{}}}"#,
        to_base64(&entry.canonicalized_body),
        entry.integrated_time,
        hex::encode(&entry.log_id.key_id),
        entry.log_index
    );
    log.is_valid_at(entry.integrated_time)
        && is_curve(&log.key)
        && signed_by_log(&log.key, signed.as_bytes(), &promise.signed_entry_timestamp)
}

fn is_curve(key: &PublicKey) -> bool {
    matches!(key.kind(), Kind::P256 | Kind::P384)
}

fn signed_by_log(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    key.verifies(Hash::Sha256, Form::Classic, message, signature)
}
