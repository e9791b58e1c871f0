//! JSON Web Tokens: signed with RS256, and read for the time of their end.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::{rand::SystemRandom, rsa::KeyPair, signature};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Error;

/// An RSA key that signs claims.
pub struct SigningKey(KeyPair);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// Reads a key in PEM, PKCS #1 or PKCS #8.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        let wrong = || Error::Invalid("could not parse private key".into());
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| wrong())?;
        let pair = match &key {
            PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err(wrong()),
        };
        pair.map(Self).map_err(|_| wrong())
    }

    /// Returns the public key, in PKCS #1.
    pub(crate) fn public(&self) -> &[u8] {
        self.0.public().as_ref()
    }

    /// Makes a token of claims; `header` holds what else than algorithm and type stands in its head.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> Result<String, Error> {
        self.sign_by(("RS256", &signature::RSA_PKCS1_SHA256), header, claims)
    }

    /// Makes such a token with the padding that is not deterministic, which Entra ID wants of certificates.
    pub(crate) fn sign_pss(&self, header: &Value, claims: &Value) -> Result<String, Error> {
        self.sign_by(("PS256", &signature::RSA_PSS_SHA256), header, claims)
    }

    fn sign_by(
        &self,
        (algorithm, scheme): (&str, &'static dyn signature::RsaEncoding),
        header: &Value,
        claims: &Value,
    ) -> Result<String, Error> {
        let mut head = json!({ "alg": algorithm, "typ": "JWT" });
        for (name, value) in header.as_object().into_iter().flatten() {
            head[name] = value.clone();
        }
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&head), encode(claims));
        let mut tag = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(scheme, &SystemRandom::new(), signed.as_bytes(), &mut tag)
            .map_err(|_| Error::Invalid("the private key cannot sign".into()))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag)))
    }
}

/// Reads when a token ends. It is not verified: whoever gave it is trusted for that, and who takes it verifies it.
pub fn expiry(token: &str) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let Claims { exp } = serde_json::from_slice(&claims).ok()?;
    let millis = exp * 1000.0;
    // The range of Timestamp, in milliseconds, is far inside that of f64's whole numbers.
    (millis.is_finite() && millis.abs() < 2.5e14).then(|| {
        #[expect(clippy::cast_possible_truncation, reason = "checked above")]
        Timestamp::from_millisecond(millis as i64).ok()
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_a_token_is_read() {
        let token = |claims: &str| format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims));
        let end = expiry(&token(r#"{"exp":1767225600}"#)).unwrap();
        assert_eq!(end.as_second(), 1_767_225_600);
        for wrong in ["{}", r#"{"exp":1e300}"#, r#"{"exp":"x"}"#, "x"] {
            assert_eq!(expiry(&token(wrong)), None, "{wrong}");
        }
        assert_eq!(expiry("x"), None);
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        assert!(SigningKey::from_pem(b"-----BEGIN PRIVATE KEY-----\nAA==\n").is_err());
    }
}
