//! That an entry is in a log's tree, whose root the log signed.

use sha2::{Digest, Sha256};

use super::body::Body;
use super::{Entry, InclusionProof, LogError, signed_by_log};
use crate::cosign::trusted_root::Log;
use crate::encoding::base64;

/// No tree is higher.
const MAX_HASHES: usize = 64;
const MAX_SIGNATURES: usize = 64;

impl InclusionProof {
    pub(super) fn check(&self, entry: &Entry, body: &Body, log: &Log) -> Result<(), LogError> {
        use LogError::Proof;
        let note = Note::read(&self.checkpoint.envelope).ok_or(Proof("malformed checkpoint"))?;
        if !note.is_signed_by(log) {
            return Err(Proof("signature on checkpoint did not verify"));
        }
        // Logs of the second version are named by their host; the first one's proofs count from the start of a shard.
        let (index, size) = if body.is_second() {
            let host = host(&log.url).ok_or(Proof("log without an address"))?;
            if note.origin != host {
                return Err(Proof("checkpoint is of another log"));
            }
            (entry.log_index, note.size)
        } else {
            if note.root != self.root_hash {
                return Err(Proof("proof root hash does not match signed tree head"));
            }
            let size = u64::try_from(self.tree_size).map_err(|_| Proof("no tree"))?;
            (self.log_index, size)
        };
        let index = u64::try_from(index).map_err(|_| Proof("no place in the tree"))?;
        let hashes: Vec<&[u8]> = self
            .hashes
            .iter()
            .map(|hash| hash.bytes.as_slice())
            .collect();
        let leaf = hash(&[&[0], &entry.canonicalized_body]);
        let root = root(index, size, &leaf, &hashes).ok_or(Proof("the proof has another form"))?;
        let same = root == note.root;
        same.then_some(())
            .ok_or(Proof("calculated root does not match"))
    }
}

/// Follows the hashes of neighbours from a leaf up.
fn root(index: u64, size: u64, leaf: &[u8], hashes: &[&[u8]]) -> Option<Vec<u8>> {
    if index >= size || hashes.len() > MAX_HASHES {
        return None;
    }
    let inner = 64 - (index ^ (size - 1)).leading_zeros() as usize;
    let border = (index.checked_shr(u32::try_from(inner).ok()?)).map_or(0, u64::count_ones);
    if hashes.len() != inner + border as usize {
        return None;
    }
    let (inside, above) = hashes.split_at(inner);
    let mut node = leaf.to_vec();
    for (level, other) in inside.iter().enumerate() {
        node = if index >> level & 1 == 0 {
            hash(&[&[1], &node, other])
        } else {
            hash(&[&[1], other, &node])
        };
    }
    for other in above {
        node = hash(&[&[1], other, &node]);
    }
    Some(node)
}

fn hash(parts: &[&[u8]]) -> Vec<u8> {
    let hasher = parts.iter().fold(Sha256::new(), Sha256::chain_update);
    hasher.finalize().to_vec()
}

fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', ':'])
        .next()
        .filter(|host| !host.is_empty())
}

/// A checkpoint: the root of a tree, and who signed it.
struct Note<'a> {
    /// With the line break at its end.
    text: &'a str,
    origin: &'a str,
    size: u64,
    root: Vec<u8>,
    signatures: Vec<Vec<u8>>,
}

impl<'a> Note<'a> {
    fn read(envelope: &'a str) -> Option<Self> {
        let at = envelope.find("\n\n")?;
        let (text, rest) = envelope.split_at(at + 1);
        let mut lines = text.lines();
        let origin = lines.next().filter(|line| !line.is_empty())?;
        let size = lines.next()?.parse().ok()?;
        let root = base64(lines.next()?)?;
        let signatures = rest.lines().filter(|line| !line.is_empty());
        let signatures: Option<Vec<Vec<u8>>> = signatures
            .take(MAX_SIGNATURES)
            .map(|line| {
                let (_, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
                // Four bytes say which key it may be.
                Some(base64(signature)?.get(4..)?.to_vec())
            })
            .collect();
        Some(Self {
            text,
            origin,
            size,
            root,
            signatures: signatures?,
        })
    }

    fn is_signed_by(&self, log: &Log) -> bool {
        let text = self.text.as_bytes();
        let mut signatures = self.signatures.iter();
        signatures.any(|signature| signed_by_log(&log.key, text, signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(leaves: &[Vec<u8>]) -> Vec<u8> {
        match leaves {
            [] => hash(&[]),
            [leaf] => leaf.clone(),
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                let (left, right) = leaves.split_at(split);
                hash(&[&[1], &tree(left), &tree(right)])
            }
        }
    }

    fn path(index: usize, leaves: &[Vec<u8>]) -> Vec<Vec<u8>> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let split = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(split);
        let (mut path, other) = if index < split {
            (path(index, left), tree(right))
        } else {
            (path(index - split, right), tree(left))
        };
        path.push(other);
        path
    }

    #[test]
    fn every_leaf_of_every_tree_leads_to_its_root_and_to_no_other() {
        let leaves: Vec<Vec<u8>> = (0u8..20).map(|leaf| hash(&[&[0], &[leaf]])).collect();
        for size in 1..=leaves.len() {
            let leaves = &leaves[..size];
            let expected = tree(leaves);
            for index in 0..size {
                let path = path(index, leaves);
                let mut path: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
                let found = |index: usize, path: &[&[u8]]| {
                    root(
                        index as u64,
                        size as u64,
                        &leaves[index.min(size - 1)],
                        path,
                    )
                };
                assert_eq!(
                    found(index, &path),
                    Some(expected.clone()),
                    "{index}/{size}"
                );
                for other in (0..size).filter(|other| *other != index) {
                    assert_ne!(found(other, &path), Some(expected.clone()));
                }
                path.push(b"more");
                assert_eq!(found(index, &path), None);
                assert_eq!(found(size, &path), None);
            }
        }
    }

    #[test]
    fn host_is_told_from_an_address() {
        assert_eq!(host("https://log.example.test/x"), Some("log.example.test"));
        assert_eq!(
            host("https://log.example.test:8443"),
            Some("log.example.test")
        );
        assert_eq!(host("log.example.test"), None);
        assert_eq!(host(""), None);
    }
}
