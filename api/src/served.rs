//! Which kinds are served, in which versions, and what differs between the versions of a kind.
//!
//! All versions of a kind have the same properties, those of its Rust type. What differs is data: required fields,
//! defaults, allowed values, columns. The newest version is the one that is stored.

mod helm;
mod image;
mod kustomize;
mod notification;
mod source;

/// Describes one kind and its versions.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// API group.
    pub group: &'static str,
    /// Name of the kind.
    pub kind: &'static str,
    /// What an object of this kind does, in one sentence.
    pub about: &'static str,
    /// Name of the kind in paths, in plural.
    pub plural: &'static str,
    /// Short names for `kubectl`.
    pub short_names: &'static [&'static str],
    /// Categories for `kubectl get <category>`.
    pub categories: &'static [&'static str],
    /// Annotations of the definition itself.
    pub annotations: &'static [(&'static str, &'static str)],
    /// Served versions, the newest first.
    pub versions: &'static [Version],
}

/// Describes one served version of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Version {
    /// Name of the version.
    pub name: &'static str,
    /// Columns of `kubectl get`.
    pub columns: &'static [Column],
    /// Whether the status is written through a path of its own.
    pub status_path: bool,
    /// Whether a new object starts with `status.observedGeneration: -1`.
    pub fresh_status: bool,
    /// What the schema of this version has otherwise than the newest.
    pub differences: &'static [Difference],
}

/// A column of `kubectl get`.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Name of the column.
    pub name: &'static str,
    /// Where its value is.
    pub path: &'static str,
    /// Type of the value.
    pub kind: &'static str,
    /// Whether it is shown only with `-o wide`.
    pub wide: bool,
}

impl Column {
    const fn new(name: &'static str, path: &'static str) -> Self {
        Self {
            name,
            path,
            kind: "string",
            wide: false,
        }
    }

    const fn wide(name: &'static str, path: &'static str) -> Self {
        Self {
            name,
            path,
            kind: "string",
            wide: true,
        }
    }
}

/// A part of a schema (`spec.include[].toPath`; `[]` for entries of a list) and the JSON merge patch that changes it.
#[derive(Clone, Copy, Debug)]
pub struct Difference(pub &'static str, pub &'static str);

impl Kind {
    /// Returns the version that is stored.
    #[must_use]
    pub const fn storage(&self) -> &'static Version {
        &self.versions[0]
    }

    /// Returns the name of the definition: `<plural>.<group>`.
    #[must_use]
    pub fn definition_name(&self) -> String {
        format!("{}.{}", self.plural, self.group)
    }

    /// Returns the warning that the API server gives for a version; `None` for the newest.
    #[must_use]
    pub fn deprecation(&self, version: &Version) -> Option<String> {
        let (kind, newest) = (self.kind, self.storage().name);
        (version.name != newest)
            .then(|| format!("{} {kind} is deprecated, upgrade to {newest}", version.name))
    }
}

/// Returns every kind that is served, by group and then by name.
pub fn kinds() -> impl Iterator<Item = &'static Kind> {
    [
        helm::KINDS,
        image::KINDS,
        kustomize::KINDS,
        notification::KINDS,
        source::KINDS,
    ]
    .into_iter()
    .flatten()
}

const AGE: Column = Column {
    name: "Age",
    path: ".metadata.creationTimestamp",
    kind: "date",
    wide: false,
};
const READY: Column = Column::new("Ready", r#".status.conditions[?(@.type=="Ready")].status"#);
const STATUS: Column = Column::new(
    "Status",
    r#".status.conditions[?(@.type=="Ready")].message"#,
);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_is_listed_once() {
        let names: BTreeSet<_> = kinds().map(Kind::definition_name).collect();
        assert_eq!(names.len(), kinds().count());
    }

    #[test]
    fn the_newest_version_differs_in_nothing() {
        for kind in kinds() {
            assert!(kind.storage().differences.is_empty(), "{}", kind.kind);
            assert_eq!(kind.deprecation(kind.storage()), None);
        }
    }
}
