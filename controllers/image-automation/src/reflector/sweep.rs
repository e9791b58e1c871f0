//! Removes the tags of objects that are gone: deletions that happened while no controller ran.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use api::image::ImageRepository;
use futures::FutureExt;
use kube::{Api, Client, ResourceExt, api::ListParams};
use runtime::Server;

use crate::tags::Tags;

/// Returns the sweeper, which only the leader runs; none where it is switched off.
pub(super) fn server(client: Client, tags: Arc<Tags>, minutes: u16) -> Option<Server> {
    if minutes == 0 {
        return None;
    }
    let pause = Duration::from_secs(u64::from(minutes) * 60);
    Some(Server {
        name: "tags",
        leader_only: true,
        serve: Box::new(move |stop| {
            async move {
                loop {
                    tokio::select! {
                        () = stop.cancelled() => return Ok(()),
                        () = tokio::time::sleep(pause) => {}
                    }
                    match sweep(&client, &tags).await {
                        Ok(0) => {}
                        Ok(count) => tracing::info!(count, "removed tags of objects that are gone"),
                        Err(error) => {
                            let cause = runtime::failure::chain(error.as_ref());
                            tracing::error!(error = cause, "failed to remove tags");
                        }
                    }
                }
            }
            .boxed()
        }),
    })
}

/// Removes what belongs to no object. Nothing is removed where the objects cannot be listed.
async fn sweep(client: &Client, tags: &Tags) -> anyhow::Result<usize> {
    // Before the listing: what is stored after it belongs to objects that are not in it.
    let stored = tags.stored()?;
    let all = Api::<ImageRepository>::all(client.clone());
    let live: BTreeSet<_> = all
        .list_metadata(&ListParams::default())
        .await?
        .into_iter()
        .map(|object| (object.namespace().unwrap_or_default(), object.name_any()))
        .collect();
    remove(tags, stored, &live)
}

/// Removes those of the stored tags that belong to no live object. Returns how many.
fn remove(
    tags: &Tags,
    stored: Vec<(String, String)>,
    live: &BTreeSet<(String, String)>,
) -> anyhow::Result<usize> {
    let gone = stored.into_iter().filter(|id| !live.contains(id));
    let mut count = 0;
    for (namespace, name) in gone {
        tags.remove(&namespace, &name)?;
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: IA-059
    #[tokio::test]
    async fn sweeper_of_the_leader_ends_when_the_process_does() {
        let folder = tempfile::tempdir().unwrap();
        let tags = Arc::new(Tags::open(folder.path(), 1024).unwrap());
        let nobody = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let client = Client::try_from(nobody).unwrap();
        assert!(server(client.clone(), Arc::clone(&tags), 0).is_none());
        let sweeper = server(client, tags, 1).unwrap();
        assert!(sweeper.leader_only);
        let stop = tokio_util::sync::CancellationToken::new();
        let swept = tokio::spawn((sweeper.serve)(stop.clone()));
        tokio::task::yield_now().await;
        assert!(!swept.is_finished());
        stop.cancel();
        swept.await.unwrap().unwrap();
    }

    /// covers: IA-058
    #[test]
    fn tags_go_with_their_objects_and_empty_folders_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let tags = Tags::open(folder.path(), 1024).unwrap();
        for (namespace, name) in [("a", "app"), ("a", "old"), ("b", "app")] {
            tags.set(namespace, name, &["1".to_owned()]).unwrap();
        }
        let live = [("a".to_owned(), "app".to_owned())].into();
        let sweep = |live| remove(&tags, tags.stored().unwrap(), live).unwrap();
        assert_eq!(sweep(&live), 2);
        assert_eq!(tags.stored().unwrap(), [("a".to_owned(), "app".to_owned())]);
        assert!(!folder.path().join("imagerepository/b").exists());
        assert_eq!(sweep(&live), 0);
        assert_eq!(sweep(&BTreeSet::new()), 1);
        assert!(!folder.path().join("imagerepository/a").exists());
    }
}
