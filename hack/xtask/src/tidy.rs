//! `cargo xtask tidy`: rules that no compiler checks.
//!
//! Each check returns what is wrong as lines of text; all are run before the task fails.

mod dependencies;
mod layers;
mod links;
mod metadata;
mod reasons;
mod sources;

use anyhow::{Result, bail};

use crate::repository;

/// Runs all checks.
///
/// # Errors
/// When one finds something, with all that was found.
pub(crate) fn run() -> Result<()> {
    let metadata = metadata::load()?;
    let files = repository::text_files()?;
    let mut faults = layers::check(&metadata);
    faults.extend(dependencies::check(&metadata));
    faults.extend(sources::check(&files));
    faults.extend(links::check(&files));
    faults.extend(reasons::check(&files));
    if !faults.is_empty() {
        bail!(
            "{} things are not tidy:\n  {}",
            faults.len(),
            faults.join("\n  ")
        );
    }
    Ok(())
}
