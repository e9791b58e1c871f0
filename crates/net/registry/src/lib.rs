//! OCI registries: tags, manifests, blobs and referrers, over the one HTTP client.
//!
//! [`Registries`] is one per process; [`Registries::remote`] gives a [`Remote`] for one repository and one set of
//! credentials. Credentials belong to that value and go nowhere else; tokens that a registry gave for them are kept by
//! the credentials themselves, so no object ever uses what another one was given.
//!
//! [`Keychain`] reads Docker configurations: the pull Secrets of an object, then those of its ServiceAccount.

mod challenge;
mod client;
mod error;
mod keychain;
mod manifest;
mod quiet;
mod read;
mod repository;
mod token;

pub use client::{Access, Credentials, Registries, Remote};
pub use error::{Answer, Error, Problem};
pub use keychain::{Keychain, KeychainError};
pub use manifest::{Manifest, ManifestError, media_type};
pub use oci_distribution::manifest::{
    OciDescriptor as Descriptor, OciImageIndex as Index, OciImageManifest as Image,
};
pub use read::{Blob, Resolved};
pub use repository::{Repository, RepositoryError};
