//! Trust and identity: the system's roots, loaded when first needed and shared, plus the CA of one configuration.

use std::sync::{Arc, LazyLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::ConfigError;

/// A client certificate and its key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The certificate chain, PEM.
    pub certificate: Vec<u8>,
    /// The private key, PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(..)")
    }
}

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(ring::default_provider()));

/// The roots of the operating system, or of `SSL_CERT_FILE` and `SSL_CERT_DIR`. `None` where there is none.
static SYSTEM: LazyLock<Option<Arc<WebPkiServerVerifier>>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    verifier(roots).ok()
});

fn verifier(roots: RootCertStore) -> Result<Arc<WebPkiServerVerifier>, ConfigError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), PROVIDER.clone())
        .build()
        .map_err(|_| ConfigError::NoCertificateAuthority)
}

pub(crate) fn config(
    certificate_authority: Option<&[u8]>,
    identity: Option<&Identity>,
    trust: Trust,
) -> Result<rustls::ClientConfig, ConfigError> {
    let own = certificate_authority.map(own_roots).transpose()?;
    let builder = rustls::ClientConfig::builder_with_provider(PROVIDER.clone())
        .with_safe_default_protocol_versions()
        .map_err(ConfigError::Identity)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { own, trust }));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = certificates(&identity.certificate);
            if chain.is_empty() {
                return Err(ConfigError::NoCertificate);
            }
            let key =
                PrivateKeyDer::from_pem_slice(&identity.key).map_err(|_| ConfigError::NoKey)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(ConfigError::Identity)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn own_roots(pem: &[u8]) -> Result<Arc<WebPkiServerVerifier>, ConfigError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(pem));
    verifier(roots)
}

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem)
        .filter_map(Result::ok)
        .collect()
}

/// Which servers are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Those that an authority vouches for.
    Authorities,
    /// All.
    Anyone,
}

/// Accepts what the configuration's own CA signed, and what the system's roots signed.
#[derive(Debug)]
struct Verifier {
    own: Option<Arc<WebPkiServerVerifier>>,
    trust: Trust,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.trust == Trust::Anyone {
            return Ok(ServerCertVerified::assertion());
        }
        let verify = |by: &Arc<WebPkiServerVerifier>| {
            by.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        match self.own.as_ref().map(verify) {
            Some(Ok(verified)) => return Ok(verified),
            Some(Err(error)) if !is_of_another_issuer(&error) => return Err(error),
            Some(Err(_)) | None => {}
        }
        SYSTEM.as_ref().map_or(Err(unknown), verify)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &PROVIDER.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &PROVIDER.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Says whether a certificate is of an authority that is not among those asked, or of one that only has the name of one
/// that is, as after a change of its key.
fn is_of_another_issuer(error: &rustls::Error) -> bool {
    matches!(
        error,
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature
        )
    )
}

/// Returns the text of a TLS error, for refused certificates in the words that users of Go programs search for.
pub(crate) fn explain(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(reason) = error else {
        return format!("tls: {error}");
    };
    let reason = match reason {
        // A bad signature: an authority of the right name and another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "certificate signed by unknown authority".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate is not yet valid".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "certificate is not valid for this host name".to_owned()
        }
        other => other.to_string(),
    };
    format!("tls: failed to verify certificate: x509: {reason}")
}
