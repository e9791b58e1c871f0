//! `lockgate check`: what has to be there before and after an installation.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use api::served::{Kind, kinds};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams};

use crate::Outcome;
use crate::cluster::standing::State;
use crate::cluster::table::{is_coloured, painted};
use crate::cluster::{Cluster, Place};

/// The oldest Kubernetes that is supported: 1.33.
const OLDEST: (u32, u32) = (1, 33);

/// What to check.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// Only what an installation needs.
    #[arg(long)]
    pre: bool,
}

/// What was found, line by line.
#[derive(Default)]
struct Findings {
    lines: Vec<(State, String)>,
}

impl Findings {
    fn add(&mut self, good: bool, text: String) {
        let state = if good { State::Ready } else { State::Failed };
        self.lines.push((state, text));
    }
}

/// Runs the command; ends with 1 where something is amiss.
pub(crate) async fn run(args: &Args) -> Result<Outcome> {
    let cluster = Cluster::connect(&args.place).await?;
    let mut findings = Findings::default();
    server(&cluster, &mut findings).await?;
    if !args.pre {
        definitions(&cluster, &mut findings).await?;
        deployments(&cluster, args.place.namespace(), &mut findings).await?;
    }
    let coloured = is_coloured();
    let mut out = String::new();
    for (state, text) in &findings.lines {
        let mark = if *state == State::Failed {
            "FAILED"
        } else {
            "ok    "
        };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{} {text}", painted(*state, mark, coloured));
    }
    let failed = findings
        .lines
        .iter()
        .filter(|(state, _)| *state == State::Failed)
        .count();
    let _ = match failed {
        0 => writeln!(out, "everything is in order"),
        1 => writeln!(out, "1 thing is amiss"),
        more => writeln!(out, "{more} things are amiss"),
    };
    Ok(Outcome {
        out,
        code: u8::from(failed > 0),
    })
}

async fn server(cluster: &Cluster, findings: &mut Findings) -> Result<()> {
    let version = cluster.client.apiserver_version().await;
    let version = version.context("asking the API server for its version")?;
    let number = |text: &str| -> u32 {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    };
    let found = (number(&version.major), number(&version.minor));
    let (major, minor) = OLDEST;
    let text = format!(
        "Kubernetes {}; at least {major}.{minor} is needed",
        version.git_version
    );
    findings.add(found >= OLDEST, text);
    Ok(())
}

async fn definitions(cluster: &Cluster, findings: &mut Findings) -> Result<()> {
    let api = Api::<CustomResourceDefinition>::all(cluster.client.clone());
    let listed = api.list(&ListParams::default().limit(2_000)).await;
    let listed = listed.context("listing definitions")?.items;
    for kind in kinds() {
        let name = kind.definition_name();
        let found = listed
            .iter()
            .find(|found| found.metadata.name.as_deref() == Some(&name));
        match found {
            None => findings.add(false, format!("{name} is not defined")),
            Some(found) => definition(kind, found, findings),
        }
    }
    Ok(())
}

fn definition(kind: &Kind, found: &CustomResourceDefinition, findings: &mut Findings) {
    let name = kind.definition_name();
    let newest = kind.storage().name;
    let served = |version: &str| {
        found
            .spec
            .versions
            .iter()
            .any(|v| v.name == version && v.served)
    };
    if !served(newest) {
        findings.add(false, format!("{name} is not served as {newest}"));
        return;
    }
    let missing: Vec<&str> = kind
        .versions
        .iter()
        .map(|version| version.name)
        .filter(|version| !served(version))
        .collect();
    let stored = found
        .status
        .as_ref()
        .and_then(|status| status.stored_versions.clone());
    let older: Vec<String> = stored
        .unwrap_or_default()
        .into_iter()
        .filter(|version| version != newest)
        .collect();
    let mut text = format!("{name} is served as {newest}");
    // Writing to a String cannot fail.
    if !missing.is_empty() {
        let _ = write!(
            text,
            "; not as {}, so older manifests are refused",
            missing.join(", ")
        );
    }
    if !older.is_empty() {
        let _ = write!(
            text,
            "; objects may still be stored as {}",
            older.join(", ")
        );
    }
    findings.add(true, text);
}

async fn deployments(cluster: &Cluster, namespace: &str, findings: &mut Findings) -> Result<()> {
    let api = Api::<Deployment>::namespaced(cluster.client.clone(), namespace);
    let ours = ListParams::default().labels("app.kubernetes.io/part-of=flux");
    let listed = api.list(&ours).await.context("listing controllers")?.items;
    if listed.is_empty() {
        findings.add(false, format!("no controller is installed in {namespace}: `lockgate install` does it, --namespace looks elsewhere"));
    }
    for deployment in listed {
        let name = deployment.metadata.name.unwrap_or_default();
        let wanted = deployment
            .spec
            .as_ref()
            .and_then(|spec| spec.replicas)
            .unwrap_or(1);
        let status = deployment.status.unwrap_or_default();
        let ready = status.ready_replicas.unwrap_or(0);
        let seen = status.observed_generation == deployment.metadata.generation;
        let image = deployment
            .spec
            .and_then(|spec| spec.template.spec)
            .and_then(|pod| pod.containers.into_iter().next())
            .and_then(|container| container.image)
            .unwrap_or_default();
        let text = format!("{name}: {ready} of {wanted} ready ({image})");
        findings.add(seen && ready >= wanted, text);
    }
    Ok(())
}
