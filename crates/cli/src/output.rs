//! What commands print for programs.

use anyhow::{Context as _, Result};
use serde::Serialize;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// Prints for a program; as JSON where the format is for people.
pub(crate) fn print<T: Serialize + ?Sized>(format: Format, what: &T) -> Result<String> {
    let json = serde_json::to_value(what).context("writing the answer")?;
    if format == Format::Yaml {
        return yaml::emit::v2(&yaml::from_json(&json)).context("writing the answer");
    }
    let text = serde_json::to_string_pretty(&json).context("writing the answer")?;
    Ok(text + "\n")
}
