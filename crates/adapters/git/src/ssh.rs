//! Git over SSH: one connection per remote, keys and known hosts from memory, no file of the machine.

mod address;
mod known_hosts;
mod session;
mod socks;

pub use self::address::SshAddress;
pub(crate) use self::session::{Connection, Session};

use std::fmt;
use std::sync::Arc;

use russh::kex;
use russh::keys::ssh_key::PrivateKey;

use self::known_hosts::HostKeyError;

/// What a user shows and trusts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SshAccess {
    /// The private key: OpenSSH, PKCS #1, PKCS #8 or SEC 1, PEM.
    pub identity: String,
    /// What the private key is encrypted with.
    pub passphrase: Option<String>,
    /// The keys of hosts, as OpenSSH's `known_hosts` file has them.
    pub known_hosts: String,
    /// The proxy; absent: none.
    pub proxy: Option<SocksProxy>,
}

impl fmt::Debug for SshAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshAccess").finish_non_exhaustive()
    }
}

impl SshAccess {
    /// Returns whether the private key needs a passphrase.
    pub fn is_encrypted(&self) -> bool {
        if self.identity.contains("BEGIN ENCRYPTED PRIVATE KEY")
            || self.identity.contains("Proc-Type: 4,ENCRYPTED")
        {
            return true;
        }
        PrivateKey::from_openssh(self.identity.trim()).is_ok_and(|key| key.is_encrypted())
    }

    fn key(&self) -> Result<PrivateKey, SshError> {
        let passphrase = self.passphrase.as_deref().filter(|text| !text.is_empty());
        russh::keys::decode_secret_key(&self.identity, passphrase).map_err(|_| SshError::Identity)
    }
}

/// A SOCKS 5 proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct SocksProxy {
    /// `host:port`.
    pub address: String,
    /// User name and password.
    pub credentials: Option<(String, String)>,
}

impl fmt::Debug for SocksProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SocksProxy").field(&self.address).finish()
    }
}

/// Which algorithms are offered. Empty lists mean the usual ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshAlgorithms {
    /// Of the key exchange, most wanted first.
    pub key_exchange: Vec<String>,
    /// Of the host's key, most wanted first.
    pub host_keys: Vec<String>,
}

impl SshAlgorithms {
    /// Returns the names that are not known here.
    pub fn unknown(&self) -> Vec<&str> {
        let exchanges = self.key_exchange.iter().map(String::as_str);
        let exchanges = exchanges.filter(|name| kex::Name::try_from(*name).is_err());
        let keys = self.host_keys.iter().map(String::as_str);
        let keys = keys.filter(|name| known_hosts::algorithm(name).is_none());
        exchanges.chain(keys).collect()
    }
}

/// Why no SSH session could be had, in the words that users of upstream search for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SshError {
    /// The remote has no keys.
    #[error("no SSH credentials")]
    NoCredentials,
    /// The private key cannot be read, or not with this passphrase.
    #[error("ssh: private key cannot be read")]
    Identity,
    /// The host cannot be reached.
    #[error("cannot connect to {host}")]
    Connect {
        /// Host and port.
        host: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The proxy does not lead there.
    #[error("proxy refused to connect: {0}")]
    Proxy(&'static str),
    /// The host shows a key that is not trusted.
    #[error("ssh: handshake failed: {0}")]
    HostKey(HostKeyError),
    /// Nothing in common.
    #[error(
        "ssh: handshake failed: ssh: no common algorithm for {kind}; client offered: {ours:?}, server offered: {theirs:?}"
    )]
    NoCommonAlgorithm {
        /// For what.
        kind: &'static str,
        /// What we offered.
        ours: Vec<String>,
        /// What the server offered.
        theirs: Vec<String>,
    },
    /// The key is not accepted.
    #[error(
        "ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain"
    )]
    Authentication,
    /// Anything else in SSH's own protocol.
    #[error("ssh: {0}")]
    Protocol(String),
}

impl From<russh::Error> for SshError {
    fn from(error: russh::Error) -> Self {
        match error {
            russh::Error::NoCommonAlgo { kind, ours, theirs } => Self::NoCommonAlgorithm {
                kind: match kind {
                    russh::AlgorithmKind::Kex => "key exchange",
                    russh::AlgorithmKind::Key => "host key",
                    russh::AlgorithmKind::Cipher => "cipher",
                    russh::AlgorithmKind::Compression => "compression",
                    russh::AlgorithmKind::Mac => "MAC",
                },
                ours: ours.into_iter().filter(|name| !is_marker(name)).collect(),
                theirs,
            },
            error => Self::Protocol(error.to_string()),
        }
    }
}

/// Whether the name stands among the key exchanges and is none.
fn is_marker(name: &str) -> bool {
    name.starts_with("ext-info-") || name.starts_with("kex-strict-")
}

/// A connection that a later request may go on with. All are equal, so that what holds one can be compared.
#[derive(Clone, Default)]
pub(crate) struct Kept(pub(crate) Option<Arc<Connection>>);

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kept").field(&self.0.is_some()).finish()
    }
}

impl PartialEq for Kept {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Kept {}
