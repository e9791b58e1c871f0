//! Well-known annotation, label and finalizer keys.
//!
//! Source: spec URL <https://fluxcd.io/flux/components/kustomize/kustomizations/> and fluxcd/pkg `apis/meta` 1.x.

/// Annotation that asks for a run now; any new value counts as a new request.
pub const RECONCILE_REQUEST: &str = "reconcile.fluxcd.io/requestedAt";

/// Annotation that asks a HelmRelease for one forced upgrade; acts when equal to [`RECONCILE_REQUEST`].
pub const FORCE_REQUEST: &str = "reconcile.fluxcd.io/forceAt";

/// Annotation that resets a HelmRelease's failure counts; acts when equal to [`RECONCILE_REQUEST`].
pub const RESET_REQUEST: &str = "reconcile.fluxcd.io/resetAt";

/// Label that makes a change of a Secret or ConfigMap start a run of what refers to it.
pub const WATCH_LABEL: &str = "reconcile.fluxcd.io/watch";

/// Value of [`WATCH_LABEL`] that turns the watch on; compared exactly.
pub const WATCH_ENABLED: &str = "Enabled";

/// Finalizer that every reconciled kind carries.
pub const FINALIZER: &str = "finalizers.fluxcd.io";

/// Label that gives an object to one controller shard.
pub const SHARD_LABEL: &str = "sharding.fluxcd.io/key";

/// Prefix of annotations that are copied into the metadata of an object's events.
pub const EVENT_PREFIX: &str = "event.toolkit.fluxcd.io/";

/// Artifact metadata key that names the revision of what the artifact was made from.
pub const ORIGIN_REVISION: &str = "org.opencontainers.image.revision";

/// Keys that a Kustomization leaves on, or reads from, the objects that it applies.
pub mod kustomize {
    /// Label with the name of the Kustomization that applied the object.
    pub const NAME: &str = "kustomize.toolkit.fluxcd.io/name";
    /// Label with the namespace of the Kustomization that applied the object.
    pub const NAMESPACE: &str = "kustomize.toolkit.fluxcd.io/namespace";
    /// `disabled` leaves the object alone: neither applied nor pruned.
    pub const RECONCILE: &str = "kustomize.toolkit.fluxcd.io/reconcile";
    /// How the object is applied: `Override`, `Merge`, `IfNotPresent` or `Ignore`.
    pub const SSA: &str = "kustomize.toolkit.fluxcd.io/ssa";
    /// `enabled` recreates the object when an immutable field changed.
    pub const FORCE: &str = "kustomize.toolkit.fluxcd.io/force";
    /// `disabled` on the live object keeps it from being deleted.
    pub const PRUNE: &str = "kustomize.toolkit.fluxcd.io/prune";
    /// `disabled` leaves variables in the object alone.
    pub const SUBSTITUTE: &str = "kustomize.toolkit.fluxcd.io/substitute";
    /// `disabled` leaves an encrypted object encrypted.
    pub const DECRYPT: &str = "kustomize.toolkit.fluxcd.io/decrypt";
}

/// Keys that a HelmRelease leaves on, or reads from, the objects of its release.
pub mod helm {
    /// Label with the name of the HelmRelease that the object belongs to.
    pub const NAME: &str = "helm.toolkit.fluxcd.io/name";
    /// Label with the namespace of the HelmRelease that the object belongs to.
    pub const NAMESPACE: &str = "helm.toolkit.fluxcd.io/namespace";
    /// `disabled` leaves the object out of drift detection.
    pub const DRIFT_DETECTION: &str = "helm.toolkit.fluxcd.io/driftDetection";
}
