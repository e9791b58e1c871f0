//! One artifact, checked and indexed: its contents in an open file without a name, its names in memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::read::GzDecoder;
use kustomize::file_tree::{Entry, Kind};
use kustomize::{FileTree, TreeError};
use tar::EntryType;

/// What one artifact may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of all files together.
    pub max_bytes: u64,
    /// Number of entries.
    pub max_entries: usize,
    /// Bytes of one file that is read into memory.
    pub max_file_bytes: u64,
}

impl Default for Bounds {
    /// 2 GiB in 500,000 entries, and 64 MiB for a file that is read.
    fn default() -> Self {
        Self {
            max_bytes: 2 << 30,
            max_entries: 500_000,
            max_file_bytes: 64 << 20,
        }
    }
}

/// Why an archive was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// It is no tar.gz, or breaks off.
    #[error("archive cannot be read")]
    Format(#[source] io::Error),
    /// An entry would lie outside, or its name is ambiguous.
    #[error("tar contained invalid name error {0:?}")]
    Name(String),
    /// An entry is neither file, directory nor symbolic link.
    #[error("tar file entry {name} contained unsupported file type {kind:?}")]
    Kind {
        /// The entry.
        name: String,
        /// Its type.
        kind: EntryType,
    },
    /// Its files are larger than allowed.
    #[error("archive holds more than {0} bytes")]
    Bytes(u64),
    /// It has more entries than allowed.
    #[error("archive holds more than {0} entries")]
    Entries(usize),
    /// Its contents cannot be stored.
    #[error("contents cannot be stored")]
    Store(#[source] io::Error),
}

/// The files of one artifact.
///
/// Paths are relative to the artifact's root and `/`-separated; the root is `""`. Symbolic links are left out, as
/// upstream leaves them out. Names that are not UTF-8 are not reachable.
#[derive(Debug)]
pub struct ArtifactTree {
    contents: File,
    bytes: u64,
    max_file_bytes: u64,
    nodes: BTreeMap<String, Node>,
    children: BTreeMap<String, Vec<Entry>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    File { offset: u64, size: u64, mode: u32 },
}

impl ArtifactTree {
    /// Reads a tar.gz into a file without a name in `directory`.
    ///
    /// # Errors
    /// [`ExtractError`].
    pub fn unpack(
        archive: impl Read,
        directory: &Path,
        bounds: Bounds,
    ) -> Result<Self, ExtractError> {
        let mut contents =
            BufWriter::new(tempfile::tempfile_in(directory).map_err(ExtractError::Store)?);
        let mut nodes = BTreeMap::from([(String::new(), Node::Directory)]);
        let mut bytes = 0;
        let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(archive)));
        for (count, entry) in tar.entries().map_err(ExtractError::Format)?.enumerate() {
            if count >= bounds.max_entries {
                return Err(ExtractError::Entries(bounds.max_entries));
            }
            let mut entry = entry.map_err(ExtractError::Format)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let kind = entry.header().entry_type();
            match kind {
                EntryType::XGlobalHeader | EntryType::Symlink => {}
                EntryType::Directory => {
                    insert(&mut nodes, &name, Node::Directory)?;
                }
                EntryType::Regular | EntryType::Continuous => {
                    let mode = entry.header().mode().map_err(ExtractError::Format)?;
                    let size = entry.size();
                    if bytes + size > bounds.max_bytes {
                        return Err(ExtractError::Bytes(bounds.max_bytes));
                    }
                    insert(
                        &mut nodes,
                        &name,
                        Node::File {
                            offset: bytes,
                            size,
                            mode,
                        },
                    )?;
                    copy(&mut entry, &mut contents, size)?;
                    bytes += size;
                }
                kind => return Err(ExtractError::Kind { name, kind }),
            }
        }
        let contents = contents
            .into_inner()
            .map_err(|error| ExtractError::Store(error.into_error()))?;
        let children = children(&nodes);
        Ok(Self {
            contents,
            bytes,
            max_file_bytes: bounds.max_file_bytes,
            nodes,
            children,
        })
    }

    /// Returns the size of all files together.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the permission bits of a file, as the archive has them.
    pub fn mode(&self, path: &str) -> Option<u32> {
        match self.nodes.get(path)? {
            Node::File { mode, .. } => Some(*mode),
            Node::Directory => None,
        }
    }

    /// Returns the size of a file in bytes; nothing where there is no file.
    pub fn size(&self, path: &str) -> Option<u64> {
        match self.nodes.get(path)? {
            Node::File { size, .. } => Some(*size),
            Node::Directory => None,
        }
    }

    /// Returns whether `path` is a directory.
    pub fn is_directory(&self, path: &str) -> bool {
        self.nodes.get(path) == Some(&Node::Directory)
    }

    /// Returns what is at `path` and below it, in no particular order: paths relative to the root, and whether each is a
    /// directory. Empty where nothing is there.
    pub fn below(&self, path: &str) -> impl Iterator<Item = (&str, bool)> {
        let within = move |each: &str| {
            path.is_empty()
                || each
                    .strip_prefix(path)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.nodes
            .iter()
            .filter(move |(each, _)| within(each))
            .map(|(each, node)| (each.as_str(), *node == Node::Directory))
    }

    /// Reads a file of any size.
    ///
    /// # Errors
    /// Those of the file system; [`io::ErrorKind::NotFound`] where no file is there.
    pub fn content(&self, path: &str) -> io::Result<Vec<u8>> {
        match self.nodes.get(path) {
            Some(Node::File { offset, size, .. }) => {
                let mut content = vec![0; usize::try_from(*size).map_err(io::Error::other)?];
                self.contents.read_exact_at(&mut content, *offset)?;
                Ok(content)
            }
            Some(Node::Directory) | None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Returns the paths of all files, in bytewise order.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.nodes
            .iter()
            .filter(|(_, node)| matches!(node, Node::File { .. }))
            .map(|(path, _)| path.as_str())
    }
}

impl FileTree for ArtifactTree {
    fn read(&self, path: &str) -> Result<Cow<'_, [u8]>, TreeError> {
        match self.nodes.get(path) {
            None => Err(TreeError::NotFound {
                path: path.to_owned(),
            }),
            Some(Node::Directory) => Err(TreeError::NotAFile {
                path: path.to_owned(),
            }),
            Some(Node::File { size, .. }) if *size > self.max_file_bytes => {
                let max_bytes = self.max_file_bytes;
                Err(TreeError::TooLarge {
                    path: path.to_owned(),
                    size: *size,
                    max_bytes,
                })
            }
            Some(Node::File { offset, size, .. }) => {
                let unreadable = |reason: String| TreeError::Unreadable {
                    path: path.to_owned(),
                    reason,
                };
                let size = usize::try_from(*size).map_err(|error| unreadable(error.to_string()))?;
                let mut content = vec![0; size];
                self.contents
                    .read_exact_at(&mut content, *offset)
                    .map_err(|error| unreadable(error.to_string()))?;
                Ok(Cow::Owned(content))
            }
        }
    }

    fn stat(&self, path: &str) -> Option<Kind> {
        self.nodes.get(path).copied().map(Node::kind)
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, TreeError> {
        match self.nodes.get(dir) {
            None => Err(TreeError::NotFound {
                path: dir.to_owned(),
            }),
            Some(Node::File { .. }) => Err(TreeError::NotADirectory {
                path: dir.to_owned(),
            }),
            Some(Node::Directory) => Ok(self.children.get(dir).cloned().unwrap_or_default()),
        }
    }
}

impl Node {
    fn kind(self) -> Kind {
        match self {
            Self::Directory => Kind::Directory,
            Self::File { .. } => Kind::File,
        }
    }
}

/// Copies exactly `size` bytes: an archive that breaks off within an entry is refused.
fn copy(from: &mut impl Read, to: &mut impl Write, size: u64) -> Result<(), ExtractError> {
    let mut buffer = [0; 16 << 10];
    let mut left = size;
    while left > 0 {
        let count = from.read(&mut buffer).map_err(ExtractError::Format)?;
        if count == 0 {
            return Err(ExtractError::Format(io::ErrorKind::UnexpectedEof.into()));
        }
        to.write_all(&buffer[..count])
            .map_err(ExtractError::Store)?;
        left = left.saturating_sub(count as u64);
    }
    Ok(())
}

/// Adds an entry and the directories that lead to it.
fn insert(nodes: &mut BTreeMap<String, Node>, name: &str, node: Node) -> Result<(), ExtractError> {
    let path = clean(name).ok_or_else(|| ExtractError::Name(name.to_owned()))?;
    for (at, _) in path.match_indices('/') {
        match nodes.get(&path[..at]) {
            Some(Node::Directory) => {}
            None => {
                nodes.insert(path[..at].to_owned(), Node::Directory);
            }
            // A file cannot hold another: the archive means two things by one name.
            Some(Node::File { .. }) => return Err(ExtractError::Name(name.to_owned())),
        }
    }
    let replaces_other_kind = nodes
        .get(&path)
        .is_some_and(|old| old.kind() != node.kind());
    if replaces_other_kind {
        return Err(ExtractError::Name(name.to_owned()));
    }
    nodes.insert(path, node);
    Ok(())
}

/// Returns the name without `.` parts and slashes too many; `None` where it is not safe.
fn clean(name: &str) -> Option<String> {
    if name.is_empty() || name.starts_with('/') || name.contains(['\\', '\0']) {
        return None;
    }
    let parts = name
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    let parts: Vec<&str> = parts.collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

fn children(nodes: &BTreeMap<String, Node>) -> BTreeMap<String, Vec<Entry>> {
    let mut children: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for (path, node) in nodes.iter().filter(|(path, _)| !path.is_empty()) {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let entry = Entry {
            name: name.to_owned(),
            kind: node.kind(),
        };
        children
            .entry(directory.to_owned())
            .or_default()
            .push(entry);
    }
    for entries in children.values_mut() {
        entries.sort();
    }
    children
}
