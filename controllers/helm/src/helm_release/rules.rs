//! Rules by which owners of sources let other namespaces use them, obeyed where the gate says so.

use api::helm::{ChartTemplate, HelmRelease};
use api::source::ChartSourceKind;
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject},
    core::GroupVersionKind,
};
use runtime::{Failure, access, conditions::READY};

use super::{Reconciler, journal::Journal, source::Reference};
use crate::features;

impl Reconciler {
    /// Refuses the source that a chart template names, before anything is made in its namespace.
    ///
    /// # Errors
    /// A refusal, which is tried again: labels may change.
    pub(super) async fn obey_for_template(
        &self,
        object: &HelmRelease,
        template: &ChartTemplate,
        (namespace, journal): (&str, &mut Journal),
    ) -> Result<(), Failure> {
        if !self.are_enforced(object, namespace) {
            return Ok(());
        }
        let source = &template.spec.source_ref;
        let (kind, plural) = match source.kind {
            ChartSourceKind::HelmRepository => ("HelmRepository", "helmrepositories"),
            ChartSourceKind::GitRepository => ("GitRepository", "gitrepositories"),
            ChartSourceKind::Bucket => ("Bucket", "buckets"),
        };
        let gvk = GroupVersionKind::gvk("source.toolkit.fluxcd.io", "v1", kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        let sources: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource);
        let found = sources.get_opt(&source.name).await;
        let found = found.map_err(|error| unknown(journal, &error))?;
        self.judge(object, found.as_ref(), (namespace, &source.name), journal)
            .await
    }

    /// Refuses the source that a release names itself.
    ///
    /// # Errors
    /// A refusal, which is tried again: labels may change.
    pub(super) async fn obey_for_source(
        &self,
        object: &HelmRelease,
        reference: &Reference,
        (found, journal): (&DynamicObject, &mut Journal),
    ) -> Result<(), Failure> {
        // A chart that was made for the release is of the source's namespace, and was judged by that.
        if object.spec.chart_ref.is_none() || !self.are_enforced(object, &reference.namespace) {
            return Ok(());
        }
        let owner = (reference.namespace.as_str(), reference.name.as_str());
        self.judge(object, Some(found), owner, journal).await
    }

    fn are_enforced(&self, object: &HelmRelease, namespace: &str) -> bool {
        object.namespace().as_deref() != Some(namespace)
            && self.features.enabled(features::ENFORCE_ACCESS_FROM)
    }

    async fn judge(
        &self,
        object: &HelmRelease,
        found: Option<&DynamicObject>,
        owner: (&str, &str),
        journal: &mut Journal,
    ) -> Result<(), Failure> {
        let own = object.namespace().unwrap_or_default();
        let rules = found.and_then(access::rules_of);
        let refusal = access::refusal(&self.client, rules.as_ref(), owner, &own).await;
        let Some(why) = refusal.map_err(|error| unknown(journal, &error))? else {
            return Ok(());
        };
        journal.set(READY, "False", "AccessDenied", why.clone());
        Err(journal.end(Failure::retry("AccessDenied", why)))
    }
}

fn unknown(journal: &mut Journal, error: &kube::Error) -> Failure {
    let cause = runtime::failure::chain(error);
    let words = format!("could not read who may use the source: {cause}");
    journal.set(READY, "False", "ArtifactFailed", words.clone());
    journal.end(Failure::retry("ArtifactFailed", words).quietly())
}
