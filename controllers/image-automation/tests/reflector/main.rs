//! ImageRepositories and ImagePolicies on a real API server, with a real registry and with one that misbehaves.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod odd_registry;
mod policies;
mod scans;
mod world;
