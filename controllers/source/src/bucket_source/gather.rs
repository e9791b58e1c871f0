//! Looks after the stored artifact, reads Secrets, lists the bucket.

use std::collections::BTreeMap;

use api::meta::Artifact;
use api::source::Bucket;
use artifact::Algorithm;
use artifact::digest::Hasher;
use bucket::{Error, Object, Store};
use runtime::{Failure, Progress};
use select::{IGNORE_FILE, IgnoreRules};

use super::Buckets;
use crate::failure::{chain, fetch};

/// The store could not be reached or does not have what is asked for.
pub(super) const FAILED: &str = "BucketOperationFailed";
/// The largest list of patterns, in bytes.
const MAX_IGNORE_BYTES: u64 = 1 << 20;
/// The largest object, in bytes.
const MAX_OBJECT_BYTES: u64 = 512 << 20;
/// The most that all objects have together, in bytes.
const MAX_BYTES: u64 = 8 << 30;
/// What any object may have grown to since it was listed, in bytes.
const SMALL: u64 = 16 << 20;

/// What the decision needs.
#[derive(Debug)]
pub struct Inputs {
    /// The artifact of the status, if it is there and intact, with today's address.
    pub(super) artifact: Option<Artifact>,
    pub(super) store: Store,
    /// The patterns that the bucket holds, which are part of the artifact.
    pub(super) patterns: Option<Vec<u8>>,
    /// The etag of each object, by its name.
    pub(super) etags: BTreeMap<String, String>,
    pub(super) sizes: Sizes,
    pub(super) algorithm: Algorithm,
}

/// How large objects may be when they are read.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    /// The listed size of each that is not small, by its name.
    large: BTreeMap<String, u64>,
}

impl Sizes {
    /// Looks at what is listed.
    ///
    /// # Errors
    /// What is too large.
    fn of(objects: &[Object]) -> Result<Self, String> {
        let mut sizes = Self::default();
        let mut total = 0_u64;
        for object in objects {
            if object.size > MAX_OBJECT_BYTES {
                let key = &object.key;
                return Err(format!("'{key}' is larger than {MAX_OBJECT_BYTES} bytes"));
            }
            total = total.saturating_add(object.size);
            if object.size > SMALL / 2 {
                sizes.large.insert(object.key.clone(), object.size);
            }
        }
        if total > MAX_BYTES {
            return Err(format!("the objects have more than {MAX_BYTES} bytes"));
        }
        Ok(sizes)
    }

    /// Returns the most that is read of an object, in bytes: it may have grown since it was listed.
    pub(super) fn most(&self, key: &str) -> u64 {
        let listed = self.large.get(key).copied().unwrap_or_default();
        (2 * listed).clamp(SMALL, MAX_OBJECT_BYTES)
    }
}

impl Buckets {
    pub(super) async fn gather_inputs(
        &self,
        object: &Bucket,
        progress: &Progress,
    ) -> Result<Inputs, Failure> {
        let status = object.status.as_ref();
        let published = status.and_then(|status| status.artifact.as_ref());
        let artifact = self.setup.shelf.current(published, progress).await?;
        let store = self.store(object).await?;
        let name = &object.spec.bucket_name;
        let failed =
            |what: String, error: &Error| fetch(FAILED, format!("{what}: {}", chain(error)));
        match store.exists().await {
            Ok(true) => {}
            Ok(false) => return Err(fetch(FAILED, format!("bucket '{name}' not found"))),
            Err(error) => {
                let what = format!("failed to confirm existence of '{name}' bucket");
                return Err(failed(what, &error));
            }
        }
        let patterns = match store.get(IGNORE_FILE, MAX_IGNORE_BYTES).await {
            Ok(found) => Some(found.content),
            Err(error) if error.is_not_found() => None,
            Err(error) => {
                let what = format!("failed to get Etag for '{IGNORE_FILE}' object");
                return Err(failed(what, &error));
            }
        };
        let prefix = object.spec.prefix.as_deref().unwrap_or_default();
        let listed = store.list(prefix).await.map_err(|error| {
            failed(
                format!("listing objects from bucket '{name}' failed"),
                &error,
            )
        })?;
        let rules = rules(patterns.as_deref(), object.spec.ignore.as_deref());
        let mut wanted = listed;
        wanted.retain(|each| {
            let is_file = !each.key.ends_with('/') && each.key != IGNORE_FILE;
            is_file && !rules.excludes(each.key.trim_start_matches('/'), false)
        });
        let sizes = Sizes::of(&wanted).map_err(|why| {
            let words = format!("fetch from bucket '{name}' failed: {why}");
            fetch(FAILED, words)
        })?;
        let pair = |each: Object| (each.key, each.etag);
        let etags = wanted.into_iter().map(pair).collect();
        Ok(Inputs {
            algorithm: self.setup.shelf.algorithm(artifact.as_ref()),
            artifact,
            store,
            patterns,
            etags,
            sizes,
        })
    }
}

/// The patterns of the bucket, then those of the object; nothing else is left out.
fn rules(of_bucket: Option<&[u8]>, of_object: Option<&str>) -> IgnoreRules {
    let mut rules = IgnoreRules::bare(of_object);
    if let Some(text) = of_bucket {
        rules.add_file("", &String::from_utf8_lossy(text));
    }
    rules
}

/// Returns the revision of a listing.
pub(super) fn revision(etags: &BTreeMap<String, String>, algorithm: Algorithm) -> String {
    let mut hasher = Hasher::new(algorithm);
    for (key, etag) in etags {
        hasher.update(key.as_bytes());
        hasher.update(b" ");
        hasher.update(etag.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finish().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: SC-101, SC-117
    #[test]
    fn revision_is_the_digest_of_names_and_etags() {
        let etag = "098f6bcd4621d373cade4e832627b4f6";
        let etags = BTreeMap::from([("test.txt".to_owned(), etag.to_owned())]);
        assert_eq!(
            revision(&etags, Algorithm::Sha256),
            "sha256:b4c2a60ce44b67f5b659a95ce4e4cc9e2a86baf13afb72bd397c5384cbc0e479"
        );
    }

    #[test]
    fn what_is_read_of_an_object_follows_its_listed_size_and_has_an_end() {
        let object = |key: &str, size| Object {
            key: key.into(),
            etag: String::new(),
            size,
        };
        let listed = [
            object("small", 5),
            object("large", 100 << 20),
            object("largest", 400 << 20),
        ];
        let sizes = Sizes::of(&listed).unwrap();
        assert_eq!(sizes.most("small"), SMALL);
        assert_eq!(sizes.most("large"), 200 << 20);
        assert_eq!(sizes.most("largest"), MAX_OBJECT_BYTES);
        let refused = |objects: &[Object]| Sizes::of(objects).unwrap_err();
        let one = [object("a", MAX_OBJECT_BYTES + 1)];
        assert_eq!(refused(&one), "'a' is larger than 536870912 bytes");
        let many: Vec<_> = (0..17)
            .map(|n| object(&n.to_string(), MAX_OBJECT_BYTES))
            .collect();
        assert_eq!(
            refused(&many),
            "the objects have more than 8589934592 bytes"
        );
    }

    /// covers: SC-106
    #[test]
    fn patterns_of_the_object_count_before_those_of_the_bucket() {
        let excludes =
            |of_object, key: &str| rules(Some(b"ignored/\n*.md"), of_object).excludes(key, false);
        assert!(excludes(None, "ignored/file.txt"));
        assert!(!excludes(Some("!ignored/file.txt"), "ignored/file.txt"));
        assert!(excludes(None, "a/b.md"));
        assert!(!excludes(None, "pic.png") && !excludes(None, ".gitignore"));
    }
}
