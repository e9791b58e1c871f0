//! What Go's standard library prints and reads, where charts, policies and manifests depend on it.
//!
//! Texts are bytes, as Go's strings are: a cut in the middle of a character must survive.

pub mod fmt;
pub mod path;
pub mod regexp;
pub mod strconv;
pub mod time;
