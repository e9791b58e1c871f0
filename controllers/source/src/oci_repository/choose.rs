//! Which image of a repository is meant.

use api::source::OCIReference;
use go::regexp::Regexp;
use helm::repository::{Candidate, ChooseError, choose};
use registry::media_type;

/// What the object asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// `sha256:<hex>`.
    Digest(String),
    /// The highest tag in a range, of those that a pattern matches.
    Range {
        range: String,
        filter: Option<String>,
    },
    Tag(String),
}

impl Wanted {
    /// Reads the reference: digest before range before tag, `latest` where there is none.
    pub(super) fn of(reference: Option<&OCIReference>) -> Self {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let Some(reference) = reference else {
            return Self::Tag("latest".to_owned());
        };
        if let Some(digest) = given(&reference.digest) {
            return Self::Digest(digest);
        }
        if let Some(range) = given(&reference.semver) {
            let filter = given(&reference.semver_filter);
            return Self::Range { range, filter };
        }
        Self::Tag(given(&reference.tag).unwrap_or_else(|| "latest".to_owned()))
    }
}

/// Returns the tag that a range asks for.
///
/// # Errors
/// A range or pattern that cannot be read, or no tag within.
pub(super) fn tag(
    tags: &[String],
    range: &str,
    filter: Option<&str>,
    layer: Option<&str>,
) -> Result<String, String> {
    let filter = filter
        .map(Regexp::new)
        .transpose()
        .map_err(|error| error.to_string())?;
    // A tag may hold no plus sign: in those of charts an underscore stands for it.
    let is_chart = layer == Some(media_type::HELM_CHART);
    let kept: Vec<&String> = tags
        .iter()
        .filter(|tag| {
            filter
                .as_ref()
                .is_none_or(|filter| filter.is_match(tag.as_bytes()))
        })
        .collect();
    let candidates: Vec<Candidate> = kept
        .iter()
        .map(|tag| Candidate {
            version: if is_chart {
                tag.replace('_', "+")
            } else {
                (*tag).clone()
            },
            created: 0,
        })
        .collect();
    let chosen = in_range(&candidates, range)?;
    Ok(kept[chosen].clone())
}

fn in_range(candidates: &[Candidate], range: &str) -> Result<usize, String> {
    // A range is never taken for a tag of that very name.
    let exact = candidates.iter().any(|each| each.version == range);
    let range_of_one = format!("={range}");
    let wanted = if exact { range_of_one.as_str() } else { range };
    choose(candidates, "", wanted).map_err(|error| match error {
        ChooseError::Range(why) => format!("semver '{range}' parse error: {why}"),
        _ => format!("no match found for semver: {range}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(range: &str, filter: Option<&str>, layer: Option<&str>, expected: &str) {
        let tags: Vec<String> = [
            "6.1.4",
            "6.1.5",
            "6.1.6-rc.1",
            "6.1.6",
            "6.2.1_ref.1234567",
            "latest",
        ]
        .map(String::from)
        .into();
        let found = tag(&tags, range, filter, layer).unwrap_or_else(|error| error);
        assert_eq!(found, expected, "{range} {filter:?}");
    }

    /// covers: SC-126
    #[test]
    fn ranges_choose_the_highest_tag_that_the_pattern_leaves() {
        check(">= 6.1.5", None, None, "6.1.6");
        check("~6.1.x", None, None, "6.1.6");
        check("6.1.4", None, None, "6.1.4");
        check(
            "<= 6.1.0",
            None,
            None,
            "no match found for semver: <= 6.1.0",
        );
        check(
            ">= 6.2.0",
            None,
            Some(media_type::HELM_CHART),
            "6.2.1_ref.1234567",
        );
        check(
            ">= 6.2.0",
            None,
            None,
            "no match found for semver: >= 6.2.0",
        );
        check(">= 6.1.x-0", Some(".*-rc.*"), None, "6.1.6-rc.1");
        check(
            ">= 6.1.x-0",
            Some(".*-alpha.*"),
            None,
            "no match found for semver: >= 6.1.x-0",
        );
    }

    /// covers: SC-125
    #[test]
    fn digest_counts_before_range_before_tag() {
        let text = |text: &str| Some(text.to_owned());
        let mut reference = OCIReference {
            digest: text("sha256:x"),
            semver: text("1.x"),
            semver_filter: None,
            tag: text("t"),
        };
        assert_eq!(
            Wanted::of(Some(&reference)),
            Wanted::Digest("sha256:x".into())
        );
        reference.digest = None;
        assert!(matches!(Wanted::of(Some(&reference)), Wanted::Range { .. }));
        reference.semver = text("");
        assert_eq!(Wanted::of(Some(&reference)), Wanted::Tag("t".into()));
        assert_eq!(Wanted::of(None), Wanted::Tag("latest".into()));
    }
}
