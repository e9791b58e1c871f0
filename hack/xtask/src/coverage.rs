//! `cargo xtask coverage`: which behaviours of the specifications tests claim to prove.
//!
//! `docs/coverage/<spec>.txt` lists the ids of a specification, one (`KC-041`) or a range (`KC-001..KC-120`) a line,
//! `#` before a remark. A test claims ids in its doc comment: a line `covers: KC-041, KC-042`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::repository::{self, TextFile};

/// How to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Lists also the ids that no test claims.
    #[arg(long)]
    open: bool,
}

/// A test's claim to prove one behaviour.
#[derive(Debug, PartialEq, Eq)]
struct Claim {
    id: String,
    /// `path:line` of the claim.
    place: String,
}

/// Prints covered of total for each specification.
///
/// # Errors
/// When a claim names an unknown id, names one twice, or does not belong to a test.
#[expect(clippy::print_stdout, reason = "this is what the task is for")]
pub(crate) fn run(args: &Args) -> Result<()> {
    let specs = specs(&repository::root().join("docs/coverage"))?;
    let mut claims = Vec::new();
    let mut faults = Vec::new();
    for file in repository::text_files()? {
        if Path::new(&file.path)
            .extension()
            .is_some_and(|extension| extension == "rs")
        {
            collect(&file, &mut claims, &mut faults);
        }
    }
    for claim in &claims {
        if !specs.values().any(|ids| ids.contains(&claim.id)) {
            faults.push(format!("{}: {} is not a known id", claim.place, claim.id));
        }
    }
    let claimed: BTreeSet<&String> = claims.iter().map(|claim| &claim.id).collect();
    for (spec, ids) in &specs {
        let open: Vec<&str> = ids
            .iter()
            .filter(|id| !claimed.contains(id))
            .map(String::as_str)
            .collect();
        println!(
            "{spec:<22} {:>3} of {:>3}",
            ids.len() - open.len(),
            ids.len()
        );
        if args.open && !open.is_empty() {
            println!("  open: {}", open.join(" "));
        }
    }
    if !faults.is_empty() {
        bail!("{} faulty claims:\n  {}", faults.len(), faults.join("\n  "));
    }
    Ok(())
}

/// Reads the known ids of each specification.
fn specs(folder: &Path) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut specs = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry?.path();
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let ids = known(&text).with_context(|| format!("reading {}", path.display()))?;
        specs.insert(name, ids);
    }
    Ok(specs)
}

fn known(text: &str) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (first, last) = line.split_once("..").unwrap_or((line, line));
        let ((prefix, from), (other, to)) = (split(first)?, split(last)?);
        ensure!(prefix == other && from <= to, "{line} is not a range");
        ids.extend((from..=to).map(|number| format!("{prefix}-{number:03}")));
    }
    Ok(ids)
}

fn split(id: &str) -> Result<(&str, u32)> {
    let (prefix, number) = id
        .trim()
        .split_once('-')
        .with_context(|| format!("{id} is not an id"))?;
    Ok((
        prefix,
        number
            .parse()
            .with_context(|| format!("{id} is not an id"))?,
    ))
}

/// Collects the claims of one file.
fn collect(file: &TextFile, claims: &mut Vec<Claim>, faults: &mut Vec<String>) {
    let mut of_comment: Vec<Claim> = Vec::new();
    // The lines since a comment with claims, up to the function's name.
    let mut is_test = false;
    for (index, line) in file.text.lines().enumerate() {
        let (line, place) = (line.trim(), format!("{}:{}", file.path, index + 1));
        if let Some(comment) = line.strip_prefix("///") {
            let Some(ids) = comment.trim().strip_prefix("covers:") else {
                continue;
            };
            for id in ids.split(',').map(str::trim) {
                if of_comment.iter().any(|claim| claim.id == id) {
                    faults.push(format!("{place}: {id} is claimed twice by one test"));
                }
                of_comment.push(Claim {
                    id: id.to_owned(),
                    place: place.clone(),
                });
            }
        } else if !of_comment.is_empty() {
            is_test |= line.starts_with("#[") && line.contains("test");
            if line.contains("fn ") || line.is_empty() {
                if is_test {
                    claims.append(&mut of_comment);
                } else {
                    faults.push(format!("{place}: the claims above do not belong to a test"));
                }
                (of_comment, is_test) = (Vec::new(), false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected(text: &str) -> (Vec<String>, Vec<String>) {
        let file = TextFile {
            path: "a.rs".to_owned(),
            text: text.to_owned(),
        };
        let (mut claims, mut faults) = (Vec::new(), Vec::new());
        collect(&file, &mut claims, &mut faults);
        (claims.into_iter().map(|claim| claim.id).collect(), faults)
    }

    #[test]
    fn lists_hold_ids_and_ranges() {
        let ids = known("# all\nKC-001..KC-003\nKC-120 # one\n").unwrap();
        assert_eq!(
            ids.into_iter().collect::<Vec<_>>(),
            ["KC-001", "KC-002", "KC-003", "KC-120"]
        );
        assert!(known("KC-3..KC-1").is_err());
        assert!(known("KC-1..SC-3").is_err());
        assert!(known("nonsense").is_err());
    }

    #[test]
    fn claims_stand_in_the_doc_comments_of_tests() {
        let text = "    /// Does it.\n    ///\n    /// covers: KC-001, KC-002\n    /// covers: KC-003\n    \
                    #[tokio::test]\n    async fn does_it() {}\n";
        assert_eq!(
            collected(text),
            (
                vec!["KC-001".into(), "KC-002".into(), "KC-003".into()],
                vec![]
            )
        );
        assert_eq!(
            collected("/// What it covers: a lot.\nfn f() {}\n"),
            (vec![], vec![])
        );
    }

    #[test]
    fn doubled_claim_is_refused() {
        let (_, faults) = collected("/// covers: KC-001\n/// covers: KC-001\n#[test]\nfn f() {}\n");
        assert_eq!(faults, ["a.rs:2: KC-001 is claimed twice by one test"]);
    }

    #[test]
    fn claim_outside_a_test_is_refused() {
        let (claims, faults) = collected("/// covers: KC-001\nfn f() {}\n");
        assert!(claims.is_empty());
        assert_eq!(faults, ["a.rs:2: the claims above do not belong to a test"]);
    }
}
