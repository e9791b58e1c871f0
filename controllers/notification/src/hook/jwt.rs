//! Signed tokens: taken apart, and checked with a key of a key set.
//!
//! Source: RFC 7515, RFC 7517, RFC 7518, RFC 7519.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

/// The longest token that is looked at.
const MAX_BYTES: usize = 16 << 10;

/// A token taken apart; nothing in it is checked yet.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// What was signed.
    signed: &'a str,
    signature: Vec<u8>,
    algorithm: String,
    key: Option<String>,
    /// What it says.
    pub claims: Value,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        let claims: Value = serde_json::from_slice(&decode(claims)?).ok()?;
        Some(Self {
            signed,
            signature: decode(signature)?,
            algorithm: header.alg,
            key: header.kid,
            claims: claims.is_object().then_some(claims)?,
        })
    }

    /// Returns a claim that is a text.
    pub(super) fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }

    /// Whether the token is for an audience.
    pub(super) fn is_for(&self, audience: &str) -> bool {
        match self.claims.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(all)) => all.iter().any(|a| a.as_str() == Some(audience)),
            _ => false,
        }
    }

    /// Whether the token counts at a time, in seconds since 1970.
    pub(super) fn is_current(&self, now: i64) -> bool {
        /// Clocks differ.
        const LEEWAY: f64 = 300.0;
        let number = |claim: &str| self.claims.get(claim).and_then(Value::as_f64);
        #[expect(clippy::cast_precision_loss, reason = "seconds")]
        let now = now as f64;
        let expired = number("exp").is_none_or(|exp| exp <= now);
        let early = number("nbf").is_some_and(|nbf| nbf > now + LEEWAY);
        !expired && !early
    }

    /// Whether a key of the set may be the one that signed.
    pub(super) fn has_key_in(&self, keys: &[Key]) -> bool {
        keys.iter().any(|key| self.may_be(key))
    }

    /// Whether one of these keys signed the token.
    pub(super) fn is_signed_by(&self, keys: &[Key]) -> bool {
        keys.iter()
            .filter(|key| self.may_be(key))
            .any(|key| key.verifies(&self.algorithm, self.signed.as_bytes(), &self.signature))
    }

    fn may_be(&self, key: &Key) -> bool {
        self.key.is_none() || key.id.is_none() || self.key == key.id
    }
}

/// A public key of a key set.
#[derive(Clone, Debug, Deserialize)]
pub struct Key {
    #[serde(rename = "kid")]
    id: Option<String>,
    #[serde(rename = "kty")]
    kind: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    #[serde(rename = "crv", default)]
    curve: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
}

impl Key {
    /// Checks a signature. The algorithm has to be one of the key's own kind, so that no key is
    /// ever used for another purpose than its own.
    fn verifies(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        if self.purpose.as_deref().is_some_and(|p| p != "sig") {
            return false;
        }
        match self.kind.as_str() {
            "RSA" => self.rsa(algorithm, message, signature),
            "EC" => self.elliptic(algorithm, message, signature),
            "OKP" if self.curve == "Ed25519" && algorithm == "EdDSA" => {
                let key = UnparsedPublicKey::new(&signature::ED25519, decode(&self.x));
                key.verify(message, signature).is_ok()
            }
            _ => false,
        }
    }

    fn rsa(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        let parameters = match algorithm {
            "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
            "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
            "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
            "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
            "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
            "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
            _ => return false,
        };
        let (n, e) = (decode(&self.n), decode(&self.e));
        let strip =
            |bytes: Vec<u8>| -> Vec<u8> { bytes.into_iter().skip_while(|b| *b == 0).collect() };
        let key = RsaPublicKeyComponents {
            n: strip(n),
            e: strip(e),
        };
        key.verify(parameters, message, signature).is_ok()
    }

    fn elliptic(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        let parameters = match (algorithm, self.curve.as_str()) {
            ("ES256", "P-256") => &signature::ECDSA_P256_SHA256_FIXED,
            ("ES384", "P-384") => &signature::ECDSA_P384_SHA384_FIXED,
            _ => return false,
        };
        let mut point = vec![4];
        point.extend(decode(&self.x));
        point.extend(decode(&self.y));
        let key = UnparsedPublicKey::new(parameters, point);
        key.verify(message, signature).is_ok()
    }
}

fn decode(text: &str) -> Vec<u8> {
    let text = text.trim_end_matches('=');
    URL_SAFE_NO_PAD.decode(text).unwrap_or_default()
}

/// Returns the token of a request's `Authorization: Bearer` header.
pub(super) fn bearer(request: &crate::server::Received) -> Option<&str> {
    let header = request.header("authorization")?;
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
