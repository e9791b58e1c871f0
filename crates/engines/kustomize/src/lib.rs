//! Builds kustomizations: a file tree and options in, Kubernetes objects out, byte for byte what
//! kustomize 5.8.1 prints.
//!
//! The flow: [`build()`] loads the kustomization file (`load`, `kustomization`), accumulates
//! resources, bases, generators and components (`accumulate`, `read`, `generate`), transforms what
//! came together (`transform`), and at the root adds hashes, follows names and orders (`build`,
//! `order`). Nothing here touches disk, network, clock or process: files come through [`FileTree`].

mod accumulate;
mod build;
mod config;
mod error;
mod field_spec;
pub mod file_tree;
pub mod generate;
mod id;
mod kustomization;
mod load;
mod options;
mod order;
mod origin;
mod parallel;
mod path;
mod read;
mod remote;
mod res_map;
mod resource;
mod schema;
mod selector;
mod transform;
mod tree;

pub use build::{Build, Resource, Trees, build, build_trees};
pub use error::{Error, Fault, Place};
pub use file_tree::{FileTree, MemoryTree, OverlayTree, RecordingTree, TreeError};
pub use options::{
    Fetched, HelmChart, HelmInflator, Limits, LoadRestrictions, Options, Remote, RemoteSource,
    Reorder,
};
