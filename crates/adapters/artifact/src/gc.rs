//! Which old artifacts of an object go.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::storage::{ArtifactPath, KNOWN, LOCK, Storage};

/// How many files of one object are looked at. What is beyond is looked at in a later run.
const MAX_FILES: usize = 1000;

/// How long and how many old artifacts are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Files older than this go, all but the current one.
    pub ttl: Duration,
    /// How many files stay at most, the current one among them.
    pub records: usize,
}

impl Default for Retention {
    /// One minute, two records.
    fn default() -> Self {
        Self {
            ttl: Duration::from_mins(1),
            records: 2,
        }
    }
}

/// Why garbage was not collected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// The object's directory cannot be read.
    #[error("failed to list artifacts")]
    List(#[source] io::Error),
    /// A file cannot be removed.
    #[error("failed to remove '{file}'")]
    Remove {
        /// The file's name.
        file: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It took longer than allowed.
    #[error("garbage collection took longer than {}s", .0.as_secs())]
    Timeout(Duration),
}

/// One file of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    name: String,
    modified: SystemTime,
}

impl Storage {
    /// Removes what `retention` no longer keeps beside the current artifact, within `budget`.
    ///
    /// Returns the names of the removed files, oldest first. Their lock files, and what is known of them, go with them and
    /// are not named.
    ///
    /// # Errors
    /// [`CollectError`]; what was removed until then is gone.
    pub fn collect(
        &self,
        current: &ArtifactPath,
        retention: Retention,
        budget: Duration,
    ) -> Result<Vec<String>, CollectError> {
        let started = Instant::now();
        let file = self.file(current);
        let directory = file.parent().unwrap_or(&file);
        let candidates = list(directory).map_err(CollectError::List)?;
        let garbage = garbage(
            candidates,
            current.file_name(),
            SystemTime::now(),
            retention,
        );
        for name in &garbage {
            if started.elapsed() > budget {
                return Err(CollectError::Timeout(budget));
            }
            remove(directory, name)
                .and_then(|()| remove(directory, &format!("{name}{KNOWN}")))
                .and_then(|()| remove(directory, &format!("{name}{LOCK}")))
                .map_err(|source| CollectError::Remove {
                    file: name.clone(),
                    source,
                })?;
        }
        Ok(garbage)
    }
}

fn list(directory: &Path) -> io::Result<Vec<Candidate>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if !entry.file_type()?.is_file() || name.ends_with(LOCK) || name.ends_with(KNOWN) {
            continue;
        }
        found.push(Candidate {
            name,
            modified: entry.metadata()?.modified()?,
        });
        if found.len() == MAX_FILES {
            break;
        }
    }
    Ok(found)
}

fn remove(directory: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(directory.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Returns the names to remove, oldest first.
fn garbage(
    mut files: Vec<Candidate>,
    current: &str,
    now: SystemTime,
    retention: Retention,
) -> Vec<String> {
    // By name too, so that files of one instant have an order.
    files.sort_by(|a, b| (a.modified, &a.name).cmp(&(b.modified, &b.name)));
    let expired = |file: &Candidate| {
        now.duration_since(file.modified)
            .is_ok_and(|age| age > retention.ttl)
    };
    let others = || files.iter().filter(|file| file.name != current);
    let mut garbage: BTreeSet<&str> = others()
        .filter(|file| expired(file))
        .map(|file| file.name.as_str())
        .collect();
    for file in others() {
        if files.len() - garbage.len() <= retention.records {
            break;
        }
        garbage.insert(&file.name);
    }
    others()
        .map(|file| &file.name)
        .filter(|name| garbage.contains(name.as_str()))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests;
