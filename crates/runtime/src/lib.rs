//! What every Lockgate controller shares: one reconcile skeleton, flags, logs, metrics, probes,
//! leader election, events and shutdown.
//!
//! A kind implements [`Reconciler`]: `gather` reads, `plan` decides (pure), `act` writes, `report`
//! says what became of it (pure), `cleanup` undoes it. [`drive`](drive::drive) alone owns the
//! finalizer, suspension, conditions, `observedGeneration`, `lastHandledReconcileAt`, the status
//! patch, events, requeues, metrics and spans. [`run`] puts kinds and servers into one process.

pub mod access;
mod agenda;
pub mod args;
pub mod client;
pub mod conditions;
pub mod conduct;
pub mod controller;
pub mod drive;
pub mod env;
pub mod events;
pub mod failure;
pub mod features;
mod handles;
pub mod leader;
pub mod memory;
pub mod metrics;
pub mod migrate;
pub mod probes;
pub mod progress;
pub mod reconciler;
pub mod redact;
pub mod report;
pub mod requeue;
pub mod run;
pub mod secrets;
pub mod shutdown;
pub mod status;
pub mod telemetry;
pub mod traces;
mod turns;
pub mod watch;

pub use conduct::{Conduct, Polarity, Summary};
pub use controller::{Kind, Triggers};
pub use events::{Note, Severity};
pub use failure::{Class, Failure};
pub use progress::{Parked, Progress};
pub use reconciler::{Moment, Next, Reconciler};
pub use report::{Change, Report, StatusPatch};
pub use run::{Server, run};
