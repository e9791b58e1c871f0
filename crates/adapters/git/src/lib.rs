//! Git over HTTP and SSH: list what a server has, fetch one commit, read its files without a work tree.
//!
//! The wire protocol is ours, versions 0 and 2. HTTP runs over `net_http`, so that every repository has its own CA,
//! client certificate, proxy and credentials; SSH has its keys and known hosts from memory. A deadline holds at every
//! byte, and a dropped future ends the transfer. libgit2 stores and reads the objects; it opens no connection, and no
//! program is ever run.
//!
//! Flow: [`Git::list`] asks for the references that matter; the caller chooses; [`Git::fetch`] brings what is missing
//! of that commit into the objects kept for that remote; [`Git::fetch_modules`] adds submodules; [`Snapshot::walk`]
//! streams the files, [`SnapshotTree`] reads single ones.

mod change;
mod error;
mod fetch;
mod incoming;
mod list;
mod modules;
mod objects;
mod packet;
mod push;
mod signed;
mod snapshot;
mod ssh;
mod tree;
mod windows;
mod workspace;

pub use change::{Author, CommitError, NewCommit, NewContent, Sign};
pub use error::{Error, Phase};
pub use fetch::Want;
pub use list::Listing;
pub use push::PushPlan;
pub use signed::{Signed, Tag};
pub use snapshot::{Entry, Skipped, Snapshot, WalkError};
pub use ssh::{SocksProxy, SshAccess, SshAddress, SshAlgorithms, SshError};
pub use tree::SnapshotTree;
pub use windows::bound_windows;
pub use workspace::Workspace;

use std::path::PathBuf;
use std::sync::Arc;

use net_http::{Auth, Client, ClientConfig, Clients, HeaderName, HeaderValue, Hosts, Request};

use crate::objects::Remotes;

/// A repository on a server, and how to reach it. Remotes that are equal share what is fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    /// An http, https or ssh URL without password.
    pub url: String,
    /// The credentials over HTTP.
    pub auth: Option<Auth>,
    /// CA, client certificate and proxy over HTTP.
    pub http: ClientConfig,
    /// Keys over SSH.
    pub ssh: Option<SshAccess>,
}

impl Remote {
    fn base(&self) -> &str {
        self.url.trim_end_matches('/')
    }

    fn is_http(&self) -> bool {
        self.url.starts_with("http://") || self.url.starts_with("https://")
    }
}

/// Bounds of what a server may send, and of what is kept and done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the list of references.
    pub max_listing_bytes: u64,
    /// Bytes of the objects of one fetch, as sent.
    pub max_pack_bytes: u64,
    /// Bytes of objects that are kept for later fetches, over all remotes. 0: nothing is kept.
    pub max_kept_bytes: u64,
    /// How many requests go to one host at once.
    pub per_host: usize,
}

impl Default for Limits {
    /// 64 MiB of references, 8 GiB of objects, 512 MiB kept, 6 requests at once.
    fn default() -> Self {
        Self {
            max_listing_bytes: 64 << 20,
            max_pack_bytes: 8 << 30,
            max_kept_bytes: 512 << 20,
            per_host: 6,
        }
    }
}

/// Talks to Git servers; cheap to clone.
#[derive(Clone, Debug)]
pub struct Git {
    clients: Arc<Clients>,
    limits: Limits,
    algorithms: Arc<SshAlgorithms>,
    remotes: Arc<Remotes>,
    hosts: Arc<Hosts>,
}

impl Git {
    /// Returns a Git client that keeps fetched objects below `directory`.
    pub fn new(clients: Arc<Clients>, directory: PathBuf, limits: Limits) -> Self {
        Self {
            clients,
            limits,
            algorithms: Arc::default(),
            remotes: Arc::new(Remotes::new(directory, limits.max_kept_bytes)),
            hosts: Arc::new(Hosts::new(limits.per_host)),
        }
    }

    /// Sets the algorithms that are offered over SSH.
    #[must_use]
    pub fn with_ssh(mut self, algorithms: SshAlgorithms) -> Self {
        self.algorithms = Arc::new(algorithms);
        self
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
