//! `lockgate template`: what `helm template` prints.

use std::borrow::Cow;
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use helm::capabilities::{Capabilities, KubeVersion};
use helm::manifest::{Event, split};
use helm::render::{Mode, Release, Settings};
use helm::template::{Output, Request, TemplateError, push_document};
use helm::values::{SetKind, floats, overlay, set};
use serde_json::{Map, Value as Json};

use crate::disk;

/// Flags of `lockgate template`.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the flags of helm template"
)]
pub(crate) struct Args {
    /// The release's name, then the chart; or the chart alone.
    #[arg(num_args = 1..=2, required = true, value_names = ["NAME", "CHART"])]
    name_and_chart: Vec<String>,
    #[command(flatten)]
    values: ValueArgs,
    /// Namespace of the release.
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// API versions the cluster serves, added to those every cluster serves.
    #[arg(short, long, value_delimiter = ',')]
    api_versions: Vec<String>,
    /// The cluster's version.
    #[arg(long)]
    kube_version: Option<String>,
    /// Print the definitions in `crds/` too.
    #[arg(long)]
    include_crds: bool,
    /// Leave hooks out.
    #[arg(long)]
    no_hooks: bool,
    /// Leave test hooks out.
    #[arg(long)]
    skip_tests: bool,
    /// Set `.Release.IsUpgrade` instead of `.Release.IsInstall`.
    #[arg(long)]
    is_upgrade: bool,
    /// Do not check values by the chart's schema.
    #[arg(long)]
    skip_schema_validation: bool,
    /// Print only what came from these templates.
    #[arg(short, long)]
    show_only: Vec<String>,
    /// Name the release by the chart and a random ending.
    #[arg(short, long)]
    generate_name: bool,
    /// Print what was rendered even if it is no YAML.
    #[arg(long)]
    debug: bool,
}

/// Where values come from.
#[derive(Debug, clap::Args)]
pub(crate) struct ValueArgs {
    /// Values files; later ones win.
    #[arg(short = 'f', long = "values", value_delimiter = ',')]
    files: Vec<String>,
    /// Values by path: `a.b=1,c={x,y}`.
    #[arg(long = "set")]
    typed: Vec<String>,
    /// Values by path, all of them text.
    #[arg(long = "set-string")]
    text: Vec<String>,
    /// Values by path from files: `a=path`.
    #[arg(long = "set-file")]
    from_file: Vec<String>,
    /// Values by path, as JSON.
    #[arg(long = "set-json")]
    json: Vec<String>,
    /// One value by path, taken as it is.
    #[arg(long = "set-literal")]
    literal: Vec<String>,
}

impl ValueArgs {
    /// Joins all values, in upstream's order.
    pub(crate) fn joined(&self) -> anyhow::Result<Map<String, Json>> {
        let mut joined = Map::new();
        for file in &self.files {
            let bytes = disk::text(file)?;
            let values = helm::values::read(&bytes, file)
                .with_context(|| format!("failed to parse {file}"))?;
            overlay(&mut joined, values);
        }
        for json in &self.json {
            if json.trim_start().starts_with('{') {
                let values: Map<String, Json> = serde_json::from_str(json)
                    .with_context(|| format!("failed parsing --set-json data JSON: {json}"))?;
                if let Json::Object(values) = floats(Json::Object(values)) {
                    overlay(&mut joined, values);
                }
            } else {
                set(&mut joined, json, SetKind::Json)
                    .with_context(|| format!("failed parsing --set-json data {json}"))?;
            }
        }
        let plain = [
            (&self.typed, SetKind::Typed, "--set"),
            (&self.text, SetKind::Text, "--set-string"),
        ];
        for (expressions, kind, flag) in plain {
            for expression in expressions {
                set(&mut joined, expression, kind)
                    .with_context(|| format!("failed parsing {flag} data"))?;
            }
        }
        for expression in &self.from_file {
            for pair in expression.split(',') {
                let (path, file) = pair.split_once('=').context("--set-file wants key=path")?;
                let text = String::from_utf8_lossy(&disk::text(file)?).into_owned();
                set(&mut joined, &format!("{path}={text}"), SetKind::Literal)
                    .context("failed parsing --set-file data")?;
            }
        }
        for expression in &self.literal {
            set(&mut joined, expression, SetKind::Literal)
                .context("failed parsing --set-literal data")?;
        }
        Ok(joined)
    }
}

/// Runs the command and writes what it prints.
pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let (name, path) = match args.name_and_chart.as_slice() {
        [name, chart] => (name.clone(), PathBuf::from(chart)),
        [chart] => ("release-name".to_owned(), PathBuf::from(chart)),
        _ => bail!("a chart is wanted"),
    };
    let chart = disk::chart(&path)?;
    if chart.is_library() {
        bail!("{} charts are not installable", chart.metadata.kind);
    }
    check_dependencies(&chart)?;
    let mut capabilities = Capabilities::default();
    if let Some(version) = &args.kube_version {
        capabilities.kube_version = KubeVersion::parse(version)
            .with_context(|| format!("invalid kube version '{version}'"))?;
    }
    capabilities
        .api_versions
        .extend(args.api_versions.iter().cloned());
    let request = Request {
        values: args.values.joined()?,
        release: Release {
            name: if args.generate_name {
                generated_name(&chart)?
            } else {
                name
            },
            namespace: args.namespace.clone(),
            revision: 1,
            is_upgrade: args.is_upgrade,
        },
        capabilities,
        settings: settings(Mode::Normal)?,
        skip_schema: args.skip_schema_validation,
        sub_notes: false,
    };
    match helm::template(chart, &request) {
        Ok(output) => {
            print(args, &output, out)?;
            // The process ends: nobody needs the memory back, and giving it back takes time.
            std::mem::forget((output, request));
            Ok(())
        }
        Err(TemplateError::Manifest { problem, rendered }) => {
            if args.debug {
                let mut out = String::new();
                for file in rendered.iter().filter(|f| !f.text.trim().is_empty()) {
                    push_document(&mut out, &file.path, &file.text);
                }
                bail!("{out}\n{problem}");
            }
            bail!("{problem}\n\nUse --debug flag to render out invalid YAML")
        }
        Err(other) => Err(other.into()),
    }
}

fn generated_name(chart: &helm::chart::Chart) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(format!("{}-{}", chart.name(), now.as_secs()))
}

/// Settings with the present and fresh randomness.
pub(crate) fn settings(mode: Mode) -> anyhow::Result<Settings> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let mut seed = [0; 32];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut seed)
        .context("cannot read randomness")?;
    let now = go::time::Time::from_unix(i64::try_from(now.as_secs())?, now.subsec_nanos());
    Ok(Settings {
        mode,
        ..Settings::new(now, seed)
    })
}

/// Every dependency that Chart.yaml names must be in `charts/`.
fn check_dependencies(chart: &helm::chart::Chart) -> anyhow::Result<()> {
    let missing = chart.missing_dependencies();
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "An error occurred while checking for chart dependencies. You may need to run `helm dependency build` to fetch missing dependencies: found in Chart.yaml, but missing in charts/ directory: {}",
        missing.join(", ")
    )
}

/// Writes what was rendered, or the documents of the templates that were asked for.
fn print(args: &Args, output: &Output, out: &mut dyn Write) -> anyhow::Result<()> {
    if args.show_only.is_empty() {
        return Ok(write(args, output, out)?);
    }
    let mut text = Vec::new();
    write(args, output, &mut text)?;
    let text = String::from_utf8(text)?;
    let documents = split(&text);
    let mut shown = String::new();
    for pattern in &args.show_only {
        let mut missing = true;
        for document in &documents {
            let Some(path) = source_path(document) else {
                continue;
            };
            if go::path::match_path(pattern, path).unwrap_or(false) {
                shown.extend(["---\n", document, "\n"]);
                missing = false;
            }
        }
        if missing {
            bail!("could not find template {pattern} in chart");
        }
    }
    Ok(out.write_all(shown.as_bytes())?)
}

/// Writes definitions, manifests without the space at their end, and hooks.
fn write(args: &Args, output: &Output, out: &mut dyn Write) -> std::io::Result<()> {
    let crds = if args.include_crds {
        output.chart.crds()
    } else {
        Vec::new()
    };
    let crds = crds.iter().map(|crd| (crd.file_name.as_str(), crd.text()));
    let manifests = output.documents.manifests.iter();
    let manifests = manifests.map(|m| (m.path.as_str(), Cow::from(m.content.as_str())));
    let mut documents = crds.chain(manifests).peekable();
    if documents.peek().is_none() {
        writeln!(out)?;
    }
    while let Some((path, text)) = documents.next() {
        let is_last = documents.peek().is_none();
        let text = if is_last { text.trim_end() } else { &text };
        writeln!(out, "---\n# Source: {path}\n{text}")?;
    }
    if args.no_hooks {
        return Ok(());
    }
    for hook in &output.documents.hooks {
        if args.skip_tests && hook.events.contains(&Event::Test) {
            continue;
        }
        writeln!(out, "---\n# Source: {}\n{}", hook.path, hook.manifest)?;
    }
    Ok(())
}

/// The path inside the chart that a document's source comment names.
fn source_path(document: &str) -> Option<&str> {
    let line = document
        .lines()
        .find_map(|line| line.strip_prefix("# Source: "))?;
    line.split_once('/').map(|(_, path)| path)
}
