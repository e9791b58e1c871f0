//! Builds kustomizations: a file tree and options in, Kubernetes objects out, byte for byte what
//! kustomize 5.8.1 prints.
//!
//! The flow: [`build()`] loads the kustomization file, accumulates resources, bases, generators and
//! components, transforms what came together, and at the root adds hashes, follows names and
//! orders. Nothing here touches disk, network, clock or process: files come through [`FileTree`].

mod build;
mod error;
pub mod file_tree;
pub mod generate;
mod options;

pub use build::{Build, Resource, build};
pub use error::{Error, Fault, Place};
pub use file_tree::{FileTree, MemoryTree, OverlayTree, RecordingTree, TreeError};
pub use options::{
    Fetched, HelmChart, HelmInflator, Limits, LoadRestrictions, Options, Remote, RemoteSource,
    Reorder,
};
