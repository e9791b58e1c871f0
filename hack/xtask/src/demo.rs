//! `cargo xtask demo`: the main job on a real control plane, told line by line.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testkit::{
    ControlPlane, GitServer, Program, PushedArtifact, Registry, RegistryOptions, Repository,
};

mod cluster;
mod narrator;
mod story;

use cluster::Cluster;
use narrator::Narrator;

/// A controller may use no more memory than this when it has nothing to do.
const IDLE_LIMIT_MIB: f64 = 20.0;
/// The controllers that the demo shows, each with its package.
const CONTROLLERS: [(&str, &str); 4] = [
    ("source-controller", "source-controller"),
    ("kustomize-controller", "kustomize-controller"),
    ("image-reflector-controller", "image-automation"),
    ("image-automation-controller", "image-automation"),
];

/// Shows what GitOps promises: a Git server, the controllers and a control plane, started here.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the controllers' binaries are; built from this tree where it is not given.
    #[arg(long)]
    bin_dir: Option<PathBuf>,
}

/// Everything that runs during the demo. Dropping it ends all of it.
struct Stage {
    cluster: Cluster,
    repository: Repository,
    registry: Registry,
    controllers: Vec<(&'static str, Program)>,
    _git: GitServer,
    plane: Option<ControlPlane>,
}

/// Runs the demo.
///
/// # Errors
/// The first promise that did not hold.
pub(crate) fn run(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        tokio::select! {
            result = Box::pin(play(args)) => result,
            _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        }
    })
}

async fn play(args: &Args) -> Result<()> {
    let narrator = Narrator::start();
    let bin_dir = match &args.bin_dir {
        Some(folder) => folder.canonicalize().context("--bin-dir")?,
        None => build(&narrator).await?,
    };
    let stage = set_up(&narrator, &bin_dir).await?;
    let told = story::tell(
        &narrator,
        &stage.cluster,
        &stage.repository,
        &stage.registry,
    )
    .await;
    if let Err(error) = told {
        narrator.fail(&error);
        for (name, program) in &stage.controllers {
            narrator.log_of(name, &program.log()?);
        }
        return Err(error);
    }
    memory(&narrator, &stage).await?;
    narrator.heading("What is live now");
    stage.cluster.kubectl(&[
        "get",
        "gitrepositories,kustomizations,imagerepositories,imagepolicies,imageupdateautomations",
        "-n",
        cluster::NAMESPACE,
    ])?;
    stage.cluster.kubectl(&[
        "get",
        "deployments,services,configmaps",
        "-A",
        "-l",
        "kustomize.toolkit.fluxcd.io/namespace=lockgate-demo",
    ])?;
    keep(&narrator, &stage).await?;
    if stage.plane.is_none() {
        stage.cluster.remove().await?;
    }
    narrator.end();
    Ok(())
}

/// Builds the controllers, with cargo's own progress.
async fn build(narrator: &Narrator) -> Result<PathBuf> {
    narrator.heading("Building the controllers (the first time takes some minutes)");
    let root = root();
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let status = tokio::process::Command::new(cargo)
        .args(["build", "--release"])
        .args(CONTROLLERS.iter().flat_map(|(_, package)| ["-p", *package]))
        .current_dir(&root)
        .status()
        .await
        .context("running cargo")?;
    ensure!(status.success(), "the controllers do not build");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release"))
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

async fn set_up(narrator: &Narrator, bin_dir: &Path) -> Result<Stage> {
    let current = std::env::var("LOCKGATE_DEMO_CLUSTER").is_ok_and(|which| which == "current");
    narrator.heading(if current {
        "Using the cluster of the current kubeconfig"
    } else {
        "Starting a control plane: etcd, kube-apiserver, kube-controller-manager, kwok"
    });
    let began = Instant::now();
    let plane = if current {
        None
    } else {
        Some(ControlPlane::start().await?)
    };
    let kubectl = testkit::control_plane_binaries().await?.join("kubectl");
    let cluster = Cluster::connect(plane.as_ref(), kubectl).await?;
    narrator.done("control plane is up", began.elapsed());

    let began = Instant::now();
    testkit::install_definitions(&cluster.client, &root().join("config/crd/bases")).await?;
    narrator.done("custom resource definitions are served", began.elapsed());

    let git = GitServer::start()?;
    let repository = git.repository("shop")?;
    narrator.say(&format!(
        "a Git server (git http-backend) serves {}",
        repository.url()
    ));

    let registry = Registry::start(&RegistryOptions::default())?;
    registry.push("shop", "1.0.0", &PushedArtifact::default())?;
    narrator.say(&format!(
        "an OCI registry serves {}/shop:1.0.0",
        registry.address()
    ));

    let began = Instant::now();
    let mut controllers = Vec::new();
    for (name, _) in CONTROLLERS {
        let program = cluster.program(bin_dir.join(name))?;
        let storage = program.folder().join("storage");
        std::fs::create_dir_all(&storage)?;
        let storage = storage.to_string_lossy().into_owned();
        let program = match name {
            "source-controller" => program
                .listens(&["--storage-addr", "--storage-adv-addr"])
                .flag("--storage-path", &storage),
            "image-reflector-controller" => program.flag("--storage-path", &storage),
            _ => program,
        };
        controllers.push((name, program.start().await?));
    }
    narrator.done("four controllers are ready", began.elapsed());
    Ok(Stage {
        cluster,
        repository,
        registry,
        controllers,
        _git: git,
        plane,
    })
}

/// Says what the controllers use once they have nothing to do.
async fn memory(narrator: &Narrator, stage: &Stage) -> Result<()> {
    narrator.heading("Memory with nothing to do");
    tokio::time::sleep(Duration::from_secs(2)).await;
    for (name, program) in &stage.controllers {
        #[expect(clippy::cast_precision_loss, reason = "mebibytes with one decimal")]
        let mib = program.resident_bytes()? as f64 / f64::from(1 << 20);
        narrator.say(&format!("{name}: {mib:.1} MiB resident"));
        ensure!(
            mib <= IDLE_LIMIT_MIB,
            "{name} uses more than {IDLE_LIMIT_MIB} MiB"
        );
    }
    Ok(())
}

/// With `KEEP=1`, leaves everything running until the user has seen enough.
async fn keep(narrator: &Narrator, stage: &Stage) -> Result<()> {
    if !std::env::var("KEEP").is_ok_and(|keep| keep == "1") {
        return Ok(());
    }
    narrator.heading("Everything keeps running. Look around:");
    narrator.say(&format!(
        "export KUBECONFIG={}",
        stage.cluster.kubeconfig.display()
    ));
    narrator.say(&format!(
        "alias kubectl={}",
        stage.cluster.kubectl.display()
    ));
    narrator.say(&format!(
        "git clone {}   # commit, push, and watch it go live within a minute",
        stage.repository.url()
    ));
    narrator.say("press Ctrl-C to end");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
