//! The helm-controller's feature gates.
//!
//! Source: helm-controller v1.6.3 `internal/features`.

use runtime::features::Gate;

/// Sources of kind ExternalArtifact are allowed.
pub(crate) const EXTERNAL_ARTIFACT: &str = "ExternalArtifact";
/// The digest of an OCI artifact is no part of the chart's version.
pub(crate) const NO_CHART_DIGEST: &str = "DisableChartDigestTracking";
/// Where a dependency has an expression, the built-in check is made too.
pub(crate) const ADDITIVE_CEL: &str = "AdditiveCELDependencyCheck";
/// Objects are written, waited for and post-rendered as by Helm 3.
pub(crate) const HELM_3_DEFAULTS: &str = "UseHelm3Defaults";
/// Failed actions are tried again without being undone, where nothing else is said.
pub(crate) const RETRY_BY_DEFAULT: &str = "DefaultToRetryOnFailure";
/// The process ends in good order before its memory limit is reached.
pub(crate) const OOM_WATCH: &str = "OOMWatch";
/// ConfigMaps and Secrets are not watched.
pub(crate) const NO_CONFIG_WATCHES: &str = "DisableConfigWatchers";
/// Sources of other namespaces are used only as their `accessFrom` says. Not of upstream.
pub(crate) const ENFORCE_ACCESS_FROM: &str = runtime::access::ENFORCE_ACCESS_FROM;

const fn off(name: &'static str) -> Gate {
    Gate {
        name,
        default: false,
    }
}

/// The gates that mean something here.
pub(crate) const GATES: &[Gate] = &[
    off(EXTERNAL_ARTIFACT),
    off(NO_CHART_DIGEST),
    off(ADDITIVE_CEL),
    off(HELM_3_DEFAULTS),
    off(RETRY_BY_DEFAULT),
    off(NO_CONFIG_WATCHES),
    off(OOM_WATCH),
    off(::access::OBJECT_LEVEL),
    off(ENFORCE_ACCESS_FROM),
];

/// Gates of upstream whose effect this controller has anyway or does not need.
pub(crate) const WITHOUT_EFFECT: &[&str] = &[
    "CacheSecretsAndConfigMaps",
    "DetectDrift",
    "CorrectDrift",
    "AllowDNSLookups",
    "AdoptLegacyReleases",
    "DirectSourceFetch",
    "CancelHealthCheckOnNewRevision",
];
