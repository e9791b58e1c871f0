//! Identities of clouds: tokens exchanged for others, and requests signed as clouds want to see them.
//!
//! Every exchange is one function: a client, what stands in for the real address if anything does, what is handed in,
//! and what comes out with the time until which it counts. Nothing is kept here, and nothing is read from the process:
//! who asks, in whose name, and for how long an answer is kept is the callers' matter.

pub mod aws;
pub mod azure;
mod error;
mod exchange;
pub mod form;
pub mod gcp;
pub mod github_app;
mod jwt;
pub mod pfx;
pub mod service_account;
pub mod shared_key;

pub use error::Error;
pub use exchange::Lasting;
pub use jwt::{SigningKey, expiry};
