//! `lockgate get`: our objects and how they stand, what fails first.

use anyhow::Result;
use api::served::{Kind, kinds};
use serde::Serialize;

use crate::cluster::name::{ObjectName, Written};
use crate::cluster::standing::{self, Standing, State};
use crate::cluster::table::{age, is_coloured, one_line, table};
use crate::cluster::{Cluster, Place};
use crate::output::{self, Format};

/// What to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kinds or objects: `ks`, `hr/web`; all kinds where none is given.
    #[arg(value_name = "KIND[/NAME]")]
    what: Vec<Written>,
    #[command(flatten)]
    place: Place,
    /// In all namespaces: what is done without --namespace too.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only objects with these labels.
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Only what is not ready.
    #[arg(long)]
    failing: bool,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Serialize)]
struct Row {
    kind: &'static str,
    namespace: String,
    name: String,
    #[serde(flatten)]
    standing: Standing,
}

/// Runs the command. All namespaces are shown unless one is given: at night nobody knows which one it is.
pub(crate) async fn run(args: &Args) -> Result<String> {
    let cluster = Cluster::connect(&args.place).await?;
    let mut rows = Vec::new();
    let every: Vec<Written> = kinds().map(|kind| Written { kind, name: None }).collect();
    let asked = if args.what.is_empty() {
        &every
    } else {
        &args.what
    };
    for written in asked {
        if written.name.is_some() {
            let name = written.object(args.place.namespace())?;
            let object = cluster.get(&name).await?;
            rows.push(row(&name, standing::of(&object)));
            continue;
        }
        let namespace = args.place.namespace.as_deref();
        let namespace = namespace.filter(|_| !args.all_namespaces);
        let objects = cluster
            .list(written.kind, namespace, args.selector.as_deref())
            .await?;
        rows.extend(objects.into_iter().map(|mut object| {
            object.types.get_or_insert_with(|| types_of(written.kind));
            let name = ObjectName::new(
                written.kind,
                object.metadata.namespace.as_deref().unwrap_or_default(),
                object.metadata.name.as_deref().unwrap_or_default(),
            );
            row(&name, standing::of(&object))
        }));
    }
    if args.failing {
        rows.retain(|row| matches!(row.standing.state, State::Failed | State::Progressing));
    }
    // What fails longest comes first: it is more often the cause than the effect.
    rows.sort_by(|a, b| {
        let key = |row: &Row| (row.standing.state, row.standing.since.clone());
        key(a)
            .cmp(&key(b))
            .then_with(|| (a.kind, &a.namespace, &a.name).cmp(&(b.kind, &b.namespace, &b.name)))
    });
    match args.output {
        Format::Text => Ok(shown(&rows)),
        format => output::print(format, &rows),
    }
}

/// Objects of a list do not name their kind.
fn types_of(kind: &Kind) -> kube::core::TypeMeta {
    kube::core::TypeMeta {
        api_version: format!("{}/{}", kind.group, kind.storage().name),
        kind: kind.kind.to_owned(),
    }
}

fn row(name: &ObjectName, standing: Standing) -> Row {
    Row {
        kind: name.kind.kind,
        namespace: name.namespace.clone(),
        name: name.name.clone(),
        standing,
    }
}

fn shown(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "nothing found\n".to_owned();
    }
    let now = jiff::Timestamp::now();
    let lines: Vec<(State, Vec<String>)> = rows
        .iter()
        .map(|row| {
            let standing = &row.standing;
            let cells = vec![
                standing.state.name().to_owned(),
                row.kind.to_owned(),
                row.namespace.clone(),
                row.name.clone(),
                standing.revision.clone().unwrap_or_else(|| "-".to_owned()),
                age(standing.since.as_deref(), now),
                one_line(&standing.message),
            ];
            (standing.state, cells)
        })
        .collect();
    let header = [
        "STATE",
        "KIND",
        "NAMESPACE",
        "NAME",
        "REVISION",
        "SINCE",
        "MESSAGE",
    ];
    table(&header, &lines, is_coloured())
}
