//! Commits and tags as they were signed: what the signature is over, and the signature.
//!
//! Source: <https://git-scm.com/docs/gitformat-signature>, Git 2.47.

/// Begin of the lines that may start a signature at the end of a tag.
const BEGINS: [&[u8]; 4] = [
    b"-----BEGIN PGP SIGNATURE-----",
    b"-----BEGIN PGP MESSAGE-----",
    b"-----BEGIN SSH SIGNATURE-----",
    b"-----BEGIN SIGNED MESSAGE-----",
];
const HEADER: &[u8] = b"gpgsig";

/// A text and a signature over it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    /// What was signed.
    pub payload: Vec<u8>,
    /// The signature, armoured; empty where there is none.
    pub signature: Vec<u8>,
}

/// An annotated tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The tag as it was signed.
    pub signed: Signed,
    /// Whether it is a tag of the snapshot's commit.
    pub is_of_commit: bool,
}

impl Signed {
    /// Splits a commit: the signature is a header of its own, and so may be one over another hash.
    pub(crate) fn commit(object: &[u8]) -> Self {
        let mut signed = Self::default();
        let mut lines = object.split_inclusive(|byte| *byte == b'\n');
        let mut within = Within::Else;
        for line in lines.by_ref() {
            if line == b"\n" {
                signed.payload.extend_from_slice(line);
                break;
            }
            match line.strip_prefix(b" ") {
                Some(more) if within == Within::Signature => {
                    signed.signature.extend_from_slice(more);
                    continue;
                }
                Some(_) if within == Within::Other => continue,
                Some(_) => {}
                None => within = Within::of(line),
            }
            match within {
                Within::Signature => {
                    let text = &line[HEADER.len() + 1..];
                    signed.signature.extend_from_slice(text);
                }
                Within::Other => {}
                Within::Else => signed.payload.extend_from_slice(line),
            }
        }
        for line in lines {
            signed.payload.extend_from_slice(line);
        }
        signed
    }

    /// Splits a tag: the signature stands at its end.
    pub(crate) fn tag(object: &[u8]) -> Self {
        let mut at = 0;
        let mut begin = object.len();
        for line in object.split_inclusive(|byte| *byte == b'\n') {
            if BEGINS.iter().any(|each| line.starts_with(each)) {
                begin = at;
            }
            at += line.len();
        }
        Self {
            payload: object[..begin].to_vec(),
            signature: object[begin..].to_vec(),
        }
    }
}

/// Which header of a commit a line belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Signature,
    /// A signature that is not ours to check and no part of what was signed.
    Other,
    Else,
}

impl Within {
    fn of(line: &[u8]) -> Self {
        match line.strip_prefix(HEADER) {
            Some(rest) if rest.starts_with(b" ") => Self::Signature,
            Some(_) => Self::Other,
            None => Self::Else,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_of_a_commit_is_a_header() {
        let object = b"tree 1\nauthor a\ngpgsig -----BEGIN\n line\n \n end\ngpgsig-sha256 x\n y\nencoding z\n more\n\ngpgsig no header\n text\n";
        let signed = Signed::commit(object);
        assert_eq!(signed.signature, b"-----BEGIN\nline\n\nend\n");
        assert_eq!(
            signed.payload,
            b"tree 1\nauthor a\nencoding z\n more\n\ngpgsig no header\n text\n"
        );
        let plain = Signed::commit(b"tree 1\n\ntext");
        assert_eq!(
            (plain.payload, plain.signature),
            (b"tree 1\n\ntext".to_vec(), Vec::new())
        );
    }

    #[test]
    fn signature_of_a_tag_is_at_its_end() {
        let object =
            b"object 1\n\ntext -----BEGIN PGP SIGNATURE-----\n-----BEGIN SSH SIGNATURE-----\nx\n";
        let signed = Signed::tag(object);
        assert_eq!(signed.signature, b"-----BEGIN SSH SIGNATURE-----\nx\n");
        assert_eq!(signed.payload.len() + signed.signature.len(), object.len());
        assert!(Signed::tag(b"object 1\n\ntext\n").signature.is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_object_is_split(text in "((gpgsig|tree| )[a-z -]{0,10}\n){0,9}\n?.{0,20}") {
            drop(Signed::commit(text.as_bytes()));
            drop(Signed::tag(text.as_bytes()));
        }
    }
}
