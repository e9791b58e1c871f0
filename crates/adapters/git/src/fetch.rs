//! Brings the objects of one commit here.

use std::io::Write;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use git2::Repository;
use net_http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::packet::{self, Packet};
use crate::snapshot::Snapshot;
use crate::{Error, Git, Listing, Phase, Remote, with_accept};

/// How many pieces of a pack wait for the thread that stores them.
const WAITING: usize = 16;
const BAND_PACK: u8 = 1;
const BAND_PROGRESS: u8 = 2;
const BAND_ERROR: u8 = 3;

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

/// One request for objects.
struct Ask {
    objects: Vec<String>,
    shallow: bool,
}

impl Git {
    /// Fetches one commit without its history into a repository of its own.
    ///
    /// A commit that the server does not list is asked for by its id; a server that refuses that is asked for the
    /// history of the branch, or of everything.
    ///
    /// `listing` is of the same remote. Cancel by dropping the future: nothing stays behind.
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
        match timeout_at(deadline, self.fetch_unbounded(remote, listing, want)).await {
            Ok(result) => result,
            Err(_) => Err(Error::Deadline(Phase::Fetching)),
        }
    }

    async fn fetch_unbounded(
        &self,
        remote: &Remote,
        listing: &Listing,
        want: &Want,
    ) -> Result<Snapshot, Error> {
        let (commit, branch) = match want {
            Want::Listed { object, commit } => {
                if !listing.can("shallow") {
                    return Err(Error::NoShallow);
                }
                let ask = Ask {
                    objects: vec![object.clone()],
                    shallow: true,
                };
                return self.transfer(remote, listing, ask, commit).await;
            }
            Want::Commit { commit, branch } => (commit, branch.as_deref()),
        };
        if commit.len() != 40 || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::CommitNotFound(commit.clone()));
        }
        let by_id = by_id(listing, commit);
        if let Some(object) = by_id.filter(|_| listing.can("shallow")) {
            let ask = Ask {
                objects: vec![object],
                shallow: true,
            };
            match self.transfer(remote, listing, ask, commit).await {
                // The server does not have it, or does not give it away: the history will tell.
                Err(Error::Remote(_)) => {}
                result => return result,
            }
        }
        let tips = listing.refs.iter().filter(|each| match branch {
            Some(branch) => each.name == branch,
            None => each.name.starts_with("refs/heads/") || each.name.starts_with("refs/tags/"),
        });
        let mut objects: Vec<String> = tips.map(|each| each.object.clone()).collect();
        objects.sort_unstable();
        objects.dedup();
        if objects.is_empty() {
            return Err(Error::CommitNotFound(commit.clone()));
        }
        self.transfer(
            remote,
            listing,
            Ask {
                objects,
                shallow: false,
            },
            commit,
        )
        .await
    }

    async fn transfer(
        &self,
        remote: &Remote,
        listing: &Listing,
        ask: Ask,
        commit: &str,
    ) -> Result<Snapshot, Error> {
        let directory = tempfile::Builder::new()
            .prefix("gitrepository-")
            .tempdir_in(&self.directory)
            .map_err(Error::Storage)?;
        let answer = self.ask(remote, listing, &ask).await?;
        let (pieces, stored) = mpsc::channel(WAITING);
        let path = directory.path().to_owned();
        // The thread ends when the channel closes: at the end of the pack, or when this future is dropped.
        let storing = tokio::task::spawn_blocking(move || store(&path, stored));
        let mut receiving = Receiving {
            answer,
            buffer: BytesMut::new(),
            received: 0,
            max_bytes: self.limits.max_pack_bytes,
        };
        let banded = listing.can("side-band-64k");
        let received = receiving.run(&ask, banded, pieces).await;
        let stored = storing
            .await
            .map_err(|error| Error::Storage(std::io::Error::other(error)))?;
        if matches!(received, Err(Error::Storage(_))) {
            // The thread gave up, and knows why.
            stored?;
            received?;
        } else {
            received?;
            stored?;
        }
        let commit = commit.to_owned();
        let opening = tokio::task::spawn_blocking(move || Snapshot::open(directory, &commit));
        opening
            .await
            .map_err(|error| Error::Storage(std::io::Error::other(error)))?
    }

    async fn ask(&self, remote: &Remote, listing: &Listing, ask: &Ask) -> Result<Response, Error> {
        let base = listing.redirected.as_deref().unwrap_or(remote.base());
        let same_origin = origin(base) == origin(remote.base());
        let auth = remote.auth.clone().filter(|_| same_origin);
        let request = Request::new(Method::POST, format!("{base}/git-upload-pack"))
            .auth(auth)
            .header(
                HeaderName::from_static("content-type"),
                HeaderValue::from_static("application/x-git-upload-pack-request"),
            )
            .body(ask.body(listing));
        let request = with_accept(request, "application/x-git-upload-pack-result");
        let answer = self
            .client(remote)?
            .send(request)
            .await
            .map_err(Error::Http)?;
        if answer.status() != StatusCode::OK {
            return Err(Error::from_answer(answer).await);
        }
        Ok(answer)
    }
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

fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    &url[..end]
}

impl Ask {
    fn body(&self, listing: &Listing) -> Vec<u8> {
        let mut capabilities = String::new();
        for each in ["side-band-64k", "ofs-delta", "no-progress"] {
            if listing.can(each) {
                capabilities.push(' ');
                capabilities.push_str(each);
            }
        }
        if listing.can("agent") {
            capabilities.push_str(concat!(" agent=lockgate/", env!("CARGO_PKG_VERSION")));
        }
        let mut body = Vec::new();
        for (at, object) in self.objects.iter().enumerate() {
            let capabilities = if at == 0 { capabilities.as_str() } else { "" };
            packet::put(&mut body, &format!("want {object}{capabilities}\n"));
        }
        if self.shallow {
            packet::put(&mut body, "deepen 1\n");
        }
        packet::flush(&mut body);
        packet::put(&mut body, "done\n");
        body
    }
}

/// The answer to a request for objects, while it arrives.
struct Receiving {
    answer: Response,
    buffer: BytesMut,
    received: u64,
    max_bytes: u64,
}

impl Receiving {
    async fn run(
        &mut self,
        ask: &Ask,
        banded: bool,
        pieces: mpsc::Sender<Bytes>,
    ) -> Result<(), Error> {
        if ask.shallow {
            // Which commits are cut off: ours alone.
            while self.line().await? != Packet::Flush {}
        }
        // Nothing is in common, which is said once.
        while self.line().await?.text() != b"NAK" {}
        if banded {
            self.banded(pieces).await
        } else {
            self.plain(pieces).await
        }
    }

    async fn banded(&mut self, pieces: mpsc::Sender<Bytes>) -> Result<(), Error> {
        loop {
            let Packet::Line(line) = self.line().await? else {
                return Ok(());
            };
            match line.first().copied() {
                Some(BAND_PACK) => hand_over(&pieces, line.slice(1..)).await?,
                Some(BAND_PROGRESS) => {}
                Some(BAND_ERROR) => {
                    let text = String::from_utf8_lossy(&line[1..]);
                    return Err(Error::Remote(text.trim().to_owned()));
                }
                _ => return Err(Error::NotGit("the objects come on an unknown band")),
            }
        }
    }

    async fn plain(&mut self, pieces: mpsc::Sender<Bytes>) -> Result<(), Error> {
        loop {
            let piece = self.buffer.split().freeze();
            if !piece.is_empty() {
                hand_over(&pieces, piece).await?;
            }
            if !self.more().await? {
                return Ok(());
            }
        }
    }

    async fn line(&mut self) -> Result<Packet, Error> {
        loop {
            let taken = packet::take(&mut self.buffer);
            match taken.map_err(|_| Error::NotGit("the answer is malformed"))? {
                Some(Packet::Line(line)) if line.starts_with(b"ERR ") => {
                    let text = String::from_utf8_lossy(&line[4..]);
                    return Err(Error::Remote(text.trim().to_owned()));
                }
                Some(packet) => return Ok(packet),
                None if self.more().await? => {}
                None => return Err(Error::NotGit("the answer breaks off")),
            }
        }
    }

    async fn more(&mut self) -> Result<bool, Error> {
        let Some(chunk) = self.answer.chunk().await.map_err(Error::Http)? else {
            return Ok(false);
        };
        self.received += chunk.len() as u64;
        if self.received > self.max_bytes {
            return Err(Error::TooLarge(self.max_bytes));
        }
        self.buffer.extend_from_slice(&chunk);
        Ok(true)
    }
}

/// A failure to store is told by the thread that stores; here it only ends the transfer.
async fn hand_over(pieces: &mpsc::Sender<Bytes>, piece: Bytes) -> Result<(), Error> {
    let closed = |_| Error::Storage(std::io::ErrorKind::BrokenPipe.into());
    pieces.send(piece).await.map_err(closed)
}

/// Writes a pack into a new bare repository.
fn store(path: &Path, mut pieces: mpsc::Receiver<Bytes>) -> Result<(), Error> {
    let repository = Repository::init_bare(path).map_err(Error::Objects)?;
    let database = repository.odb().map_err(Error::Objects)?;
    let mut pack = database.packwriter().map_err(Error::Objects)?;
    let mut any = false;
    while let Some(piece) = pieces.blocking_recv() {
        any = true;
        pack.write_all(&piece).map_err(Error::Storage)?;
    }
    if any {
        pack.commit().map_err(Error::Objects)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
