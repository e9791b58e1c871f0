//! What wakes an ImagePolicy beside its own changes: new tags of its image.

use std::collections::HashMap;

use api::image::{ImagePolicy, ImageRepository};
use futures::{StreamExt, stream::BoxStream};
use kube::{
    ResourceExt,
    runtime::{reflector::ObjectRef, watcher},
};
use runtime::{Triggers, watch};

/// An ImageRepository came, went, changed who may use it, or has other tags than before. That its Ready comes and goes
/// wakes nobody.
pub(super) fn repositories(
    triggers: &Triggers<ImagePolicy>,
) -> BoxStream<'static, ObjectRef<ImagePolicy>> {
    let store = triggers.store();
    let scope = watch::Scope {
        selector: None,
        ..triggers.scope().clone()
    };
    let mut seen = HashMap::new();
    watch::events::<ImageRepository>(triggers.client(), &scope)
        .flat_map(move |event| {
            let changed = match event {
                watcher::Event::Apply(object) | watcher::Event::InitApply(object) => {
                    let facts = facts(&object);
                    let is_new = seen.insert(id(&object), facts.clone()) != Some(facts);
                    is_new.then_some(object)
                }
                watcher::Event::Delete(object) => {
                    seen.remove(&id(&object));
                    Some(object)
                }
                watcher::Event::Init | watcher::Event::InitDone => None,
            };
            let woken = changed.map(|repository| {
                let hits = store.state_filter(|policy| names(policy, &repository));
                hits.iter()
                    .map(|hit| ObjectRef::from_obj(&**hit))
                    .collect::<Vec<_>>()
            });
            futures::stream::iter(woken.unwrap_or_default())
        })
        .boxed()
}

fn id(object: &ImageRepository) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// What of an ImageRepository matters to a policy.
fn facts(object: &ImageRepository) -> (Option<String>, Option<String>, String) {
    let status = object.status.as_ref();
    let result = status.and_then(|status| status.last_scan_result.as_ref());
    (
        result.and_then(|result| result.revision.clone()),
        status.and_then(|status| status.canonical_image_name.clone()),
        serde_json::to_string(&object.spec.access_from).unwrap_or_default(),
    )
}

fn names(policy: &ImagePolicy, repository: &ImageRepository) -> bool {
    let reference = &policy.spec.image_repository_ref;
    let namespace = reference.namespace.clone().filter(|n| !n.is_empty());
    reference.name == repository.name_any()
        && namespace.or_else(|| policy.namespace()) == repository.namespace()
}
