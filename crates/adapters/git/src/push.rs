//! Sends new commits to a server.
//!
//! Source: <https://git-scm.com/docs/pack-protocol> "Pushing Data To a Server", Git 2.47.

use bytes::BytesMut;
use net_http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use select::reference::Ref;
use tokio::time::{Instant, timeout_at};

use crate::change::NewCommit;
use crate::incoming::{Incoming, Source};
use crate::list::{AGENT, Advertised, advertisement, origin};
use crate::packet::{self, Packet};
use crate::ssh::{Connection, SshAddress};
use crate::{Error, Git, Phase, Remote, SshError, with_accept};

const SERVICE: &str = "info/refs?service=git-receive-pack";
const ADVERTISEMENT: &str = "application/x-git-receive-pack-advertisement";
const COMMAND: &str = "git-receive-pack";
const NOTHING: &str = "0000000000000000000000000000000000000000";
/// How much of what hooks say is kept for a message.
const MAX_SAID: usize = 2048;
const MAX_REPORT_BYTES: u64 = 1 << 20;
const BAND_REPORT: u8 = 1;
const BAND_PROGRESS: u8 = 2;
const BAND_ERROR: u8 = 3;

/// Where a commit is pushed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushPlan {
    /// The branch that gets the commit, without `refs/heads/`.
    pub branch: String,
    /// What else is set, as `[+]<source>:<destination>`; of the sources the branch means the new commit, every other
    /// one what the server has under that name.
    pub refspec: Option<String>,
    /// Whether commits of others on the branch are given up.
    pub force: bool,
    /// Options for the server's hooks.
    pub options: Vec<(String, String)>,
}

/// What is to be set on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Update {
    reference: String,
    old: String,
    new: String,
}

/// A connection on which a push can be made.
struct Gate {
    server: Advertised,
    refs: Vec<Ref>,
    incoming: Option<Incoming>,
}

impl Git {
    /// Pushes a commit.
    ///
    /// # Errors
    /// [`Error::Moved`] where the branch is no longer at the commit's parent, [`Error::Rejected`] where the server
    /// refuses a reference, and every other [`Error`].
    pub async fn push(
        &self,
        remote: &Remote,
        commit: &NewCommit,
        plan: &PushPlan,
        deadline: Instant,
    ) -> Result<(), Error> {
        let turn = timeout_at(deadline, self.hosts.turn(&remote.url)).await;
        let _turn = turn.map_err(|_| Error::Deadline(Phase::Waiting))?;
        match timeout_at(deadline, self.push_unbounded(remote, commit, plan)).await {
            Ok(result) => result,
            Err(_) => Err(Error::Deadline(Phase::Pushing)),
        }
    }

    async fn push_unbounded(
        &self,
        remote: &Remote,
        commit: &NewCommit,
        plan: &PushPlan,
    ) -> Result<(), Error> {
        let mut gate = if remote.is_http() {
            self.open_gate_http(remote).await?
        } else {
            self.open_gate_ssh(remote).await?
        };
        let updates = updates(&gate.refs, commit, plan)?;
        let body = body(&gate.server, &updates, plan, &commit.pack)?;
        let mut incoming = if let Some(mut incoming) = gate.incoming.take() {
            incoming.send(body).await?;
            incoming.expect(Phase::Pushing, MAX_REPORT_BYTES);
            incoming
        } else {
            let source = self.send_pack(remote, &gate.server, body).await?;
            Incoming::new(source, Phase::Pushing, MAX_REPORT_BYTES)
        };
        let report = report(&mut incoming, &gate.server).await?;
        incoming.close().await;
        judge(&report, &updates)
    }

    async fn open_gate_http(&self, remote: &Remote) -> Result<Gate, Error> {
        let asked = format!("{}/{SERVICE}", remote.base());
        let request = Request::get(&asked).auth(remote.auth.clone());
        let answer = self.client(remote)?.send(with_accept(request, "*/*")).await;
        let answer = answer.map_err(Error::Http)?;
        if answer.status() != StatusCode::OK {
            return Err(Error::from_answer(answer).await);
        }
        let content_type = answer.headers().get("content-type");
        let content_type = content_type.and_then(|value| value.to_str().ok());
        if !content_type.is_some_and(|found| found.starts_with(ADVERTISEMENT)) {
            return Err(Error::NotGit("the server takes no pushes"));
        }
        let service = format!("/{SERVICE}");
        let url = answer.url();
        let redirected = url.strip_suffix(&service);
        let redirected = redirected
            .filter(|base| *base != remote.base())
            .map(str::to_owned);
        let limit = self.limits.max_listing_bytes;
        let mut incoming = Incoming::new(Source::Http(Box::new(answer)), Phase::Listing, limit);
        let (mut server, refs) = advertisement(&mut incoming).await?;
        server.redirected = redirected;
        Ok(Gate {
            server,
            refs,
            incoming: None,
        })
    }

    async fn open_gate_ssh(&self, remote: &Remote) -> Result<Gate, Error> {
        let access = remote.ssh.as_ref().ok_or(SshError::NoCredentials)?;
        let address = SshAddress::parse(&remote.url)?;
        let connection = Connection::open(&address, access, &self.algorithms).await?;
        let session = std::sync::Arc::new(connection)
            .run(&address.command(COMMAND))
            .await?;
        let limit = self.limits.max_listing_bytes;
        let mut incoming = Incoming::new(Source::Ssh(Box::new(session)), Phase::Listing, limit);
        let (server, refs) = advertisement(&mut incoming).await?;
        Ok(Gate {
            server,
            refs,
            incoming: Some(incoming),
        })
    }

    /// Sends commands and pack over HTTP. Credentials go only to where the URL leads.
    async fn send_pack(
        &self,
        remote: &Remote,
        server: &Advertised,
        body: Vec<u8>,
    ) -> Result<Source, Error> {
        let base = server.redirected.as_deref().unwrap_or(remote.base());
        let auth = remote
            .auth
            .clone()
            .filter(|_| origin(base) == origin(remote.base()));
        let request = Request::new(Method::POST, format!("{base}/{COMMAND}"))
            .auth(auth)
            .header(
                HeaderName::from_static("content-type"),
                HeaderValue::from_static("application/x-git-receive-pack-request"),
            )
            .body(body);
        let request = with_accept(request, "application/x-git-receive-pack-result");
        let answer = self.client(remote)?.send(request).await;
        let answer = answer.map_err(Error::Http)?;
        if answer.status() != StatusCode::OK {
            return Err(Error::from_answer(answer).await);
        }
        Ok(Source::Http(Box::new(answer)))
    }
}

/// Decides what is set. The branch must still be where the commit begins, unless it is forced or new.
fn updates(refs: &[Ref], commit: &NewCommit, plan: &PushPlan) -> Result<Vec<Update>, Error> {
    let now = |name: &str| {
        refs.iter()
            .find(|r| r.name == name)
            .map(|r| r.object.clone())
    };
    let branch = full(&plan.branch);
    let old = now(&branch);
    if let Some(old) = old
        .as_ref()
        .filter(|old| **old != commit.parent && !plan.force)
    {
        return Err(Error::Moved {
            reference: branch,
            at: old.clone(),
        });
    }
    let mut updates = vec![Update {
        reference: branch.clone(),
        old: old.unwrap_or_else(|| NOTHING.to_owned()),
        new: commit.id.clone(),
    }];
    if let Some(spec) = plan.refspec.as_deref().filter(|spec| !spec.is_empty()) {
        let pair = spec.trim_start_matches('+').split_once(':');
        let (source, destination) = pair
            .filter(|(source, destination)| !source.is_empty() && !destination.is_empty())
            .ok_or_else(|| Error::Refspec(spec.to_owned()))?;
        let (source, destination) = (full(source), full(destination));
        let new = if source == branch || source == full("HEAD") {
            Some(commit.id.clone())
        } else {
            now(&source)
        };
        let new = new.ok_or_else(|| Error::Refspec(spec.to_owned()))?;
        // The same again is done already.
        if destination != branch {
            updates.push(Update {
                old: now(&destination).unwrap_or_else(|| NOTHING.to_owned()),
                reference: destination,
                new,
            });
        }
    }
    updates.retain(|update| update.old != update.new);
    Ok(updates)
}

fn full(name: &str) -> String {
    if name.starts_with("refs/") {
        name.to_owned()
    } else {
        format!("refs/heads/{name}")
    }
}

fn body(
    server: &Advertised,
    updates: &[Update],
    plan: &PushPlan,
    pack: &[u8],
) -> Result<Vec<u8>, Error> {
    if !server.can("report-status") {
        return Err(Error::NotGit("the server does not report on pushes"));
    }
    let with_options = !plan.options.is_empty();
    if with_options && !server.can("push-options") {
        return Err(Error::Remote(
            "the receiving end does not support push options".into(),
        ));
    }
    let mut capabilities = String::from("report-status");
    for (capability, used) in [("side-band-64k", true), ("push-options", with_options)] {
        if used && server.can(capability) {
            capabilities.push(' ');
            capabilities.push_str(capability);
        }
    }
    if server.can("agent") {
        capabilities.push(' ');
        capabilities.push_str(AGENT);
    }
    let mut out = Vec::with_capacity(pack.len() + 1024);
    for (number, update) in updates.iter().enumerate() {
        let Update {
            reference,
            old,
            new,
        } = update;
        let line = if number == 0 {
            format!("{old} {new} {reference}\0{capabilities}")
        } else {
            format!("{old} {new} {reference}")
        };
        packet::put(&mut out, &line);
    }
    packet::flush(&mut out);
    if with_options {
        for (key, value) in &plan.options {
            packet::put(&mut out, &format!("{key}={value}"));
        }
        packet::flush(&mut out);
    }
    out.extend_from_slice(pack);
    Ok(out)
}

/// What the server says of a push.
#[derive(Debug, Default)]
struct Report {
    lines: Vec<String>,
    /// What hooks said.
    said: String,
}

async fn report(incoming: &mut Incoming, server: &Advertised) -> Result<Report, Error> {
    let mut report = Report::default();
    if !server.can("side-band-64k") {
        let lines = incoming.section().await?;
        report.lines = lines
            .iter()
            .map(|line| text(packet::trimmed(line)))
            .collect();
        return Ok(report);
    }
    let mut bytes = BytesMut::new();
    while let Packet::Line(line) = incoming.packet().await? {
        match line.split_first() {
            Some((&BAND_REPORT, rest)) => bytes.extend_from_slice(rest),
            Some((&BAND_PROGRESS, rest)) => {
                let room = MAX_SAID.saturating_sub(report.said.len());
                report.said.push_str(&text(&rest[..rest.len().min(room)]));
            }
            Some((&BAND_ERROR, rest)) => {
                return Err(Error::Remote(text(rest).trim().to_owned()));
            }
            _ => return Err(Error::NotGit("the report comes on an unknown band")),
        }
    }
    let malformed = |_| Error::NotGit("the report on the push is malformed");
    while let Some(found) = packet::take(&mut bytes).map_err(malformed)? {
        if let Packet::Line(line) = found {
            report.lines.push(text(packet::trimmed(&line)));
        }
    }
    Ok(report)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Makes sure that everything was set.
fn judge(report: &Report, updates: &[Update]) -> Result<(), Error> {
    let said = |reason: &str| {
        let said = report.said.trim();
        if said.is_empty() {
            reason.to_owned()
        } else {
            format!("{reason}: {said}")
        }
    };
    match report
        .lines
        .first()
        .and_then(|line| line.strip_prefix("unpack "))
    {
        Some("ok") => {}
        Some(other) => return Err(Error::Remote(said(&format!("unpack error: {other}")))),
        None => return Err(Error::NotGit("the server says nothing of the push")),
    }
    for update in updates {
        let reference = &update.reference;
        let refused = report.lines.iter().find_map(|line| {
            let rest = line.strip_prefix("ng ")?.strip_prefix(reference.as_str())?;
            rest.strip_prefix(' ')
        });
        if let Some(reason) = refused {
            return Err(Error::Rejected {
                reference: reference.clone(),
                reason: said(reason),
            });
        }
        if !report
            .lines
            .iter()
            .any(|line| line.strip_prefix("ok ") == Some(reference))
        {
            return Err(Error::Rejected {
                reference: reference.clone(),
                reason: "the server says nothing of it".into(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
