//! What has to hold in the end: the cluster is as Git says, object by object, with nothing lost, doubled or orphaned.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use kube::ResourceExt as _;
use kube::api::{DynamicObject, ListParams};
use serde_json::Value;

use crate::fleet::{CHARTS, UNITS};
use crate::world::{HELM, IMAGE, KUSTOMIZE, SOURCE, World};

const OWNED: [(&str, &str, &str); 2] = [("v1", "", "ConfigMap"), ("apps/v1", "apps", "Deployment")];
/// Of each object the storage keeps the current artifact and the one before.
const KEPT: usize = 2;

/// What differs from what has to be; empty where all is well.
struct Verdict<'a> {
    world: &'a World,
    wrong: Vec<String>,
}

/// Compares everything.
///
/// # Errors
/// The API server's, where it does not answer.
pub(crate) async fn differences(world: &World) -> kube::Result<Vec<String>> {
    let mut verdict = Verdict {
        world,
        wrong: Vec::new(),
    };
    let fleet = tempfile::tempdir().unwrap();
    check_out(&world.fleet, fleet.path());
    let apps = tempfile::tempdir().unwrap();
    check_out(&world.apps, apps.path());
    for name in ["fleet", "apps"] {
        verdict.source(name).await?;
    }
    for number in 0..UNITS {
        let folder = fleet.path().join(format!("units/u{number}"));
        verdict.unit(&World::unit(number), "fleet", &folder).await?;
    }
    verdict
        .unit("apps", "apps", &apps.path().join("deploy"))
        .await?;
    for number in 0..CHARTS {
        let folder = fleet.path().join(format!("charts/c{number}"));
        verdict.release(number, &folder).await?;
    }
    verdict.image().await?;
    verdict.strays().await?;
    verdict.storage();
    Ok(verdict.wrong)
}

impl Verdict<'_> {
    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(what());
        }
    }

    fn tip(&self, repository: &str) -> String {
        let repository = match repository {
            "apps" => &self.world.apps,
            _ => &self.world.fleet,
        };
        repository.id_of("main").unwrap()
    }

    async fn source(&mut self, name: &str) -> kube::Result<()> {
        let object = self.world.api(SOURCE, "GitRepository").get(name).await?;
        let status = &object.data["status"];
        let revision = status["artifact"]["revision"].as_str().unwrap_or_default();
        let holds = is_ready(&object) && revision.ends_with(&self.tip(name));
        self.expect(holds, || {
            format!(
                "GitRepository {name} is behind: {revision} {}",
                why(&object)
            )
        });
        Ok(())
    }

    /// The unit is Ready at the tip; what it owns is what its folder builds to, and so says its inventory.
    async fn unit(&mut self, name: &str, source: &str, folder: &Path) -> kube::Result<()> {
        let object = self.world.api(KUSTOMIZE, "Kustomization").get(name).await?;
        let status = &object.data["status"];
        let applied = status["lastAppliedRevision"].as_str().unwrap_or_default();
        let holds = is_ready(&object) && applied.ends_with(&self.tip(source));
        self.expect(holds, || {
            format!("Kustomization {name} is behind: {applied} {}", why(&object))
        });
        let namespace = self.world.namespace.name().to_owned();
        let wanted = built(&["build", &folder.to_string_lossy()]);
        let selector = format!(
            "kustomize.toolkit.fluxcd.io/name={name},kustomize.toolkit.fluxcd.io/namespace={namespace}"
        );
        let live = self.owned(&selector).await?;
        self.compare(&format!("Kustomization {name}"), &wanted, &live);
        let entries = status["inventory"]["entries"].as_array();
        let inventory: Vec<_> = entries
            .into_iter()
            .flatten()
            .map(|entry| entry["id"].as_str().unwrap_or_default().to_owned())
            .collect();
        let ids: BTreeSet<_> = wanted
            .keys()
            .map(|(kind, name)| {
                let group = OWNED.iter().find(|(_, _, k)| k == kind).unwrap().1;
                format!("{namespace}_{name}_{group}_{kind}")
            })
            .collect();
        let same = inventory.len() == ids.len() && inventory.iter().all(|id| ids.contains(id));
        self.expect(same, || {
            format!("the inventory of {name} is {inventory:?}, not {ids:?}")
        });
        Ok(())
    }

    /// The release is deployed from the chart at the tip, once, and what it owns is what the chart renders to.
    async fn release(&mut self, number: usize, folder: &Path) -> kube::Result<()> {
        let name = World::release(number);
        let object = self.world.api(HELM, "HelmRelease").get(&name).await?;
        let about = std::fs::read_to_string(folder.join("Chart.yaml")).unwrap();
        let version = about.lines().find_map(|l| l.strip_prefix("version: "));
        let latest = &object.data["status"]["history"][0];
        let holds = is_ready(&object)
            && latest["chartVersion"].as_str() == version
            && latest["status"] == "deployed";
        self.expect(holds, || {
            format!("HelmRelease {name} is behind: {latest} {}", why(&object))
        });
        let namespace = self.world.namespace.name().to_owned();
        let arguments = [
            "template",
            &name,
            &folder.to_string_lossy(),
            "--namespace",
            &namespace,
            "--set",
            "colour=blue",
        ];
        let wanted = built(&arguments);
        let selector = format!(
            "helm.toolkit.fluxcd.io/name={name},helm.toolkit.fluxcd.io/namespace={namespace}"
        );
        let live = self.owned(&selector).await?;
        self.compare(&format!("HelmRelease {name}"), &wanted, &live);
        let selector = format!("owner=helm,name={name}");
        let secrets = self.world.api("v1", "Secret");
        let stored = secrets
            .list(&ListParams::default().labels(&selector))
            .await?
            .items;
        let states: Vec<_> = stored
            .iter()
            .map(|secret| {
                (
                    secret.labels()["version"].clone(),
                    secret.labels()["status"].clone(),
                )
            })
            .collect();
        let with = |wanted: &str| states.iter().filter(|(_, s)| s == wanted).count();
        let pending = states.iter().any(|(_, state)| state.starts_with("pending"));
        self.expect(with("deployed") == 1 && !pending, || {
            format!("the revisions of {name} are {states:?}")
        });
        Ok(())
    }

    /// The newest tag is in Git, each was committed once at most, and never an older one after a newer.
    async fn image(&mut self) -> kube::Result<()> {
        let policy = self.world.api(IMAGE, "ImagePolicy").get("app").await?;
        let newest = policy.data["status"]["latestRef"]["tag"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let pushed = format!("1.{}.0", self.world.newest_tag());
        self.expect(newest == pushed, || {
            format!(
                "the policy chose {newest:?}, not {pushed}: {}",
                why(&policy)
            )
        });
        let commits = self.world.apps.git(&["rev-list", "--reverse", "main"]);
        let mut before = None;
        for commit in commits.unwrap().lines() {
            let text = self.world.apps.read(commit, "deploy/app.yaml").unwrap();
            let tag = text
                .split_once("app:1.")
                .and_then(|(_, rest)| rest.split_once(".0"))
                .and_then(|(number, _)| number.parse::<u64>().ok());
            self.expect(tag > before, || {
                format!("{commit} brings tag {tag:?} after {before:?}")
            });
            before = tag;
        }
        self.expect(before == Some(self.world.newest_tag()), || {
            format!("Git has tag {before:?}, not {pushed}")
        });
        Ok(())
    }

    /// Nothing that has an owner's label has none, or two.
    async fn strays(&mut self) -> kube::Result<()> {
        for label in [
            "kustomize.toolkit.fluxcd.io/name",
            "helm.toolkit.fluxcd.io/name",
        ] {
            for (id, object) in self.owned(label).await? {
                let owner = &object.labels()[label];
                let units = (0..UNITS).map(World::unit).chain(["apps".to_owned()]);
                let mut known = units.chain((0..CHARTS).map(World::release));
                let one = known.any(|name| name == *owner);
                let other = object
                    .labels()
                    .keys()
                    .filter(|key| key.ends_with(".toolkit.fluxcd.io/name"))
                    .count();
                self.expect(one && other == 1, || {
                    format!("{id:?} is a stray of {owner}")
                });
            }
        }
        Ok(())
    }

    /// The storage holds no more artifacts of an object than it has to, and nothing half written.
    fn storage(&mut self) {
        let mut folders: BTreeMap<String, usize> = BTreeMap::new();
        for file in self.world.disk.stored() {
            let (folder, name) = file.rsplit_once('/').unwrap_or(("", &file));
            let is_link = name.starts_with("latest.");
            let ends = |end: &str| name.ends_with(end);
            let is_artifact = ends(".tar.gz") || ends(".tgz");
            let known = is_artifact || ends(".lock") || ends(".known") || ends(".yaml");
            self.expect(known, || format!("{file} is left in the storage"));
            if is_artifact && !is_link {
                *folders.entry(folder.to_owned()).or_default() += 1;
            }
        }
        for (folder, count) in folders {
            self.expect(count <= KEPT, || {
                format!("{count} artifacts are kept in {folder}")
            });
        }
    }

    async fn owned(
        &self,
        selector: &str,
    ) -> kube::Result<BTreeMap<(String, String), DynamicObject>> {
        let mut all = BTreeMap::new();
        for (version, _, kind) in OWNED {
            let params = ListParams::default().labels(selector);
            for object in self.world.api(version, kind).list(&params).await? {
                all.insert((kind.to_owned(), object.name_any()), object);
            }
        }
        Ok(all)
    }

    fn compare(
        &mut self,
        owner: &str,
        wanted: &BTreeMap<(String, String), Value>,
        live: &BTreeMap<(String, String), DynamicObject>,
    ) {
        for (id, object) in wanted {
            match live.get(id) {
                None => self.wrong.push(format!("{owner}: {id:?} is lost")),
                Some(found) => {
                    let found = serde_json::to_value(found).unwrap();
                    let same = covers(&found, object) && found["data"] == object["data"];
                    self.expect(same, || format!("{owner}: {id:?} is {found}, not {object}"));
                }
            }
        }
        for id in live.keys().filter(|id| !wanted.contains_key(id)) {
            self.wrong.push(format!("{owner}: {id:?} is orphaned"));
        }
    }
}

/// Whether the live object has every field as wanted; what others add is theirs.
fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, value)| live.get(key).is_some_and(|found| covers(found, value))),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(l, w)| covers(l, w))
        }
        (live, wanted) => live == wanted,
    }
}

fn check_out(repository: &testkit::Repository, folder: &Path) {
    let folder = folder.to_string_lossy();
    repository
        .git(&[
            "--work-tree",
            &folder,
            "checkout",
            "--quiet",
            "--force",
            "main",
            "--",
            ".",
        ])
        .unwrap();
}

/// Runs the command on files, without a cluster, and returns its objects by kind and name.
fn built(arguments: &[&str]) -> BTreeMap<(String, String), Value> {
    let lockgate = testkit::built("lockgate-cli", "lockgate").unwrap();
    let output = Command::new(lockgate).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    let limits = yaml::Limits::default();
    let nodes = yaml::parse(&output.stdout, "built", yaml::Schema::Core, &limits).unwrap();
    let objects = nodes.iter().map(|node| yaml::to_json(node).unwrap());
    objects
        .filter(Value::is_object)
        .map(|mut object| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let id = (text(&object["kind"]), text(&object["metadata"]["name"]));
            // Lists of the API server leave these out.
            let fields = object.as_object_mut().unwrap();
            fields.remove("apiVersion");
            fields.remove("kind");
            (id, object)
        })
        .collect()
}

fn condition<'a>(object: &'a DynamicObject, kind: &str) -> Option<&'a Value> {
    let conditions = object.data["status"]["conditions"].as_array()?;
    conditions.iter().find(|c| c["type"] == kind)
}

fn is_ready(object: &DynamicObject) -> bool {
    let generation = object.metadata.generation;
    condition(object, "Ready").is_some_and(|c| c["status"] == "True")
        && condition(object, "Reconciling").is_none()
        && object.data["status"]["observedGeneration"].as_i64() == generation
}

fn why(object: &DynamicObject) -> String {
    let ready = condition(object, "Ready").unwrap_or(&Value::Null);
    format!("({}: {})", ready["reason"], ready["message"])
}
