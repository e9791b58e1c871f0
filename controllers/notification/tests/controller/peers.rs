//! Real servers: NATS and Alertmanager.

use std::{
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;
use testkit::Supervised;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::world::{PATIENCE, World};

#[tokio::test]
async fn nats_server_gets_the_event_at_its_subject() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let [port] = testkit::free_ports().unwrap();
    let mut command = Command::new(testkit::server_program("nats-server").unwrap());
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
    let server = Supervised::start(&command, &folder.path().join("nats.log")).unwrap();
    let address = format!("127.0.0.1:{port}");
    let began = std::time::Instant::now();
    let mut stream = loop {
        if let Ok(stream) = TcpStream::connect(&address).await {
            break BufReader::new(stream);
        }
        server.still_runs().unwrap();
        assert!(began.elapsed() < PATIENCE, "the server does not listen");
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
    let came = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&came);
    drop(tokio::spawn(async move {
        let mut stream = stream.lines();
        while let Ok(Some(line)) = stream.next_line().await {
            lines.lock().unwrap().push(line);
        }
    }));
    let told = || {
        let lines = came.lock().unwrap();
        let mut pairs = lines
            .windows(2)
            .map(|pair| (pair[0].clone(), pair[1].clone()));
        pairs.find(|(_, payload)| payload.contains(r#""message":"over nats""#))
    };
    world
        .until("the subscriber has it", || async {
            world.post(json!({ "message": "over nats" })).await;
            told().is_some()
        })
        .await;
    let (head, payload) = told().unwrap();
    let expect = format!("MSG flux.events 1 {}", payload.len());
    assert_eq!(head, expect, "{payload}");
    assert!(payload.contains(r#""kind":"Kustomization""#), "{payload}");
}

#[tokio::test]
async fn alertmanager_takes_the_alert() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let [port] = testkit::free_ports().unwrap();
    let config = folder.path().join("config.yml");
    std::fs::write(
        &config,
        "route:\n  receiver: none\nreceivers:\n- name: none\n",
    )
    .unwrap();
    let mut command = Command::new(testkit::server_program("alertmanager").unwrap());
    command
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
