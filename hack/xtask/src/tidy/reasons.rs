//! The reasons that the page on troubleshooting explains are reasons that the sources give.

use std::collections::BTreeSet;
use std::path::Path;

use crate::repository::TextFile;

const PAGE: &str = "docs/troubleshooting.md";

/// Finds rows about reasons that no controller gives.
pub(super) fn check(files: &[TextFile]) -> Vec<String> {
    let sources = files.iter().filter(|file| {
        let path = Path::new(&file.path);
        (path.starts_with("controllers") || path.starts_with("crates"))
            && file.path.contains("/src/")
            && path.extension().is_some_and(|extension| extension == "rs")
    });
    let given: BTreeSet<&str> = sources.flat_map(|file| file.text.split('"')).collect();
    let page = files.iter().find(|file| file.path == PAGE);
    let rows = page.map(|page| explained(&page.text)).unwrap_or_default();
    rows.into_iter()
        .filter(|(_, reason)| !given.contains(reason))
        .map(|(line, reason)| format!("{PAGE}:{line}: no controller gives the reason {reason}"))
        .collect()
}

/// Returns the reasons in the first column of tables, with their lines.
fn explained(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some(row) = line.strip_prefix("| `") else {
            continue;
        };
        let first = row.split(" |").next().unwrap_or_default();
        let reasons = first.split(['`', ',', ' ']).filter(|word| !word.is_empty());
        found.extend(reasons.map(|reason| (index + 1, reason)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_nobody_gives_are_found() {
        let file = |path: &str, text: &str| TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let page = "| reason | what |\n|---|---|\n| `BuildFailed`, `Gone` | x |\n| `A` | `B` |\n";
        let files = [
            file(PAGE, page),
            file("controllers/a/src/x.rs", "fail(\"BuildFailed\", \"A\")"),
        ];
        assert_eq!(
            check(&files),
            ["docs/troubleshooting.md:3: no controller gives the reason Gone"]
        );
    }
}
