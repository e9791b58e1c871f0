//! A certificate and its key out of a PKCS #12 file (`.pfx`, `.p12`).
//!
//! Read is what OpenSSL, Windows and Azure write: in DER, under a password, with the ciphers of PKCS #12 itself or those of
//! PKCS #5. How often a hash is computed for a password is bounded: the file says how often.
//!
//! Source: RFC 7292; RFC 8018.

mod cipher;
mod kdf;

use cms::content_info::ContentInfo;
use cms::encrypted_data::EncryptedData;
use der::asn1::{Any, ObjectIdentifier, OctetString};
use der::pem::LineEnding;
use der::{Decode, Encode, Sequence};
use ring::hmac;
use x509_cert::spki::AlgorithmIdentifierOwned;

use self::kdf::{Hash, Purpose, Rounds};

const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const ENCRYPTED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.6");
const KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.1");
const SHROUDED_KEY_BAG: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
const CERTIFICATE_BAG: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
const X509: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");

/// Why a file of PKCS #12 cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PfxError {
    /// It has another format.
    #[error("it is no PKCS #12 in DER")]
    Shape(#[source] der::Error),
    /// The password does not open it.
    #[error("the password is wrong or the file is damaged")]
    Password,
    /// It is protected in a way that is not known here.
    #[error("algorithm '{0}' is not supported")]
    Algorithm(ObjectIdentifier),
    /// It wants more computed than anybody means.
    #[error("its password is hashed more than {} times", kdf::MAX_ROUNDS)]
    Rounds,
    /// It lacks the key.
    #[error("it has no private key")]
    NoKey,
    /// It lacks the certificate.
    #[error("it has no certificate")]
    NoCertificate,
}

#[derive(Sequence)]
struct Pfx {
    version: u8,
    contents: ContentInfo,
    #[asn1(optional = "true")]
    mac: Option<Mac>,
}

#[derive(Sequence)]
struct Mac {
    digest: DigestInfo,
    salt: OctetString,
    #[asn1(default = "one")]
    rounds: u32,
}

fn one() -> u32 {
    1
}

#[derive(Sequence)]
struct DigestInfo {
    algorithm: AlgorithmIdentifierOwned,
    digest: OctetString,
}

#[derive(Sequence)]
struct Bag {
    id: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    value: Any,
    #[asn1(optional = "true")]
    attributes: Option<Any>,
}

#[derive(Sequence)]
struct CertificateBag {
    id: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    value: Any,
}

#[derive(Sequence)]
struct ShroudedKey {
    algorithm: AlgorithmIdentifierOwned,
    key: OctetString,
}

/// Reads the private key and the certificates of a file as PEM: the key in PKCS #8, then the certificates in the file's
/// order.
///
/// # Errors
/// [`PfxError`].
pub fn to_pem(file: &[u8], password: &str) -> Result<String, PfxError> {
    let pfx = Pfx::from_der(file).map_err(PfxError::Shape)?;
    if pfx.contents.content_type != DATA {
        return Err(PfxError::Algorithm(pfx.contents.content_type));
    }
    let contents = octets(&pfx.contents.content)?;
    let mut rounds = Rounds::default();
    let spelling = match &pfx.mac {
        Some(mac) => spelled(mac, &contents, password, &mut rounds)?,
        None => kdf::spellings(password).remove(0),
    };
    let mut opener = Opener {
        password,
        spelling,
        rounds,
    };
    let mut found = Found::default();
    for part in decoded::<Vec<ContentInfo>>(&contents)? {
        let bags = match part.content_type {
            DATA => octets(&part.content)?,
            ENCRYPTED_DATA => opener.encrypted(&part.content)?,
            other => return Err(PfxError::Algorithm(other)),
        };
        for bag in decoded::<Vec<Bag>>(&bags)? {
            opener.unpack(&bag, &mut found)?;
        }
    }
    found.into_pem()
}

/// Returns the password as the file's author spelled it: the one whose keyed hash is right.
fn spelled(
    mac: &Mac,
    contents: &[u8],
    password: &str,
    rounds: &mut Rounds,
) -> Result<Vec<u8>, PfxError> {
    let hash = Hash::of(mac.digest.algorithm.oid)?;
    for spelling in kdf::spellings(password) {
        let (salt, size) = (mac.salt.as_bytes(), hash.size());
        let key = rounds.key(
            hash,
            Purpose::Mac,
            &spelling,
            (salt, u64::from(mac.rounds)),
            size,
        )?;
        let key = hmac::Key::new(hash.hmac(), &key);
        if hmac::verify(&key, contents, mac.digest.digest.as_bytes()).is_ok() {
            return Ok(spelling);
        }
    }
    Err(PfxError::Password)
}

struct Opener<'a> {
    password: &'a str,
    /// The password as the ciphers of PKCS #12 take it.
    spelling: Vec<u8>,
    rounds: Rounds,
}

#[derive(Default)]
struct Found {
    key: Option<Vec<u8>>,
    certificates: Vec<Vec<u8>>,
}

impl Found {
    fn into_pem(self) -> Result<String, PfxError> {
        let key = self.key.ok_or(PfxError::NoKey)?;
        if self.certificates.is_empty() {
            return Err(PfxError::NoCertificate);
        }
        let mut text = String::new();
        let certificates = self.certificates.iter().map(|der| ("CERTIFICATE", der));
        for (label, der) in std::iter::once(("PRIVATE KEY", &key)).chain(certificates) {
            let pem = der::pem::encode_string(label, LineEnding::LF, der);
            text.push_str(&pem.map_err(|error| PfxError::Shape(error.into()))?);
        }
        Ok(text)
    }
}

impl Opener<'_> {
    fn encrypted(&mut self, content: &Any) -> Result<Vec<u8>, PfxError> {
        let data: EncryptedData = content.decode_as().map_err(PfxError::Shape)?;
        let info = data.enc_content_info;
        let content = info.encrypted_content.ok_or(PfxError::NoCertificate)?;
        self.decrypt(&info.content_enc_alg, content.as_bytes())
    }

    fn decrypt(
        &mut self,
        algorithm: &AlgorithmIdentifierOwned,
        content: &[u8],
    ) -> Result<Vec<u8>, PfxError> {
        let spellings = (self.password, self.spelling.as_slice());
        cipher::decrypt(algorithm, content, spellings, &mut self.rounds)
    }

    fn unpack(&mut self, bag: &Bag, found: &mut Found) -> Result<(), PfxError> {
        match bag.id {
            KEY_BAG => {
                let key = bag.value.to_der().map_err(PfxError::Shape)?;
                found.key.get_or_insert(key);
            }
            SHROUDED_KEY_BAG if found.key.is_none() => {
                let shrouded: ShroudedKey = bag.value.decode_as().map_err(PfxError::Shape)?;
                let key = self.decrypt(&shrouded.algorithm, shrouded.key.as_bytes())?;
                found.key = Some(key);
            }
            CERTIFICATE_BAG => {
                let inner: CertificateBag = bag.value.decode_as().map_err(PfxError::Shape)?;
                if inner.id == X509 {
                    found.certificates.push(octets(&inner.value)?);
                }
            }
            // Lists of revoked certificates, and secrets of other kinds.
            _ => {}
        }
        Ok(())
    }
}

fn octets(value: &Any) -> Result<Vec<u8>, PfxError> {
    let octets: OctetString = value.decode_as().map_err(PfxError::Shape)?;
    Ok(octets.into_bytes())
}

fn decoded<T: for<'a> Decode<'a>>(der: &[u8]) -> Result<T, PfxError> {
    T::from_der(der).map_err(PfxError::Shape)
}

#[cfg(test)]
mod tests;
