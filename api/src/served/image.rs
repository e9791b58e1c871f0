//! Versions of `image.toolkit.fluxcd.io`.

use super::{AGE, Column, Difference, Kind, READY, STATUS, Version};

/// The kinds of this group.
pub(super) const KINDS: &[Kind] = &[IMAGE_POLICY, IMAGE_REPOSITORY, IMAGE_UPDATE_AUTOMATION];

const IMAGE: Column = Column::new("Image", ".spec.image");
const TAGS: Column = Column::new("Tags", ".status.lastScanResult.tagCount");
const LAST_SCAN: Column = Column::wide("Last scan", ".status.lastScanResult.scanTime");
const LATEST_IMAGE: Column = Column::new("Image", ".status.latestRef.name");
const LATEST_TAG: Column = Column::new("Tag", ".status.latestRef.tag");
const LAST_RUN: Column = Column::wide("Last run", ".status.lastAutomationRunTime");
const GROUP: &str = "image.toolkit.fluxcd.io";
const CATEGORIES: &[&str] = &["all", "fluxcd", "fluxcd-images"];

const IMAGE_POLICY: Kind = Kind {
    group: GROUP,
    kind: "ImagePolicy",
    about: "Chooses the newest tag of an image.",
    plural: "imagepolicies",
    short_names: &["imgpol", "imagepol"],
    categories: CATEGORIES,
    annotations: &[],
    versions: &[
        Version {
            name: "v1",
            columns: &[LATEST_IMAGE, LATEST_TAG, READY, STATUS, AGE],
            status_path: true,
            fresh_status: true,
            differences: &[],
        },
        Version {
            name: "v1beta2",
            columns: &[LATEST_IMAGE, LATEST_TAG, READY, STATUS, AGE],
            status_path: true,
            fresh_status: true,
            differences: &[],
        },
        Version {
            name: "v1beta1",
            columns: &[Column::new("LatestImage", ".status.latestImage")],
            status_path: true,
            fresh_status: true,
            differences: &[],
        },
    ],
};

const IMAGE_REPOSITORY: Kind = Kind {
    group: GROUP,
    kind: "ImageRepository",
    about: "Looks up the tags of an image in its registry.",
    plural: "imagerepositories",
    short_names: &["imgrepo", "imagerepo"],
    categories: CATEGORIES,
    annotations: &[],
    versions: &[
        Version {
            name: "v1",
            columns: &[IMAGE, TAGS, READY, STATUS, LAST_SCAN, AGE],
            status_path: true,
            fresh_status: true,
            differences: &[],
        },
        Version {
            name: "v1beta2",
            columns: &[IMAGE, TAGS, READY, STATUS, LAST_SCAN, AGE],
            status_path: true,
            fresh_status: true,
            differences: &[],
        },
        Version {
            name: "v1beta1",
            columns: &[
                Column {
                    wide: false,
                    ..LAST_SCAN
                },
                TAGS,
            ],
            status_path: true,
            fresh_status: true,
            differences: &[Difference(
                "spec.exclusionList",
                r#"{"default": null, "maxItems": null}"#,
            )],
        },
    ],
};

const IMAGE_UPDATE_AUTOMATION: Kind = Kind {
    group: GROUP,
    kind: "ImageUpdateAutomation",
    about: "Writes the tags that ImagePolicies choose into files of a Git repository and pushes a commit.",
    plural: "imageupdateautomations",
    short_names: &["iua", "imgupd", "imgauto"],
    categories: CATEGORIES,
    annotations: &[("kustomize.toolkit.fluxcd.io/substitute", "disabled")],
    versions: &[
        Version {
            name: "v1",
            columns: &[READY, STATUS, LAST_RUN, AGE],
            status_path: true,
            fresh_status: true,
            differences: &[],
        },
        Version {
            name: "v1beta2",
            columns: &[READY, STATUS, LAST_RUN, AGE],
            status_path: true,
            fresh_status: true,
            differences: &[],
        },
        Version {
            name: "v1beta1",
            columns: &[Column {
                wide: false,
                ..LAST_RUN
            }],
            status_path: true,
            fresh_status: true,
            differences: &[
                // Manifests of this version often leave the interval to the controller; what is stored has to have one.
                Difference("spec.interval", r#"{"default": "10m"}"#),
                Difference("spec.update", r#"{"required": ["strategy"]}"#),
            ],
        },
    ],
};
