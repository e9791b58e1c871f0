//! Writes objects as Helm does: one by one, with its words for what fails.

use std::collections::BTreeSet;

use cluster::{RequestError, chain_text};
use futures::{FutureExt, StreamExt};
use kube::api::{DeleteParams, Patch, PatchParams, PropagationPolicy, ValidationDirective};
use manifest::{ObjectId, managed_fields, object};
use serde_json::{Value, json};

use super::{
    Method, Session, merge,
    objects::{self, Target, Unserved},
};

/// How many objects of one kind are written side by side.
const SIDE_BY_SIDE: usize = 8;
/// How often a write is made anew that another one spoilt.
const CONFLICTS: usize = 5;

/// What an update did before it ended, well or not.
#[derive(Debug, Default)]
pub(crate) struct Updated {
    /// Objects that did not exist before.
    pub created: Vec<Target>,
    /// What went wrong.
    pub error: Option<String>,
}

impl Updated {
    /// The objects with the names that they have in the cluster.
    pub(crate) fn named(&self, targets: &[Target]) -> Vec<Target> {
        let has_name = |t: &&Target| !t.id.name.is_empty();
        let given = targets.iter().filter(has_name);
        let is_new = |c: &&Target| !targets.iter().any(|t| is_same(&t.id, &c.id));
        given
            .chain(self.created.iter().filter(is_new))
            .cloned()
            .collect()
    }
}

/// What happens to managed fields of patches that a client computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fields {
    /// They stay.
    Keep,
    /// They become server-side applied ones first.
    TakeOver,
}

impl Session<'_> {
    /// Creates objects; those of one kind side by side. Returns them with the names they were given.
    ///
    /// # Errors
    /// The texts of all that failed.
    pub(crate) async fn create_all(
        &self,
        targets: &[Target],
        server_side: bool,
    ) -> Result<Vec<Target>, String> {
        let (mut created, mut errors) = (Vec::new(), Vec::new());
        for same in targets.chunk_by(|a, b| a.id.kind == b.id.kind) {
            let work: Vec<_> = same
                .iter()
                .map(|target| self.create_one(target, server_side).boxed())
                .collect();
            let mut results = futures::stream::iter(work).buffered(SIDE_BY_SIDE);
            while let Some(result) = results.next().await {
                match result {
                    Ok(target) => created.push(target),
                    Err(cause) => errors.push(cause),
                }
            }
        }
        if errors.is_empty() {
            Ok(created)
        } else {
            Err(errors.join("\n"))
        }
    }

    async fn create_one(&self, target: &Target, server_side: bool) -> Result<Target, String> {
        if server_side && !target.id.name.is_empty() {
            self.apply_one(target, false).await?;
            return Ok(target.clone());
        }
        let created = self
            .cluster
            .create(&target.location(), &target.object, self.manager)
            .await;
        self.log.say(format!("creating {}", target.id));
        let created = created.map_err(|error| chain_text(&error))?;
        let mut target = target.clone();
        object::name(&created).clone_into(&mut target.id.name);
        Ok(target)
    }

    async fn apply_one(&self, target: &Target, force: bool) -> Result<(), String> {
        self.log.say(format!("applying {}", target.id));
        let params = PatchParams {
            field_manager: Some(self.manager.to_owned()),
            force,
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::default()
        };
        let patch = Patch::Apply(&target.object);
        match self
            .cluster
            .patch(&target.location(), &params, &patch)
            .await
        {
            Ok(_) => Ok(()),
            Err(error) => {
                let (words, cause) = (target.words(), chain_text(&error));
                self.log
                    .say(format!("error applying {}: {cause}", target.id));
                Err(if error.is_conflict() {
                    format!("conflict occurred while applying object {words}: {cause}")
                } else {
                    format!("server-side apply failed for object {words}: {cause}")
                })
            }
        }
    }

    /// Makes the cluster have `targets`, knowing what a release had before: creates, changes,
    /// deletes. The first object that cannot be created ends it; those that cannot be changed are
    /// told together.
    pub(crate) async fn update_all(
        &self,
        originals: &[Target],
        targets: &[Target],
        method: Method,
        fields: Fields,
    ) -> Updated {
        let mut updated = Updated::default();
        let (mut errors, mut changed) = (Vec::new(), BTreeSet::new());
        for target in targets {
            let live = match self.live(target).await {
                Ok(live) => live,
                Err(cause) => {
                    updated.error = Some(format!(
                        "could not get information about the resource: {cause}"
                    ));
                    return updated;
                }
            };
            let Some(live) = live else {
                updated.created.push(target.clone());
                match self.create_one(target, method.server_side).await {
                    Ok(named) => {
                        updated.created.pop();
                        updated.created.push(named);
                    }
                    Err(cause) => {
                        updated.error = Some(format!("failed to create resource: {cause}"));
                        return updated;
                    }
                }
                continue;
            };
            changed.extend(object::uid(&live).map(str::to_owned));
            let original = originals.iter().find(|o| is_same(&o.id, &target.id));
            let original = original.map(|o| &o.object);
            if let Err(cause) = self
                .change_one(original, target, live, method, fields)
                .await
            {
                errors.push(cause);
            }
        }
        if errors.is_empty() {
            errors.extend(self.delete_left_over(originals, targets, &changed).await);
        }
        if !errors.is_empty() {
            updated.error = Some(errors.join(" && "));
        }
        updated
    }

    async fn live(&self, target: &Target) -> Result<Option<Value>, String> {
        if target.id.name.is_empty() {
            return Ok(None);
        }
        let found = self.cluster.get(&target.location()).await;
        found.map_err(|error| chain_text(&error))
    }

    async fn change_one(
        &self,
        original: Option<&Value>,
        target: &Target,
        live: Value,
        method: Method,
        fields: Fields,
    ) -> Result<(), String> {
        if method.replace && !method.server_side {
            return self.replace_one(target, &live).await;
        }
        if method.server_side {
            if fields == Fields::TakeOver {
                self.take_over_fields(target, live).await?;
            }
            return self.apply_one(target, true).await;
        }
        self.log.say(format!("patching {}", target.id));
        let patch = merge::patch(original.unwrap_or(&live), &target.object, &live);
        let params = PatchParams {
            field_manager: Some(self.manager.to_owned()),
            ..PatchParams::default()
        };
        let patched = match &patch {
            merge::Computed::Nothing => return Ok(()),
            merge::Computed::Strategic(patch) => {
                self.cluster
                    .patch(&target.location(), &params, &Patch::Strategic(patch))
                    .await
            }
            merge::Computed::Merge(patch) => {
                self.cluster
                    .patch(&target.location(), &params, &Patch::Merge(patch))
                    .await
            }
        };
        patched.map(drop).map_err(|error| {
            let (name, kind) = (&target.id.name, &target.id.kind);
            format!(
                "cannot patch {name:?} with kind {kind}: {}",
                chain_text(&error)
            )
        })
    }

    async fn replace_one(&self, target: &Target, live: &Value) -> Result<(), String> {
        self.log.say(format!("replacing {}", target.id));
        let mut object = target.object.clone();
        if let (Some(metadata), Some(version)) = (
            object::metadata_mut(&mut object),
            object::resource_version(live),
        ) {
            metadata.insert("resourceVersion".into(), version.into());
        }
        let replaced = self
            .cluster
            .replace(&target.location(), &object, self.manager)
            .await;
        replaced
            .map(drop)
            .map_err(|error| format!("failed to replace object: {}", chain_text(&error)))
    }

    /// Makes fields that our own patches own applied ones, so that apply can remove them.
    async fn take_over_fields(&self, target: &Target, live: Value) -> Result<(), String> {
        let taken = [managed_fields::TakenManager {
            prefix: self.manager.to_owned(),
            operation: "Update",
        }];
        let mut live = live;
        for _ in 0..CONFLICTS {
            let mut patch = managed_fields::cleanup_patch(&live, self.manager, &taken);
            // Only the managed fields: left-over annotations are not ours to remove.
            patch.retain(|op| {
                let path = op["path"].as_str().unwrap_or_default();
                !path.starts_with("/metadata/annotations") && !path.starts_with("/metadata/labels")
            });
            if patch.is_empty() {
                return Ok(());
            }
            match self.json_patch(target, Value::Array(patch)).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_conflict() || error.code() == 422 => {}
                Err(error) => {
                    let (words, cause) = (target.words(), chain_text(&error));
                    return Err(format!(
                        "failed to patch object to upgrade CSA field manager {words}: {cause}"
                    ));
                }
            }
            match self.live(target).await? {
                Some(newer) => live = newer,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Sends a JSON patch.
    pub(crate) async fn json_patch(
        &self,
        target: &Target,
        operations: Value,
    ) -> Result<(), RequestError> {
        let params = PatchParams {
            field_manager: Some(self.manager.to_owned()),
            ..PatchParams::default()
        };
        // The operations travel as they are; only the content type matters.
        let patch: Patch<&Value> = match serde_json::from_value(operations) {
            Ok(patch) => Patch::Json(patch),
            Err(error) => return Err(RequestError::Invalid(error.to_string())),
        };
        self.cluster
            .patch(&target.location(), &params, &patch)
            .await
            .map(drop)
    }

    /// Deletes what a release had and no longer has. Returns what failed.
    ///
    /// What was just changed under the name of another group, by its `uid`, is not left over.
    async fn delete_left_over(
        &self,
        originals: &[Target],
        targets: &[Target],
        changed: &BTreeSet<String>,
    ) -> Vec<String> {
        let wanted: BTreeSet<_> = targets.iter().map(|t| key(&t.id)).collect();
        let mut errors = Vec::new();
        for old in originals.iter().filter(|o| !wanted.contains(&key(&o.id))) {
            let live = match self.live(old).await {
                Ok(Some(live)) => live,
                Ok(None) => continue,
                Err(cause) => {
                    self.log.say(format!("unable to get {}: {cause}", old.id));
                    continue;
                }
            };
            if object::uid(&live).is_some_and(|uid| changed.contains(uid)) {
                continue;
            }
            if objects::is_kept(&live) {
                self.log
                    .say(format!("skipping delete of {} due to its policy", old.id));
                continue;
            }
            self.log.say(format!("deleting {}", old.id));
            if let Err(error) = self.delete_one(old, PropagationPolicy::Background).await {
                let (namespace, name, kind) = (&old.id.namespace, &old.id.name, &old.id.kind);
                errors.push(format!(
                    "failed to delete resource namespace={namespace}, name={name}, kind={kind}: {}",
                    chain_text(&error)
                ));
            }
        }
        errors
    }

    /// Deletes an object; one that is gone is no error.
    pub(crate) async fn delete_one(
        &self,
        target: &Target,
        propagation: PropagationPolicy,
    ) -> Result<(), RequestError> {
        let params = DeleteParams {
            propagation_policy: Some(propagation),
            ..DeleteParams::default()
        };
        match self.cluster.delete(&target.location(), &params).await {
            Err(error) if error.is_not_found() => Ok(()),
            result => result,
        }
    }

    /// Deletes objects, all of them even where some fail. Returns what failed.
    pub(crate) async fn delete_all(
        &self,
        targets: &[Target],
        propagation: &PropagationPolicy,
    ) -> Vec<String> {
        let mut errors = Vec::new();
        for same in targets.chunk_by(|a, b| a.id.kind == b.id.kind) {
            let work: Vec<_> = same
                .iter()
                .map(|target| {
                    self.log.say(format!("deleting {}", target.id));
                    self.delete_one(target, propagation.clone()).boxed()
                })
                .collect();
            let mut results = futures::stream::iter(work).buffered(SIDE_BY_SIDE);
            while let Some(result) = results.next().await {
                errors.extend(result.err().map(|error| chain_text(&error)));
            }
        }
        errors
    }

    /// Finds those of the objects that exist. `foreign` refuses what belongs to nobody or another
    /// release.
    ///
    /// # Errors
    /// The text that Helm shows.
    pub(crate) async fn existing(
        &self,
        targets: &[Target],
        foreign: Foreign,
    ) -> Result<Vec<Target>, String> {
        let mut found = Vec::new();
        for target in targets {
            let live = self.live(target).await.map_err(|cause| {
                format!(
                    "could not get information about the resource {}: {cause}",
                    target.title()
                )
            })?;
            let Some(live) = live else { continue };
            if foreign == Foreign::Refuse {
                objects::check_owner(&live, &self.name, &self.namespace).map_err(|cause| {
                    let title = target.title();
                    format!(
                        "{title} exists and cannot be imported into the current release: {cause}"
                    )
                })?;
            }
            found.push(target.clone());
        }
        Ok(found)
    }

    /// Creates the release's namespace; one that exists is no error.
    ///
    /// # Errors
    /// The API server's words.
    pub(crate) async fn create_namespace(&self, server_side: bool) -> Result<(), String> {
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": self.namespace, "labels": { "name": self.namespace } } });
        let text = namespace.to_string();
        let built = objects::build(self.cluster, &text, "", Unserved::Refuse).await?;
        let existing = self.existing(&built, Foreign::Take).await?;
        if !existing.is_empty() {
            return Ok(());
        }
        self.create_all(&built, server_side).await.map(drop)
    }
}

/// What becomes of objects that exist and do not belong to the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// They are taken over.
    Take,
    /// They are an error.
    Refuse,
}

impl Foreign {
    /// Takes them over, or refuses.
    pub(crate) fn or_refuse(take: bool) -> Self {
        if take { Self::Take } else { Self::Refuse }
    }
}

/// What tells objects of two manifests apart, whatever their versions.
fn key(id: &ObjectId) -> (String, String, String, String) {
    let ObjectId {
        namespace,
        name,
        group,
        kind,
    } = id.clone();
    (group, kind, namespace, name)
}

/// Whether two ids name one object.
pub(crate) fn is_same(a: &ObjectId, b: &ObjectId) -> bool {
    key(a) == key(b)
}
