//! Images are tried as they will be run: from a root that holds nothing else, and by way of a registry.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use testkit::{ControlPlane, Registry, RegistryOptions, Supervised};

use super::{Image, root_fs};

const PATIENCE: Duration = Duration::from_mins(1);
const MAX_BLOB_BYTES: u64 = 64 * 1024 * 1024;

/// Runs every image and puts every image into a registry.
///
/// # Errors
/// The first that does not do what it should.
pub(super) fn run(images: &[Image]) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    runtime.block_on(async {
        let plane = ControlPlane::start().await?;
        testkit::install_definitions(
            &plane.client(),
            &crate::repository::root().join("config/crd/bases"),
        )
        .await?;
        for image in images {
            start(image, &plane).await?;
        }
        anyhow::Ok(())
    })?;
    let registry = Registry::start(&RegistryOptions::default())?;
    for image in images {
        push(image, &registry)?;
    }
    Ok(())
}

/// Starts the program from its image alone. It finds the API server by a host name and speaks TLS with it: it is ready
/// only when both went well.
#[expect(clippy::print_stdout, reason = "this is what the task is for")]
async fn start(image: &Image, plane: &ControlPlane) -> Result<()> {
    let root = &image.root;
    let kubeconfig = fs::read_to_string(plane.kubeconfig_path()).context("reading a kubeconfig")?;
    let kubeconfig = kubeconfig.replace("https://127.0.0.1:", "https://localhost:");
    ensure!(
        kubeconfig.contains("https://localhost:"),
        "the kubeconfig names another server"
    );
    fs::write(root.join("tmp/kubeconfig"), kubeconfig).context("writing a kubeconfig")?;
    fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n").context("writing hosts")?;
    let addresses = testkit::free_ports::<4>()?.map(|port| format!("127.0.0.1:{port}"));
    let [health, ..] = &addresses;
    let command = command(image, &addresses);
    let program = Supervised::start(&command, &image.folder.join("check.log"))?;
    let began = Instant::now();
    while !is_ready(health) {
        program.still_runs()?;
        if began.elapsed() > PATIENCE {
            bail!(
                "{} is not ready from its image alone:\n{}",
                image.name,
                program.log_tail()
            );
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!(
        "{}: ready from its image alone after {} ms",
        image.name,
        began.elapsed().as_millis()
    );
    drop(program);
    for left in ["tmp/kubeconfig", "etc/hosts"] {
        fs::remove_file(root.join(left)).context("clearing up")?;
    }
    Ok(())
}

/// The program with nothing of this machine but its ports.
fn command(image: &Image, [health, metrics, first, second]: &[String; 4]) -> Command {
    let mut command = Command::new("unshare");
    // As root the folder is entered at once; without, in a user namespace of one's own.
    command.args(["--map-root-user", "--root"]);
    command.arg(&image.root).arg("--");
    command.arg(format!("/{}/{}", root_fs::PROGRAMS, image.name));
    command.args([
        format!("--health-addr={health}"),
        format!("--metrics-addr={metrics}"),
        "--enable-leader-election=false".to_owned(),
        "--watch-all-namespaces=true".to_owned(),
    ]);
    let own: Vec<String> = match image.name {
        "source-controller" => vec![
            "--events-addr=".to_owned(),
            "--storage-path=/data".to_owned(),
            format!("--storage-addr={first}"),
            format!("--storage-adv-addr={first}"),
        ],
        "notification-controller" => vec![
            format!("--events-addr={first}"),
            format!("--receiverAddr={second}"),
            "--spool-path=/tmp".to_owned(),
        ],
        "image-reflector-controller" => {
            vec![
                "--events-addr=".to_owned(),
                "--storage-path=/data".to_owned(),
            ]
        }
        _ => vec!["--events-addr=".to_owned()],
    };
    command.args(own).env_clear();
    command.env("KUBECONFIG", "/tmp/kubeconfig");
    command.env("RUNTIME_NAMESPACE", "default");
    command
}

fn is_ready(address: &str) -> bool {
    testkit::http_get(address, "/readyz").is_ok_and(|status| status == 200)
}

/// Copies a layout into the registry, what refers to the image too.
#[expect(clippy::print_stdout, reason = "this is what the task is for")]
fn push(image: &Image, registry: &Registry) -> Result<()> {
    let layout = image.folder.join("layout");
    let repository = format!("lockgate/{}", image.name);
    let index: Value = serde_json::from_slice(&read(&layout.join("index.json"))?)?;
    let manifests = index["manifests"]
        .as_array()
        .context("an index names manifests")?;
    for named in manifests {
        let digest = named["digest"]
            .as_str()
            .context("a manifest has a digest")?;
        let manifest = blob(&layout, digest)?;
        let parsed: Value = serde_json::from_slice(&manifest)?;
        let layers = parsed["layers"].as_array().into_iter().flatten();
        for part in std::iter::once(&parsed["config"]).chain(layers) {
            let digest = part["digest"].as_str().context("a blob has a digest")?;
            let pushed = registry.push_blob(&repository, &blob(&layout, digest)?)?;
            ensure!(pushed == digest, "a blob is not what its digest says");
        }
        let tag = named["annotations"]["org.opencontainers.image.ref.name"]
            .as_str()
            .unwrap_or_default();
        let media_type = named["mediaType"]
            .as_str()
            .context("a manifest has a type")?;
        registry.push_manifest(&repository, tag, media_type, &manifest)?;
    }
    println!(
        "{repository}: {} manifests are in a registry",
        manifests.len()
    );
    Ok(())
}

fn blob(layout: &Path, digest: &str) -> Result<Vec<u8>> {
    let hex = digest
        .strip_prefix("sha256:")
        .context("a digest is SHA-256")?;
    read(&layout.join("blobs/sha256").join(hex))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let size = fs::metadata(path)
        .with_context(|| format!("reading {}", path.display()))?
        .len();
    ensure!(size <= MAX_BLOB_BYTES, "{} is too large", path.display());
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}
