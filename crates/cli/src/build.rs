//! `lockgate build`: what `kustomize build` prints, with its flags where they make sense.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use kustomize::{Build, HelmInflator, Limits, LoadRestrictions, Options, Reorder, Resource};

use crate::disk_tree::DiskTree;
use crate::inflate::Charts;

/// The version of kustomize whose output is printed.
const MANAGER_VERSION: &str = "v5.8.1";

/// What to build, and how.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of kustomize's"
)]
pub(crate) struct Args {
    /// The directory with the kustomization file.
    #[arg(default_value = ".", value_name = "DIR")]
    directory: PathBuf,
    /// Writes to this file, or one file an object into this directory.
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Which files a kustomization may name.
    #[arg(long, value_enum, default_value_t = LoadRestrictor::RootOnly)]
    load_restrictor: LoadRestrictor,
    /// How objects are ordered where the kustomization has no sortOptions.
    #[arg(long, value_enum, default_value_t = Order::Legacy)]
    reorder: Order,
    /// Labels all objects with app.kubernetes.io/managed-by.
    #[arg(long)]
    enable_managedby_label: bool,
    /// Refused: plugins are programs that a kustomization brings along.
    #[arg(long)]
    enable_alpha_plugins: bool,
    /// Refused: functions are programs that a kustomization brings along.
    #[arg(long)]
    enable_exec: bool,
    /// Renders charts that lie below the kustomization, with our own engine; fetches none.
    #[arg(long)]
    enable_helm: bool,
    /// Refused: no container is started.
    #[arg(long)]
    network: bool,
}

impl Args {
    /// Returns what is read of a command line that names nothing but a directory.
    pub(crate) fn of(directory: PathBuf) -> Self {
        Self {
            directory,
            output: None,
            load_restrictor: LoadRestrictor::RootOnly,
            reorder: Order::Legacy,
            enable_managedby_label: false,
            enable_alpha_plugins: false,
            enable_exec: false,
            enable_helm: false,
            network: false,
        }
    }
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum LoadRestrictor {
    /// Files in and below the kustomization's directory.
    #[value(name = "LoadRestrictionsRootOnly")]
    RootOnly,
    /// Any file.
    #[value(name = "LoadRestrictionsNone")]
    Any,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Order {
    /// By kind.
    Legacy,
    /// As they are listed.
    None,
}

/// Builds; gives what is to be printed, in pieces.
///
/// # Errors
/// Where a flag is refused, the build fails or the output cannot be written.
pub(crate) fn run(args: &Args) -> anyhow::Result<Vec<String>> {
    refuse(args)?;
    let directory = std::path::absolute(&args.directory)
        .with_context(|| format!("no such directory: {}", args.directory.display()))?;
    let path = directory
        .to_str()
        .context("the directory's path is not UTF-8")?;
    let limits = Limits::default();
    let tree = DiskTree::new(limits.max_file_bytes as u64);
    let restrictions = match args.load_restrictor {
        LoadRestrictor::RootOnly => LoadRestrictions::RootOnly,
        LoadRestrictor::Any => LoadRestrictions::None,
    };
    let charts = Charts { restrictions };
    let options = Options {
        load_restrictions: restrictions,
        helm: args.enable_helm.then_some(&charts as &dyn HelmInflator),
        reorder: match args.reorder {
            Order::Legacy => Reorder::Legacy,
            Order::None => Reorder::None,
        },
        managed_by_label: args.enable_managedby_label,
        manager_version: Some(MANAGER_VERSION),
        limits,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        ..Options::default()
    };
    let built = kustomize::build_trees(&tree, path.trim_start_matches('/'), &options)?;
    let printed = built.to_yaml_parts()?;
    for warning in built.warnings() {
        // A warning that cannot be written is no reason to fail.
        writeln!(std::io::stderr().lock(), "{warning}").ok();
    }
    match &args.output {
        // The process ends: nobody needs the memory back, and giving it back takes time.
        None => std::mem::forget(built),
        Some(output) if output.is_dir() => {
            write_each(output, &built.into_json()?)?;
            return Ok(Vec::new());
        }
        Some(output) => {
            std::fs::write(output, printed.concat())
                .with_context(|| format!("cannot write {}", output.display()))?;
            return Ok(Vec::new());
        }
    }
    Ok(printed)
}

/// Builds a directory as `kustomize-controller` would find it and returns the objects as JSON.
///
/// # Errors
/// Where the build fails.
pub(crate) fn objects(directory: &Path) -> anyhow::Result<Vec<serde_json::Value>> {
    let directory = std::path::absolute(directory)
        .with_context(|| format!("no such directory: {}", directory.display()))?;
    let path = directory
        .to_str()
        .context("the directory's path is not UTF-8")?;
    let limits = Limits::default();
    let tree = DiskTree::new(limits.max_file_bytes as u64);
    let options = Options {
        load_restrictions: LoadRestrictions::None,
        limits,
        ..Options::default()
    };
    let built = kustomize::build(&tree, path.trim_start_matches('/'), &options)?;
    Ok(built
        .resources
        .into_iter()
        .map(|resource| resource.object)
        .collect())
}

/// Refuses the flags that would run something.
fn refuse(args: &Args) -> anyhow::Result<()> {
    let flags = [
        (
            args.enable_alpha_plugins,
            "--enable-alpha-plugins",
            "plugins are never run",
        ),
        (args.enable_exec, "--enable-exec", "functions are never run"),
        (
            args.network,
            "--network",
            "no function is run that could use it",
        ),
    ];
    match flags.iter().find(|(is_set, _, _)| *is_set) {
        Some((_, flag, reason)) => bail!("{flag} is refused: {reason}"),
        None => Ok(()),
    }
}

/// Writes one file an object.
fn write_each(directory: &Path, built: &Build) -> anyhow::Result<()> {
    let namespaced = built
        .resources
        .iter()
        .filter(|resource| !resource.cluster_scoped);
    let namespaces: BTreeSet<&str> = namespaced.map(namespace).collect();
    for resource in &built.resources {
        let mut name = file_name(resource);
        if !resource.cluster_scoped && namespaces.len() > 1 {
            name = format!("{}_{name}", namespace(resource).to_lowercase());
        }
        let path = directory.join(name);
        std::fs::write(&path, resource.to_yaml()?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn text<'r>(resource: &'r Resource, pointer: &str) -> &'r str {
    resource
        .object
        .pointer(pointer)
        .and_then(|value| value.as_str())
        .unwrap_or_default()
}

fn namespace(resource: &Resource) -> &str {
    match text(resource, "/metadata/namespace") {
        "" => "default",
        namespace => namespace,
    }
}

/// Names an object's file: `apps_v1_deployment_web.yaml`.
fn file_name(resource: &Resource) -> String {
    let version = text(resource, "/apiVersion").replacen('/', "_", 1);
    let parts = [
        &version,
        text(resource, "/kind"),
        text(resource, "/metadata/name"),
    ];
    let name = parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("_");
    // A name may hold slashes; a file's may not.
    format!("{}.yaml", name.to_lowercase().replace('/', "_"))
}
