//! Anyone with a token of a trusted issuer that says the right things.
//!
//! Source: notification-controller v1.9.3 `internal/server/receiver_handlers.go`; OpenID Connect
//! Discovery 1.0.

use api::notification::{OidcProvider, Receiver};
use expression::Expression;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    Verified,
    jwt::{self, Token},
    keys::{Issuer, Keys},
};
use crate::server::Received;

const DEFAULT_AUDIENCE: &str = "notification-controller";

pub(super) async fn verify(
    receiver: &Receiver,
    request: &Received,
    keys: &Keys,
) -> Result<Verified, String> {
    let text = jwt::bearer(request).ok_or("the Authorization header is missing or malformed")?;
    let token = Token::parse(text).ok_or("the Authorization header is missing or malformed")?;
    // Only compared: nothing is asked of an issuer that the Receiver does not name.
    let issuer = token.text("iss").unwrap_or_default();
    let mut providers = receiver.spec.oidc_providers.iter();
    let provider = providers
        .find(|p| p.issuer_url == issuer)
        .ok_or_else(|| format!("no oidcProvider configured for issuer {issuer:?}"))?;
    let audience = provider.audience.as_deref().filter(|a| !a.is_empty());
    if !token.is_for(audience.unwrap_or(DEFAULT_AUDIENCE)) {
        return Err("the token is for another audience".into());
    }
    if !token.is_current(Timestamp::now().as_second()) {
        return Err("the token has expired or is not valid yet".into());
    }
    keys.verify(Issuer::Discovered(&provider.issuer_url), &token)
        .await?;
    validate(provider, &token)?;
    Ok(Verified {
        claims: Some(token.claims.clone()),
        ..Verified::plain(request)
    })
}

/// A provider's expressions, compiled.
#[derive(Debug)]
pub(crate) struct Rules {
    variables: Vec<(String, Expression)>,
    validations: Vec<(Expression, String)>,
}

/// Compiles a provider's expressions.
///
/// # Errors
/// Which one cannot be compiled, and why.
pub(crate) fn compile(provider: &OidcProvider) -> Result<Rules, String> {
    let names = ["claims", "vars"];
    let mut variables = Vec::new();
    for (at, variable) in provider.variables.iter().enumerate() {
        let compiled = Expression::value(&variable.expression, &names)
            .map_err(|error| format!("invalid variables[{at}] expression: {error}"))?;
        variables.push((variable.name.clone(), compiled));
    }
    let mut validations = Vec::new();
    for (at, validation) in provider.validations.iter().enumerate() {
        let compiled = Expression::condition(&validation.expression, &names)
            .map_err(|error| format!("invalid validations[{at}] expression: {error}"))?;
        validations.push((compiled, validation.message.clone()));
    }
    Ok(Rules {
        variables,
        validations,
    })
}

/// Checks the claims: variables in their order, then all validations, whose messages are joined.
fn validate(provider: &OidcProvider, token: &Token<'_>) -> Result<(), String> {
    let rules = compile(provider)?;
    let claims = &token.claims;
    let mut vars = Value::Object(Map::new());
    for (name, expression) in &rules.variables {
        let value = expression
            .evaluate_value(&[("claims", claims), ("vars", &vars)])
            .map_err(|error| format!("failed to evaluate variable {name:?}: {error}"))?;
        vars[name] = value;
    }
    let mut faults = Vec::new();
    for (expression, message) in &rules.validations {
        let holds = expression
            .evaluate_bool(&[("claims", claims), ("vars", &vars)])
            .map_err(|error| format!("failed to evaluate a validation: {error}"))?;
        if !holds {
            faults.push(message.as_str());
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(format!("token validation failed: {}", faults.join("; ")))
    }
}
