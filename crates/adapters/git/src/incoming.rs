//! The packets of one answer, while it arrives over HTTP or SSH.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use net_http::Response;
use tokio::time::timeout;

use crate::packet::{self, Packet};
use crate::ssh::Session;
use crate::{Error, Phase};

/// How long the end of an answer is awaited once nothing more is needed of it, and how much may come until then.
const END: Duration = Duration::from_secs(1);
const MAX_REST_BYTES: usize = 4096;

/// Where an answer comes from.
#[derive(Debug)]
pub(crate) enum Source {
    Http(Box<Response>),
    Ssh(Box<Session>),
}

impl Source {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match self {
            Self::Http(response) => response.chunk().await.map_err(Error::Http),
            Self::Ssh(session) => session.chunk().await,
        }
    }
}

/// An answer that is read packet by packet.
#[derive(Debug)]
pub(crate) struct Incoming {
    source: Source,
    buffer: BytesMut,
    received: u64,
    max_bytes: u64,
    phase: Phase,
}

impl Incoming {
    pub(crate) fn new(source: Source, phase: Phase, max_bytes: u64) -> Self {
        Self {
            source,
            buffer: BytesMut::new(),
            received: 0,
            max_bytes,
            phase,
        }
    }

    /// Says what comes from now on, and how much of it may.
    pub(crate) fn expect(&mut self, phase: Phase, max_bytes: u64) {
        self.phase = phase;
        self.max_bytes = self.received.saturating_add(max_bytes);
    }

    /// Waits for the next packet; one in which the server refuses becomes its error.
    pub(crate) async fn packet(&mut self) -> Result<Packet, Error> {
        loop {
            let taken = packet::take(&mut self.buffer);
            match taken.map_err(|_| Error::NotGit(self.malformed()))? {
                Some(Packet::Line(line)) if line.starts_with(b"ERR ") => {
                    let text = String::from_utf8_lossy(&line[4..]);
                    return Err(Error::Remote(text.trim().to_owned()));
                }
                Some(packet) => return Ok(packet),
                None if self.more().await? => {}
                None => return Err(Error::NotGit(self.broken_off())),
            }
        }
    }

    /// Waits for all lines up to the end of the section.
    pub(crate) async fn section(&mut self) -> Result<Vec<Bytes>, Error> {
        let mut lines = Vec::new();
        loop {
            match self.packet().await? {
                Packet::Line(line) => lines.push(line),
                Packet::Flush | Packet::Delimiter => return Ok(lines),
            }
        }
    }

    /// Waits for bytes that are in no packet; `None` at the end.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        if self.buffer.is_empty() && !self.more().await? {
            return Ok(None);
        }
        Ok(Some(self.buffer.split().freeze()))
    }

    /// Sends another request on a connection that stays open; nothing over HTTP.
    pub(crate) async fn send(&mut self, request: Vec<u8>) -> Result<(), Error> {
        match &mut self.source {
            Source::Http(_) => Ok(()),
            Source::Ssh(session) => session.send(request).await,
        }
    }

    /// Says that nothing more will be asked. Over HTTP the end of the answer is awaited for a moment: a connection that was
    /// not read to it is not used again, and the next request would begin with a new one.
    pub(crate) async fn close(self) {
        match self.source {
            Source::Ssh(session) => session.close().await,
            Source::Http(mut answer) => {
                let end = async {
                    let mut rest = 0;
                    while let Ok(Some(chunk)) = answer.chunk().await {
                        rest += chunk.len();
                        if rest > MAX_REST_BYTES {
                            break;
                        }
                    }
                };
                // What was asked for is there: that the end does not come is no failure.
                timeout(END, end).await.ok();
            }
        }
    }

    async fn more(&mut self) -> Result<bool, Error> {
        let Some(chunk) = self.source.chunk().await? else {
            return Ok(false);
        };
        self.received += chunk.len() as u64;
        if self.received > self.max_bytes {
            return Err(Error::TooLarge(self.max_bytes));
        }
        self.buffer.extend_from_slice(&chunk);
        Ok(true)
    }

    fn malformed(&self) -> &'static str {
        match self.phase {
            Phase::Fetching => "the answer is malformed",
            Phase::Pushing => "the report on the push is malformed",
            Phase::Listing | Phase::Waiting => "the list of references is malformed",
        }
    }

    fn broken_off(&self) -> &'static str {
        match self.phase {
            Phase::Fetching => "the answer breaks off",
            Phase::Pushing => "the report on the push breaks off",
            Phase::Listing | Phase::Waiting => "the list of references breaks off",
        }
    }
}
