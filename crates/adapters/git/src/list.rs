//! What a server has: its references, all of them or those that matter.

mod advertised;

use std::sync::Arc;

use bytes::Bytes;
use net_http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use select::reference::Ref;
use tokio::time::{Instant, timeout_at};

pub(crate) use self::advertised::{Advertised, Protocol};
use self::advertised::{malformed, ref_line};
use crate::incoming::{Incoming, Source};
use crate::packet;
use crate::ssh::{Connection, Kept, SshAddress};
use crate::{Error, Git, Phase, Remote, SshError, with_accept};

const SERVICE: &str = "info/refs?service=git-upload-pack";
const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
const COMMAND: &str = "git-upload-pack";
/// How we call ourselves.
pub(crate) const AGENT: &str = concat!("agent=lockgate/", env!("CARGO_PKG_VERSION"));

/// The references of a repository and what its server can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The references in the server's order. Servers that can tell them apart list only those that were asked for;
    /// none means that the repository has none at all.
    pub refs: Vec<Ref>,
    pub(crate) server: Arc<Advertised>,
    /// The connection of the listing, for the fetch.
    pub(crate) kept: Kept,
}

impl Listing {
    pub(crate) fn can(&self, capability: &str) -> bool {
        self.server.can(capability)
    }

    /// Returns a listing of the same server without references.
    fn of(server: Arc<Advertised>) -> Self {
        Self {
            server,
            ..Self::default()
        }
    }
}

impl Git {
    /// Asks the server for its references: those whose full names start with one of `prefixes`, or all where there is
    /// no prefix or the server cannot tell them apart.
    ///
    /// # Errors
    /// [`Error`], with [`Error::Deadline`] where no whole answer came until `deadline`.
    pub async fn list(
        &self,
        remote: &Remote,
        prefixes: &[String],
        deadline: Instant,
    ) -> Result<Listing, Error> {
        let turn = timeout_at(deadline, self.hosts.turn(&remote.url)).await;
        let _turn = turn.map_err(|_| Error::Deadline(Phase::Waiting))?;
        let listing = async {
            let asked = Instant::now();
            let mut listing = self.list_once(remote, prefixes).await?;
            if listing.refs.is_empty() && !prefixes.is_empty() {
                // Nothing of what was asked for, or nothing at all: these are different troubles.
                listing = self.list_once(remote, &[]).await?;
            }
            // Over SSH a listing holds the connection that it came by.
            if remote.is_http() {
                self.remotes.get(remote).heard(&listing, prefixes, asked);
            }
            Ok(listing)
        };
        match timeout_at(deadline, listing).await {
            Ok(result) => result,
            Err(_) => Err(Error::Deadline(Phase::Listing)),
        }
    }

    /// Returns what the server said of the same references to whoever asked for them at `since` or later, with the same
    /// credentials; otherwise asks as [`Git::list`] does. Several that poll one remote are served by one request so.
    ///
    /// # Errors
    /// Those of [`Git::list`].
    pub async fn list_since(
        &self,
        remote: &Remote,
        prefixes: &[String],
        (since, deadline): (Instant, Instant),
    ) -> Result<Listing, Error> {
        match self.remotes.get(remote).listed(prefixes, since) {
            Some(listing) => Ok(listing),
            None => self.list(remote, prefixes, deadline).await,
        }
    }

    pub(crate) async fn list_once(
        &self,
        remote: &Remote,
        prefixes: &[String],
    ) -> Result<Listing, Error> {
        if remote.is_http() {
            self.list_http(remote, prefixes).await
        } else {
            self.list_ssh(remote, prefixes).await
        }
    }

    async fn list_http(&self, remote: &Remote, prefixes: &[String]) -> Result<Listing, Error> {
        let known = self.remotes.get(remote);
        if let Some(server) = known.server() {
            // What it can do was asked before. Should that be wrong by now, it is asked again.
            if let Ok(listing) = self.list_refs_http(remote, server, prefixes).await {
                return Ok(listing);
            }
            known.forget_server();
        }
        let asked = format!("{}/{SERVICE}", remote.base());
        let request = Request::get(&asked).auth(remote.auth.clone());
        let request = with_accept(with_protocol(request), "*/*");
        let answer = self.client(remote)?.send(request).await;
        let answer = answer.map_err(Error::Http)?;
        if answer.status() != StatusCode::OK {
            return Err(Error::from_answer(answer).await);
        }
        if !is_git(answer.headers()) {
            return Err(Error::NotGit(
                "the list of references has another content type",
            ));
        }
        let redirected = answer
            .url()
            .strip_suffix(&format!("/{SERVICE}"))
            .filter(|base| *base != remote.base())
            .map(str::to_owned);
        let mut incoming = self.listing_of(Source::Http(Box::new(answer)));
        let (mut server, refs) = advertisement(&mut incoming).await?;
        incoming.close().await;
        server.redirected = redirected;
        let server = Arc::new(server);
        if server.protocol == Protocol::V2 {
            known.remember_server(Arc::clone(&server));
            return self.list_refs_http(remote, server, prefixes).await;
        }
        let mut listing = Listing::of(server);
        listing.refs = refs;
        Ok(listing)
    }

    async fn list_refs_http(
        &self,
        remote: &Remote,
        server: Arc<Advertised>,
        prefixes: &[String],
    ) -> Result<Listing, Error> {
        let request = list_refs(&server, prefixes);
        let source = self.post(remote, &server, request).await?;
        let mut incoming = self.listing_of(source);
        let mut listing = Listing::of(server);
        listing.refs = refs(incoming.section().await?)?;
        incoming.close().await;
        Ok(listing)
    }

    /// Sends a request over HTTP. Credentials go only to where the URL leads.
    pub(crate) async fn post(
        &self,
        remote: &Remote,
        server: &Advertised,
        body: Vec<u8>,
    ) -> Result<Source, Error> {
        let base = server.redirected.as_deref().unwrap_or(remote.base());
        let same_origin = origin(base) == origin(remote.base());
        let auth = remote.auth.clone().filter(|_| same_origin);
        let mut request = Request::new(Method::POST, format!("{base}/{COMMAND}"))
            .auth(auth)
            .header(
                HeaderName::from_static("content-type"),
                HeaderValue::from_static("application/x-git-upload-pack-request"),
            )
            .body(body);
        if server.protocol == Protocol::V2 {
            request = with_protocol(request);
        }
        let request = with_accept(request, "application/x-git-upload-pack-result");
        let answer = self.client(remote)?.send(request).await;
        let answer = answer.map_err(Error::Http)?;
        if answer.status() != StatusCode::OK {
            return Err(Error::from_answer(answer).await);
        }
        Ok(Source::Http(Box::new(answer)))
    }

    async fn list_ssh(&self, remote: &Remote, prefixes: &[String]) -> Result<Listing, Error> {
        let (mut incoming, server, mut found, kept) =
            self.open_ssh(remote, &Kept::default()).await?;
        if server.protocol == Protocol::V2 {
            incoming.send(list_refs(&server, prefixes)).await?;
            found = refs(incoming.section().await?)?;
        }
        let mut bye = Vec::new();
        packet::flush(&mut bye);
        // The host may have ended it already.
        incoming.send(bye).await.ok();
        incoming.close().await;
        Ok(Listing {
            refs: found,
            server: Arc::new(server),
            kept,
        })
    }

    /// Starts the server's side over SSH and reads what it can do; on the connection that was kept, or a new one.
    pub(crate) async fn open_ssh(
        &self,
        remote: &Remote,
        kept: &Kept,
    ) -> Result<(Incoming, Advertised, Vec<Ref>, Kept), Error> {
        let access = remote.ssh.as_ref().ok_or(SshError::NoCredentials)?;
        let address = SshAddress::parse(&remote.url)?;
        let command = address.command(COMMAND);
        let reused = match &kept.0 {
            // Some hosts serve one command a connection.
            Some(connection) => connection.run(&command).await.ok(),
            None => None,
        };
        let session = if let Some(session) = reused {
            session
        } else {
            let fresh = Connection::open(&address, access, &self.algorithms).await?;
            Arc::new(fresh).run(&command).await?
        };
        let kept = Kept(Some(session.connection()));
        let mut incoming = self.listing_of(Source::Ssh(Box::new(session)));
        let (server, refs) = advertisement(&mut incoming).await?;
        Ok((incoming, server, refs, kept))
    }

    fn listing_of(&self, source: Source) -> Incoming {
        Incoming::new(source, Phase::Listing, self.limits.max_listing_bytes)
    }
}

fn with_protocol(request: Request) -> Request {
    request.header(
        HeaderName::from_static("git-protocol"),
        HeaderValue::from_static("version=2"),
    )
}

fn is_git(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    content_type.is_some_and(|content_type| content_type.starts_with(ADVERTISEMENT))
}

pub(crate) fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    &url[..end]
}

/// Reads what a server says first. Over HTTP, a section that names the service may come before it.
pub(crate) async fn advertisement(
    incoming: &mut Incoming,
) -> Result<(Advertised, Vec<Ref>), Error> {
    let mut lines = incoming.section().await?;
    if lines
        .first()
        .is_some_and(|line| line.starts_with(b"# service="))
    {
        lines = incoming.section().await?;
    }
    advertised::read(lines)
}

/// Returns a request for references.
fn list_refs(server: &Advertised, prefixes: &[String]) -> Vec<u8> {
    let mut body = Vec::new();
    packet::put(&mut body, "command=ls-refs\n");
    if server.can("agent") {
        packet::put(&mut body, AGENT);
    }
    if server.can("object-format") {
        packet::put(&mut body, "object-format=sha1");
    }
    packet::delimiter(&mut body);
    packet::put(&mut body, "peel\n");
    for prefix in prefixes {
        packet::put(&mut body, &format!("ref-prefix {prefix}\n"));
    }
    packet::flush(&mut body);
    body
}

/// Reads references as version 2 lists them.
fn refs(lines: Vec<Bytes>) -> Result<Vec<Ref>, Error> {
    let mut refs = Vec::new();
    for line in lines {
        let text = String::from_utf8_lossy(packet::trimmed(&line)).into_owned();
        let mut words = text.split(' ');
        let (Some(id), Some(name)) = (words.next(), words.next()) else {
            return Err(malformed());
        };
        if id == "unborn" {
            continue;
        }
        let mut found = ref_line(id, name)?;
        for word in words {
            if let Some(peeled) = word.strip_prefix("peeled:") {
                found.peeled = Some(ref_line(peeled, name)?.object);
            }
        }
        refs.push(found);
    }
    Ok(refs)
}

#[cfg(test)]
mod tests;
