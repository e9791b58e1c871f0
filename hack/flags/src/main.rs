//! Writes the reference pages of the controllers' flags, or with `--check` says which are stale.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};

fn main() -> anyhow::Result<()> {
    let check = std::env::args().any(|argument| argument == "--check");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut stale = Vec::new();
    for (path, text) in flags::pages()? {
        let target = root.join(&path);
        if fs::read_to_string(&target).ok().as_ref() == Some(&text) {
            continue;
        }
        if !check {
            fs::write(&target, text).with_context(|| format!("write {path}"))?;
        }
        stale.push(path);
    }
    if check && !stale.is_empty() {
        bail!(
            "not as `cargo xtask codegen` would write: {}",
            stale.join(", ")
        );
    }
    Ok(())
}
