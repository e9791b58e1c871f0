//! Who signed, as a certificate says, and who may.

use der::asn1::{Ia5StringRef, ObjectIdentifier, Utf8StringRef};
use der::{Decode, Encode};
use go::regexp::Regexp;
use x509_cert::ext::pkix::name::GeneralName;

use crate::certificate::Certificate;

const ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.1");
const ISSUER_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.8");
const USER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");

/// Who may sign.
#[derive(Clone, Debug)]
pub struct Identity {
    issuer: Regexp,
    subject: Regexp,
}

/// Why an identity is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The pattern of the issuer cannot be read.
    #[error("malformed issuer in identity")]
    Issuer(#[source] go::regexp::SyntaxError),
    /// The pattern of the subject cannot be read.
    #[error("malformed subject in identity")]
    Subject(#[source] go::regexp::SyntaxError),
}

impl Identity {
    /// Returns the identity that two patterns of Go's make, neither of them anchored.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn new(issuer: &str, subject: &str) -> Result<Self, IdentityError> {
        Ok(Self {
            issuer: Regexp::new(issuer).map_err(IdentityError::Issuer)?,
            subject: Regexp::new(subject).map_err(IdentityError::Subject)?,
        })
    }

    pub(super) fn matches(&self, signer: &Signer) -> bool {
        let mut subjects = signer.subjects.iter();
        self.issuer.is_match(signer.issuer.as_bytes())
            && subjects.any(|subject| self.subject.is_match(subject.as_bytes()))
    }
}

/// Who a certificate was given to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signer {
    pub(super) issuer: String,
    pub(super) subjects: Vec<String>,
}

impl Signer {
    pub(super) fn of(certificate: &Certificate) -> Self {
        let value = |id| {
            let extension = certificate.extension(id)?;
            Some(extension.extn_value.as_bytes())
        };
        let newer = value(ISSUER_V2).and_then(|der| {
            let text = Utf8StringRef::from_der(der).ok()?;
            Some(text.as_str().to_owned())
        });
        // The older extension holds the bare text.
        let older = || value(ISSUER).map(|text| String::from_utf8_lossy(text).into_owned());
        let names = certificate.alternative_names();
        Self {
            issuer: newer.or_else(older).unwrap_or_default(),
            subjects: names.iter().filter_map(name).collect(),
        }
    }
}

fn name(name: &GeneralName) -> Option<String> {
    let text = |text: &der::asn1::Ia5String| {
        let der = text.to_der().ok()?;
        let text = Ia5StringRef::from_der(&der).ok()?;
        Some(text.as_str().to_owned())
    };
    match name {
        GeneralName::Rfc822Name(name)
        | GeneralName::DnsName(name)
        | GeneralName::UniformResourceIdentifier(name) => text(name),
        GeneralName::OtherName(other) if other.type_id == USER_NAME => {
            let value: Utf8StringRef<'_> = other.value.decode_as().ok()?;
            Some(value.as_str().to_owned())
        }
        _ => None,
    }
}
