//! Calls to webhooks of every type, and events: no panic, no secret in an answer, and what is accepted was signed.
#![no_main]

#[path = "receivers/case.rs"]
mod case;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| case::run(bytes));
