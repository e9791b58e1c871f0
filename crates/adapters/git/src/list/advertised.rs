//! What a server says before it is asked: its capabilities, and in version 0 its references too.

use std::collections::BTreeMap;

use bytes::Bytes;
use select::reference::Ref;

use crate::{Error, packet};

/// Stands for the name where a repository has no reference.
const NO_REFS: &str = "capabilities^{}";

/// The version of the protocol that a server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// References first, whether they matter or not. Version 1 is the same with a line before it.
    #[default]
    V0,
    /// References as asked for.
    V2,
}

/// What a server can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Advertised {
    pub(crate) protocol: Protocol,
    capabilities: BTreeMap<String, String>,
    /// Where the server redirected to, if it did: the base of what follows.
    pub(crate) redirected: Option<String>,
}

impl Advertised {
    /// Returns whether the server can do something, in the words of version 0.
    pub(crate) fn can(&self, capability: &str) -> bool {
        let own = self.capabilities.contains_key(capability);
        if self.protocol == Protocol::V0 {
            return own;
        }
        match capability {
            "shallow" => self
                .capabilities
                .get("fetch")
                .is_some_and(|features| features.split(' ').any(|feature| feature == "shallow")),
            // These belong to version 2; it may still refuse objects that it does not list.
            "side-band-64k"
            | "ofs-delta"
            | "thin-pack"
            | "no-progress"
            | "allow-any-sha1-in-want" => true,
            _ => own,
        }
    }
}

/// Reads the lines of an advertisement.
pub(super) fn read(lines: Vec<Bytes>) -> Result<(Advertised, Vec<Ref>), Error> {
    let mut server = Advertised::default();
    let mut refs = Vec::new();
    let mut lines = lines.into_iter().peekable();
    match lines.peek().map(|line| packet::trimmed(line)) {
        Some(b"version 2") => {
            server.protocol = Protocol::V2;
            for line in lines.skip(1) {
                let line = String::from_utf8_lossy(packet::trimmed(&line)).into_owned();
                let (name, value) = line.split_once('=').unwrap_or((&line, ""));
                server
                    .capabilities
                    .insert(name.to_owned(), value.to_owned());
            }
            supported(&server)?;
            return Ok((server, refs));
        }
        Some(b"version 1") => drop(lines.next()),
        _ => {}
    }
    let mut first = true;
    for line in lines {
        let line = packet::trimmed(&line);
        if line.starts_with(b"shallow ") {
            continue;
        }
        let mut halves = line.splitn(2, |byte| *byte == 0);
        let reference = halves.next().unwrap_or_default();
        if let Some(capabilities) = halves.next().filter(|_| first) {
            server.capabilities = capabilities_of(capabilities);
        }
        first = false;
        add(&mut refs, reference)?;
    }
    supported(&server)?;
    Ok((server, refs))
}

fn supported(server: &Advertised) -> Result<(), Error> {
    match server.capabilities.get("object-format").map(String::as_str) {
        None | Some("sha1") => Ok(()),
        Some(other) => Err(Error::ObjectFormat(other.to_owned())),
    }
}

pub(super) fn malformed() -> Error {
    Error::NotGit("the list of references is malformed")
}

/// Checks a reference as a server lists it.
pub(super) fn ref_line(id: &str, name: &str) -> Result<Ref, Error> {
    if !id.bytes().all(|byte| byte.is_ascii_hexdigit()) || !matches!(id.len(), 40 | 64) {
        return Err(malformed());
    }
    Ok(Ref {
        name: name.to_owned(),
        object: id.to_owned(),
        peeled: None,
    })
}

fn add(refs: &mut Vec<Ref>, line: &[u8]) -> Result<(), Error> {
    let line = String::from_utf8_lossy(line);
    let (id, name) = line.split_once(' ').ok_or_else(malformed)?;
    let found = ref_line(id, name)?;
    if name == NO_REFS {
        return Ok(());
    }
    if let Some(tag) = name.strip_suffix("^{}") {
        if let Some(last) = refs.last_mut().filter(|last| last.name == tag) {
            last.peeled = Some(found.object);
        }
        return Ok(());
    }
    refs.push(found);
    Ok(())
}

fn capabilities_of(text: &[u8]) -> BTreeMap<String, String> {
    String::from_utf8_lossy(text)
        .split_ascii_whitespace()
        .map(|each| each.split_once('=').unwrap_or((each, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
