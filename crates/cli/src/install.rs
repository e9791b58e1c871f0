//! `lockgate install`: the shipped manifests, printed or applied.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kustomize::{MemoryTree, Options};
use serde_json::Value;

use crate::cluster::progress::Progress;
use crate::cluster::{Cluster, Place};

include!(concat!(env!("OUT_DIR"), "/manifests.rs"));

/// Who owns the fields that are applied.
const MANAGER: &str = "lockgate";
/// The namespace that the manifests name.
const SHIPPED_NAMESPACE: &str = "flux-system";
const PAUSE: Duration = Duration::from_millis(200);

/// What can be installed, by the name of its folder.
const COMPONENTS: [&str; 6] = [
    "source-controller",
    "kustomize-controller",
    "helm-controller",
    "notification-controller",
    "image-reflector-controller",
    "image-automation-controller",
];

/// What to install.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// The controllers; all where none is given.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    components: Vec<String>,
    /// For clusters that tenants share.
    #[arg(long)]
    lockdown: bool,
    /// Without network policies.
    #[arg(long)]
    no_network_policy: bool,
    /// Where the images are: `ghcr.io/lockgate`.
    #[arg(long)]
    registry: Option<String>,
    /// The tag of the images: `v0.1.0`.
    #[arg(long)]
    version: Option<String>,
    /// Prints the manifests and applies nothing.
    #[arg(long)]
    export: bool,
    /// How long to wait until the controllers are ready, in seconds.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    timeout: u64,
}

/// Runs the command.
pub(crate) async fn run(args: &Args) -> Result<String> {
    let built = build(args)?;
    if args.export {
        return built.to_yaml().context("writing manifests");
    }
    let cluster = Cluster::connect(&args.place).await?;
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    let mut out = String::new();
    let mut progress = Progress::new();
    for resource in &built.resources {
        progress.tell(format!("applying {}", shown(&resource.object)));
        apply(&cluster, &resource.object, deadline).await?;
        writeln!(out, "applied {}", shown(&resource.object))?;
    }
    for name in components(args)? {
        progress.tell(format!("waiting for {name}"));
        ready(&cluster, args.place.namespace(), name, deadline).await?;
        writeln!(out, "{name} is ready")?;
    }
    Ok(out)
}

fn components(args: &Args) -> Result<Vec<&'static str>> {
    if args.components.is_empty() {
        return Ok(COMPONENTS.to_vec());
    }
    let found = args.components.iter().map(|asked| {
        let found = COMPONENTS.iter().find(|name| *name == asked);
        found.copied().with_context(|| {
            format!(
                "there is no controller '{asked}'; there are {}",
                COMPONENTS.join(", ")
            )
        })
    });
    found.collect()
}

/// Builds the manifests with our own engine from the files that are compiled in.
fn build(args: &Args) -> Result<kustomize::Build> {
    let mut tree = MemoryTree::new();
    for (path, content) in MANIFESTS {
        tree.insert(path, *content);
    }
    let mut root = String::from("resources:\n- default/namespace.yaml\n- crd\n");
    let mut images = String::new();
    for name in components(args)? {
        let folder = name.trim_end_matches("-controller");
        writeln!(root, "- {folder}")?;
        writeln!(images, "- name: ghcr.io/lockgate/{name}")?;
        if let Some(registry) = &args.registry {
            ensure!(
                is_plain(registry),
                "--registry: '{registry}' is no name of a registry"
            );
            writeln!(images, "  newName: {registry}/{name}")?;
        }
        if let Some(version) = &args.version {
            ensure!(is_plain(version), "--version: '{version}' is no tag");
            writeln!(images, "  newTag: \"{version}\"")?;
        }
    }
    if !args.no_network_policy {
        root += "- policies\n";
    }
    if args.lockdown {
        root += "components:\n- components/lockdown\n";
    }
    root += "labels:\n- pairs:\n    app.kubernetes.io/instance: flux-system\n    app.kubernetes.io/part-of: flux\n";
    if args.registry.is_some() || args.version.is_some() {
        write!(root, "images:\n{images}")?;
    }
    let namespace = args.place.namespace();
    ensure!(
        is_plain(namespace),
        "'{namespace}' is no name of a namespace"
    );
    if namespace != SHIPPED_NAMESPACE {
        writeln!(root, "namespace: {namespace}")?;
    }
    tree.insert("kustomization.yaml", root);
    kustomize::build(&tree, "", &Options::default()).context("building the shipped manifests")
}

/// What goes into a kustomization file as it is.
fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/:".contains(c);
    !text.is_empty() && text.chars().all(plain)
}

fn shown(object: &Value) -> String {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    format!("{}/{}", text("/kind"), text("/metadata/name"))
}

/// Applies an object; waits until the API server knows its kind.
async fn apply(cluster: &Cluster, object: &Value, deadline: Instant) -> Result<()> {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (group, version) = text("/apiVersion")
        .split_once('/')
        .unwrap_or(("", text("/apiVersion")));
    let gvk = GroupVersionKind::gvk(group, version, text("/kind"));
    let resource = ApiResource::from_gvk(&gvk);
    let client = cluster.client.clone();
    let api: Api<DynamicObject> = match text("/metadata/namespace") {
        "" => Api::all_with(client, &resource),
        namespace => Api::namespaced_with(client, namespace, &resource),
    };
    let params = PatchParams::apply(MANAGER).force();
    loop {
        let applied = api
            .patch(text("/metadata/name"), &params, &Patch::Apply(object))
            .await;
        match applied {
            Ok(_) => return Ok(()),
            // A namespace or a definition that was made a moment ago.
            Err(kube::Error::Api(status)) if status.code == 404 && Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error).with_context(|| format!("applying {}", shown(object))),
        }
    }
}

async fn ready(cluster: &Cluster, namespace: &str, name: &str, deadline: Instant) -> Result<()> {
    let api = Api::<Deployment>::namespaced(cluster.client.clone(), namespace);
    loop {
        let found = api
            .get(name)
            .await
            .with_context(|| format!("reading {name}"))?;
        let wanted = found
            .spec
            .as_ref()
            .and_then(|spec| spec.replicas)
            .unwrap_or(1);
        let status = found.status.unwrap_or_default();
        if status.observed_generation == found.metadata.generation
            && status.updated_replicas.unwrap_or(0) >= wanted
            && status.ready_replicas.unwrap_or(0) >= wanted
        {
            return Ok(());
        }
        if Instant::now() > deadline {
            let why = status
                .conditions
                .unwrap_or_default()
                .into_iter()
                .find_map(|found| found.message.filter(|_| found.status == "False"));
            bail!(
                "{name} is not ready: {}",
                why.unwrap_or_else(|| "its pods are starting".to_owned())
            );
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn exported(line: &[&str]) -> String {
        let line = std::iter::once("install").chain(line.iter().copied());
        let line = Line::try_parse_from(line).unwrap_or_else(|error| panic!("{error}"));
        let built = build(&line.args).unwrap_or_else(|error| panic!("{error:#}"));
        built.to_yaml().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn everything_is_installed_unless_less_is_asked_for() {
        let all = exported(&[]);
        assert_eq!(all.matches("\nkind: Deployment\n").count(), 6);
        assert_eq!(all.matches("kind: CustomResourceDefinition\n").count(), 14);
        let one = exported(&["--components=source-controller", "--no-network-policy"]);
        assert_eq!(one.matches("\nkind: Deployment\n").count(), 1);
        assert!(!one.contains("kind: NetworkPolicy"));
    }

    #[test]
    fn namespace_registry_tag_and_lockdown_reach_every_controller() {
        let out = exported(&[
            "-n",
            "gitops",
            "--registry=r.example:5000/team",
            "--version=v9",
            "--lockdown",
        ]);
        assert_eq!(out.matches("image: r.example:5000/team/").count(), 6);
        assert_eq!(out.matches("-controller:v9\n").count(), 6);
        assert!(!out.contains("namespace: flux-system"));
        assert!(out.contains("--no-cross-namespace-refs=true"));
    }

    #[test]
    fn names_that_would_change_the_manifests_are_refused() {
        let bad = |line: &[&str]| {
            let line = std::iter::once("install").chain(line.iter().copied());
            Line::try_parse_from(line).is_ok_and(|line| build(&line.args).is_err())
        };
        assert!(bad(&["--components=pods"]));
        assert!(bad(&["--registry=a\nb"]));
        assert!(bad(&["--version=a b"]));
    }
}
