//! What is stored of objects that are gone: a controller that was away when an object went has nobody to tell it.

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use crate::storage::Storage;

impl Storage {
    /// Returns the objects of a kind that something is stored of: namespace and name. A kind that has nothing has none.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn objects(&self, kind: &str) -> io::Result<Vec<(String, String)>> {
        let mut objects = Vec::new();
        let kind = self.root().join(kind.to_lowercase());
        for namespace in folders(&kind)? {
            for name in folders(&kind.join(&namespace))? {
                objects.push((namespace.clone(), name));
            }
        }
        Ok(objects)
    }

    /// Removes everything of an object for which nothing was written since a point of time. Returns whether it did.
    ///
    /// # Errors
    /// As [`Storage::remove_object`].
    pub fn remove_older(
        &self,
        kind: &str,
        (namespace, name): (&str, &str),
        than: SystemTime,
    ) -> io::Result<bool> {
        let folder = self.root().join(kind.to_lowercase()).join(namespace);
        let touched = match fs::symlink_metadata(folder.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            about => about?.modified()?,
        };
        if touched >= than {
            return Ok(false);
        }
        self.remove_object(kind, namespace, name)
    }
}

/// Returns the names of the folders in a folder, none where it is not there.
fn folders(parent: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let (true, Ok(name)) = (entry.file_type()?.is_dir(), entry.file_name().into_string()) {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::digest::Algorithm;
    use crate::storage::ArtifactPath;

    #[test]
    fn only_what_was_not_touched_since_goes() {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::new(directory.path(), "host", Algorithm::Sha256).unwrap();
        assert!(storage.objects("Bucket").unwrap().is_empty());
        for (namespace, name) in [("a", "x"), ("a", "y"), ("b", "x")] {
            let path = ArtifactPath::new("Bucket", namespace, name, "file").unwrap();
            let written = storage.write(&path, |out| out.write_all(b"1"));
            written.unwrap();
        }
        fs::write(directory.path().join("bucket/a/stray"), "").unwrap();
        let mut objects = storage.objects("Bucket").unwrap();
        objects.sort();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(objects, [pair("a", "x"), pair("a", "y"), pair("b", "x")]);

        let remove = |than| storage.remove_older("Bucket", ("a", "x"), than).unwrap();
        assert!(!remove(SystemTime::now() - Duration::from_mins(1)));
        assert!(remove(SystemTime::now() + Duration::from_mins(1)));
        assert!(!remove(SystemTime::now() + Duration::from_mins(1)));
        assert_eq!(storage.objects("Bucket").unwrap().len(), 2);
    }
}
