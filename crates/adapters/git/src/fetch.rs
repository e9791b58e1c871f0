//! Brings the objects of one commit here.

mod ask;
mod receive;

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use self::ask::Ask;
use crate::list::Protocol;
use crate::objects::{Known, Objects};
use crate::snapshot::Snapshot;
use crate::{Error, Git, Listing, Phase, Remote};

/// Which commit to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// What a listed reference names.
    Listed {
        /// The object of the reference: a commit, or an annotated tag.
        object: String,
        /// The commit.
        commit: String,
    },
    /// Any commit, listed or not.
    Commit {
        /// The commit.
        commit: String,
        /// Full name of the branch to look on where the server gives only what it lists; absent: everywhere.
        branch: Option<String>,
    },
}

impl Want {
    fn commit(&self) -> &str {
        match self {
            Self::Listed { commit, .. } | Self::Commit { commit, .. } => commit,
        }
    }
}

impl Git {
    /// Fetches one commit without its history, or takes it from what earlier fetches of the same remote brought.
    ///
    /// A commit that the server does not list is asked for by its id; a server that refuses that is asked for the
    /// history of the branch, or of everything.
    ///
    /// `listing` is of the same remote. Cancel by dropping the future: nothing incomplete stays behind.
    ///
    /// # Errors
    /// [`Error`], with [`Error::Deadline`] where not everything came until `deadline`.
    pub async fn fetch(
        &self,
        remote: &Remote,
        listing: &Listing,
        want: &Want,
        deadline: Instant,
    ) -> Result<Snapshot, Error> {
        let known = self.remotes.get(remote);
        let waited = timeout_at(deadline, async {
            let work = known.work.lock().await;
            (work, self.hosts.turn(&remote.url).await)
        });
        let _turn = waited.await.map_err(|_| Error::Deadline(Phase::Waiting))?;
        match timeout_at(
            deadline,
            self.fetch_unbounded(remote, &known, listing, want),
        )
        .await
        {
            Ok(result) => result,
            Err(_) => Err(Error::Deadline(Phase::Fetching)),
        }
    }

    async fn fetch_unbounded(
        &self,
        remote: &Remote,
        known: &Known,
        listing: &Listing,
        want: &Want,
    ) -> Result<Snapshot, Error> {
        if let Some(found) = kept(known, want).await {
            return Ok(found);
        }
        let (commit, branch) = match want {
            Want::Listed { object, commit } => {
                if !listing.can("shallow") {
                    return Err(Error::NoShallow);
                }
                return self.fetch_tip(remote, known, listing, object, commit).await;
            }
            Want::Commit { commit, branch } => (commit, branch.as_deref()),
        };
        if commit.len() != 40 || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::CommitNotFound(commit.clone()));
        }
        let by_id = by_id(listing, commit);
        if let Some(object) = by_id.filter(|_| listing.can("shallow")) {
            match self
                .fetch_tip(remote, known, listing, &object, commit)
                .await
            {
                // The server does not have it, or does not give it away: the history will tell.
                Err(Error::Remote(_)) => {}
                result => return result,
            }
        }
        self.fetch_history(remote, listing, branch, commit).await
    }

    /// Fetches one commit, and of it only what is not here yet.
    async fn fetch_tip(
        &self,
        remote: &Remote,
        known: &Known,
        listing: &Listing,
        object: &str,
        commit: &str,
    ) -> Result<Snapshot, Error> {
        if let Some((objects, haves)) = known.objects() {
            let ask = Ask::tip(object, haves);
            match self.transfer(remote, listing, &ask, &objects).await {
                Ok(()) => return self.keep(known, objects, commit).await,
                // What is kept does not fit what the server sends: start anew.
                Err(Error::Objects(_) | Error::Storage(_)) => {
                    known.forget_objects();
                }
                Err(error) => return Err(error),
            }
        }
        let objects = self.remotes.fresh()?;
        let ask = Ask::tip(object, Vec::new());
        self.transfer(remote, listing, &ask, &objects).await?;
        self.keep(known, objects, commit).await
    }

    async fn keep(
        &self,
        known: &Known,
        objects: Arc<Objects>,
        commit: &str,
    ) -> Result<Snapshot, Error> {
        let snapshot = open(Arc::clone(&objects), commit.to_owned()).await?;
        self.remotes.keep(known, &objects, commit);
        Ok(snapshot)
    }

    /// Fetches the history of a branch, or of everything. Nothing of it is kept.
    async fn fetch_history(
        &self,
        remote: &Remote,
        listing: &Listing,
        branch: Option<&str>,
        commit: &str,
    ) -> Result<Snapshot, Error> {
        let all;
        let listing = if listing.server.protocol == Protocol::V2 {
            // What was listed before may be a part.
            let prefixes = match branch {
                Some(branch) => vec![branch.to_owned()],
                None => vec!["refs/heads/".to_owned(), "refs/tags/".to_owned()],
            };
            all = self.list_once(remote, &prefixes).await?;
            &all
        } else {
            listing
        };
        let tips = listing.refs.iter().filter(|each| match branch {
            Some(branch) => each.name == branch,
            None => each.name.starts_with("refs/heads/") || each.name.starts_with("refs/tags/"),
        });
        let mut tips: Vec<String> = tips.map(|each| each.object.clone()).collect();
        tips.sort_unstable();
        tips.dedup();
        if tips.is_empty() {
            return Err(Error::CommitNotFound(commit.to_owned()));
        }
        let objects = self.remotes.fresh()?;
        self.transfer(remote, listing, &Ask::history(tips), &objects)
            .await?;
        open(objects, commit.to_owned()).await
    }
}

/// Returns a commit whose files are here, and the annotated tag that it was asked for by, without the network.
async fn kept(known: &Known, want: &Want) -> Option<Snapshot> {
    let objects = known.holding(want.commit())?;
    let snapshot = open(objects, want.commit().to_owned()).await.ok()?;
    match want {
        Want::Listed { object, .. } if !snapshot.has(object) => None,
        _ => Some(snapshot),
    }
}

async fn open(objects: Arc<Objects>, commit: String) -> Result<Snapshot, Error> {
    let opening = tokio::task::spawn_blocking(move || Snapshot::open(objects, &commit));
    opening
        .await
        .map_err(|error| Error::Storage(std::io::Error::other(error)))?
}

/// Returns the object to ask for so that the commit comes: itself or the annotated tag that a reference names, or
/// itself where the server gives what it does not list.
fn by_id(listing: &Listing, commit: &str) -> Option<String> {
    let listed = listing
        .refs
        .iter()
        .find(|each| each.object == commit || each.peeled.as_deref() == Some(commit));
    let any = ["allow-reachable-sha1-in-want", "allow-any-sha1-in-want"];
    match listed {
        Some(each) => Some(each.object.clone()),
        None => any
            .iter()
            .any(|each| listing.can(each))
            .then(|| commit.to_owned()),
    }
}

#[cfg(test)]
mod tests;
