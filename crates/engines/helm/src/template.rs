//! What `helm template` does: a chart and values in, manifests out.

use std::cell::Cell;

use serde_json::{Map, Value as Json};

use crate::capabilities::Capabilities;
use crate::chart::Chart;
use crate::manifest::{self, Documents, ManifestError};
use crate::render::{self, Release, RenderError, Rendered, Settings};
use crate::schema::{self, SchemaError};
use crate::values::{self, ValuesError};

/// The stack of a rendering: charts may include a template a thousand times inside itself.
const STACK_BYTES: usize = 1 << 30;

/// Why a chart cannot be rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The values cannot be joined.
    #[error(transparent)]
    Values(#[from] ValuesError),
    /// Subcharts cannot be enabled or disabled by the values.
    #[error("chart dependencies processing failed: {0}")]
    Dependencies(ValuesError),
    /// The values do not fit a schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The chart does not work with the cluster's version.
    #[error("chart requires kubeVersion: {range} which is incompatible with Kubernetes {version}")]
    KubeVersion {
        /// What the chart asks for.
        range: String,
        /// What the cluster is.
        version: String,
    },
    /// A template fails.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// What was rendered is no YAML.
    #[error("{problem}")]
    Manifest {
        /// Which document.
        problem: ManifestError,
        /// Everything that was rendered, to look into.
        rendered: Vec<Rendered>,
    },
    /// A post-renderer fails. The text is its own.
    #[error("{0}")]
    PostRender(String),
    /// No thread could be started.
    #[error("cannot start a thread to render in: {0}")]
    Thread(String),
}

/// What is asked for.
#[derive(Debug)]
pub struct Request {
    /// The user's values, joined.
    pub values: Map<String, Json>,
    /// The release.
    pub release: Release,
    /// The cluster.
    pub capabilities: Capabilities,
    /// How templates are executed.
    pub settings: Settings,
    /// Whether schemas are left aside.
    pub skip_schema: bool,
    /// Whether the notes of subcharts count.
    pub sub_notes: bool,
}

impl Request {
    /// A request for a cluster that nothing is known of; schemas count.
    pub fn new(values: Map<String, Json>, release: Release, settings: Settings) -> Self {
        Self {
            values,
            release,
            capabilities: Capabilities::default(),
            settings,
            skip_schema: false,
            sub_notes: false,
        }
    }
}

/// A rendered chart.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// Manifests and hooks in order.
    pub documents: Documents,
    /// The notes.
    pub notes: String,
    /// The chart after its dependencies were processed.
    pub chart: Chart,
}

impl Output {
    /// The release's manifest as Helm stores it; definitions first where they are wanted.
    pub fn manifest(&self, include_crds: bool) -> String {
        let mut out = String::new();
        if include_crds {
            for crd in self.chart.crds() {
                push_document(&mut out, &crd.file_name, &crd.text());
            }
        }
        for manifest in &self.documents.manifests {
            push_document(&mut out, &manifest.path, &manifest.content);
        }
        out
    }
}

/// Adds a document with its separator and source.
pub fn push_document(out: &mut String, path: &str, text: &str) {
    out.push_str("---\n# Source: ");
    out.push_str(path);
    out.push('\n');
    out.push_str(text);
    out.push('\n');
}

/// Changes what was rendered, before it is sorted into documents. Notes are not among it.
pub trait PostRender: Sync {
    /// Returns the files as they are to be.
    ///
    /// # Errors
    /// The text that [`TemplateError::PostRender`] shows.
    fn run(&self, files: Vec<Rendered>) -> Result<Vec<Rendered>, String>;
}

/// Renders a chart.
pub fn template(chart: Chart, request: &Request) -> Result<Output, TemplateError> {
    template_with(chart, request, None)
}

/// Renders a chart and lets a post-renderer change what came out.
pub fn template_with(
    mut chart: Chart,
    request: &Request,
    post: Option<&dyn PostRender>,
) -> Result<Output, TemplateError> {
    on_large_stack(move || {
        values::process_dependencies(&mut chart, &request.values)
            .map_err(TemplateError::Dependencies)?;
        let rendered = execute(&chart, request)?;
        let (notes, mut files) = take_notes(&chart, rendered, request.sub_notes);
        if let Some(post) = post {
            files = post.run(files).map_err(TemplateError::PostRender)?;
        }
        let documents = manifest::sort(files)
            .map_err(|(problem, rendered)| TemplateError::Manifest { problem, rendered })?;
        Ok(Output {
            documents,
            notes,
            chart,
        })
    })?
}

/// Renders all files of a chart without looking at what comes out.
pub fn render_files(mut chart: Chart, request: &Request) -> Result<Vec<Rendered>, TemplateError> {
    on_large_stack(move || {
        values::process_dependencies(&mut chart, &request.values)
            .map_err(TemplateError::Dependencies)?;
        execute(&chart, request)
    })?
}

thread_local! {
    static IS_LARGE: Cell<bool> = const { Cell::new(false) };
}

/// Does work on a stack as large as rendering needs; on such a stack it is done in place.
///
/// # Errors
/// [`TemplateError::Thread`].
pub fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, TemplateError> {
    if IS_LARGE.get() {
        return Ok(work());
    }
    let work = || {
        IS_LARGE.set(true);
        work()
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("render".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|e| TemplateError::Thread(e.to_string()))?;
        match thread.join() {
            Ok(value) => Ok(value),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn execute(chart: &Chart, request: &Request) -> Result<Vec<Rendered>, TemplateError> {
    let joined = values::coalesce(chart, &request.values)?;
    if !request.skip_schema {
        schema::validate(chart, &joined)?;
    }
    let (range, version) = (
        &chart.metadata.kube_version,
        &request.capabilities.kube_version,
    );
    if !range.is_empty() && !values::is_compatible(range, &version.normalized) {
        let (range, version) = (range.clone(), version.version.clone());
        return Err(TemplateError::KubeVersion { range, version });
    }
    Ok(render::render(
        chart,
        &joined,
        &request.release,
        &request.capabilities,
        &request.settings,
        None,
    )?)
}

/// Takes the notes out of the files; of several only the root's count unless all are wanted.
fn take_notes(chart: &Chart, rendered: Vec<Rendered>, all: bool) -> (String, Vec<Rendered>) {
    let own = format!("{}/templates/NOTES.txt", chart.name());
    let (mut notes, files): (Vec<_>, Vec<_>) = rendered
        .into_iter()
        .partition(|file| file.path.ends_with("NOTES.txt"));
    notes.sort_by(|a, b| a.path.cmp(&b.path));
    let kept = notes.into_iter().filter(|file| all || file.path == own);
    let texts: Vec<String> = kept.map(|file| file.text).collect();
    (texts.join("\n"), files)
}
