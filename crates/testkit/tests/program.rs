//! A controller's process is started on free ports, killed, restarted on the same ones, and asked to end.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Context, Result};
use testkit::{Program, Signal, control_plane};

const ROLE: &str = "LOCKGATE_TEST_HEALTH_ADDR";

/// Plays the controller: answers 200 at the address it was given, for ever.
#[expect(clippy::print_stdout, reason = "the output is what is tested")]
fn play(address: &str) -> Result<()> {
    println!(
        "\nserving {address} in {}",
        std::env::var("RUNTIME_NAMESPACE")?
    );
    let listener = std::net::TcpListener::bind(address)?;
    loop {
        let (mut stream, _) = listener.accept()?;
        let mut request = [0; 1024];
        let length = stream.read(&mut request)?;
        let line = String::from_utf8_lossy(&request[..length])
            .lines()
            .next()
            .map(str::to_owned);
        let body = line.unwrap_or_default();
        write!(stream, "HTTP/1.0 200 OK\r\n\r\n{body}")?;
    }
}

/// Runs itself a second time as the controller, behind a script that reads the controller's flags.
#[tokio::test]
async fn program_comes_back_after_a_kill_on_the_same_ports() -> Result<()> {
    if let Ok(address) = std::env::var(ROLE) {
        return play(&address);
    }
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("controller");
    let name = "program_comes_back_after_a_kill_on_the_same_ports";
    let this = std::env::current_exe()?;
    std::fs::write(
        &script,
        format!(
            "#!/bin/sh\nfor flag; do case $flag in --health-addr=*) export {ROLE}=\"${{flag#*=}}\" ;; esac; done\n\
             echo \"flags: $*\"\nexec {} --exact {name} --nocapture\n",
            this.display()
        ),
    )?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;

    let program = Program::new(&script, control_plane().await)?
        .flag("--concurrent", "2")
        .without("--metrics-addr")
        .listens(&["--storage-addr", "--storage-adv-addr"])
        .start()
        .await?;
    let (health, pid) = (program.address("--health-addr")?.to_owned(), program.pid());
    assert_eq!(
        program.address("--storage-addr")?,
        program.address("--storage-adv-addr")?
    );
    assert_ne!(program.address("--storage-addr")?, health);
    program
        .logs(&format!("serving {health} in flux-system"))
        .await?;
    let log = program.log()?;
    let flags = log
        .lines()
        .find(|line| line.starts_with("flags:"))
        .context("no flags")?;
    assert!(
        flags.contains("--concurrent=2") && !flags.contains("--metrics-addr"),
        "{flags}"
    );
    assert_eq!(
        program.get("--health-addr", "/x").await?,
        (200, "GET /x HTTP/1.0".to_owned())
    );
    assert!(program.resident_bytes()? > 100_000);

    program.signal(Signal::Kill)?;
    while program.still_runs().is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(program.get("--health-addr", "/x").await.is_err());
    program.restart().await?;
    assert_eq!(program.address("--health-addr")?, health);
    assert_ne!(program.pid(), pid);
    let status = program.terminate(Duration::from_secs(5)).await?;
    assert!(!status.success(), "the stand-in does not know SIGTERM");
    assert_eq!(program.pid(), None);
    Ok(())
}
