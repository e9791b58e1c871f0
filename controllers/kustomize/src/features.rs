//! The kustomize-controller's feature gates.
//!
//! Source: kustomize-controller v1.9.4 `internal/features`.

use runtime::features::Gate;

/// Unset variables without a default are errors.
pub(crate) const STRICT_SUBSTITUTION: &str = "StrictPostBuildSubstitutions";
/// Sources of kind ExternalArtifact are allowed.
pub(crate) const EXTERNAL_ARTIFACT: &str = "ExternalArtifact";
/// A failed object does not end a health check early.
pub(crate) const NO_FAIL_FAST: &str = "DisableFailFastBehavior";

/// An expression adds to the built-in check of a dependency instead of taking its place.
pub(crate) const ADDITIVE_CHECK: &str = "AdditiveCELDependencyCheck";

/// Fields that the API server does not know fail an apply instead of being left out.
pub(crate) const STRICT_FIELDS: &str = "StrictFields";
/// Managed fields are moved to the API version that is applied.
pub(crate) const MIGRATE_API_VERSION: &str = "MigrateAPIVersion";

/// Sources of other namespaces are used only as their `accessFrom` says. Not of upstream.
pub(crate) const ENFORCE_ACCESS_FROM: &str = runtime::access::ENFORCE_ACCESS_FROM;

/// Kustomizations may name service accounts to log in to other services as.
pub(crate) const OBJECT_IDENTITY: &str = "ObjectLevelWorkloadIdentity";

/// The gates that mean something here.
pub(crate) const GATES: &[Gate] = &[
    Gate {
        name: STRICT_SUBSTITUTION,
        default: true,
    },
    Gate {
        name: EXTERNAL_ARTIFACT,
        default: false,
    },
    Gate {
        name: NO_FAIL_FAST,
        default: false,
    },
    Gate {
        name: STRICT_FIELDS,
        default: false,
    },
    Gate {
        name: MIGRATE_API_VERSION,
        default: false,
    },
    Gate {
        name: ADDITIVE_CHECK,
        default: false,
    },
    Gate {
        name: OBJECT_IDENTITY,
        default: false,
    },
    Gate {
        name: ENFORCE_ACCESS_FROM,
        default: false,
    },
];

/// Gates of upstream whose effect this controller has anyway or does not need.
pub(crate) const WITHOUT_EFFECT: &[&str] = &[
    "CacheSecretsAndConfigMaps",
    "DisableStatusPollerCache",
    "GroupChangeLog",
    "CancelHealthCheckOnNewRevision",
    "DisableConfigWatchers",
    "DirectSourceFetch",
];
