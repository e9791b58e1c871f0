//! The skeleton against a real API server, with a toy kind that does what its script says.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on ends there, also within what tests share"
)]

mod delivery;
mod lifecycle;
mod outages;
mod process;
mod rig;
mod runs;
mod stopping;
mod toy;
mod waits;
