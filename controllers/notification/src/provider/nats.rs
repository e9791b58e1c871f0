//! NATS: the event to a subject, over a connection of its own.
//!
//! Source: <https://docs.nats.io/reference/reference-protocols/nats-protocol>;
//! notification-controller v1.9.3 `internal/notifier/nats.go`.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::future::BoxFuture;
use ring::signature::Ed25519KeyPair;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{Boxed, BuildError, Notice, Notifier, SendError, Settings};

const PORT: u16 = 4222;
/// The longest line that a server sends.
const MAX_LINE: u64 = 64 << 10;
/// The prefix byte of the seed of a key, and that of a user's.
const SEED: u8 = 18 << 3;

/// Anything that bytes go over.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

#[derive(Debug)]
struct Nats {
    host: String,
    port: u16,
    tls: bool,
    subject: String,
    login: Login,
    authority: Option<Vec<u8>>,
}

/// Who connects, most telling first.
enum Login {
    /// A token signed by an operator, and the key that it is about.
    Credentials(String, Ed25519KeyPair),
    /// A key whose public part the server knows.
    Key(String, Ed25519KeyPair),
    User(String, String),
    Token(String),
    Nobody,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Credentials(..) => "Credentials",
            Self::Key(..) => "Key",
            Self::User(..) => "User",
            Self::Token(_) => "Token",
            Self::Nobody => "Nobody",
        })
    }
}

pub(super) fn build(settings: &Arc<Settings>) -> Result<Boxed, BuildError> {
    let credentials = settings.secret_text("creds");
    let seed = settings.secret_text("nkey");
    let login = if !credentials.trim().is_empty() {
        let (token, pair) = credentials_of(&credentials)?;
        Some(Login::Credentials(token, pair))
    } else if !seed.trim().is_empty() {
        let (public, pair) = key_of(seed.trim())?;
        Some(Login::Key(public, pair))
    } else if !settings.username.is_empty() && !settings.password.is_empty() {
        Some(Login::User(
            settings.username.clone(),
            settings.password.clone(),
        ))
    } else {
        None
    };
    let mut nats = Nats::new(&settings.address, &settings.channel, login)?;
    nats.authority.clone_from(&settings.certificate_authority);
    Ok(Box::new(nats))
}

impl Nats {
    fn new(address: &str, subject: &str, login: Option<Login>) -> Result<Self, BuildError> {
        let wrong = || BuildError::new("invalid NATS server address");
        if address.is_empty() {
            return Err(BuildError::new("NATS server (address) cannot be empty"));
        }
        if subject.is_empty() {
            return Err(BuildError::new("NATS subject (channel) cannot be empty"));
        }
        if subject.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(BuildError::new(
                "NATS subject (channel) must not have blanks",
            ));
        }
        let full = if address.contains("://") {
            address.to_owned()
        } else {
            format!("nats://{address}")
        };
        let url = url::Url::parse(&full).map_err(|_| wrong())?;
        let host = url.host_str().filter(|h| !h.is_empty()).ok_or_else(wrong)?;
        let of_url = match (url.username(), url.password()) {
            ("", _) => None,
            (token, None) => Some(Login::Token(token.to_owned())),
            (user, Some(password)) => Some(Login::User(user.to_owned(), password.to_owned())),
        };
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(PORT),
            tls: url.scheme() == "tls",
            subject: subject.to_owned(),
            login: login.or(of_url).unwrap_or(Login::Nobody),
            authority: None,
        })
    }

    async fn publish(&self, payload: &[u8]) -> Result<(), SendError> {
        let stream = self.connect().await?;
        let mut plain = BufReader::new(Box::new(stream) as Box<dyn Wire>);
        let info: Info = match line(&mut plain).await?.strip_prefix("INFO ") {
            Some(text) => serde_json::from_str(text.trim())
                .map_err(|_| SendError::failed("the server's greeting cannot be read"))?,
            None => return Err(SendError::failed("the server does not greet as NATS does")),
        };
        let mut wire = if self.tls || info.tls_required {
            BufReader::new(self.encrypt(plain.into_inner()).await?)
        } else {
            plain
        };
        let mut message = format!("CONNECT {}\r\n", self.introduction(&info)).into_bytes();
        message.extend(format!("PUB {} {}\r\n", self.subject, payload.len()).bytes());
        message.extend(payload);
        message.extend(b"\r\nPING\r\n");
        wire.write_all(&message).await.map_err(broken)?;
        wire.flush().await.map_err(broken)?;
        // The answer to the ping comes after everything before it was taken.
        loop {
            let text = line(&mut wire).await?;
            match text.split_whitespace().next().unwrap_or_default() {
                "PONG" => return Ok(()),
                "PING" => wire.write_all(b"PONG\r\n").await.map_err(broken)?,
                "-ERR" => {
                    let cause = text.trim_start_matches("-ERR").trim().trim_matches('\'');
                    return Err(SendError::rejected(format!("nats: {cause}")));
                }
                "INFO" | "+OK" => {}
                _ => return Err(SendError::failed("the server does not answer as NATS does")),
            }
        }
    }

    async fn connect(&self) -> Result<TcpStream, SendError> {
        let host = (self.host.as_str(), self.port);
        let found = tokio::net::lookup_host(host).await;
        let found = found.map_err(|error| SendError::failed(format!("nats: {error}")))?;
        let (forbidden, allowed): (Vec<_>, Vec<_>) =
            found.partition(|a| net_http::is_metadata_address(a.ip()));
        if allowed.is_empty() && !forbidden.is_empty() {
            return Err(SendError::rejected("nats: it is a metadata address"));
        }
        let stream = TcpStream::connect(&allowed[..]).await;
        stream.map_err(|error| SendError::failed(format!("nats: cannot connect: {error}")))
    }

    async fn encrypt(&self, wire: Box<dyn Wire>) -> Result<Box<dyn Wire>, SendError> {
        let mut roots = rustls::RootCertStore::empty();
        if let Some(pem) = &self.authority {
            let own = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
            roots.add_parsable_certificates(own);
        } else {
            let system = rustls_native_certs::load_native_certs().certs;
            roots.add_parsable_certificates(system);
        }
        let config = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(self.host.clone())
            .map_err(|_| SendError::rejected("nats: the host is no name"))?;
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, wire).await;
        let stream = stream.map_err(|error| SendError::failed(format!("nats: {error}")))?;
        Ok(Box::new(stream))
    }

    fn introduction(&self, info: &Info) -> Value {
        let mut own = json!({ "verbose": false, "pedantic": false, "lang": "rust",
            "version": env!("CARGO_PKG_VERSION"), "name": "NATS Provider Publisher",
            "protocol": 1, "tls_required": self.tls });
        let sign = |pair: &Ed25519KeyPair| {
            URL_SAFE_NO_PAD.encode(pair.sign(info.nonce.as_bytes()).as_ref())
        };
        let more: Map<String, Value> = match &self.login {
            Login::Credentials(token, pair) => pairs([("jwt", token), ("sig", &sign(pair))]),
            Login::Key(public, pair) => pairs([("nkey", public), ("sig", &sign(pair))]),
            Login::User(user, password) => pairs([("user", user), ("pass", password)]),
            Login::Token(token) => pairs([("auth_token", token)]),
            Login::Nobody => Map::new(),
        };
        if let Some(own) = own.as_object_mut() {
            own.extend(more);
        }
        own
    }
}

#[derive(Debug, Deserialize)]
struct Info {
    #[serde(default)]
    nonce: String,
    #[serde(default)]
    tls_required: bool,
}

fn pairs<const N: usize>(pairs: [(&str, &String); N]) -> Map<String, Value> {
    let pair = |(key, value): (&str, &String)| (key.to_owned(), Value::from(value.as_str()));
    pairs.into_iter().map(pair).collect()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err calls"
)]
fn broken(error: std::io::Error) -> SendError {
    SendError::failed(format!("nats: {error}"))
}

async fn line(wire: &mut BufReader<Box<dyn Wire>>) -> Result<String, SendError> {
    let mut text = String::new();
    let mut bounded = (&mut *wire).take(MAX_LINE);
    bounded.read_line(&mut text).await.map_err(broken)?;
    if text.is_empty() {
        return Err(SendError::failed("nats: the server closed the connection"));
    }
    Ok(text)
}

/// Reads a credentials file: a token and a seed, each between its own lines.
fn credentials_of(text: &str) -> Result<(String, Ed25519KeyPair), BuildError> {
    let between = |what: &str| {
        let begin = text
            .lines()
            .position(|l| l.contains(&format!("BEGIN {what}")))?;
        let line = text
            .lines()
            .skip(begin + 1)
            .map(str::trim)
            .find(|l| !l.is_empty())?;
        Some(line.to_owned())
    };
    let wrong = || BuildError::new("failed to parse NATS credentials");
    let token = between("NATS USER JWT").ok_or_else(wrong)?;
    let seed = between("USER NKEY SEED").ok_or_else(wrong)?;
    Ok((token, key_of(&seed)?.1))
}

/// Reads the seed of a key. Returns also the public part as NATS writes it.
fn key_of(seed: &str) -> Result<(String, Ed25519KeyPair), BuildError> {
    use ring::signature::KeyPair;
    let wrong = || BuildError::new("failed to parse NATS NKey seed");
    let raw = base32_decode(seed).ok_or_else(wrong)?;
    let (body, sum) = raw
        .split_at_checked(raw.len().saturating_sub(2))
        .ok_or_else(wrong)?;
    if body.len() != 34 || crc16(body).to_le_bytes() != sum || body[0] & 0xf8 != SEED {
        return Err(wrong());
    }
    let kind = ((body[0] & 7) << 5) | ((body[1] & 0xf8) >> 3);
    let pair = Ed25519KeyPair::from_seed_unchecked(&body[2..]).map_err(|_| wrong())?;
    let mut public = vec![kind];
    public.extend(pair.public_key().as_ref());
    public.extend(crc16(&public).to_le_bytes());
    Ok((base32_encode(&public), pair))
}

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32_decode(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut held, mut out) = (0_u32, 0_u32, Vec::new());
    for c in text.trim().bytes() {
        let value = ALPHABET.iter().position(|a| *a == c)?;
        held = (held << 5) | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from((held >> bits) & 0xff).ok()?);
        }
        held &= (1 << bits) - 1;
    }
    Some(out)
}

fn base32_encode(bytes: &[u8]) -> String {
    let (mut bits, mut held, mut out) = (0_u32, 0_u32, String::new());
    let symbol = |value: u32| char::from(ALPHABET[(value & 31) as usize]);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(symbol(held >> bits));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(symbol(held << (5 - bits)));
    }
    out
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ (u16::from(*byte) << 8), |sum, _| {
            if sum & 0x8000 == 0 {
                sum << 1
            } else {
                (sum << 1) ^ 0x1021
            }
        })
    })
}

impl Notifier for Nats {
    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(async move {
            let payload = notice.event.to_json();
            let what = format!("error publishing event to subject {}", self.subject);
            let sent = self.publish(payload.as_bytes()).await;
            sent.map_err(|error| error.within(&what))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification of NKeys.
    ///
    /// Source: <https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/nkey_auth>
    #[test]
    fn public_part_of_a_seed_is_the_servers_own_word_for_it() {
        let seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
        let (public, _) = key_of(seed).unwrap();
        assert_eq!(
            public,
            "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"
        );
        assert!(key_of(&seed.replace('Q', "R")).is_err());
        assert!(key_of("").is_err());
    }

    /// covers: NC-085
    #[test]
    fn server_and_subject_have_to_be_there() {
        let error = |address, subject| Nats::new(address, subject, None).unwrap_err().to_string();
        assert_eq!(error("", "s"), "NATS server (address) cannot be empty");
        assert_eq!(
            error("nats://h", ""),
            "NATS subject (channel) cannot be empty"
        );
        assert!(error("nats://h", "a\r\nPUB b").contains("blanks"));
        let nats = Nats::new("h:4333", "s", None).unwrap();
        assert_eq!(
            (nats.host.as_str(), nats.port, nats.tls),
            ("h", 4333, false)
        );
        let own = Nats::new("nats://u:p@h", "s", None).unwrap();
        assert!(matches!(own.login, Login::User(..)));
    }
}
