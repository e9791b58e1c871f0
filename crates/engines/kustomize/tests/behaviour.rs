//! The peculiarities of kustomize, each a build with what kustomize 5.8.1 made of it.
//!
//! The cases stand in `cases/<topic>.txt`. A case begins with `=== ` and the ids it proves; files
//! follow, each after `>>> path` (`escaped` reads `\r`, `\t` and `\xFF`); then what is expected:
//! `<<<` printed, `<<< error` every line a part of the error's text, `<<< ours` printed where
//! `docs/compat/kustomize-engine.md` says that we differ. A line `@ legacy` or `@ unrestricted`
//! sets options. `hack/oracles/kustomize/golden.sh` writes `<<<` and `<<< upstream error`.
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests read their cases from disk, and stop where that fails"
)]

#[path = "behaviour/bad_input.rs"]
mod bad_input;
#[path = "behaviour/components.rs"]
mod components;
#[path = "behaviour/generators.rs"]
mod generators;
#[path = "behaviour/ids.rs"]
mod ids;
#[path = "behaviour/images.rs"]
mod images;
#[path = "behaviour/labels.rs"]
mod labels;
#[path = "behaviour/loading.rs"]
mod loading;
#[path = "behaviour/names.rs"]
mod names;
#[path = "behaviour/namespaces.rs"]
mod namespaces;
#[path = "behaviour/output.rs"]
mod output;
#[path = "behaviour/parsing.rs"]
mod parsing;
#[path = "behaviour/patches.rs"]
mod patches;
#[path = "behaviour/replacements.rs"]
mod replacements;

use std::collections::BTreeMap;

use kustomize::{LoadRestrictions, MemoryTree, Options, Reorder, build, build_trees};

/// One build and what is expected of it.
#[derive(Debug, Default)]
struct Case {
    ids: String,
    title: String,
    options: String,
    files: BTreeMap<String, Vec<u8>>,
    expected: BTreeMap<String, String>,
}

fn directory() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/").to_owned()
}

fn read_cases(topic: &str) -> Vec<Case> {
    let path = format!("{}cases/{topic}.txt", directory());
    let text = format!("\n{}", std::fs::read_to_string(path).unwrap());
    text.split("\n=== ").skip(1).map(read_case).collect()
}

fn read_case(text: &str) -> Case {
    let mut case = Case::default();
    let (header, rest) = text.split_once('\n').unwrap();
    let ids = header.split(' ').take_while(|word| word.starts_with("KE-"));
    case.ids = ids.collect::<Vec<_>>().join(" ");
    header[case.ids.len()..].trim().clone_into(&mut case.title);
    let mut section = String::new();
    for line in rest.trim_end_matches('\n').split_inclusive('\n') {
        if line.starts_with(">>> ") || line.starts_with("<<<") {
            line.trim_end().clone_into(&mut section);
            if let Some(kind) = section.strip_prefix("<<<") {
                case.expected.insert(kind.trim().to_owned(), String::new());
            }
        } else if let Some(file) = section.strip_prefix(">>> ") {
            let escaped = file.ends_with(" escaped");
            let name = file.trim_end_matches(" escaped").to_owned();
            let content = case.files.entry(name).or_default();
            content.extend(if escaped {
                unescape(line)
            } else {
                line.as_bytes().to_vec()
            });
        } else if let Some(kind) = section.strip_prefix("<<<") {
            let text = case.expected.entry(kind.trim().to_owned()).or_default();
            text.push_str(line);
        } else if let Some(options) = line.strip_prefix("@ ") {
            options.clone_into(&mut case.options);
        }
    }
    // The last line of a case has no line break of its own.
    for text in case.expected.values_mut() {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
    }
    case
}

fn unescape(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\\') {
        out.extend(before.as_bytes());
        let (byte, length) = match after.as_bytes().first() {
            Some(b'r') => (b'\r', 1),
            Some(b't') => (b'\t', 1),
            _ => (u8::from_str_radix(&after[1..3], 16).unwrap(), 3),
        };
        out.push(byte);
        rest = &after[length..];
    }
    out.extend(rest.as_bytes());
    out
}

/// Builds a case in every way there is, which must not make a difference.
fn run(case: &Case) -> Result<String, kustomize::Error> {
    let tree: MemoryTree = case
        .files
        .iter()
        .map(|(path, content)| (path, content.clone()))
        .collect();
    // Upstream's tree in memory is a whole file system too.
    let tree = tree.whole();
    let mut options = Options {
        reorder: if case.options.contains("legacy") {
            Reorder::Legacy
        } else {
            Reorder::None
        },
        load_restrictions: if case.options.contains("unrestricted") {
            LoadRestrictions::None
        } else {
            LoadRestrictions::RootOnly
        },
        ..Options::default()
    };
    let built = build(&tree, "app", &options).and_then(|built| built.to_yaml());
    options.threads = 2;
    let trees = build_trees(&tree, "app", &options).and_then(|trees| trees.to_yaml());
    if let (Ok(built), Ok(trees)) = (&built, &trees) {
        assert_eq!(built, trees, "{}", case.title);
    }
    assert_eq!(
        built.is_ok(),
        trees.is_ok(),
        "{}: {built:?} {trees:?}",
        case.title
    );
    built
}

/// Runs every case whose header names exactly these ids.
fn check(topic: &str, ids: &str) {
    let cases = read_cases(topic);
    let mut found = cases.iter().filter(|case| case.ids == ids).peekable();
    assert!(found.peek().is_some(), "no case of {topic} proves {ids}");
    for case in found {
        let built = run(case);
        let printed = case.expected.get("ours").or(case.expected.get(""));
        match (built, printed, case.expected.get("error")) {
            (Ok(text), Some(expected), None) => assert_eq!(text, *expected, "{}", case.title),
            (Err(error), None, Some(parts)) => {
                assert!(case.expected.contains_key("upstream error"));
                let text = error.to_string();
                for part in parts.lines() {
                    assert!(text.contains(part), "{}: {text}", case.title);
                }
            }
            (built, _, _) => panic!("{}: not expected: {built:?}", case.title),
        }
    }
}

#[test]
fn every_case_has_its_test() {
    for entry in std::fs::read_dir(format!("{}cases", directory())).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let topic = name.trim_end_matches(".txt");
        let source = format!("{}behaviour/{topic}.rs", directory());
        let source = std::fs::read_to_string(source).unwrap();
        for case in read_cases(topic) {
            let call = format!("check(TOPIC, \"{}\")", case.ids);
            assert!(source.contains(&call), "{topic}: no test of {}", case.ids);
        }
    }
}

/// Where the build begins in a directory without a kustomization file, there is no line to name.
fn has_no_line(text: &str) -> bool {
    text.contains("unable to find one of") && text.ends_with("in directory '/app' [at app]")
}

/// Every case of a failing build, and what upstream's own tests refuse, names where to look.
#[test]
fn every_error_names_file_and_line() {
    let mut nameless = Vec::new();
    for entry in std::fs::read_dir(format!("{}cases", directory())).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let cases = read_cases(name.trim_end_matches(".txt"));
        for case in cases
            .into_iter()
            .filter(|c| c.expected.contains_key("error"))
        {
            let error = run(&case).unwrap_err();
            let has_line = error
                .places()
                .iter()
                .any(|p| !p.file.is_empty() && p.line > 0);
            if !has_line && !has_no_line(&error.to_string()) {
                nameless.push(format!("{} {}: {error}", case.ids, case.title));
            }
        }
    }
    assert!(nameless.is_empty(), "{}", nameless.join("\n"));
}
