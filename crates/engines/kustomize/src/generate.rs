//! What comes into being during a build: the kustomization Flux writes where none exists, and the
//! objects of generators.

pub mod overlay;

pub use overlay::{Image, Injection, Patch, Selector, overlay};
