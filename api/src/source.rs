//! `source.toolkit.fluxcd.io`: where manifests and charts come from.

pub use self::git_repository::{
    GitImplementation, GitProvider, GitReference, GitRepository, GitRepositorySpec,
    GitRepositoryStatus, GitVerification, GitVerificationMode, Include,
};

mod git_repository;
