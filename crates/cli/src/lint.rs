//! `lockgate lint`: what `helm lint` says of charts.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, bail};
use helm::capabilities::KubeVersion;
use helm::lint::{Finding, Severity};
use helm::render::{Mode, Release};
use helm::template::Request;

use crate::disk;
use crate::template::{ValueArgs, settings};

/// Flags of `lockgate lint`.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the flags of helm lint"
)]
pub(crate) struct Args {
    /// The charts' folders or archives.
    #[arg(required = true, value_name = "PATH")]
    charts: Vec<String>,
    #[command(flatten)]
    values: ValueArgs,
    /// Namespace of the release.
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// Fail on warnings.
    #[arg(long)]
    strict: bool,
    /// Print only warnings and errors.
    #[arg(long)]
    quiet: bool,
    /// Lint the subcharts too.
    #[arg(long)]
    with_subcharts: bool,
    /// Do not check values by the chart's schema.
    #[arg(long)]
    skip_schema_validation: bool,
    /// The cluster's version.
    #[arg(long)]
    kube_version: Option<String>,
}

/// Runs the command and writes its report.
///
/// # Errors
/// Where a chart fails, or a flag cannot be read.
pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let request = request(args)?;
    let mut charts = args.charts.clone();
    if args.with_subcharts {
        for chart in &args.charts {
            charts.extend(disk::subcharts(Path::new(chart)));
        }
    }
    let least = if args.strict {
        Severity::Warning
    } else {
        Severity::Error
    };
    let (mut failed, mut noticed) = (0, 0);
    for chart in &charts {
        let found = check(chart, &request);
        let worst = match &found {
            Ok(findings) => findings.iter().map(|finding| finding.severity).max(),
            Err(_) => Some(Severity::Error),
        };
        if worst >= Some(least) {
            failed += 1;
        }
        if worst > Some(Severity::Info) {
            noticed += 1;
        } else if args.quiet {
            continue;
        }
        writeln!(out, "==> Linting {chart}")?;
        match found {
            Err(error) => writeln!(out, "Error {error:#}")?,
            Ok(findings) => {
                for finding in findings {
                    if !args.quiet || finding.severity > Severity::Info {
                        writeln!(out, "{finding}")?;
                    }
                }
            }
        }
        writeln!(out)?;
    }
    let summary = format!("{} chart(s) linted, {failed} chart(s) failed", charts.len());
    if failed > 0 {
        bail!(summary);
    }
    if !args.quiet || noticed > 0 {
        writeln!(out, "{summary}")?;
    }
    Ok(())
}

fn request(args: &Args) -> anyhow::Result<Request> {
    // Neither an installation nor an upgrade.
    let release = Release {
        revision: 0,
        ..Release::install("test-release", args.namespace.as_str())
    };
    let mut request = Request::new(args.values.joined()?, release, settings(Mode::Lint)?);
    request.skip_schema = args.skip_schema_validation;
    if let Some(version) = &args.kube_version {
        request.capabilities.kube_version = KubeVersion::parse(version)
            .with_context(|| format!("invalid kube version '{version}'"))?;
    }
    Ok(request)
}

fn check(chart: &str, request: &Request) -> anyhow::Result<Vec<Finding>> {
    let path = Path::new(chart);
    let files = disk::chart_files(path)?;
    let place = std::path::absolute(path)?.display().to_string();
    if !files.iter().any(|file| file.name == "Chart.yaml") {
        let missing = Path::new(chart).join("Chart.yaml");
        bail!(
            "unable to check Chart.yaml file in chart: stat {}: no such file or directory",
            missing.display()
        );
    }
    Ok(helm::lint::lint(&files, &place, request))
}
