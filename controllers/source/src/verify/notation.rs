//! Looks for signatures of notation: manifests of its kind that refer to the one that is meant.

use jiff::Timestamp;
use registry::Remote;
use signature::notation::{
    ARTIFACT_TYPE, Level, MAX_SIGNATURES, Target, TrustPolicy, TrustStore, verify,
};

use super::{Signed, Verdict, blob};
use crate::failure::chain;

pub(super) async fn check(
    policy: &TrustPolicy,
    store: &TrustStore,
    signed: Signed<'_>,
) -> Result<Verdict, String> {
    let Signed { remote, digest } = signed;
    let repository = remote.repository().to_string();
    let statement = policy.applicable(&repository, digest);
    let statement = statement.map_err(|error| chain(&error))?;
    if statement.level == Level::Skip {
        return Ok(Verdict::Ignored);
    }
    let manifest = remote.manifest(digest).await;
    let manifest = manifest.map_err(|error| chain(&error))?;
    let target = Target {
        media_type: &manifest.media_type,
        digest,
        size: manifest.bytes.len() as u64,
    };
    let referrers = remote.referrers(digest).await;
    let referrers = referrers.map_err(|error| chain(&error))?;
    let signatures = referrers
        .iter()
        .filter(|each| each.artifact_type.as_deref() == Some(ARTIFACT_TYPE));
    let signatures: Vec<_> = signatures.collect();
    if signatures.is_empty() {
        return Err(format!(
            "no signature is associated with \"{signed}\", make sure the artifact was signed successfully"
        ));
    }
    let mut reasons = vec!["signature verification failed".to_owned()];
    for each in signatures.iter().take(MAX_SIGNATURES) {
        let (envelope, media_type) = envelope(remote, &each.digest).await.map_err(|why| {
            format!(
                "unable to retrieve digital signature with digest \"{}\" associated with \"{signed}\" from the Repository, error : {why}",
                each.digest
            )
        })?;
        let trust = (statement, store);
        match verify(&envelope, &media_type, trust, target, Timestamp::now()) {
            Ok(outcome) => {
                for words in &outcome.told {
                    tracing::info!(image = %signed, reason = words, "part of a signature does not hold");
                }
                return Ok(if outcome.is_authentic {
                    Verdict::Verified
                } else {
                    Verdict::Ignored
                });
            }
            Err(error) => reasons.push(format!(
                "failed to verify signature with digest {}, {}",
                each.digest,
                chain(&error)
            )),
        }
    }
    if signatures.len() > MAX_SIGNATURES {
        reasons.push(format!(
            "signature evaluation stopped. The configured limit of {MAX_SIGNATURES} signatures to verify per artifact exceeded"
        ));
    }
    Err(reasons.join("\n"))
}

/// Reads the envelope of a signature, and of what type it is.
async fn envelope(remote: &Remote, digest: &str) -> Result<(Vec<u8>, String), String> {
    let manifest = remote.manifest(digest).await;
    let manifest = manifest.map_err(|error| chain(&error))?;
    let image = manifest.image().map_err(|error| chain(&error))?;
    let [layer] = image.layers.as_slice() else {
        return Err(format!(
            "signature manifest requiring exactly one signature envelope blob, got {}",
            image.layers.len()
        ));
    };
    let envelope = blob(remote, &layer.digest).await;
    let envelope = envelope.map_err(|error| chain(&error))?;
    Ok((envelope, layer.media_type.clone()))
}
