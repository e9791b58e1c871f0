//! Signatures of bodies with a shared key.

use ring::hmac;

/// Checks `<algorithm>=<hex>` of a body, with sha1, sha256 or sha512.
pub(super) fn check(header: &str, key: &[u8], body: &[u8]) -> Result<(), String> {
    let (name, digest) = header
        .split_once('=')
        .ok_or("the signature has not the form <algorithm>=<hex>")?;
    let algorithm = match name {
        "sha1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        "sha256" => hmac::HMAC_SHA256,
        "sha512" => hmac::HMAC_SHA512,
        _ => return Err("the signature's algorithm is not supported".into()),
    };
    check_with(algorithm, digest, key, body)
}

/// Checks a signature in hex.
pub(super) fn check_with(
    algorithm: hmac::Algorithm,
    digest: &str,
    key: &[u8],
    body: &[u8],
) -> Result<(), String> {
    let digest = hex::decode(digest).map_err(|_| "the signature is not hex")?;
    let key = hmac::Key::new(algorithm, key);
    // In constant time.
    hmac::verify(&key, body, &digest).map_err(|_| "the signature does not match".to_owned())
}
