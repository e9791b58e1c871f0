//! Feeds random input to our engines and to upstream's libraries, and compares: kustomizations
//! here, templates and charts in [`helm`].

mod helm;
#[expect(
    clippy::format_push_string,
    clippy::too_many_lines,
    reason = "generators are lists of text, easier to read in one piece"
)]
mod input;
#[expect(
    clippy::format_push_string,
    clippy::too_many_lines,
    reason = "generators are lists of text, easier to read in one piece"
)]
mod objects;
mod random;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use kustomize::{LoadRestrictions, MemoryTree, Options};
use serde::{Deserialize, Serialize};

use random::Random;

/// Which engine, how many cases, and where the randomness begins.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The engine.
    engine: Engine,
    /// How many cases.
    #[arg(long, default_value_t = 2000)]
    cases: u64,
    /// Where the randomness begins: the same seed makes the same cases.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes the files of each case that differs, and both results, below this directory.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Prints both errors of each case that both refuse.
    #[arg(long)]
    refused: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Engine {
    Kustomize,
    Helm,
}

/// One build, as the oracle reads it.
#[derive(Debug, Serialize)]
struct Request {
    files: BTreeMap<String, String>,
    path: &'static str,
    reorder: &'static str,
    restrictor: &'static str,
}

/// What the oracle made of it.
#[derive(Debug, Deserialize)]
struct Answer {
    yaml: Option<String>,
    #[serde(default)]
    error: String,
}

impl Answer {
    /// Tells whether upstream lost its own books, which it keeps in annotations that patches reach.
    fn is_crash(&self) -> bool {
        self.error.starts_with("panic: ") || self.error.contains("number of previous names")
    }
}

/// Runs all cases.
///
/// # Errors
/// Where the oracle cannot be built or run, or a case differs.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    match args.engine {
        Engine::Kustomize => kustomizations(args),
        Engine::Helm => helm::run(args),
    }
}

fn kustomizations(args: &Args) -> anyhow::Result<()> {
    let oracle = build_oracle("kustomize", "kustomize-cases")?;
    let requests: Vec<Request> = (0..args.cases)
        .map(|number| Request {
            files: input::generate(&mut Random::new(args.seed, number)),
            path: "/overlay",
            reorder: "none",
            restrictor: "none",
        })
        .collect();
    let answers = ask(&oracle, &requests)?;
    let (mut agreed, mut failed, mut crashed, mut different, mut nowhere) = (0, 0, 0, 0, 0);
    for (number, (request, answer)) in requests.iter().zip(&answers).enumerate() {
        let ours = build(request);
        match (&ours, &answer.yaml) {
            (Ok(ours), Some(theirs)) if ours == theirs => agreed += 1,
            // Upstream crashes on a few inputs; what we make of them is ours to decide.
            (_, None) if answer.is_crash() => crashed += 1,
            (Err(error), None) => {
                failed += 1;
                if error.places().iter().all(|place| place.line == 0) {
                    nowhere += 1;
                    say(&format!("NO LINE case {number}: {error}"));
                }
                if args.refused {
                    say(&format!(
                        "{number}\n  upstream: {}\n  ours:     {error}",
                        answer.error
                    ));
                }
            }
            _ => {
                different += 1;
                say(&format!("DIFFERS seed {} case {number}", args.seed));
                if let Some(directory) = &args.keep {
                    keep(&directory.join(number.to_string()), request, &ours, answer)?;
                }
            }
        }
    }
    say(&format!(
        "{} cases: {agreed} built the same, {failed} refused by both, {nowhere} of them without a line, \
         {crashed} crash upstream, {different} different",
        requests.len()
    ));
    if different + nowhere > 0 {
        bail!("{different} cases differ, {nowhere} errors name no line");
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the task's result")]
fn say(text: &str) {
    println!("{text}");
}

/// Builds the oracle into the cache, where Go finds it fresh the next time.
fn build_oracle(name: &str, program: &str) -> anyhow::Result<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    let binary = cache.join("lockgate/oracles").join(program);
    let source = format!("{}/../oracles/{name}", env!("CARGO_MANIFEST_DIR"));
    let status = Command::new("go")
        .args(["build", "-o"])
        .arg(&binary)
        .arg(".")
        .current_dir(source)
        .status()
        .context("cannot run go")?;
    if !status.success() {
        bail!("the oracle does not build");
    }
    Ok(binary)
}

fn ask(oracle: &PathBuf, requests: &[Request]) -> anyhow::Result<Vec<Answer>> {
    let mut child = Command::new(oracle)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run the oracle")?;
    let mut stdin = child.stdin.take().context("the oracle has no stdin")?;
    let mut lines = Vec::new();
    for request in requests {
        serde_json::to_writer(&mut lines, request)?;
        lines.push(b'\n');
    }
    let writer = std::thread::spawn(move || stdin.write_all(&lines));
    let output = child.wait_with_output().context("the oracle failed")?;
    writer
        .join()
        .ok()
        .context("the oracle's input was not written")??;
    let text = String::from_utf8(output.stdout)?;
    let answers: Vec<Answer> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    if answers.len() != requests.len() {
        bail!("{} answers to {} cases", answers.len(), requests.len());
    }
    Ok(answers)
}

fn build(request: &Request) -> Result<String, kustomize::Error> {
    let files = request
        .files
        .iter()
        .map(|(path, text)| (path, text.as_str()));
    let tree = files.collect::<MemoryTree>().whole();
    let options = Options {
        load_restrictions: LoadRestrictions::None,
        ..Options::default()
    };
    kustomize::build(&tree, request.path.trim_start_matches('/'), &options)?.to_yaml()
}

/// Writes a case down for a closer look.
fn keep(
    directory: &std::path::Path,
    request: &Request,
    ours: &Result<String, kustomize::Error>,
    theirs: &Answer,
) -> anyhow::Result<()> {
    for (path, text) in &request.files {
        let file = directory.join("input").join(path.trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().context("a file has a directory")?)?;
        std::fs::write(file, text)?;
    }
    let ours = match ours {
        Ok(text) => text.clone(),
        Err(error) => format!("error: {error}\n"),
    };
    let theirs = match &theirs.yaml {
        Some(text) => text.clone(),
        None => format!("error: {}\n", theirs.error),
    };
    std::fs::write(directory.join("ours.yaml"), ours)?;
    std::fs::write(directory.join("theirs.yaml"), theirs)?;
    Ok(())
}
