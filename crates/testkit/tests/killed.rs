//! A test that is killed, with no chance to clean up, leaves no process and no folder.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testkit::ControlPlane;

const VICTIM: &str = "LOCKGATE_TEST_VICTIM";
const MARK: &str = "victim is up:";

/// Runs itself a second time as the victim, which starts a control plane and waits; kills that with SIGKILL.
#[tokio::test]
async fn killed_test_leaves_nothing() -> Result<()> {
    if std::env::var_os(VICTIM).is_some() {
        let plane = ControlPlane::start().await?;
        let pids: Vec<String> = plane.pids().iter().map(u32::to_string).collect();
        println!("\n{MARK} {} {}", plane.folder().display(), pids.join(" "));
        std::future::pending::<()>().await;
    }

    let mut victim = Command::new(std::env::current_exe()?)
        .args(["--exact", "killed_test_leaves_nothing", "--nocapture"])
        .env(VICTIM, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = BufReader::new(victim.stdout.take().context("the victim's output")?);
    let line = output
        .lines()
        .map_while(Result::ok)
        .find(|line| line.starts_with(MARK))
        .context("the victim ended early")?;
    let mut words = line[MARK.len()..].split_whitespace();
    let folder = PathBuf::from(words.next().context("no folder")?);
    let pids: Vec<u32> = words.map(str::parse).collect::<Result<_, _>>()?;
    assert_eq!(
        pids.len(),
        4,
        "etcd, the API server, the controller-manager, kwok"
    );
    let everything = using(&folder)?;
    for pid in &pids {
        assert!(
            everything.contains(pid),
            "{pid} of {pids:?} is not among {everything:?}"
        );
    }

    victim.kill()?;
    victim.wait()?;

    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left = using(&folder)?;
        if left.is_empty() && !folder.exists() {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "left: processes {left:?}, folder {}",
            if folder.exists() { "there" } else { "gone" }
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Returns the processes that name `folder` in their command line: the programs, their supervisors, the sweeper.
fn using(folder: &Path) -> Result<Vec<u32>> {
    let needle = folder.to_string_lossy();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("listing processes")? {
        let entry = entry?;
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // A process that ended in between has nothing to read.
        let command_line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&command_line).contains(&*needle) {
            found.push(pid);
        }
    }
    Ok(found)
}
