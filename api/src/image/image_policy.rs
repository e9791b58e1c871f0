//! ImagePolicy: which tag of an image is the newest.

use serde::{Deserialize, Serialize};

use crate::meta::{Condition, Duration, NamespacedReference};

kind! {
    /// Chooses the newest tag of an image.
    ImagePolicy { group: "image.toolkit.fluxcd.io", version: "v1", plural: "imagepolicies" }
    ImagePolicySpec, ImagePolicyStatus
}

reconciled!(ImagePolicy, interval: |spec| spec.period());

/// Says which tags are looked at and which of them is the newest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("x-kubernetes-validations" = crate::schema::rules(&RULES))))]
#[serde(rename_all = "camelCase")]
pub struct ImagePolicySpec {
    /// ImageRepository that knows the tags.
    pub image_repository_ref: NamespacedReference,
    /// Which tag is the newest.
    pub policy: PolicyChoice,
    /// Which tags are looked at. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_tags: Option<TagFilter>,
    /// Whether the digest of the chosen tag is looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "Never")))]
    pub digest_reflection_policy: Option<DigestReflection>,
    /// How often to look the digest up, such as `10m`; only, and always, with `Always`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// Stops choosing while true; the last choice stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

#[cfg(feature = "schema")]
const RULES: [(&str, &str); 2] = [
    (
        "!has(self.interval) || (has(self.digestReflectionPolicy) && self.digestReflectionPolicy == 'Always')",
        "spec.interval is only accepted when spec.digestReflectionPolicy is set to 'Always'",
    ),
    (
        "has(self.interval) || !has(self.digestReflectionPolicy) || self.digestReflectionPolicy != 'Always'",
        "spec.interval must be set when spec.digestReflectionPolicy is set to 'Always'",
    ),
];

impl ImagePolicySpec {
    /// Returns how often the digest is looked up; `None` where it is not, or only for new tags.
    #[must_use]
    pub fn period(&self) -> Option<Duration> {
        match self.digest_reflection_policy {
            Some(DigestReflection::Always) => {
                let set = self.interval.filter(|interval| !interval.is_zero());
                Some(set.unwrap_or(Duration::from_seconds(600)))
            }
            _ => None,
        }
    }
}

/// Says which tag is the newest: by the first of these that is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PolicyChoice {
    /// The highest version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semver: Option<SemVer>,
    /// The last, or first, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alphabetical: Option<Alphabetical>,
    /// The highest, or lowest, number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numerical: Option<Numerical>,
}

/// Chooses by version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SemVer {
    /// Range of versions, such as `>=1.2.0 <2.0.0`.
    pub range: String,
}

/// Chooses by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Alphabetical {
    /// Which end is the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "asc")))]
    pub order: Option<Order>,
}

/// Chooses by number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Numerical {
    /// Which end is the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "asc")))]
    pub order: Option<Order>,
}

/// Which end of an order is the newest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The last: from old to new.
    #[default]
    Asc,
    /// The first: from new to old.
    Desc,
}

/// Says which tags are looked at, and which part of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TagFilter {
    /// Regular expression (Go syntax) that tags have to match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// What of the match is compared, such as `$ts`. Default: the whole tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extract: Option<String>,
}

/// Whether the digest of a tag is looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum DigestReflection {
    /// At every interval.
    Always,
    /// Once for every new tag.
    IfNotPresent,
    /// Never.
    #[default]
    Never,
}

/// Says which tag was chosen last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ImagePolicyStatus {
    /// Generation of the object that the last finished run acted on; -1 before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the object, one entry a type: `Ready`, `Reconciling`, `Stalled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::conditions")
    )]
    pub conditions: Vec<Condition>,
    /// Value of the last request annotation that was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Image that was chosen last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_ref: Option<ImageReference>,
    /// Image that was chosen before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_previous_ref: Option<ImageReference>,
    /// Image that was chosen last, as `<name>:<tag>`; `latestRef` takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_image: Option<String>,
    /// Image that was chosen before it, as `<name>:<tag>`; `observedPreviousRef` takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_previous_image: Option<String>,
}

/// Names an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ImageReference {
    /// Name, with the registry.
    pub name: String,
    /// Tag.
    pub tag: String,
    /// Digest, where it was looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl ImagePolicyStatus {
    /// Returns the image that was chosen last, whichever field it stands in.
    #[must_use]
    pub fn latest(&self) -> Option<ImageReference> {
        self.latest_ref
            .clone()
            .or_else(|| ImageReference::parse(self.latest_image.as_deref()?))
    }

    /// Returns the image that was chosen before, whichever field it stands in.
    #[must_use]
    pub fn previous(&self) -> Option<ImageReference> {
        let older = || ImageReference::parse(self.observed_previous_image.as_deref()?);
        self.observed_previous_ref.clone().or_else(older)
    }
}

impl ImageReference {
    /// Reads `<name>:<tag>`, with `@<digest>` where there is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (text, digest) = match text.split_once('@') {
            Some((text, digest)) => (text, Some(digest.to_owned())),
            None => (text, None),
        };
        // A colon before the last slash is of the registry's port.
        let (name, tag) = text
            .rsplit_once(':')
            .filter(|(_, tag)| !tag.contains('/'))?;
        (!name.is_empty() && !tag.is_empty()).then(|| Self {
            name: name.to_owned(),
            tag: tag.to_owned(),
            digest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_image_text_is_read() {
        let status = ImagePolicyStatus {
            latest_image: Some("localhost:5000/org/app:1.2.3".into()),
            observed_previous_image: Some("ghcr.io/app:1@sha256:ab".into()),
            ..ImagePolicyStatus::default()
        };
        let latest = status.latest().unwrap();
        assert_eq!(
            (&*latest.name, &*latest.tag),
            ("localhost:5000/org/app", "1.2.3")
        );
        let previous = status.previous().unwrap();
        assert_eq!(
            (&*previous.tag, previous.digest.as_deref()),
            ("1", Some("sha256:ab"))
        );
        for text in ["", "app", "localhost:5000/app", ":1", "app:"] {
            assert_eq!(ImageReference::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn only_always_has_a_period() {
        let spec = |policy, interval| ImagePolicySpec {
            digest_reflection_policy: policy,
            interval,
            ..ImagePolicySpec::default()
        };
        let minute = Some(Duration::from_seconds(60));
        assert_eq!(spec(None, minute).period(), None);
        assert_eq!(
            spec(Some(DigestReflection::IfNotPresent), minute).period(),
            None
        );
        assert_eq!(
            spec(Some(DigestReflection::Always), minute).period(),
            minute
        );
        let ten_minutes = Some(Duration::from_seconds(600));
        assert_eq!(
            spec(Some(DigestReflection::Always), None).period(),
            ten_minutes
        );
        assert_eq!(
            spec(Some(DigestReflection::Always), Some(Duration::ZERO)).period(),
            ten_minutes
        );
    }
}
