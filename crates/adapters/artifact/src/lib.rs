//! The artifact contract between controllers: how a source's files become one archive, where it lies, how it is
//! served, when it goes, and how a consumer gets it.
//!
//! Producer: [`archive`] writes the tar.gz, [`storage`] puts it in place under its lock, [`gc`] removes old ones,
//! [`serve`] answers HTTP. Consumer: [`fetch`] downloads, checks and indexes.

pub mod archive;
pub mod digest;
pub mod fetch;
pub mod gc;
pub mod serve;
pub mod storage;
mod sweep;

pub use archive::ArchiveWriter;
pub use digest::{Algorithm, Digest};
pub use fetch::{ArtifactCache, ArtifactTree};
pub use storage::Storage;
