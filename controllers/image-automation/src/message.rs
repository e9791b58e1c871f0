//! The message of a commit, from a template. Pure.
//!
//! Templates see the data of today's API (`.Changed`) and of the one before it (`.Updated`), which users' manifests of
//! `v1beta1` are written for.
//!
//! Source: fluxcd/image-automation-controller v1.2 `internal/source/template.go`, v0.41 `pkg/update/result.go`.

mod data;

use std::rc::Rc;

use gotemplate::{Limits, Random, Shared, Templates, funcs::Functions};

pub(crate) use data::Facts;

/// What a commit says where no template does.
const DEFAULT: &str = "Update from image update automation";
const NAME: &str = "commit message";
/// Functions whose answer would not be the same twice, or that look beyond the template.
const REMOVED: &[&str] = &[
    "date",
    "date_in_zone",
    "date_modify",
    "now",
    "htmlDate",
    "htmlDateInZone",
    "dateInZone",
    "dateModify",
    "randAlphaNum",
    "randAlpha",
    "randAscii",
    "randNumeric",
    "randBytes",
    "uuidv4",
    "env",
    "expandenv",
    "getHostByName",
];
/// A message has no more steps and bytes than these.
const LIMITS: Limits = Limits {
    steps: 5_000_000,
    output_bytes: 4 << 20,
    depth: 100,
};

/// A template that does not give a message, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MessageError {
    #[error("unable to create commit message template from spec: {0}")]
    Parse(String),
    #[error("failed to run template from spec: {0}")]
    Run(String),
    #[error("failed to run template from spec: the message is not UTF-8")]
    NotText,
}

/// Renders the message. `seed` decides what the functions that are left and are random give.
pub(crate) fn render(
    template: Option<&str>,
    facts: &Facts<'_>,
    now: jiff::Timestamp,
    seed: [u8; 32],
) -> Result<String, MessageError> {
    let Some(template) = template.filter(|text| !text.is_empty()) else {
        return Ok(DEFAULT.to_owned());
    };
    let mut functions = Functions::sprig();
    functions.remove(REMOVED);
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
    let now = go::time::Time::from_unix(now.as_second(), nanos);
    let shared = Shared::new(functions, now, Random::from_seed(seed), LIMITS);
    let mut set = Templates::new(NAME);
    let parsed = set.parse(NAME, template, &shared);
    let parsed = parsed.map_err(|fault| MessageError::Parse(fault.to_string()))?;
    let set = Rc::new(set);
    let message = set.run(&parsed, facts.value(), &shared);
    let message = message.map_err(|fault| MessageError::Run(fault.to_string()))?;
    String::from_utf8(message).map_err(|_| MessageError::NotText)
}

#[cfg(test)]
mod tests;
