//! X.509 certificates: what they say, and who signed them.

use der::asn1::{ObjectIdentifier, OctetString};
use der::{Decode, Encode, Reader, SliceReader};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage as KeyUsageExtension, SubjectAltName,
};
use x509_cert::time::Time;

use crate::key::{Form, Hash, Kind, PublicKey};

const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const CRL_POINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.31");
const AUTHORITY_ACCESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.1");

/// Why a certificate, or a path of them, is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// It cannot be read.
    #[error("malformed certificate")]
    Malformed(#[source] der::Error),
    /// No path leads from it to an authority that is trusted.
    #[error("certificate signed by unknown authority or not valid at {at}")]
    Path {
        /// The moment that it was looked at for.
        at: jiff::Timestamp,
        /// Why.
        #[source]
        source: webpki::Error,
    },
    /// The authority cannot be used.
    #[error("authority without a certificate that is valid at {0}")]
    Authority(jiff::Timestamp),
}

/// A certificate.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    pub(crate) parsed: x509_cert::Certificate,
    /// What is signed of it, as it came.
    tbs: Vec<u8>,
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

/// What a key may be used for, of the extension's nine bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) critical: bool,
    /// Whether it may sign, and nothing else.
    pub(crate) signs_only: bool,
    /// Whether it may sign certificates.
    pub(crate) certificates: bool,
}

/// An authority's certificate says how many authorities may lie below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AuthorityRole {
    pub(crate) below: Option<u8>,
}

impl Certificate {
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let parsed = x509_cert::Certificate::from_der(der).map_err(CertificateError::Malformed)?;
        let tbs = first_of_sequence(der).map_err(CertificateError::Malformed)?;
        Ok(Self {
            der: der.to_vec(),
            parsed,
            tbs,
        })
    }

    pub(crate) fn key(&self) -> Result<PublicKey, crate::KeyError> {
        PublicKey::of_info(&self.parsed.tbs_certificate.subject_public_key_info)
    }

    /// Returns the key with its algorithm, in DER.
    pub(crate) fn key_info(&self) -> Option<Vec<u8>> {
        self.parsed
            .tbs_certificate
            .subject_public_key_info
            .to_der()
            .ok()
    }

    pub(crate) fn not_before(&self) -> i64 {
        seconds(self.parsed.tbs_certificate.validity.not_before)
    }

    pub(crate) fn not_after(&self) -> i64 {
        seconds(self.parsed.tbs_certificate.validity.not_after)
    }

    /// Says whether it is valid at a moment, in seconds since 1970.
    pub(crate) fn is_valid_at(&self, at: i64) -> bool {
        (self.not_before()..=self.not_after()).contains(&at)
    }

    pub(crate) fn subject(&self) -> String {
        self.parsed.tbs_certificate.subject.to_string()
    }

    pub(crate) fn extension(&self, id: ObjectIdentifier) -> Option<&Extension> {
        let all = self.parsed.tbs_certificate.extensions.as_ref()?;
        all.iter().find(|extension| extension.extn_id == id)
    }

    fn decoded<'a, T: Decode<'a>>(&'a self, id: ObjectIdentifier) -> Option<(bool, T)> {
        let extension = self.extension(id)?;
        let value = T::from_der(extension.extn_value.as_bytes()).ok()?;
        Some((extension.critical, value))
    }

    /// Returns its role as an authority, where it is one.
    pub(crate) fn authority(&self) -> Option<AuthorityRole> {
        let (_, constraints): (_, BasicConstraints) = self.decoded(BASIC_CONSTRAINTS)?;
        constraints.ca.then_some(AuthorityRole {
            below: constraints.path_len_constraint,
        })
    }

    pub(crate) fn usage(&self) -> Option<Usage> {
        let (critical, usage): (_, KeyUsageExtension) = self.decoded(KEY_USAGE)?;
        let others = usage.key_encipherment()
            || usage.data_encipherment()
            || usage.key_agreement()
            || usage.key_cert_sign()
            || usage.crl_sign()
            || usage.encipher_only()
            || usage.decipher_only();
        Some(Usage {
            critical,
            signs_only: usage.digital_signature() && !others,
            certificates: usage.key_cert_sign(),
        })
    }

    /// Returns what else it says that its key is for, and whether that is critical.
    pub(crate) fn purposes(&self) -> Option<(bool, Vec<ObjectIdentifier>)> {
        let (critical, usage): (_, ExtendedKeyUsage) = self.decoded(EXTENDED_KEY_USAGE)?;
        Some((critical, usage.0))
    }

    pub(crate) fn alternative_names(&self) -> Vec<GeneralName> {
        let found: Option<(bool, SubjectAltName)> = self.decoded(SUBJECT_ALT_NAME);
        found.map_or_else(Vec::new, |(_, names)| names.0)
    }

    /// Says whether it names a place where its revocation would be told.
    pub(crate) fn is_revocable(&self) -> bool {
        self.extension(CRL_POINTS).is_some() || self.extension(AUTHORITY_ACCESS).is_some()
    }

    /// Says whether `issuer` signed it, and is who it names as its issuer.
    pub(crate) fn is_issued_by(&self, issuer: &Self) -> bool {
        let tbs = &self.parsed.tbs_certificate;
        let names = tbs.issuer.to_der().ok();
        if names.is_none() || names != issuer.parsed.tbs_certificate.subject.to_der().ok() {
            return false;
        }
        let (Ok(key), Some(signature)) = (issuer.key(), self.parsed.signature.as_bytes()) else {
            return false;
        };
        let inner = &self.parsed.signature_algorithm;
        *inner == tbs.signature
            && hash_of(inner.oid, key.kind())
                .is_some_and(|hash| key.verifies(hash, Form::Classic, &self.tbs, signature))
    }

    /// Returns what is signed of it, without one extension.
    pub(crate) fn signed_without(&self, id: ObjectIdentifier) -> Option<Vec<u8>> {
        let mut tbs = self.parsed.tbs_certificate.clone();
        if let Some(extensions) = &mut tbs.extensions {
            extensions.retain(|extension| extension.extn_id != id);
        }
        tbs.to_der().ok()
    }
}

/// Returns the digest that an algorithm signs, if it goes with a kind of key.
pub(crate) fn hash_of(algorithm: ObjectIdentifier, kind: Kind) -> Option<Hash> {
    let (hash, is_of_kind) = match algorithm.to_string().as_str() {
        "1.2.840.10045.4.3.2" => (Hash::Sha256, is_curve(kind)),
        "1.2.840.10045.4.3.3" => (Hash::Sha384, is_curve(kind)),
        "1.2.840.10045.4.3.4" => (Hash::Sha512, is_curve(kind)),
        "1.2.840.113549.1.1.11" => (Hash::Sha256, matches!(kind, Kind::Rsa(_))),
        "1.2.840.113549.1.1.12" => (Hash::Sha384, matches!(kind, Kind::Rsa(_))),
        "1.2.840.113549.1.1.13" => (Hash::Sha512, matches!(kind, Kind::Rsa(_))),
        "1.3.101.112" => (Hash::Sha512, kind == Kind::Ed25519),
        _ => return None,
    };
    is_of_kind.then_some(hash)
}

fn is_curve(kind: Kind) -> bool {
    matches!(kind, Kind::P256 | Kind::P384 | Kind::P521)
}

/// Finds a path from a certificate to the last of `chain`, over the others, at a moment and for a purpose.
///
/// `chain` is as trusted roots have it: the authority nearest to the certificate first. `purpose` is an object identifier
/// in its encoded form.
pub(crate) fn verify_path(
    leaf: &Certificate,
    chain: &[Certificate],
    purpose: &'static [u8],
    at: i64,
) -> Result<(), CertificateError> {
    let moment = jiff::Timestamp::from_second(at).unwrap_or_default();
    let missing = || CertificateError::Authority(moment);
    let (root, between) = chain.split_last().ok_or_else(missing)?;
    if !root.is_valid_at(at) {
        return Err(missing());
    }
    let wrong = |source| CertificateError::Path { at: moment, source };
    let root = CertificateDer::from(root.der.as_slice());
    let anchor = webpki::anchor_from_trusted_cert(&root).map_err(wrong)?;
    let between: Vec<CertificateDer<'_>> = between
        .iter()
        .map(|each| CertificateDer::from(each.der.as_slice()))
        .collect();
    let der = CertificateDer::from(leaf.der.as_slice());
    let end = EndEntityCert::try_from(&der).map_err(wrong)?;
    let seconds = u64::try_from(at).map_err(|_| missing())?;
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    end.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &[anchor],
        &between,
        time,
        KeyUsage::required(purpose),
        None,
        None,
    )
    .map(|_| ())
    .map_err(wrong)
}

fn seconds(time: Time) -> i64 {
    i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
}

/// Returns the first element of a sequence, with its header.
fn first_of_sequence(der: &[u8]) -> Result<Vec<u8>, der::Error> {
    let mut reader = SliceReader::new(der)?;
    let header = der::Header::decode(&mut reader)?;
    reader.read_nested(header.length, |inner| {
        let first = inner.tlv_bytes()?.to_vec();
        while !inner.is_finished() {
            inner.tlv_bytes()?;
        }
        Ok(first)
    })
}

/// Decodes an extension that holds bytes.
pub(crate) fn inner_bytes(extension: &Extension) -> Option<Vec<u8>> {
    let inner = OctetString::from_der(extension.extn_value.as_bytes()).ok()?;
    Some(inner.into_bytes())
}
