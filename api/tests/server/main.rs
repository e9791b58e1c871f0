//! What a real API server makes of the definitions.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where what it needs is missing"
)]

mod cluster;
#[path = "../shared/definitions.rs"]
mod definitions;
#[path = "../shared/facts.rs"]
mod facts;
#[path = "../shared/objects.rs"]
mod objects;
mod refused;
mod samples;
mod upgrade;
mod versions;
