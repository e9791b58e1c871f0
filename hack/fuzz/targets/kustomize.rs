//! Builds of any files: no panic, bounded, the same result each time, no output next to an error.
//!
//! The input is a case as in `crates/engines/kustomize/tests/cases`: files, each after `>>> path`.
#![no_main]

use kustomize::{Limits, LoadRestrictions, MemoryTree, Options, Reorder, build};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut tree = MemoryTree::new();
    let text = String::from_utf8_lossy(bytes);
    for part in format!("\n{text}").split("\n>>> ").skip(1) {
        if let Some((path, content)) = part.split_once('\n') {
            tree.insert(path.trim(), content.to_owned() + "\n");
        }
    }
    for (reorder, load_restrictions) in [
        (Reorder::None, LoadRestrictions::RootOnly),
        (Reorder::Legacy, LoadRestrictions::None),
    ] {
        let options = Options {
            reorder,
            load_restrictions,
            limits: Limits {
                max_kustomizations: 100,
                max_resources: 10_000,
                ..Limits::default()
            },
            ..Options::default()
        };
        let run = || build(&tree, "app", &options).and_then(|built| built.to_yaml());
        match (run(), run()) {
            (Ok(one), Ok(other)) => assert_eq!(one, other),
            (Err(one), Err(other)) => {
                assert_eq!(one.to_string(), other.to_string());
                assert!(!one.to_string().is_empty());
            }
            (one, other) => panic!("{one:?} and then {other:?}"),
        }
    }
});
