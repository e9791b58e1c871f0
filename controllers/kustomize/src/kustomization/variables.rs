//! The variables that are substituted into what a Kustomization builds.

use std::collections::BTreeMap;

use api::kustomize::{Kustomization, SubstituteKind, SubstituteReference, SubstituteStrategy};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, ResourceExt};
use manifest::substitute::Variables;

/// Variables, and whether they are substituted at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Substitution {
    /// Name to value.
    pub(super) variables: Variables,
    /// Substitute even where there is no variable, so that defaults take effect.
    pub(super) always: bool,
}

impl Substitution {
    /// Returns true where objects are substituted.
    pub(super) fn applies(&self) -> bool {
        self.always || !self.variables.is_empty()
    }
}

/// Reads the variables of a Kustomization: its ConfigMaps and Secrets in order, then the inline
/// ones; later values win.
///
/// # Errors
/// A sentence for the build's condition, where a source is missing and not optional, or a name is
/// no variable name.
pub(super) async fn read(client: &Client, object: &Kustomization) -> Result<Substitution, String> {
    let Some(post_build) = &object.spec.post_build else {
        return Ok(Substitution::default());
    };
    let namespace = object.namespace().unwrap_or_default();
    let mut values = BTreeMap::new();
    for reference in &post_build.substitute_from {
        let read = match reference.kind {
            SubstituteKind::ConfigMap => config_map(client, &namespace, &reference.name).await,
            SubstituteKind::Secret => secret(client, &namespace, &reference.name).await,
        };
        match read {
            Ok(found) => values.extend(found),
            Err(kube::Error::Api(status)) if status.code == 404 && is_optional(reference) => {}
            Err(error) => {
                let kind = kind_name(reference.kind);
                let cause = runtime::failure::chain(&error);
                return Err(format!(
                    "substitute from '{kind}/{}' error: {cause}",
                    reference.name
                ));
            }
        }
    }
    values.extend(post_build.substitute.clone());
    let always = post_build.substitute_strategy == Some(SubstituteStrategy::Always);
    checked(&values).map(|variables| Substitution { variables, always })
}

fn is_optional(reference: &SubstituteReference) -> bool {
    reference.optional.unwrap_or(false)
}

fn kind_name(kind: SubstituteKind) -> &'static str {
    match kind {
        SubstituteKind::ConfigMap => "ConfigMap",
        SubstituteKind::Secret => "Secret",
    }
}

async fn config_map(
    client: &Client,
    namespace: &str,
    name: &str,
) -> kube::Result<BTreeMap<String, String>> {
    let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
    Ok(api.get(name).await?.data.unwrap_or_default())
}

async fn secret(
    client: &Client,
    namespace: &str,
    name: &str,
) -> kube::Result<BTreeMap<String, String>> {
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    let data = api.get(name).await?.data.unwrap_or_default();
    Ok(data
        .into_iter()
        .map(|(k, v)| (k, String::from_utf8_lossy(&v.0).into_owned()))
        .collect())
}

/// Refuses names that are no variable names, all at once.
fn checked(values: &BTreeMap<String, String>) -> Result<Variables, String> {
    let mut variables = Variables::default();
    let set = |(name, value): (&String, &String)| variables.set(name, value).err();
    let bad: Vec<_> = values
        .iter()
        .filter_map(set)
        .map(|error| error.to_string())
        .collect();
    if bad.is_empty() {
        Ok(variables)
    } else {
        Err(format!("envsubst error: {}", bad.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_name_is_told_at_once() {
        let values = [("a-b", "1"), ("ok", "2"), ("9x", "3")];
        let values = values.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let error = checked(&values).unwrap_err();
        assert!(error.contains("'a-b' var name is invalid"), "{error}");
        assert!(error.contains("'9x' var name is invalid"), "{error}");
    }
}
