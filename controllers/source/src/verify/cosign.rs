//! Looks for signatures of cosign: bundles that refer to the manifest, and the image of the tag beside it.

use registry::{Manifest, Remote};
use signature::PublicKey;
use signature::cosign::{
    Identity, Layer, Subject, Trust, TrustedRoot, is_bundle, verify_bundle, verify_layer,
};

use super::{Signed, Verdict, blob};
use crate::failure::chain;

/// How many signatures of each form are looked at.
const MAX_SIGNATURES: usize = 100;
/// The kind of an empty configuration.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// One of the keys has to have signed.
pub(super) async fn by_key(keys: &[PublicKey], signed: Signed<'_>) -> Result<Verdict, String> {
    let trusts: Vec<Trust<'_>> = keys.iter().map(Trust::Key).collect();
    match find(&trusts, signed).await {
        Ok(()) => Ok(Verdict::Verified),
        Err(Refusal::Registry(why)) => Err(why),
        Err(Refusal::None | Refusal::NoMatch(_)) => {
            Err(format!("no matching signatures were found for '{signed}'"))
        }
    }
}

/// One of the identities has to have signed.
pub(super) async fn keyless(
    root: &TrustedRoot,
    identities: &[Identity],
    signed: Signed<'_>,
) -> Result<Verdict, String> {
    let trust = Trust::Keyless { root, identities };
    match find(&[trust], signed).await {
        Ok(()) => Ok(Verdict::Verified),
        Err(Refusal::Registry(why)) => Err(why),
        Err(Refusal::None) => Err("no signatures found".to_owned()),
        Err(Refusal::NoMatch(why)) => Err(format!("no matching signatures: {why}")),
    }
}

/// Why no signature counts.
enum Refusal {
    /// There is none.
    None,
    /// The registry cannot say.
    Registry(String),
    /// None of them holds.
    NoMatch(String),
}

/// Finds a signature that counts, in either form.
///
/// Deviation: upstream does not look at the older form where there is any bundle, whatever it is of.
async fn find(trusts: &[Trust<'_>], signed: Signed<'_>) -> Result<(), Refusal> {
    let mut reasons = Vec::new();
    let bundles = in_bundles(trusts, signed, &mut reasons).await;
    if matches!(bundles, Ok(true)) || in_image(trusts, signed, &mut reasons).await? {
        return Ok(());
    }
    if reasons.is_empty() {
        bundles?;
        return Err(Refusal::None);
    }
    Err(Refusal::NoMatch(reasons.join("\n ")))
}

fn unreadable(error: &registry::Error) -> Refusal {
    Refusal::Registry(chain(error))
}

async fn in_bundles(
    trusts: &[Trust<'_>],
    signed: Signed<'_>,
    reasons: &mut Vec<String>,
) -> Result<bool, Refusal> {
    let Signed { remote, digest } = signed;
    let referrers = remote.referrers(digest).await;
    let referrers = referrers.map_err(|error| unreadable(&error))?;
    // Some registries do not say of what kind each is, or take it from the configuration, which bundles leave empty.
    let may_be = |kind: &Option<String>| {
        let kind = kind.as_deref();
        kind.is_none_or(|kind| is_bundle(kind) || kind == EMPTY)
    };
    let found = referrers.iter().filter(|each| may_be(&each.artifact_type));
    let mut subject: Option<Manifest> = None;
    for each in found.take(MAX_SIGNATURES) {
        let bundle = bundle(remote, &each.digest).await;
        let Some(bundle) = bundle.map_err(|error| unreadable(&error))? else {
            continue;
        };
        if subject.is_none() {
            let manifest = remote.manifest(digest).await;
            subject = Some(manifest.map_err(|error| unreadable(&error))?);
        }
        let manifest = subject.as_ref().map(|manifest| manifest.bytes.as_slice());
        let subject = Subject { digest, manifest };
        for trust in trusts {
            match verify_bundle(&bundle, *trust, subject) {
                Ok(()) => return Ok(true),
                Err(error) => reasons.push(chain(&error)),
            }
        }
    }
    Ok(false)
}

/// Reads the bundle of a manifest that refers to another one, where it is that of a bundle.
async fn bundle(remote: &Remote, digest: &str) -> Result<Option<Vec<u8>>, registry::Error> {
    let manifest = remote.manifest(digest).await?;
    let Ok(image) = manifest.image() else {
        return Ok(None);
    };
    match image.layers.first() {
        Some(layer) if is_bundle(&layer.media_type) => blob(remote, &layer.digest).await.map(Some),
        _ => Ok(None),
    }
}

async fn in_image(
    trusts: &[Trust<'_>],
    signed: Signed<'_>,
    reasons: &mut Vec<String>,
) -> Result<bool, Refusal> {
    let Signed { remote, digest } = signed;
    let tag = format!("{}.sig", digest.replacen(':', "-", 1));
    let manifest = match remote.manifest(&tag).await {
        Ok(manifest) => manifest,
        Err(error) if error.is_not_found() => return Ok(false),
        Err(error) => return Err(unreadable(&error)),
    };
    let image = manifest.image();
    let image = image.map_err(|error| Refusal::Registry(chain(&error)))?;
    let layers = image.layers.iter();
    let layers = layers.filter(|layer| layer.media_type == SIMPLE_SIGNING);
    let subject = Subject {
        digest,
        manifest: None,
    };
    for layer in layers.take(MAX_SIGNATURES) {
        let payload = blob(remote, &layer.digest).await;
        let payload = payload.map_err(|error| unreadable(&error))?;
        let layer = Layer {
            payload: String::from_utf8_lossy(&payload).into_owned(),
            annotations: layer.annotations.clone().unwrap_or_default(),
        };
        for trust in trusts {
            match verify_layer(&layer, *trust, subject) {
                Ok(()) => return Ok(true),
                Err(error) => reasons.push(chain(&error)),
            }
        }
    }
    Ok(false)
}
