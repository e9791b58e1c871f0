//! References across namespaces.

use api::meta::AccessFrom;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt, api::DynamicObject};

/// The gate behind which sources are used from other namespaces only as their `accessFrom` says.
pub const ENFORCE_ACCESS_FROM: &str = "EnforceAccessFrom";

/// Why a reference is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("can't access '{kind}/{namespace}/{name}', cross-namespace references have been blocked")]
pub struct Denied {
    kind: String,
    namespace: String,
    name: String,
}

/// Whether references may leave their namespace (`--no-cross-namespace-refs`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Access {
    /// True where they may not.
    pub no_cross_namespace: bool,
}

impl Access {
    /// Checks a reference from an object in namespace `from`.
    ///
    /// # Errors
    /// [`Denied`] where the reference leaves the namespace and must not.
    pub fn check(&self, from: &str, kind: &str, namespace: &str, name: &str) -> Result<(), Denied> {
        if self.no_cross_namespace && from != namespace {
            return Err(Denied {
                kind: kind.into(),
                namespace: namespace.into(),
                name: name.into(),
            });
        }
        Ok(())
    }
}

/// Returns the rules of an object by which those of other namespaces may use it; none where it has
/// none, or some that cannot be read.
#[must_use]
pub fn rules_of(object: &DynamicObject) -> Option<AccessFrom> {
    let rules = object.data.get("spec")?.get("accessFrom")?;
    serde_json::from_value(rules.clone()).ok()
}

/// Returns why objects of the namespace `own` may not use the object `owner`, which is a namespace
/// and a name; none where its `rules` let them, or it is of the same namespace.
///
/// # Errors
/// The API server's answer to the question what labels the namespace has.
pub async fn refusal(
    client: &Client,
    rules: Option<&AccessFrom>,
    owner: (&str, &str),
    own: &str,
) -> kube::Result<Option<String>> {
    let (namespace, name) = owner;
    if namespace == own {
        return Ok(None);
    }
    let denied = |why: &str| format!("'{namespace}/{name}' can't be accessed due to {why}");
    let Some(rules) = rules.filter(|rules| !rules.namespace_selectors.is_empty()) else {
        return Ok(Some(denied("missing ACL labels on 'accessFrom'")));
    };
    let asking = Api::<Namespace>::all(client.clone()).get(own).await?;
    let granted = rules.grants(asking.labels());
    let why = format!("ACL labels mismatch on namespace '{own}'");
    Ok((!granted).then(|| denied(&why)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_that_cannot_be_read_are_none() {
        let rules = |spec: serde_json::Value| {
            let object = json!({ "metadata": { "name": "x" }, "spec": spec });
            rules_of(&serde_json::from_value(object).unwrap())
        };
        let selector = json!({ "matchLabels": { "team": "a" } });
        let read = rules(json!({ "accessFrom": { "namespaceSelectors": [selector] } })).unwrap();
        assert!(read.grants(&[("team".to_owned(), "a".to_owned())].into()));
        assert_eq!(rules(json!({ "accessFrom": "everybody" })), None);
        assert_eq!(rules(json!({})), None);
    }

    #[test]
    fn reference_to_another_namespace_is_refused_only_when_asked() {
        let open = Access::default();
        assert_eq!(open.check("a", "GitRepository", "b", "x"), Ok(()));
        let closed = Access {
            no_cross_namespace: true,
        };
        assert_eq!(closed.check("a", "GitRepository", "a", "x"), Ok(()));
        assert_eq!(
            closed
                .check("a", "GitRepository", "b", "x")
                .unwrap_err()
                .to_string(),
            "can't access 'GitRepository/b/x', cross-namespace references have been blocked"
        );
    }
}
