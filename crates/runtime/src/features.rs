//! Feature gates: a table per controller, read once, passed down as a value.

use std::collections::BTreeMap;

/// A gate that a controller knows.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// Its name on the command line.
    pub name: &'static str,
    /// Whether it is on where nothing is said.
    pub default: bool,
}

/// Why gates could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// No such gate.
    #[error("feature-gate '{0}' not supported")]
    Unknown(String),
    /// Not `Name=true` or `Name=false`.
    #[error("invalid value of feature-gate '{0}': must be Name=true or Name=false")]
    Invalid(String),
}

/// The gates of a controller and which are on.
#[derive(Clone, Debug, Default)]
pub struct Features(BTreeMap<&'static str, bool>);

impl Features {
    /// Reads `Name=true,Other=false` against a table of known gates. Gates of `retired` are
    /// accepted and have no effect.
    ///
    /// # Errors
    /// A gate that is not known, or a value that is no boolean.
    pub fn parse(text: &str, known: &[Gate], retired: &[&str]) -> Result<Self, Error> {
        let mut gates: BTreeMap<_, _> = known.iter().map(|g| (g.name, g.default)).collect();
        for pair in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| Error::Invalid(pair.into()))?;
            let value = match value {
                "true" | "1" | "t" | "T" | "TRUE" | "True" => true,
                "false" | "0" | "f" | "F" | "FALSE" | "False" => false,
                _ => return Err(Error::Invalid(name.into())),
            };
            if retired.contains(&name) {
                tracing::warn!(gate = name, "feature-gate has no effect any more");
                continue;
            }
            let gate = known.iter().find(|g| g.name == name);
            let gate = gate.ok_or_else(|| Error::Unknown(name.into()))?;
            gates.insert(gate.name, value);
        }
        Ok(Self(gates))
    }

    /// Returns true where a gate is on.
    #[must_use]
    pub fn enabled(&self, name: &str) -> bool {
        self.0.get(name).copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Gate] = &[
        Gate {
            name: "A",
            default: true,
        },
        Gate {
            name: "B",
            default: false,
        },
    ];

    #[test]
    fn gates_are_read_over_their_defaults() {
        let features = Features::parse("A=false, B=true", KNOWN, &[]).unwrap();
        assert!(!features.enabled("A"));
        assert!(features.enabled("B"));
        assert!(Features::parse("", KNOWN, &[]).unwrap().enabled("A"));
    }

    #[test]
    fn unknown_gate_is_refused_and_a_retired_one_is_not() {
        assert_eq!(
            Features::parse("C=true", KNOWN, &[]).unwrap_err(),
            Error::Unknown("C".into())
        );
        assert!(Features::parse("C=true", KNOWN, &["C"]).is_ok());
        assert!(matches!(
            Features::parse("A=maybe", KNOWN, &[]),
            Err(Error::Invalid(_))
        ));
    }
}
