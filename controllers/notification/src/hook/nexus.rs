//! Nexus, which signs with SHA-1.
//!
//! Source: <https://help.sonatype.com/en/working-with-hmac-payloads.html>.

use ring::hmac;

use super::signature;
use crate::server::Received;

pub(super) fn verify(token: &[u8], request: &Received) -> Result<(), String> {
    let header = request
        .header("x-nexus-webhook-signature")
        .unwrap_or_default();
    if header.is_empty() {
        return Err("the Nexus signature is missing from the header".into());
    }
    let algorithm = hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY;
    signature::check_with(algorithm, header, token, &request.body)?;
    super::json_with(&request.body, &[&["action"], &["repositoryName"]])
}
