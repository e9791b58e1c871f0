//! `.sourceignore`: which files of a source are left out of its artifact.
//!
//! The rules look like git's and differ from them: the last pattern that matches decides, and a file below an
//! excluded directory can be taken back by `!`.
//! Source: fluxcd/pkg sourceignore, the version of source-controller 1.9.

use std::collections::BTreeMap;

use crate::glob::Glob;

/// The name of the files that hold patterns.
pub const IGNORE_FILE: &str = ".sourceignore";

/// Left out whatever the patterns of the user say, unless one of them takes a path back.
const VERSION_CONTROL: &[&str] = &[".git/", ".gitignore", ".gitmodules", ".gitattributes"];

/// Left out only where the user has no pattern at all.
const DEFAULTS: &[&str] = &[
    "*.jpg",
    "*.jpeg",
    "*.gif",
    "*.png",
    "*.wmv",
    "*.flv",
    "*.tar.gz",
    "*.zip",
    ".github/",
    ".circleci/",
    ".travis.yml",
    ".gitlab-ci.yml",
    "appveyor.yml",
    ".drone.yml",
    "cloudbuild.yaml",
    "codeship-services.yml",
    "codeship-steps.yml",
    "**/.goreleaser.yml",
    "**/.sops.yaml",
    "**/.flux.yaml",
];

/// The ignore rules of one source: its `.sourceignore` files, the object's own patterns, and what always applies.
///
/// Priority, lowest first: version control files, the defaults (only where the user gave no pattern at all), the
/// `.sourceignore` files from the root downwards, each for its own directory only, then the object's patterns.
/// Within one file the last line that matches decides.
#[derive(Clone, Debug)]
pub struct IgnoreRules {
    built_in: Vec<Pattern>,
    by_directory: BTreeMap<String, Vec<Pattern>>,
    of_object: Vec<Pattern>,
    has_defaults: bool,
}

impl IgnoreRules {
    /// Returns the rules of a source without any `.sourceignore`.
    ///
    /// `of_object` is the text of `spec.ignore`, in the form of a `.sourceignore` at the root.
    pub fn new(of_object: Option<&str>) -> Self {
        let of_object = of_object.map(patterns).unwrap_or_default();
        let mut rules = Self {
            built_in: VERSION_CONTROL
                .iter()
                .copied()
                .map(Pattern::parse)
                .collect(),
            by_directory: BTreeMap::new(),
            has_defaults: of_object.is_empty(),
            of_object,
        };
        if rules.has_defaults {
            rules
                .built_in
                .extend(DEFAULTS.iter().copied().map(Pattern::parse));
        }
        rules
    }

    /// Returns rules that leave nothing out but version control files.
    pub fn version_control_only() -> Self {
        let mut rules = Self::new(None);
        rules.drop_defaults();
        rules
    }

    /// Returns rules without anything built in: what an object asks for, and nothing else.
    pub fn bare(of_object: Option<&str>) -> Self {
        let mut rules = Self::new(of_object);
        rules.built_in.clear();
        rules.has_defaults = false;
        rules
    }

    /// Adds the `.sourceignore` of one directory.
    ///
    /// `directory` is relative to the root, `/`-separated, `""` for the root itself.
    pub fn add_file(&mut self, directory: &str, text: &str) {
        let patterns = patterns(text);
        if patterns.is_empty() {
            return;
        }
        self.drop_defaults();
        self.by_directory.insert(directory.to_owned(), patterns);
    }

    fn drop_defaults(&mut self) {
        if self.has_defaults {
            self.has_defaults = false;
            self.built_in.truncate(VERSION_CONTROL.len());
        }
    }

    /// Returns whether `path` is left out of the artifact.
    ///
    /// `path` is relative to the root and `/`-separated. The root itself (`""`) is never left out. An excluded
    /// directory says nothing of what lies in it: ask for each path.
    pub fn excludes(&self, path: &str, is_directory: bool) -> bool {
        if path.is_empty() {
            return false;
        }
        let parts: Vec<&str> = path.split('/').collect();
        let decided = last_match(&self.of_object, &parts, is_directory)
            .or_else(|| self.match_directories(path, &parts, is_directory))
            .or_else(|| last_match(&self.built_in, &parts, is_directory));
        decided == Some(Verdict::Exclude)
    }

    fn match_directories(&self, path: &str, parts: &[&str], is_directory: bool) -> Option<Verdict> {
        if self.by_directory.is_empty() {
            return None;
        }
        let mut directory = path;
        for depth in (0..parts.len()).rev() {
            directory = directory.rsplit_once('/').map_or("", |(parent, _)| parent);
            let found = self
                .by_directory
                .get(directory)
                .and_then(|own| last_match(own, &parts[depth..], is_directory));
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Exclude,
    Include,
}

fn last_match(patterns: &[Pattern], path: &[&str], is_directory: bool) -> Option<Verdict> {
    let pattern = patterns
        .iter()
        .rev()
        .find(|pattern| pattern.matches(path, is_directory))?;
    Some(if pattern.negated {
        Verdict::Include
    } else {
        Verdict::Exclude
    })
}

/// Reads the patterns of one file: `#` in the first column starts a comment, blank lines do not count.
fn patterns(text: &str) -> Vec<Pattern> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(Pattern::parse)
        .collect()
}

#[derive(Clone, Debug)]
struct Pattern {
    negated: bool,
    directories_only: bool,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    /// No slash: any component of the path may match.
    Name(Glob),
    /// With a slash: component by component from the root of the scope.
    Anchored(Vec<Segment>),
    /// Can match no path.
    Never,
}

#[derive(Clone, Debug)]
enum Segment {
    /// Stands between two slashes, or before the first: no component, and it ends a `**`.
    Empty,
    /// `**`: any number of components.
    AnyDepth,
    One(Glob),
}

impl Pattern {
    fn parse(line: &str) -> Self {
        let (negated, line) = line
            .strip_prefix('!')
            .map_or((false, line), |rest| (true, rest));
        let line = if line.ends_with("\\ ") {
            line
        } else {
            line.trim_end_matches(' ')
        };
        let (directories_only, line) = line
            .strip_suffix('/')
            .map_or((false, line), |rest| (true, rest));
        let form = if line.contains('/') {
            anchored(line)
        } else {
            Form::Name(Glob::compile(line))
        };
        Self {
            negated,
            directories_only,
            form,
        }
    }

    fn matches(&self, path: &[&str], is_directory: bool) -> bool {
        let left = match &self.form {
            Form::Name(glob) => path
                .iter()
                .position(|part| glob.matches(part))
                .map(|at| path.len() - at - 1),
            Form::Anchored(segments) => match_anchored(segments, path),
            Form::Never => None,
        };
        // Components left over lie below what matched, so that a directory did match.
        left.is_some_and(|left| left > 0 || is_directory || !self.directories_only)
    }
}

fn anchored(line: &str) -> Form {
    let segments: Vec<Segment> = line
        .split('/')
        .map(|part| match part {
            "" => Segment::Empty,
            "**" => Segment::AnyDepth,
            glob => Segment::One(Glob::compile(glob)),
        })
        .collect();
    // A component that merely contains `**` stops the pattern from matching.
    let impossible = line
        .split('/')
        .any(|part| part != "**" && part.contains("**"));
    if impossible {
        Form::Never
    } else {
        Form::Anchored(segments)
    }
}

/// Returns how many components of `path` lie beneath what the pattern matched; `None` if it does not match.
///
/// The first fit behind a `**` is taken and never given back.
fn match_anchored(segments: &[Segment], path: &[&str]) -> Option<usize> {
    let mut rest = path;
    let mut any_depth = false;
    let mut matched = false;
    for segment in segments {
        match segment {
            Segment::Empty => any_depth = false,
            Segment::AnyDepth => any_depth = true,
            Segment::One(glob) => {
                let skipped = if any_depth {
                    rest.iter().position(|part| glob.matches(part))?
                } else {
                    rest.first().filter(|part| glob.matches(part)).map(|_| 0)?
                };
                rest = &rest[skipped + 1..];
                any_depth = false;
                matched = true;
            }
        }
    }
    matched.then_some(rest.len())
}

#[cfg(test)]
mod tests;
