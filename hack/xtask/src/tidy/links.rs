//! Links of Markdown files to other files of the repository, and the table of contents of `docs/`.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::repository::{self, TextFile};

/// Checks that every relative link leads to a file or folder.
pub(super) fn check(files: &[TextFile]) -> Vec<String> {
    let mut faults = unlisted(files);
    for file in files {
        if Path::new(&file.path)
            .extension()
            .is_none_or(|extension| extension != "md")
        {
            continue;
        }
        for (line, target) in links(&file.text) {
            if !resolve(&file.path, target)
                .is_some_and(|path| repository::root().join(path).exists())
            {
                faults.push(format!(
                    "{}:{line}: the link {target} leads nowhere",
                    file.path
                ));
            }
        }
    }
    faults
}

/// The table of contents, by which readers find pages.
const CONTENTS: &str = "docs/SUMMARY.md";

/// Finds pages that the table of contents does not name.
fn unlisted(files: &[TextFile]) -> Vec<String> {
    let contents = files.iter().find(|file| file.path == CONTENTS);
    let listed = contents.map(|file| links(&file.text)).unwrap_or_default();
    let listed: BTreeSet<PathBuf> = listed
        .into_iter()
        .filter_map(|(_, target)| resolve(CONTENTS, target))
        .collect();
    let pages = files.iter().filter(|file| {
        let path = Path::new(&file.path);
        let is_page = path.extension().is_some_and(|extension| extension == "md");
        is_page && path.starts_with("docs") && file.path != CONTENTS
    });
    pages
        .filter(|page| !listed.contains(Path::new(&page.path)))
        .map(|page| format!("{}: {CONTENTS} does not name it", page.path))
        .collect()
}

/// Returns the targets of inline links with their lines: without those to other sites, without anchors, not in code.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        // Every second piece between backticks is code.
        for piece in line.split('`').step_by(2) {
            for rest in piece.split("](").skip(1) {
                let target = rest.split([')', ' ']).next().unwrap_or_default();
                let target = target.split('#').next().unwrap_or_default();
                if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                    found.push((index + 1, target));
                }
            }
        }
    }
    found
}

/// Returns where a link of the file `from` leads, from the root; `None` when out of the repository.
fn resolve(from: &str, target: &str) -> Option<PathBuf> {
    let base = match target.strip_prefix('/') {
        Some(_) => Path::new(""),
        None => Path::new(from).parent().unwrap_or(Path::new("")),
    };
    let mut path = PathBuf::new();
    for component in base.join(target.trim_start_matches('/')).components() {
        match component {
            Component::ParentDir if path.pop() => {}
            Component::ParentDir => return None,
            Component::Normal(part) => path.push(part),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_to_files_are_looked_at() {
        let text = "[a](b.md#c) [s](https://x.y) [t](#top) `[x](code)` [m](mailto:a@b)\n```\n[n](no)\n```\n[l](../l)\n";
        assert_eq!(links(text), [(1, "b.md"), (5, "../l")]);
    }

    #[test]
    fn every_page_is_in_the_table_of_contents() {
        let file = |path: &str, text: &str| TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let files = [
            file(CONTENTS, "- [A](a.md)\n  - [B](part/b.md)\n"),
            file("docs/a.md", ""),
            file("docs/part/b.md", ""),
            file("docs/part/c.md", ""),
            file("README.md", ""),
        ];
        assert_eq!(
            unlisted(&files),
            ["docs/part/c.md: docs/SUMMARY.md does not name it"]
        );
    }

    #[test]
    fn links_start_at_their_file() {
        assert_eq!(resolve("docs/a.md", "b/c.md"), Some("docs/b/c.md".into()));
        assert_eq!(
            resolve("docs/a.md", "../README.md"),
            Some("README.md".into())
        );
        assert_eq!(resolve("docs/a.md", "/README.md"), Some("README.md".into()));
        assert_eq!(resolve("docs/a.md", "../../other"), None);
    }
}
