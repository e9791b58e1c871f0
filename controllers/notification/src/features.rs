//! The notification-controller's feature gates.
//!
//! Source: notification-controller v1.9.3 `internal/features`.

use runtime::features::Gate;

/// A Provider may name a service account whose cloud identity is used.
pub(crate) const WORKLOAD_IDENTITY: &str = "ObjectLevelWorkloadIdentity";
/// Changed Secrets do not wake Receivers.
pub(crate) const NO_CONFIG_WATCHERS: &str = "DisableConfigWatchers";

/// The gates that mean something here.
pub(crate) const GATES: &[Gate] = &[
    Gate {
        name: WORKLOAD_IDENTITY,
        default: false,
    },
    Gate {
        name: NO_CONFIG_WATCHERS,
        default: false,
    },
];

/// Gates of upstream whose effect this controller has anyway or does not need.
pub(crate) const WITHOUT_EFFECT: &[&str] = &["CacheSecretsAndConfigMaps"];
