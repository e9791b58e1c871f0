//! The two image controllers. `image-reflector-controller` lists the tags of images and chooses the newest by policy;
//! `image-automation-controller` writes what was chosen to Git.
//!
//! One module a kind; [`reflector`] joins the kinds of a process from its flags.

pub mod automation;
mod image_policy;
mod image_repository;
mod image_update_automation;
mod message;
pub mod policy;
#[cfg(test)]
mod random;
pub mod reflector;
mod setters;
pub mod tags;

use runtime::{
    Conduct, Summary,
    conduct::{Begin, Retry},
};

/// How the runs of all three kinds go.
pub(crate) const CONDUCT: Conduct = Conduct {
    owned: &[],
    summary: Summary::Explicit,
    retry: Retry::Exponential,
    closes_suspended: false,
    begin: Begin::AtOnce,
    plans_at_length: true,
    heeds_requests: true,
};
