//! Calls to webhooks of every type, and events: no panic, no secret in an answer, and what is accepted was signed.
//!
//! `FUZZ_TYPE` names the only type of receiver that is tried, or `event` for the event decoder; otherwise the first byte of a case
//! says which it is.
#![no_main]

use std::sync::OnceLock;

#[path = "receivers/case.rs"]
mod case;

fn only() -> Option<u8> {
    static ONLY: OnceLock<Option<u8>> = OnceLock::new();
    *ONLY.get_or_init(|| {
        let name = std::env::var("FUZZ_TYPE").ok()?;
        let at = case::TYPES.iter().position(|kind| *kind == name);
        Some(u8::try_from(at.expect("FUZZ_TYPE names a type")).expect("few types"))
    })
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| match (only(), bytes) {
    (Some(kind), [_, rest @ ..]) => case::run(&[&[kind], rest].concat()),
    _ => case::run(bytes),
});
