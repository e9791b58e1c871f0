//! The libraries of this machine that a program needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Copies what a program needs to start to where it looks for it below `root`. Returns the files, from `root`; none where the
/// program is static.
///
/// # Errors
/// When a library is not on this machine.
pub(super) fn copy(program: &Path, root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(program)
        .env("LC_ALL", "C")
        .output()
        .context("running ldd")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    if told.contains("not a dynamic executable") || text.contains("statically linked") {
        return Ok(Vec::new());
    }
    ensure!(
        output.status.success() && !text.contains("not found"),
        "the libraries of {}: {text}{told}",
        program.display()
    );
    listed(&text)
        .into_iter()
        .map(|library| {
            let path = library.trim_start_matches('/');
            let file = root.join(path);
            let folder = file.parent().context("a file has a folder")?;
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
            fs::copy(library, &file).with_context(|| format!("copying {library}"))?;
            Ok(PathBuf::from(path))
        })
        .collect()
}

/// Returns the paths in what ldd prints: `name => /path (0x…)` and, of the loader, `/path (0x…)`.
fn listed(text: &str) -> Vec<&str> {
    let words = text
        .lines()
        .filter_map(|line| line.split_once(" (0x").map(|(before, _)| before.trim()));
    words
        .map(|words| words.split_once("=> ").map_or(words, |(_, path)| path))
        .filter(|path| path.starts_with('/'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_the_loader_are_listed_by_path() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd1)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f1)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f2)\n";
        assert_eq!(
            listed(text),
            [
                "/lib/x86_64-linux-gnu/libc.so.6",
                "/lib64/ld-linux-x86-64.so.2"
            ]
        );
    }

    #[test]
    fn what_this_test_needs_to_start_is_copied() -> Result<()> {
        let root = tempfile::tempdir()?;
        let copied = copy(&std::env::current_exe()?, root.path())?;
        assert!(!copied.is_empty(), "tests are not static");
        for path in copied {
            let (copy, original) = (root.path().join(&path), Path::new("/").join(&path));
            assert_eq!(fs::metadata(copy)?.len(), fs::metadata(original)?.len());
        }
        Ok(())
    }
}
