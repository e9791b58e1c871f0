//! The highest version within a range.

use std::cmp::Ordering;

use semver::{Constraint, Version};

use super::{PolicyError, filter::Candidate};

/// A range of versions.
#[derive(Debug)]
pub(super) struct Range {
    text: String,
    constraint: Constraint,
}

impl Range {
    pub(super) fn new(range: &str) -> Result<Self, PolicyError> {
        Ok(Self {
            text: range.to_owned(),
            constraint: Constraint::parse(range).map_err(PolicyError::Range)?,
        })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the candidate of highest precedence; of equals the first.
    pub(super) fn latest<'t>(&self, candidates: &[Candidate<'t>]) -> Option<&'t str> {
        let mut latest: Option<(Version, &'t str)> = None;
        for candidate in candidates {
            // Two dots at least: `1.2` and `latest` are no versions here.
            if candidate.value.split('.').count() < 3 {
                continue;
            }
            let Ok(version) = Version::parse(&candidate.value) else {
                continue;
            };
            if !self.constraint.check(&version) {
                continue;
            }
            let is_greater = latest
                .as_ref()
                .is_none_or(|(found, _)| version.precedence(found) == Ordering::Greater);
            if is_greater {
                latest = Some((version, candidate.tag));
            }
        }
        latest.map(|(_, tag)| tag)
    }
}
