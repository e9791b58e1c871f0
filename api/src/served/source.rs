//! Versions of `source.toolkit.fluxcd.io`.

use super::{AGE, Column, Difference, Kind, READY, STATUS, Version};

/// The kinds of this group.
pub(super) const KINDS: &[Kind] = &[GIT_REPOSITORY];

const GROUP: &str = "source.toolkit.fluxcd.io";
const CATEGORIES: &[&str] = &["all", "fluxcd", "fluxcd-sources"];
const URL: Column = Column("URL", ".spec.url", "string");

/// v1beta1 wrote artifacts without digest, and revisions only where it knew one.
const REQUIRED_V1BETA1: &str = r#"{"required": ["lastUpdateTime", "path", "url"]}"#;
const ARTIFACT_V1BETA1: Difference = Difference("status.artifact", REQUIRED_V1BETA1);

const GIT_REPOSITORY: Kind = Kind {
    group: GROUP,
    kind: "GitRepository",
    about: "Publishes the files of one commit of a Git repository as an artifact.",
    plural: "gitrepositories",
    short_names: &["gitrepo"],
    categories: CATEGORIES,
    annotations: &[],
    versions: &[
        Version {
            name: "v1",
            columns: &[URL, AGE, READY, STATUS],
            status_path: true,
            fresh_status: true,
            differences: &[],
        },
        Version {
            name: "v1beta2",
            columns: &[URL, AGE, READY, STATUS],
            status_path: true,
            fresh_status: true,
            differences: &[
                Difference("spec.gitImplementation", r#"{"default": "go-git"}"#),
                Difference("spec.verify", r#"{"required": ["mode", "secretRef"]}"#),
                Difference("spec.verify.mode", r#"{"default": null, "enum": ["head"]}"#),
            ],
        },
        Version {
            name: "v1beta1",
            columns: &[URL, READY, STATUS, AGE],
            status_path: true,
            fresh_status: true,
            differences: &[
                Difference("spec.gitImplementation", r#"{"default": "go-git"}"#),
                Difference("spec.interval", r#"{"pattern": null}"#),
                Difference("spec.timeout", r#"{"pattern": null}"#),
                Difference("spec.verify", r#"{"required": ["mode"]}"#),
                Difference("spec.verify.mode", r#"{"default": null, "enum": ["head"]}"#),
                ARTIFACT_V1BETA1,
                Difference("status.includedArtifacts[]", REQUIRED_V1BETA1),
            ],
        },
    ],
};
