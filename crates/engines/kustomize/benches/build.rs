//! Builds in process: many small ones, growth with the number of objects, builds side by side.
//!
//! `cargo bench -p lockgate-kustomize [-- FILTER]`. Ends with an error where a target is missed:
//!
//! * `small`: of 100 builds of a small overlay the one in the middle takes less than 1 ms;
//! * `growth`: from 1,000 to 20,000 objects the time grows with an exponent of 1.1 at most;
//! * `parallel`: a thread for each core builds at least 0.6 times as many times as much as one alone.
//!   Where other work keeps the cores busy that cannot be seen; then it has to be seen that nobody
//!   waits for a lock (next to no build gives its core up by itself) and nobody spins on one (a build
//!   costs the CPU time that it costs alone).
//!
//! Growth and cost are CPU time, which other work on the machine changes little (Linux only).
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark measures time, prints its figures, and stops where a build fails"
)]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use kustomize::{MemoryTree, Options, build};

/// The objects of a made-up application: a deployment, its service and its settings.
fn object(number: usize) -> String {
    let name = format!("app-{}", number / 3);
    match number % 3 {
        0 => format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  annotations:\n    \
             note: made for a benchmark\nspec:\n  revisionHistoryLimit: 5\n  strategy:\n    \
             rollingUpdate:\n      maxUnavailable: 0\n    type: RollingUpdate\n  selector:\n    \
             matchLabels:\n      app: {name}\n  template:\n    metadata:\n      annotations:\n        \
             prometheus.io/port: \"9797\"\n      labels:\n        app: {name}\n    spec:\n      \
             containers:\n      - name: app\n        image: ghcr.io/example/app:6.0.0\n        \
             ports:\n        - name: http\n          containerPort: 9898\n          protocol: \
             TCP\n        command:\n        - ./app\n        - --port=9898\n        env:\n        - \
             name: COLOR\n          value: \"#34577c\"\n        - name: SETTINGS\n          \
             valueFrom:\n            configMapKeyRef:\n              name: {name}\n              \
             key: settings\n        resources:\n          limits: {{cpu: 2000m, memory: \
             512Mi}}\n          requests: {{cpu: 100m, memory: 64Mi}}\n"
        ),
        1 => format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  type: \
             ClusterIP\n  selector:\n    app: {name}\n  ports:\n  - {{name: http, port: 9898, \
             protocol: TCP, targetPort: http}}\n"
        ),
        _ => format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  settings: |\n    \
             level: info\n    port: 9898\n"
        ),
    }
}

/// Objects, ten a file, with prefix, labels, images and patches.
fn many(count: usize) -> MemoryTree {
    let mut tree = MemoryTree::new();
    let mut resources = String::new();
    for file in 0..count.div_ceil(10) {
        let objects = (file * 10..count.min(file * 10 + 10)).map(object);
        tree.insert(
            &format!("app/r{file}.yaml"),
            objects.collect::<Vec<_>>().join("---\n"),
        );
        writeln!(resources, "- r{file}.yaml").unwrap();
    }
    let kustomization = format!(
        "namePrefix: prod-\nlabels:\n- pairs: {{team: blue, stage: prod}}\n  includeSelectors: \
         true\nimages:\n- {{name: ghcr.io/example/app, newTag: 6.1.0}}\npatches:\n- target: {{kind: \
         Deployment}}\n  patch: |\n    - {{op: add, path: /spec/replicas, value: 3}}\n- target: \
         {{kind: Service, name: app-.*}}\n  patch: |\n    {{kind: any, metadata: {{name: any, \
         annotations: {{patched: \"true\"}}}}}}\nresources:\n{resources}"
    );
    tree.insert("app/kustomization.yaml", kustomization);
    tree
}

fn small() -> MemoryTree {
    let files = [
        ("base/kustomization.yaml", "resources: [r.yaml]".to_owned()),
        ("base/r.yaml", object(0) + "---\n" + &object(1)),
        (
            "app/kustomization.yaml",
            "resources: [../base]\nnamePrefix: prod-\nnamespace: prod\nconfigMapGenerator:\n- {name: \
             app-0, literals: [settings=x]}\nimages:\n- {name: ghcr.io/example/app, newTag: \
             6.1.0}\npatches:\n- target: {kind: Deployment}\n  patch: |\n    - {op: add, path: \
             /spec/replicas, value: 3}\n"
                .to_owned(),
        ),
    ];
    files.into_iter().collect()
}

fn once(tree: &MemoryTree) -> Duration {
    let start = Instant::now();
    let text = build(tree, "app", &Options::default())
        .unwrap()
        .to_yaml()
        .unwrap();
    let took = start.elapsed();
    assert!(text.contains("prod-app-0"));
    took
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The CPU time this thread has used, and how often it gave its core up by itself.
fn used() -> (Duration, u64) {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds = stat.split(' ').next().unwrap().parse().unwrap();
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("voluntary"));
    let switches = line.unwrap().split_whitespace().last().unwrap();
    (Duration::from_nanos(nanoseconds), switches.parse().unwrap())
}

/// Builds so many times; gives what it cost.
fn cost(tree: &MemoryTree, builds: u32) -> (Duration, u64) {
    let (cpu, switches) = used();
    (0..builds).for_each(|_| {
        once(tree);
    });
    let (cpu_after, switches_after) = used();
    (
        cpu_after.saturating_sub(cpu) / builds,
        switches_after - switches,
    )
}

/// The least CPU time of some builds.
fn least(tree: &MemoryTree, runs: usize) -> Duration {
    (0..runs).map(|_| cost(tree, 1).0).min().unwrap()
}

/// Builds on one thread and on one for each core, in turns; tells what is against there being no
/// lock between them.
fn side_by_side() -> Option<&'static str> {
    const BUILDS: u32 = 20;
    let tree = many(500);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut gained, mut dearer, mut switches) = (0.0_f64, f64::INFINITY, u64::MAX);
    for _ in 0..5 {
        let start = Instant::now();
        let (alone, _) = cost(&tree, BUILDS);
        let wall = start.elapsed();
        let start = Instant::now();
        let costs: Vec<(Duration, u64)> = std::thread::scope(|scope| {
            let run = || cost(&tree, BUILDS);
            let runs: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        let together = start.elapsed();
        gained = gained.max(wall.as_secs_f64() * threads as f64 / together.as_secs_f64());
        let mean = costs.iter().map(|cost| cost.0).sum::<Duration>() / costs.len() as u32;
        dearer = dearer.min(mean.as_secs_f64() / alone.as_secs_f64());
        switches = switches.min(costs.iter().map(|cost| cost.1).sum());
    }
    let builds = threads as u64 * u64::from(BUILDS);
    println!("parallel  {threads} threads build {gained:.2} times as much as one");
    println!(
        "parallel  a build costs {dearer:.2} times the CPU time it costs alone; in {builds} builds \
         threads gave their core up {switches} times"
    );
    let waits = switches * 10 > builds || dearer > 1.5;
    (threads > 1 && gained < 0.6 * threads as f64 && waits).then_some("builds wait for each other")
}

fn main() {
    let filter = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| filter.as_deref().is_none_or(|filter| name.contains(filter));
    let mut missed = Vec::new();
    if wanted("small") {
        let tree = small();
        once(&tree);
        let mut times: Vec<Duration> = (0..100).map(|_| once(&tree)).collect();
        times.sort();
        let (middle, longest) = (milliseconds(times[50]), milliseconds(times[99]));
        println!("small     100 builds: {middle:.3} ms in the middle, {longest:.3} ms at most");
        if middle >= 1.0 {
            missed.push("a small build takes 1 ms");
        }
    }
    if wanted("growth") {
        let mut times = Vec::new();
        for count in [1_000, 2_000, 5_000, 10_000, 20_000] {
            let tree = many(count);
            let time = least(&tree, 20_000 / count + 2);
            println!("growth    {count:>6} objects: {:.1} ms", milliseconds(time));
            times.push(time.as_secs_f64());
        }
        let exponent = (times[4] / times[0]).ln() / 20_f64.ln();
        println!("growth    exponent {exponent:.3}");
        if exponent > 1.1 {
            missed.push("time grows faster than with the power 1.1");
        }
    }
    if wanted("parallel") {
        missed.extend(side_by_side());
    }
    assert!(missed.is_empty(), "missed: {missed:?}");
}
