//! Expressions of `--set` and its kin: no panic, bounded, the same each time.
#![no_main]

use helm::values::{SetKind, set};
use libfuzzer_sys::fuzz_target;
use serde_json::Map;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    for kind in [
        SetKind::Typed,
        SetKind::Text,
        SetKind::Json,
        SetKind::Literal,
    ] {
        let run = || {
            let mut values = Map::new();
            // Twice: the second meets what the first has made.
            for _ in 0..2 {
                set(&mut values, &text, kind).map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(values)
        };
        assert_eq!(run(), run());
    }
});
