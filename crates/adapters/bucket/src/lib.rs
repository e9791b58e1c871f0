//! Buckets: what is in them, and single objects. Every listing and answer is bounded.

mod azure;
mod error;
#[cfg(test)]
mod fake;
mod gcs;
mod s3;
mod store;
mod sts;
mod token;
mod xml;

pub use azure::{Azure, AzureError, AzureIdentity};
pub use error::Error;
pub use gcs::{Gcs, GcsIdentity};
pub use s3::{S3, Settings};
pub use store::{Found, Object, Store};
pub use sts::keys_of_ldap_user;
