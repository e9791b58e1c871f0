//! One connection to a host, and one command on it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use russh::client::{self, Handle, Msg};
use russh::keys::ssh_key::{Algorithm, HashAlg};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, Preferred, SshId, kex};

use super::known_hosts::{HostKeyError, KnownHosts, algorithm, usual};
use super::{SshAccess, SshAddress, SshAlgorithms, SshError, socks};
use crate::Error;

/// How much of what a host says on the side is kept for a message.
const MAX_SAID: usize = 2048;
/// A silent connection ends after this time. Deadlines of runs are shorter or longer; this one is for what they left.
const MAX_SILENCE: Duration = Duration::from_mins(5);

/// Why a handshake ended, as russh carries it.
#[derive(Debug)]
pub(crate) enum Ended {
    Ssh(russh::Error),
    HostKey(HostKeyError),
}

impl From<russh::Error> for Ended {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl From<Ended> for SshError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Ssh(error) => error.into(),
            Ended::HostKey(error) => Self::HostKey(error),
        }
    }
}

/// Judges the host's key during the handshake.
pub(crate) struct Judge {
    known: KnownHosts,
    host: String,
    port: u16,
}

impl client::Handler for Judge {
    type Error = Ended;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Ended> {
        let judged = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                self.known.judge(&self.host, self.port, key)
            }
            PublicKeyOrCertificate::Certificate(certificate) => {
                self.known
                    .judge_certificate(&self.host, self.port, certificate)
            }
        };
        judged.map(|()| true).map_err(Ended::HostKey)
    }
}

/// An authenticated connection. It ends when its last user drops it.
pub(crate) struct Connection {
    handle: Handle<Judge>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects and logs in.
    pub(crate) async fn open(
        address: &SshAddress,
        access: &SshAccess,
        algorithms: &SshAlgorithms,
    ) -> Result<Self, SshError> {
        let known = KnownHosts::parse(&access.known_hosts).map_err(SshError::HostKey)?;
        let key = Arc::new(access.key()?);
        let config = client::Config {
            client_id: SshId::Standard(Cow::Borrowed(concat!(
                "SSH-2.0-lockgate_",
                env!("CARGO_PKG_VERSION")
            ))),
            inactivity_timeout: Some(MAX_SILENCE),
            preferred: preferred(address, &known, algorithms),
            nodelay: true,
            ..client::Config::default()
        };
        let stream = socks::connect(address, access.proxy.as_ref()).await?;
        let judge = Judge {
            known,
            host: address.host.clone(),
            port: address.port,
        };
        let mut handle = client::connect_stream(Arc::new(config), stream, judge).await?;
        let hash = match key.algorithm() {
            Algorithm::Rsa { .. } => {
                let best = handle.best_supported_rsa_hash().await?;
                best.unwrap_or(Some(HashAlg::Sha256))
            }
            _ => None,
        };
        let shown = PrivateKeyWithHashAlg::new(key, hash);
        let result = handle.authenticate_publickey(&address.user, shown).await?;
        if result.success() {
            Ok(Self { handle })
        } else {
            Err(SshError::Authentication)
        }
    }

    /// Starts a command.
    pub(crate) async fn run(self: &Arc<Self>, command: &str) -> Result<Session, SshError> {
        let channel = self.handle.channel_open_session().await?;
        // A host that does not let it through speaks an older version of the protocol.
        channel.set_env(false, "GIT_PROTOCOL", "version=2").await?;
        channel.exec(true, command).await?;
        Ok(Session {
            channel,
            connection: Arc::clone(self),
            said: Vec::new(),
            ended: false,
        })
    }
}

fn preferred(address: &SshAddress, known: &KnownHosts, algorithms: &SshAlgorithms) -> Preferred {
    let mut preferred = Preferred::DEFAULT;
    let wanted = algorithms.key_exchange.iter();
    let wanted: Vec<kex::Name> = wanted
        .filter_map(|name| kex::Name::try_from(name.as_str()).ok())
        .collect();
    if !wanted.is_empty() {
        let markers = [
            kex::EXTENSION_SUPPORT_AS_CLIENT,
            kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
        ];
        preferred.kex = Cow::Owned([&wanted[..], &markers].concat());
    }
    let asked = algorithms.host_keys.iter();
    let asked: Vec<Algorithm> = asked.filter_map(|name| algorithm(name)).collect();
    let mut keys = if asked.is_empty() {
        known.algorithms(&address.host, address.port)
    } else {
        asked
    };
    if keys.is_empty() {
        keys = usual();
    }
    preferred.key = Cow::Owned(keys);
    if known.has_authority(&address.host, address.port) {
        preferred.host_key_certificates = Cow::Owned(usual());
    }
    preferred
}

/// A command that runs on a host.
pub(crate) struct Session {
    channel: Channel<Msg>,
    connection: Arc<Connection>,
    said: Vec<u8>,
    ended: bool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// Returns the connection, for another command.
    pub(crate) fn connection(&self) -> Arc<Connection> {
        Arc::clone(&self.connection)
    }

    /// Waits for more of what the command prints; `None` once it ended well.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        while !self.ended {
            match self.channel.wait().await {
                Some(ChannelMsg::Data { data }) => return Ok(Some(data)),
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    let room = MAX_SAID - self.said.len();
                    self.said.extend_from_slice(&data[..data.len().min(room)]);
                }
                Some(ChannelMsg::Failure) => {
                    self.ended = true;
                    return Err(SshError::Protocol("the host refuses to run Git".into()).into());
                }
                Some(ChannelMsg::ExitStatus { exit_status }) if exit_status != 0 => {
                    self.ended = true;
                    return Err(self.refusal());
                }
                // The status comes behind the end of the output.
                Some(ChannelMsg::Close) | None => self.ended = true,
                Some(_) => {}
            }
        }
        if self.said.is_empty() {
            Ok(None)
        } else {
            Err(self.refusal())
        }
    }

    /// Sends something to the command.
    pub(crate) async fn send(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
        let sent = self.channel.data_bytes(bytes).await;
        sent.map_err(|error| Error::Ssh(error.into()))
    }

    /// Lets the command end.
    pub(crate) async fn close(self) {
        // The host ends it anyway when the connection goes.
        self.channel.close().await.ok();
    }

    /// Reads what the host said when it refused.
    fn refusal(&self) -> Error {
        let said = String::from_utf8_lossy(&self.said);
        let said = said.trim().to_owned();
        let lower = said.to_lowercase();
        let missing = [
            "not found",
            "does not appear to be a git repository",
            "does not exist",
            "not a git repository",
        ];
        if missing.iter().any(|words| lower.contains(words)) {
            Error::NotFound(said)
        } else if said.is_empty() {
            Error::NotGit("the answer breaks off")
        } else {
            Error::Remote(said)
        }
    }
}
