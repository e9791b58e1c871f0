//! The kustomize-controller against a real API server, fed by artifacts that the test publishes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

#[path = "controller/bad_input.rs"]
mod bad_input;
#[path = "controller/beyond.rs"]
mod beyond;
#[path = "controller/clouds.rs"]
mod clouds;
#[path = "controller/crash.rs"]
mod crash;
#[path = "controller/failures.rs"]
mod failures;
#[path = "controller/hostile.rs"]
mod hostile;
#[path = "controller/lifecycle.rs"]
mod lifecycle;
#[path = "controller/remote.rs"]
mod remote;
#[path = "controller/sources.rs"]
mod sources;
#[path = "controller/trouble.rs"]
mod trouble;
#[path = "controller/world.rs"]
mod world;
