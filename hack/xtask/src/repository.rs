//! The files of the repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Returns the root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A text file of the repository.
#[derive(Debug)]
pub(crate) struct TextFile {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Returns the text files that Git tracks or would track, by path. Files that are not UTF-8 are left out.
pub(crate) fn text_files() -> Result<Vec<TextFile>> {
    let listing = Command::new("git")
        .current_dir(root())
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .output()
        .context("listing the repository's files")?;
    ensure!(
        listing.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&listing.stderr)
    );
    let names = String::from_utf8(listing.stdout).context("listing the repository's files")?;
    let mut files: Vec<TextFile> = names
        .split_terminator('\0')
        // A deleted file is listed until that is committed; a link names another file.
        .filter(|path| fs::symlink_metadata(root().join(path)).is_ok_and(|data| data.is_file()))
        .filter_map(|path| {
            let text = fs::read_to_string(root().join(path)).ok()?;
            Some(TextFile {
                path: path.to_owned(),
                text,
            })
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}
