//! Runs an engine on recorded cases and compares what it gives with what upstream gave.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use kustomize::{LoadRestrictions, MemoryTree, Options, Reorder};
use serde::Deserialize;

/// Which engine, and the cases.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The engine.
    engine: Engine,
    /// A file with one JSON object a line.
    cases: PathBuf,
    /// Runs only the cases whose name contains this text, and shows what differs.
    #[arg(long)]
    only: Option<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Engine {
    Kustomize,
}

/// One recorded case.
#[derive(Debug, Deserialize)]
struct Case {
    #[serde(rename = "case")]
    name: String,
    files: BTreeMap<String, String>,
    path: String,
    load_restrictor: String,
    reorder: String,
    managed_by_label: bool,
    expected: Option<String>,
    error: Option<String>,
}

/// Runs all cases.
///
/// # Errors
/// Where the file cannot be read, or a case fails.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let Engine::Kustomize = args.engine;
    let text = std::fs::read_to_string(&args.cases)
        .with_context(|| format!("cannot read {}", args.cases.display()))?;
    let (mut passed, mut failed) = (0, 0);
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let case: Case = serde_json::from_str(line)
            .with_context(|| format!("line {} is no case", number + 1))?;
        if args
            .only
            .as_ref()
            .is_some_and(|only| !case.name.contains(only))
        {
            continue;
        }
        match check(&case) {
            Ok(note) => {
                passed += 1;
                if args.only.is_some() {
                    print_line(&format!("ok   {}{note}", case.name));
                }
            }
            Err(difference) => {
                failed += 1;
                print_line(&format!("FAIL {}", case.name));
                if args.only.is_some() {
                    print_line(&difference);
                }
            }
        }
    }
    print_line(&format!("{passed} passed, {failed} failed"));
    if failed > 0 {
        bail!("{failed} cases differ");
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the task's result")]
fn print_line(text: &str) {
    println!("{text}");
}

/// Builds a case and compares; gives what is worth showing, or what differs.
fn check(case: &Case) -> Result<String, String> {
    let files = case.files.iter().map(|(path, text)| (path, text.as_str()));
    let tree = files.collect::<MemoryTree>().whole();
    let options = Options {
        load_restrictions: match case.load_restrictor.as_str() {
            "none" => LoadRestrictions::None,
            _ => LoadRestrictions::RootOnly,
        },
        reorder: match case.reorder.as_str() {
            "legacy" => Reorder::Legacy,
            _ => Reorder::None,
        },
        managed_by_label: case.managed_by_label,
        ..Options::default()
    };
    let path = case.path.trim_start_matches('/');
    let built = kustomize::build(&tree, path, &options).and_then(|build| build.to_yaml());
    match (built, &case.expected, &case.error) {
        (Ok(printed), Some(expected), _) if printed == *expected => Ok(String::new()),
        (Ok(printed), Some(expected), _) => {
            Err(format!("--- expected\n{expected}\n--- printed\n{printed}"))
        }
        (Ok(printed), None, error) => Err(format!(
            "--- expected error\n{error:?}\n--- printed\n{printed}"
        )),
        (Err(error), Some(expected), _) => {
            Err(format!("--- expected\n{expected}\n--- error\n{error}"))
        }
        (Err(error), None, upstream) => Ok(format!(
            "\n  upstream: {}\n  ours:     {error}",
            upstream.as_deref().unwrap_or_default()
        )),
    }
}
