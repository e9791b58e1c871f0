//! The notification-controller against a real API server, with services that record what they get.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

#[path = "controller/alerts.rs"]
mod alerts;
#[path = "controller/delivery.rs"]
mod delivery;
#[path = "controller/page.rs"]
mod page;
#[path = "controller/peers.rs"]
mod peers;
#[path = "controller/receivers.rs"]
mod receivers;
#[path = "controller/secrets.rs"]
mod secrets;
#[path = "controller/world.rs"]
mod world;
