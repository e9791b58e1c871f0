//! The reference pages of the controllers' flags, made of the definitions that parse them, and compared with what
//! upstream's controllers take.
//!
//! A crate of its own, so that the tasks of `xtask` do not have to be built with every controller.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::Context as _;
use clap::{Arg, ArgAction, Command, CommandFactory as _};

/// One controller: its flags and upstream's.
#[derive(Clone, Copy, Debug)]
pub struct Controller {
    /// Name of the binary.
    pub name: &'static str,
    /// Folder of the page, below `docs/spec`.
    folder: &'static str,
    /// Makes the definition of the flags.
    command: fn() -> Command,
    /// Flags and defaults of upstream's controller, a line each, after a line that names its version.
    upstream: &'static str,
}

/// Every controller.
pub const CONTROLLERS: &[Controller] = &[
    Controller {
        name: "helm-controller",
        folder: "helm",
        command: helm_controller::Args::command,
        upstream: include_str!("../upstream/helm-controller.tsv"),
    },
    Controller {
        name: "image-automation-controller",
        folder: "image",
        command: image_automation::automation::Args::command,
        upstream: include_str!("../upstream/image-automation-controller.tsv"),
    },
    Controller {
        name: "image-reflector-controller",
        folder: "image",
        command: image_automation::reflector::Args::command,
        upstream: include_str!("../upstream/image-reflector-controller.tsv"),
    },
    Controller {
        name: "kustomize-controller",
        folder: "kustomize",
        command: kustomize_controller::Args::command,
        upstream: include_str!("../upstream/kustomize-controller.tsv"),
    },
    Controller {
        name: "notification-controller",
        folder: "notification",
        command: notification_controller::Args::command,
        upstream: include_str!("../upstream/notification-controller.tsv"),
    },
    Controller {
        name: "source-controller",
        folder: "source",
        command: source_controller::Args::command,
        upstream: include_str!("../upstream/source-controller.tsv"),
    },
];

/// Makes the text of every page, by path from the root of the repository.
///
/// # Errors
/// A fact about upstream that cannot be read.
pub fn pages() -> anyhow::Result<BTreeMap<String, String>> {
    let page = |controller: &Controller| {
        let path = format!("docs/spec/{}/{}.md", controller.folder, controller.name);
        Ok((path, controller.page()?))
    };
    CONTROLLERS.iter().map(page).collect()
}

impl Controller {
    /// Returns upstream's version, and its flags with their defaults.
    fn upstream(&self) -> anyhow::Result<(&'static str, BTreeMap<&'static str, &'static str>)> {
        let (title, lines) = self.upstream.split_once('\n').context("no version")?;
        let version = title
            .strip_prefix("# ")
            .and_then(|title| title.split_once(':'));
        let (version, _) = version.with_context(|| format!("no version in {title:?}"))?;
        let pair = |line: &'static str| {
            let pair = line.split_once('\t');
            pair.with_context(|| format!("no tab in {line:?}"))
        };
        Ok((version, lines.lines().map(pair).collect::<Result<_, _>>()?))
    }

    /// Lists upstream's flags that this controller does not take.
    ///
    /// # Errors
    /// A fact about upstream that cannot be read.
    pub fn missing(&self) -> anyhow::Result<Vec<&'static str>> {
        let command = (self.command)();
        let taken = |flag: &&str| arguments(&command).any(|arg| arg.get_long() == Some(flag));
        let (_, upstream) = self.upstream()?;
        Ok(upstream.into_keys().filter(|flag| !taken(flag)).collect())
    }

    /// Lists the flags whose default is not upstream's, with both.
    ///
    /// # Errors
    /// A fact about upstream that cannot be read.
    pub fn different(&self) -> anyhow::Result<Vec<(String, String, &'static str)>> {
        let command = (self.command)();
        let (_, upstream) = self.upstream()?;
        let flags = arguments(&command).filter_map(|arg| {
            let flag = arg.get_long()?;
            let (ours, theirs) = (default_of(arg), *upstream.get(flag)?);
            (!are_same(&ours, theirs)).then(|| (flag.to_owned(), ours, theirs))
        });
        Ok(flags.collect())
    }

    fn page(&self) -> anyhow::Result<String> {
        let command = (self.command)();
        let (version, upstream) = self.upstream()?;
        let about = command.get_about().map(ToString::to_string);
        let mut out = format!(
            "<!-- Written by `cargo xtask codegen`. -->\n\n# {}\n\n{}\n\n## Flags\n\n\
             A flag is given as `--name=value`; one that is true or false also without a value, which means true. \
             Durations are Go's, such as `1m30s`. Compared with {version}.\n\n\
             | flag | default | meaning | upstream |\n|---|---|---|---|\n",
            self.name,
            about.unwrap_or_default().trim_end_matches('.').to_owned() + ".",
        );
        let mut sorted = arguments(&command).collect::<Vec<_>>();
        sorted.sort_by_key(|arg| arg.get_long());
        for arg in sorted {
            let flag = arg.get_long().unwrap_or_default();
            let default = default_of(arg);
            let same = match upstream.get(flag) {
                None => "not there".to_owned(),
                Some(theirs) if are_same(&default, theirs) => "same".to_owned(),
                Some(theirs) => format!("default {}", code(theirs)),
            };
            let (default, meaning) = (code(&default), meaning(arg));
            writeln!(out, "| `--{flag}` | {default} | {meaning} | {same} |")?;
        }
        let missing = self.missing()?;
        if !missing.is_empty() {
            writeln!(out, "\nFlags of upstream that are not taken:\n")?;
            for flag in missing {
                writeln!(out, "- `--{flag}`")?;
            }
        }
        Ok(out)
    }
}

/// Returns the flags of a controller; help and version are every program's.
fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    let own = |arg: &&Arg| !matches!(arg.get_long(), None | Some("help" | "version"));
    command.get_arguments().filter(own)
}

fn default_of(arg: &Arg) -> String {
    let values = arg.get_default_values().iter();
    let values = values.map(|value| value.to_string_lossy());
    values.collect::<Vec<_>>().join(",")
}

/// Compares defaults as what they mean: `60s` is `1m`.
fn are_same(ours: &str, theirs: &str) -> bool {
    let duration = |text: &str| text.parse::<api::meta::Duration>().ok();
    ours == theirs || duration(ours).is_some_and(|ours| duration(theirs) == Some(ours))
}

fn code(value: &str) -> String {
    if value.is_empty() {
        String::new()
    } else {
        format!("`{value}`")
    }
}

/// Says what a flag is for, what values it takes, and what else can say it.
fn meaning(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let mut text = format!("{}.", help.trim_end_matches('.'));
    let values = arg.get_possible_values();
    let names = values.iter().map(|value| format!("`{}`", value.get_name()));
    let names = names.collect::<Vec<_>>();
    if !names.is_empty() && !names.contains(&"`true`".to_owned()) {
        let _ = write!(text, " One of {}.", names.join(", "));
    }
    if text.contains("joined by commas") || text.contains("several times") {
        // It says so itself.
    } else if arg.get_value_delimiter().is_some() {
        text.push_str(" Several, joined by commas.");
    } else if matches!(arg.get_action(), ArgAction::Append) {
        text.push_str(" May be given several times.");
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(text, " Environment: `{}`.", variable.to_string_lossy());
    }
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// Flags of upstream that mean something which is not built yet.
    const UNBUILT: &[(&str, &str)] = &[];

    /// Flags that are taken so that manifests go on working, and mean nothing.
    const WITHOUT_EFFECT: &[(&str, &str)] = &[
        // Of a database that is not used.
        ("image-reflector-controller", "storage-value-log-file-size"),
    ];

    fn root() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    #[test]
    fn every_flag_of_upstream_is_taken_with_its_default() {
        for controller in CONTROLLERS {
            assert!(controller.upstream().unwrap().1.len() > 20);
            for flag in controller.missing().unwrap() {
                assert!(
                    UNBUILT.contains(&(controller.name, flag)),
                    "{} --{flag}",
                    controller.name
                );
            }
            for (flag, ours, theirs) in controller.different().unwrap() {
                let flag = (controller.name, flag.as_str());
                assert!(
                    WITHOUT_EFFECT.contains(&flag),
                    "{flag:?}: {ours} for {theirs}"
                );
            }
        }
    }

    #[test]
    fn every_controller_has_its_page_and_it_is_up_to_date() {
        for (path, text) in pages().unwrap() {
            assert_eq!(
                fs::read_to_string(root().join(&path)).unwrap_or_default(),
                text,
                "{path}"
            );
        }
    }

    #[test]
    fn defaults_are_compared_as_what_they_mean() {
        assert!(are_same("1m", "60s") && are_same("a", "a"));
        assert!(!are_same("1m", "1") && !are_same("", "1m") && !are_same("x", "y"));
    }

    #[test]
    fn cells_say_what_a_flag_takes() {
        let arg = Arg::new("x")
            .long("x")
            .help("What it is")
            .value_parser(["a", "b"])
            .action(ArgAction::Append);
        assert_eq!(
            meaning(&arg),
            "What it is. One of `a`, `b`. May be given several times."
        );
    }
}
