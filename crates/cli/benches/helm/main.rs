//! `lockgate template` against the pinned `helm template`: whole process against whole process, the
//! same chart, in turns; wall time, processor time and the most memory.
//!
//! `cargo bench -p lockgate-cli --bench helm [-- FILTER]`. Helm is built from `hack/oracles/helm` with
//! Go; memory is measured by GNU time. A ratio is the median of those of the turns, so that whatever
//! else the machine does meets both sides. The variable `LOCKGATE` names another binary to measure,
//! `BENCH_JSON` a file that gets a line of JSON for each chart.
//! Ends with an error where a target is missed.
#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints its figures, and reads and writes files"
)]

mod input;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// Our peak memory is at most this part of Helm's.
const LEAST_MEMORY_RATIO: f64 = 4.0;

/// A chart, and how many times faster than Helm it has to be rendered.
struct Scenario {
    name: &'static str,
    write: fn(&Path) -> anyhow::Result<()>,
    flags: &'static [&'static str],
    target: f64,
    turns: usize,
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "small",
        write: input::small,
        flags: &[],
        target: 10.0,
        turns: 31,
    },
    Scenario {
        name: "100-templates",
        write: input::hundred,
        flags: &[],
        target: 5.0,
        turns: 21,
    },
    Scenario {
        name: "15-subcharts",
        write: input::parts,
        flags: &[],
        target: 5.0,
        turns: 21,
    },
    Scenario {
        name: "3-mb-of-templates",
        write: input::rendered_definitions,
        flags: &[],
        target: 5.0,
        turns: 11,
    },
    Scenario {
        name: "3-mb-of-crds",
        write: input::plain_definitions,
        flags: &["--include-crds"],
        target: 5.0,
        turns: 11,
    },
];

/// What one run took.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    /// Processor time in hundredths of a second, user and system.
    ticks: u64,
}

/// Processor time of all children that have ended, as Linux counts it.
fn child_ticks() -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    let mut fields = fields.split(' ').skip(13);
    let mut next = || {
        fields
            .next()
            .context("no such field")?
            .parse::<u64>()
            .context("no number")
    };
    Ok(next()? + next()?)
}

fn arguments<'a>(scenario: &Scenario, folder: &'a Path) -> Vec<&'a std::ffi::OsStr> {
    let mut all = vec!["template".as_ref(), "rel".as_ref(), folder.as_os_str()];
    all.extend(
        scenario
            .flags
            .iter()
            .map(|flag| std::ffi::OsStr::new(*flag)),
    );
    all
}

fn run(program: &Path, scenario: &Scenario, folder: &Path) -> anyhow::Result<Cost> {
    let before = child_ticks()?;
    let begun = Instant::now();
    let status = Command::new(program)
        .args(arguments(scenario, folder))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    let wall = begun.elapsed();
    ensure!(status.success(), "{} fails", program.display());
    Ok(Cost {
        wall,
        ticks: child_ticks()? - before,
    })
}

/// The output, and the peak of memory in KiB.
fn measured(program: &Path, scenario: &Scenario, folder: &Path) -> anyhow::Result<(Vec<u8>, f64)> {
    let report = folder.with_extension("memory");
    let output = Command::new("/usr/bin/time")
        .args(["-q", "-f", "%M", "-o"])
        .arg(&report)
        .arg(program)
        .args(arguments(scenario, folder))
        .stdin(Stdio::null())
        .output()
        .context("GNU time is needed")?;
    ensure!(
        output.status.success(),
        "{}: {}",
        program.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let kilobytes = std::fs::read_to_string(&report)?;
    Ok((output.stdout, kilobytes.trim().parse()?))
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Measures one chart; gives the targets it misses.
fn measure(scenario: &Scenario, root: &Path, helm: &Path) -> anyhow::Result<Vec<String>> {
    let folder = root.join(scenario.name);
    (scenario.write)(&folder)?;
    let lockgate = std::env::var_os("LOCKGATE");
    let lockgate = lockgate.map_or_else(|| env!("CARGO_BIN_EXE_lockgate").into(), PathBuf::from);
    let lockgate = lockgate.as_path();
    let (theirs, their_memory) = measured(helm, scenario, &folder)?;
    let (ours, our_memory) = measured(lockgate, scenario, &folder)?;
    ensure!(ours == theirs, "{}: the outputs differ", scenario.name);
    let mut turns = Vec::new();
    for _ in 0..scenario.turns {
        let theirs = run(helm, scenario, &folder)?;
        turns.push((run(lockgate, scenario, &folder)?, theirs));
    }
    let of = |number: &dyn Fn(&(Cost, Cost)) -> f64| median(turns.iter().map(number).collect());
    let wall = of(&|(ours, theirs)| theirs.wall.as_secs_f64() / ours.wall.as_secs_f64());
    let our_wall = of(&|(ours, _)| ours.wall.as_secs_f64());
    let their_wall = of(&|(_, theirs)| theirs.wall.as_secs_f64());
    let our_ticks: u64 = turns.iter().map(|(ours, _)| ours.ticks).sum();
    let their_ticks: u64 = turns.iter().map(|(_, theirs)| theirs.ticks).sum();
    let cpu = their_ticks as f64 / our_ticks.max(1) as f64;
    let memory = their_memory / our_memory;
    println!(
        "{:<18} {:>8.1} ms {:>8.1} ms {wall:>6.1} x {cpu:>8.1} x   {:>7.1} MB {:>7.1} MB {memory:>5.1} x",
        scenario.name,
        our_wall * 1e3,
        their_wall * 1e3,
        our_memory / 1024.0,
        their_memory / 1024.0,
    );
    let milliseconds = |ticks: u64| ticks as f64 * 10.0 / turns.len() as f64;
    record(&serde_json::json!({
        "name": scenario.name,
        "ours_ms": our_wall * 1e3,
        "theirs_ms": their_wall * 1e3,
        "wall_ratio": wall,
        "ours_cpu_ms": milliseconds(our_ticks),
        "theirs_cpu_ms": milliseconds(their_ticks),
        "ours_mib": our_memory / 1024.0,
        "theirs_mib": their_memory / 1024.0,
        "runs": turns.len(),
    }))?;
    let mut missed = Vec::new();
    if wall < scenario.target {
        let (name, target) = (scenario.name, scenario.target);
        missed.push(format!("{name}: {wall:.1} of {target} times"));
    }
    if memory < LEAST_MEMORY_RATIO {
        missed.push(format!("{}: 1/{memory:.1} of the memory", scenario.name));
    }
    Ok(missed)
}

/// Appends the figures to the file that `BENCH_JSON` names.
fn record(figures: &serde_json::Value) -> anyhow::Result<()> {
    let Some(path) = std::env::var_os("BENCH_JSON") else {
        return Ok(());
    };
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?;
    Ok(writeln!(file, "{figures}")?)
}

/// Builds the pinned Helm into the cache, where Go finds it fresh the next time.
fn helm() -> anyhow::Result<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    let helm = cache.join("lockgate/oracles/helm-command");
    let status = Command::new("go")
        .args(["build", "-o"])
        .arg(&helm)
        .arg("helm.sh/helm/v4/cmd/helm")
        .current_dir(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../hack/oracles/helm"
        ))
        .status()
        .context("cannot run go")?;
    ensure!(status.success(), "Helm does not build");
    Ok(helm)
}

fn main() -> anyhow::Result<()> {
    let filter = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let helm = helm()?;
    let root = std::env::temp_dir().join(format!("lockgate-bench-helm-{}", std::process::id()));
    std::fs::create_dir_all(&root)?;
    println!(
        "{:<18} {:>11} {:>11} {:>8} {:>10}   {:>10} {:>10} {:>7}",
        "", "lockgate", "helm", "faster", "processor", "lockgate", "helm", "less"
    );
    let mut missed = Vec::new();
    for scenario in SCENARIOS {
        if filter
            .as_deref()
            .is_none_or(|filter| scenario.name.contains(filter))
        {
            missed.extend(measure(scenario, &root, &helm)?);
        }
    }
    std::fs::remove_dir_all(&root)?;
    ensure!(missed.is_empty(), "missed: {}", missed.join(", "));
    Ok(())
}
