//! `lockgate events`: what controllers have told of our objects, oldest first.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use api::served::kinds;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};

use crate::cluster::name::Written;
use crate::cluster::standing::State;
use crate::cluster::table::{age, is_coloured, one_line, table};
use crate::cluster::{Cluster, Place};
use crate::output::{self, Format};

/// Events in one answer of the API server.
const PAGE: u32 = 500;

/// Which events to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A kind or an object; all of ours where none is given.
    #[arg(value_name = "KIND[/NAME]")]
    what: Option<Written>,
    #[command(flatten)]
    place: Place,
    /// In all namespaces: what is done without --namespace too.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only warnings.
    #[arg(long)]
    warnings: bool,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// Runs the command.
pub(crate) async fn run(args: &Args) -> Result<String> {
    let cluster = Cluster::connect(&args.place).await?;
    let namespace = match (&args.place.namespace, &args.what) {
        _ if args.all_namespaces => None,
        (Some(namespace), _) => Some(namespace.as_str()),
        (None, Some(Written { name: Some(_), .. })) => Some(args.place.namespace()),
        (None, _) => None,
    };
    let mut events = list(&cluster, namespace, args).await?;
    events.sort_by_key(time);
    let ours: BTreeSet<&str> = kinds().map(|kind| kind.group).collect();
    events.retain(|event| {
        let version = event
            .involved_object
            .api_version
            .as_deref()
            .unwrap_or_default();
        version
            .split_once('/')
            .is_some_and(|(group, _)| ours.contains(group))
    });
    if args.output != Format::Text {
        let list: Vec<Value> = events
            .iter()
            .map(|event| {
                json!({"time": time(event).map(|time| time.to_string()), "type": event.type_, "reason": event.reason,
                    "object": object(event), "message": event.message, "count": event.count})
            })
            .collect();
        return output::print(args.output, &list);
    }
    Ok(shown(&events))
}

/// When an event was last seen.
fn time(event: &Event) -> Option<jiff::Timestamp> {
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    last.or_else(|| event.event_time.as_ref().map(|time| time.0))
}

fn shown(events: &[Event]) -> String {
    if events.is_empty() {
        return "nothing found\n".to_owned();
    }
    let now = jiff::Timestamp::now();
    let rows: Vec<(State, Vec<String>)> = events
        .iter()
        .map(|event| {
            let kind = event.type_.as_deref().unwrap_or_default();
            let state = if kind == "Warning" {
                State::Failed
            } else {
                State::Static
            };
            let cells = vec![
                kind.to_owned(),
                age(time(event).map(|time| time.to_string()).as_deref(), now),
                event.reason.clone().unwrap_or_default(),
                object(event),
                one_line(event.message.as_deref().unwrap_or_default()),
            ];
            (state, cells)
        })
        .collect();
    table(
        &["TYPE", "AGE", "REASON", "OBJECT", "MESSAGE"],
        &rows,
        is_coloured(),
    )
}

fn object(event: &Event) -> String {
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    let involved = &event.involved_object;
    format!(
        "{}/{}/{}",
        of(&involved.kind),
        of(&involved.namespace),
        of(&involved.name)
    )
}

async fn list(cluster: &Cluster, namespace: Option<&str>, args: &Args) -> Result<Vec<Event>> {
    let api = match namespace {
        Some(namespace) => Api::<Event>::namespaced(cluster.client.clone(), namespace),
        None => Api::all(cluster.client.clone()),
    };
    let mut fields = Vec::new();
    if let Some(written) = &args.what {
        fields.push(format!("involvedObject.kind={}", written.kind.kind));
        if let Some(name) = &written.name {
            fields.push(format!("involvedObject.name={name}"));
        }
    }
    if args.warnings {
        fields.push("type=Warning".to_owned());
    }
    let mut params = ListParams::default().fields(&fields.join(",")).limit(PAGE);
    let mut events = Vec::new();
    loop {
        let page = api.list(&params).await.context("listing events")?;
        events.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(events),
        }
    }
}
