//! Git over HTTP: list what a server has, fetch one commit, read its files without a work tree.
//!
//! The wire protocol is ours and runs over `net_http`, so that every repository has its own CA, client certificate,
//! proxy and credentials, a deadline holds at every byte, and a dropped future ends the transfer. libgit2 stores and
//! reads the objects; it opens no connection.
//!
//! Flow: [`Git::list`] asks once for all references; the caller chooses; [`Git::fetch`] brings the objects of that
//! commit into a repository that lives as long as the returned [`Snapshot`]; [`Snapshot::walk`] streams its files.

mod error;
mod fetch;
mod list;
mod packet;
mod snapshot;
mod workspace;

pub use error::{Error, Phase};
pub use fetch::Want;
pub use list::Listing;
pub use snapshot::{Entry, Skipped, Snapshot, WalkError};
pub use workspace::Workspace;

use std::path::PathBuf;
use std::sync::Arc;

use net_http::{Auth, Client, ClientConfig, Clients, HeaderName, HeaderValue, Request};

/// A repository on a server, and how to reach it.
#[derive(Clone, Debug)]
pub struct Remote {
    /// An http or https URL without user name and password.
    pub url: String,
    /// The credentials.
    pub auth: Option<Auth>,
    /// CA, client certificate and proxy.
    pub http: ClientConfig,
}

impl Remote {
    fn base(&self) -> &str {
        self.url.trim_end_matches('/')
    }
}

/// Bounds of what a server may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the list of references.
    pub max_listing_bytes: u64,
    /// Bytes of the objects of one fetch, as sent.
    pub max_pack_bytes: u64,
}

impl Default for Limits {
    /// 64 MiB of references, 8 GiB of objects.
    fn default() -> Self {
        Self {
            max_listing_bytes: 64 << 20,
            max_pack_bytes: 8 << 30,
        }
    }
}

/// Talks to Git servers.
#[derive(Clone, Debug)]
pub struct Git {
    clients: Arc<Clients>,
    directory: PathBuf,
    limits: Limits,
}

impl Git {
    /// Returns a Git client that keeps fetched objects below `directory` while they are in use.
    pub fn new(clients: Arc<Clients>, directory: PathBuf, limits: Limits) -> Self {
        Self {
            clients,
            directory,
            limits,
        }
    }

    fn client(&self, remote: &Remote) -> Result<Client, Error> {
        self.clients.get(&remote.http).map_err(Error::Config)
    }
}

fn with_accept(request: Request, accept: &'static str) -> Request {
    request.header(
        HeaderName::from_static("accept"),
        HeaderValue::from_static(accept),
    )
}
