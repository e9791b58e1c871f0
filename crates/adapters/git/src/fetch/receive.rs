//! The answer to a request for objects, on its way to the disk.

use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use git2::Repository;
use tokio::sync::mpsc;

use super::ask::Ask;
use crate::incoming::Incoming;
use crate::list::{Advertised, Protocol};
use crate::objects::Objects;
use crate::packet::Packet;
use crate::{Error, Git, Listing, Phase, Remote};

/// How many pieces of a pack wait for the thread that stores them.
const WAITING: usize = 16;
const BAND_PACK: u8 = 1;
const BAND_PROGRESS: u8 = 2;
const BAND_ERROR: u8 = 3;

impl Git {
    /// Asks for objects and adds them to those that are there.
    pub(super) async fn transfer(
        &self,
        remote: &Remote,
        listing: &Listing,
        ask: &Ask,
        objects: &Objects,
    ) -> Result<(), Error> {
        let (mut incoming, server) = self.ask(remote, listing, ask).await?;
        let (pieces, stored) = mpsc::channel(WAITING);
        let path = objects.path().to_owned();
        // The thread ends when the channel closes: at the end of the pack, or when this future is dropped.
        let storing = tokio::task::spawn_blocking(move || store(&path, stored));
        let received = receive(&mut incoming, &server, ask, pieces).await;
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
        incoming.close().await;
        Ok(())
    }

    async fn ask(
        &self,
        remote: &Remote,
        listing: &Listing,
        ask: &Ask,
    ) -> Result<(Incoming, Advertised), Error> {
        let max_bytes = self.limits.max_pack_bytes;
        if remote.is_http() {
            let server = Advertised::clone(&listing.server);
            let source = self.post(remote, &server, ask.body(&server)).await?;
            return Ok((Incoming::new(source, Phase::Fetching, max_bytes), server));
        }
        let (mut incoming, server, ..) = self.open_ssh(remote, &listing.kept).await?;
        incoming.send(ask.body(&server)).await?;
        incoming.expect(Phase::Fetching, max_bytes);
        Ok((incoming, server))
    }
}

async fn receive(
    incoming: &mut Incoming,
    server: &Advertised,
    ask: &Ask,
    pieces: mpsc::Sender<Bytes>,
) -> Result<(), Error> {
    match server.protocol {
        Protocol::V0 => {
            if ask.shallow {
                // Which commits are cut off: those that were asked for.
                while incoming.packet().await? != Packet::Flush {}
            }
            while !is_last(incoming.packet().await?.text()) {}
            if !server.can("side-band-64k") {
                return plain(incoming, pieces).await;
            }
        }
        Protocol::V2 => {
            // What comes before the pack tells which commits are cut off.
            while incoming.packet().await?.text() != b"packfile" {}
        }
    }
    banded(incoming, pieces).await
}

/// Says whether nothing more is said about what is in common: it is nothing, or it is the last word.
fn is_last(line: &[u8]) -> bool {
    line == b"NAK"
        || line
            .strip_prefix(b"ACK ")
            .is_some_and(|rest| !rest.contains(&b' '))
}

async fn banded(incoming: &mut Incoming, pieces: mpsc::Sender<Bytes>) -> Result<(), Error> {
    loop {
        let Packet::Line(line) = incoming.packet().await? else {
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

async fn plain(incoming: &mut Incoming, pieces: mpsc::Sender<Bytes>) -> Result<(), Error> {
    while let Some(piece) = incoming.piece().await? {
        hand_over(&pieces, piece).await?;
    }
    Ok(())
}

/// A failure to store is told by the thread that stores; here it only ends the transfer.
async fn hand_over(pieces: &mpsc::Sender<Bytes>, piece: Bytes) -> Result<(), Error> {
    let closed = |_| Error::Storage(std::io::ErrorKind::BrokenPipe.into());
    pieces.send(piece).await.map_err(closed)
}

/// Writes a pack into a bare repository, which is made where it is not there.
fn store(path: &Path, mut pieces: mpsc::Receiver<Bytes>) -> Result<(), Error> {
    let repository = match Repository::open_bare(path) {
        Ok(repository) => repository,
        Err(_) => Repository::init_bare(path).map_err(Error::Objects)?,
    };
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
