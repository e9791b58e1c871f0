//! Which commit of a Git repository is published.

use std::cmp::Ordering;

use semver::{Constraint, ConstraintError, Version};

/// The branch where nothing is asked for.
const DEFAULT_BRANCH: &str = "master";
/// Asks for what an annotated tag points to, and is how a server lists it.
const PEELED: &str = "^{}";
/// The longest name that is asked for, in bytes.
const MAX_NAME: usize = 4096;

/// One reference as a server lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ref {
    /// Full name. Shape: `refs/heads/main`.
    pub name: String,
    /// Id of the object that it names: a commit, or the tag object of an annotated tag.
    pub object: String,
    /// Id of what an annotated tag points to.
    pub peeled: Option<String>,
}

impl Ref {
    fn commit(&self) -> &str {
        self.peeled.as_deref().unwrap_or(&self.object)
    }
}

/// What a user asks for. Empty texts count as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Id of a commit.
    pub commit: Option<String>,
    /// Full name of a reference.
    pub name: Option<String>,
    /// Name of a tag.
    pub tag: Option<String>,
    /// Range of versions.
    pub semver: Option<String>,
    /// Name of a branch.
    pub branch: Option<String>,
}

impl Wanted {
    /// Returns whether the commit is fixed, so that the server need not be asked what is new.
    pub fn is_pinned(&self) -> bool {
        given(self.commit.as_ref()).is_some()
    }

    /// Returns how the full names of all references start that can matter, for servers that list no others.
    pub fn prefixes(&self) -> Vec<String> {
        let all = if let Some(pinned) = self.pinned() {
            pinned.branch
        } else if let Some(name) = given(self.name.as_ref()) {
            Some(name.strip_suffix(PEELED).unwrap_or(name).to_owned())
        } else if let Some(tag) = given(self.tag.as_ref()) {
            Some(format!("refs/tags/{tag}"))
        } else if given(self.semver.as_ref()).is_some() {
            return vec!["refs/tags/".to_owned()];
        } else {
            let branch = given(self.branch.as_ref()).unwrap_or(DEFAULT_BRANCH);
            Some(format!("refs/heads/{branch}"))
        };
        // No server lists what is no name; and something has to be asked for.
        let all = all.filter(|name| is_name(name));
        vec![all.unwrap_or_else(|| "HEAD".to_owned())]
    }

    /// Returns the commit that is asked for, whatever the server lists, and the name that it is published under.
    pub fn pinned(&self) -> Option<Pinned> {
        let commit = given(self.commit.as_ref())?.to_owned();
        let branch = given(self.branch.as_ref());
        let label = given(self.name.as_ref()).or(branch).map(str::to_owned);
        let branch = branch.map(|branch| format!("refs/heads/{branch}"));
        Some(Pinned {
            label,
            commit,
            branch,
        })
    }
}

/// Says whether Git takes a text as the full name of a reference.
///
/// Source: <https://git-scm.com/docs/git-check-ref-format>, Git 2.47.
pub fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && std::path::Path::new(part)
                .extension()
                .is_none_or(|end| end != "lock")
    };
    let refused = |each: char| each.is_ascii_control() || " ~^:?*[\\".contains(each);
    name.len() <= MAX_NAME
        && name != "@"
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(refused)
        && name.split('/').all(part)
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// A fixed commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The name before the `@` of the revision.
    pub label: Option<String>,
    /// Id of the commit.
    pub commit: String,
    /// Full name of the branch on which it is looked for; all of the repository where absent.
    pub branch: Option<String>,
}

/// The tip of a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The name before the `@` of the revision.
    pub label: String,
    /// Id of the object to fetch: that of the tag where the tag is annotated.
    pub object: String,
    /// Id of the commit.
    pub commit: String,
    /// The short name of the tag, where the reference is one.
    pub tag: Option<String>,
}

/// The commit that is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// One that the server names.
    Tip(Tip),
    /// One that the user names.
    Pinned(Pinned),
}

impl Choice {
    /// Returns the id of the commit.
    pub fn commit(&self) -> &str {
        match self {
            Self::Tip(tip) => &tip.commit,
            Self::Pinned(pinned) => &pinned.commit,
        }
    }

    /// Returns the revision. Shape: `main@sha1:<commit>`, or `sha1:<commit>` for a commit without a name.
    pub fn revision(&self) -> String {
        match self {
            Self::Tip(tip) => format!("{}@sha1:{}", tip.label, tip.commit),
            Self::Pinned(Pinned {
                label: Some(label),
                commit,
                ..
            }) => {
                format!("{label}@sha1:{commit}")
            }
            Self::Pinned(Pinned {
                label: None,
                commit,
                ..
            }) => format!("sha1:{commit}"),
        }
    }
}

/// Why no commit can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChooseError {
    /// The server does not list the reference.
    #[error("couldn't find remote ref \"{0}\"")]
    NotFound(String),
    /// The server does not list the reference asked for by its full name.
    #[error("unable to resolve ref '{0}' to a specific commit")]
    Unresolved(String),
    /// The full name is none.
    #[error("ref {0} is invalid; Git refs cannot begin or end with a slash '/'")]
    BadName(String),
    /// The range of versions cannot be read.
    #[error("semver parse error")]
    Range(#[source] ConstraintError),
    /// No tag lies within the range of versions.
    #[error("no match found for semver: {0}")]
    NoMatch(String),
}

/// Chooses the commit: by commit id, full name, tag, range of versions, branch, whichever comes first; the branch
/// `master` where nothing is asked for.
///
/// With both a tag and a range, the tag counts, as upstream does it and other than it documents.
/// Source: fluxcd/pkg git/gogit clone, as of source-controller 1.9.
///
/// # Errors
/// [`ChooseError`].
pub fn choose(wanted: &Wanted, refs: &[Ref]) -> Result<Choice, ChooseError> {
    if let Some(pinned) = wanted.pinned() {
        if let Some(branch) = &pinned.branch {
            find(refs, branch)?;
        }
        return Ok(Choice::Pinned(pinned));
    }
    let tip = if let Some(name) = given(wanted.name.as_ref()) {
        by_name(refs, name)?
    } else if let Some(tag) = given(wanted.tag.as_ref()) {
        tip(tag, find(refs, &format!("refs/tags/{tag}"))?)
    } else if let Some(range) = given(wanted.semver.as_ref()) {
        by_range(refs, range)?
    } else {
        let branch = given(wanted.branch.as_ref()).unwrap_or(DEFAULT_BRANCH);
        tip(branch, find(refs, &format!("refs/heads/{branch}"))?)
    };
    Ok(Choice::Tip(tip))
}

fn find<'a>(refs: &'a [Ref], name: &str) -> Result<&'a Ref, ChooseError> {
    let found = refs.iter().find(|each| each.name == name);
    found.ok_or_else(|| ChooseError::NotFound(name.to_owned()))
}

fn tip(label: &str, found: &Ref) -> Tip {
    Tip {
        label: label.to_owned(),
        object: found.object.clone(),
        commit: found.commit().to_owned(),
        tag: found.name.strip_prefix("refs/tags/").map(str::to_owned),
    }
}

/// The name keeps a `^{}` at its end in the revision.
fn by_name(refs: &[Ref], name: &str) -> Result<Tip, ChooseError> {
    if name.starts_with('/') || name.ends_with('/') {
        return Err(ChooseError::BadName(name.to_owned()));
    }
    let listed = name.strip_suffix(PEELED).unwrap_or(name);
    let found = refs.iter().find(|each| each.name == listed);
    let found = found.ok_or_else(|| ChooseError::Unresolved(name.to_owned()))?;
    Ok(tip(name, found))
}

fn by_range(refs: &[Ref], range: &str) -> Result<Tip, ChooseError> {
    let constraint = Constraint::parse(range).map_err(ChooseError::Range)?;
    let versions = refs.iter().filter_map(|each| {
        let tag = each.name.strip_prefix("refs/tags/")?;
        Some((version(tag)?, tag, each))
    });
    let best = versions
        .filter(|(version, _, _)| constraint.check(version))
        .max_by(|a, b| {
            // Versions of equal rank differ in build metadata or a leading v only.
            a.0.precedence(&b.0).then_with(|| a.1.cmp(b.1))
        });
    match best {
        Some((_, tag, found)) => Ok(tip(tag, found)),
        None => Err(ChooseError::NoMatch(range.to_owned())),
    }
}

/// Reads a tag as a version: three parts, a leading `v` allowed.
fn version(tag: &str) -> Option<Version> {
    Version::parse_strict(tag.strip_prefix('v').unwrap_or(tag)).ok()
}

/// Returns the pre-1.0 form of a revision (`main/<commit>`) in today's form; any other text as it is.
pub fn modern_revision(revision: &str) -> std::borrow::Cow<'_, str> {
    match revision.rsplit_once('/') {
        Some((label, commit))
            if !revision.contains(':')
                && commit.len() == 40
                && commit.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            format!("{label}@sha1:{commit}").into()
        }
        _ => revision.into(),
    }
}

/// Compares two revisions: equal, or one the pre-1.0 form of the other.
pub fn same_revision(a: &str, b: &str) -> bool {
    modern_revision(a).cmp(&modern_revision(b)) == Ordering::Equal
}

#[cfg(test)]
mod tests;
