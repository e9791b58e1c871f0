//! How much it matters what does not hold.

use std::collections::BTreeMap;

/// What is checked of a signature, beside its integrity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Check {
    Authenticity,
    AuthenticTimestamp,
    Expiry,
    Revocation,
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Authenticity => "authenticity",
            Self::AuthenticTimestamp => "authenticTimestamp",
            Self::Expiry => "expiry",
            Self::Revocation => "revocation",
        })
    }
}

/// What becomes of a check that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The signature does not count.
    Enforce,
    /// It is told, and that is all.
    Log,
    /// It is not looked at.
    Skip,
}

/// How much it matters what does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Level {
    /// Nothing is checked.
    Skip,
    /// What becomes of each check that does not hold.
    Checked {
        /// Who signed.
        authenticity: Action,
        /// Whether the certificates were valid then.
        authentic_timestamp: Action,
        /// Whether the signature is still to count.
        expiry: Action,
        /// Whether the certificates were revoked.
        revocation: Action,
    },
}

impl Level {
    /// Reads a level by its name, and what a statement has otherwise.
    pub(super) fn read(
        name: &str,
        overrides: Option<&BTreeMap<String, String>>,
    ) -> Result<Self, String> {
        use Action::{Enforce, Log};
        let checked = |authenticity, others| Self::Checked {
            authenticity,
            authentic_timestamp: others,
            expiry: others,
            revocation: others,
        };
        let mut level = match name {
            "strict" => checked(Enforce, Enforce),
            "permissive" => checked(Enforce, Log),
            "audit" => checked(Log, Log),
            "skip" => Self::Skip,
            "" => {
                let words = "signature verification level is empty or missing in the trust policy statement";
                return Err(words.to_owned());
            }
            other => return Err(format!("invalid signature verification level {other:?}")),
        };
        for (check, action) in overrides.into_iter().flatten() {
            let action = Action::read(action)?;
            let place = level.place(check)?;
            if action == Action::Skip && check != "revocation" {
                return Err(format!(
                    "{check:?} verification can not be skipped in custom signature verification"
                ));
            }
            *place = action;
        }
        Ok(level)
    }

    /// Returns where the action of a check stands.
    fn place(&mut self, check: &str) -> Result<&mut Action, String> {
        let Self::Checked {
            authenticity,
            authentic_timestamp,
            expiry,
            revocation,
        } = self
        else {
            let words = "signature verification level \"skip\" can't be used to customize signature verification";
            return Err(words.to_owned());
        };
        match check {
            "authenticity" => Ok(authenticity),
            "authenticTimestamp" => Ok(authentic_timestamp),
            "expiry" => Ok(expiry),
            "revocation" => Ok(revocation),
            "integrity" => Err(
                "\"integrity\" verification can not be overridden in custom signature verification"
                    .to_owned(),
            ),
            other => Err(format!(
                "verification type {other:?} in custom signature verification is not supported"
            )),
        }
    }

    pub(crate) fn action(&self, check: Check) -> Action {
        match self {
            Self::Skip => Action::Skip,
            Self::Checked {
                authenticity,
                authentic_timestamp,
                expiry,
                revocation,
            } => match check {
                Check::Authenticity => *authenticity,
                Check::AuthenticTimestamp => *authentic_timestamp,
                Check::Expiry => *expiry,
                Check::Revocation => *revocation,
            },
        }
    }
}

impl Action {
    fn read(name: &str) -> Result<Self, String> {
        match name {
            "enforce" => Ok(Self::Enforce),
            "log" => Ok(Self::Log),
            "skip" => Ok(Self::Skip),
            other => Err(format!(
                "verification action {other:?} in custom signature verification is not supported"
            )),
        }
    }
}
