//! The file system as the engine's file tree.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use kustomize::file_tree::{Above, Entry, FileTree, Kind, TreeError};

/// The whole file system: paths are those below `/`.
#[derive(Debug)]
pub(crate) struct DiskTree {
    /// The largest file that is read, in bytes.
    max_bytes: u64,
    /// The real paths of directories, by the paths they were asked for: nearly all files of a build
    /// stand in a few directories, and every lookup asks the system for each part of a path.
    directories: Mutex<HashMap<String, String>>,
}

impl DiskTree {
    pub(crate) fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            directories: Mutex::default(),
        }
    }

    /// Gives the real path of a directory.
    fn directory(&self, path: &str) -> Result<String, TreeError> {
        let known = || {
            self.directories
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(real) = known().get(path) {
            return Ok(real.clone());
        }
        let real = resolve(path)?;
        known().insert(path.to_owned(), real.clone());
        Ok(real)
    }
}

/// Follows every link of a path.
fn resolve(path: &str) -> Result<String, TreeError> {
    let real = fs::canonicalize(full(path)).map_err(|error| failed(path, &error))?;
    let text = real.to_str().ok_or_else(|| TreeError::Unreadable {
        path: path.to_owned(),
        reason: "its path is not UTF-8".to_owned(),
    })?;
    Ok(text.trim_start_matches('/').to_owned())
}

fn full(path: &str) -> PathBuf {
    Path::new("/").join(path)
}

fn failed(path: &str, error: &std::io::Error) -> TreeError {
    let path = path.to_owned();
    match error.kind() {
        ErrorKind::NotFound => TreeError::NotFound { path },
        ErrorKind::IsADirectory => TreeError::NotAFile { path },
        ErrorKind::NotADirectory => TreeError::NotADirectory { path },
        _ => TreeError::Unreadable {
            path,
            reason: error.to_string(),
        },
    }
}

impl FileTree for DiskTree {
    fn above(&self) -> Above {
        Above::Root
    }

    fn read(&self, path: &str) -> Result<Cow<'_, [u8]>, TreeError> {
        let read = |file: &mut fs::File| -> std::io::Result<Result<Vec<u8>, u64>> {
            let metadata = file.metadata()?;
            if !metadata.is_file() && !metadata.is_dir() {
                // A pipe or a device may have no end, or no beginning.
                return Err(std::io::Error::other("it is no regular file"));
            }
            if metadata.len() > self.max_bytes {
                return Ok(Err(metadata.len()));
            }
            let mut content = Vec::with_capacity(usize::try_from(metadata.len() + 1).unwrap_or(0));
            // Files of /proc and the like say they are empty.
            file.take(self.max_bytes + 1).read_to_end(&mut content)?;
            let size = content.len() as u64;
            Ok(if size > self.max_bytes {
                Err(size)
            } else {
                Ok(content)
            })
        };
        let mut options = fs::OpenOptions::new();
        // A pipe that nobody writes to must not hold the build up.
        options.read(true).custom_flags(libc::O_NONBLOCK);
        let content = options
            .open(full(path))
            .and_then(|mut file| read(&mut file));
        match content.map_err(|error| failed(path, &error))? {
            Ok(content) => Ok(Cow::Owned(content)),
            Err(size) => Err(TreeError::TooLarge {
                path: path.to_owned(),
                size,
                max_bytes: self.max_bytes,
            }),
        }
    }

    fn stat(&self, path: &str) -> Option<Kind> {
        let metadata = fs::metadata(full(path)).ok()?;
        Some(if metadata.is_dir() {
            Kind::Directory
        } else {
            Kind::File
        })
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, TreeError> {
        let entries = fs::read_dir(full(dir)).map_err(|error| failed(dir, &error))?;
        let mut listed = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed(dir, &error))?;
            let kind = entry.file_type().map_err(|error| failed(dir, &error))?;
            let kind = if kind.is_dir() {
                Kind::Directory
            } else {
                Kind::File
            };
            listed.push(Entry {
                name: entry.file_name().to_string_lossy().into_owned(),
                kind,
            });
        }
        listed.sort();
        Ok(listed)
    }

    fn canonical(&self, path: &str) -> Result<String, TreeError> {
        let Some((directory, name)) = path.rsplit_once('/') else {
            return resolve(path);
        };
        let directory = self.directory(directory).map_err(|error| match error {
            // What is asked for is the file.
            TreeError::NotFound { .. } => TreeError::NotFound {
                path: path.to_owned(),
            },
            other => other,
        })?;
        let real = format!("{directory}/{name}");
        match fs::symlink_metadata(full(&real)) {
            Ok(metadata) if metadata.is_symlink() => resolve(path),
            Ok(_) => Ok(real),
            Err(error) => Err(failed(path, &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kustomize::{LoadRestrictions, Options, build};
    use std::os::unix::fs::symlink;
    use std::time::{Duration, Instant};

    const MAP: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}";

    /// A directory with files, by path and content.
    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    /// Builds `app` of a directory, which must take no time.
    fn outcome(root: &tempfile::TempDir, restrictions: LoadRestrictions) -> Result<String, String> {
        let tree = DiskTree::new(1 << 20);
        let options = Options {
            load_restrictions: restrictions,
            ..Options::default()
        };
        let start = Instant::now();
        let app = root.path().join("app");
        let built = build(
            &tree,
            app.to_str().unwrap().trim_start_matches('/'),
            &options,
        );
        assert!(start.elapsed() < Duration::from_mins(1));
        built
            .and_then(|built| built.to_yaml())
            .map_err(|error| error.to_string())
    }

    #[track_caller]
    fn refused(root: &tempfile::TempDir, part: &str) {
        let error = outcome(root, LoadRestrictions::RootOnly).unwrap_err();
        assert!(error.contains(part), "{error}");
        assert!(error.contains("app/kustomization.yaml:2"), "{error}");
    }

    const ONE: (&str, &str) = ("app/kustomization.yaml", "resources:\n- link.yaml\n");

    #[test]
    fn a_link_to_a_file_inside_is_that_file() {
        let root = directory(&[ONE, ("app/deep/real.yaml", MAP)]);
        symlink("deep/real.yaml", root.path().join("app/link.yaml")).unwrap();
        let printed = outcome(&root, LoadRestrictions::RootOnly).unwrap();
        assert!(printed.contains("name: a"), "{printed}");
        // The same through a directory that is a link, and a link to a link.
        fs::remove_file(root.path().join("app/link.yaml")).unwrap();
        symlink("deep", root.path().join("app/also")).unwrap();
        symlink("also/real.yaml", root.path().join("app/link.yaml")).unwrap();
        assert_eq!(outcome(&root, LoadRestrictions::RootOnly), Ok(printed));
    }

    #[test]
    fn a_link_to_a_file_outside_is_refused_unless_files_are_unrestricted() {
        let root = directory(&[ONE, ("secret.yaml", MAP)]);
        symlink("../secret.yaml", root.path().join("app/link.yaml")).unwrap();
        refused(&root, "security; file");
        assert!(outcome(&root, LoadRestrictions::None).is_ok());
    }

    #[test]
    fn a_directory_that_is_a_link_leads_no_file_past_the_root() {
        let two = ("app/kustomization.yaml", "resources:\n- link/secret.yaml\n");
        let root = directory(&[two, ("outside/secret.yaml", MAP)]);
        symlink("../outside", root.path().join("app/link")).unwrap();
        refused(&root, "security; file");
    }

    #[test]
    fn links_that_lead_in_a_circle_are_an_error() {
        let root = directory(&[ONE]);
        symlink("other.yaml", root.path().join("app/link.yaml")).unwrap();
        symlink("link.yaml", root.path().join("app/other.yaml")).unwrap();
        refused(&root, "link.yaml");
        let itself = ("app/kustomization.yaml", "resources:\n- itself\n");
        let root = directory(&[itself]);
        symlink(".", root.path().join("app/itself")).unwrap();
        refused(&root, "cycle detected");
    }

    #[test]
    fn a_link_to_nothing_is_an_error() {
        let root = directory(&[ONE]);
        symlink("gone.yaml", root.path().join("app/link.yaml")).unwrap();
        refused(&root, "doesn't exist");
    }

    #[test]
    fn a_file_over_the_limit_is_refused_without_being_read() {
        let root = directory(&[ONE, ("app/link.yaml", "")]);
        let file = fs::File::create(root.path().join("app/link.yaml")).unwrap();
        // A hole of a terabyte: reading it would take longer than anyone waits.
        file.set_len(1 << 40).unwrap();
        refused(&root, "more than the 1048576 allowed");
    }

    #[test]
    fn a_pipe_is_no_file() {
        let root = directory(&[ONE]);
        let pipe = root.path().join("app/link.yaml");
        let made = std::process::Command::new("mkfifo").arg(pipe).status();
        assert!(made.unwrap().success());
        refused(&root, "no regular file");
    }
}
