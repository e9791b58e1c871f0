//! Which objects a call asks for: expressions over the object (`res`) and the call (`req`).
//!
//! Source: notification-controller v1.9.3 `internal/server/cel.go`.

use api::notification::{Receiver, ReceiverKind, ReceiverResource};
use expression::Expression;
use kube::api::{ApiResource, ObjectMeta};
use serde_json::{Map, Value};

use crate::{
    hook::Verified,
    server::{Received, webhooks::seen},
};

/// The expressions of a receiver and the call that they look at.
#[derive(Debug)]
pub(crate) struct Filter {
    all: Option<Expression>,
    each: Vec<Option<Expression>>,
    call: Value,
    claims: Option<Value>,
}

impl Filter {
    /// Compiles a receiver's expressions and reads the call, where there are any.
    ///
    /// # Errors
    /// An expression that cannot be compiled, a body that is no JSON object.
    pub(crate) fn of(
        receiver: &Receiver,
        request: &Received,
        verified: &Verified,
    ) -> Result<Self, String> {
        let (all, each) = compile(receiver)?;
        let any = all.is_some() || each.iter().any(Option::is_some);
        let call = if any {
            call(request, verified)?
        } else {
            Value::Null
        };
        Ok(Self {
            all,
            each,
            call,
            claims: verified.claims.clone(),
        })
    }

    /// Whether the object of a resource has to be looked at.
    pub(crate) fn is_needed(&self, at: usize) -> bool {
        self.all.is_some() || self.own(at).is_some()
    }

    fn own(&self, at: usize) -> Option<&Expression> {
        self.each.get(at)?.as_ref()
    }

    /// Whether an object of a resource is asked for: both expressions have to accept it.
    ///
    /// # Errors
    /// An expression that cannot be evaluated.
    pub(crate) fn accepts(
        &self,
        at: usize,
        kind: &ApiResource,
        metadata: &ObjectMeta,
    ) -> Result<bool, String> {
        if !self.is_needed(at) {
            return Ok(true);
        }
        let object = seen(kind, metadata);
        let mut variables = vec![("res", &object), ("req", &self.call)];
        variables.extend(self.claims.as_ref().map(|claims| ("claims", claims)));
        for expression in self.all.iter().chain(self.own(at)) {
            let accepted = expression.evaluate_bool(&variables);
            if !accepted.map_err(|error| error.to_string())? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

type Compiled = (Option<Expression>, Vec<Option<Expression>>);

/// Compiles all expressions of a receiver.
///
/// # Errors
/// Which one cannot be compiled, and why.
pub(super) fn compile(receiver: &Receiver) -> Result<Compiled, String> {
    let spec = &receiver.spec;
    let variables: &[&str] = match spec.kind {
        ReceiverKind::GenericOidc => &["res", "req", "claims"],
        _ => &["res", "req"],
    };
    let one = |text: &Option<String>| {
        let text = text.as_deref().filter(|text| !text.is_empty());
        let compiled = text.map(|text| Expression::condition(text, variables));
        compiled.transpose().map_err(|error| error.to_string())
    };
    let all = one(&spec.resource_filter)
        .map_err(|cause| format!("invalid resourceFilter expression: {cause}"))?;
    let each = |(at, resource): (usize, &ReceiverResource)| {
        one(&resource.filter).map_err(|cause| {
            let (kind, name) = (resource.kind.as_str(), &resource.name);
            format!(
                "invalid filter expression for resources[{at}] (kind={kind:?}, name={name:?}): {cause}"
            )
        })
    };
    let each: Result<_, String> = spec.resources.iter().enumerate().map(each).collect();
    Ok((all, each?))
}

/// Returns the body as expressions see it: what is not called JSON is empty.
fn call(request: &Received, verified: &Verified) -> Result<Value, String> {
    let kinds = request.headers.get_all(http::header::CONTENT_TYPE);
    let is_json = kinds
        .iter()
        .filter_map(|kind| kind.to_str().ok())
        .any(|kinds| {
            let mut kinds = kinds.split(',');
            kinds
                .any(|kind| kind.split(';').next().unwrap_or_default().trim() == "application/json")
        });
    if !is_json && !verified.unwrapped {
        return Ok(Value::Object(Map::new()));
    }
    let object: Map<String, Value> = serde_json::from_slice(&verified.body)
        .map_err(|error| format!("the body is not a JSON object: {error}"))?;
    Ok(Value::Object(object))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::server::webhooks::api_resource;

    #[expect(clippy::needless_pass_by_value, reason = "values are written in place")]
    fn receiver(spec: Value) -> Receiver {
        let mut full = json!({ "type": "generic", "resources": [
            { "kind": "GitRepository", "name": "app" }] });
        full.as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        serde_json::from_value(json!({ "metadata": { "name": "r" }, "spec": full })).unwrap()
    }

    fn accepts(spec: Value, kind: &str, body: &str) -> Result<bool, String> {
        let receiver = receiver(spec);
        let mut request = Received {
            body: body.to_owned().into(),
            ..Received::default()
        };
        let kind = kind.parse().unwrap();
        request.headers.insert("content-type", kind);
        let verified = Verified {
            body: request.body.clone(),
            unwrapped: false,
            claims: None,
        };
        let filter = Filter::of(&receiver, &request, &verified)?;
        let meta = ObjectMeta {
            name: Some("app".into()),
            labels: Some([("team".to_owned(), "a".to_owned())].into()),
            ..ObjectMeta::default()
        };
        let kind = api_resource(&receiver.spec.resources[0])?;
        filter.accepts(0, &kind, &meta)
    }

    const JSON: &str = "application/json; charset=utf-8";

    /// covers: NC-113
    #[test]
    fn filter_sees_the_object_and_the_call() {
        let by = |text: &str| json!({ "resourceFilter": text });
        let body = r#"{"tag":"app","id":5,"n":{"team":"a"}}"#;
        for (text, expect) in [
            ("req.tag == res.metadata.name", true),
            ("req.tag.contains('x')", false),
            (
                "req.n.team == res.metadata.labels.team && req.id == 5",
                true,
            ),
            (
                "res.kind == 'GitRepository' && res.apiVersion.startsWith('source.')",
                true,
            ),
            ("false", false),
        ] {
            assert_eq!(accepts(by(text), JSON, body), Ok(expect), "{text}");
        }
        assert_eq!(accepts(by("!has(req.tag)"), "text/plain", body), Ok(true));
        assert!(accepts(by("true"), JSON, "[]").is_err());
        assert!(accepts(by("true"), JSON, "{").is_err());
    }

    /// covers: NC-114
    #[test]
    fn evaluation_that_fails_is_an_error() {
        assert!(accepts(json!({ "resourceFilter": "res.name == 'x'" }), JSON, "{}").is_err());
    }

    /// covers: NC-117
    #[test]
    fn filters_of_receiver_and_resource_have_to_agree() {
        let both = |all: &str, own: &str| {
            let resource = json!({ "kind": "GitRepository", "name": "app", "filter": own });
            accepts(
                json!({ "resourceFilter": all, "resources": [resource] }),
                JSON,
                "{}",
            )
        };
        assert_eq!(both("true", "true"), Ok(true));
        assert_eq!(both("true", "false"), Ok(false));
        assert_eq!(both("false", "true"), Ok(false));
        assert_eq!(accepts(json!({}), JSON, "no json"), Ok(true));
    }

    /// covers: NC-116
    #[test]
    fn expressions_are_checked_before_they_are_used() {
        let fault = |text: &str| compile(&receiver(json!({ "resourceFilter": text }))).err();
        for good in ["true", "false", "req.value == 'test'"] {
            assert_eq!(fault(good), None);
        }
        let text = fault("'text'").unwrap();
        assert!(
            text.ends_with("CEL expression output type mismatch: expected bool, got string"),
            "{text}"
        );
        assert!(
            fault("other.value == 1")
                .unwrap()
                .contains("undeclared reference")
        );
        assert!(
            fault("claims.sub == 'x'")
                .unwrap()
                .contains("undeclared reference")
        );
        let oidc =
            receiver(json!({ "type": "generic-oidc", "resourceFilter": "claims.sub == 'x'" }));
        assert!(compile(&oidc).is_ok());
    }
}
