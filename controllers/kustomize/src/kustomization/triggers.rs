//! What wakes a Kustomization beside its own changes: a new revision of its source, a dependency
//! that became ready, a changed ConfigMap or Secret.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use api::{
    Reconciled,
    kustomize::{Kustomization, SourceKind, SubstituteKind},
    meta::DependencyReference,
};
use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Client, Resource, ResourceExt,
    api::{DynamicObject, PartialObjectMeta},
    runtime::{
        reflector::{ObjectRef, Store},
        watcher::Event,
    },
};
use runtime::{Triggers, watch};

use super::depend::{CIRCLE, MAX_CIRCLE};
use super::source::{self, Reference, Shelf, same_revision};

/// A stream of Kustomizations to reconcile.
pub(in crate::kustomization) type Woken = BoxStream<'static, ObjectRef<Kustomization>>;

const KINDS: [SourceKind; 4] = [
    SourceKind::GitRepository,
    SourceKind::OciRepository,
    SourceKind::Bucket,
    SourceKind::ExternalArtifact,
];

/// Returns all triggers.
pub(super) fn all(
    triggers: &Triggers<Kustomization>,
    external: bool,
    configs: &str,
    shelf: &Arc<Shelf>,
) -> Vec<Woken> {
    let mut streams: Vec<Woken> = KINDS
        .into_iter()
        .filter(|kind| *kind != SourceKind::ExternalArtifact || external)
        .map(|kind| sources(triggers, kind, Arc::clone(shelf)))
        .collect();
    streams.push(dependants(triggers));
    streams.push(config_maps(triggers, configs));
    streams.push(secrets(triggers, configs));
    streams
}

/// A source has a revision that a Kustomization has not attempted.
fn sources(triggers: &Triggers<Kustomization>, kind: SourceKind, shelf: Arc<Shelf>) -> Woken {
    let (store, running) = (triggers.store(), triggers.running());
    let scope = watch::Scope {
        selector: None,
        ..triggers.scope().clone()
    };
    watch::events_dynamic(triggers.client(), &scope, source::resource(kind))
        .filter_map(move |event| {
            shelf.take(kind, &event);
            std::future::ready(match event {
                Event::Apply(source) | Event::InitApply(source) => Some(source),
                Event::Delete(_) | Event::Init | Event::InitDone => None,
            })
        })
        .flat_map(move |source| {
            let woken = behind(&store, kind, &source);
            for object in &woken {
                let namespace = source.namespace().unwrap_or_default();
                let by = format!("{}/{namespace}/{}", kind.as_str(), source.name_any());
                running.supersede(object, &by);
            }
            futures::stream::iter(woken)
        })
        .boxed()
}

/// Returns the Kustomizations of a source that have not attempted its revision, dependencies
/// before those that depend on them.
fn behind(
    store: &Store<Kustomization>,
    kind: SourceKind,
    source: &DynamicObject,
) -> Vec<ObjectRef<Kustomization>> {
    let Some(artifact) = source::artifact(source) else {
        return Vec::new();
    };
    let reference = Reference {
        kind,
        namespace: source.namespace().unwrap_or_default(),
        name: source.name_any(),
    };
    let hits = store
        .state_filter(|o| Reference::of(o) == reference && !has_attempted(o, &artifact.revision));
    in_order(hits)
        .iter()
        .map(|o| ObjectRef::from_obj(&**o))
        .collect()
}

/// True where the last run was for this revision and did not fail.
fn has_attempted(object: &Kustomization, revision: &str) -> bool {
    let attempted = object
        .status
        .as_ref()
        .and_then(|s| s.last_attempted_revision.as_deref());
    let is = |type_: &str, status: &str| {
        object
            .conditions()
            .iter()
            .any(|c| c.type_ == type_ && c.status == status)
    };
    let goes_on = is("Ready", "True") || is("Reconciling", "True");
    goes_on && same_revision(attempted.unwrap_or_default(), revision)
}

/// Sorts dependencies before dependants. Those in a circle come last and wait for each other in
/// the open: each says which dependency is not ready.
pub(super) fn in_order(mut objects: Vec<Arc<Kustomization>>) -> Vec<Arc<Kustomization>> {
    objects.sort_by_key(|o| (o.namespace(), o.name_any()));
    let id = |o: &Kustomization| (o.namespace().unwrap_or_default(), o.name_any());
    let mut waiting: HashMap<_, _> = objects.iter().map(|o| (id(o), Arc::clone(o))).collect();
    let mut sorted = Vec::with_capacity(objects.len());
    loop {
        let free: Vec<_> = objects
            .iter()
            .filter(|o| waiting.contains_key(&id(o)))
            .filter(|o| !needs(o).iter().any(|d| waiting.contains_key(d)))
            .cloned()
            .collect();
        if free.is_empty() {
            break;
        }
        for object in free {
            waiting.remove(&id(&object));
            sorted.push(object);
        }
    }
    sorted.extend(objects.into_iter().filter(|o| waiting.contains_key(&id(o))));
    sorted
}

pub(super) fn needs(object: &Kustomization) -> Vec<(String, String)> {
    let own = object.namespace().unwrap_or_default();
    named(object)
        .into_iter()
        .filter(|d| {
            d.kind
                .as_deref()
                .is_none_or(|k| k.is_empty() || k == "Kustomization")
        })
        .map(|d| {
            (
                d.namespace
                    .filter(|n| !n.is_empty())
                    .unwrap_or_else(|| own.clone()),
                d.name,
            )
        })
        .collect()
}

/// What a Kustomization depends on, by field and annotation; the run refuses an annotation that
/// cannot be read.
fn named(object: &Kustomization) -> Vec<DependencyReference> {
    let all = object.dependencies();
    all.unwrap_or_else(|_| object.spec.depends_on.clone())
}

/// A dependency became ready: those that wait for it need not poll. A dependency that another asks
/// by expression wakes it with every change, and one whose spec changed those in a circle. One that
/// begins to wait itself wakes those that it waits for: they may all wait for each other.
fn dependants(triggers: &Triggers<Kustomization>) -> Woken {
    let store = triggers.store();
    let scope = watch::Scope {
        selector: None,
        ..triggers.scope().clone()
    };
    let mut told: HashMap<(String, String), Option<String>> = HashMap::new();
    let mut generations: HashMap<(String, String), Option<i64>> = HashMap::new();
    let mut stuck: HashMap<(String, String), (bool, bool)> = HashMap::new();
    watch::applied::<Kustomization>(triggers.client(), &scope)
        .flat_map(move |object| {
            let id = (object.namespace().unwrap_or_default(), object.name_any());
            let is_news = is_news(&mut told, &object);
            let generation = object.metadata.generation;
            let is_changed = generations.insert(id.clone(), generation) != Some(generation);
            // Whether it waits, and whether it is known to be in a circle.
            let how = (waits(&object), is_in_circle(&object));
            let before = match how {
                (false, false) => stuck.remove(&id),
                _ => stuck.insert(id.clone(), how),
            };
            let begins = before != Some(how) && how != (false, false);
            let circle = if begins {
                needed(&store, &object)
            } else {
                HashSet::new()
            };
            // Only those that are stuck are looked at: a fleet is large, and each of it tells of every run.
            let hits = stuck
                .iter()
                .filter_map(|((namespace, name), (waits, in_circle))| {
                    let o = store.get(&ObjectRef::new(name).within(namespace))?;
                    let waits = *waits && needs(&o).contains(&id);
                    let is_woken =
                        is_news || asks_by_expression(&o, &id) || circle.contains(&id_of(&o));
                    let is_hit = (waits && is_woken) || (is_changed && *in_circle);
                    is_hit.then(|| ObjectRef::from_obj(&*o))
                });
            futures::stream::iter(hits.collect::<Vec<_>>())
        })
        .boxed()
}

fn id_of(object: &Kustomization) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Returns those that an object waits for, and those that these wait for, as far as a circle is looked for.
fn needed(store: &Store<Kustomization>, object: &Kustomization) -> HashSet<(String, String)> {
    let mut found = HashSet::new();
    let mut open = needs(object);
    while let Some(id) = open.pop() {
        if found.len() < MAX_CIRCLE && found.insert(id.clone()) {
            let reference = ObjectRef::new(&id.1).within(&id.0);
            open.extend(store.get(&reference).iter().flat_map(|next| needs(next)));
        }
    }
    found
}

/// Whether an object asks a dependency by an expression, which may look at anything in it.
fn asks_by_expression(object: &Kustomization, (namespace, name): &(String, String)) -> bool {
    let own = object.namespace().unwrap_or_default();
    named(object).iter().any(|d| {
        d.ready_expr.is_some()
            && d.name == *name
            && d.namespace.as_ref().unwrap_or(&own) == namespace
    })
}

fn is_in_circle(object: &Kustomization) -> bool {
    let circle = |c: &api::meta::Condition| c.type_ == "Ready" && c.reason == CIRCLE;
    object.conditions().iter().any(circle)
}

/// Whether an object became ready, or ready with another revision, since it was last seen.
fn is_news(told: &mut HashMap<(String, String), Option<String>>, object: &Kustomization) -> bool {
    let id = (object.namespace().unwrap_or_default(), object.name_any());
    let ready = object
        .conditions()
        .iter()
        .any(|c| c.type_ == "Ready" && c.status == "True");
    let status = object.status.as_ref().filter(|_| ready);
    let now = status.map(|s| {
        let applied = s.last_applied_revision.as_deref().unwrap_or_default();
        format!("{} {applied}", s.observed_generation.unwrap_or_default())
    });
    let before = told.insert(id, now.clone());
    before != Some(now.clone()) && now.is_some()
}

fn waits(object: &Kustomization) -> bool {
    let waiting = |c: &api::meta::Condition| c.type_ == "Ready" && c.reason == "DependencyNotReady";
    object.conditions().iter().any(waiting)
}

fn config_maps(triggers: &Triggers<Kustomization>, selector: &str) -> Woken {
    configs::<ConfigMap>(
        triggers.client(),
        triggers,
        selector,
        SubstituteKind::ConfigMap,
    )
}

fn secrets(triggers: &Triggers<Kustomization>, selector: &str) -> Woken {
    configs::<Secret>(
        triggers.client(),
        triggers,
        selector,
        SubstituteKind::Secret,
    )
}

/// A ConfigMap or Secret with the watch label changed; only its metadata is watched.
fn configs<K>(
    client: Client,
    triggers: &Triggers<Kustomization>,
    selector: &str,
    kind: SubstituteKind,
) -> Woken
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    K: Clone + std::fmt::Debug + Send + Sync + 'static,
{
    let store = triggers.store();
    let selector = Some(selector.to_owned()).filter(|s| !s.is_empty());
    let scope = watch::Scope {
        selector,
        ..triggers.scope().clone()
    };
    watch::touched::<PartialObjectMeta<K>>(client, &scope)
        .flat_map(move |config| {
            let (namespace, name) = (config.namespace(), config.name_any());
            let names = |o: &Kustomization| {
                let from = o.spec.post_build.iter().flat_map(|p| &p.substitute_from);
                let decryption = o
                    .spec
                    .decryption
                    .iter()
                    .filter_map(|d| d.secret_ref.as_ref());
                let access = o
                    .spec
                    .kube_config
                    .iter()
                    .filter_map(|k| k.secret_ref.as_ref());
                let identity = o
                    .spec
                    .kube_config
                    .iter()
                    .filter_map(|k| k.config_map_ref.as_ref());
                let is_secret = kind == SubstituteKind::Secret;
                from.into_iter().any(|r| r.kind == kind && r.name == name)
                    || (is_secret && decryption.into_iter().any(|r| r.name == name))
                    || (is_secret && access.into_iter().any(|r| r.name == name))
                    || (!is_secret && identity.into_iter().any(|r| r.name == name))
            };
            let hits = store.state_filter(|o| o.namespace() == namespace && names(o));
            futures::stream::iter(hits.into_iter().map(|o| ObjectRef::from_obj(&*o)))
        })
        .boxed()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, depends: &[&str]) -> Arc<Kustomization> {
        let depends: Vec<_> = depends.iter().map(|d| json!({ "name": d })).collect();
        let object = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": { "name": name, "namespace": "ns" },
            "spec": { "interval": "1m", "prune": true, "dependsOn": depends,
                "sourceRef": { "kind": "GitRepository", "name": "app" } },
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn names(objects: Vec<Arc<Kustomization>>) -> Vec<String> {
        in_order(objects).iter().map(|o| o.name_any()).collect()
    }

    /// covers: KC-119
    #[test]
    fn dependencies_come_first() {
        let sorted = names(vec![
            object("a", &["b"]),
            object("b", &["c"]),
            object("c", &["gone"]),
        ]);
        assert_eq!(sorted, ["c", "b", "a"]);
    }

    #[test]
    fn dependencies_of_the_annotation_count_too() {
        let mut object: Kustomization = (*object("a", &["b"])).clone();
        let text = r#"[{"name": "c", "namespace": "other"}, {"kind": "HelmRelease", "name": "d"}]"#;
        let annotation = ("lockgate.dev/dependsOn".to_owned(), text.to_owned());
        object.metadata.annotations = Some([annotation].into());
        let id = |namespace: &str, name: &str| (namespace.to_owned(), name.to_owned());
        assert_eq!(needs(&object), [id("ns", "b"), id("other", "c")]);
    }

    #[test]
    fn a_circle_holds_nobody_else_back() {
        let sorted = names(vec![
            object("a", &["b"]),
            object("b", &["a"]),
            object("c", &[]),
        ]);
        assert_eq!(sorted, ["c", "a", "b"]);
    }

    /// covers: KC-120
    #[test]
    fn revision_that_was_attempted_wakes_nobody() {
        let mut attempted: Kustomization = (*object("a", &[])).clone();
        attempted.status = serde_json::from_value(json!({
            "lastAttemptedRevision": "main@sha1:1",
            "conditions": [{ "type": "Ready", "status": "True", "reason": "X", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z" }] }))
        .unwrap();
        assert!(has_attempted(&attempted, "main@sha1:1"));
        assert!(!has_attempted(&attempted, "main@sha1:2"));
        assert!(!has_attempted(&object("a", &[]), "main@sha1:1"));
    }
}
