//! The files of an image.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// The user that programs run as; it has a name in no system.
pub(super) const USER: u32 = 65_534;
/// Where the CA certificates are.
pub(super) const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";
/// The folder of the program.
pub(super) const PROGRAMS: &str = "usr/local/bin";

/// What goes into which layer: what all images share first, so that a node keeps it once.
pub(super) const LAYERS: [&[&str]; 2] = [&["data", "etc", "tmp"], &["usr"]];

const MAX_CERTIFICATES_BYTES: u64 = 4 * 1024 * 1024;

/// Writes the files below `root`.
///
/// # Errors
/// When this machine has no CA certificates.
pub(super) fn write(root: &Path, name: &str, program: &Path) -> Result<()> {
    let bytes = fs::read(program).with_context(|| format!("reading {}", program.display()))?;
    let put = |path: &str, content: &[u8], mode: u32| -> Result<()> {
        let file = root.join(path);
        let folder = file.parent().context("a file has a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        fs::write(&file, content).with_context(|| format!("writing {}", file.display()))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(mode))
            .with_context(|| format!("writing {}", file.display()))
    };
    let system = Path::new("/").join(CERTIFICATES);
    let size = fs::metadata(&system).map_or(0, |data| data.len());
    ensure!(
        size > 0 && size <= MAX_CERTIFICATES_BYTES,
        "{} is missing: install ca-certificates",
        system.display()
    );
    let certificates = fs::read(&system).context("reading CA certificates")?;
    put(CERTIFICATES, &certificates, 0o644)?;
    let passwd = format!("nonroot:x:{USER}:{USER}:nonroot:/tmp:/sbin/nologin\n");
    put("etc/passwd", passwd.as_bytes(), 0o644)?;
    put(
        "etc/group",
        format!("nonroot:x:{USER}:\n").as_bytes(),
        0o644,
    )?;
    put("etc/nsswitch.conf", b"hosts: files dns\n", 0o644)?;
    put(&format!("{PROGRAMS}/{name}"), &bytes, 0o755)?;
    // Volumes are mounted over both; without them whoever runs the program may write there.
    for folder in ["tmp", "data"] {
        let folder = root.join(folder);
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777))
            .with_context(|| format!("making {}", folder.display()))?;
    }
    Ok(())
}

/// Checks that a program starts from an otherwise empty root.
///
/// # Errors
/// When it asks for a loader.
pub(super) fn ensure_static(program: &Path) -> Result<()> {
    let bytes = fs::read(program).with_context(|| format!("reading {}", program.display()))?;
    ensure!(
        is_static(&bytes),
        "{} asks for a loader: it would not start from an empty root",
        program.display()
    );
    Ok(())
}

/// Returns true where a 64-bit ELF program names no interpreter.
fn is_static(program: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    let number = |at: usize, size: usize| -> Option<u64> {
        let bytes = program.get(at..at.checked_add(size)?)?;
        let little = bytes.iter().rev();
        Some(little.fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let headers = || -> Option<Vec<u64>> {
        if program.get(..5)? != b"\x7fELF\x02" {
            return None;
        }
        let at = usize::try_from(number(32, 8)?).ok()?;
        let size = usize::try_from(number(54, 2)?).ok()?;
        let count = usize::try_from(number(56, 2)?).ok()?;
        (0..count)
            .map(|index| number(at.checked_add(index.checked_mul(size)?)?, 4))
            .collect()
    };
    headers().is_some_and(|kinds| !kinds.contains(&u64::from(INTERPRETER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_asks_for_a_loader_is_refused() {
        let own = std::env::current_exe()
            .ok()
            .and_then(|path| fs::read(path).ok());
        assert!(!is_static(&own.unwrap_or_default()), "tests are not static");
        assert!(!is_static(b""));
        assert!(!is_static(b"#!/bin/sh\n"));
    }
}
