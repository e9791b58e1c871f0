//! The digest that a tag leads to.

use std::time::Duration;

use api::image::ImageReference;
use kube::ResourceExt;
use runtime::Failure;
use tokio::time::Instant;

use super::{ImagePolicies, plan::Plan, report::Outcome};

const LEAST_TIMEOUT: Duration = Duration::from_secs(1);

impl ImagePolicies {
    pub(super) async fn reflect_digest(&self, plan: Plan) -> Result<Outcome, Failure> {
        let Plan {
            repository,
            image,
            chosen,
        } = plan;
        let failed = |cause: String| {
            let words = format!(
                "failed fetching digest of {}:{}: {cause}",
                chosen.name, chosen.tag
            );
            Failure::retry("Failed", words)
        };
        let limit = repository.spec.timeout.unwrap_or(repository.spec.interval);
        let deadline = Instant::now() + Duration::from(limit).max(LEAST_TIMEOUT);
        let (namespace, name) = (
            repository.namespace().unwrap_or_default(),
            repository.name_any(),
        );
        let work = async {
            let access = self
                .accesses
                .of((&namespace, &name), &repository.spec, &image);
            let access = access
                .await
                .map_err(|error| failed(runtime::failure::chain(&error)))?;
            let remote = self.registries.remote(image.clone(), access);
            let remote = remote.map_err(|error| failed(runtime::failure::chain(&error)))?;
            let resolved = remote.until(deadline).resolve(&chosen.tag).await;
            resolved.map_err(|error| failed(runtime::failure::chain(&error)))
        };
        let resolved = tokio::time::timeout_at(deadline, work)
            .await
            .map_err(|_| failed("context deadline exceeded".into()))??;
        Ok(Outcome::Chosen(ImageReference {
            digest: Some(resolved.digest),
            ..chosen
        }))
    }
}
