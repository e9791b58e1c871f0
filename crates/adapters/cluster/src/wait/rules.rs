//! Rules of health that users write as expressions.

use expression::health::{Rules, Verdict};
use manifest::health::{Health, Status};
use serde_json::Value;

use super::HealthRule;

impl HealthRule for Rules {
    fn evaluate(&self, object: &Value) -> Option<Result<Health, String>> {
        let status = |verdict| match verdict {
            Verdict::InProgress => Status::InProgress,
            Verdict::Failed => Status::Failed,
            Verdict::Current => Status::Current,
        };
        let health = |verdict| Health {
            status: status(verdict),
            reason: String::new(),
            message: String::new(),
        };
        Some(self.judge(object)?.map(health))
    }
}
