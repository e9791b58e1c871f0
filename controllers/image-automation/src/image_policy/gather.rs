//! The ImageRepository that a policy names, and its tags.

use std::time::Duration;

use api::image::{DigestReflection, ImagePolicy, ImagePolicySpec, ImageRepository};
use api::meta::AccessFrom;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt};
use registry::Repository;
use runtime::Failure;

use super::ImagePolicies;
use crate::image_repository::parse_image;
use access::OBJECT_LEVEL;

/// What was read.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// The ImageRepository.
    pub repository: ImageRepository,
    /// Its image.
    pub image: Repository,
    /// Its tags; none where they cannot be told.
    pub tags: Option<Vec<String>>,
    /// After how long a policy whose tags are missing looks again.
    pub retry: Duration,
}

const LOOKUP: &str = "failed to get the referred ImageRepository";

impl ImagePolicies {
    pub(super) async fn read(&self, object: &ImagePolicy) -> Result<Inputs, Failure> {
        check_interval(&object.spec)?;
        let repository = self.repository_of(object).await?;
        let image = parse_image(&repository.spec.image)
            .map_err(|words| Failure::stall("ImageURLInvalid", words))?;
        if self.accesses.needs_gate(&repository.spec) {
            let words = format!(
                "to use spec.serviceAccountName in the ImageRepository for provider authentication please enable the {OBJECT_LEVEL} feature gate in the controller"
            );
            return Err(Failure::stall("FeatureGateDisabled", words));
        }
        let tags = self.tags_of(&repository, &image)?;
        Ok(Inputs {
            repository,
            image,
            tags,
            retry: self.requeue_dependency,
        })
    }

    /// Returns the stored tags. Those of another image than the ImageRepository names now do not count.
    fn tags_of(
        &self,
        repository: &ImageRepository,
        image: &Repository,
    ) -> Result<Option<Vec<String>>, Failure> {
        let scanned = repository.status.as_ref();
        let scanned = scanned.and_then(|status| status.canonical_image_name.as_deref());
        if scanned != Some(image.to_string().as_str()) {
            return Ok(None);
        }
        let namespace = repository.namespace().unwrap_or_default();
        let tags = self.tags.get(&namespace, &repository.name_any());
        tags.map_err(|error| {
            let cause = runtime::failure::chain(&error);
            Failure::retry(
                "Failure",
                format!("failed to read tags from database: {cause}"),
            )
        })
    }

    async fn repository_of(&self, object: &ImagePolicy) -> Result<ImageRepository, Failure> {
        let own = object.namespace().unwrap_or_default();
        let reference = &object.spec.image_repository_ref;
        let namespace = reference.namespace.clone().filter(|n| !n.is_empty());
        let namespace = namespace.unwrap_or_else(|| own.clone());
        let name = &reference.name;
        if self.access.no_cross_namespace && namespace != own {
            let words = format!(
                "{LOOKUP}: cannot access 'ImageRepository/{namespace}/{name}', cross-namespace references have been blocked"
            );
            return Err(Failure::retry("AccessDenied", words));
        }
        let repositories = Api::<ImageRepository>::namespaced(self.client.clone(), &namespace);
        let repository = repositories.get_opt(name).await.map_err(|error| {
            let cause = runtime::failure::chain(&error);
            Failure::retry("Failure", format!("{LOOKUP}: {cause}"))
        })?;
        let Some(repository) = repository else {
            let words = format!(
                "{LOOKUP}: referenced ImageRepository does not exist: ImageRepository.image.toolkit.fluxcd.io \"{name}\" not found"
            );
            return Err(Failure::retry("DependencyNotReady", words));
        };
        if namespace != own {
            let rules = repository.spec.access_from.as_ref();
            let words = self.refusal(rules, (&namespace, name), &own).await?;
            if let Some(words) = words {
                return Err(Failure::retry("AccessDenied", format!("{LOOKUP}: {words}")));
            }
        }
        Ok(repository)
    }

    /// Returns why a policy of another namespace may not use an ImageRepository.
    async fn refusal(
        &self,
        rules: Option<&AccessFrom>,
        (namespace, name): (&str, &str),
        own: &str,
    ) -> Result<Option<String>, Failure> {
        let Some(rules) = rules.filter(|rules| !rules.namespace_selectors.is_empty()) else {
            return Ok(Some(format!(
                "access denied: '{namespace}/{name}' can't be accessed due to missing ACL labels on 'accessFrom'"
            )));
        };
        let found = Api::<Namespace>::all(self.client.clone()).get(own).await;
        let found = found.map_err(|error| {
            let cause = runtime::failure::chain(&error);
            Failure::retry("Failure", format!("{LOOKUP}: {cause}"))
        })?;
        let granted = rules.grants(found.labels());
        Ok((!granted).then(|| {
            format!(
                "access denied: '{namespace}/{name}' can't be accessed due to ACL labels mismatch on namespace '{own}'"
            )
        }))
    }
}

/// Refuses what the API server lets through where its rules are those of an older release.
fn check_interval(spec: &ImagePolicySpec) -> Result<(), Failure> {
    let always = spec.digest_reflection_policy == Some(DigestReflection::Always);
    if always && spec.interval.is_none() {
        let words = "spec.interval must be set when spec.digestReflectionPolicy is set to 'Always'";
        return Err(Failure::stall("IntervalNotConfigured", words));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// covers: IA-074
    #[test]
    fn one_selector_has_to_match_whole() {
        let rules = |selectors: serde_json::Value| -> AccessFrom {
            serde_json::from_value(json!({ "namespaceSelectors": selectors })).unwrap()
        };
        let labels = [
            ("tenant".to_owned(), "b".to_owned()),
            ("env".to_owned(), "dev".to_owned()),
        ]
        .into();
        let granted = |selectors| rules(selectors).grants(&labels);
        assert!(granted(json!([{ "matchLabels": { "tenant": "b" } }])));
        assert!(granted(
            json!([{ "matchLabels": { "tenant": "a" } }, { "matchLabels": {} }])
        ));
        assert!(granted(json!([{}])));
        assert!(!granted(
            json!([{ "matchLabels": { "tenant": "b", "env": "prod" } }])
        ));
        assert!(!granted(json!([{ "matchLabels": { "tenant": "a" } }])));
    }

    /// covers: IA-069
    #[test]
    fn digest_that_is_always_read_needs_an_interval() {
        let mut spec = ImagePolicySpec {
            digest_reflection_policy: Some(DigestReflection::Always),
            ..ImagePolicySpec::default()
        };
        let failure = check_interval(&spec).unwrap_err();
        assert_eq!(failure.class, runtime::Class::Stall);
        assert_eq!(failure.reason, "IntervalNotConfigured");
        spec.interval = Some(Duration::from_mins(1).into());
        assert!(check_interval(&spec).is_ok());
        spec.digest_reflection_policy = Some(DigestReflection::IfNotPresent);
        spec.interval = None;
        assert!(check_interval(&spec).is_ok());
    }
}
