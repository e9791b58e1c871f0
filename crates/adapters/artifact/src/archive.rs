//! The archive of an artifact: a tar.gz that depends on names, contents and executable bits alone.

use std::io::{self, Read, Write};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

/// The tar modes of an artifact's entries.
const DIRECTORY: u32 = 0o750;
const FILE: u32 = 0o600;
const EXECUTABLE: u32 = 0o700;
/// `OS` of a gzip header where nothing is said.
const UNKNOWN_SYSTEM: u8 = 255;

/// Writes a deterministic tar.gz entry by entry.
///
/// Invariants: owner and group 0 without names, no times, modes 0750, 0600 and 0700, ustar headers with a PAX record
/// only where a name does not fit or is not ASCII. The caller gives the entries in order: each directory before its
/// contents, names bytewise.
/// Source: fluxcd/source-controller 1.9 artifacts, observed.
pub struct ArchiveWriter<W: Write> {
    tar: tar::Builder<GzEncoder<W>>,
}

impl<W: Write> std::fmt::Debug for ArchiveWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArchiveWriter").finish_non_exhaustive()
    }
}

impl<W: Write> ArchiveWriter<W> {
    /// Starts an archive.
    pub fn new(out: W) -> Self {
        let gzip = GzBuilder::new()
            .operating_system(UNKNOWN_SYSTEM)
            .write(out, Compression::default());
        Self {
            tar: tar::Builder::new(gzip),
        }
    }

    /// Adds a directory. `path` is relative to the root, without a slash at the end; `.` is the root itself.
    ///
    /// # Errors
    /// Those of the underlying writer.
    pub fn directory(&mut self, path: &[u8]) -> io::Result<()> {
        self.append(path, tar::EntryType::Directory, DIRECTORY, 0, io::empty())
    }

    /// Adds a file of exactly `size` bytes.
    ///
    /// # Errors
    /// Those of the underlying writer and of `content`; also where `content` ends early.
    pub fn file(
        &mut self,
        path: &[u8],
        executable: bool,
        size: u64,
        content: impl Read,
    ) -> io::Result<()> {
        let mode = if executable { EXECUTABLE } else { FILE };
        let mut content = content.take(size);
        self.append(path, tar::EntryType::Regular, mode, size, &mut content)?;
        if content.limit() > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Ends the archive and returns the writer below.
    ///
    /// # Errors
    /// Those of the underlying writer.
    pub fn finish(self) -> io::Result<W> {
        self.tar.into_inner()?.finish()
    }

    fn append(
        &mut self,
        path: &[u8],
        kind: tar::EntryType,
        mode: u32,
        size: u64,
        content: impl Read,
    ) -> io::Result<()> {
        let mut header = tar::Header::new_ustar();
        if !set_name(&mut header, path) {
            self.tar.append_pax_extensions([("path", path)])?;
            truncate_name(&mut header, path);
        }
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        self.tar.append(&header, content)
    }
}

/// Puts the name into the header's own fields. `false` where it does not fit.
fn set_name(header: &mut tar::Header, path: &[u8]) -> bool {
    let Some(ustar) = header.as_ustar_mut() else {
        return false;
    };
    if !path.is_ascii() {
        return false;
    }
    if path.len() <= ustar.name.len() {
        ustar.name[..path.len()].copy_from_slice(path);
        return true;
    }
    // The split must leave at most 155 bytes before it and at most 100 behind it: take the last slash that may serve.
    let last = path.len().min(ustar.prefix.len() + 1);
    let Some(slash) = path[..last].iter().rposition(|byte| *byte == b'/') else {
        return false;
    };
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    if prefix.is_empty() || name.is_empty() || name.len() > ustar.name.len() {
        return false;
    }
    ustar.prefix[..prefix.len()].copy_from_slice(prefix);
    ustar.name[..name.len()].copy_from_slice(name);
    true
}

/// Gives readers without PAX something to show: the printable ASCII of the name, cut.
fn truncate_name(header: &mut tar::Header, path: &[u8]) {
    if let Some(ustar) = header.as_ustar_mut() {
        let shown = path.iter().filter(|byte| byte.is_ascii());
        for (slot, byte) in ustar.name.iter_mut().zip(shown) {
            *slot = *byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::read::GzDecoder;

    use super::*;

    fn sample() -> Vec<u8> {
        let mut archive = ArchiveWriter::new(Vec::new());
        archive.directory(b".").unwrap();
        archive.directory(b"bin").unwrap();
        archive
            .file(b"bin/run.sh", true, 10, &b"#!/bin/sh\n"[..])
            .unwrap();
        archive
            .file("ü.txt".as_bytes(), false, 2, &b"hi"[..])
            .unwrap();
        archive.finish().unwrap()
    }

    /// covers: SC-046
    #[test]
    fn entries_have_fixed_modes_owners_and_times() {
        let bytes = sample();
        assert_eq!(
            bytes[..10],
            [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255],
            "gzip header"
        );
        let mut tar = tar::Archive::new(GzDecoder::new(&bytes[..]));
        let seen: Vec<_> = tar
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
                assert_eq!(header.mtime().unwrap(), 0);
                assert_eq!(header.username().unwrap(), Some(""));
                let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
                (name, header.mode().unwrap(), header.entry_type().is_dir())
            })
            .collect();
        let expected = [
            (".", 0o750, true),
            ("bin", 0o750, true),
            ("bin/run.sh", 0o700, false),
            ("ü.txt", 0o600, false),
        ];
        assert_eq!(
            seen,
            expected.map(|(name, mode, dir)| (name.to_owned(), mode, dir))
        );
    }

    #[test]
    fn same_entries_give_the_same_bytes() {
        assert_eq!(sample(), sample());
    }

    #[test]
    fn names_of_any_length_come_back() {
        for length in [
            1, 99, 100, 101, 154, 155, 156, 200, 255, 256, 257, 300, 5000,
        ] {
            for step in [7, 60, 1000] {
                let name: Vec<u8> = (1..=length)
                    .map(|at| {
                        if at % step == 0 && at != length {
                            b'/'
                        } else {
                            b'a'
                        }
                    })
                    .collect();
                let mut archive = ArchiveWriter::new(Vec::new());
                archive.file(&name, false, 3, &b"abc"[..]).unwrap();
                let bytes = archive.finish().unwrap();
                let mut tar = tar::Archive::new(GzDecoder::new(&bytes[..]));
                let mut entry = tar.entries().unwrap().next().unwrap().unwrap();
                assert_eq!(entry.path_bytes().into_owned(), name);
                let mut content = String::new();
                entry.read_to_string(&mut content).unwrap();
                assert_eq!(content, "abc");
            }
        }
    }

    #[test]
    fn content_shorter_than_announced_is_an_error() {
        let mut archive = ArchiveWriter::new(Vec::new());
        let error = archive.file(b"a", false, 5, &b"abc"[..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
