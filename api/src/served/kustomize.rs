//! Versions of `kustomize.toolkit.fluxcd.io`.

use super::{AGE, Difference, Kind, READY, STATUS, Version};

/// The kinds of this group.
pub(super) const KINDS: &[Kind] = &[KUSTOMIZATION];

const KUSTOMIZATION: Kind = Kind {
    group: "kustomize.toolkit.fluxcd.io",
    kind: "Kustomization",
    about: "Builds the manifests of a source with kustomize and keeps a cluster equal to them.",
    plural: "kustomizations",
    short_names: &["ks"],
    categories: &["all", "fluxcd", "fluxcd-appliers"],
    // Lets a Kustomization that fills in variables install the definitions unharmed.
    annotations: &[("kustomize.toolkit.fluxcd.io/substitute", "disabled")],
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
            differences: &[Difference(
                "spec.sourceRef.kind",
                r#"{"enum": ["OCIRepository", "GitRepository", "Bucket"]}"#,
            )],
        },
        Version {
            name: "v1beta1",
            columns: &[READY, STATUS, AGE],
            status_path: true,
            fresh_status: true,
            differences: &[
                Difference("spec.interval", r#"{"pattern": null}"#),
                Difference("spec.retryInterval", r#"{"pattern": null}"#),
                Difference(
                    "spec.sourceRef.kind",
                    r#"{"enum": ["GitRepository", "Bucket"]}"#,
                ),
                Difference("spec.timeout", r#"{"pattern": null}"#),
            ],
        },
    ],
};
