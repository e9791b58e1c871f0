//! `lockgate build` against the pinned `kustomize build`: whole process against whole process, the
//! same input, in turns; wall time (the least and the median, which are compared), CPU time and the
//! most memory.
//!
//! `cargo bench -p lockgate-cli --bench kustomize [-- FILTER]`. The oracle is
//! `~/.cache/lockgate/oracles/kustomize`, which `hack/oracles/kustomize/build.sh` makes; memory is
//! measured by GNU time, CPU time (user and system, what starting a process costs included) by bash.
//! On a machine that has other work the CPU times are the ones to compare. A run of the oracle is cut
//! after `LONGEST_SECONDS` (an environment variable, 600): it grows with the square of the objects.
//! The variable `LOCKGATE` names another binary to measure.
//! The variable `BENCH_JSON` names a file that gets a line of JSON for each input.
//! Ends with an error where a target is missed by wall time and by CPU time.
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

use anyhow::{Context as _, bail, ensure};

/// No run of the oracle takes longer, unless the environment says so.
const LONGEST_SECONDS: &str = "600";
/// Runs a program so many times on a directory; the shell then prints what CPU time that took.
const BATCH: &str = "TIMEFORMAT='%U %S'; time for ((i = 0; i < $1; i++)); do \"$2\" build \"$3\" >/dev/null \
                     || exit 1; done";

/// An input, and how many times faster than the oracle it has to be built.
struct Scenario {
    name: &'static str,
    write: fn(&Path) -> anyhow::Result<()>,
    target: f64,
    /// How often each side runs; 0: once, and bounded.
    ours: usize,
    theirs: usize,
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "podinfo",
        write: input::podinfo,
        target: 5.0,
        ours: 20,
        theirs: 10,
    },
    Scenario {
        name: "one-file-overlay",
        write: input::overlay,
        target: 5.0,
        ours: 20,
        theirs: 10,
    },
    Scenario {
        name: "200-generators",
        write: input::generators,
        target: 5.0,
        ours: 10,
        theirs: 3,
    },
    Scenario {
        name: "10-level-chain",
        write: input::chain,
        target: 5.0,
        ours: 10,
        theirs: 5,
    },
    Scenario {
        name: "2-mb-of-crds",
        write: input::crds,
        target: 5.0,
        ours: 10,
        theirs: 3,
    },
    Scenario {
        name: "1000-loose-resources",
        write: |dir| input::loose(dir, 1_000),
        target: 50.0,
        ours: 10,
        theirs: 1,
    },
    Scenario {
        name: "1000-resources",
        write: |dir| input::applications(dir, 1_000),
        target: 100.0,
        ours: 10,
        theirs: 1,
    },
    Scenario {
        name: "5000-resources",
        write: |dir| input::applications(dir, 5_000),
        target: 500.0,
        ours: 5,
        theirs: 0,
    },
];

/// What one side needed.
struct Cost {
    times: Vec<Duration>,
    /// CPU time of one run, in seconds.
    cpu: f64,
    kilobytes: u64,
    /// The run was ended before it was done.
    cut: bool,
    output: Vec<u8>,
}

impl Cost {
    fn least(&self) -> Duration {
        self.times.iter().min().copied().unwrap_or_default()
    }

    fn median(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }
}

/// Runs a program once; `wrapped` in GNU time and a bound, which take time themselves.
fn run(program: &Path, directory: &Path, wrapped: bool, cost: &mut Cost) -> anyhow::Result<()> {
    let report = directory.with_extension("memory");
    let mut command = if wrapped {
        let mut command = Command::new("/usr/bin/time");
        command.args(["-q", "-f", "%M %U %S", "-o"]).arg(&report);
        command.args(["timeout", "--foreground"]);
        let longest = std::env::var("LONGEST_SECONDS");
        let longest = longest.unwrap_or_else(|_| LONGEST_SECONDS.to_owned());
        command.arg(longest).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.arg("build").arg(directory).stdin(Stdio::null());
    let start = Instant::now();
    let output = command
        .output()
        .context("GNU time and timeout are needed")?;
    cost.times.push(start.elapsed());
    match output.status.code() {
        Some(0) => cost.output = output.stdout,
        Some(124) => cost.cut = true,
        _ => bail!(
            "{}: {}",
            program.display(),
            String::from_utf8_lossy(&output.stderr)
        ),
    }
    if wrapped {
        let kilobytes = std::fs::read_to_string(&report)?;
        let line = kilobytes.lines().last().unwrap_or_default().trim();
        let (kilobytes, seconds) = line.split_once(' ').context("GNU time says too little")?;
        cost.kilobytes = cost.kilobytes.max(kilobytes.parse()?);
        cost.cpu = sum(seconds)?;
    }
    Ok(())
}

/// Adds user and system time.
fn sum(seconds: &str) -> anyhow::Result<f64> {
    let parts = seconds.split_whitespace().map(str::parse::<f64>);
    Ok(parts.collect::<Result<Vec<_>, _>>()?.iter().sum())
}

/// Measures the CPU time of a run as the mean of some: one alone may be too short for the clock.
fn cpu(program: &Path, directory: &Path, runs: usize) -> anyhow::Result<f64> {
    let output = Command::new("bash")
        .args(["-c", BATCH, "bash", &runs.to_string()])
        .arg(program)
        .arg(directory)
        .output()
        .context("bash is needed")?;
    ensure!(output.status.success(), "{} failed", program.display());
    let text = String::from_utf8(output.stderr)?;
    // Warnings about old fields come first.
    Ok(sum(text.lines().last().unwrap_or_default())? / runs as f64)
}

fn empty() -> Cost {
    Cost {
        times: Vec::new(),
        cpu: 0.0,
        kilobytes: 0,
        cut: false,
        output: Vec::new(),
    }
}

/// Measures one input; gives the targets it misses.
fn measure(scenario: &Scenario, root: &Path, oracle: &Path) -> anyhow::Result<Vec<String>> {
    let directory = root.join(scenario.name);
    std::fs::create_dir_all(&directory)?;
    (scenario.write)(&directory)?;
    let (mut ours, mut theirs) = (empty(), empty());
    let lockgate = std::env::var_os("LOCKGATE");
    let lockgate = lockgate.map_or_else(|| env!("CARGO_BIN_EXE_lockgate").into(), PathBuf::from);
    let lockgate = lockgate.as_path();
    run(oracle, &directory, true, &mut theirs)?;
    run(lockgate, &directory, true, &mut ours)?;
    ours.times.clear();
    if scenario.theirs > 0 {
        theirs.times.clear();
    }
    for turn in 0..scenario.ours.max(scenario.theirs) {
        if turn < scenario.theirs {
            run(oracle, &directory, false, &mut theirs)?;
        }
        if turn < scenario.ours {
            run(lockgate, &directory, false, &mut ours)?;
        }
    }
    ours.cpu = cpu(lockgate, &directory, scenario.ours)?;
    if scenario.theirs > 0 {
        theirs.cpu = cpu(oracle, &directory, scenario.theirs)?;
    }
    let ratio = theirs.median().as_secs_f64() / ours.median().as_secs_f64();
    let cpu_ratio = theirs.cpu / ours.cpu;
    let memory = theirs.kilobytes as f64 / ours.kilobytes as f64;
    let at_least = if theirs.cut { "> " } else { "" };
    println!(
        "{:<17} {:>7.1} {:>7.1} ms {at_least}{:>8.1} {:>8.1} ms {at_least}{ratio:>6.1} x {:>9.1} ms \
         {at_least}{:>9.1} ms {at_least}{cpu_ratio:>6.1} x {:>6.1} MB {:>6.1} MB {at_least}{memory:>4.1} x",
        scenario.name,
        ours.least().as_secs_f64() * 1e3,
        ours.median().as_secs_f64() * 1e3,
        theirs.least().as_secs_f64() * 1e3,
        theirs.median().as_secs_f64() * 1e3,
        ours.cpu * 1e3,
        theirs.cpu * 1e3,
        ours.kilobytes as f64 / 1024.0,
        theirs.kilobytes as f64 / 1024.0,
    );
    record(scenario.name, &ours, &theirs)?;
    ensure!(
        theirs.cut || ours.output == theirs.output,
        "{}: the outputs differ",
        scenario.name
    );
    let mut missed = Vec::new();
    if ratio.max(cpu_ratio) < scenario.target {
        missed.push(format!(
            "{}: {ratio:.1} of {} times, {cpu_ratio:.1} by CPU time",
            scenario.name, scenario.target
        ));
    }
    if memory < 3.0 {
        missed.push(format!("{}: 1/{memory:.1} of the memory", scenario.name));
    }
    Ok(missed)
}

/// Appends the figures to the file that `BENCH_JSON` names.
fn record(name: &str, ours: &Cost, theirs: &Cost) -> anyhow::Result<()> {
    let Some(path) = std::env::var_os("BENCH_JSON") else {
        return Ok(());
    };
    let line = serde_json::json!({
        "name": name,
        "cut": theirs.cut,
        "ours_ms": ours.median().as_secs_f64() * 1e3,
        "theirs_ms": theirs.median().as_secs_f64() * 1e3,
        "ours_least_ms": ours.least().as_secs_f64() * 1e3,
        "theirs_least_ms": theirs.least().as_secs_f64() * 1e3,
        "ours_cpu_ms": ours.cpu * 1e3,
        "theirs_cpu_ms": theirs.cpu * 1e3,
        "ours_mib": ours.kilobytes as f64 / 1024.0,
        "theirs_mib": theirs.kilobytes as f64 / 1024.0,
        "runs": ours.times.len(),
    });
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?;
    Ok(writeln!(file, "{line}")?)
}

fn oracle() -> anyhow::Result<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    let oracle = cache.join("lockgate/oracles/kustomize");
    ensure!(
        oracle.exists(),
        "{} is missing: run hack/oracles/kustomize/build.sh",
        oracle.display()
    );
    Ok(oracle)
}

fn main() -> anyhow::Result<()> {
    let filter = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let oracle = oracle()?;
    let root = std::env::temp_dir().join(format!("lockgate-bench-{}", std::process::id()));
    std::fs::create_dir_all(&root)?;
    println!(
        "{:<17} {:>18} {:>20} {:>8} {:>12} {:>12} {:>8} {:>9} {:>9}",
        "least and median",
        "lockgate",
        "kustomize",
        "faster",
        "CPU",
        "kustomize",
        "less",
        "memory",
        "kustomize"
    );
    let mut missed = Vec::new();
    for scenario in SCENARIOS {
        if filter
            .as_deref()
            .is_none_or(|filter| scenario.name.contains(filter))
        {
            missed.extend(measure(scenario, &root, &oracle)?);
        }
    }
    std::fs::remove_dir_all(&root)?;
    ensure!(missed.is_empty(), "missed: {}", missed.join(", "));
    Ok(())
}
