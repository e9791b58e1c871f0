//! What is known of an artifact beyond its content, such as the names that a server gave to the parts of it. It lies
//! beside the artifact, so that it outlives the process as the artifact does.

use std::fs::File;
use std::io::{self, Read, Write};

use super::staged::{Staged, with_suffix};
use super::{ArtifactPath, KNOWN, Storage};

impl Storage {
    /// Keeps what is known of an artifact beside it, in place of what was, until the artifact goes.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remember(&self, path: &ArtifactPath, known: &[u8]) -> io::Result<()> {
        let target = with_suffix(&self.file(path), KNOWN);
        let staged = Staged::create(&target)?;
        (&staged.file).write_all(known)?;
        staged.put_in_place(&target)
    }

    /// Returns what is known of an artifact; nothing where nothing was kept, or more than `max_bytes`.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn recall(&self, path: &ArtifactPath, max_bytes: u64) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(with_suffix(&self.file(path), KNOWN)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut known = Vec::new();
        file.take(max_bytes + 1).read_to_end(&mut known)?;
        Ok(Some(known).filter(|known| known.len() as u64 <= max_bytes))
    }
}
