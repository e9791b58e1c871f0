//! Which tag of an image is the newest. Pure.
//!
//! Source: fluxcd/image-reflector-controller v1.2 `internal/policy`.

mod alphabetical;
mod filter;
mod numerical;
mod semantic;

use api::image::{Order, PolicyChoice, TagFilter};

use self::filter::Candidate;

/// Why there is no newest tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The pattern is no regular expression.
    #[error("failed to filter tags: invalid regular expression pattern '{pattern}'")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: go::regexp::SyntaxError,
    },
    /// The range is none.
    #[error("invalid policy")]
    Range(#[source] semver::ConstraintError),
    /// No policy was chosen.
    #[error("invalid policy: given ImagePolicyChoice object is invalid")]
    NoChoice,
    /// There is no tag to choose from.
    #[error("version list argument cannot be empty{0}")]
    Empty(Considered),
    /// No tag is in the range.
    #[error("unable to determine latest version from provided list{0}")]
    NoneInRange(Considered),
    /// A tag is no number.
    #[error("failed to parse invalid numeric value '{0}'")]
    NotANumber(String),
}

impl PolicyError {
    /// Returns true where the policy itself cannot be used, whatever the tags are.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        matches!(self, Self::Pattern { .. } | Self::Range(_) | Self::NoChoice)
    }
}

/// Which tags were looked at and why none was taken: words that follow an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Considered {
    /// How many tags the image has.
    pub tags: usize,
    /// How many of them the pattern let pass.
    pub matched: usize,
    /// The pattern.
    pub pattern: Option<String>,
    /// Some of the tags that were left out last.
    pub examples: Vec<String>,
    /// What they are not.
    pub wanted: Option<String>,
}

/// How many left-out tags are named.
const EXAMPLES: usize = 3;

impl std::fmt::Display for Considered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let examples = if self.examples.is_empty() {
            String::new()
        } else {
            format!(", such as '{}'", self.examples.join("', '"))
        };
        match (&self.pattern, &self.wanted) {
            (Some(pattern), None) if self.tags > 0 => write!(
                f,
                ": none of {} tags matches the pattern '{pattern}'{examples}",
                self.tags
            ),
            (_, Some(wanted)) => {
                write!(
                    f,
                    ": none of {} tags is in the range '{wanted}'{examples}",
                    self.matched
                )
            }
            _ => Ok(()),
        }
    }
}

/// A policy, ready to be asked.
#[derive(Debug)]
pub struct Policy {
    filter: Option<filter::Filter>,
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    Semantic(Box<semantic::Range>),
    Alphabetical(Order),
    Numerical(Order),
}

impl Policy {
    /// Reads a policy. Where several are given, semver counts before alphabetical before numerical.
    ///
    /// # Errors
    /// [`PolicyError::Pattern`], [`PolicyError::Range`], [`PolicyError::NoChoice`].
    pub fn new(choice: &PolicyChoice, filter: Option<&TagFilter>) -> Result<Self, PolicyError> {
        let rule = if let Some(semver) = &choice.semver {
            Rule::Semantic(Box::new(semantic::Range::new(&semver.range)?))
        } else if let Some(alphabetical) = &choice.alphabetical {
            Rule::Alphabetical(alphabetical.order.unwrap_or_default())
        } else if let Some(numerical) = &choice.numerical {
            Rule::Numerical(numerical.order.unwrap_or_default())
        } else {
            return Err(PolicyError::NoChoice);
        };
        Ok(Self {
            filter: filter.map(filter::Filter::new).transpose()?,
            rule,
        })
    }

    /// Returns the newest of `tags`. The same tags give the same answer in whatever order they come: among equals the
    /// one that is greatest byte by byte wins.
    ///
    /// # Errors
    /// [`PolicyError::Empty`], [`PolicyError::NoneInRange`], [`PolicyError::NotANumber`].
    pub fn latest<'t>(&self, tags: &'t [String]) -> Result<&'t str, PolicyError> {
        let mut sorted: Vec<&str> = tags.iter().map(String::as_str).collect();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        let candidates = match &self.filter {
            Some(filter) => filter.apply(&sorted),
            None => sorted.iter().map(|tag| Candidate::of(tag)).collect(),
        };
        let mut considered = Considered {
            tags: tags.len(),
            matched: candidates.len(),
            pattern: self.filter.as_ref().map(|f| f.pattern().to_owned()),
            examples: sorted
                .iter()
                .take(EXAMPLES)
                .map(|&t| t.to_owned())
                .collect(),
            wanted: None,
        };
        if candidates.is_empty() {
            return Err(PolicyError::Empty(considered));
        }
        match &self.rule {
            Rule::Semantic(range) => range.latest(&candidates).ok_or_else(|| {
                considered.examples = candidates
                    .iter()
                    .take(EXAMPLES)
                    .map(|c| c.value.to_string())
                    .collect();
                considered.wanted = Some(range.text().to_owned());
                PolicyError::NoneInRange(considered)
            }),
            Rule::Alphabetical(order) => {
                alphabetical::latest(&candidates, *order).ok_or(PolicyError::Empty(considered))
            }
            Rule::Numerical(order) => numerical::latest(&candidates, *order)
                .and_then(|found| found.ok_or(PolicyError::Empty(considered))),
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod versus_go;
