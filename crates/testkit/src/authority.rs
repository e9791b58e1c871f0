//! A certificate authority of a test's own.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::supervisor::ScratchFolder;

/// A certificate authority that nobody trusts unless told to. All its keys are fresh.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its private key, both PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate, PEM.
    pub certificate: String,
    /// The private key, PEM (PKCS #8).
    pub key: String,
}

impl Identity {
    /// Writes both into files of a folder and returns where they are: certificate and key.
    pub(crate) fn save(&self, folder: &ScratchFolder) -> Result<(PathBuf, PathBuf)> {
        let write = |name: &str, text: &str| -> Result<PathBuf> {
            let path = folder.path().join(name);
            fs::write(&path, text).context("writing an identity")?;
            Ok(path)
        };
        Ok((
            write("tls.crt", &self.certificate)?,
            write("tls.key", &self.key)?,
        ))
    }
}

impl Authority {
    /// Makes a new authority.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "lockgate test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let key = KeyPair::generate().context("making an authority's key")?;
        let issuer = CertifiedIssuer::self_signed(params, key)
            .context("making an authority's certificate")?;
        Ok(Self { issuer })
    }

    /// Returns the authority's certificate, PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Issues a certificate for a server that is reached by `names` (host names or IP addresses).
    ///
    /// # Errors
    /// When a name is not one.
    pub fn server(&self, names: &[&str]) -> Result<Identity> {
        let names: Vec<String> = names.iter().copied().map(String::from).collect();
        let mut params = CertificateParams::new(names).context("naming a server")?;
        params.distinguished_name.push(DnType::CommonName, "server");
        self.issue(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// Issues a certificate for a client called `name`, a member of `group`: a user and a group to Kubernetes.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn client(&self, name: &str, group: Option<&str>) -> Result<Identity> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        if let Some(group) = group {
            params
                .distinguished_name
                .push(DnType::OrganizationName, group);
        }
        self.issue(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(
        &self,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Identity> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().context("making a key")?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .context("issuing a certificate")?;
        Ok(Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    /// Returns the TLS settings of a loopback server; with `demand_client` it serves only clients that show a
    /// certificate of this authority.
    pub(crate) fn tls(&self, demand_client: bool) -> Result<Arc<ServerConfig>> {
        // Another part of the process may have chosen a provider already; any does.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let identity = self.server(&["127.0.0.1", "localhost"])?;
        let builder = ServerConfig::builder();
        let builder = if demand_client {
            let mut roots = RootCertStore::empty();
            roots
                .add(self.issuer.der().clone())
                .context("trusting the authority")?;
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
            builder.with_client_cert_verifier(verifier.context("checking client certificates")?)
        } else {
            builder.with_no_client_auth()
        };
        let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes())?;
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?;
        let config = builder
            .with_single_cert(vec![certificate], key)
            .context("setting up TLS")?;
        Ok(Arc::new(config))
    }
}
