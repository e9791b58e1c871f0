//! The certificates of one control plane: one authority, a server, an administrator.

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

/// A certificate and its private key, both PEM.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// Everything a control plane needs. All keys are fresh; nothing is shared between two control planes.
#[derive(Debug)]
pub(super) struct Pki {
    /// The authority's certificate, PEM.
    pub(super) authority: String,
    pub(super) server: Pair,
    /// A client certificate in the group `system:masters`, which RBAC lets do everything.
    pub(super) admin: Pair,
    /// Signs service account tokens, PEM.
    pub(super) service_accounts_key: String,
    /// Checks them, PEM.
    pub(super) service_accounts_public: String,
}

impl Pki {
    pub(super) fn generate() -> Result<Self> {
        let authority = authority().context("making the certificate authority")?;
        let server = issue(&authority, "kube-apiserver", None, SERVER_NAMES, true)
            .context("making the API server's certificate")?;
        let admin = issue(
            &authority,
            "lockgate-admin",
            Some("system:masters"),
            &[],
            false,
        )
        .context("making the administrator's certificate")?;
        let service_accounts = KeyPair::generate().context("making the service account key")?;
        Ok(Self {
            authority: authority.pem(),
            server,
            admin,
            service_accounts_key: service_accounts.serialize_pem(),
            service_accounts_public: service_accounts.public_key_pem(),
        })
    }
}

const SERVER_NAMES: &[&str] = &[
    "127.0.0.1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
];

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Result<Authority, rcgen::Error> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "lockgate test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

fn issue(
    authority: &Authority,
    name: &str,
    group: Option<&str>,
    server_names: &[&str],
    server: bool,
) -> Result<Pair, rcgen::Error> {
    let names: Vec<String> = server_names.iter().copied().map(String::from).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(group) = group {
        params
            .distinguished_name
            .push(DnType::OrganizationName, group);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![if server {
        ExtendedKeyUsagePurpose::ServerAuth
    } else {
        ExtendedKeyUsagePurpose::ClientAuth
    }];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    Ok(Pair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}
