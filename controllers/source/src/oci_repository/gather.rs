//! Looks after the stored artifact, reads Secrets, asks the registry what is meant.

use std::time::Duration;

use api::meta::{Artifact, Condition};
use api::source::OCIRepository;
use kube::ResourceExt;
use net_http::Redactor;
use registry::{Remote, Repository};
use runtime::{Failure, Progress, conditions};
use tokio::time::Instant;

use super::OciRepositories;
use super::choose::{Wanted, tag};
use crate::conditions::SOURCE_VERIFIED;
use crate::failure::{chain, fetch, stalled};
use crate::verify::{
    MARK, Signed, Trust, VERIFICATION_ERROR, Verdict, Wanted as Verification, unverified,
};

const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);
/// The image could not be had.
pub(super) const PULL_FAILED: &str = "OCIArtifactPullFailed";

/// What the decision needs.
#[derive(Debug)]
pub struct Inputs {
    /// The artifact of the status, if it is there and intact, with today's address.
    pub(super) artifact: Option<Artifact>,
    pub(super) remote: Remote,
    pub(super) redactor: Redactor,
    /// The digest of the manifest that is meant.
    pub(super) digest: String,
    /// `<tag>@<digest>`, or the digest alone where that is what is asked for.
    pub(super) revision: String,
    /// What came of looking at its signatures.
    pub(super) verified: Verified,
}

/// What came of looking at signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// None is asked for.
    NotAsked,
    /// What was found before still holds.
    Standing,
    /// One was found in this run.
    Now {
        /// What is said of it.
        words: String,
        /// By what it was judged.
        mark: String,
    },
    /// None that counts was found, which does not matter.
    Ignored,
}

impl OciRepositories {
    pub(super) async fn gather_inputs(
        &self,
        object: &OCIRepository,
        progress: &Progress,
    ) -> Result<Inputs, Failure> {
        let status = object.status.as_ref();
        let published = status.and_then(|status| status.artifact.as_ref());
        let artifact = self.setup.shelf.current(published, progress).await?;
        self.check_gates(object)?;
        let repository = repository(&object.spec.url)?;
        let access = self.access(object, &repository, progress).await?;
        let redactor = access::redactor_of(&access);
        let timeout = object.spec.timeout.map_or(DEFAULT_TIMEOUT, Into::into);
        let remote = self.registries.remote(repository, access);
        let remote = remote.map_err(|error| fetch(PULL_FAILED, chain(&error)))?;
        let remote = remote.until(Instant::now() + timeout);
        let wanted = Wanted::of(object.spec.reference.as_ref());
        let reference = self.reference(object, &remote, &wanted, &redactor).await?;
        let resolved = remote.resolve(&reference).await.map_err(|error| {
            let words = format!("failed to determine artifact digest: {}", chain(&error));
            fetch(PULL_FAILED, redactor.redact(&words))
        })?;
        let digest = resolved.digest;
        let revision = match &wanted {
            Wanted::Digest(_) => digest.clone(),
            Wanted::Range { .. } | Wanted::Tag(_) => format!("{reference}@{digest}"),
        };
        let signed = Signed {
            remote: &remote,
            digest: &digest,
        };
        let verified = self.verified(object, artifact.as_ref(), &revision, signed);
        let verified = verified.await.map_err(|why| {
            let words = redactor.redact(&why);
            Failure::retry(VERIFICATION_ERROR, words.clone()).with(unverified(&words))
        })?;
        Ok(Inputs {
            artifact,
            remote,
            redactor,
            digest,
            revision,
            verified,
        })
    }

    /// Returns the tag or digest that is meant.
    async fn reference(
        &self,
        object: &OCIRepository,
        remote: &Remote,
        wanted: &Wanted,
        redactor: &Redactor,
    ) -> Result<String, Failure> {
        let (range, filter) = match wanted {
            Wanted::Digest(digest) => return Ok(digest.clone()),
            Wanted::Tag(tag) => return Ok(tag.clone()),
            Wanted::Range { range, filter } => (range, filter.as_deref()),
        };
        let failed = |why: &str| {
            let words = format!(
                "failed to determine the artifact tag for '{}': {}",
                object.spec.url,
                redactor.redact(why)
            );
            fetch("ReadOperationFailed", words)
        };
        let tags = remote
            .tags()
            .await
            .map_err(|error| failed(&chain(&error)))?;
        let layer = object.spec.layer_selector.as_ref();
        let layer = layer.and_then(|layer| layer.media_type.as_deref());
        tag(&tags, range, filter, layer).map_err(|why| failed(&why))
    }

    /// Checks the signature where that is asked for and not done yet.
    async fn verified(
        &self,
        object: &OCIRepository,
        artifact: Option<&Artifact>,
        revision: &str,
        signed: Signed<'_>,
    ) -> Result<Verified, String> {
        let Some(verify) = &object.spec.verify else {
            return Ok(Verified::NotAsked);
        };
        let wanted = Verification::from(verify);
        let refused = |why: String| wanted.refusal(&why);
        let namespace = object.namespace().unwrap_or_default();
        let subject = signed.to_string();
        let trust = Trust::read(&self.setup.reader, &namespace, wanted, &subject).await;
        let trust = trust.map_err(refused)?;
        if !is_due(object, artifact, (revision, trust.mark())) {
            return Ok(Verified::Standing);
        }
        match trust.check(signed).await.map_err(refused)? {
            Verdict::Verified => Ok(Verified::Now {
                words: format!("verified signature of revision {revision}"),
                mark: trust.mark().to_owned(),
            }),
            Verdict::Ignored => Ok(Verified::Ignored),
        }
    }
}

/// Says whether signatures have to be looked at: for a new revision or generation, and where other keys count than those
/// that the artifact was verified with.
fn is_due(
    object: &OCIRepository,
    artifact: Option<&Artifact>,
    (revision, mark): (&str, &str),
) -> bool {
    let status = object.status.as_ref();
    let all: &[Condition] = status.map_or(&[], |status| status.conditions.as_slice());
    let same = artifact.is_some_and(|artifact| {
        let marked = artifact
            .metadata
            .get(MARK)
            .is_some_and(|found| found == mark);
        artifact.revision == revision && marked
    });
    let Some(verified) = conditions::find(all, SOURCE_VERIFIED) else {
        return true;
    };
    !same || verified.status != "True" || verified.observed_generation != object.metadata.generation
}

fn repository(url: &str) -> Result<Repository, Failure> {
    let shown = net_http::without_credentials(url);
    let invalid = |why: String| {
        stalled(
            "URLInvalid",
            format!("URL validation failed for '{shown}': {why}"),
        )
    };
    let Some(rest) = url.strip_prefix("oci://") else {
        return Err(invalid(
            "URL must be in format 'oci://<domain>/<org>/<repo>'".to_owned(),
        ));
    };
    Repository::parse(rest).map_err(|error| invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: SC-127
    #[test]
    fn address_with_a_tag_or_without_scheme_stalls() {
        let refused = |url: &str| {
            let failure = repository(url).unwrap_err();
            assert_eq!(failure.class, runtime::Class::Stall);
            assert_eq!(failure.reason, "URLInvalid");
            failure.message
        };
        assert_eq!(
            refused("oci://127.0.0.1:5000/app:1.0"),
            "URL validation failed for 'oci://127.0.0.1:5000/app:1.0': repository can only contain the characters `abcdefghijklmnopqrstuvwxyz0123456789_-./`: app:1.0"
        );
        assert!(refused("https://ghcr.io/app").contains("oci://"));
        assert_eq!(
            repository("oci://ghcr.io/org/app").unwrap().to_string(),
            "ghcr.io/org/app"
        );
    }

    /// covers: SC-133
    #[test]
    fn signature_is_checked_again_for_a_new_revision_generation_or_key() {
        let mut object = OCIRepository::default();
        object.metadata.generation = Some(2);
        let artifact = |revision: &str, mark: &str| {
            let mut artifact = crate::shelf::sample(revision);
            artifact.metadata.insert(MARK.to_owned(), mark.to_owned());
            artifact
        };
        let now = ("a", "keys");
        assert!(is_due(&object, Some(&artifact("a", "keys")), now));
        let mut with = |status: &str, generation| {
            let mut all = Vec::new();
            let now = jiff::Timestamp::UNIX_EPOCH;
            let words = (SOURCE_VERIFIED, status, "Verified", "x");
            conditions::set(&mut all, words, generation, now);
            object.status = Some(api::source::OCIRepositoryStatus {
                conditions: all,
                ..Default::default()
            });
            object.clone()
        };
        assert!(!is_due(&with("True", 2), Some(&artifact("a", "keys")), now));
        assert!(is_due(&with("True", 1), Some(&artifact("a", "keys")), now));
        assert!(is_due(&with("False", 2), Some(&artifact("a", "keys")), now));
        assert!(is_due(&with("True", 2), Some(&artifact("b", "keys")), now));
        assert!(is_due(&with("True", 2), Some(&artifact("a", "other")), now));
        assert!(is_due(
            &with("True", 2),
            Some(&crate::shelf::sample("a")),
            now
        ));
        assert!(is_due(&with("True", 2), None, now));
    }
}
