//! What tests share. A dev-dependency only: nothing here is part of a shipped program.
//!
//! - [`control_plane`] gives a real Kubernetes API (etcd, kube-apiserver, kube-controller-manager, kwok), one per
//!   test binary; [`ControlPlane::start`] one of one's own.
//! - [`GitServer`] serves real repositories with `git http-backend`; it can demand credentials, speak TLS and fail.
//! - [`SshServer`] serves repositories with a real OpenSSH server.
//! - [`Registry`] is a real OCI registry with referrers, [`ObjectStore`] a real S3 server.
//! - [`FileServer`] is a static web server, which can ask for credentials, speak TLS and misbehave; [`ForwardProxy`]
//!   passes requests on and opens tunnels.
//! - [`ArtifactServer`] publishes artifacts where no source-controller runs.
//! - [`ApiProxy`] stands before an API server and stops a controller between any two of its writes.
//! - [`Link`] is a network between two programs that can be cut, stalled and slowed.
//! - [`HttpSink`] records what it is sent and answers as told.
//! - [`Program`] runs a controller's binary on free ports, and can kill and restart it.
//! - [`built`] finds a binary of another crate of the repository.
//! - [`Supervised`] runs any program so that it never outlives the test, however the test ends.
//!
//! # Panics
//! What cannot be set up ends the test with a panic that says why; tests have no use for the error.

mod api_proxy;
mod artifact_server;
mod authority;
mod built;
mod control_plane;
mod definitions;
mod file_server;
mod forward_proxy;
mod git_server;
mod http_client;
mod http_sink;
mod link;
mod object_store;
mod peers;
mod ports;
mod program;
pub mod registry;
mod server;
mod ssh_server;
mod supervisor;

pub use api_proxy::{ApiProxy, Moment};
pub use artifact_server::{ArtifactServer, PublishedArtifact, archive};
pub use authority::{Authority, Identity};
pub use built::built;
pub use control_plane::{ControlPlane, Namespace, control_plane, control_plane_binaries};
pub use definitions::install_definitions;
pub use file_server::{FileRequest, FileServer, Misbehaviour};
pub use forward_proxy::ForwardProxy;
pub use git_server::{Commit, Credentials, Fault, GitServer, Repository, ServedRequest};
pub use http_client::http_get;
pub use http_sink::{Answer, HttpSink, ReceivedRequest};
pub use link::{Link, Weather};
pub use object_store::ObjectStore;
pub use peers::server_program;
pub use ports::free_ports;
pub use program::Program;
pub use registry::{PushedArtifact, Registry, RegistryOptions};
pub use ssh_server::{SshKey, SshOptions, SshServer};
pub use supervisor::{Signal, Supervised};
