//! What the watches over sources have shown last.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use api::{kustomize::SourceKind, meta::Artifact};
use kube::{ResourceExt, api::DynamicObject, runtime::watcher::Event};

use super::Reference;

/// The artifacts of all sources, as far as their kinds are watched.
#[derive(Debug, Default)]
pub(crate) struct Shelf(Mutex<HashMap<SourceKind, Known>>);

#[derive(Debug, Default)]
struct Known {
    artifacts: HashMap<(String, String), Artifact>,
    /// What a listing that is not complete has named so far.
    listed: Option<HashMap<(String, String), Artifact>>,
    synced: bool,
}

impl Shelf {
    fn kinds(&self) -> MutexGuard<'_, HashMap<SourceKind, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what a watch shows.
    pub(in crate::kustomization) fn take(&self, kind: SourceKind, event: &Event<DynamicObject>) {
        let mut kinds = self.kinds();
        let known = kinds.entry(kind).or_default();
        match event {
            Event::Init => known.listed = Some(HashMap::new()),
            Event::InitApply(source) => put(known.listed.get_or_insert_default(), source),
            Event::InitDone => {
                known.artifacts = known.listed.take().unwrap_or_default();
                known.synced = true;
            }
            Event::Apply(source) => put(&mut known.artifacts, source),
            Event::Delete(source) => {
                known.artifacts.remove(&key(source));
            }
        }
    }

    /// Returns the artifact of a source; none where nothing is known of it.
    pub(in crate::kustomization) fn artifact(&self, reference: &Reference) -> Option<Artifact> {
        let kinds = self.kinds();
        let known = kinds.get(&reference.kind).filter(|known| known.synced)?;
        let key = (reference.namespace.clone(), reference.name.clone());
        known.artifacts.get(&key).cloned()
    }
}

fn key(source: &DynamicObject) -> (String, String) {
    (source.namespace().unwrap_or_default(), source.name_any())
}

fn put(artifacts: &mut HashMap<(String, String), Artifact>, source: &DynamicObject) {
    match super::artifact(source) {
        Some(artifact) => artifacts.insert(key(source), artifact),
        None => artifacts.remove(&key(source)),
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn source(name: &str, revision: &str) -> DynamicObject {
        serde_json::from_value(json!({ "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository", "metadata": { "name": name, "namespace": "ns" },
            "status": { "artifact": { "url": "u", "path": "p", "revision": revision,
                "digest": "sha256:1", "lastUpdateTime": "2026-01-01T00:00:00Z" } } }))
        .unwrap()
    }

    #[test]
    fn only_what_a_complete_listing_showed_is_known() {
        let shelf = Shelf::default();
        let kind = SourceKind::GitRepository;
        let of = |name: &str| {
            let reference = Reference {
                kind,
                namespace: "ns".into(),
                name: name.into(),
            };
            shelf.artifact(&reference).map(|artifact| artifact.revision)
        };
        shelf.take(kind, &Event::Init);
        shelf.take(kind, &Event::InitApply(source("a", "1")));
        assert_eq!(of("a"), None);
        shelf.take(kind, &Event::InitDone);
        shelf.take(kind, &Event::Apply(source("b", "1")));
        assert_eq!((of("a"), of("b")), (Some("1".into()), Some("1".into())));
        shelf.take(kind, &Event::Apply(source("a", "2")));
        assert_eq!(of("a"), Some("2".into()));
        shelf.take(kind, &Event::Delete(source("a", "2")));
        assert_eq!(of("a"), None);
        // What a new listing does not name is gone.
        shelf.take(kind, &Event::Init);
        shelf.take(kind, &Event::InitDone);
        assert_eq!(of("b"), None);
    }
}
