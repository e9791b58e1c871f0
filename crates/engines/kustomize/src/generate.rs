//! What comes into being during a build: the kustomization Flux writes where none exists, and the
//! objects of generators.

pub(crate) mod hash;
pub(crate) mod iam_policy;
pub(crate) mod map;
mod overlay;
mod sources;

pub use overlay::{Image, Injection, Patch, Selector, overlay};
