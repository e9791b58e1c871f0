//! The tags that scans found, kept over restarts.
//!
//! One file an ImageRepository: `<root>/imagerepository/<namespace>/<name>/tags.txt`, one tag a line, greatest first;
//! `tags.txt.gz` from a size on. The layout is upstream's with the gate `FluxStorage`.
//!
//! Source: fluxcd/image-reflector-controller v1.2 `internal/database`.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};

const FOLDER: &str = "imagerepository";
const PLAIN: &str = "tags.txt";
const PACKED: &str = "tags.txt.gz";
/// Says in which format the folder is.
const VERSION_FILE: &str = ".storage-version";
const VERSION: &str = "2";
/// A folder that is being emptied says so, for a start that was interrupted.
const WIPE_FILE: &str = ".storage-wipe-in-progress";
/// No list of tags is longer, unpacked.
const MAX_BYTES: u64 = 128 << 20;

/// A folder of tags could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{doing} '{}'", path.display())]
pub struct TagsError {
    doing: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl TagsError {
    fn of(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self {
            doing,
            path,
            source,
        }
    }
}

/// The tags of all ImageRepositories.
#[derive(Clone, Debug)]
pub struct Tags {
    root: PathBuf,
    /// From how many bytes on a list is packed.
    threshold: usize,
}

impl Tags {
    /// Opens a folder. What another format left in it is removed: it is a cache, and scans fill it again.
    ///
    /// # Errors
    /// A folder that cannot be read or written.
    pub fn open(root: &Path, threshold: usize) -> Result<Self, TagsError> {
        fs::create_dir_all(root).map_err(TagsError::of("creating the storage", root))?;
        let (version, wiping) = (root.join(VERSION_FILE), root.join(WIPE_FILE));
        let current = fs::read_to_string(&version).is_ok_and(|text| text.trim() == VERSION);
        if !current || wiping.exists() {
            fs::write(&wiping, "").map_err(TagsError::of("writing", &wiping))?;
            empty(root)?;
            fs::write(&version, VERSION).map_err(TagsError::of("writing", &version))?;
            fs::remove_file(&wiping).map_err(TagsError::of("removing", &wiping))?;
        }
        Ok(Self {
            root: root.to_owned(),
            threshold,
        })
    }

    fn folder(&self, namespace: &str, name: &str) -> PathBuf {
        self.root.join(FOLDER).join(namespace).join(name)
    }

    /// Stores the tags of an ImageRepository: all or nothing.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn set(&self, namespace: &str, name: &str, tags: &[String]) -> Result<(), TagsError> {
        let folder = self.folder(namespace, name);
        fs::create_dir_all(&folder).map_err(TagsError::of("creating", &folder))?;
        let text = text_of(tags);
        let is_packed = text.len() >= self.threshold;
        let (file, stale) = if is_packed {
            (PACKED, PLAIN)
        } else {
            (PLAIN, PACKED)
        };
        let (path, stale) = (folder.join(file), folder.join(stale));
        let bytes = if is_packed {
            pack(text.as_bytes()).map_err(TagsError::of("writing", &path))?
        } else {
            text.into_bytes()
        };
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&folder)?;
            file.write_all(&bytes)?;
            file.as_file().sync_data()?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(TagsError::of("writing", &path))?;
        match fs::remove_file(&stale) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(TagsError::of("removing", &stale)(error))
            }
            _ => Ok(()),
        }
    }

    /// Returns the tags of an ImageRepository; none where none were ever stored.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn get(&self, namespace: &str, name: &str) -> Result<Option<Vec<String>>, TagsError> {
        let folder = self.folder(namespace, name);
        let (plain, packed) = (folder.join(PLAIN), folder.join(PACKED));
        let time = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
        // Both are there after a write that was interrupted: the later one counts.
        let path = match (time(&plain), time(&packed)) {
            (None, None) => return Ok(None),
            (plain_time, packed_time) if packed_time > plain_time => packed,
            _ => plain,
        };
        let text = read(&path).map_err(TagsError::of("reading", &path))?;
        Ok(Some(text.lines().map(str::to_owned).collect()))
    }

    /// Forgets the tags of an ImageRepository.
    ///
    /// # Errors
    /// A folder that cannot be removed.
    pub fn remove(&self, namespace: &str, name: &str) -> Result<(), TagsError> {
        let folder = self.folder(namespace, name);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(TagsError::of("removing", &folder)(error));
            }
            _ => {}
        }
        if let Some(parent) = folder.parent() {
            // Another one's folder keeps it.
            drop(fs::remove_dir(parent));
        }
        Ok(())
    }

    /// Returns every ImageRepository that tags are stored of, as namespace and name.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn stored(&self) -> Result<Vec<(String, String)>, TagsError> {
        let root = self.root.join(FOLDER);
        let mut found = Vec::new();
        for namespace in names(&root).map_err(TagsError::of("reading", &root))? {
            let folder = root.join(&namespace);
            for name in names(&folder).map_err(TagsError::of("reading", &folder))? {
                found.push((namespace.clone(), name));
            }
        }
        Ok(found)
    }
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Removes everything from the storage but the note that it is being emptied.
fn empty(root: &Path) -> Result<(), TagsError> {
    let entries = fs::read_dir(root).map_err(TagsError::of("reading", root))?;
    for entry in entries {
        let entry = entry.map_err(TagsError::of("reading", root))?;
        let path = entry.path();
        if entry.file_name() == WIPE_FILE || entry.file_name() == "lost+found" {
            continue;
        }
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_folder {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.map_err(TagsError::of("removing", &path))?;
    }
    Ok(())
}

fn text_of(tags: &[String]) -> String {
    let mut text = tags.join("\n");
    text.push('\n');
    if tags.is_empty() {
        text.clear();
    }
    text
}

/// Packs without a time, so that the same tags make the same bytes.
fn pack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn read(path: &Path) -> io::Result<String> {
    let file = fs::File::open(path)?;
    let mut text = String::new();
    let mut bounded: Box<dyn io::Read> = if path.ends_with(PACKED) {
        Box::new(GzDecoder::new(file))
    } else {
        Box::new(file)
    };
    bounded.as_mut().take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// The checksum of a list of tags that statuses show: Adler-32 of its JSON, in decimal.
///
/// Source: image-reflector-controller v1.2 `internal/database/badger.go`.
#[must_use]
pub fn revision(tags: &[String]) -> String {
    let json = serde_json::to_vec(tags).unwrap_or_default();
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in json {
        low = (low + u32::from(byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    ((high << 16) | low).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// covers: IA-051, IA-055
    #[test]
    fn each_repository_has_its_own_tags() {
        let folder = tempfile::tempdir().unwrap();
        let store = Tags::open(folder.path(), 64 << 10).unwrap();
        assert_eq!(store.get("a", "app").unwrap(), None);
        store.set("a", "app", &tags(&["2", "1"])).unwrap();
        store.set("b", "app", &[]).unwrap();
        assert_eq!(store.get("a", "app").unwrap(), Some(tags(&["2", "1"])));
        assert_eq!(store.get("b", "app").unwrap(), Some(Vec::new()));
        store.set("a", "app", &tags(&["3"])).unwrap();
        assert_eq!(store.get("a", "app").unwrap(), Some(tags(&["3"])));
        store.remove("a", "app").unwrap();
        store.remove("a", "app").unwrap();
        assert_eq!(store.get("a", "app").unwrap(), None);
        let left = [("b".to_owned(), "app".to_owned())];
        assert_eq!(store.stored().unwrap(), left);
        assert!(!folder.path().join("imagerepository/a").exists());
    }

    /// covers: IA-052, IA-053, IA-056
    #[test]
    fn long_lists_are_packed_and_the_other_form_goes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Tags::open(folder.path(), 10).unwrap();
        let at = |file: &str| folder.path().join("imagerepository/ns/app").join(file);
        store.set("ns", "app", &tags(&["1.0.0"])).unwrap();
        assert!(at("tags.txt").exists() && !at("tags.txt.gz").exists());
        let many: Vec<String> = (0..100).map(|n| format!("1.0.{n}")).collect();
        store.set("ns", "app", &many).unwrap();
        assert!(!at("tags.txt").exists() && at("tags.txt.gz").exists());
        assert_eq!(store.get("ns", "app").unwrap().as_ref(), Some(&many));
        let first = fs::read(at("tags.txt.gz")).unwrap();
        store.set("ns", "app", &many).unwrap();
        assert_eq!(fs::read(at("tags.txt.gz")).unwrap(), first);
        fs::write(at("tags.txt"), "9\n").unwrap();
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
        let file = fs::File::options().append(true).open(at("tags.txt"));
        file.unwrap().set_modified(later).unwrap();
        assert_eq!(store.get("ns", "app").unwrap(), Some(tags(&["9"])));
    }

    /// covers: IA-057
    #[test]
    fn folder_of_another_format_is_emptied_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("000001.vlog"), "badger").unwrap();
        fs::create_dir(folder.path().join("old")).unwrap();
        let store = Tags::open(folder.path(), 10).unwrap();
        assert!(!folder.path().join("000001.vlog").exists());
        assert!(!folder.path().join("old").exists());
        store.set("ns", "app", &tags(&["1"])).unwrap();
        let again = Tags::open(folder.path(), 10).unwrap();
        assert_eq!(again.get("ns", "app").unwrap(), Some(tags(&["1"])));
        fs::write(folder.path().join(WIPE_FILE), "").unwrap();
        let wiped = Tags::open(folder.path(), 10).unwrap();
        assert_eq!(wiped.get("ns", "app").unwrap(), None);
    }

    /// covers: IA-054
    #[test]
    fn revision_is_upstreams_checksum() {
        // Recorded from image-reflector-controller v1.2.0.
        assert_eq!(revision(&tags(&["1.0.0"])), "160432618");
        assert_eq!(revision(&[]), "18153657");
    }
}
