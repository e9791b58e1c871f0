//! Builds of any files: no panic, bounded, the same result each time, no output next to an error, and
//! every error names a line.
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
                // Only where the build begins in no directory, or one without a kustomization file,
                // is there no line to name.
                let mut places = one.places().iter();
                let has_line = places.any(|place| place.line > 0);
                let is_root = one.places().iter().all(|place| place.file == "app");
                assert!(has_line || is_root, "{one}");
            }
            (one, other) => panic!("{one:?} and then {other:?}"),
        }
    }
});
