//! 2,000 generated tag lists with policies, and what upstream's libraries choose of each.
//!
//! `tests/golden/policies.txt` has a line a case, written by `hack/oracles/image` (Masterminds/semver and Go's regexp):
//! a checksum of the case, then the newest tags (several where they are equal), or why there is none. `UPDATE_GOLDEN=1`
//! runs the oracle and writes it anew; that needs Go.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use api::image::{Alphabetical, Numerical, Order, PolicyChoice, SemVer, TagFilter};
use serde::Serialize;

use super::{Policy, PolicyError};
use crate::{random::Random, tags::revision};

const CASES: u64 = 2000;

/// A policy and tags, as the oracle reads them.
#[derive(Debug, Default, Serialize)]
struct Case {
    tags: Vec<String>,
    pattern: Option<String>,
    extract: String,
    range: Option<String>,
    rule: &'static str,
    descending: bool,
}

impl Case {
    fn generate(number: u64) -> Self {
        let mut random = Random::new(number);
        let r = &mut random;
        let count = match r.below(10) {
            0 => r.below(2),
            1..7 => 2 + r.below(10),
            _ => 10 + r.below(30),
        };
        let mut case = Self::default();
        match r.below(20) {
            0..10 => {
                case.range = Some(range(r));
                case.tags = (0..count).map(|_| version(r)).collect();
            }
            10..14 => {
                case.rule = "alphabetical";
                case.tags = (0..count).map(|_| any(r)).collect();
            }
            _ => {
                case.rule = "numerical";
                let odd = r.chance(10);
                let tag = |r: &mut Random| if odd { any(r) } else { number_of(r) };
                case.tags = (0..count).map(|_| tag(r)).collect();
            }
        }
        case.descending = r.chance(40);
        if r.chance(45) {
            let (pattern, extract) = FILTERS[r.below(FILTERS.len())];
            case.pattern = Some(pattern.into());
            case.extract = extract.into();
            let dressed = r.chance(80);
            for tag in &mut case.tags {
                if dressed && r.chance(75) {
                    *tag = dress(tag, r);
                }
            }
        }
        case
    }

    fn choice(&self) -> PolicyChoice {
        let order = Some(if self.descending {
            Order::Desc
        } else {
            Order::Asc
        });
        let mut choice = PolicyChoice::default();
        match (&self.range, self.rule) {
            (Some(range), _) => {
                choice.semver = Some(SemVer {
                    range: range.clone(),
                });
            }
            (None, "numerical") => choice.numerical = Some(Numerical { order }),
            (None, _) => choice.alphabetical = Some(Alphabetical { order }),
        }
        choice
    }

    fn filter(&self) -> Option<TagFilter> {
        self.pattern.as_ref().map(|pattern| TagFilter {
            pattern: Some(pattern.clone()),
            extract: Some(self.extract.clone()),
        })
    }

    /// Says what we choose, in the oracle's words for what is none.
    fn ours(&self) -> Result<String, &'static str> {
        let policy = Policy::new(&self.choice(), self.filter().as_ref());
        let latest = policy.and_then(|policy| policy.latest(&self.tags).map(str::to_owned));
        latest.map_err(|error| match error {
            PolicyError::Pattern { .. } => "pattern",
            PolicyError::Range(_) => "range",
            PolicyError::NoChoice => "choice",
            PolicyError::Empty(_) => "empty",
            PolicyError::NoneInRange(_) => "none",
            PolicyError::NotANumber(_) => "number",
        })
    }
}

/// Patterns and what they extract: what users write, what only Go's syntax has, and what is wrong.
const FILTERS: &[(&str, &str)] = &[
    ("", ""),
    (".*", "$0"),
    ("^main-[a-f0-9]+-(?P<ts>[0-9]+)$", "$ts"),
    ("^(?P<branch>[a-z]+)-[a-f0-9]+-(?P<ts>[0-9]+)$", "${ts}"),
    ("^(?:main|dev)-[[:xdigit:]]+-(.*)$", "$1"),
    (r"^v?(?<v>\d+\.\d+\.\d+)", "$v"),
    (r"^v?(\d+)\.(\d+)\.(\d+)$", "$3.$2.$1"),
    (r"(\d+)", "$1"),
    (r"(\d+)$", "${1}"),
    (r"\d+", ""),
    (r"^\d+\.\d+$", ""),
    ("^[^-]+$", ""),
    ("[^-debug]", ""),
    ("-(rc|beta|alpha)", ""),
    (r"^\Qmain-\E", ""),
    (r"^(?i:MAIN)-(.+)-(.+)\z", "$2"),
    (r"^main-(\w+)-", "$1x"),
    (r"^main-(\w+)-(\d+)", "${1}x$2"),
    (r"^main-(\w+?)(\d*)-(\d+)", "$$$3"),
    (r"^main-(\w+)-(\d+)", "$missing$2"),
    (r"^(?U)(.+)-(.+)$", "$2"),
    (r"(a|ab)(c|bcd)?", "$1$2"),
    (r"\bmain\b", "$"),
    (r"^\pL+-\pN", ""),
    (r"[[:^alpha:]]{3,}", "$0"),
    ("^(.*", "$1"),
    ("(?=1)", ""),
    (r"(\d)\1", ""),
    ("x{1001}", ""),
    ("[z-a]", ""),
    (r"\Z", ""),
    ("a**", ""),
    ("(?P<n>a)(?P<n>b)", ""),
];

fn dress(tag: &str, r: &mut Random) -> String {
    let branch = r.pick(&["main", "main", "dev", "MAIN", "Feature"]);
    let commit = r.pick(&["0c9c2e4", "abc", "69b5906", "dead1", "a"]);
    format!("{branch}-{commit}-{tag}")
}

fn small(r: &mut Random) -> String {
    match r.below(12) {
        0 => "0".into(),
        1 => format!("0{}", r.below(12)),
        2 => (r.below(3000)).to_string(),
        _ => r.below(4).to_string(),
    }
}

fn prerelease(r: &mut Random) -> String {
    let mut text = r
        .pick(&["rc", "alpha", "beta", "0", "1", "rc1", "x-y", "01", "RC"])
        .to_owned();
    while r.chance(40) {
        text.push('.');
        text.push_str(r.pick(&["1", "2", "10", "a", "rc", "0", "007"]));
    }
    text
}

fn version(r: &mut Random) -> String {
    let mut text = r.pick(&["", "", "", "v", "v", "V", "b", "="]).to_owned();
    if r.chance(70) {
        text = text.replace(['b', 'V', '='], "");
    }
    let parts = match r.below(20) {
        0 => 1,
        1 | 2 => 2,
        3 => 4,
        _ => 3,
    };
    let parts: Vec<String> = (0..parts).map(|_| small(r)).collect();
    text.push_str(&parts.join("."));
    if r.chance(25) {
        text.push('-');
        text.push_str(&prerelease(r));
    }
    if r.chance(8) {
        text.push_str(r.pick(&["+b1", "+2.x", "p", "_1", ".", "-", "+"]));
    }
    text
}

fn number_of(r: &mut Random) -> String {
    match r.below(16) {
        0 => format!("-{}", r.below(100)),
        1 => format!("{}.{}", r.below(10), r.below(100)),
        2 => format!("{}e{}", r.below(10), r.below(5)),
        3 => format!("0{}", r.below(20)),
        4 => format!("{}.", r.below(20)),
        5 => format!(".{}", r.below(20)),
        6 => format!("0x{:x}p{}", r.below(256), r.below(4)),
        7 => format!("+{}", r.below(20)),
        8 => format!("{}.{}0", r.below(3), r.below(3)),
        9 => format!("17000{:05}", r.below(100_000)),
        10 => r
            .pick(&["inf", "-Inf", "+infinity", "1e308", "1e-400"])
            .into(),
        11 => format!("2024{:010}{}", r.below(1 << 30), r.below(1000)),
        _ => r.below(500).to_string(),
    }
}

fn any(r: &mut Random) -> String {
    match r.below(10) {
        0 => r
            .pick(&["latest", "main", "1_000", "1e999", "0x1F", "nightly"])
            .into(),
        1 => r.pick(&["zesty", "artful", "bionic", "Bionic", "_"]).into(),
        2 | 3 => format!("20{:02}.{:02}", r.below(30), 1 + r.below(12)),
        4 => format!(
            "2024-{:02}-{:02}T10.00.00Z",
            1 + r.below(12),
            1 + r.below(28)
        ),
        5 => number_of(r),
        _ => version(r),
    }
}

/// A constraint, mostly one that can be read.
fn range(r: &mut Random) -> String {
    if r.chance(4) {
        let wrong = [
            "", "*-*", "1x", "x1", "-1", "a", "1.0.0p", ">", "1 ||", "||", ",", "1.2.3.4", "1.x.3",
            ">=1 <", "^*", "~x", "!=*", "*", ">*", "1.2 -", "<=x.1",
        ];
        return r.pick(&wrong).into();
    }
    let mut text = conjunction(r);
    while r.chance(15) {
        text.push_str(r.pick(&["||", " || ", "|| "]));
        text.push_str(&conjunction(r));
    }
    text
}

fn conjunction(r: &mut Random) -> String {
    if r.chance(10) {
        return format!("{} - {}", partial(r), partial(r));
    }
    let mut text = comparison(r);
    while r.chance(25) {
        text.push_str(r.pick(&[",", ", ", " "]));
        text.push_str(&comparison(r));
    }
    text
}

fn comparison(r: &mut Random) -> String {
    let operator = r.pick(&[
        "", "", "", "=", "!=", ">", "<", ">=", "<=", "=>", "=<", "~", "~>", "^", "^", ">=",
    ]);
    let space = if r.chance(15) { " " } else { "" };
    format!("{operator}{space}{}", partial(r))
}

fn partial(r: &mut Random) -> String {
    let mut text = r.pick(&["", "", "", "v"]).to_owned();
    let number = |r: &mut Random| match r.below(8) {
        0 => r.pick(&["x", "X", "*"]).to_owned(),
        _ => r.below(4).to_string(),
    };
    text.push_str(&number(r));
    for _ in 0..r.below(4).min(2) {
        text.push('.');
        text.push_str(&number(r));
    }
    if r.chance(20) {
        text.push('-');
        text.push_str(r.pick(&["0", "rc.1", "alpha", "beta.2"]));
    }
    text
}

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/policies.txt")
}

/// Asks the oracle about all cases.
fn ask(cases: &[Case]) -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../hack/oracles/image");
    let mut child = Command::new("go")
        .args(["run", "."])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines: Vec<String> = cases
        .iter()
        .map(|case| serde_json::to_string(case).unwrap() + "\n")
        .collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.concat().as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn checksum(case: &Case) -> String {
    revision(&[serde_json::to_string(case).unwrap()])
}

/// covers: IA-084, IA-085, IA-092, IA-093, IA-094, IA-095, IA-096, IA-097, IA-101
#[test]
fn generated_policies_choose_what_upstreams_libraries_choose() {
    let cases: Vec<Case> = (0..CASES).map(Case::generate).collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let answers = ask(&cases);
        assert_eq!(answers.len(), cases.len());
        let lines = cases.iter().zip(&answers);
        let lines = lines.map(|(case, answer)| format!("{} {answer}\n", checksum(case)));
        std::fs::create_dir_all(golden().parent().unwrap()).unwrap();
        std::fs::write(golden(), lines.collect::<String>()).unwrap();
    }
    let text = std::fs::read_to_string(golden()).unwrap();
    let recorded: Vec<&str> = text.lines().collect();
    assert_eq!(recorded.len(), cases.len());
    let mut wrong = Vec::new();
    let mut chosen = 0;
    for (number, (case, line)) in cases.iter().zip(recorded).enumerate() {
        let (sum, answer) = line.split_once(' ').unwrap();
        assert_eq!(
            sum,
            checksum(case),
            "case {number} is another one than was recorded"
        );
        let ours = case.ours();
        let same = match (answer.split_once(' ').unwrap(), &ours) {
            (("=", newest), Ok(tag)) => {
                chosen += 1;
                let newest: Vec<String> = serde_json::from_str(newest).unwrap();
                // Of equal versions the greatest byte by byte; numbers may differ beyond a float's digits.
                let is_last = newest.last() == Some(tag);
                newest.contains(tag) && (is_last || case.range.is_none())
            }
            (("!", why), Err(ours)) => why == *ours,
            _ => false,
        };
        if !same {
            wrong.push(format!(
                "{number}: {case:?}\n  upstream: {answer}\n  ours: {ours:?}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(chosen > 900, "only {chosen} cases have a newest tag");
}
