//! Real servers: NATS and Alertmanager, as Debian ships them.

use std::{path::PathBuf, process::Command, time::Duration};

use serde_json::json;
use testkit::Supervised;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::world::World;

/// Returns where the servers are; none where there is no Debian archive to have them from.
fn servers() -> Option<PathBuf> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../hack/peers/fetch");
    let made = Command::new(script).output().unwrap();
    if made.status.code() == Some(3) {
        return None;
    }
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success(), "{said}");
    Some(String::from_utf8(made.stdout).unwrap().trim().into())
}

#[tokio::test]
async fn nats_server_gets_the_event_at_its_subject() {
    let Some(servers) = servers() else {
        return;
    };
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let [port] = testkit::free_ports().unwrap();
    let mut command = Command::new(servers.join("nats-server"));
    command.args([
        "-a",
        "127.0.0.1",
        "-p",
        &port.to_string(),
        "--user",
        "u",
        "--pass",
        "p",
    ]);
    let _server = Supervised::start(&command, &folder.path().join("nats.log")).unwrap();
    let address = format!("127.0.0.1:{port}");
    let mut stream = loop {
        if let Ok(stream) = TcpStream::connect(&address).await {
            break BufReader::new(stream);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let connect = json!({ "user": "u", "pass": "p", "verbose": false, "pedantic": false });
    let subscribe = format!("CONNECT {connect}\r\nSUB flux.events 1\r\nPING\r\n");
    stream.write_all(subscribe.as_bytes()).await.unwrap();
    world
        .secret("login", json!({ "username": "u", "password": "p" }))
        .await;
    let spec = json!({ "type": "nats", "address": format!("nats://{address}"),
        "channel": "flux.events", "secretRef": { "name": "login" } });
    world.provider("nats", spec).await;
    world.alert("all", "nats", json!({})).await;
    let mut line = String::new();
    while !line.contains("\"message\":\"over nats\"") {
        world.post(json!({ "message": "over nats" })).await;
        line.clear();
        let limit = Duration::from_secs(5);
        while let Ok(Ok(read)) = tokio::time::timeout(limit, stream.read_line(&mut line)).await {
            assert!(read > 0, "the server closed the connection");
            if line.contains("over nats") {
                break;
            }
            line.clear();
        }
    }
    assert!(line.contains("\"kind\":\"Kustomization\""), "{line}");
}

#[tokio::test]
async fn alertmanager_takes_the_alert() {
    let Some(servers) = servers() else {
        return;
    };
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let [port] = testkit::free_ports().unwrap();
    let config = folder.path().join("config.yml");
    std::fs::write(
        &config,
        "route:\n  receiver: none\nreceivers:\n- name: none\n",
    )
    .unwrap();
    let mut command = Command::new(servers.join("prometheus-alertmanager"));
    command
        .current_dir(&servers)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", folder.path().display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=");
    let _server = Supervised::start(&command, &folder.path().join("am.log")).unwrap();
    let address = format!("http://127.0.0.1:{port}/api/v2/alerts");
    world
        .provider("am", json!({ "type": "alertmanager", "address": address }))
        .await;
    let metadata = json!({ "eventMetadata": { "app.kubernetes.io/name": "web" } });
    world.alert("all", "am", metadata).await;
    let clients = net_http::Clients::new("test", net_http::Environment::default());
    let client = clients.get(&net_http::ClientConfig::default()).unwrap();
    let now = jiff::Timestamp::now().to_string();
    world
        .until("it knows the alert", || async {
            let error = json!({ "severity": "error", "message": "it failed", "timestamp": now,
                "reason": "ReconciliationFailed" });
            world.post(error).await;
            let Ok(answer) = client.send(net_http::Request::get(&address)).await else {
                return false;
            };
            let text = answer.text_for_message(1 << 20).await;
            text.contains("FluxKustomizationReconciliationfailed")
                && text.contains("app_kubernetes_io_name")
        })
        .await;
}
