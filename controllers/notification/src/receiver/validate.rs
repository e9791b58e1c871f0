//! What is checked of a Receiver before anything else: its expressions and issuers.

use std::collections::HashSet;

use api::notification::{Receiver, ReceiverKind};

use crate::hook;

/// What is wrong with a Receiver until it is changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The reason of the conditions.
    pub reason: &'static str,
    /// What is wrong.
    pub message: String,
}

const INVALID: &str = "ValidationFailed";
const INVALID_EXPRESSION: &str = "InvalidCELExpression";

/// Checks a Receiver.
pub(super) fn check(object: &Receiver) -> Result<(), Fault> {
    let fault = |reason| move |message| Fault { reason, message };
    super::filter::compile(object).map_err(fault(INVALID_EXPRESSION))?;
    issuers(object).map_err(fault(INVALID))?;
    expressions(object).map_err(fault(INVALID_EXPRESSION))
}

/// Compiles the expressions over tokens.
fn expressions(object: &Receiver) -> Result<(), String> {
    for (at, provider) in object.spec.oidc_providers.iter().enumerate() {
        hook::compile(provider).map_err(|cause| {
            let url = &provider.issuer_url;
            format!("oidcProviders[{at}] (issuerURL=\"{url}\"): {cause}")
        })?;
    }
    Ok(())
}

fn issuers(object: &Receiver) -> Result<(), String> {
    let spec = &object.spec;
    let oidc = spec.kind == ReceiverKind::GenericOidc;
    match (oidc, spec.oidc_providers.is_empty(), &spec.secret_ref) {
        (true, true, _) => {
            return Err("generic-oidc receivers must define at least one oidcProvider".into());
        }
        (true, _, Some(_)) => {
            return Err("secretRef cannot be set when type is generic-oidc".into());
        }
        (false, false, _) => {
            return Err("oidcProviders can only be set when type is generic-oidc".into());
        }
        (false, _, None) => {
            return Err("secretRef is required when type is not generic-oidc".into());
        }
        _ => {}
    }
    let mut seen = HashSet::new();
    for (at, provider) in spec.oidc_providers.iter().enumerate() {
        let url = &provider.issuer_url;
        let wrong = |what: &str| Err(format!("oidcProviders[{at}] (issuerURL=\"{url}\"): {what}"));
        if url.is_empty() {
            return wrong("issuerURL is required");
        }
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return wrong("issuerURL must start with http:// or https://");
        }
        if !seen.insert(url) {
            return wrong("issuerURL is listed more than once");
        }
        if provider.validations.is_empty() {
            return wrong("at least one validation is required");
        }
        if provider.variables.iter().any(|v| v.name.is_empty()) {
            return wrong("a variable has no name");
        }
        if provider.variables.iter().any(|v| v.expression.is_empty()) {
            return wrong("a variable has no expression");
        }
        if provider.validations.iter().any(|v| v.expression.is_empty()) {
            return wrong("a validation has no expression");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "values are written in place")]
    fn fault(spec: Value) -> Option<String> {
        let mut full = json!({ "type": "generic-oidc", "resources": [] });
        full.as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        let object = json!({ "metadata": { "name": "r" }, "spec": full });
        let object: Receiver = serde_json::from_value(object).unwrap();
        check(&object).err().map(|f| f.message)
    }

    /// covers: NC-119
    #[test]
    fn each_fault_of_an_issuer_is_named() {
        let good = json!({ "issuerURL": "https://i", "validations": [
            { "expression": "true", "message": "m" }] });
        let with = |key: &str, value: Value| {
            let mut provider = good.clone();
            provider[key] = value;
            fault(json!({ "oidcProviders": [provider] })).unwrap_or_default()
        };
        assert_eq!(fault(json!({ "oidcProviders": [good] })), None);
        assert!(with("issuerURL", json!("")).ends_with("issuerURL is required"));
        assert!(with("issuerURL", json!("ftp://i")).contains("must start with"));
        assert!(with("validations", json!([])).contains("at least one validation"));
        let empty = json!([{ "expression": "", "message": "m" }]);
        assert!(with("validations", empty).contains("validation has no expression"));
        let empty = json!([{ "name": "a", "expression": "" }]);
        assert!(with("variables", empty).contains("variable has no expression"));
        let twice = fault(json!({ "oidcProviders": [good, good] })).unwrap();
        assert!(twice.contains("more than once"), "{twice}");
        assert!(
            fault(json!({}))
                .unwrap()
                .contains("at least one oidcProvider")
        );
        let other = json!({ "type": "generic", "oidcProviders": [good] });
        assert!(
            fault(other)
                .unwrap()
                .contains("only be set when type is generic-oidc")
        );
        assert!(
            fault(json!({ "type": "generic" }))
                .unwrap()
                .contains("secretRef is required")
        );
    }
}
