//! Versions of `notification.toolkit.fluxcd.io`.

use super::{AGE, Difference, Kind, READY, STATUS, Version};

/// The kinds of this group.
pub(super) const KINDS: &[Kind] = &[ALERT, PROVIDER, RECEIVER];

const GROUP: &str = "notification.toolkit.fluxcd.io";
const CATEGORIES: &[&str] = &["all", "fluxcd", "fluxcd-notifications"];

/// Lets a Kustomization that fills in variables install the definitions unharmed.
const ANNOTATIONS: &[(&str, &str)] = &[("kustomize.toolkit.fluxcd.io/substitute", "disabled")];

const KINDS_V1BETA1: &str = r#"{"enum": [
    "Bucket", "GitRepository", "Kustomization", "HelmRelease", "HelmChart", "HelmRepository", "ImageRepository",
    "ImagePolicy", "ImageUpdateAutomation", "OCIRepository"
]}"#;
const LENGTH_V1BETA1: &str = r#"{"maxLength": 53}"#;
const UNLIMITED: &str = r#"{"maxLength": null}"#;
const ADDRESS_V1BETA1: &str = r#"{"maxLength": null, "pattern": "^(http|https)://"}"#;
const PROVIDERS_V1BETA2: &str = r#"{"enum": [
    "slack", "discord", "msteams", "rocket", "generic", "generic-hmac", "github", "gitlab", "gitea", "bitbucketserver",
    "bitbucket", "azuredevops", "googlechat", "googlepubsub", "webex", "sentry", "azureeventhub", "telegram", "lark",
    "matrix", "opsgenie", "alertmanager", "grafana", "githubdispatch", "pagerduty", "datadog"
]}"#;
const PROVIDERS_V1BETA1: &str = r#"{"enum": [
    "slack", "discord", "msteams", "rocket", "generic", "generic-hmac", "github", "gitlab", "bitbucket", "azuredevops",
    "googlechat", "webex", "sentry", "azureeventhub", "telegram", "lark", "matrix", "opsgenie", "alertmanager", "grafana",
    "githubdispatch"
]}"#;
const RECEIVERS_V1BETA: &str = r#"{"enum": [
    "generic", "generic-hmac", "github", "gitlab", "bitbucket", "harbor", "dockerhub", "quay", "gcr", "nexus", "acr"
]}"#;
const RECEIVER_REQUIRED: &str = r#"{"required": ["resources", "secretRef", "type"]}"#;

// v1beta1 and v1beta2 have neither status default nor columns of the status: nothing writes the status of an Alert or
// Provider any more, and a generation of -1 would have everything that waits for the object wait for ever.
const ALERT: Kind = Kind {
    group: GROUP,
    kind: "Alert",
    about: "Sends events of some objects to a provider.",
    plural: "alerts",
    short_names: &[],
    categories: CATEGORIES,
    annotations: ANNOTATIONS,
    versions: &[
        Version {
            name: "v1beta3",
            columns: &[AGE],
            status_path: false,
            fresh_status: false,
            differences: &[],
        },
        Version {
            name: "v1beta2",
            columns: &[AGE],
            status_path: true,
            fresh_status: false,
            differences: &[],
        },
        Version {
            name: "v1beta1",
            columns: &[AGE],
            status_path: true,
            fresh_status: false,
            differences: &[
                Difference("spec.eventSources[].kind", KINDS_V1BETA1),
                Difference("spec.eventSources[].name", LENGTH_V1BETA1),
                Difference("spec.eventSources[].namespace", LENGTH_V1BETA1),
                Difference("spec.summary", UNLIMITED),
            ],
        },
    ],
};

const PROVIDER: Kind = Kind {
    group: GROUP,
    kind: "Provider",
    about: "Describes a service that events are sent to, and how to log in to it.",
    plural: "providers",
    short_names: &[],
    categories: CATEGORIES,
    annotations: ANNOTATIONS,
    versions: &[
        Version {
            name: "v1beta3",
            columns: &[AGE],
            status_path: true,
            fresh_status: false,
            differences: &[],
        },
        Version {
            name: "v1beta2",
            columns: &[AGE],
            status_path: true,
            fresh_status: false,
            differences: &[Difference("spec.type", PROVIDERS_V1BETA2)],
        },
        Version {
            name: "v1beta1",
            columns: &[AGE],
            status_path: true,
            fresh_status: false,
            differences: &[
                Difference("spec.address", ADDRESS_V1BETA1),
                Difference("spec.channel", UNLIMITED),
                Difference("spec.proxy", ADDRESS_V1BETA1),
                Difference("spec.type", PROVIDERS_V1BETA1),
                Difference("spec.username", UNLIMITED),
            ],
        },
    ],
};

const RECEIVER: Kind = Kind {
    group: GROUP,
    kind: "Receiver",
    about: "Listens for webhooks and asks objects for a run when one comes.",
    plural: "receivers",
    short_names: &[],
    categories: CATEGORIES,
    annotations: ANNOTATIONS,
    versions: &[
        Version {
            name: "v1",
            columns: &[AGE, READY, STATUS],
            status_path: true,
            fresh_status: true,
            differences: &[],
        },
        Version {
            name: "v1beta2",
            columns: &[AGE, READY, STATUS],
            status_path: true,
            fresh_status: true,
            differences: &[
                Difference("spec", RECEIVER_REQUIRED),
                Difference("spec.interval", r#"{"default": null}"#),
                Difference("spec.type", RECEIVERS_V1BETA),
            ],
        },
        Version {
            name: "v1beta1",
            columns: &[AGE, READY, STATUS],
            status_path: true,
            fresh_status: true,
            differences: &[
                Difference("spec", RECEIVER_REQUIRED),
                Difference("spec.resources[].kind", KINDS_V1BETA1),
                Difference("spec.resources[].name", LENGTH_V1BETA1),
                Difference("spec.resources[].namespace", LENGTH_V1BETA1),
                Difference("spec.type", RECEIVERS_V1BETA),
            ],
        },
    ],
};
