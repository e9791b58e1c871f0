//! The keys that SOPS files are encrypted to: age and OpenPGP keys from Secrets, and the key
//! services of AWS, Google Cloud, Azure, and Vault or OpenBao.
//!
//! [`Keyring::import`] takes the entries of a decryption Secret; [`Keyring::data_key`] finds the
//! data key of a file. Nothing decrypted touches a disk, and no error shows a secret.

mod credentials;
mod error;
mod keyring;
mod service;

pub use credentials::{AwsCredentials, AzureCredentials, GcpCredentials};
pub use error::{DataKeyError, ImportError, KeyError};
pub use keyring::{Answer, Endpoints, Identity, Keyring, Login};
