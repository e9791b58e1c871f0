//! Decides whether the listing is published already.

use std::collections::BTreeMap;

use api::meta::Artifact;
use api::source::Bucket;
use artifact::Algorithm;
use bucket::Store;
use runtime::{Failure, Next};

use super::act::Outcome;
use super::gather::{FAILED, Inputs, Sizes, revision};
use crate::failure::fetch;
use crate::tree::confined;

/// What is to be downloaded and stored.
#[derive(Debug)]
pub struct Plan {
    pub(super) store: Store,
    /// What is published until then.
    pub(super) published: Option<Artifact>,
    pub(super) patterns: Option<Vec<u8>>,
    /// The etag of each object, by its name.
    pub(super) etags: BTreeMap<String, String>,
    pub(super) sizes: Sizes,
    pub(super) algorithm: Algorithm,
}

/// Compares the listing with the one that the artifact was made from.
pub(super) fn plan(object: &Bucket, inputs: Inputs) -> Result<Next<Plan, Outcome>, Failure> {
    let Inputs {
        artifact,
        store,
        patterns,
        etags,
        sizes,
        algorithm,
    } = inputs;
    let same = artifact
        .as_ref()
        .is_some_and(|artifact| artifact.revision == revision(&etags, algorithm));
    if let Some(artifact) = artifact.clone().filter(|_| same) {
        return Ok(Next::Done(Outcome::Unchanged { artifact }));
    }
    check_paths(object, &etags)?;
    Ok(Next::Last(Plan {
        store,
        published: artifact,
        patterns,
        etags,
        sizes,
        algorithm,
    }))
}

/// Refuses names that cannot be files beside each other.
fn check_paths(object: &Bucket, etags: &BTreeMap<String, String>) -> Result<(), Failure> {
    let bucket = &object.spec.bucket_name;
    let refused = |key: &str, why: &str| {
        Err(fetch(
            FAILED,
            format!("fetch from bucket '{bucket}' failed: failed to get '{key}' object: {why}"),
        ))
    };
    let mut paths: BTreeMap<String, &str> = BTreeMap::new();
    for key in etags.keys() {
        let path = confined(key);
        if path.is_empty() || path.contains(['\0', '\\']) {
            return refused(key, "it is no name of a file");
        }
        if paths.insert(path, key).is_some() {
            return refused(key, "another object has the same path");
        }
    }
    for (path, key) in &paths {
        let mut folder = path.as_str();
        while let Some((parent, _)) = folder.rsplit_once('/') {
            if let Some(file) = paths.get(parent) {
                return refused(
                    file,
                    &format!("filename is a directory, because of '{key}'"),
                );
            }
            folder = parent;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: SC-109
    #[test]
    fn objects_have_to_be_files_beside_each_other() {
        let check = |keys: &[&str]| {
            let etags = keys
                .iter()
                .map(|key| ((*key).to_owned(), String::new()))
                .collect();
            check_paths(&Bucket::default(), &etags).map_err(|failure| failure.message)
        };
        check(&["a", "b/c", "b/d", "a-b"]).unwrap();
        check(&["../../x"]).unwrap();
        assert!(
            check(&["a", "a/b"])
                .unwrap_err()
                .contains("filename is a directory")
        );
        assert!(check(&["x", "../x"]).unwrap_err().contains("same path"));
        assert!(check(&[".."]).unwrap_err().contains("no name of a file"));
    }
}
