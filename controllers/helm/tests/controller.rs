//! The helm-controller against a real API server, fed by charts that the test publishes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

#[path = "controller/bad_input.rs"]
mod bad_input;
#[path = "controller/charts.rs"]
mod charts;
#[path = "controller/crash.rs"]
mod crash;
#[path = "controller/drift.rs"]
mod drift;
#[path = "controller/faults.rs"]
mod faults;
#[path = "controller/lifecycle.rs"]
mod lifecycle;
#[path = "controller/operation.rs"]
mod operation;
#[path = "controller/others.rs"]
mod others;
#[path = "controller/peculiarities.rs"]
mod peculiarities;
#[path = "controller/prerequisites.rs"]
mod prerequisites;
#[path = "controller/remedies.rs"]
mod remedies;
#[path = "controller/settings.rs"]
mod settings;
#[path = "controller/waits.rs"]
mod waits;
#[path = "controller/world.rs"]
mod world;
