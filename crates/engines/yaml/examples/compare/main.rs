//! Compares this crate with the answers of `hack/oracles/yaml`, read from standard input.
//!
//! Usage: `compare [SHOWN] [ONLY]`. Prints the first SHOWN differences, of the kind ONLY if given,
//! and the totals; exits with 1 when there is a difference.

#![expect(clippy::print_stdout, reason = "a tool that reports")]

mod answer;

use answer::{Row, compare};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::io::BufRead;
use std::process::ExitCode;

fn main() -> ExitCode {
    let shown = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(20usize);
    let only = std::env::args().nth(2);
    let mut totals: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    let (mut documents, mut differing) = (0usize, 0usize);
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let answer: Json = serde_json::from_str(&line).unwrap_or_default();
        let input = decode(answer["input"].as_str().unwrap_or_default());
        documents += 1;
        let rows = compare(&input, &answer);
        let differs =
            |row: &&Row| row.1 != row.2 && only.as_deref().is_none_or(|only| only == row.0);
        let different: Vec<&Row> = rows.iter().filter(differs).collect();
        differing += usize::from(!different.is_empty());
        for (what, ours, theirs) in different.into_iter().filter(|_| differing <= shown) {
            let (ours, theirs) = around(ours, theirs);
            let input = String::from_utf8_lossy(&input)
                .chars()
                .take(300)
                .collect::<String>();
            println!(
                "--- {what} {} {input:?}\nours   {ours:?}\ntheirs {theirs:?}",
                answer["name"]
            );
        }
        for (what, ours, theirs) in rows {
            totals.entry(what).or_default()[usize::from(ours != theirs)] += 1;
        }
    }
    for (what, [same, different]) in &totals {
        println!("{what:8} {same} same, {different} different");
    }
    println!("{documents} documents, {differing} with a difference");
    ExitCode::from(u8::from(differing > 0))
}

fn decode(base64: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut out = Vec::with_capacity(base64.len() / 4 * 3);
    for group in base64.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = group
            .iter()
            .fold(0u32, |bits, c| bits << 6 | u32::from(value(*c)));
        let bits = bits << (6 * (4 - group.len()));
        out.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    out
}

/// Cuts two texts to where they first differ.
fn around(a: &str, b: &str) -> (String, String) {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let cut = |s: &str| s.chars().skip(same.saturating_sub(60)).take(200).collect();
    (cut(a), cut(b))
}
