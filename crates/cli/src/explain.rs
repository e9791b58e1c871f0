//! `lockgate explain`: why is my change not live?

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, DynamicObject, ListParams};
use serde::Serialize;

use crate::cluster::name::{ObjectName, Written};
use crate::cluster::standing::State;
use crate::cluster::table::{age, is_coloured, one_line, painted};
use crate::cluster::{Cluster, Place, kind, text};
use crate::output::{self, Format};

mod chain;

pub(crate) use chain::source_of;
use chain::{Neighbour, Step, Stop};

/// Warnings that are shown.
const WARNINGS: usize = 5;

/// What to explain.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The object: `ks/apps`, `hr/web`, `gitrepo/app`.
    #[arg(value_name = "KIND/NAME")]
    what: Written,
    #[command(flatten)]
    place: Place,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Serialize)]
struct Explanation {
    object: String,
    live: bool,
    steps: Vec<Step>,
    warnings: Vec<Warning>,
}

#[derive(Serialize)]
struct Warning {
    time: Option<String>,
    reason: String,
    message: String,
}

/// Runs the command.
pub(crate) async fn run(args: &Args) -> Result<String> {
    let cluster = Cluster::connect(&args.place).await?;
    let name = args.what.object(args.place.namespace())?;
    let object = cluster.get(&name).await?;
    let (source, dependencies) = around(&cluster, &name, &object).await?;
    let steps = chain::steps(
        &object,
        source.as_deref().unwrap_or_default(),
        &dependencies,
    );
    let explanation = Explanation {
        object: name.to_string(),
        live: steps
            .iter()
            .all(|step| step.stop != Stop::Blocked && step.stop != Stop::Waiting),
        steps,
        warnings: warnings(&cluster, &name).await?,
    };
    match args.output {
        Format::Text => Ok(shown(&explanation)),
        format => output::print(format, &explanation),
    }
}

type Around = (Option<Vec<Neighbour>>, Vec<Neighbour>);

/// Reads what the object takes its content from, nearest last, and what it waits for.
async fn around(cluster: &Cluster, name: &ObjectName, object: &DynamicObject) -> Result<Around> {
    let mut sources = Vec::new();
    let mut next = chain::source_of(name, object);
    // A release has a chart, a chart a repository: no chain is longer.
    for _ in 0..3 {
        let Some(source) = next.take() else { break };
        let found = cluster.find(&source).await?;
        next = found
            .as_ref()
            .and_then(|found| chain::source_of(&source, found));
        sources.insert(
            0,
            Neighbour {
                name: source,
                object: found,
            },
        );
    }
    let mut dependencies = Vec::new();
    for dependency in chain::dependencies_of(name, object) {
        let found = cluster.find(&dependency).await?;
        dependencies.push(Neighbour {
            name: dependency,
            object: found,
        });
    }
    Ok((Some(sources), dependencies))
}

/// The newest warnings about the object, newest first.
async fn warnings(cluster: &Cluster, name: &ObjectName) -> Result<Vec<Warning>> {
    let events = Api::<Event>::namespaced(cluster.client.clone(), &name.namespace);
    let fields = format!(
        "involvedObject.kind={},involvedObject.name={},type=Warning",
        name.kind.kind, name.name
    );
    let listed = events
        .list(&ListParams::default().fields(&fields).limit(200))
        .await;
    let mut found: Vec<Warning> = listed
        .context("listing events")?
        .items
        .into_iter()
        .map(|event| Warning {
            time: event
                .last_timestamp
                .map(|time| time.0.to_string())
                .or_else(|| event.event_time.map(|time| time.0.to_string())),
            reason: event.reason.unwrap_or_default(),
            message: event.message.unwrap_or_default(),
        })
        .collect();
    found.sort_by(|a, b| b.time.cmp(&a.time));
    found.truncate(WARNINGS);
    Ok(found)
}

fn shown(explanation: &Explanation) -> String {
    use std::fmt::Write as _;
    let coloured = is_coloured();
    let now = jiff::Timestamp::now();
    let mut out = format!("{}\n\n", explanation.object);
    for step in &explanation.steps {
        let (mark, state) = match step.stop {
            Stop::Done => ("done   ", State::Ready),
            Stop::Blocked => ("BLOCKED", State::Failed),
            Stop::Waiting => ("waiting", State::Progressing),
            Stop::Unknown => ("-      ", State::Static),
        };
        let mark = painted(state, mark, coloured);
        let when = age(step.time.as_deref(), now);
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "  {mark}  {:<12} {when:>5}  {}",
            step.name,
            one_line(&step.text)
        );
    }
    let stopped = explanation
        .steps
        .iter()
        .find(|step| matches!(step.stop, Stop::Blocked | Stop::Waiting));
    let _ = match stopped {
        None => writeln!(out, "\nEverything is live."),
        Some(step) if step.stop == Stop::Blocked => {
            writeln!(out, "\nBlocked at {}: {}", step.name, step.text.trim())
        }
        Some(step) => writeln!(out, "\nWaiting for {}: {}", step.name, step.text.trim()),
    };
    if !explanation.warnings.is_empty() {
        let _ = writeln!(out, "\nLast warnings:");
        for warning in &explanation.warnings {
            let when = age(warning.time.as_deref(), now);
            let _ = writeln!(
                out,
                "  {when:>5}  {}: {}",
                warning.reason,
                one_line(&warning.message)
            );
        }
    }
    out
}

/// Returns the kind of a reference.
fn referred(reference: &serde_json::Value, namespace: &str) -> Option<ObjectName> {
    let of = |key: &str| reference[key].as_str().filter(|text| !text.is_empty());
    let found = kind(of("kind")?)?;
    Some(ObjectName::new(
        found,
        of("namespace").unwrap_or(namespace),
        of("name")?,
    ))
}

/// Returns the text at a path, or a stand-in.
fn or_dash<'a>(object: &'a DynamicObject, pointer: &str) -> &'a str {
    text(object, pointer).unwrap_or("-")
}
