//! Helm repositories: what is read from them, with bounds, and how an index becomes an artifact.
//!
//! [`HttpRepository`] downloads indexes and charts over HTTP, [`OciCharts`] finds charts in a registry. [`index`] turns
//! the index of a repository into the sorted JSON that is published, one version at a time, and finds a chart in it
//! without reading the others.

mod address;
mod http;
pub mod index;
mod oci;

pub use address::{AddressError, normalize};
pub use http::{Download, Error, Everywhere, HttpRepository, Validators};
pub use index::{IndexError, Listed};
pub use oci::{OciCharts, OciError};

/// Returns whether the server's certificate was refused, or it wanted another than ours.
fn refuses_certificate(error: &net_http::Error) -> bool {
    net_http::chain(error).contains("tls: ")
}
