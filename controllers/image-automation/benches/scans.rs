//! 40 repositories of 5,000 tags: how long a cold start takes to all policies Ready, what a scan costs in CPU time, and how
//! much memory the reflector uses. `BENCH_REPOSITORIES` and `BENCH_TAGS` say otherwise, `BENCH_BINARY` names another build.
//!
//! The registry is here, in pages of 1,000 tags, so that its own time does not count.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]
#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::path::Path;
use std::time::{Duration, Instant};

use api::Reconciled as _;
use api::image::{ImagePolicy, ImageRepository};
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use testkit::{ControlPlane, Namespace, Program};

const PAGE: usize = 1000;
const ROUNDS: u32 = 5;
const PATIENCE: Duration = Duration::from_mins(5);
/// The most memory that the reflector may use.
const LIMIT_MIB: f64 = 40.0;

#[tokio::main]
async fn main() {
    let number = |name: &str, default: usize| {
        let given = std::env::var(name).ok();
        given.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (repositories, tags) = (number("BENCH_REPOSITORIES", 40), number("BENCH_TAGS", 5000));
    let plane = testkit::control_plane().await;
    let definitions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/crd/bases");
    testkit::install_definitions(&plane.client(), &definitions)
        .await
        .unwrap();
    let registry = registry(tags).await;
    let namespace = plane.namespace("bench").await;
    let bench = Bench {
        repositories: Api::namespaced(plane.client(), namespace.name()),
        policies: Api::namespaced(plane.client(), namespace.name()),
        count: repositories,
        tags,
    };
    bench.create(&registry).await;
    let program = describe(plane, &namespace);
    println!("{repositories} repositories of {tags} tags");

    let began = Instant::now();
    let program = program.start().await.unwrap();
    println!("started: {} ms", began.elapsed().as_millis());
    bench.until_ready().await;
    let cpu = cpu_of(&program);
    println!(
        "cold start to all policies Ready: {} ms, of which CPU {} ms; peak {:.1} MiB",
        began.elapsed().as_millis(),
        cpu.as_millis(),
        peak_mib(&program)
    );

    let before = cpu_of(&program);
    for round in 0..ROUNDS {
        bench.scan_all(round).await;
    }
    let scans = ROUNDS * u32::try_from(repositories).unwrap();
    let cost = cpu_of(&program).saturating_sub(before) / scans;
    println!(
        "{scans} scans with all that follows from them: {:.2} ms of CPU each; peak {:.1} MiB, now {:.1} MiB",
        cost.as_secs_f64() * 1000.0,
        peak_mib(&program),
        memory_mib(&program, "VmRSS:")
    );
    let peak = peak_mib(&program);

    program.restart().await.unwrap();
    let began = Instant::now();
    bench.until_ready().await;
    println!(
        "warm restart to all policies Ready: {} ms; peak {:.1} MiB",
        began.elapsed().as_millis(),
        peak_mib(&program)
    );
    assert!(peak <= LIMIT_MIB, "more than {LIMIT_MIB} MiB");
}

struct Bench {
    repositories: Api<ImageRepository>,
    policies: Api<ImagePolicy>,
    count: usize,
    tags: usize,
}

impl Bench {
    async fn create(&self, registry: &str) {
        for number in 0..self.count {
            let name = format!("app-{number}");
            let repository = json!({ "metadata": { "name": name },
                "spec": { "image": format!("{registry}/team/{name}"), "interval": "1h" } });
            let policy = json!({ "metadata": { "name": name },
                "spec": { "imageRepositoryRef": { "name": name },
                    "policy": { "semver": { "range": "1.x" } } } });
            let params = PostParams::default();
            let repository = serde_json::from_value(repository).unwrap();
            self.repositories
                .create(&params, &repository)
                .await
                .unwrap();
            let policy = serde_json::from_value(policy).unwrap();
            self.policies.create(&params, &policy).await.unwrap();
        }
    }

    /// Waits until every policy has chosen the newest tag.
    async fn until_ready(&self) {
        let newest = version(self.tags - 1);
        let began = Instant::now();
        loop {
            let all = self.policies.list(&ListParams::default()).await.unwrap();
            let ready = all.iter().filter(|policy| {
                let latest = policy
                    .status
                    .as_ref()
                    .and_then(api::image::ImagePolicyStatus::latest);
                let ready = policy.conditions().iter();
                latest.is_some_and(|latest| latest.tag == newest)
                    && ready
                        .clone()
                        .any(|c| c.type_ == "Ready" && c.status == "True")
            });
            if ready.count() == self.count {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "not all are ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks for a scan of all, and waits until it was answered.
    async fn scan_all(&self, round: u32) {
        let token = format!("round {round}");
        let patch = json!({ "metadata": { "annotations": {
            "reconcile.fluxcd.io/requestedAt": token } } });
        for number in 0..self.count {
            let params = PatchParams::default();
            let name = format!("app-{number}");
            self.repositories
                .patch(&name, &params, &Patch::Merge(&patch))
                .await
                .unwrap();
        }
        let began = Instant::now();
        loop {
            let all = self
                .repositories
                .list(&ListParams::default())
                .await
                .unwrap();
            let done = all
                .iter()
                .filter(|each| each.last_handled_reconcile_at() == Some(&*token));
            if done.count() == self.count {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "not all were scanned");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn describe(plane: &ControlPlane, namespace: &Namespace) -> Program {
    let own = env!("CARGO_BIN_EXE_image-reflector-controller").to_owned();
    let binary = std::env::var("BENCH_BINARY").unwrap_or(own);
    let program = Program::new(binary, plane).unwrap();
    let storage = program.folder().join("data");
    program
        .flag("--watch-all-namespaces", "false")
        .flag("--storage-path", &storage.to_string_lossy())
        .env("RUNTIME_NAMESPACE", namespace.name())
}

fn version(number: usize) -> String {
    format!("1.{}.{}", number / 100, number % 100)
}

/// Serves so many tags for every repository. Returns its address.
async fn registry(tags: usize) -> String {
    let serve = move |request: Request| async move {
        if !request.uri().path().ends_with("/tags/list") {
            return StatusCode::NOT_FOUND.into_response();
        }
        page(&request, tags)
    };
    let router = Router::new().fallback(serve);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn page(request: &Request, tags: usize) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let from = query
        .split_once("last=")
        .map_or(0, |(_, last)| last.parse().unwrap());
    let until = (from + PAGE).min(tags);
    let listed: Vec<String> = (from..until).map(version).collect();
    let body = json!({ "name": "x", "tags": listed }).to_string();
    if until == tags {
        return body.into_response();
    }
    let path = request.uri().path();
    let link = format!("<{path}?n={PAGE}&last={until}>; rel=\"next\"");
    ([("link", link)], body).into_response()
}

/// CPU time that the process has used, in user and in kernel mode.
fn cpu_of(program: &Program) -> Duration {
    const TICKS: u64 = 100;
    let pid = program.pid().unwrap();
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after = text.rsplit_once(')').unwrap().1;
    let field = |at: usize| -> u64 { after.split_whitespace().nth(at).unwrap().parse().unwrap() };
    Duration::from_millis((field(11) + field(12)) * 1000 / TICKS)
}

fn peak_mib(program: &Program) -> f64 {
    memory_mib(program, "VmHWM:")
}

fn memory_mib(program: &Program, line: &str) -> f64 {
    let pid = program.pid().unwrap();
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let found = text.lines().find_map(|each| each.strip_prefix(line));
    let kib: f64 = found
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib / 1024.0
}
