//! The request for objects, in both versions of the protocol.
//!
//! Source: <https://git-scm.com/docs/protocol-v2>, <https://git-scm.com/docs/pack-protocol>, Git 2.47.

use crate::list::{AGENT, Advertised, Protocol};
use crate::packet;

/// One request for objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    objects: Vec<String>,
    /// Commits that are here in full, each without its history.
    haves: Vec<String>,
    pub(super) shallow: bool,
}

impl Ask {
    /// Asks for one object without history, and of its files those that the commits in `haves` do not have.
    pub(super) fn tip(object: &str, haves: Vec<String>) -> Self {
        Self {
            objects: vec![object.to_owned()],
            haves,
            shallow: true,
        }
    }

    /// Asks for objects and all their history.
    pub(super) fn history(objects: Vec<String>) -> Self {
        Self {
            objects,
            haves: Vec::new(),
            shallow: false,
        }
    }

    /// Returns the request.
    pub(super) fn body(&self, server: &Advertised) -> Vec<u8> {
        match server.protocol {
            Protocol::V0 => self.body_0(server),
            Protocol::V2 => self.body_2(server),
        }
    }

    fn features<'a>(&self, server: &'a Advertised) -> impl Iterator<Item = &'static str> + use<'a> {
        let thin = (!self.haves.is_empty()).then_some("thin-pack");
        let all = ["ofs-delta", "no-progress"].into_iter().chain(thin);
        all.filter(|feature| server.can(feature))
    }

    fn body_0(&self, server: &Advertised) -> Vec<u8> {
        let mut capabilities = String::new();
        // Some servers answer only those who know multi_ack.
        let more = ["side-band-64k", "multi_ack_detailed"];
        for each in more
            .into_iter()
            .filter(|each| server.can(each))
            .chain(self.features(server))
        {
            capabilities.push(' ');
            capabilities.push_str(each);
        }
        if server.can("agent") {
            capabilities.push(' ');
            capabilities.push_str(AGENT);
        }
        let mut body = Vec::new();
        for (at, object) in self.objects.iter().enumerate() {
            let capabilities = if at == 0 { capabilities.as_str() } else { "" };
            packet::put(&mut body, &format!("want {object}{capabilities}\n"));
        }
        if self.shallow {
            for have in &self.haves {
                packet::put(&mut body, &format!("shallow {have}\n"));
            }
            packet::put(&mut body, "deepen 1\n");
        }
        packet::flush(&mut body);
        self.put_haves(&mut body);
        body
    }

    fn body_2(&self, server: &Advertised) -> Vec<u8> {
        let mut body = Vec::new();
        packet::put(&mut body, "command=fetch");
        if server.can("agent") {
            packet::put(&mut body, AGENT);
        }
        if server.can("object-format") {
            packet::put(&mut body, "object-format=sha1");
        }
        packet::delimiter(&mut body);
        for feature in self.features(server) {
            packet::put(&mut body, feature);
        }
        for object in &self.objects {
            packet::put(&mut body, &format!("want {object}\n"));
        }
        if self.shallow {
            for have in &self.haves {
                packet::put(&mut body, &format!("shallow {have}\n"));
            }
            packet::put(&mut body, "deepen 1\n");
        }
        self.put_haves(&mut body);
        packet::flush(&mut body);
        body
    }

    fn put_haves(&self, body: &mut Vec<u8>) {
        for have in &self.haves {
            packet::put(body, &format!("have {have}\n"));
        }
        packet::put(body, "done\n");
    }
}
