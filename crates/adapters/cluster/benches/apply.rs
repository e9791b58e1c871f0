//! Times applying, repeating, waiting for and pruning many objects on a real API server.
//!
//! `cargo bench -p lockgate-cluster` with `OBJECTS=1000 CONCURRENCY=4` or other numbers.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its figures and ends when it cannot go on"
)]

use std::time::{Duration, Instant};

use cluster::{ApplyOptions, Cluster, PruneOptions, WaitOptions};
use manifest::metadata::Owner;
use serde_json::{Value, json};

fn number(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn objects(namespace: &str, count: usize) -> Vec<Value> {
    let metadata = |index: usize| json!({"name": format!("o{index}"), "namespace": namespace});
    let map = |index: usize| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(index), "data": {"k": "v".repeat(500)}});
    let deployment = |index: usize| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(index), "spec": {
            "replicas": 0, "selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [
                {"name": "a", "image": "example.com/a:1", "ports": [{"containerPort": 80}]},
            ]}},
        }})
    };
    (0..count)
        .map(|index| {
            if index % 4 == 0 {
                deployment(index)
            } else {
                map(index)
            }
        })
        .collect()
}

/// Reads this process's CPU seconds and peak resident mebibytes.
fn usage() -> (f64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    (ticks / 100.0, kilobytes / 1024)
}

async fn timed<T>(what: &str, work: impl Future<Output = T>) -> T {
    let (started, cpu) = (Instant::now(), usage().0);
    let result = work.await;
    let (now, peak) = usage();
    println!(
        "{what}: {:.2?}, {:.2} CPU s, peak {peak} MiB",
        started.elapsed(),
        now - cpu
    );
    result
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let plane = testkit::ControlPlane::start().await.unwrap();
    let namespace = plane.namespace("bench").await;
    let cluster = Cluster::new(plane.client());
    let owner = Owner {
        group: "kustomize.toolkit.fluxcd.io".into(),
        name: "bench".into(),
        namespace: namespace.name().into(),
    };
    let (count, concurrency) = (number("OBJECTS", 1000), number("CONCURRENCY", 4));
    let mut options = ApplyOptions::new("kustomize-controller", owner.clone());
    options.concurrency = concurrency;
    println!("{count} objects, {concurrency} at once");
    let objects = objects(namespace.name(), count);
    let plan = timed("plan", cluster.plan_apply(objects, options))
        .await
        .unwrap();
    let applied = timed("first apply", cluster.apply(&plan)).await.unwrap();
    let mut wait = WaitOptions::new(Duration::from_mins(5));
    wait.concurrency = concurrency;
    wait.selector = Some("kustomize.toolkit.fluxcd.io/name=bench".into());
    wait.ready = applied.ready;
    timed("wait", cluster.wait(&plan.inventory(), &wait))
        .await
        .unwrap();
    for _ in 0..2 {
        let applied = timed("apply without change", cluster.apply(&plan))
            .await
            .unwrap();
        assert_eq!(applied.changes.modified().entries().len(), 0);
    }
    let prune = PruneOptions { owner, concurrency };
    timed("prune", cluster.prune(&plan.inventory(), &prune))
        .await
        .unwrap();
}
