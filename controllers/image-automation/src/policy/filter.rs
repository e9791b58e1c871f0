//! Which tags are candidates, and by what they are compared.

use std::borrow::Cow;
use std::collections::HashMap;

use api::image::TagFilter;
use go::regexp::Regexp;

use super::PolicyError;

/// A tag and what it is compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate<'t> {
    pub(super) tag: &'t str,
    pub(super) value: Cow<'t, str>,
}

impl<'t> Candidate<'t> {
    pub(super) fn of(tag: &'t str) -> Self {
        Self {
            tag,
            value: Cow::Borrowed(tag),
        }
    }
}

/// A pattern, and what of a match is compared.
#[derive(Debug)]
pub(super) struct Filter {
    pattern: String,
    expression: Regexp,
    extract: Option<String>,
}

impl Filter {
    pub(super) fn new(filter: &TagFilter) -> Result<Self, PolicyError> {
        let pattern = filter.pattern.clone().unwrap_or_default();
        let expression = Regexp::new(&pattern).map_err(|source| PolicyError::Pattern {
            pattern: pattern.clone(),
            source,
        })?;
        Ok(Self {
            pattern,
            expression,
            extract: filter.extract.clone().filter(|text| !text.is_empty()),
        })
    }

    pub(super) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Returns the matching tags in their order. Of tags with the same value the last one stands for all, as upstream
    /// has it.
    pub(super) fn apply<'t>(&self, tags: &[&'t str]) -> Vec<Candidate<'t>> {
        let mut candidates: Vec<Candidate<'t>> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for &tag in tags {
            let Some(extract) = &self.extract else {
                if self.expression.is_match(tag.as_bytes()) {
                    candidates.push(Candidate::of(tag));
                }
                continue;
            };
            let Some(value) = self
                .expression
                .expand_first(tag.as_bytes(), extract.as_bytes())
            else {
                continue;
            };
            let value = String::from_utf8_lossy(&value).into_owned();
            if let Some(&place) = places.get(&value) {
                if let Some(same) = candidates.get_mut(place) {
                    same.tag = tag;
                }
                continue;
            }
            places.insert(value.clone(), candidates.len());
            candidates.push(Candidate {
                tag,
                value: Cow::Owned(value),
            });
        }
        candidates
    }
}
