//! Timestamps by authorities that both cosign and notation trust.
//!
//! Source: RFC 3161, RFC 5652, RFC 5816.

use cms::cert::CertificateChoices;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use der::asn1::{Any, GeneralizedTime, Int, ObjectIdentifier, OctetString};
use der::{Decode, Encode, Sequence};
use x509_cert::attr::Attribute;
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::certificate::{Certificate, CertificateError, hash_of, verify_path};
use crate::key::{Form, Hash, Kind};

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
/// The policy under which a timestamp without an accuracy is right to the second.
const BASELINE_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("0.4.0.2023.1.1");
/// The same purpose, as paths are asked for it.
const TIME_STAMPING_DER: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];
const MAX_CERTIFICATES: usize = 16;

/// Why a timestamp does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampError {
    /// It cannot be read.
    #[error("malformed timestamp")]
    Malformed(#[source] der::Error),
    /// It is not what it should be.
    #[error("{0}")]
    Shape(&'static str),
    /// It is of something else.
    #[error("mismatched message")]
    OtherMessage,
    /// Its signature is wrong.
    #[error("signature of the timestamp does not hold")]
    Signature,
    /// The certificate of who made it is not there.
    #[error("signing certificate not found in the timestamp token")]
    NoCertificate,
    /// The certificate of who made it is of no use.
    #[error("timestamp certificate is not trusted")]
    Certificate(#[source] CertificateError),
    /// The certificate of who made it is not for timestamps alone.
    #[error("timestamp signing certificate must have time stamping as its only, critical purpose")]
    Purpose,
}

#[derive(Sequence)]
struct MessageImprint {
    hash_algorithm: AlgorithmIdentifierOwned,
    hashed_message: OctetString,
}

#[derive(Sequence)]
struct Accuracy {
    #[asn1(optional = "true")]
    seconds: Option<u64>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    millis: Option<u16>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    micros: Option<u16>,
}

#[derive(Sequence)]
struct TstInfo {
    version: u8,
    policy: ObjectIdentifier,
    imprint: MessageImprint,
    serial: Int,
    time: GeneralizedTime,
    #[asn1(optional = "true")]
    accuracy: Option<Accuracy>,
    #[asn1(default = "Default::default")]
    ordering: bool,
    #[asn1(optional = "true")]
    nonce: Option<Int>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    authority: Option<GeneralName>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    extensions: Option<Extensions>,
}

#[derive(Sequence)]
struct Response {
    status: Status,
    #[asn1(optional = "true")]
    token: Option<ContentInfo>,
}

#[derive(Sequence)]
struct Status {
    code: u8,
    #[asn1(optional = "true")]
    text: Option<Vec<Any>>,
    #[asn1(optional = "true")]
    failure: Option<der::asn1::BitString>,
}

/// `ESSCertIDv2` of the attribute that binds a token to its certificate.
#[derive(Sequence)]
struct SigningCertificate {
    certificates: Vec<CertificateId>,
    #[asn1(optional = "true")]
    policies: Option<Any>,
}

#[derive(Sequence)]
struct CertificateId {
    #[asn1(optional = "true")]
    hash_algorithm: Option<AlgorithmIdentifierOwned>,
    hash: OctetString,
    #[asn1(optional = "true")]
    issuer_serial: Option<Any>,
}

/// When something was signed, as an authority says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// In seconds since 1970.
    pub(crate) at: i64,
    /// How far it may be off, in whole seconds, rounded up.
    pub(crate) accuracy: i64,
}

impl Stamp {
    pub(crate) fn is_surely_within(self, certificate: &Certificate) -> bool {
        certificate.is_valid_at(self.at - self.accuracy)
            && certificate.is_valid_at(self.at + self.accuracy)
    }
}

/// Whose timestamps count: certificates of authorities, the nearest to the signer first, the last one trusted.
///
/// The first may be the signer's own; then no other signer counts.
pub(crate) fn verify_response(
    response: &[u8],
    message: &[u8],
    chain: &[Certificate],
) -> Result<Stamp, TimestampError> {
    let token = match Response::from_der(response) {
        Ok(Response {
            status: Status { code: 0 | 1, .. },
            token: Some(token),
        }) => token,
        Ok(_) => return Err(TimestampError::Shape("the timestamp was not granted")),
        Err(_) => ContentInfo::from_der(response).map_err(TimestampError::Malformed)?,
    };
    let token = Token::read(&token)?;
    let stamp = token.stamp(message)?;
    let own = chain.first().filter(|first| first.authority().is_none());
    let signer = match own {
        Some(own) => own.clone(),
        None => token.signer_certificate()?.clone(),
    };
    token.check_signature(&signer)?;
    let above = if own.is_some() { &chain[1..] } else { chain };
    check_path(&signer, above, stamp)?;
    Ok(stamp)
}

/// Checks a token that brings its own certificates against roots that are trusted.
pub(crate) fn verify_token(
    token: &[u8],
    message: &[u8],
    roots: &[Certificate],
) -> Result<Stamp, TimestampError> {
    let token = ContentInfo::from_der(token).map_err(TimestampError::Malformed)?;
    let token = Token::read(&token)?;
    let stamp = token.stamp(message)?;
    let signer = token.signer_certificate()?.clone();
    token.check_signature(&signer)?;
    let mut last = Err(TimestampError::NoCertificate);
    for root in roots {
        let mut chain: Vec<Certificate> = token
            .certificates
            .iter()
            .filter(|each| **each != signer && *each != root)
            .cloned()
            .collect();
        chain.push(root.clone());
        last = check_path(&signer, &chain, stamp);
        if last.is_ok() {
            break;
        }
    }
    last.map(|()| stamp)
}

fn check_path(
    signer: &Certificate,
    chain: &[Certificate],
    stamp: Stamp,
) -> Result<(), TimestampError> {
    match signer.purposes() {
        Some((true, purposes)) if purposes == [TIME_STAMPING] => {}
        _ => return Err(TimestampError::Purpose),
    }
    verify_path(signer, chain, TIME_STAMPING_DER, stamp.at).map_err(TimestampError::Certificate)
}

/// A signed timestamp, its one signature not looked at yet.
struct Token {
    info: TstInfo,
    content: Vec<u8>,
    signer: SignerInfo,
    certificates: Vec<Certificate>,
}

impl Token {
    fn read(content: &ContentInfo) -> Result<Self, TimestampError> {
        use TimestampError::{Malformed, Shape};
        if content.content_type != SIGNED_DATA {
            return Err(Shape("the timestamp is not signed data"));
        }
        let signed: SignedData = content.content.decode_as().map_err(Malformed)?;
        let inner = &signed.encap_content_info;
        let content = match &inner.econtent {
            Some(content) if inner.econtent_type == TST_INFO => {
                let bytes: OctetString = content.decode_as().map_err(Malformed)?;
                bytes.into_bytes()
            }
            _ => return Err(Shape("the timestamp holds no time")),
        };
        let mut signers = signed.signer_infos.0.iter();
        let (Some(signer), None) = (signers.next(), signers.next()) else {
            return Err(Shape("the timestamp must have one signature"));
        };
        let mut certificates = Vec::new();
        for each in signed.certificates.iter().flat_map(|set| set.0.iter()) {
            if let CertificateChoices::Certificate(each) = each {
                let der = each.to_der().map_err(Malformed)?;
                certificates
                    .push(Certificate::from_der(&der).map_err(TimestampError::Certificate)?);
            }
            if certificates.len() > MAX_CERTIFICATES {
                return Err(Shape("the timestamp holds too many certificates"));
            }
        }
        Ok(Self {
            info: TstInfo::from_der(&content).map_err(Malformed)?,
            content,
            signer: signer.clone(),
            certificates,
        })
    }

    /// Returns the time that it says, once it is about `message`.
    fn stamp(&self, message: &[u8]) -> Result<Stamp, TimestampError> {
        let TstInfo {
            version,
            policy,
            imprint,
            time,
            accuracy,
            ..
        } = &self.info;
        if *version != 1 {
            return Err(TimestampError::Shape(
                "timestamp token info version must be 1",
            ));
        }
        let hash = digest_of(imprint.hash_algorithm.oid)
            .ok_or(TimestampError::Shape("unrecognized hash algorithm"))?;
        if hash.of(message) != imprint.hashed_message.as_bytes() {
            return Err(TimestampError::OtherMessage);
        }
        let accuracy = match accuracy {
            Some(Accuracy {
                seconds,
                millis,
                micros,
            }) => seconds.unwrap_or(0) + u64::from(millis.is_some() || micros.is_some()),
            None => u64::from(*policy == BASELINE_POLICY),
        };
        let at = time.to_unix_duration().as_secs();
        let far = |_| TimestampError::Shape("the timestamp is out of range");
        Ok(Stamp {
            at: i64::try_from(at).map_err(far)?,
            accuracy: i64::try_from(accuracy.min(1 << 40)).map_err(far)?,
        })
    }

    /// Finds the certificate that the signature names.
    fn signer_certificate(&self) -> Result<&Certificate, TimestampError> {
        let SignerIdentifier::IssuerAndSerialNumber(wanted) = &self.signer.sid else {
            return Err(TimestampError::NoCertificate);
        };
        let mut found = self.certificates.iter().filter(|each| {
            let tbs = &each.parsed.tbs_certificate;
            tbs.issuer == wanted.issuer && tbs.serial_number == wanted.serial_number
        });
        found.next().ok_or(TimestampError::NoCertificate)
    }

    fn check_signature(&self, by: &Certificate) -> Result<(), TimestampError> {
        use TimestampError::Signature;
        let attributes = self.signer.signed_attrs.as_ref().ok_or(Signature)?;
        let digest = digest_of(self.signer.digest_alg.oid).ok_or(Signature)?;
        let content_type: ObjectIdentifier = one(attributes.iter(), CONTENT_TYPE)?;
        let message_digest: OctetString = one(attributes.iter(), MESSAGE_DIGEST)?;
        if content_type != TST_INFO || message_digest.as_bytes() != digest.of(&self.content) {
            return Err(Signature);
        }
        let named: SigningCertificate = one(attributes.iter(), SIGNING_CERTIFICATE_V2)?;
        let first = named.certificates.first().ok_or(Signature)?;
        let hash = match &first.hash_algorithm {
            Some(algorithm) => digest_of(algorithm.oid).ok_or(Signature)?,
            None => Hash::Sha256,
        };
        if hash.of(&by.der) != first.hash.as_bytes() {
            return Err(Signature);
        }
        let key = by.key().map_err(|_| Signature)?;
        let algorithm = self.signer.signature_algorithm.oid;
        let hash = match (algorithm, key.kind()) {
            (RSA_ENCRYPTION, Kind::Rsa(_)) => digest,
            (algorithm, kind) => hash_of(algorithm, kind).ok_or(Signature)?,
        };
        let signed = attributes.to_der().map_err(TimestampError::Malformed)?;
        let signature = self.signer.signature.as_bytes();
        let holds = key.verifies(hash, Form::Classic, &signed, signature);
        holds.then_some(()).ok_or(Signature)
    }
}

/// Returns the one value of an attribute that is there once.
fn one<'a, T: der::Choice<'a> + der::DecodeValue<'a>>(
    attributes: impl Iterator<Item = &'a Attribute>,
    id: ObjectIdentifier,
) -> Result<T, TimestampError> {
    let mut found = attributes.filter(|attribute| attribute.oid == id);
    let (Some(attribute), None) = (found.next(), found.next()) else {
        return Err(TimestampError::Signature);
    };
    let mut values = attribute.values.iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(TimestampError::Signature);
    };
    value.decode_as().map_err(TimestampError::Malformed)
}

fn digest_of(id: ObjectIdentifier) -> Option<Hash> {
    match id.to_string().as_str() {
        "2.16.840.1.101.3.4.2.1" => Some(Hash::Sha256),
        "2.16.840.1.101.3.4.2.2" => Some(Hash::Sha384),
        "2.16.840.1.101.3.4.2.3" => Some(Hash::Sha512),
        _ => None,
    }
}
