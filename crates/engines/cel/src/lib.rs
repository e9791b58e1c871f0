//! CEL expressions over JSON values, in the environment that Flux gives them.
//!
//! The environment is the standard library with optionals, and the `strings`, `sets` and `encoders`
//! extensions. Expressions come from tenants: they are bounded before they run, first by their
//! text, then by what they could cost on the values at hand ([`Expression::evaluate_bool`]), so that
//! none needs to be stopped while it runs.
//!
//! Source: fluxcd/pkg `runtime/cel` (Flux 2.9), <https://github.com/google/cel-spec>.

mod bound;
mod environment;
mod expression;
pub mod health;
mod names;
mod stack;

pub use expression::{CompileError, EvaluateError, Expression};
