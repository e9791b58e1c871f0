//! The definitions that a chart carries in `crds/`: applied before anything else, never deleted.

use std::{collections::BTreeMap, time::Duration};

use cluster::{WaitOptions, chain_text};
use helm::chart::Chart;
use kube::api::{Patch, PatchParams};
use manifest::object;
use runtime::Parked;
use serde_json::Value;

use super::{
    ActionError, Session,
    objects::{self, Target, Unserved},
};

/// How long definitions may take to be established.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is done with definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Nothing.
    Skip,
    /// Those that do not exist are created.
    Create,
    /// Those that do not exist are created, the others replaced.
    Replace,
}

/// Reads the definitions of a chart; other objects among them are told and left out.
///
/// # Errors
/// A file that is no YAML.
pub(crate) fn read(chart: &Chart, origin: &BTreeMap<String, String>) -> Result<Vec<Value>, String> {
    let mut definitions = Vec::new();
    for crd in chart.crds() {
        let text = String::from_utf8_lossy(&crd.data);
        let parsed = objects::parse(&text);
        let parsed = parsed.map_err(|cause| format!("failed to parse {}: {cause}", crd.name))?;
        for mut value in parsed {
            if object::kind(&value) != "CustomResourceDefinition" {
                let (kind, name) = (object::kind(&value), object::name(&value));
                tracing::warn!(
                    file = crd.file_name,
                    nonCRDs = format!("{kind}/{name}"),
                    "chart has objects in crds/ that are no definitions"
                );
                continue;
            }
            ::manifest::metadata::set_labels(&mut value, origin);
            definitions.push(value);
        }
    }
    Ok(definitions)
}

impl Session<'_> {
    /// Applies definitions as the policy says and waits until they are established.
    ///
    /// # Errors
    /// Why they are not there.
    pub(crate) async fn apply_crds(
        &self,
        definitions: Vec<Value>,
        policy: Policy,
        server_side: bool,
    ) -> Result<(), ActionError> {
        if definitions.is_empty() || policy == Policy::Skip {
            return Ok(());
        }
        let failed = |cause: String| {
            ActionError::Failed(format!(
                "failed to apply CustomResourceDefinitions: {cause}"
            ))
        };
        let mut written = Vec::new();
        for definition in definitions {
            let text = definition.to_string();
            let built = objects::build(self.cluster, &text, "", Unserved::Refuse).await;
            for target in built.map_err(failed)? {
                if self
                    .apply_crd(&target, policy, server_side)
                    .await
                    .map_err(failed)?
                {
                    written.push(target);
                }
            }
        }
        self.await_established(&written)
            .await
            .map_err(|error| match error {
                ActionError::Failed(cause) => failed(cause),
                superseded @ ActionError::Superseded(_) => superseded,
            })
    }

    /// Writes one definition; false where it is left as it is.
    async fn apply_crd(
        &self,
        target: &Target,
        policy: Policy,
        server_side: bool,
    ) -> Result<bool, String> {
        let name = &target.id.name;
        let live = self.cluster.get(&target.location()).await;
        let live = live.map_err(|error| chain_text(&error))?;
        let words = |doing: &str, cause: String| {
            format!("failed to {doing} CustomResourceDefinition {name}: {cause}")
        };
        if live.is_some() && policy == Policy::Create {
            self.log.say(format!(
                "CustomResourceDefinition {name} is already present. Skipping."
            ));
            return Ok(false);
        }
        if server_side {
            let params = PatchParams::apply(self.manager).force();
            let patch = Patch::Apply(&target.object);
            let applied = self
                .cluster
                .patch(&target.location(), &params, &patch)
                .await;
            applied.map_err(|error| words("apply", chain_text(&error)))?;
        } else if let Some(live) = live {
            let mut object = target.object.clone();
            if let (Some(metadata), Some(version)) = (
                object::metadata_mut(&mut object),
                object::resource_version(&live),
            ) {
                metadata.insert("resourceVersion".into(), version.into());
            }
            let replaced = self
                .cluster
                .replace(&target.location(), &object, self.manager)
                .await;
            replaced.map_err(|error| words("update", chain_text(&error)))?;
        } else {
            let created = self
                .cluster
                .create(&target.location(), &target.object, self.manager)
                .await;
            created.map_err(|error| words("create", chain_text(&error)))?;
        }
        self.log
            .say(format!("applied CustomResourceDefinition {name}"));
        Ok(true)
    }

    async fn await_established(&self, written: &[Target]) -> Result<(), ActionError> {
        if written.is_empty() {
            return Ok(());
        }
        let options = WaitOptions {
            fail_fast: false,
            ..WaitOptions::new(PATIENCE.min(self.left()))
        };
        let inventory = objects::inventory(written);
        let waited = self.cluster.wait(&inventory, &options);
        let parked = self
            .progress
            .park(PATIENCE + Duration::from_secs(5), waited)
            .await;
        for target in written {
            if let Some(group) = object::str_at(&target.object, &["spec", "group"]) {
                self.cluster.forget_group(group);
            }
        }
        match parked {
            Parked::Done(Ok(())) => Ok(()),
            Parked::Done(Err(error)) => Err(ActionError::Failed(error.to_string())),
            Parked::Expired => Err(ActionError::Failed("context deadline exceeded".into())),
            Parked::Superseded(by) => Err(ActionError::Superseded(by)),
        }
    }
}
