//! One listing of what a server has.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use net_http::{HeaderMap, Request, StatusCode};
use select::reference::Ref;
use tokio::time::{Instant, timeout_at};

use crate::packet::{self, Packet};
use crate::{Error, Git, Phase, Remote, with_accept};

const SERVICE: &str = "info/refs?service=git-upload-pack";
const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
/// Stands for the name where a repository has no reference.
const NO_REFS: &str = "capabilities^{}";

/// The references of a repository and what its server can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The references in the server's order, `HEAD` first where it has one.
    pub refs: Vec<Ref>,
    capabilities: BTreeMap<String, String>,
    /// Where the server redirected the listing to, if it did: the base of the fetch.
    pub(crate) redirected: Option<String>,
}

impl Listing {
    pub(crate) fn can(&self, capability: &str) -> bool {
        self.capabilities.contains_key(capability)
    }
}

impl Git {
    /// Asks the server for all references, once.
    ///
    /// # Errors
    /// [`Error`], with [`Error::Deadline`] where no whole answer came until `deadline`.
    pub async fn list(&self, remote: &Remote, deadline: Instant) -> Result<Listing, Error> {
        match timeout_at(deadline, self.list_unbounded(remote)).await {
            Ok(result) => result,
            Err(_) => Err(Error::Deadline(Phase::Listing)),
        }
    }

    async fn list_unbounded(&self, remote: &Remote) -> Result<Listing, Error> {
        let asked = format!("{}/{SERVICE}", remote.base());
        let request = Request::get(&asked).auth(remote.auth.clone());
        let answer = self
            .client(remote)?
            .send(with_accept(request, "*/*"))
            .await
            .map_err(Error::Http)?;
        if answer.status() != StatusCode::OK {
            return Err(Error::from_answer(answer).await);
        }
        if !is_git(answer.headers()) {
            return Err(Error::NotGit(
                "the list of references has another content type",
            ));
        }
        let redirected = answer.url();
        let max_bytes = self.limits.max_listing_bytes;
        let body = answer.bytes(max_bytes).await.map_err(Error::Http)?;
        let mut listing = parse(body)?;
        listing.redirected = redirected
            .strip_suffix(&format!("/{SERVICE}"))
            .filter(|base| *base != remote.base())
            .map(str::to_owned);
        Ok(listing)
    }
}

fn is_git(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    content_type.is_some_and(|content_type| content_type.starts_with(ADVERTISEMENT))
}

fn parse(body: Bytes) -> Result<Listing, Error> {
    let mut buffer = BytesMut::from(body);
    let mut listing = Listing::default();
    let mut first = true;
    let mut ended = false;
    while let Some(packet) = packet::take(&mut buffer).map_err(|_| malformed())? {
        let text = packet.text();
        match &packet {
            Packet::Flush => ended = true,
            Packet::Line(_) if text.starts_with(b"# service=") => {}
            Packet::Line(_) if text.starts_with(b"ERR ") => {
                return Err(Error::Remote(
                    String::from_utf8_lossy(&text[4..]).into_owned(),
                ));
            }
            Packet::Line(_) if text.starts_with(b"shallow ") => {}
            Packet::Line(_) => {
                let mut halves = text.splitn(2, |byte| *byte == 0);
                let line = halves.next().unwrap_or_default();
                if let Some(capabilities) = halves.next().filter(|_| first) {
                    listing.capabilities = read_capabilities(capabilities);
                }
                first = false;
                ended = false;
                add(&mut listing, line)?;
            }
        }
    }
    if !ended || !buffer.is_empty() {
        return Err(Error::NotGit("the list of references breaks off"));
    }
    match listing
        .capabilities
        .get("object-format")
        .map(String::as_str)
    {
        None | Some("sha1") => Ok(listing),
        Some(other) => Err(Error::ObjectFormat(other.to_owned())),
    }
}

fn malformed() -> Error {
    Error::NotGit("the list of references is malformed")
}

fn add(listing: &mut Listing, line: &[u8]) -> Result<(), Error> {
    let line = String::from_utf8_lossy(line);
    let (id, name) = line.split_once(' ').ok_or_else(malformed)?;
    if !id.bytes().all(|byte| byte.is_ascii_hexdigit()) || !matches!(id.len(), 40 | 64) {
        return Err(malformed());
    }
    if name == NO_REFS {
        return Ok(());
    }
    if let Some(tag) = name.strip_suffix("^{}") {
        if let Some(last) = listing.refs.last_mut().filter(|last| last.name == tag) {
            last.peeled = Some(id.to_owned());
        }
        return Ok(());
    }
    listing.refs.push(Ref {
        name: name.to_owned(),
        object: id.to_owned(),
        peeled: None,
    });
    Ok(())
}

fn read_capabilities(text: &[u8]) -> BTreeMap<String, String> {
    String::from_utf8_lossy(text)
        .split_ascii_whitespace()
        .map(|each| each.split_once('=').unwrap_or((each, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn body(lines: &[&str]) -> Bytes {
        let mut out = Vec::new();
        packet::put(&mut out, "# service=git-upload-pack\n");
        packet::flush(&mut out);
        for line in lines {
            packet::put(&mut out, line);
        }
        packet::flush(&mut out);
        out.into()
    }

    #[test]
    fn references_tags_and_capabilities_are_read() {
        let listing = parse(body(&[
            &format!("{A} HEAD\0shallow allow-tip-sha1-in-want agent=git/2\n"),
            &format!("{A} refs/heads/main\n"),
            &format!("{B} refs/tags/v1\n"),
            &format!("{A} refs/tags/v1^{{}}\n"),
        ]))
        .unwrap();
        let names: Vec<_> = listing.refs.iter().map(|each| each.name.as_str()).collect();
        assert_eq!(names, ["HEAD", "refs/heads/main", "refs/tags/v1"]);
        assert_eq!(listing.refs[2].object, B);
        assert_eq!(listing.refs[2].peeled.as_deref(), Some(A));
        assert!(listing.can("shallow") && !listing.can("filter"));
    }

    #[test]
    fn empty_repository_has_no_reference() {
        let zero = "0".repeat(40);
        let listing = parse(body(&[&format!("{zero} capabilities^{{}}\0shallow\n")])).unwrap();
        assert_eq!(listing.refs, []);
        assert!(listing.can("shallow"));
        assert_eq!(parse(body(&[])).unwrap().refs, []);
    }

    #[test]
    fn other_object_formats_are_refused_by_name() {
        let line = format!("{} HEAD\0object-format=sha256\n", "a".repeat(64));
        let error = parse(body(&[&line])).unwrap_err();
        assert_eq!(error.to_string(), "object format 'sha256' is not supported");
    }

    #[test]
    fn listings_that_break_off_or_are_malformed_are_refused() {
        let whole = body(&[&format!("{A} HEAD\0shallow\n")]);
        for cut in [whole.len() - 4, whole.len() - 1, whole.len() - 10] {
            assert!(
                matches!(parse(whole.slice(..cut)), Err(Error::NotGit(_))),
                "{cut}"
            );
        }
        for line in ["nonsense\n", "xyz HEAD\n"] {
            assert!(
                matches!(parse(body(&[line])), Err(Error::NotGit(_))),
                "{line}"
            );
        }
        let error = parse(body(&["ERR access denied\n"])).unwrap_err();
        assert_eq!(error.to_string(), "remote error: access denied");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_listing_or_an_error(bytes: Vec<u8>) {
            drop(parse(bytes.into()));
        }

        #[test]
        fn any_lines_give_a_listing_or_an_error(lines in proptest::collection::vec(".{0,60}", 0..6)) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            drop(parse(body(&lines)));
        }
    }
}
