//! Documents with the answers Go's libraries gave; `hack/oracles/yaml/golden.sh` renews the answers.

#![expect(clippy::disallowed_methods, reason = "reads its own test data")]

#[path = "../examples/compare/answer.rs"]
mod answer;

use std::path::Path;

#[test]
fn documents_read_and_print_as_in_go() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut wrong = Vec::new();
    let mut cases = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let input = std::fs::read(&path).unwrap();
        let answer = std::fs::read_to_string(path.with_extension("json")).unwrap();
        let answer = serde_json::from_str(&answer).unwrap();
        for (what, ours, theirs) in answer::compare(&input, &answer) {
            if ours != theirs {
                wrong.push(format!(
                    "{} {what}\n  ours   {ours:?}\n  theirs {theirs:?}",
                    path.display()
                ));
            }
        }
        cases += 1;
    }
    assert!(cases > 50, "only {cases} cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
