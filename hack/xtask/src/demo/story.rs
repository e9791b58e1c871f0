//! The promises, one after the other. Each is checked; the first that does not hold ends the demo.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use testkit::{PushedArtifact, Registry, Repository};

use super::cluster::{Cluster, condition, field, ready};
use super::narrator::{Narrator, short};
use super::root;

const PATIENCE: Duration = Duration::from_mins(1);
const ENVIRONMENTS: [&str; 3] = ["dev", "staging", "prod"];

/// Tells the story.
pub(super) async fn tell(
    narrator: &Narrator,
    cluster: &Cluster,
    repository: &Repository,
    registry: &Registry,
) -> Result<()> {
    let story = Story {
        narrator,
        cluster,
        repository,
        registry,
    };
    narrator.heading("What GitOps promises");
    story.first_sync().await?;
    story.commit_goes_live().await?;
    story.hand_edit_is_put_back().await?;
    story.removed_file_is_pruned().await?;
    story.revert_rolls_back().await?;
    story.broken_commit_is_refused().await?;
    story.deleted_namespace_is_rebuilt().await?;
    story.pushed_image_goes_live().await
}

struct Story<'a> {
    narrator: &'a Narrator,
    cluster: &'a Cluster,
    repository: &'a Repository,
    registry: &'a Registry,
}

impl Story<'_> {
    async fn first_sync(&self) -> Result<()> {
        let folder = root().join("hack/demo/app");
        let mut files = Vec::new();
        read_files(&folder, &folder, &mut files)?;
        for (_, text) in &mut files {
            *text = text.replace("registry.example", self.registry.address());
        }
        let files: Vec<_> = files
            .iter()
            .map(|(p, t)| (p.as_str(), t.as_str()))
            .collect();
        self.repository
            .commit_files("main", "The shop, in three environments", files)?;
        let objects = std::fs::read_to_string(root().join("hack/demo/gitops.yaml"))?;
        let began = Instant::now();
        self.cluster
            .apply(
                &objects
                    .replace("${url}", self.repository.url())
                    .replace("${registry}", self.registry.address()),
            )
            .await?;
        let commit = self.repository.id_of("main")?;
        for name in ENVIRONMENTS {
            self.applied(name, &commit).await?;
        }
        self.narrator.done(
            "first sync: dev, staging and prod are live and healthy",
            began.elapsed(),
        );
        Ok(())
    }

    async fn commit_goes_live(&self) -> Result<()> {
        let path = "overlays/prod/replicas.yaml";
        let text = self.repository.read("main", path)?;
        let commit = self
            .repository
            .commit("main", "Five replicas in production");
        commit
            .write(path, text.replace("replicas: 3", "replicas: 5"))
            .push()?;
        let commit = self.repository.id_of("main")?;
        let began = Instant::now();
        self.cluster.request().await?;
        let asked = began.elapsed();
        let patience = PATIENCE;
        let names = |o: Option<&DynamicObject>, pointer: &str| {
            o.is_some_and(|o| {
                field(o, pointer)
                    .as_str()
                    .is_some_and(|r| r.ends_with(&commit))
            })
        };
        let sources = self.cluster.sources();
        self.cluster
            .until(&sources, "shop", patience, |o| {
                names(o, "/status/artifact/revision")
            })
            .await?;
        let fetched = began.elapsed();
        let deployments = self.cluster.api("apps/v1", "Deployment", "shop-prod");
        let five = |o: Option<&DynamicObject>| o.is_some_and(|o| *field(o, "/spec/replicas") == 5);
        self.cluster
            .until(&deployments, "shop", patience, five)
            .await?;
        let live = began.elapsed();
        self.applied("prod", &commit).await?;
        self.narrator
            .done("a commit that changes the replica count goes live", live);
        self.narrator.say(&format!(
            "   of which: request {}, fetch and publish {}, build and apply {}; healthy after {}",
            short(asked),
            short(fetched.saturating_sub(asked)),
            short(live.saturating_sub(fetched)),
            short(began.elapsed()),
        ));
        ensure!(
            live < Duration::from_secs(2),
            "commit to live took {live:?}, more than 2 s"
        );
        Ok(())
    }

    async fn hand_edit_is_put_back(&self) -> Result<()> {
        let deployments = self.cluster.api("apps/v1", "Deployment", "shop-prod");
        let edit = json!({ "spec": { "replicas": 1 } });
        let params = PatchParams {
            field_manager: Some("kubectl-edit".into()),
            ..PatchParams::default()
        };
        let began = Instant::now();
        deployments
            .patch("shop", &params, &Patch::Merge(edit))
            .await?;
        let five = |o: Option<&DynamicObject>| o.is_some_and(|o| *field(o, "/spec/replicas") == 5);
        self.cluster
            .until(&deployments, "shop", PATIENCE, five)
            .await?;
        self.narrator.done(
            "a hand edit is put back at the next interval (5 s)",
            began.elapsed(),
        );
        Ok(())
    }

    async fn removed_file_is_pruned(&self) -> Result<()> {
        let path = "overlays/prod/kustomization.yaml";
        let text = self.repository.read("main", path)?;
        let commit = self.repository.commit("main", "No dashboard any more");
        commit
            .write(path, text.replace("- dashboard.yaml\n", ""))
            .remove("overlays/prod/dashboard.yaml")
            .push()?;
        let began = Instant::now();
        self.cluster.request().await?;
        let config_maps = self.cluster.api("v1", "ConfigMap", "shop-prod");
        self.cluster
            .until(&config_maps, "dashboard", PATIENCE, |o| o.is_none())
            .await?;
        self.narrator
            .done("a file removed from Git is pruned", began.elapsed());
        Ok(())
    }

    async fn revert_rolls_back(&self) -> Result<()> {
        self.repository.revert("main")?;
        let began = Instant::now();
        self.cluster.request().await?;
        let config_maps = self.cluster.api("v1", "ConfigMap", "shop-prod");
        self.cluster
            .until(&config_maps, "dashboard", PATIENCE, |o| o.is_some())
            .await?;
        self.narrator.done("git revert rolls back", began.elapsed());
        Ok(())
    }

    async fn broken_commit_is_refused(&self) -> Result<()> {
        let path = "overlays/prod/replicas.yaml";
        let good = self.repository.read("main", path)?;
        let broken = good.replace("  replicas: 5", "  replicas: 7\n   oops: [");
        ensure!(broken != good, "the demo's own file is not as expected");
        self.repository
            .commit("main", "A slip")
            .write(path, &broken)
            .push()?;
        let began = Instant::now();
        self.cluster.request().await?;
        let refused = |o: Option<&DynamicObject>| o.is_some_and(|o| ready(o, "False"));
        let kustomizations = self.cluster.kustomizations();
        self.cluster
            .until(&kustomizations, "prod", PATIENCE, refused)
            .await?;
        let took = began.elapsed();
        let object = kustomizations.get("prod").await?;
        let words = condition(&object, "Ready")
            .map(|c| c["message"].clone())
            .unwrap_or_default();
        let words = words.as_str().context("Ready says nothing")?;
        ensure!(
            words.contains(&format!("{path}:7")),
            "file and line are not named: {words}"
        );
        let deployments = self.cluster.api("apps/v1", "Deployment", "shop-prod");
        let live = deployments.get("shop").await?;
        ensure!(
            *field(&live, "/spec/replicas") == 5,
            "the live state did not stay"
        );
        self.narrator.done(
            "a broken commit is refused with file and line; the live state stays",
            took,
        );
        self.narrator.say(&format!("   {words}"));
        self.repository.revert("main")?;
        self.cluster.request().await?;
        self.applied("prod", &self.repository.id_of("main")?).await
    }

    async fn deleted_namespace_is_rebuilt(&self) -> Result<()> {
        let namespaces = self.cluster.api("v1", "Namespace", "");
        let before = namespaces.get("shop-prod").await?.metadata.uid;
        let began = Instant::now();
        namespaces
            .delete("shop-prod", &DeleteParams::default())
            .await?;
        let deployments = self.cluster.api("apps/v1", "Deployment", "shop-prod");
        let mut told = Instant::now();
        loop {
            let namespace = namespaces.get_opt("shop-prod").await?;
            let fresh = namespace.is_some_and(|n| n.metadata.uid != before);
            if fresh
                && let Some(shop) = deployments.get_opt("shop").await?
                && field(&shop, "/status/readyReplicas") == &Value::from(5)
            {
                break;
            }
            if began.elapsed() > PATIENCE * 2 {
                bail!("the namespace is not rebuilt after {:?}", began.elapsed());
            }
            if told.elapsed() > Duration::from_secs(5) {
                told = Instant::now();
                self.narrator
                    .say("   waiting for Kubernetes to finish the namespace off ...");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.narrator.done(
            "a namespace deleted by hand is rebuilt from Git, pods and all",
            began.elapsed(),
        );
        Ok(())
    }

    async fn pushed_image_goes_live(&self) -> Result<()> {
        let tip = self.repository.id_of("main")?;
        self.registry
            .push("shop", "1.2.4", &PushedArtifact::default())?;
        let began = Instant::now();
        let images = self.cluster.images();
        self.cluster.request_of(&images, "shop").await?;
        let commit = loop {
            let now = self.repository.id_of("main")?;
            if now != tip {
                break now;
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "no commit after {:?}",
                began.elapsed()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let committed = began.elapsed();
        let log = self
            .repository
            .git(&["log", "-1", "--format=%an: %s", &commit])?;
        self.cluster.request().await?;
        let image = format!("{}/shop:1.2.4", self.registry.address());
        let runs = |o: Option<&DynamicObject>| {
            let pointer = "/spec/template/spec/containers/0/image";
            o.is_some_and(|o| *field(o, pointer) == image)
        };
        let deployments = self.cluster.api("apps/v1", "Deployment", "shop-prod");
        self.cluster
            .until(&deployments, "shop", PATIENCE, runs)
            .await?;
        self.narrator.done(
            "an image pushed to the registry is found, committed to Git, and goes live",
            began.elapsed(),
        );
        self.narrator.say(&format!(
            "   scan to commit {}: {}",
            short(committed),
            log.trim()
        ));
        ensure!(
            committed < Duration::from_secs(5),
            "scan to commit took {committed:?}, more than 5 s"
        );
        Ok(())
    }

    /// Waits until a Kustomization has applied a commit and is ready.
    async fn applied(&self, name: &str, commit: &str) -> Result<()> {
        let is = |o: Option<&DynamicObject>| {
            o.is_some_and(|o| {
                let revision = field(o, "/status/lastAppliedRevision")
                    .as_str()
                    .unwrap_or_default();
                ready(o, "True") && revision.ends_with(commit)
            })
        };
        let kustomizations = self.cluster.kustomizations();
        self.cluster
            .until(&kustomizations, name, PATIENCE, is)
            .await
            .map(drop)
    }
}

/// Reads a folder's files, with paths relative to `root`.
fn read_files(
    root: &std::path::Path,
    folder: &std::path::Path,
    files: &mut Vec<(String, String)>,
) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_files(root, &path, files)?;
        } else {
            let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
            files.push((name, std::fs::read_to_string(&path)?));
        }
    }
    Ok(())
}
