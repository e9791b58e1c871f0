//! Signatures of charts in registries.

use api::source::HelmChart;
use helmrepo::OciCharts;
use kube::ResourceExt;
use runtime::Failure;

use super::HelmCharts;
use super::failure::{Reason, build};
use crate::failure::fetch;
use crate::verify::{Signed, Trust, VERIFICATION_ERROR, Verdict, Wanted, unverified};

/// What came of looking at the signatures of a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// None is asked for.
    NotAsked,
    /// One was found that counts: what is said of it.
    Now(String),
    /// None that counts was found, which does not matter.
    Ignored,
}

impl HelmCharts {
    /// Checks the signature of a chart, where one is asked for.
    pub(super) async fn verify(
        &self,
        object: &HelmChart,
        charts: &OciCharts,
        digest: &str,
        version: &str,
    ) -> Result<Verified, Failure> {
        let Some(verify) = &object.spec.verify else {
            return Ok(Verified::NotAsked);
        };
        let wanted = Wanted::from(verify);
        let namespace = object.namespace().unwrap_or_default();
        let name = object.name_any();
        let trust = Trust::read(&self.setup.reader, &namespace, wanted, &name);
        let trust = trust.await.map_err(|why| {
            let words = wanted.refusal(&why);
            fetch(VERIFICATION_ERROR, words.clone()).with(unverified(&words))
        })?;
        let signed = Signed {
            remote: charts.remote(),
            digest,
        };
        let checked = trust.check(signed).await;
        let checked = checked.map_err(|why| {
            let words = format!("failed to verify oci://{signed}: {why}");
            build(Reason::Verification, words)
        })?;
        Ok(match checked {
            Verdict::Verified => Verified::Now(format!("verified signature of version {version}")),
            Verdict::Ignored => Verified::Ignored,
        })
    }
}
