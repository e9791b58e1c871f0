//! What SOPS encrypted: file formats, values, the MAC, and the keys that need no service.
//!
//! A file names its data key encrypted to several master keys ([`Metadata`]). Whoever calls finds
//! the data key, with [`age`] and [`pgp`] here or by asking a key service, and hands it to
//! [`File::decrypt`] or [`decrypt_object`]. Nothing is written anywhere.
//!
//! Source: sops v3.13 file format, <https://github.com/getsops/sops>; age v1.3,
//! <https://age-encryption.org/v1>.

pub mod age;
mod bech32;
mod cipher;
mod file;
mod mac;
mod metadata;
mod object;
pub mod pgp;
mod rules;
pub mod shamir;

pub use cipher::{DataKey, ValueError};
pub use file::{File, FileError, Format, detect};
pub use metadata::{Master, Metadata, MetadataError};
pub use object::{ObjectError, decrypt_object, is_encrypted, metadata_of};
