//! Signatures of what registries have. What cannot be checked counts as not signed.

use api::source::VerificationProvider;

/// Says that a signature that is asked for cannot be checked.
pub(crate) fn refusal(provider: VerificationProvider, keyless: Keyless) -> String {
    format!("provider '{}' is not supported", words(provider, keyless))
}

/// Whether signatures are checked without keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keyless(pub(crate) bool);

/// Names a way in which signatures are checked.
pub(crate) fn words(provider: VerificationProvider, keyless: Keyless) -> &'static str {
    match (provider, keyless.0) {
        (VerificationProvider::Cosign, true) => "cosign keyless",
        (VerificationProvider::Cosign, false) => "cosign",
        (VerificationProvider::Notation, true) => "notation keyless",
        (VerificationProvider::Notation, false) => "notation",
    }
}
