//! Semantic versions and version constraints as `Masterminds/semver` v3.5 reads them.
//!
//! Charts, chart repositories, OCI tags and image policies all speak this dialect: lenient
//! versions (`v1.2`), partial constraints (`>1`, `1.x`), and prereleases that only match where a
//! constraint of the same group names one.
//!
//! Source: <https://github.com/Masterminds/semver/tree/v3.5.0>

mod constraint;
mod version;

pub use constraint::{Constraint, ConstraintError};
pub use version::{Version, VersionError};
