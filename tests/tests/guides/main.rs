//! What the guides below `docs/` say, done: layouts of environments, a cluster rebuilt from Git, other people's operators waited
//! for, an upgrade and the way back, and every example.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod environments;
mod examples;
mod integrations;
mod recovery;
mod swap;
mod traces;
mod upgrade;
mod world;
