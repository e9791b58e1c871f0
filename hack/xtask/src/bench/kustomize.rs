//! The kustomize-controller under load, fed by artifacts that this program serves.
//!
//! Each controller has a namespace of its own on the same control plane. The units of a namespace are folders of one
//! artifact: one ConfigMap and one Deployment without replicas each.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use testkit::{ArtifactServer, ControlPlane, Program, install_definitions};

use super::process::{Usage, median, peak_mebibytes, resident_mebibytes};
use crate::repository;

const CRDS: &str = "config/crd/bases";
/// The longest that one measurement may take.
const PATIENCE: Duration = Duration::from_mins(20);
const PAUSE: Duration = Duration::from_millis(200);
const SHORT_PAUSE: Duration = Duration::from_millis(10);
const WORKERS: &str = "20";
const CHAIN: usize = 20;
const DRIFTS: usize = 20;
const LARGE: usize = 5_000;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Our binary, built with `--release`.
    #[arg(long, default_value = "target/release/kustomize-controller")]
    binary: PathBuf,
    /// Upstream's binary, as `hack/interop/build` makes it; without it only ours is measured.
    #[arg(long)]
    upstream: Option<PathBuf>,
    /// The measurements.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "idle,100,100,100,500,steady,chain,drift,large"
    )]
    cases: Vec<Case>,
    /// How long the state of rest is watched, in seconds.
    #[arg(long, default_value_t = 300)]
    rest: u64,
}

/// One measurement: a number is that many units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Idle,
    Units(usize),
    Steady,
    Chain,
    Drift,
    Large,
}

impl std::str::FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "idle" => Ok(Self::Idle),
            "steady" => Ok(Self::Steady),
            "chain" => Ok(Self::Chain),
            "drift" => Ok(Self::Drift),
            "large" => Ok(Self::Large),
            number => match number.parse() {
                Ok(units) if units > 0 => Ok(Self::Units(units)),
                _ => Err(format!("{text} is no measurement")),
            },
        }
    }
}

/// A controller in a namespace of its own.
struct Side {
    name: &'static str,
    program: Program,
    namespace: String,
    client: kube::Client,
    artifacts: ArtifactServer,
}

/// Runs the measurements.
///
/// # Errors
/// As [`super::run`].
pub(crate) fn run(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    runtime.block_on(measure(args))
}

#[expect(clippy::print_stdout, reason = "this is what the task is for")]
fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

async fn measure(args: &Args) -> Result<()> {
    let plane = ControlPlane::start().await?;
    install_definitions(&plane.client(), &repository::root().join(CRDS)).await?;
    let mut contenders = vec![("ours", args.binary.clone())];
    contenders.extend(args.upstream.clone().map(|path| ("upstream", path)));
    row(&["case", "controller", "s", "CPU s", "peak MiB", "requests"].map(str::to_owned));
    row(&["---"; 6].map(str::to_owned));
    for (number, case) in args.cases.iter().enumerate() {
        if *case == Case::Steady {
            // Both at once: the time is long, and what counts is what each process uses.
            steady(&plane, &contenders, number, args.rest).await?;
            continue;
        }
        for (name, binary) in &contenders {
            let is_ours = *name == "ours";
            // What only ours does is measured alone.
            if matches!(case, Case::Drift | Case::Idle) && !is_ours {
                continue;
            }
            let side = Side::start(&plane, name, binary, number).await?;
            match case {
                Case::Idle => side.idle().await?,
                Case::Units(units) => side.units(*units).await?,
                Case::Chain => side.chain().await?,
                Case::Drift => side.drift().await?,
                Case::Large => side.large().await?,
                Case::Steady => {}
            }
            side.end().await?;
        }
    }
    Ok(())
}

async fn steady(
    plane: &ControlPlane,
    contenders: &[(&'static str, PathBuf)],
    number: usize,
    rest: u64,
) -> Result<()> {
    const UNITS: usize = 100;
    let mut sides = Vec::new();
    for (name, binary) in contenders {
        let side = Side::start(plane, name, binary, number).await?;
        side.publish(UNITS, "1").await?;
        side.create(UNITS, &json!({ "interval": "1m" })).await?;
        side.all_ready(UNITS).await?;
        sides.push(side);
    }
    // Every unit has had an interval to come to rest.
    tokio::time::sleep(Duration::from_secs(70)).await;
    let mut before = Vec::new();
    for side in &sides {
        before.push(Usage::of(&side.program).await?);
    }
    tokio::time::sleep(Duration::from_secs(rest)).await;
    for (side, before) in sides.iter().zip(before) {
        let used = Usage::of(&side.program).await?.since(before);
        side.told(
            "steady, 100 at 1 m",
            Duration::from_secs(rest).as_secs_f64(),
            used,
        )?;
    }
    for side in sides {
        side.end().await?;
    }
    Ok(())
}

impl Side {
    async fn start(
        plane: &ControlPlane,
        name: &'static str,
        binary: &PathBuf,
        number: usize,
    ) -> Result<Self> {
        let client = plane.client();
        let namespace = format!("bench-{number}-{name}");
        let object =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
        let api: Api<DynamicObject> = Api::all_with(
            client.clone(),
            &resource("", "v1", "Namespace", "namespaces"),
        );
        let params = PatchParams::apply("bench");
        api.patch(&namespace, &params, &Patch::Apply(object))
            .await?;
        let program = Program::new(binary, plane)?
            .flag("--concurrent", WORKERS)
            .flag("--watch-all-namespaces", "false")
            .flag("--log-level", "error")
            .env("RUNTIME_NAMESPACE", &namespace)
            .start()
            .await?;
        let artifacts = ArtifactServer::start()?;
        Ok(Self {
            name,
            program,
            namespace,
            client,
            artifacts,
        })
    }

    /// Kills the controller and leaves its objects: nobody looks at them any more.
    async fn end(self) -> Result<()> {
        self.program.kill();
        let units = self.units_api();
        // Without their finalizers they go at once, and their objects stay where they disturb nobody.
        for unit in units.list_metadata(&ListParams::default()).await?.items {
            let name = unit.metadata.name.unwrap_or_default();
            let free = json!({ "metadata": { "finalizers": null } });
            let params = PatchParams::default();
            units.patch(&name, &params, &Patch::Merge(free)).await?;
            units.delete(&name, &DeleteParams::default()).await?;
        }
        Ok(())
    }

    fn told(&self, case: &str, seconds: f64, used: Usage) -> Result<()> {
        row(&[
            case.to_owned(),
            self.name.to_owned(),
            format!("{seconds:.2}"),
            format!("{:.2}", used.cpu),
            format!("{:.1}", peak_mebibytes(&self.program)?),
            format!("{:.0}", used.requests),
        ]);
        Ok(())
    }

    fn units_api(&self) -> Api<DynamicObject> {
        let resource = resource(
            "kustomize.toolkit.fluxcd.io",
            "v1",
            "Kustomization",
            "kustomizations",
        );
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    fn config_maps(&self) -> Api<DynamicObject> {
        let resource = resource("", "v1", "ConfigMap", "configmaps");
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// Publishes folders `u0` … of one repository.
    async fn publish(&self, units: usize, value: &str) -> Result<()> {
        let files: Vec<(String, String)> = (0..units)
            .map(|n| (format!("u{n}/all.yaml"), unit(n, value)))
            .collect();
        self.publish_files(&files, value).await
    }

    async fn publish_files(&self, files: &[(String, String)], revision: &str) -> Result<()> {
        let files: Vec<_> = files
            .iter()
            .map(|(p, t)| (p.as_str(), t.as_str()))
            .collect();
        let published = self
            .artifacts
            .publish(&format!("{revision}.tar.gz"), &files)?;
        let resource = resource(
            "source.toolkit.fluxcd.io",
            "v1",
            "GitRepository",
            "gitrepositories",
        );
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let source = json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": { "name": "app" },
            "spec": { "interval": "10m", "url": "https://git.example/app.git" } });
        let params = PatchParams::apply("bench").force();
        api.patch("app", &params, &Patch::Apply(source)).await?;
        let status = json!({ "status": { "artifact": { "url": published.url, "digest": published.digest,
            "revision": format!("main@sha1:{revision:0>40}"), "path": "x", "size": published.size,
            "lastUpdateTime": "2026-01-01T00:00:00Z" } } });
        let params = PatchParams::default();
        api.patch_status("app", &params, &Patch::Merge(status))
            .await?;
        Ok(())
    }

    async fn create(&self, units: usize, spec: &Value) -> Result<()> {
        for n in 0..units {
            self.create_one(n, spec).await?;
        }
        Ok(())
    }

    async fn create_one(&self, n: usize, spec: &Value) -> Result<()> {
        let mut full = json!({ "interval": "10m", "prune": true, "wait": true, "path": format!("./u{n}"),
            "targetNamespace": self.namespace, "sourceRef": { "kind": "GitRepository", "name": "app" } });
        if let (Some(full), Some(spec)) = (full.as_object_mut(), spec.as_object()) {
            full.extend(spec.clone());
        }
        let name = format!("u{n}");
        let object = json!({ "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": { "name": name }, "spec": full });
        let params = PatchParams::apply("bench").force();
        self.units_api()
            .patch(&name, &params, &Patch::Apply(object))
            .await?;
        Ok(())
    }

    async fn all_ready(&self, units: usize) -> Result<()> {
        let began = Instant::now();
        loop {
            let list = self.units_api().list(&ListParams::default()).await?;
            let ready = list.items.iter().filter(|unit| is_ready(unit)).count();
            if ready == units {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                bail!("{}: {ready} of {units} units are ready", self.name);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn idle(&self) -> Result<()> {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let resident = resident_mebibytes(&self.program)?;
        self.told(
            &format!("idle: {resident:.1} MiB resident"),
            10.0,
            Usage::default(),
        )
    }

    async fn units(&self, units: usize) -> Result<()> {
        self.publish(units, "1").await?;
        let before = Usage::of(&self.program).await?;
        let began = Instant::now();
        self.create(units, &json!({})).await?;
        self.all_ready(units).await?;
        let took = began.elapsed().as_secs_f64();
        let used = Usage::of(&self.program).await?.since(before);
        self.told(&format!("{units} units"), took, used)
    }

    /// Each unit depends on the one before. Measured from that one's Ready to its own.
    async fn chain(&self) -> Result<()> {
        self.publish(CHAIN, "1").await?;
        let before = Usage::of(&self.program).await?;
        let on =
            |n: usize| json!({ "wait": false, "dependsOn": [{ "name": format!("u{}", n - 1) }] });
        // The last first, so that all wait when the first comes.
        for n in (1..CHAIN).rev() {
            self.create_one(n, &on(n)).await?;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        let began = Instant::now();
        self.create_one(0, &json!({ "wait": false })).await?;
        let mut ready = vec![None; CHAIN];
        while ready.iter().any(Option::is_none) {
            let list = self.units_api().list(&ListParams::default()).await?;
            for unit in list.items.iter().filter(|unit| is_ready(unit)) {
                let name = unit.metadata.name.as_deref().unwrap_or_default();
                let number: Option<usize> = name.trim_start_matches('u').parse().ok();
                if let Some(at) = number.and_then(|n| ready.get_mut(n)) {
                    at.get_or_insert_with(Instant::now);
                }
            }
            if began.elapsed() > PATIENCE {
                bail!("{}: the chain does not end", self.name);
            }
            tokio::time::sleep(SHORT_PAUSE).await;
        }
        let took = began.elapsed().as_secs_f64();
        let steps = ready
            .windows(2)
            .filter_map(|pair| Some(pair[1]?.saturating_duration_since(pair[0]?)));
        let steps: Vec<_> = steps.collect();
        let longest = steps
            .iter()
            .max()
            .copied()
            .unwrap_or_default()
            .as_secs_f64();
        let middle = median(steps).as_secs_f64();
        let used = Usage::of(&self.program).await?.since(before);
        self.told(
            &format!("chain of {CHAIN}: median {middle:.2} s, longest {longest:.2} s"),
            took,
            used,
        )
    }

    async fn drift(&self) -> Result<()> {
        self.publish(1, "wanted").await?;
        let before = Usage::of(&self.program).await?;
        self.create(1, &json!({ "driftDetection": { "mode": "enabled" } }))
            .await?;
        self.all_ready(1).await?;
        // Watches open within a second or so.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let began = Instant::now();
        let mut times = Vec::new();
        for n in 0..DRIFTS {
            let edit = json!({ "data": { "value": "edited" } });
            // Another manager each time: who repeats a change is left to the interval on purpose.
            let params = PatchParams {
                field_manager: Some(format!("editor-{n}")),
                ..PatchParams::default()
            };
            let edited = Instant::now();
            self.config_maps()
                .patch("c0", &params, &Patch::Merge(edit))
                .await?;
            while self.value().await? != "wanted" {
                if edited.elapsed() > Duration::from_mins(1) {
                    bail!("edit {n} was not taken back");
                }
                tokio::time::sleep(SHORT_PAUSE).await;
            }
            times.push(edited.elapsed());
        }
        let took = began.elapsed().as_secs_f64();
        let longest = times
            .iter()
            .max()
            .copied()
            .unwrap_or_default()
            .as_secs_f64();
        let middle = median(times).as_secs_f64();
        let used = Usage::of(&self.program).await?.since(before);
        self.told(
            &format!("drift {DRIFTS} times: median {middle:.3} s, longest {longest:.3} s"),
            took,
            used,
        )
    }

    async fn value(&self) -> Result<String> {
        let found = self.config_maps().get("c0").await?;
        let value = found.data.pointer("/data/value").and_then(Value::as_str);
        Ok(value.unwrap_or_default().to_owned())
    }

    /// One unit of many objects: applied, verified by another run, emptied.
    async fn large(&self) -> Result<()> {
        let file = |n: usize| (format!("u0/{}.yaml", n / 100), config_map(n, "1"));
        let mut files: Vec<(String, String)> = Vec::new();
        for (path, text) in (0..LARGE).map(file) {
            match files.last_mut().filter(|(last, _)| *last == path) {
                Some((_, all)) => all.push_str(&text),
                None => files.push((path, text)),
            }
        }
        self.publish_files(&files, "1").await?;
        for (doing, revision) in [("applied", None), ("verified", None), ("pruned", Some("2"))] {
            let before = Usage::of(&self.program).await?;
            let began = Instant::now();
            match (doing, revision) {
                ("applied", _) => {
                    self.create_one(0, &json!({ "timeout": "15m" })).await?;
                    self.all_ready(1).await?;
                }
                (_, Some(revision)) => {
                    let one = vec![("u0/0.yaml".to_owned(), config_map(0, "1"))];
                    self.publish_files(&one, revision).await?;
                    self.applied(revision).await?;
                }
                _ => self.requested().await?,
            }
            let took = began.elapsed().as_secs_f64();
            let used = Usage::of(&self.program).await?.since(before);
            self.told(&format!("one unit of {LARGE}: {doing}"), took, used)?;
        }
        Ok(())
    }

    /// Asks for a run and waits until it has ended.
    async fn requested(&self) -> Result<()> {
        let token = format!("{:?}", Instant::now());
        let ask =
            json!({ "metadata": { "annotations": { "reconcile.fluxcd.io/requestedAt": token } } });
        let params = PatchParams::default();
        self.units_api()
            .patch("u0", &params, &Patch::Merge(ask))
            .await?;
        let handled = move |unit: &DynamicObject| {
            unit.data
                .pointer("/status/lastHandledReconcileAt")
                .and_then(Value::as_str)
                == Some(&token)
        };
        self.one("the request is not answered", handled).await
    }

    async fn applied(&self, revision: &str) -> Result<()> {
        let revision = format!("main@sha1:{revision:0>40}");
        let applied = move |unit: &DynamicObject| {
            unit.data
                .pointer("/status/lastAppliedRevision")
                .and_then(Value::as_str)
                == Some(&revision)
        };
        self.one("the revision is not applied", applied).await
    }

    async fn one(&self, trouble: &str, is_so: impl Fn(&DynamicObject) -> bool) -> Result<()> {
        let began = Instant::now();
        while !is_so(&self.units_api().get("u0").await?) {
            if began.elapsed() > PATIENCE {
                bail!("{}: {trouble}", self.name);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

fn is_ready(unit: &DynamicObject) -> bool {
    let conditions = unit
        .data
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn config_map(n: usize, value: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c{n}\ndata:\n  value: '{value}'\n  number: '{n}'\n"
    )
}

fn unit(n: usize, value: &str) -> String {
    let map = config_map(n, value);
    format!(
        "{map}---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d{n}\nspec:\n  replicas: 0\n  \
         selector:\n    matchLabels:\n      app: d{n}\n  template:\n    metadata:\n      labels:\n        app: d{n}\n    \
         spec:\n      containers:\n      - name: main\n        image: registry.example/app:1\n"
    )
}
