//! The crate against a real kube-apiserver: what unit tests cannot show is what the server does.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fixture that fails ends its test"
)]

mod apply;
mod failures;
mod fixture;
mod identity;
mod ownership;
mod prune;
mod stages;
mod strategy;
mod unknown;
mod wait;
