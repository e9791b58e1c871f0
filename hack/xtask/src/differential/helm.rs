//! Renders random templates and charts with our engine and with Helm's, and compares.

#[expect(
    clippy::format_push_string,
    reason = "generators are lists of text, easier to read in one piece"
)]
mod charts;
mod snippets;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use helm::chart::{File, from_files};
use helm::release::{self, ApplyMethod, Record};
use helm::render::{Release, Settings};
use helm::template::{Output, Request, render_files};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::random::Random;
use super::{Args, build_oracle, say};

/// A chart with values, as the oracle reads it.
#[derive(Debug, Clone, Serialize)]
struct Case {
    files: BTreeMap<String, String>,
    values: String,
    release: bool,
}

/// What the oracle made of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    out: BTreeMap<String, String>,
    err: Option<String>,
    record: String,
    config: String,
    observation: String,
}

const SNIPPET: &str = "templates/a.yaml";
const SNIPPET_CHART: &str = "apiVersion: v2\nname: c\nversion: 1.0.0\n";

/// Compares templates, and a tenth as many charts.
///
/// # Errors
/// Where the oracle cannot be built or run, or a case differs.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let oracle = build_oracle("helm", "helm")?;
    let snippets = (0..args.cases).map(|number| {
        let random = Random::new(args.seed, number);
        snippet(&snippets::Generator(random).template())
    });
    let charts = (0..args.cases / 10).map(|number| {
        let (files, values) = charts::generate(&mut Random::new(args.seed ^ 0x00C0_FFEE, number));
        Case {
            files,
            values,
            release: true,
        }
    });
    let snippets = compare(args, &oracle, "templates", &snippets.collect::<Vec<_>>())?;
    let charts = compare(args, &oracle, "charts", &charts.collect::<Vec<_>>())?;
    anyhow::ensure!(snippets + charts == 0, "{} cases differ", snippets + charts);
    Ok(())
}

fn snippet(template: &str) -> Case {
    let files = [
        ("Chart.yaml", SNIPPET_CHART),
        ("templates/_h.tpl", snippets::PARTIAL),
        (SNIPPET, template),
    ];
    Case {
        files: files.map(|(n, t)| (n.to_owned(), t.to_owned())).into(),
        values: snippets::VALUES.to_owned(),
        release: false,
    }
}

/// What the cases came to.
#[derive(Default)]
struct Counts {
    same: usize,
    refused: usize,
    crashed: usize,
    varied: usize,
    different: usize,
}

/// Compares cases; how many differ.
fn compare(args: &Args, oracle: &Path, what: &str, cases: &[Case]) -> anyhow::Result<usize> {
    let mut counts = Counts::default();
    for (number, (case, answer)) in cases.iter().zip(ask(oracle, cases)?).enumerate() {
        let Some(answer) = answer else {
            counts.crashed += 1;
            continue;
        };
        let (ours, theirs) = results(case, &answer);
        if ours == theirs {
            let count = if ours.is_err() {
                &mut counts.refused
            } else {
                &mut counts.same
            };
            *count += 1;
            if let (Err(error), true) = (ours, args.refused) {
                say(&format!("{number}: {error}"));
            }
            continue;
        }
        if theirs
            .as_ref()
            .is_err_and(|error| error.starts_with("panic: "))
        {
            counts.crashed += 1;
            continue;
        }
        let agreed = agreements(oracle, case)?;
        if agreed > 0 {
            counts.varied += 1;
            say(&format!(
                "VARIES seed {} {what} case {number}: asked again, upstream answers as we do {agreed} \
                 times of {TRIES}",
                args.seed
            ));
            continue;
        }
        counts.different += 1;
        say(&format!("DIFFERS seed {} {what} case {number}", args.seed));
        if !case.release {
            say(&format!(
                "{}\n  helm: {theirs:?}\n  ours: {ours:?}",
                case.files[SNIPPET]
            ));
        }
        if let Some(directory) = &args.keep {
            let directory = directory.join(format!("{what}-{number}"));
            keep(&directory, case, &ours, &theirs)?;
        }
    }
    say(&format!(
        "{} {what}: {} rendered the same, {} refused in the same words, {} crash upstream, {} vary \
         upstream, {} different",
        cases.len(),
        counts.same,
        counts.refused,
        counts.crashed,
        counts.varied,
        counts.different
    ));
    Ok(counts.different)
}

type Outcome = Result<String, String>;

/// Our result and theirs.
fn results(case: &Case, answer: &Answer) -> (Outcome, Outcome) {
    if case.release {
        (ours_release(case, answer), theirs_release(answer))
    } else {
        (ours_file(case), theirs_file(answer))
    }
}

/// How often a case is asked again.
const TRIES: usize = 32;

/// How often upstream gives what we give: it goes through subcharts and through the errors of a
/// schema in a random order.
fn agreements(oracle: &Path, case: &Case) -> anyhow::Result<usize> {
    let answers = ask(oracle, &vec![case.clone(); TRIES])?;
    let agree = answers.iter().flatten().filter(|answer| {
        let (ours, theirs) = results(case, answer);
        ours == theirs
    });
    Ok(agree.count())
}

/// The answers; none where the oracle died of a case, as it does of maps that hold themselves.
fn ask(oracle: &Path, cases: &[Case]) -> anyhow::Result<Vec<Option<Answer>>> {
    let mut answers = Vec::with_capacity(cases.len());
    while answers.len() < cases.len() {
        let mut child = Command::new(oracle)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run the oracle")?;
        let mut stdin = child.stdin.take().context("the oracle has no stdin")?;
        let mut input = Vec::new();
        for case in &cases[answers.len()..] {
            serde_json::to_writer(&mut input, case)?;
            input.push(b'\n');
        }
        let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &input));
        let output = child.wait_with_output().context("the oracle failed")?;
        // An oracle that died has not read everything.
        writer.join().ok().context("the writer panicked")?.ok();
        for line in String::from_utf8(output.stdout)?.lines() {
            answers.push(Some(serde_json::from_str(line)?));
        }
        if answers.len() < cases.len() {
            answers.push(None);
        }
    }
    Ok(answers)
}

fn chart(case: &Case) -> Result<helm::chart::Chart, String> {
    let files = case.files.iter();
    let files: Vec<File> = files.map(|(n, t)| File::new(n, t.as_bytes())).collect();
    from_files(&files).map_err(|e| format!("load: {e}"))
}

fn request(case: &Case) -> Result<Request, String> {
    let values = helm::values::read(case.values.as_bytes(), "values");
    let values = values.map_err(|e| format!("values: {e}"))?;
    let now = go::time::Time::from_unix(1_700_000_000, 0);
    let release = Release::install("rel", "ns");
    Ok(Request::new(values, release, Settings::new(now, [1; 32])))
}

fn ours_file(case: &Case) -> Result<String, String> {
    let rendered = render_files(chart(case)?, &request(case)?).map_err(|e| e.to_string())?;
    let found = rendered.into_iter().find(|f| f.path.ends_with(SNIPPET));
    Ok(found.map(|f| f.text).unwrap_or_default())
}

fn theirs_file(answer: &Answer) -> Result<String, String> {
    match &answer.err {
        Some(error) => Err(error.clone()),
        None => Ok(answer
            .out
            .get(&format!("c/{SNIPPET}"))
            .cloned()
            .unwrap_or_default()),
    }
}

/// Everything that is compared of a release, one after the other.
fn theirs_release(answer: &Answer) -> Result<String, String> {
    match &answer.err {
        Some(error) => Err(error.clone()),
        None => Ok([
            answer.out["manifest"].as_str(),
            &answer.out["notes"],
            &answer.record,
            &answer.config,
            &answer.observation,
        ]
        .join("\n=====\n")),
    }
}

/// The same of ours, made at the times that the answer says.
fn ours_release(case: &Case, answer: &Answer) -> Result<String, String> {
    let request = request(case)?;
    let output = helm::template(chart(case)?, &request).map_err(|e| e.to_string())?;
    let theirs: Json = serde_json::from_str(&answer.record).unwrap_or_default();
    let record = record(&output, &request, &theirs["info"]);
    let config = release::digest::values_text(&record.config).map_err(|e| e.to_string())?;
    Ok([
        record.manifest.as_str(),
        &record.notes,
        &record.to_json(),
        &config,
        &release::digest::observation(&record, ""),
    ]
    .join("\n=====\n"))
}

fn record(output: &Output, request: &Request, info: &Json) -> Record {
    let text = |name: &str| info[name].as_str().unwrap_or_default().to_owned();
    Record {
        name: request.release.name.clone(),
        namespace: request.release.namespace.clone(),
        version: 1,
        status: text("status"),
        description: text("description"),
        first_deployed: text("first_deployed"),
        last_deployed: text("last_deployed"),
        deleted: String::new(),
        notes: output.notes.clone(),
        config: request.values.clone(),
        manifest: output.manifest(false),
        hooks: output
            .documents
            .hooks
            .iter()
            .cloned()
            .map(Into::into)
            .collect(),
        apply_method: ApplyMethod::ServerSide,
        chart: release::chart_json(&output.chart),
    }
}

/// Writes a case down for a closer look.
fn keep(
    directory: &Path,
    case: &Case,
    ours: &Result<String, String>,
    theirs: &Result<String, String>,
) -> anyhow::Result<()> {
    let results = [("ours", ours), ("theirs", theirs)].map(|(name, result)| {
        let text = match result {
            Ok(text) => text.clone(),
            Err(error) => format!("error: {error}\n"),
        };
        (format!("{name}.txt"), text)
    });
    let inputs = case
        .files
        .iter()
        .map(|(n, t)| (format!("chart/{n}"), t.clone()));
    let values = ("values.yaml".to_owned(), case.values.clone());
    for (name, text) in inputs.chain(results).chain([values]) {
        let file = directory.join(name);
        std::fs::create_dir_all(file.parent().context("a file has a directory")?)?;
        std::fs::write(file, text)?;
    }
    Ok(())
}
