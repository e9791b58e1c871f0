//! Renders the templates of a chart and its subcharts.

mod encoding;
mod files;
mod functions;
mod scope;
mod toml;
mod trace;

pub use files::glob;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use go::time::Time;
use gotemplate::funcs::Functions;
use gotemplate::value::Value;
use gotemplate::{FaultKind, Limits, Map as Table, MissingKey, Random, Shared, Str, Templates};
use serde_json::Value as Json;

use crate::capabilities::Capabilities;
use crate::chart::Chart;
use functions::Host;

/// Answers `lookup`; the caller joins the cluster to it.
pub trait Lookup {
    /// The object of that name, or the list of objects where the name is empty; an empty object
    /// where there is none.
    ///
    /// # Errors
    /// The text that the template's error shows.
    fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Json, String>;
}

/// What the templates see under `.Release`.
#[derive(Debug, Clone)]
pub struct Release {
    /// The release's name.
    pub name: String,
    /// The namespace it is installed into.
    pub namespace: String,
    /// The revision, 1 for an installation; 0 where a chart is only looked at.
    pub revision: i64,
    /// Whether a release is upgraded.
    pub is_upgrade: bool,
}

impl Release {
    /// The first revision of a release.
    pub fn install(name: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            namespace: namespace.into(),
            revision: 1,
            is_upgrade: false,
        }
    }
}

/// How missing values are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Missing values print nothing.
    #[default]
    Normal,
    /// Missing values are errors.
    Strict,
    /// `required` and `fail` do not fail.
    Lint,
}

/// What a rendering depends on besides the chart and its values.
pub struct Settings {
    /// How missing values are taken.
    pub mode: Mode,
    /// The present.
    pub now: Time,
    /// What random functions draw from.
    pub seed: [u8; 32],
    /// Budgets.
    pub limits: Limits,
    /// The cluster, where `lookup` may ask one.
    pub lookup: Option<Arc<dyn Lookup + Send + Sync>>,
}

impl Settings {
    /// Settings of an ordinary rendering that asks no cluster.
    pub fn new(now: Time, seed: [u8; 32]) -> Self {
        Self {
            mode: Mode::default(),
            now,
            seed,
            limits: Limits::default(),
            lookup: None,
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// Why a chart does not render. The text is upstream's, several lines long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RenderError(pub(crate) String);

/// A template's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The template's path from the root chart, such as `app/templates/service.yaml`.
    pub path: String,
    /// The text. Bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// One file to render: its text, and the scope of its chart.
struct Source {
    text: Rc<str>,
    scope: Table,
    base_path: String,
}

/// Renders all templates of a chart with coalesced values.
///
/// Deep recursion is part of what charts may do, so the caller provides a large stack (see
/// [`crate::template`], which does).
pub(crate) fn render(
    chart: &Chart,
    values: &Table,
    release: &Release,
    capabilities: &Capabilities,
    settings: &Settings,
    only: Option<&dyn Fn(&str) -> bool>,
) -> Result<Vec<Rendered>, RenderError> {
    let mut functions = Functions::sprig();
    functions.add(functions::FUNCTIONS);
    let random = Random::from_seed(settings.seed);
    let mut shared = Shared::new(functions, settings.now.clone(), random, settings.limits);
    if settings.mode == Mode::Strict {
        shared.missing_key = MissingKey::Error;
    }
    shared.host = Some(Rc::new(Host::new(settings)));
    let sources = scope::collect(chart, values, release, capabilities);
    run(&sources, &shared, only)
}

fn run(
    sources: &BTreeMap<String, Source>,
    shared: &Shared,
    only: Option<&dyn Fn(&str) -> bool>,
) -> Result<Vec<Rendered>, RenderError> {
    let mut names: Vec<&String> = sources.keys().collect();
    let depth = |name: &str| name.matches('/').count();
    names.sort_by(|a, b| depth(b).cmp(&depth(a)).then_with(|| b.cmp(a)));
    let mut set = Templates::new("gotpl");
    for name in &names {
        set.parse(name, Rc::clone(&sources[*name].text), shared)
            .map_err(|fault| RenderError(trace::parse_error(name, &fault)))?;
    }
    let set = Rc::new(set);
    let mut rendered = Vec::with_capacity(names.len());
    for name in names {
        if go::path::base(name).starts_with('_') || only.is_some_and(|fits| !fits(name)) {
            continue;
        }
        let source = &sources[name];
        let template: Table = [
            ("Name", Value::from(name.as_str())),
            ("BasePath", Value::from(source.base_path.as_str())),
        ]
        .into_iter()
        .collect();
        source.scope.insert(
            Str::from("Template"),
            Value::Map(scope::as_values(&template)),
        );
        let out = set
            .execute(name, Value::Map(source.scope.clone()), shared)
            .map_err(|fault| RenderError(failure(name, &fault)))?;
        let mut text = String::from_utf8(out)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        if text.contains(NO_VALUE) {
            text = text.replace(NO_VALUE, "");
        }
        text.shrink_to_fit();
        rendered.push(Rendered {
            path: name.clone(),
            text,
        });
    }
    Ok(rendered)
}

/// What a missing value prints; upstream deletes it wherever it occurs.
pub(crate) const NO_VALUE: &str = "<no value>";

fn failure(name: &str, fault: &gotemplate::Fault) -> String {
    if fault.kind() == FaultKind::Budget {
        return format!("execution error in ({name}): {fault}");
    }
    trace::execution_error(name, fault)
}
