//! Charts in memory, from their files to manifests.
#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

mod charts;
mod fixture;
mod hostile;
mod lint;
mod peculiarities;
mod robustness;
