//! What an apply is going to do, known before it writes anything.

use std::collections::{BTreeMap, BTreeSet};

use manifest::{
    GroupVersionKind, Inventory, ObjectId, inventory, managed_fields, normalize, object,
    order::{self, Stage},
};
use serde_json::Value;

use crate::{
    Cluster,
    discovery::{ResolveError, Resource},
};

use super::{
    ApplyOptions,
    error::{ApplyError, ObjectError, Step},
};

/// One object, ready to be sent.
#[derive(Clone, Debug)]
pub struct PlannedObject {
    /// Its identity: without a namespace where the API server has it in none.
    pub id: ObjectId,
    /// The stage it belongs to.
    pub stage: Stage,
    /// The object with the owner's labels, normalised.
    pub object: Value,
    /// How the API server serves it; `None` when it did not know the kind yet.
    pub(crate) resource: Option<Resource>,
    /// Whether it is a Secret that nobody has decrypted.
    pub(super) encrypted: bool,
}

/// Objects in apply order, with the options they are applied with.
#[derive(Clone, Debug)]
pub struct ApplyPlan {
    objects: Vec<PlannedObject>,
    options: ApplyOptions,
    taken: Vec<managed_fields::TakenManager>,
    defined: BTreeMap<(String, String), bool>,
}

/// A plan that could not be made. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Objects that must not be sent as they are.
    #[error("{0}")]
    Objects(ApplyError),
    /// The API server did not say what types it serves.
    #[error("{0}")]
    Resolve(#[source] ResolveError),
}

impl ApplyPlan {
    /// Lists what will be owned once the plan is applied: to be stored, joined with what was owned
    /// before, ahead of the first write.
    pub fn inventory(&self) -> Inventory {
        Inventory::new(self.objects.iter().map(|planned| inventory::Entry {
            id: planned.id.clone(),
            version: GroupVersionKind::of(&planned.object).version,
        }))
    }

    /// Returns the objects in apply order.
    pub fn objects(&self) -> &[PlannedObject] {
        &self.objects
    }

    /// Returns the same plan for some of the objects only.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&ObjectId) -> bool) -> Self {
        let objects = self.objects.iter().filter(|planned| keep(&planned.id));
        Self {
            objects: objects.cloned().collect(),
            options: self.options.clone(),
            taken: self.taken.clone(),
            defined: self.defined.clone(),
        }
    }

    /// Returns the stages that have objects, in order.
    pub fn stages(&self) -> Vec<Stage> {
        let present: BTreeSet<Stage> = self.objects.iter().map(|planned| planned.stage).collect();
        present.into_iter().collect()
    }

    /// Returns what the objects are applied with.
    pub fn options(&self) -> &ApplyOptions {
        &self.options
    }

    pub(super) fn stage(&self, stage: Stage) -> impl Iterator<Item = &PlannedObject> {
        self.objects
            .iter()
            .filter(move |planned| planned.stage == stage)
    }

    /// Returns the field managers to take over.
    pub(super) fn taken(&self) -> &[managed_fields::TakenManager] {
        &self.taken
    }

    /// Returns the groups that CRDs of this plan define types in.
    pub(super) fn defined_groups(&self) -> impl Iterator<Item = &str> {
        self.defined.keys().map(|(group, _)| group.as_str())
    }

    /// Tells whether a CRD of this plan defines the type.
    pub(super) fn defines(&self, gvk: &GroupVersionKind) -> bool {
        self.defined
            .contains_key(&(gvk.group.clone(), gvk.kind.clone()))
    }
}

impl Cluster {
    /// Prepares objects to be applied: sets the owner's labels, normalises, finds out which are
    /// cluster-scoped, and sorts into stages.
    ///
    /// A kind that neither the API server knows nor a CRD among the objects defines keeps the
    /// namespace its manifest states; it fails when its stage is dry-run.
    ///
    /// # Errors
    /// [`PlanError`] for undecrypted Secrets and when the API server does not answer.
    pub async fn plan_apply(
        &self,
        objects: Vec<Value>,
        options: ApplyOptions,
    ) -> Result<ApplyPlan, PlanError> {
        if !options.continue_on_error {
            refuse_encrypted(&objects, &options)?;
        }
        let defined = defined_types(&objects);
        let mut known: BTreeMap<GroupVersionKind, Option<Resource>> = BTreeMap::new();
        let mut planned = Vec::with_capacity(objects.len());
        for mut value in objects {
            let encrypted = normalize::is_encrypted_secret(&value);
            options.owner.mark(&mut value);
            normalize::normalize(&mut value);
            let gvk = GroupVersionKind::of(&value);
            if !known.contains_key(&gvk) {
                let resource = match self.resolve(&gvk).await {
                    Ok(resource) => Some(resource),
                    Err(error) if error.is_no_match() => None,
                    Err(error) => return Err(PlanError::Resolve(error)),
                };
                known.insert(gvk.clone(), resource);
            }
            let resource = known.get(&gvk).cloned().flatten();
            let namespaced = resource.as_ref().map(|resource| resource.namespaced);
            let namespaced =
                namespaced.or_else(|| defined.get(&(gvk.group.clone(), gvk.kind.clone())).copied());
            if namespaced == Some(false) {
                drop_namespace(&mut value);
            }
            planned.push(PlannedObject {
                id: ObjectId::of(&value),
                stage: order::stage_of(&value, &options.custom_stage_kinds),
                object: value,
                resource,
                encrypted,
            });
        }
        planned.sort_by_cached_key(|it| (it.stage, order::SortKey(it.id.clone())));
        let taken =
            managed_fields::taken_managers(&options.field_manager, &options.override_managers);
        Ok(ApplyPlan {
            objects: planned,
            options,
            taken,
            defined,
        })
    }
}

pub(super) fn drop_namespace(value: &mut Value) {
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("namespace");
    }
}

/// Refuses Secrets that are still SOPS ciphertext: applied, the ciphertext would become the value.
fn refuse_encrypted(objects: &[Value], options: &ApplyOptions) -> Result<(), PlanError> {
    let errors: Vec<ObjectError> = objects
        .iter()
        .filter(|value| normalize::is_encrypted_secret(value))
        .map(|value| ObjectError::without_cause(ObjectId::of(value), Step::Encrypted))
        .collect();
    if errors.is_empty() {
        return Ok(());
    }
    let error = ApplyError::new(errors, options.max_errors, super::Applied::default());
    Err(PlanError::Objects(error))
}

/// Reads from the CRDs among the objects which types they define, and whether those are namespaced.
fn defined_types(objects: &[Value]) -> BTreeMap<(String, String), bool> {
    let definition = |value: &Value| {
        let group = object::str_at(value, &["spec", "group"])?;
        let kind = object::str_at(value, &["spec", "names", "kind"])?;
        let scope = object::str_at(value, &["spec", "scope"])?;
        Some(((group.to_string(), kind.to_string()), scope == "Namespaced"))
    };
    objects
        .iter()
        .filter(|value| object::kind(value) == "CustomResourceDefinition")
        .filter_map(definition)
        .collect()
}
