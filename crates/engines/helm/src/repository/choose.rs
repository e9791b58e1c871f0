//! Which version of a chart is meant.

use std::cmp::Ordering;

use semver::{Constraint, ConstraintError, Version};

/// A version of a chart that may be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The version as the index or the tag says it.
    pub version: String,
    /// When it was made, as any number that grows with time.
    pub created: i128,
}

/// Why no version was chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChooseError {
    /// The index lists no version of the chart.
    #[error("no chart version found")]
    None,
    /// The range cannot be read.
    #[error(transparent)]
    Range(#[from] ConstraintError),
    /// No version is within the range.
    #[error("no '{name}' chart with version matching '{wanted}' found")]
    NoMatch {
        /// The chart.
        name: String,
        /// The range.
        wanted: String,
    },
    /// No tag is within the range.
    #[error("could not locate a version matching provided version string {0}")]
    NoTag(String),
}

/// Returns the place of the version that `wanted` asks for: the very version, else the highest within the range, the
/// newest of several that differ in build metadata only.
///
/// Empty and `*` ask for the highest release.
///
/// # Errors
/// [`ChooseError`].
pub fn choose(candidates: &[Candidate], name: &str, wanted: &str) -> Result<usize, ChooseError> {
    if candidates.is_empty() {
        return Err(ChooseError::None);
    }
    let exact = candidates.iter().position(|each| each.version == wanted);
    if let Some(at) = exact.filter(|_| !wanted.is_empty()) {
        return Ok(at);
    }
    highest(candidates, wanted)?.ok_or_else(|| ChooseError::NoMatch {
        name: name.to_owned(),
        wanted: wanted.to_owned(),
    })
}

/// Returns the place of the tag that `wanted` asks for, as [`choose`] does.
///
/// # Errors
/// [`ChooseError`].
pub fn choose_tag(tags: &[String], wanted: &str) -> Result<usize, ChooseError> {
    let exact = tags.iter().position(|tag| tag == wanted);
    if let Some(at) = exact.filter(|_| !wanted.is_empty()) {
        return Ok(at);
    }
    let candidates: Vec<Candidate> = tags
        .iter()
        .map(|tag| Candidate {
            version: tag.clone(),
            created: 0,
        })
        .collect();
    highest(&candidates, wanted)?.ok_or_else(|| ChooseError::NoTag(wanted.to_owned()))
}

fn highest(candidates: &[Candidate], wanted: &str) -> Result<Option<usize>, ChooseError> {
    let range = Constraint::parse(if wanted.is_empty() { "*" } else { wanted })?;
    let mut best: Option<(usize, Version)> = None;
    for (at, candidate) in candidates.iter().enumerate() {
        let Some(version) = three_numbers(&candidate.version) else {
            continue;
        };
        if !range.check(&version) {
            continue;
        }
        let better =
            best.as_ref()
                .is_none_or(|(other, highest)| match version.precedence(highest) {
                    Ordering::Greater => true,
                    Ordering::Equal => candidate.created > candidates[*other].created,
                    Ordering::Less => false,
                });
        if better {
            best = Some((at, version));
        }
    }
    Ok(best.map(|(at, _)| at))
}

/// A version counts only with all of its three numbers.
fn three_numbers(text: &str) -> Option<Version> {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    (core.split('.').count() == 3).then(|| Version::parse(text).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &str, expected: &str) {
        let candidates: Vec<Candidate> = [
            ("0.0.1", 0),
            ("0.1.0", 0),
            ("0.1.1", 0),
            ("0.1.5+b.min.minute", 1),
            ("0.1.5+a.min.hour", 9),
            ("0.1.5+c.now", 5),
            ("0.2.0", 0),
            ("1.0.0", 0),
            ("1.1.0-rc.1", 0),
            ("not-a-version", 0),
            ("7.0", 0),
        ]
        .map(|(version, created)| Candidate {
            version: version.into(),
            created,
        })
        .into();
        let chosen = match choose(&candidates, "x", wanted) {
            Ok(at) => candidates[at].version.clone(),
            Err(error) => error.to_string(),
        };
        assert_eq!(chosen, expected, "{wanted}");
    }

    /// covers: SC-159, SC-171
    #[test]
    fn version_is_found_exactly_or_as_the_highest_in_range() {
        check("", "1.0.0");
        check("*", "1.0.0");
        check("<1.0.0", "0.2.0");
        check(
            ">2.0.0",
            "no 'x' chart with version matching '>2.0.0' found",
        );
        check("0.1.5", "0.1.5+a.min.hour");
        check("0.1.5+c.now", "0.1.5+c.now");
        check(">=1.0.0-0", "1.1.0-rc.1");
        check("1.1.0-rc.1", "1.1.0-rc.1");
        check("not-a-version", "not-a-version");
        assert_eq!(choose(&[], "x", "*"), Err(ChooseError::None));
    }

    /// covers: SC-172
    #[test]
    fn tag_is_found_by_range() {
        let tags: Vec<String> = ["0.1.5", "0.2.0", "0.10.0", "1.0.0", "latest"]
            .map(String::from)
            .into();
        let tag = |wanted: &str| match choose_tag(&tags, wanted) {
            Ok(at) => tags[at].clone(),
            Err(error) => error.to_string(),
        };
        assert_eq!(tag("0.2.x"), "0.2.0");
        assert_eq!(tag("0.*"), "0.10.0");
        assert_eq!(tag(">=0.1.5"), "1.0.0");
        assert_eq!(tag(""), "1.0.0");
        assert_eq!(
            tag(">2.0.0"),
            "could not locate a version matching provided version string >2.0.0"
        );
    }
}
