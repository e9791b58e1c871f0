//! The helm-controller against a real API server, fed by charts that the test publishes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

#[path = "controller/lifecycle.rs"]
mod lifecycle;
#[path = "controller/world.rs"]
mod world;
