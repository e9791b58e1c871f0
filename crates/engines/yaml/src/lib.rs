//! The one YAML layer: reads as Go's libraries read, prints as they print, and keeps where
//! everything stood.
//!
//! Bytes go through [`Reader`] (or [`parse`]) into [`Node`] trees with spans; [`emit`] prints trees
//! and JSON in the two shapes Go programs print, [`to_json`] and [`from_json`] cross over to
//! `serde_json`.

mod compose;
pub mod edit;
pub mod emit;
mod error;
mod event;
mod go_syntax;
mod grammar;
mod input;
mod json;
mod limits;
mod mapping;
mod node;
pub mod number;
mod parse;
mod resolve;
mod scan;
mod span;
mod timestamp;

pub use error::{DuplicateKey, Error, ErrorKind};
pub use event::{Comment, Event, Located, Properties};
pub use json::{JsonError, from_json, through_json, to_json};
pub use limits::Limits;
pub use mapping::{Entry, Mapping};
pub use node::{Kind, Node, Scalar, Sequence, Style, Text, Value};
pub use parse::{Duplicates, Reader, parse};
pub use resolve::{Schema, implicit as resolve};
pub use span::{Position, Source, Span};
pub use timestamp::Timestamp;
