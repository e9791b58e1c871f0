//! `cargo xtask codegen`: writes definitions and reference pages from the types of `api/` and the flags of the controllers, and
//! the Helm chart from the manifests.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use serde_json::Value;

mod chart;
mod page;

/// How to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Writes nothing; fails if a file is not as it would be written.
    #[arg(long)]
    check: bool,
    /// Leaves the pages of flags alone, which need every controller to be built.
    #[arg(long)]
    without_flags: bool,
}

const CRDS: &str = "config/crd/bases";
const SAMPLES: &str = "config/samples";
const PAGES: &str = "docs/spec";

/// Writes all generated files, or says which are stale.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    types(args)?;
    if args.without_flags {
        return Ok(());
    }
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "--quiet", "--bin", "lockgate-flags", "--"]);
    command.args(args.check.then_some("--check"));
    let status = command.status().context("run lockgate-flags")?;
    if !status.success() {
        bail!("the pages of flags: {status}");
    }
    Ok(())
}

/// Writes what is made from the types, or says what of it is stale.
fn types(args: &Args) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let files = files(&root)?;
    let mut stale = surplus(&root, &files)?;
    for (path, text) in &files {
        if fs::read_to_string(root.join(path)).ok().as_ref() != Some(text) {
            stale.push(path.clone());
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    let names = stale
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>();
    if args.check {
        bail!(
            "not as `cargo xtask codegen` would write: {}",
            names.join(", ")
        );
    }
    for path in stale {
        let target = root.join(&path);
        let Some(text) = files.get(&path) else {
            fs::remove_file(&target).with_context(|| format!("remove {}", path.display()))?;
            continue;
        };
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        fs::write(&target, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// Makes the text of every generated file, by path from the root of the repository.
fn files(root: &Path) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let mut files = chart::files(root)?;
    for kind in api::served::kinds() {
        let crd = api::crd::definition(kind)?;
        let text = yaml::emit::v2(&crd).context("write a definition as YAML")?;
        files.insert(
            Path::new(CRDS).join(file_name(&crd)),
            format!("---\n{text}"),
        );
        let (group, _) = kind.group.split_once('.').unwrap_or((kind.group, ""));
        let name = kind.kind.to_lowercase();
        let sample = root.join(SAMPLES).join(format!("{group}_{name}.yaml"));
        let sample = fs::read_to_string(&sample)
            .with_context(|| format!("read the sample {}", sample.display()))?;
        files.insert(
            Path::new(PAGES).join(group).join(format!("{name}.md")),
            page::page(kind, &crd, &sample),
        );
    }
    Ok(files)
}

/// Lists files of generated folders that nothing generates any more.
fn surplus(root: &Path, files: &BTreeMap<PathBuf, String>) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let folder = root.join(CRDS);
    if !folder.exists() {
        return Ok(found);
    }
    for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
        let path = Path::new(CRDS).join(entry?.file_name());
        if !files.contains_key(&path) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Names the file of a definition `<group>_<plural>.yaml`.
fn file_name(crd: &Value) -> String {
    let text = |pointer| {
        crd.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    format!(
        "{}_{}.yaml",
        text("/spec/group"),
        text("/spec/names/plural")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_files_are_up_to_date() {
        let args = Args {
            check: true,
            without_flags: true,
        };
        run(&args).unwrap();
    }
}
