//! What a commit may hold. A few objects of a repository can name the same directories and files again and again, and a
//! small one can be a large file.

use git2::{Blob, Oid, Repository};

use super::WalkError;

/// How many files and directories a commit may have.
const MAX_ENTRIES: u64 = 1_000_000;
/// How large a file may be, in bytes: it is read as a whole.
const MAX_FILE_BYTES: u64 = 512 << 20;
/// How large all files may be, in bytes.
const MAX_BYTES: u64 = 8 << 30;

/// What is left of what a commit may hold.
#[derive(Debug)]
pub(super) struct Budget {
    entries: u64,
    bytes: u64,
    file_bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            entries: MAX_ENTRIES,
            bytes: MAX_BYTES,
            file_bytes: MAX_FILE_BYTES,
        }
    }
}

impl Budget {
    /// Counts an entry of the directory at `path`, and checks its name.
    ///
    /// # Errors
    /// [`WalkError::Name`], [`WalkError::TooMany`].
    pub(super) fn entry(&mut self, name: &[u8], path: &[u8]) -> Result<(), WalkError> {
        if !is_name(name) {
            let (path, name) = (String::from_utf8_lossy(path), String::from_utf8_lossy(name));
            let slash = if path.is_empty() { "" } else { "/" };
            return Err(WalkError::Name(format!("{path}{slash}{name}")));
        }
        let left = self.entries.checked_sub(1);
        self.entries = left.ok_or(WalkError::TooMany(MAX_ENTRIES))?;
        Ok(())
    }

    /// Reads the file at `path`. Its size is looked at before its content.
    ///
    /// # Errors
    /// [`WalkError::TooLarge`], [`WalkError::TooMuch`], [`WalkError::Objects`].
    pub(super) fn blob<'a>(
        &mut self,
        repository: &'a Repository,
        id: Oid,
        path: &[u8],
    ) -> Result<Blob<'a>, WalkError> {
        let database = repository.odb().map_err(WalkError::Objects)?;
        let (size, _) = database.read_header(id).map_err(WalkError::Objects)?;
        let size = size as u64;
        if size > self.file_bytes {
            return Err(WalkError::TooLarge {
                path: String::from_utf8_lossy(path).into_owned(),
                max_bytes: self.file_bytes,
            });
        }
        let left = self.bytes.checked_sub(size);
        self.bytes = left.ok_or(WalkError::TooMuch(MAX_BYTES))?;
        repository.find_blob(id).map_err(WalkError::Objects)
    }
}

/// Says whether a name of a tree can be that of a file or directory: one level, and none that file systems or Git take
/// for another. Git's own folder is refused in each spelling that a file system may take for it.
fn is_name(name: &[u8]) -> bool {
    if matches!(name, b"" | b"." | b"..")
        || name.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0))
    {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    // What a file system cuts off: a stream's name, blanks and dots at the end.
    let end = lower.iter().position(|byte| *byte == b':');
    let mut bare = &lower[..end.unwrap_or(lower.len())];
    while let [rest @ .., b' ' | b'.'] = bare {
        bare = rest;
    }
    !matches!(bare, b".git" | b"git~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A few bytes that become a large file: the size is looked at before the content.
    #[test]
    fn files_that_swell_are_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(directory.path()).unwrap();
        let zeros = repository.blob(&vec![0; 1000]).unwrap();
        let mut budget = Budget {
            entries: 10,
            bytes: 1500,
            file_bytes: 1000,
        };
        let mut read = |id| {
            budget
                .blob(&repository, id, b"a/zeros")
                .map(|blob| blob.size())
        };
        assert_eq!(read(zeros).unwrap(), 1000);
        assert!(matches!(read(zeros), Err(WalkError::TooMuch(_))));
        let large = repository.blob(&vec![0; 1001]).unwrap();
        assert_eq!(
            read(large).unwrap_err().to_string(),
            "file 'a/zeros' is larger than 1000 bytes"
        );
    }

    #[test]
    fn names_that_lead_elsewhere_are_none() {
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "/a",
            "a\\b",
            "a\0b",
            ".git",
            ".GIT",
            ".Git ",
            ".git.",
            "GIT~1",
            ".git::$INDEX_ALLOCATION",
        ] {
            assert!(!is_name(bad.as_bytes()), "{bad:?}");
        }
        for good in [
            "a",
            "...",
            ".gitignore",
            ".github",
            "git",
            "c:",
            "a:b",
            "ä",
            "-rf",
        ] {
            assert!(is_name(good.as_bytes()), "{good:?}");
        }
        assert!(is_name(b"\xff\xfe"));
    }
}
