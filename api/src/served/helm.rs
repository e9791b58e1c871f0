//! Versions of `helm.toolkit.fluxcd.io`.

use super::{AGE, Difference, Kind, READY, STATUS, Version};

/// The kinds of this group.
pub(super) const KINDS: &[Kind] = &[HELM_RELEASE];

const GROUP: &str = "helm.toolkit.fluxcd.io";
const CATEGORIES: &[&str] = &["all", "fluxcd", "fluxcd-appliers"];

/// Lets a Kustomization that fills in variables install the definitions unharmed.
const ANNOTATIONS: &[(&str, &str)] = &[("kustomize.toolkit.fluxcd.io/substitute", "disabled")];

const UNLIMITED: &str = r#"{"maxLength": null, "minLength": null}"#;

const HELM_RELEASE: Kind = Kind {
    group: GROUP,
    kind: "HelmRelease",
    about: "Installs a Helm chart, upgrades it, and keeps its objects as the chart has them.",
    plural: "helmreleases",
    short_names: &["hr"],
    categories: CATEGORIES,
    annotations: ANNOTATIONS,
    versions: &[
        Version {
            name: "v2",
            columns: &[AGE, READY, STATUS],
            status_path: true,
            fresh_status: true,
            differences: &[],
        },
        Version {
            name: "v2beta2",
            columns: &[AGE, READY, STATUS],
            status_path: true,
            fresh_status: true,
            differences: &[Difference(
                "spec.chartRef.kind",
                r#"{"enum": ["OCIRepository", "HelmChart"]}"#,
            )],
        },
        Version {
            name: "v2beta1",
            columns: &[AGE, READY, STATUS],
            status_path: true,
            fresh_status: true,
            differences: &[
                Difference(
                    "spec",
                    r#"{"required": ["chart", "interval"], "x-kubernetes-validations": null}"#,
                ),
                Difference("spec.chart.spec.chart", UNLIMITED),
                Difference("spec.chart.spec.verify.provider", r#"{"enum": ["cosign"]}"#),
                Difference(
                    "spec.chartRef.kind",
                    r#"{"enum": ["OCIRepository", "HelmChart"]}"#,
                ),
                Difference("spec.serviceAccountName", UNLIMITED),
                Difference("status.lastAttemptedReleaseAction", r#"{"enum": null}"#),
                Difference("status.storageNamespace", UNLIMITED),
            ],
        },
    ],
};
