//! TCP to a host, directly or through a SOCKS 5 proxy.
//!
//! Source: RFC 1928, RFC 1929.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{SocksProxy, SshAddress, SshError};

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 2;
const CONNECT: u8 = 1;
const DOMAIN: u8 = 3;

/// Connects to the host.
pub(super) async fn connect(
    address: &SshAddress,
    proxy: Option<&SocksProxy>,
) -> Result<TcpStream, SshError> {
    let Some(proxy) = proxy else {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await;
        return stream.map_err(|source| failed(address.authority(), source));
    };
    let stream = TcpStream::connect(&proxy.address).await;
    let mut stream = stream.map_err(|source| failed(proxy.address.clone(), source))?;
    let asked = ask(&mut stream, address, proxy).await;
    match asked.map_err(|source| failed(proxy.address.clone(), source))? {
        None => Ok(stream),
        Some(refusal) => Err(SshError::Proxy(refusal)),
    }
}

fn failed(host: String, source: io::Error) -> SshError {
    SshError::Connect { host, source }
}

/// Asks the proxy to connect. Returns why it does not.
async fn ask(
    stream: &mut TcpStream,
    address: &SshAddress,
    proxy: &SocksProxy,
) -> io::Result<Option<&'static str>> {
    let method = if proxy.credentials.is_some() {
        PASSWORD
    } else {
        NO_AUTHENTICATION
    };
    stream.write_all(&[VERSION, 1, method]).await?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await?;
    if chosen != [VERSION, method] {
        return Ok(Some("it wants another way of authentication"));
    }
    if let Some((user, password)) = &proxy.credentials {
        let mut login = vec![1];
        for text in [user, password] {
            let Ok(length) = u8::try_from(text.len()) else {
                return Ok(Some("user name or password are too long"));
            };
            login.push(length);
            login.extend_from_slice(text.as_bytes());
        }
        stream.write_all(&login).await?;
        let mut result = [0; 2];
        stream.read_exact(&mut result).await?;
        if result[1] != 0 {
            return Ok(Some("it does not accept user name and password"));
        }
    }
    let Ok(length) = u8::try_from(address.host.len()) else {
        return Ok(Some("the host's name is too long"));
    };
    let mut request = vec![VERSION, CONNECT, 0, DOMAIN, length];
    request.extend_from_slice(address.host.as_bytes());
    request.extend_from_slice(&address.port.to_be_bytes());
    stream.write_all(&request).await?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    if head[1] != 0 {
        return Ok(Some("the host cannot be reached from it"));
    }
    // The address that it connected from is of no interest.
    let rest = match head[3] {
        1 => 4,
        4 => 16,
        DOMAIN => usize::from(stream.read_u8().await?),
        _ => return Ok(Some("its answer cannot be read")),
    };
    stream.read_exact(&mut vec![0; rest + 2]).await?;
    Ok(None)
}
