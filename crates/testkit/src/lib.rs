//! What tests share. A dev-dependency only: nothing here is part of a shipped program.
//!
//! - [`control_plane`] gives a real Kubernetes API (etcd, kube-apiserver, kube-controller-manager, kwok), one per
//!   test binary; [`ControlPlane::start`] one of one's own.
//! - [`Supervised`] runs any program so that it never outlives the test, however the test ends.
//!
//! # Panics
//! What cannot be set up ends the test with a panic that says why; tests have no use for the error.

mod control_plane;
mod ports;
mod supervisor;

pub use control_plane::{ControlPlane, Namespace, control_plane, control_plane_binaries};
pub use ports::free_ports;
pub use supervisor::{Signal, Supervised};
