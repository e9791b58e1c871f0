//! Go's `text/template` with sprig's functions.
//!
//! A [`Templates`] set is parsed from texts and executed with a [`Value`]; a [`Shared`] holds the
//! function table, the clock, the randomness and the budgets of one rendering. The functions of
//! Helm itself are added by the `helm` engine.

mod ast;
mod engine;
mod error;
mod exec;
pub mod funcs;
mod lex;
mod parse;
mod random;
mod text;
pub mod value;

pub use engine::{Call, Limits, MissingKey, Shared, Template, Templates};
pub use error::{Fault, FaultKind};
pub use random::Random;
pub use text::Str;
pub use value::{List, Map, Value};
