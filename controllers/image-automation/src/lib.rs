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
pub mod reflector;
mod setters;
pub mod tags;
