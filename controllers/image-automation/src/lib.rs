//! The two image controllers. `image-reflector-controller` lists the tags of images and chooses the newest by policy;
//! `image-automation-controller` writes what was chosen to Git.
//!
//! One module a kind; [`reflector`] joins the kinds of a process from its flags.

mod image_policy;
mod image_repository;
pub mod policy;
pub mod reflector;
pub mod tags;
