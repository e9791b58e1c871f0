//! Rules that tell an object's health by expressions.
//!
//! Source: fluxcd/pkg `runtime/cel` `StatusEvaluator`, Flux RFC-0009.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{CompileError, Expression};

/// The expressions of one rule, as users write them; empty text is no expression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSpec {
    /// The API group that the rule is for; empty for the core group.
    pub group: String,
    /// The kind; empty for all kinds of the group.
    pub kind: String,
    /// True where the object is as it should be.
    pub current: String,
    /// True where it is on its way.
    pub in_progress: String,
    /// True where it will not get there.
    pub failed: String,
}

/// Rules that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// `current` is missing.
    #[error(
        "failed to create custom status evaluator for healthchecks[{index}]: expression Current not specified"
    )]
    NoCurrent {
        /// Which rule, from 0.
        index: usize,
    },
    /// An expression cannot be compiled.
    #[error(
        "failed to create custom status evaluator for healthchecks[{index}]: failed to parse the expression {field}"
    )]
    Expression {
        /// Which rule, from 0.
        index: usize,
        /// Which of its expressions.
        field: &'static str,
        /// Why.
        source: CompileError,
    },
    /// Two rules for the same kinds.
    #[error(
        "duplicate custom status evaluator for healthchecks[{index}]: '{group}/{kind}' has one already"
    )]
    Duplicate {
        /// Which rule, from 0.
        index: usize,
        /// Its group.
        group: String,
        /// Its kind; may be empty.
        kind: String,
    },
}

/// What a rule says of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// On its way.
    InProgress,
    /// Will not get there by itself.
    Failed,
    /// As it should be.
    Current,
}

#[derive(Debug)]
struct Rule {
    in_progress: Option<Expression>,
    failed: Option<Expression>,
    current: Expression,
}

/// Compiled rules by group and kind; a rule for a kind goes before one for its whole group.
#[derive(Debug, Default)]
pub struct Rules {
    rules: BTreeMap<(String, String), Rule>,
}

impl Rules {
    /// Compiles rules.
    ///
    /// # Errors
    /// [`RuleError`] of the first that cannot be used.
    pub fn new(specs: &[RuleSpec]) -> Result<Self, RuleError> {
        let mut rules = BTreeMap::new();
        for (index, spec) in specs.iter().enumerate() {
            let key = (spec.group.clone(), spec.kind.clone());
            if rules.contains_key(&key) {
                let (group, kind) = key;
                return Err(RuleError::Duplicate { index, group, kind });
            }
            rules.insert(key, Rule::new(index, spec)?);
        }
        Ok(Self { rules })
    }

    /// Returns true where there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Judges an object; none where no rule is for its kind.
    ///
    /// # Errors
    /// Why its rule came to no result, in words.
    pub fn judge(&self, object: &Value) -> Option<Result<Verdict, String>> {
        let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
        let group = text("apiVersion")
            .rsplit_once('/')
            .map_or("", |(group, _)| group);
        let find = |kind: &str| self.rules.get(&(group.to_owned(), kind.to_owned()));
        let rule = find(text("kind")).or_else(|| find(""))?;
        Some(rule.judge(object))
    }
}

impl Rule {
    fn new(index: usize, spec: &RuleSpec) -> Result<Self, RuleError> {
        let compile = |field: &'static str, text: &str| {
            Expression::parse(text).map_err(|source| RuleError::Expression {
                index,
                field,
                source,
            })
        };
        let optional = |field: &'static str, text: &str| match text {
            "" => Ok(None),
            text => compile(field, text).map(Some),
        };
        if spec.current.is_empty() {
            return Err(RuleError::NoCurrent { index });
        }
        Ok(Self {
            current: compile("Current", &spec.current)?,
            failed: optional("Failed", &spec.failed)?,
            in_progress: optional("InProgress", &spec.in_progress)?,
        })
    }

    fn judge(&self, object: &Value) -> Result<Verdict, String> {
        let number = |parent: &str, field: &str| object.get(parent)?.get(field)?.as_i64();
        let observed = number("status", "observedGeneration");
        let generation = number("metadata", "generation");
        if let (Some(observed), Some(generation)) = (observed, generation)
            && observed != generation
        {
            return Ok(Verdict::InProgress);
        }
        let fields = object.as_object().into_iter().flatten();
        let variables: Vec<_> = fields.map(|(name, value)| (name.as_str(), value)).collect();
        let is = |expression: &Expression| {
            let result = expression.evaluate_bool(&variables);
            result.map_err(|error| error.to_string())
        };
        for (expression, verdict) in [
            (self.in_progress.as_ref(), Verdict::InProgress),
            (self.failed.as_ref(), Verdict::Failed),
            (Some(&self.current), Verdict::Current),
        ] {
            if let Some(expression) = expression
                && is(expression)?
            {
                return Ok(verdict);
            }
        }
        Ok(Verdict::InProgress)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(kind: &str, current: &str) -> RuleSpec {
        RuleSpec {
            group: "example.com".into(),
            kind: kind.into(),
            current: current.into(),
            ..RuleSpec::default()
        }
    }

    fn object(kind: &str, status: &Value) -> Value {
        json!({ "apiVersion": "example.com/v1", "kind": kind,
            "metadata": { "generation": 2 }, "status": status })
    }

    /// covers: KC-117
    #[test]
    fn rules_are_asked_in_order_and_a_kind_goes_before_its_group() {
        let rules = Rules::new(&[
            RuleSpec {
                in_progress: "status.phase == 'Busy'".into(),
                failed: "status.phase in ['Broken', 'Busy']".into(),
                ..spec("Box", "status.phase != 'New'")
            },
            spec("", "true"),
        ])
        .unwrap();
        let judge = |kind: &str, status: &Value| rules.judge(&object(kind, status)).unwrap();
        for (phase, verdict) in [
            ("Busy", Verdict::InProgress),
            ("Broken", Verdict::Failed),
            ("Done", Verdict::Current),
            ("New", Verdict::InProgress),
        ] {
            assert_eq!(
                judge("Box", &json!({ "phase": phase })),
                Ok(verdict),
                "{phase}"
            );
        }
        assert_eq!(judge("Other", &json!({})), Ok(Verdict::Current));
        let behind = json!({ "phase": "Done", "observedGeneration": 1 });
        assert_eq!(judge("Box", &behind), Ok(Verdict::InProgress));
        let error = judge("Box", &json!({})).unwrap_err();
        assert!(error.contains("no such key: phase"), "{error}");
        let foreign = json!({ "apiVersion": "v1", "kind": "Box" });
        assert!(rules.judge(&foreign).is_none());
    }

    #[test]
    fn rules_that_cannot_be_used_are_named() {
        let error = Rules::new(&[spec("A", "true"), spec("A", "true")]).unwrap_err();
        assert!(matches!(error, RuleError::Duplicate { index: 1, .. }));
        let error = Rules::new(&[spec("A", "")]).unwrap_err();
        assert_eq!(error, RuleError::NoCurrent { index: 0 });
        let error = Rules::new(&[spec("A", "a ==")]).unwrap_err();
        assert!(matches!(
            error,
            RuleError::Expression {
                field: "Current",
                ..
            }
        ));
    }
}
