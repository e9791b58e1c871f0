//! What wakes an automation beside its own changes: another choice of a policy, another spec of its source.

use std::collections::HashMap;
use std::time::Duration;

use api::image::{ImagePolicy, ImagePolicyStatus, ImageReference, ImageUpdateAutomation};
use api::source::GitRepository;
use futures::{Stream, StreamExt, stream::BoxStream};
use kube::{
    ResourceExt,
    runtime::{reflector::ObjectRef, watcher},
};
use runtime::{Triggers, watch};
use tokio::time::Instant;

/// Namespace and name.
type Id = (String, String);
type Woken = BoxStream<'static, ObjectRef<ImageUpdateAutomation>>;

/// Policies that choose anew within this time of each other make one commit.
const QUIET: Duration = Duration::from_millis(750);
/// And wait no longer than this.
const PATIENCE: Duration = Duration::from_secs(3);

/// A policy chose another tag: every automation of its namespace looks, once a burst is over.
pub(super) fn policies(triggers: &Triggers<ImageUpdateAutomation>) -> Woken {
    let store = triggers.store();
    let scope = watch::Scope {
        selector: None,
        ..triggers.scope().clone()
    };
    let mut seen: HashMap<Id, ImageReference> = HashMap::new();
    let touched = watch::events::<ImagePolicy>(triggers.client(), &scope)
        .filter_map(move |event| std::future::ready(news(&mut seen, &event)));
    bursts(touched.boxed())
        .flat_map(move |burst| {
            let hits = store.state_filter(|object| {
                burst.iter().any(|((namespace, policy), latest)| {
                    object.namespace().as_deref() == Some(namespace)
                        && observed(object, policy) != Some(latest)
                })
            });
            let hits: Vec<_> = hits.iter().map(|hit| ObjectRef::from_obj(&**hit)).collect();
            futures::stream::iter(hits)
        })
        .boxed()
}

/// What a policy chose that it had not chosen before.
fn news(
    seen: &mut HashMap<Id, ImageReference>,
    event: &watcher::Event<ImagePolicy>,
) -> Option<(Id, ImageReference)> {
    let id = |policy: &ImagePolicy| (policy.namespace().unwrap_or_default(), policy.name_any());
    match event {
        watcher::Event::Apply(policy) | watcher::Event::InitApply(policy) => {
            let latest = policy.status.as_ref().and_then(ImagePolicyStatus::latest)?;
            let before = seen.insert(id(policy), latest.clone());
            (before.as_ref() != Some(&latest)).then(|| (id(policy), latest))
        }
        watcher::Event::Delete(policy) => {
            seen.remove(&id(policy));
            None
        }
        watcher::Event::Init | watcher::Event::InitDone => None,
    }
}

/// What the last run of an automation knew of a policy.
fn observed<'o>(object: &'o ImageUpdateAutomation, policy: &str) -> Option<&'o ImageReference> {
    object.status.as_ref()?.observed_policies.get(policy)
}

/// Collects what comes close together; of two choices of one policy the later.
fn bursts(
    source: BoxStream<'static, (Id, ImageReference)>,
) -> impl Stream<Item = HashMap<Id, ImageReference>> + Send + 'static {
    futures::stream::unfold(source.fuse(), |mut source| async move {
        let mut burst = HashMap::from([source.next().await?]);
        let last = Instant::now() + PATIENCE;
        loop {
            let until = (Instant::now() + QUIET).min(last);
            match tokio::time::timeout_at(until, source.next()).await {
                Ok(Some((id, latest))) => drop(burst.insert(id, latest)),
                Ok(None) | Err(_) => return Some((burst, source)),
            }
        }
    })
}

/// The GitRepository of an automation has another spec.
pub(super) fn sources(triggers: &Triggers<ImageUpdateAutomation>) -> Woken {
    let store = triggers.store();
    let scope = watch::Scope {
        selector: None,
        ..triggers.scope().clone()
    };
    let mut seen: HashMap<Id, Option<i64>> = HashMap::new();
    watch::applied::<GitRepository>(triggers.client(), &scope)
        .flat_map(move |source| {
            let id = (source.namespace().unwrap_or_default(), source.name_any());
            let generation = source.metadata.generation;
            let before = seen.insert(id.clone(), generation);
            let hits = if before == Some(generation) {
                Vec::new()
            } else {
                store.state_filter(|object| {
                    let reference = &object.spec.source_ref;
                    let namespace = reference.namespace.clone().filter(|n| !n.is_empty());
                    let namespace = namespace.or_else(|| object.namespace()).unwrap_or_default();
                    (namespace, reference.name.clone()) == id
                })
            };
            let hits: Vec<_> = hits.iter().map(|hit| ObjectRef::from_obj(&**hit)).collect();
            futures::stream::iter(hits)
        })
        .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: IA-131
    #[test]
    fn another_choice_is_news_and_nothing_else() {
        let mut seen = HashMap::new();
        let policy = |tag: Option<&str>| {
            let mut policy = ImagePolicy::new("app", api::image::ImagePolicySpec::default());
            policy.metadata.namespace = Some("ns".into());
            policy.status = Some(ImagePolicyStatus {
                latest_ref: tag.map(|tag| ImageReference {
                    name: "app".into(),
                    tag: tag.into(),
                    digest: None,
                }),
                ..ImagePolicyStatus::default()
            });
            policy
        };
        let mut told = |event| news(&mut seen, &event).map(|(_, latest)| latest.tag);
        let applied = |tag| watcher::Event::Apply(policy(tag));
        assert_eq!(told(applied(None)), None);
        assert_eq!(told(applied(Some("1"))).as_deref(), Some("1"));
        assert_eq!(told(applied(Some("1"))), None);
        assert_eq!(told(applied(Some("2"))).as_deref(), Some("2"));
        assert_eq!(told(watcher::Event::Delete(policy(Some("2")))), None);
        assert_eq!(told(applied(None)), None);
    }

    /// covers: IA-153
    #[tokio::test(start_paused = true)]
    async fn burst_of_choices_wakes_once() {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let source = futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|item| (item, receiver))
        });
        let mut bursts = Box::pin(bursts(source.boxed()));
        let choice = |name: String, tag: &str| {
            let latest = ImageReference {
                tag: tag.to_owned(),
                ..ImageReference::default()
            };
            (("ns".to_owned(), name), latest)
        };
        tokio::spawn(async move {
            for number in 0..20 {
                let name = format!("p{}", number % 2);
                sender.send(choice(name, &number.to_string())).unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            tokio::time::sleep(Duration::from_secs(10)).await;
            sender.send(choice("late".to_owned(), "1")).unwrap();
        });
        let first = bursts.next().await.unwrap();
        let tag = |name: &str| &*first[&("ns".to_owned(), name.to_owned())].tag;
        assert_eq!((first.len(), tag("p0"), tag("p1")), (2, "18", "19"));
        assert_eq!(bursts.next().await.unwrap().len(), 1);
        assert!(bursts.next().await.is_none());
    }
}
