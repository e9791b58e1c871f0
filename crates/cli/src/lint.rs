//! `lockgate lint`: what rendering can tell about a chart.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use helm::capabilities::Capabilities;
use helm::render::{Mode, Release};
use helm::template::Request;

use crate::disk;
use crate::template::{ValueArgs, settings};

/// Flags of `lockgate lint`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The chart's folder or archive.
    chart: PathBuf,
    #[command(flatten)]
    values: ValueArgs,
    /// Namespace of the release.
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// Missing values are errors.
    #[arg(long)]
    strict: bool,
}

/// Runs the command; its report.
pub(crate) fn run(args: &Args) -> anyhow::Result<String> {
    let mut report = format!("==> Linting {}\n", args.chart.display());
    let mut failed = false;
    match disk::chart(&args.chart) {
        Err(error) => {
            failed = true;
            writeln!(report, "[ERROR] Chart.yaml: {error:#}")?;
        }
        Ok(chart) => {
            if chart.metadata.icon.is_empty() {
                writeln!(report, "[INFO] Chart.yaml: icon is recommended")?;
            }
            if semver::Version::parse_strict(&chart.metadata.version).is_err() {
                let version = &chart.metadata.version;
                writeln!(
                    report,
                    "[WARNING] Chart.yaml: version '{version}' is not a valid SemVerV2"
                )?;
            }
            let request = Request {
                values: args.values.joined()?,
                release: Release {
                    name: "test-release".to_owned(),
                    namespace: args.namespace.clone(),
                    revision: 1,
                    is_upgrade: false,
                },
                capabilities: Capabilities::default(),
                settings: settings(if args.strict {
                    Mode::Strict
                } else {
                    Mode::Lint
                })?,
                skip_schema: false,
                sub_notes: false,
            };
            if let Err(error) = helm::template(chart, &request) {
                failed = true;
                writeln!(report, "[ERROR] templates/: {error}")?;
            }
        }
    }
    if failed {
        bail!("{report}\n1 chart(s) linted, 1 chart(s) failed");
    }
    writeln!(report, "\n1 chart(s) linted, 0 chart(s) failed")?;
    Ok(report)
}
