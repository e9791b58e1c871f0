//! Revisions of sources.

use std::fmt;

use super::Digest;

/// Reads a revision: `<name>@<algorithm>:<checksum>`, either part alone, or the older `<branch>/<commit>`.
///
/// Examples: `main@sha1:5394cb7f…`, `6.0.1@sha256:ab12…`, `sha256:ab12…`, `6.7.1`, `main/5394cb7f…`. A revision is any
/// text; what cannot be split is a name.
///
/// Source: fluxcd RFC-0005, "Artifact revision format and introduction of digest".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision {
    text: String,
    name_end: usize,
    checksum_start: usize,
}

impl Revision {
    /// Makes the revision of a name at a checksum; an empty name is left out.
    #[must_use]
    pub fn new(name: &str, algorithm: &str, checksum: &str) -> Self {
        match name {
            "" => Self::from(format!("{algorithm}:{checksum}").as_str()),
            name => Self::from(format!("{name}@{algorithm}:{checksum}").as_str()),
        }
    }

    /// Returns the named part: branch, tag, reference or version. Empty where there is none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.get(..self.name_end).unwrap_or_default()
    }

    /// Returns `<algorithm>:<checksum>`; empty where there is none.
    #[must_use]
    pub fn checksum(&self) -> &str {
        self.text.get(self.checksum_start..).unwrap_or_default()
    }

    /// Returns the checksum as a digest where it is one.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.checksum().parse().ok()
    }

    /// Returns the whole text, in the form of today.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<&str> for Revision {
    /// Reads any text. The older `<branch>/<commit>` and `<commit>` come out as `<branch>@sha1:<commit>`.
    fn from(text: &str) -> Self {
        let (name, commit) = text.rsplit_once('/').unwrap_or(("", text));
        if is_commit(commit) {
            let algorithm = if commit.len() == 40 { "sha1" } else { "sha256" };
            return match name {
                "" | "HEAD" if !text.contains('@') => Self::cut(format!("{algorithm}:{commit}")),
                name => Self::cut(format!("{name}@{algorithm}:{commit}")),
            };
        }
        Self::cut(text.to_owned())
    }
}

impl Revision {
    fn cut(text: String) -> Self {
        let length = text.len();
        let (name_end, checksum_start) = match text.rfind('@') {
            Some(at) if text[at + 1..].parse::<Digest>().is_ok() => (at, at + 1),
            None if text.parse::<Digest>().is_ok() => (0, 0),
            _ => (length, length),
        };
        Self {
            text,
            name_end,
            checksum_start,
        }
    }
}

/// Says whether a text is a whole git commit id, SHA-1 or SHA-256.
fn is_commit(text: &str) -> bool {
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    matches!(text.len(), 40 | 64) && text.bytes().all(is_hex)
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COMMIT: &str = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738";

    fn check(text: &str, whole: &str, name: &str, checksum: &str) {
        let revision = Revision::from(text);
        assert_eq!(revision.as_str(), whole, "{text}");
        assert_eq!(
            (revision.name(), revision.checksum()),
            (name, checksum),
            "{text}"
        );
    }

    #[test]
    fn splits_name_and_checksum() {
        let sha1 = format!("sha1:{COMMIT}");
        check(
            &format!("main@{sha1}"),
            &format!("main@{sha1}"),
            "main",
            &sha1,
        );
        check(
            &format!("feature/x@{sha1}"),
            &format!("feature/x@{sha1}"),
            "feature/x",
            &sha1,
        );
        check(
            &format!("refs/pull/1@2/head@{sha1}"),
            &format!("refs/pull/1@2/head@{sha1}"),
            "refs/pull/1@2/head",
            &sha1,
        );
        check(&sha1, &sha1, "", &sha1);
        check("6.7.1", "6.7.1", "6.7.1", "");
        check("a@b", "a@b", "a@b", "");
        check("", "", "", "");
    }

    #[test]
    fn older_forms_come_out_as_todays() {
        let sha1 = format!("sha1:{COMMIT}");
        check(
            &format!("main/{COMMIT}"),
            &format!("main@{sha1}"),
            "main",
            &sha1,
        );
        check(
            &format!("feature/x/{COMMIT}"),
            &format!("feature/x@{sha1}"),
            "feature/x",
            &sha1,
        );
        check(&format!("HEAD/{COMMIT}"), &sha1, "", &sha1);
        check(COMMIT, &sha1, "", &sha1);
    }

    #[test]
    fn is_made_of_its_parts() {
        assert_eq!(
            Revision::new("main", "sha1", COMMIT).as_str(),
            format!("main@sha1:{COMMIT}")
        );
        assert_eq!(
            Revision::new("", "sha1", COMMIT).as_str(),
            format!("sha1:{COMMIT}")
        );
    }

    proptest! {
        #[test]
        fn reading_twice_changes_nothing(text in "\\PC*|[a-z/@]{0,6}[/@][0-9a-f]{40}") {
            let once = Revision::from(text.as_str());
            prop_assert_eq!(&Revision::from(once.as_str()), &once);
        }

        #[test]
        fn parts_survive(name in "[a-z][a-z0-9/.-]{0,20}", commit in "[0-9a-f]{40}") {
            let revision = Revision::new(&name, "sha1", &commit);
            prop_assert_eq!(revision.name(), name);
            prop_assert_eq!(revision.checksum(), format!("sha1:{commit}"));
        }
    }
}
