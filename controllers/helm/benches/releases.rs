//! Releases of a small chart: how long 100 take from nothing to Ready, next to `helm install` run 100 times; the memory
//! with 1,000 of them; and whether it grows over 10,000 runs.
//!
//! `BENCH_RELEASES`, `BENCH_MANY` and `BENCH_RUNS` say how many; `HELM` names the helm command of the comparison
//! (`hack/interop/helms` builds one), which is left out where it is not set. `BENCH_BINARY` names another build of the
//! controller.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]
#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use api::{helm::HelmRelease, source::HelmChart};
use futures::{StreamExt, stream};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;
use testkit::{ArtifactServer, ControlPlane, Program, PublishedArtifact};

const CHART: [(&str, &str); 4] = [
    (
        "small/Chart.yaml",
        "apiVersion: v2\nname: small\nversion: 1.0.0\nappVersion: \"1\"\n",
    ),
    ("small/values.yaml", "replicas: 0\ncolour: blue\n"),
    (
        "small/templates/map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {colour: {{ .Values.colour }}}\n",
    ),
    (
        "small/templates/web.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: {{ .Release.Name }}}\nspec:\n  replicas: {{ .Values.replicas }}\n  selector: {matchLabels: {app: {{ .Release.Name }}}}\n  template:\n    metadata: {labels: {app: {{ .Release.Name }}}}\n    spec: {containers: [{name: web, image: example.org/web}]}\n",
    ),
];
const SIDE_BY_SIDE: usize = 20;
const PAUSE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_mins(30);
const MIB: f64 = 1024.0 * 1024.0;

struct Bench {
    plane: &'static ControlPlane,
    artifact: PublishedArtifact,
    _artifacts: ArtifactServer,
}

#[tokio::main]
async fn main() {
    let plane = testkit::control_plane().await;
    let definitions = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/crd/bases");
    testkit::install_definitions(&plane.client(), &definitions)
        .await
        .unwrap();
    let artifacts = ArtifactServer::start().unwrap();
    let bench = Bench {
        plane,
        artifact: artifacts.publish("small-1.0.0.tgz", &CHART).unwrap(),
        _artifacts: artifacts,
    };
    let few = number("BENCH_RELEASES", 100);
    bench.few(few, 4).await;
    bench.few(few, 20).await;
    bench.command(few).await;
    bench
        .many(number("BENCH_MANY", 1000), number("BENCH_RUNS", 10_000))
        .await;
}

fn number(variable: &str, default: usize) -> usize {
    let text = std::env::var(variable).ok();
    text.and_then(|t| t.parse().ok()).unwrap_or(default)
}

impl Bench {
    async fn controller(&self, namespace: &str, workers: usize) -> Program {
        let own = env!("CARGO_BIN_EXE_helm-controller").to_owned();
        let binary = std::env::var("BENCH_BINARY").unwrap_or(own);
        Program::new(&binary, self.plane)
            .unwrap()
            .flag("--concurrent", &workers.to_string())
            .flag("--watch-all-namespaces", "false")
            .env("RUNTIME_NAMESPACE", namespace)
            .start()
            .await
            .unwrap()
    }

    /// From nothing to Ready, with this many workers.
    async fn few(&self, count: usize, workers: usize) {
        let namespace = self.plane.namespace("few").await;
        let program = self.controller(namespace.name(), workers).await;
        self.publish(namespace.name()).await;
        let before = cpu_seconds(&program);
        let began = Instant::now();
        self.create(namespace.name(), count).await;
        let peak = self.all_ready(namespace.name(), count, &program).await;
        println!(
            "{count} releases, {workers} workers: {:.1} s from the first to all Ready, {:.2} CPU s, peak {:.0} MiB",
            began.elapsed().as_secs_f64(),
            cpu_seconds(&program) - before,
            peak
        );
        self.clear(namespace.name()).await;
    }

    /// The same by the helm command, one after the other.
    async fn command(&self, count: usize) {
        let Ok(helm) = std::env::var("HELM") else {
            println!("HELM is not set: no comparison");
            return;
        };
        let namespace = self.plane.namespace("command").await;
        let kubeconfig = self.plane.kubeconfig_path();
        let cpu_before = children_cpu_seconds();
        let began = Instant::now();
        for n in 0..count {
            let output = Command::new(&helm)
                .args(["install", &format!("r{n}"), &self.artifact.url])
                .args(["--wait", "--namespace", namespace.name()])
                .env("KUBECONFIG", &kubeconfig)
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        println!(
            "{count} times helm install --wait: {:.1} s, {:.2} CPU s",
            began.elapsed().as_secs_f64(),
            children_cpu_seconds() - cpu_before
        );
    }

    /// The memory with many releases, and after many runs of them.
    async fn many(&self, count: usize, runs: usize) {
        let namespace = self.plane.namespace("many").await;
        let program = self.controller(namespace.name(), SIDE_BY_SIDE).await;
        self.publish(namespace.name()).await;
        let began = Instant::now();
        self.create(namespace.name(), count).await;
        let peak = self.all_ready(namespace.name(), count, &program).await;
        println!(
            "{count} releases: {:.1} s, {:.1} CPU s, peak {peak:.0} MiB, at rest {:.0} MiB",
            began.elapsed().as_secs_f64(),
            cpu_seconds(&program),
            resident(&program)
        );
        let mut done = 0;
        let mut round = 0;
        while done < runs {
            let cpu_before = cpu_seconds(&program);
            self.request_all(namespace.name(), count, round).await;
            done += count;
            round += 1;
            println!(
                "after {done} runs: {:.0} MiB at rest, peak {:.0} MiB, {:.2} CPU ms a run",
                resident(&program),
                peak_resident(&program),
                (cpu_seconds(&program) - cpu_before) * 1000.0
                    / f64::from(u32::try_from(count).unwrap())
            );
        }
    }

    /// Makes HelmChart `small` with the chart's artifact.
    async fn publish(&self, namespace: &str) {
        let api = Api::<HelmChart>::namespaced(self.plane.client(), namespace);
        let chart = json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmChart",
            "metadata": { "name": "small" }, "spec": { "chart": "small", "interval": "10m",
                "sourceRef": { "kind": "HelmRepository", "name": "repo" } } });
        let params = PatchParams::apply("bench").force();
        let made = api
            .patch("small", &params, &Patch::Apply(chart))
            .await
            .unwrap();
        let artifact = &self.artifact;
        let status = json!({ "status": { "observedGeneration": made.metadata.generation, "artifact": {
            "url": artifact.url, "digest": artifact.digest, "revision": "1.0.0", "path": "x",
            "size": artifact.size, "lastUpdateTime": "2026-01-01T00:00:00Z" } } });
        api.patch_status("small", &PatchParams::default(), &Patch::Merge(status))
            .await
            .unwrap();
    }

    async fn create(&self, namespace: &str, count: usize) {
        let api = self.releases(namespace);
        stream::iter(0..count)
            .map(|n| {
                let api = api.clone();
                async move {
                    let name = format!("r{n}");
                    let object = json!({ "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
                        "metadata": { "name": name }, "spec": { "interval": "1h",
                            "chartRef": { "kind": "HelmChart", "name": "small" },
                            "values": { "colour": format!("c{n}") } } });
                    let params = PatchParams::apply("bench").force();
                    api.patch(&name, &params, &Patch::Apply(object)).await.unwrap();
                }
            })
            .buffer_unordered(SIDE_BY_SIDE)
            .collect::<()>()
            .await;
    }

    /// Waits until all are Ready. Returns the peak of the controller's memory in MiB.
    async fn all_ready(&self, namespace: &str, count: usize, program: &Program) -> f64 {
        let api = self.releases(namespace);
        let is_ready = |object: &HelmRelease| {
            let mut conditions = api::Reconciled::conditions(object).iter();
            conditions.any(|c| c.type_ == "Ready" && c.status == "True")
        };
        self.until(&api, count, is_ready).await;
        peak_resident(program)
    }

    /// Asks for a run of each and waits until all were answered.
    async fn request_all(&self, namespace: &str, count: usize, round: usize) {
        let api = self.releases(namespace);
        let token = format!("round-{round}");
        stream::iter(0..count)
            .map(|n| {
                let (api, token) = (api.clone(), token.clone());
                async move {
                    let patch = json!({ "metadata": { "annotations": {
                        "reconcile.fluxcd.io/requestedAt": token } } });
                    let params = PatchParams::default();
                    api.patch(&format!("r{n}"), &params, &Patch::Merge(patch))
                        .await
                        .unwrap();
                }
            })
            .buffer_unordered(SIDE_BY_SIDE)
            .collect::<()>()
            .await;
        let is_answered = |object: &HelmRelease| {
            let status = object.status.as_ref();
            status.and_then(|s| s.last_handled_reconcile_at.as_ref()) == Some(&token)
        };
        self.until(&api, count, is_answered).await;
    }

    async fn until(
        &self,
        api: &Api<HelmRelease>,
        count: usize,
        wanted: impl Fn(&HelmRelease) -> bool,
    ) {
        let began = Instant::now();
        loop {
            let all = api.list(&ListParams::default()).await.unwrap().items;
            if all.iter().filter(|o| wanted(o)).count() == count {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "not all are there");
            // A list of a thousand is work for the API server, too.
            tokio::time::sleep(PAUSE * u32::try_from(count / 50 + 1).unwrap()).await;
        }
    }

    async fn clear(&self, namespace: &str) {
        let api = self.releases(namespace);
        let (params, all) = (DeleteParams::default(), ListParams::default());
        api.delete_collection(&params, &all).await.unwrap();
        while !api.list(&all).await.unwrap().items.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn releases(&self, namespace: &str) -> Api<HelmRelease> {
        Api::namespaced(self.plane.client(), namespace)
    }
}

/// The CPU time of a process so far.
fn cpu_seconds(program: &Program) -> f64 {
    let path = format!("/proc/{}/stat", program.pid().unwrap());
    let text = std::fs::read_to_string(path).unwrap();
    // After the name, which may hold anything: the 12th and 13th field are user and system time.
    let fields: Vec<_> = text
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    ticks(fields[11]) + ticks(fields[12])
}

/// The CPU time of the ended children of this process.
fn children_cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = text
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    ticks(fields[13]) + ticks(fields[14])
}

fn ticks(text: &str) -> f64 {
    const TICKS_A_SECOND: f64 = 100.0;
    text.parse::<f64>().unwrap() / TICKS_A_SECOND
}

fn resident(program: &Program) -> f64 {
    status(program, "VmRSS:")
}

fn peak_resident(program: &Program) -> f64 {
    status(program, "VmHWM:")
}

/// A line of /proc/PID/status in MiB.
fn status(program: &Program, name: &str) -> f64 {
    let path = format!("/proc/{}/status", program.pid().unwrap());
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find(|l| l.starts_with(name)).unwrap();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024.0 / MIB
}
