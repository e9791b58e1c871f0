//! The objects that are kept for each remote, so that a fetch brings only what is missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;
use tokio::time::Instant;

use crate::list::{Advertised, Listing};
use crate::{Error, Remote};

/// How many remotes are remembered.
const MAX_REMOTES: usize = 4096;
/// How many packs one remote may have. More make each look-up slower, so that it starts anew.
const MAX_PACKS: usize = 24;
/// How many references a listing may have to be remembered.
const MAX_REFS: usize = 256;
/// How many commits are named to a server as known.
const MAX_HAVES: usize = 16;

/// A bare repository in a directory that goes with its last user.
#[derive(Debug)]
pub(crate) struct Objects(TempDir);

impl Objects {
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns the bytes of its packs and how many they are.
    fn size(&self) -> (u64, usize) {
        let Ok(entries) = fs::read_dir(self.path().join("objects/pack")) else {
            return (0, 0);
        };
        let files = entries.filter_map(Result::ok).map(|entry| {
            let bytes = entry.metadata().map_or(0, |found| found.len());
            let is_pack = entry.path().extension().is_some_and(|end| end == "pack");
            (bytes, usize::from(is_pack))
        });
        files.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }
}

/// A remote that was met before.
#[derive(Debug)]
pub(crate) struct Known {
    remote: Remote,
    /// Held while its objects are fetched: who wants the same waits, and finds them.
    pub(crate) work: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

/// The newest listing, and when it was asked for.
#[derive(Debug)]
struct Heard {
    listing: Listing,
    prefixes: Vec<String>,
    at: Instant,
}

#[derive(Debug, Default)]
struct State {
    server: Option<Arc<Advertised>>,
    heard: Option<Heard>,
    objects: Option<Arc<Objects>>,
    /// The commits whose files are all there, newest last. They are cut off from their history.
    commits: Vec<String>,
    bytes: u64,
}

impl Known {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what the server said it can do.
    pub(crate) fn server(&self) -> Option<Arc<Advertised>> {
        self.state().server.clone()
    }

    pub(crate) fn remember_server(&self, server: Arc<Advertised>) {
        self.state().server = Some(server);
    }

    pub(crate) fn forget_server(&self) {
        self.state().server = None;
    }

    /// Remembers what a server listed when it was asked at this instant; long lists are not kept.
    pub(crate) fn heard(&self, listing: &Listing, prefixes: &[String], at: Instant) {
        let short = listing.refs.len() <= MAX_REFS;
        self.state().heard = short.then(|| Heard {
            listing: listing.clone(),
            prefixes: prefixes.to_vec(),
            at,
        });
    }

    /// Returns what the server listed for these prefixes when it was last asked, if that was not before `since`.
    pub(crate) fn listed(&self, prefixes: &[String], since: Instant) -> Option<Listing> {
        let state = self.state();
        let heard = state.heard.as_ref()?;
        (heard.at >= since && heard.prefixes == prefixes).then(|| heard.listing.clone())
    }

    /// Returns the objects, if there are any, and the commits that are there in full.
    pub(crate) fn objects(&self) -> Option<(Arc<Objects>, Vec<String>)> {
        let state = self.state();
        let from = state.commits.len().saturating_sub(MAX_HAVES);
        let objects = state.objects.clone()?;
        Some((objects, state.commits[from..].to_vec()))
    }

    /// Returns the objects where they hold all of a commit.
    pub(crate) fn holding(&self, commit: &str) -> Option<Arc<Objects>> {
        let state = self.state();
        let has = state.commits.iter().any(|each| each == commit);
        state.objects.clone().filter(|_| has)
    }

    pub(crate) fn forget_objects(&self) {
        let mut state = self.state();
        state.objects = None;
        state.commits.clear();
        state.bytes = 0;
    }

    fn remember(
        &self,
        objects: &Arc<Objects>,
        commit: &str,
        (bytes, packs): (u64, usize),
        max: u64,
    ) {
        if bytes > max || packs > MAX_PACKS {
            self.forget_objects();
            return;
        }
        let mut state = self.state();
        let is_same = state
            .objects
            .as_ref()
            .is_some_and(|own| Arc::ptr_eq(own, objects));
        if !is_same {
            state.commits.clear();
        }
        state.objects = Some(Arc::clone(objects));
        state.commits.retain(|each| each != commit);
        state.commits.push(commit.to_owned());
        state.bytes = bytes;
    }
}

/// All remotes, and what is kept of them.
#[derive(Debug)]
pub(crate) struct Remotes {
    directory: PathBuf,
    max_bytes: u64,
    /// The one used last is the last.
    known: Mutex<Vec<Arc<Known>>>,
}

impl Remotes {
    pub(crate) fn new(directory: PathBuf, max_bytes: u64) -> Self {
        Self {
            directory,
            max_bytes,
            known: Mutex::default(),
        }
    }

    /// Returns what is known of a remote. Other credentials make it another one.
    pub(crate) fn get(&self, remote: &Remote) -> Arc<Known> {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().rposition(|known| known.remote == *remote);
        let known = match found {
            Some(at) => all.remove(at),
            None => Arc::new(Known {
                remote: remote.clone(),
                work: tokio::sync::Mutex::default(),
                state: Mutex::default(),
            }),
        };
        all.push(Arc::clone(&known));
        if all.len() > MAX_REMOTES {
            all.remove(0);
        }
        known
    }

    /// Makes room for objects that are not kept yet.
    pub(crate) fn fresh(&self) -> Result<Arc<Objects>, Error> {
        let directory = tempfile::Builder::new()
            .prefix("gitrepository-")
            .tempdir_in(&self.directory)
            .map_err(Error::Storage)?;
        Ok(Arc::new(Objects(directory)))
    }

    /// Keeps objects that hold all of a commit, and lets those go that were not used for the longest time where they
    /// are too many.
    pub(crate) fn keep(&self, known: &Known, objects: &Arc<Objects>, commit: &str) {
        known.remember(objects, commit, objects.size(), self.max_bytes);
        let all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes: u64 = all.iter().map(|each| each.state().bytes).sum();
        for each in all.iter() {
            if bytes <= self.max_bytes {
                break;
            }
            bytes -= each.state().bytes;
            each.forget_objects();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(url: &str) -> Remote {
        Remote {
            url: url.to_owned(),
            ..Remote::default()
        }
    }

    fn objects(remotes: &Remotes, bytes: usize) -> Arc<Objects> {
        let objects = remotes.fresh().unwrap();
        let packs = objects.path().join("objects/pack");
        fs::create_dir_all(&packs).unwrap();
        fs::write(packs.join("a.pack"), vec![0; bytes]).unwrap();
        objects
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let directory = tempfile::tempdir().unwrap();
        let remotes = Remotes::new(directory.path().to_owned(), 100);
        let (a, b, c) = (remote("a"), remote("b"), remote("c"));
        for each in [&a, &b] {
            let kept = objects(&remotes, 40);
            remotes.keep(&remotes.get(each), &kept, "1");
        }
        assert!(remotes.get(&a).holding("1").is_some());
        assert!(remotes.get(&a).holding("2").is_none());
        remotes.keep(&remotes.get(&c), &objects(&remotes, 40), "1");
        assert!(remotes.get(&b).holding("1").is_none(), "not used since");
        assert!(remotes.get(&a).holding("1").is_some());
        assert_eq!(directory.path().read_dir().unwrap().count(), 2);
        remotes.keep(&remotes.get(&b), &objects(&remotes, 101), "1");
        assert!(remotes.get(&b).holding("1").is_none(), "too large to keep");
        assert!(
            remotes.get(&c).holding("1").is_some(),
            "and nobody goes for it"
        );
    }

    #[test]
    fn other_credentials_make_another_remote() {
        let directory = tempfile::tempdir().unwrap();
        let remotes = Remotes::new(directory.path().to_owned(), 100);
        let mine = remote("a");
        remotes.keep(&remotes.get(&mine), &objects(&remotes, 1), "1");
        let yours = Remote {
            auth: Some(net_http::Auth::Bearer("t".into())),
            ..remote("a")
        };
        assert!(remotes.get(&yours).holding("1").is_none());
        assert!(remotes.get(&mine).holding("1").is_some());
    }
}
