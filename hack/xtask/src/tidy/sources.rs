//! Rules for the text of the repository.

use std::path::Path;

use crate::repository::TextFile;

/// Where `unsafe` is allowed: one reason each, and no more files.
const UNSAFE: &[&str] = &[
    // Gives freed memory back to the system after a large run (`malloc_trim`).
    "crates/runtime/src/memory.rs",
    // Bounds what libgit2 maps of packs.
    "crates/adapters/git/src/windows.rs",
];

/// Where programs may be started outside tests and tools: nowhere. What starts none runs none that a tenant names
/// (Flux's CVE-2021-41254).
const STARTERS: &[&str] = &["process::Command", "process::{Command", "tokio::process"];
const STARTING: &[&str] = &[
    // Starts the control planes, servers and programs of tests.
    "crates/testkit/",
    // Runs the oracle, in a test.
    "controllers/image-automation/src/policy/versus_go.rs",
];

/// Names that say nothing about what is inside.
const DRAWERS: &[&str] = &[
    "util", "utils", "common", "commons", "helper", "helpers", "manager", "misc",
];

/// The most lines of production code a file may have. Flat tables of uniform entries are listed with their length, which
/// may only shrink.
const MAX_LINES: usize = 800;
const LONG_TABLES: &[(&str, usize)] = &[];

/// Paths of somebody's machine.
const FOREIGN: &[&str] = &["/work/", "../shared", "/root/", "file:///home/"];

/// This file names them to find them.
const THIS: &str = "hack/xtask/src/tidy/sources.rs";

/// Checks every text file.
pub(super) fn check(files: &[TextFile]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files {
        if file.path != THIS {
            foreign(file, &mut faults);
        }
        if has_extension(&file.path, "rs") {
            rust(file, &mut faults);
        }
        if file.path.ends_with("/Cargo.toml") && !file.text.contains("[lints]\nworkspace = true") {
            faults.push(format!(
                "{}: the workspace's lints are not turned on",
                file.path
            ));
        }
    }
    faults
}

fn foreign(file: &TextFile, faults: &mut Vec<String>) {
    for (index, line) in file.text.lines().enumerate() {
        // Rust resolves this one, so it is inside.
        if line.starts_with("#[path") {
            continue;
        }
        for words in FOREIGN.iter().filter(|words| line.contains(*words)) {
            faults.push(format!(
                "{}:{}: {words:?} is not of this repository",
                file.path,
                index + 1
            ));
        }
    }
}

fn rust(file: &TextFile, faults: &mut Vec<String>) {
    let path = file.path.as_str();
    if path.ends_with("/mod.rs") {
        faults.push(format!("{path}: is named x.rs beside x/, never mod.rs"));
    }
    let parts = path.trim_end_matches(".rs").split('/');
    for part in parts.filter(|part| DRAWERS.contains(part)) {
        faults.push(format!(
            "{path}: {part:?} says nothing about what is inside"
        ));
    }
    // A module of tests is described where its subject is.
    if !file.text.starts_with("//!") && !path.ends_with("/tests.rs") {
        faults.push(format!(
            "{path}: does not open with a `//!` that says what it is for"
        ));
    }
    let allows_unsafe = ["allow(unsafe_code", "expect(unsafe_code"]
        .iter()
        .any(|text| file.text.contains(text));
    if allows_unsafe && path != THIS && !UNSAFE.contains(&path) {
        faults.push(format!(
            "{path}: is not on the list of files that may use unsafe"
        ));
    }
    starters(file, faults);
    for (index, line) in file.text.lines().enumerate() {
        for mark in ["TODO", "FIXME"] {
            let open = line
                .split_once(mark)
                .is_some_and(|(_, rest)| !rest.starts_with("(#"));
            if open && line.contains("//") && path != THIS {
                faults.push(format!(
                    "{path}:{}: {mark} without the number of an issue",
                    index + 1
                ));
            }
        }
    }
    length(file, faults);
}

fn starters(file: &TextFile, faults: &mut Vec<String>) {
    let path = file.path.as_str();
    let is_product = ["crates/", "controllers/", "api/"]
        .iter()
        .any(|folder| path.starts_with(folder));
    let is_listed = STARTING.iter().any(|listed| path.starts_with(listed));
    if !is_product || !path.contains("/src/") || is_listed || path.ends_with("/tests.rs") {
        return;
    }
    let product = file.text.lines().take_while(|line| *line != "#[cfg(test)]");
    for (index, line) in product.enumerate() {
        if STARTERS.iter().any(|starter| line.contains(starter)) {
            faults.push(format!("{path}:{}: starts programs", index + 1));
        }
    }
}

fn length(file: &TextFile, faults: &mut Vec<String>) {
    let is_test =
        file.path.split('/').any(|part| part == "tests") || file.path.ends_with("/tests.rs");
    if is_test {
        return;
    }
    let (lines, path) = (production_lines(&file.text), file.path.as_str());
    let listed = LONG_TABLES.iter().find(|(listed, _)| *listed == path);
    match listed {
        None if lines > MAX_LINES => {
            faults.push(format!(
                "{path}: has {lines} lines of production code, more than {MAX_LINES}"
            ));
        }
        Some((_, most)) if lines > *most => {
            faults.push(format!(
                "{path}: has grown to {lines} lines of production code from {most}"
            ));
        }
        Some(_) if lines <= MAX_LINES => {
            faults.push(format!("{path}: is no longer long; take it off the list"));
        }
        _ => {}
    }
}

/// Counts lines with code before the test module: neither blank nor all comment.
fn production_lines(text: &str) -> usize {
    text.lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|found| found == extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> Vec<String> {
        check(&[TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }])
    }

    #[test]
    fn good_file_is_tidy() {
        assert_eq!(
            faults("crates/x/src/lib.rs", "//! X.\nfn f() {}\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn each_rule_finds_its_fault() {
        let cases = [
            ("crates/x/src/y/mod.rs", "//! Y.\n", "never mod.rs"),
            ("crates/x/src/utils.rs", "//! Y.\n", "says nothing"),
            ("crates/x/src/common/y.rs", "//! Y.\n", "says nothing"),
            ("crates/x/src/y.rs", "fn f() {}\n", "does not open"),
            (
                "crates/x/src/y.rs",
                "//! Y.\n#![allow(unsafe_code)]\n",
                "may use unsafe",
            ),
            (
                "crates/x/src/y.rs",
                "//! Y.\n// TODO: later\n",
                "number of an issue",
            ),
            (
                "controllers/x/src/y.rs",
                "//! Y.\nuse std::process::Command;\n",
                "starts programs",
            ),
            ("README.md", "see ../shared/x", "not of this repository"),
            (
                "crates/x/Cargo.toml",
                "[package]\n",
                "lints are not turned on",
            ),
        ];
        for (path, text, expected) in cases {
            let found = faults(path, text);
            assert!(
                found.len() == 1 && found[0].contains(expected),
                "{path}: {found:?}"
            );
        }
    }

    #[test]
    fn long_file_counts_code_only() {
        let code = "//! Y.\n".to_owned() + &"let x = 1;\n".repeat(801);
        assert!(faults("crates/x/src/y.rs", &code)[0].contains("801 lines"));
        let comments = "//! Y.\n".to_owned() + &"// why\n\n".repeat(900);
        assert!(faults("crates/x/src/y.rs", &comments).is_empty());
        let tests = "//! Y.\n#[cfg(test)]\n".to_owned() + &"let x = 1;\n".repeat(900);
        assert!(faults("crates/x/src/y.rs", &tests).is_empty());
    }

    #[test]
    fn todo_with_a_number_is_fine() {
        assert!(faults("crates/x/src/y.rs", "//! Y.\n// TODO(#12): later\n").is_empty());
    }
}
