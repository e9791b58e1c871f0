//! Webhooks of every type and the event decoder on seeds that are changed at random, as the fuzz target has them.
//!
//! `HOSTILE_SECONDS` says for how long each type is tried (default: a moment); the same changes come every time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]
#![allow(
    clippy::allow_attributes,
    reason = "the case is shared with a workspace of other lints"
)]

#[path = "../../../hack/fuzz/targets/receivers/case.rs"]
#[allow(
    clippy::pedantic,
    clippy::panic,
    clippy::expect_used,
    unreachable_pub,
    reason = "the case is shared with a workspace of other lints"
)]
mod case;

use std::path::Path;
use std::time::{Duration, Instant};

/// What services and attackers write.
const WORDS: &[&[u8]] = &[
    b"null",
    b"{}",
    b"[]",
    b"\"\"",
    b"1e999",
    b"-0",
    b"\\u0000",
    b"\\ud800",
    b"sha256=",
    b"sha1=",
    b"Bearer ",
    b"Bearer ..",
    b"payload=",
    b"%00",
    b"\r\n",
    b"\n\n",
    b": ",
    b"content-type: application/json\n",
    b"x-hub-signature: sha1=00\n",
    b"authorization: Bearer e30.e30.e30\n",
    b"e30=",
    b"\xff\xfe",
    b"\xf0\x9f\x8e\x89",
    b"2023-03-20T14:27:05Z",
    b"[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":",
    b"metadata",
    b"involvedObject",
    b"9223372036854775808",
];

/// A stream of random numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % bound.max(1) as u64).unwrap()
    }
}

fn change(bytes: &mut Vec<u8>, others: &[Vec<u8>], r: &mut Random) {
    // The first byte stays: it says which type is meant.
    let at = 1 + r.below(bytes.len());
    let at = at.min(bytes.len());
    let length = r.below(32).min(bytes.len() - at);
    match r.below(7) {
        0 if at < bytes.len() => bytes[at] ^= 1 << r.below(8),
        1 if at < bytes.len() => bytes[at] = u8::try_from(r.below(256)).unwrap(),
        2 => drop(bytes.drain(at..at + length)),
        3 => {
            let again = bytes[at..at + length].to_vec();
            bytes.splice(at..at, again);
        }
        4 => {
            let other = &others[r.below(others.len())];
            let from = r.below(other.len());
            let part = other[from..(from + 64).min(other.len())].to_vec();
            bytes.splice(at..at, part);
        }
        5 => bytes.truncate(at),
        _ => {
            let word = WORDS[r.below(WORDS.len())].to_vec();
            bytes.splice(at..at + length, word);
        }
    }
}

#[test]
fn changed_calls_and_events_are_answered_and_nothing_else_happens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../hack/fuzz/seeds/receivers");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|f| std::fs::read(f).unwrap()).collect();
    assert_eq!(seeds.len(), 14);
    let given = std::env::var("HOSTILE_SECONDS").ok();
    let seconds: Option<u64> = given.and_then(|text| text.parse().ok());
    let time = seconds.map_or(Duration::from_millis(200), Duration::from_secs);
    for (file, seed) in files.iter().zip(&seeds) {
        let mut random = Random(seed.len() as u64);
        let (began, mut cases) = (Instant::now(), 0_u64);
        case::run(seed);
        while began.elapsed() < time {
            let mut bytes = seed.clone();
            for _ in 0..=random.below(8) {
                change(&mut bytes, &seeds, &mut random);
            }
            let shown = bytes.clone();
            let ran = std::panic::catch_unwind(move || case::run(&bytes));
            assert!(
                ran.is_ok(),
                "{}: {:?}",
                file.display(),
                String::from_utf8_lossy(&shown)
            );
            cases += 1;
        }
        report(&file.file_name().unwrap().to_string_lossy(), cases);
    }
}

#[expect(clippy::print_stdout, reason = "a figure for those who look")]
fn report(name: &str, cases: u64) {
    println!("{name}: {cases} cases");
}
