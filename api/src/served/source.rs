//! Versions of `source.toolkit.fluxcd.io`.

use super::{AGE, Column, Difference, Kind, READY, STATUS, Version};

/// The kinds of this group.
pub(super) const KINDS: &[Kind] = &[
    BUCKET,
    EXTERNAL_ARTIFACT,
    GIT_REPOSITORY,
    HELM_CHART,
    HELM_REPOSITORY,
    OCI_REPOSITORY,
];

const GROUP: &str = "source.toolkit.fluxcd.io";
const CATEGORIES: &[&str] = &["all", "fluxcd", "fluxcd-sources"];
const ENDPOINT: Column = Column::new("Endpoint", ".spec.endpoint");
const CHART: Column = Column::new("Chart", ".spec.chart");
const VERSION: Column = Column::new("Version", ".spec.version");
const SOURCE_KIND: Column = Column::new("Source Kind", ".spec.sourceRef.kind");
const SOURCE_NAME: Column = Column::new("Source Name", ".spec.sourceRef.name");
const URL: Column = Column::new("URL", ".spec.url");

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

const BUCKET: Kind = Kind {
    group: GROUP,
    kind: "Bucket",
    about: "Publishes the objects of a bucket as an artifact.",
    plural: "buckets",
    short_names: &[],
    categories: CATEGORIES,
    annotations: &[],
    versions: &[
        Version {
            name: "v1",
            columns: &[ENDPOINT, AGE, READY, STATUS],
            status_path: true,
            fresh_status: true,
            differences: &[],
        },
        Version {
            name: "v1beta2",
            columns: &[ENDPOINT, AGE, READY, STATUS],
            status_path: true,
            fresh_status: true,
            differences: &[],
        },
        Version {
            name: "v1beta1",
            columns: &[ENDPOINT, READY, STATUS, AGE],
            status_path: true,
            fresh_status: true,
            differences: &[
                Difference("spec.interval", r#"{"pattern": null}"#),
                Difference("spec.provider", r#"{"enum": ["generic", "aws", "gcp"]}"#),
                Difference("spec.timeout", r#"{"pattern": null}"#),
                ARTIFACT_V1BETA1,
            ],
        },
    ],
};

const EXTERNAL_ARTIFACT: Kind = Kind {
    group: GROUP,
    kind: "ExternalArtifact",
    about: "Holds an artifact that a controller outside of the toolkit makes and serves.",
    plural: "externalartifacts",
    short_names: &["ea"],
    categories: CATEGORIES,
    annotations: &[],
    versions: &[Version {
        name: "v1",
        columns: &[
            AGE,
            READY,
            STATUS,
            Column::new("Source", ".spec.sourceRef.name"),
        ],
        status_path: true,
        fresh_status: false,
        differences: &[],
    }],
};

const HELM_CHART: Kind = Kind {
    group: GROUP,
    kind: "HelmChart",
    about: "Publishes a chart of a Helm repository, a Git repository or a bucket as an artifact.",
    plural: "helmcharts",
    short_names: &["hc"],
    categories: CATEGORIES,
    annotations: &[],
    versions: &[
        Version {
            name: "v1",
            columns: &[CHART, VERSION, SOURCE_KIND, SOURCE_NAME, AGE, READY, STATUS],
            status_path: true,
            fresh_status: true,
            differences: &[],
        },
        Version {
            name: "v1beta2",
            columns: &[CHART, VERSION, SOURCE_KIND, SOURCE_NAME, AGE, READY, STATUS],
            status_path: true,
            fresh_status: true,
            differences: &[Difference("spec", r#"{"x-kubernetes-validations": null}"#)],
        },
        Version {
            name: "v1beta1",
            columns: &[CHART, VERSION, SOURCE_KIND, SOURCE_NAME, READY, STATUS, AGE],
            status_path: true,
            fresh_status: true,
            differences: &[
                Difference("spec.interval", r#"{"pattern": null}"#),
                ARTIFACT_V1BETA1,
            ],
        },
    ],
};

const HELM_REPOSITORY: Kind = Kind {
    group: GROUP,
    kind: "HelmRepository",
    about: "Publishes the index of a Helm repository, or names an OCI registry with charts.",
    plural: "helmrepositories",
    short_names: &["helmrepo"],
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
            differences: &[],
        },
        Version {
            name: "v1beta1",
            columns: &[URL, READY, STATUS, AGE],
            status_path: true,
            fresh_status: true,
            differences: &[
                Difference("spec", r#"{"required": ["interval", "url"]}"#),
                Difference("spec.interval", r#"{"pattern": null}"#),
                Difference("spec.timeout", r#"{"default": "60s", "pattern": null}"#),
                Difference("spec.url", r#"{"pattern": null}"#),
                ARTIFACT_V1BETA1,
            ],
        },
    ],
};

const OCI_REPOSITORY: Kind = Kind {
    group: GROUP,
    kind: "OCIRepository",
    about: "Publishes a layer of an image of an OCI registry as an artifact.",
    plural: "ocirepositories",
    short_names: &["ocirepo"],
    categories: CATEGORIES,
    annotations: &[],
    versions: &[
        Version {
            name: "v1",
            columns: &[URL, READY, STATUS, AGE],
            status_path: true,
            fresh_status: true,
            differences: &[],
        },
        Version {
            name: "v1beta2",
            columns: &[URL, READY, STATUS, AGE],
            status_path: true,
            fresh_status: true,
            differences: &[],
        },
    ],
};
