//! A whole controller as a process of its own.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use testkit::{Namespace, Program, Signal, control_plane};

use crate::{
    rig::{PATIENCE, define, find, until},
    toy::Toy,
};

const LEASE: &str = "toy-controller-leader-election";

async fn program(prefix: &str) -> (Namespace, Program) {
    let plane = control_plane().await;
    define(&plane.client(), "toys", "Toy").await;
    let namespace = plane.namespace(prefix).await;
    let program = Program::new(env!("CARGO_BIN_EXE_toy-controller"), plane)
        .unwrap()
        .flag("--watch-all-namespaces", "false")
        .flag("--leader-election-lease-duration", "4s")
        .flag("--leader-election-renew-deadline", "3s")
        .flag("--leader-election-retry-period", "500ms")
        .env("RUNTIME_NAMESPACE", namespace.name());
    (namespace, program)
}

fn leases(namespace: &Namespace, client: kube::Client) -> Api<Lease> {
    Api::namespaced(client, namespace.name())
}

async fn holder(leases: &Api<Lease>) -> String {
    let lease = leases.get(LEASE).await.unwrap();
    lease.spec.unwrap().holder_identity.unwrap_or_default()
}

#[tokio::test]
async fn process_is_ready_says_so_in_json_and_ends_in_good_order() {
    let (namespace, program) = program("process").await;
    let program = program.flag("--enable-leader-election", "true");
    let program = program.start().await.unwrap();
    let client = control_plane().await.client();
    let leases = leases(&namespace, client);
    assert!(!holder(&leases).await.is_empty());
    let (code, text) = program.get("--health-addr", "/healthz").await.unwrap();
    assert_eq!((code, text.as_str()), (200, "ok"));
    let metrics = program.metrics().await.unwrap();
    assert!(
        metrics.contains(r#"controller_runtime_max_concurrent_reconciles{controller="toy"} 4"#)
    );
    let leads = format!(r#"leader_election_master_status{{name="{LEASE}"}} 1"#);
    assert!(metrics.contains(&leads), "{metrics}");
    let host = control_plane().await.url();
    let host = host.split("//").last().unwrap().trim_end_matches('/');
    let requests =
        format!(r#"rest_client_requests_total{{code="200",host="{host}",method="GET"}} "#);
    assert!(metrics.contains(&requests), "{metrics}");
    assert!(
        metrics.contains("process_resident_memory_bytes "),
        "{metrics}"
    );

    let ended = program.terminate(PATIENCE).await.unwrap();
    assert!(ended.success());
    assert_eq!(holder(&leases).await, "", "the lease is released");
    let log = program.log().unwrap();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        for key in ["ts", "level", "msg", "logger"] {
            assert!(line.get(key).is_some(), "{key} in {line}");
        }
    }
    assert!(log.contains(r#""logger":"setup""#));
}

/// Makes a toy whose run sleeps for so long, and waits until it is run.
async fn busy(namespace: &Namespace, time: &str) -> Api<Toy> {
    let toys = Api::<Toy>::namespaced(control_plane().await.client(), namespace.name());
    let toy = json!({ "apiVersion": "test.lockgate.dev/v1", "kind": "Toy",
        "metadata": { "name": "a" },
        "spec": { "interval": "1h", "script": [format!("slow:{time}")] } });
    let params = PatchParams::apply("tests");
    toys.patch("a", &params, &Patch::Apply(toy)).await.unwrap();
    until("the toy is run", async || {
        let toy = toys.get("a").await.unwrap();
        find(&toy, "Reconciling").is_some()
    })
    .await;
    toys
}

#[tokio::test]
async fn process_that_stops_lets_runs_end_within_its_grace_period() {
    let (namespace, program) = program("process").await;
    let program = program.start().await.unwrap();
    let toys = busy(&namespace, "2s").await;
    let ended = program.terminate(PATIENCE).await.unwrap();
    assert!(ended.success());
    let toy = toys.get("a").await.unwrap();
    assert_eq!(find(&toy, "Ready"), Some(("True", "Succeeded")));
}

#[tokio::test]
async fn process_that_stops_cuts_runs_off_after_its_grace_period() {
    let (namespace, program) = program("process").await;
    let program = program.flag("--grace", "1").start().await.unwrap();
    let toys = busy(&namespace, "1h").await;
    program.terminate(PATIENCE).await.unwrap();
    let log = program.log().unwrap();
    assert!(log.contains("runs were cut off"), "{log}");
    let toy = toys.get("a").await.unwrap();
    assert_eq!(find(&toy, "Ready"), Some(("Unknown", "Progressing")));
}

#[tokio::test]
async fn process_that_loses_its_lease_ends_at_once_with_an_error() {
    let (namespace, program) = program("process").await;
    let program = program.flag("--enable-leader-election", "true");
    let program = program.start().await.unwrap();
    let leases = leases(&namespace, control_plane().await.client());
    let patch = Patch::Merge(json!({ "spec": { "holderIdentity": "other" } }));
    leases
        .patch(LEASE, &PatchParams::default(), &patch)
        .await
        .unwrap();
    until("the process ends", async || program.still_runs().is_err()).await;
    let error = program.still_runs().unwrap_err().to_string();
    assert!(
        program.log().unwrap().contains("leader election lost"),
        "{error}"
    );
}

#[tokio::test]
async fn second_process_waits_ready_and_takes_over_from_one_that_is_killed() {
    let (namespace, first) = program("process").await;
    let first = first.flag("--enable-leader-election", "true");
    let first = first.start().await.unwrap();
    let leases = leases(&namespace, control_plane().await.client());
    let held = holder(&leases).await;
    let (_, second) = program("process").await;
    let second = second
        .flag("--enable-leader-election", "true")
        .env("RUNTIME_NAMESPACE", namespace.name());
    let second = second.start().await.unwrap();
    assert_eq!(holder(&leases).await, held);
    first.kill();
    until("the second one leads", async || {
        let now = holder(&leases).await;
        !now.is_empty() && now != held
    })
    .await;
    second.ready().await.unwrap();
}

#[tokio::test]
async fn halted_leader_ends_itself_when_it_wakes_up_replaced() {
    let (namespace, program) = program("process").await;
    let program = program.flag("--enable-leader-election", "true");
    let program = program.start().await.unwrap();
    let leases = leases(&namespace, control_plane().await.client());
    program.signal(Signal::Stop).unwrap();
    let patch = Patch::Merge(json!({ "spec": { "holderIdentity": "other" } }));
    let params = PatchParams::default();
    leases.patch(LEASE, &params, &patch).await.unwrap();
    program.signal(Signal::Continue).unwrap();
    until("the process ends", async || program.still_runs().is_err()).await;
}

#[tokio::test]
async fn process_holds_one_connection_for_watches_and_one_for_calls() {
    let (_namespace, program) = program("process").await;
    let program = program.flag("--watches", "12").start().await.unwrap();
    let port = control_plane().await.url();
    let port: u16 = port.rsplit(':').next().unwrap().parse().unwrap();
    let pid = program.pid().unwrap();
    // Over HTTP/1.1 it would be one for each of the thirteen watches alone.
    until("there are two connections", async || {
        connections(pid, port) == 2
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(connections(pid, port), 2);
}

/// Counts the process's established connections to a local port.
fn connections(pid: u32, port: u16) -> usize {
    let mut inodes = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
        let target = std::fs::read_link(entry.unwrap().path()).unwrap_or_default();
        let target = target.to_string_lossy().into_owned();
        if let Some(inode) = target.strip_prefix("socket:[") {
            inodes.push(inode.trim_end_matches(']').to_owned());
        }
    }
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap();
    let remote = format!(":{port:04X}");
    let is_ours = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields.len() > 9
            && fields[2].ends_with(&remote)
            && fields[3] == "01"
            && inodes.iter().any(|inode| inode == fields[9])
    };
    table.lines().filter(is_ours).count()
}
