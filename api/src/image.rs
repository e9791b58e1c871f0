//! `image.toolkit.fluxcd.io`: from new image tags to commits.

pub use self::{
    image_policy::{
        Alphabetical, DigestReflection, ImagePolicy, ImagePolicySpec, ImagePolicyStatus,
        ImageReference, Numerical, Order, PolicyChoice, SemVer, TagFilter,
    },
    image_repository::{ImageRepository, ImageRepositorySpec, ImageRepositoryStatus, ScanResult},
    image_update_automation::{
        Author, AutomationSourceKind, AutomationSourceReference, Checkout, Commit, GitSettings,
        ImageUpdateAutomation, ImageUpdateAutomationSpec, ImageUpdateAutomationStatus, PullRequest,
        PullRequestProvider, Push, SigningKey, SigningKeyKind, Update, UpdateStrategy,
    },
};

mod image_policy;
mod image_repository;
mod image_update_automation;
