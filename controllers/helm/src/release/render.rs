//! Renders a chart for a cluster.

use std::sync::Arc;

use cluster::{Cluster, Location, chain_text};
use helm::{
    capabilities::{Capabilities, KubeVersion},
    chart::Chart,
    release::{Record, RecordedHook, chart_json},
    render::{Lookup, Release, Settings},
    template::{self, PostRender, Request, TemplateError},
};
use manifest::GroupVersionKind;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use super::Session;

/// What is rendered.
pub(crate) struct Input {
    /// The chart.
    pub chart: Arc<Chart>,
    /// The user's values.
    pub values: Map<String, Value>,
    /// What templates see of the release.
    pub release: Release,
    /// Schemas are left aside.
    pub skip_schema: bool,
    /// What changes the objects before they are written.
    pub post: Option<Box<dyn PostRender + Send>>,
}

/// A rendered chart.
#[derive(Clone, Debug)]
pub(crate) struct Rendering {
    chart: Value,
    config: Map<String, Value>,
    manifest: String,
    hooks: Vec<RecordedHook>,
    notes: String,
}

impl Rendering {
    /// Returns the objects of the release, hooks apart, as YAML.
    pub(crate) fn manifest(&self) -> &str {
        &self.manifest
    }

    /// Makes a revision of it that was not released yet.
    pub(crate) fn into_record(self, session: &Session<'_>, version: i64) -> Record {
        Record {
            name: session.name.clone(),
            namespace: session.namespace.clone(),
            version,
            notes: self.notes,
            config: self.config,
            manifest: self.manifest,
            hooks: self.hooks,
            chart: self.chart,
            ..Record::default()
        }
    }
}

/// Renders on a thread of its own: charts take long, and there are only so many processors.
///
/// # Errors
/// The text that Helm shows.
pub(crate) async fn render(
    cluster: &Cluster,
    processors: &Arc<Semaphore>,
    input: Input,
) -> Result<Rendering, String> {
    let capabilities = capabilities(cluster).await?;
    let permit = Arc::clone(processors).acquire_owned().await;
    let bridge = Bridge {
        cluster: cluster.clone(),
        runtime: tokio::runtime::Handle::current(),
    };
    let work = move || {
        let _permit = permit;
        execute(input, capabilities, bridge)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(format!("rendering stopped: {error}")),
    }
}

fn execute(input: Input, capabilities: Capabilities, bridge: Bridge) -> Result<Rendering, String> {
    let now = jiff::Timestamp::now();
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
    let request = Request {
        values: input.values,
        release: input.release,
        capabilities,
        settings: Settings {
            mode: helm::render::Mode::Normal,
            now: go::time::Time::from_unix(now.as_second(), nanos),
            seed: rand::random(),
            limits: gotemplate::Limits::default(),
            lookup: Some(Arc::new(bridge)),
        },
        skip_schema: input.skip_schema,
        sub_notes: false,
    };
    let chart = Arc::unwrap_or_clone(input.chart);
    let post = input.post.as_deref().map(|p| p as &dyn PostRender);
    let output = template::template_with(chart, &request, post);
    let output = output.map_err(|error| words(&error))?;
    Ok(Rendering {
        chart: chart_json(&output.chart),
        manifest: output.manifest(false),
        config: request.values,
        hooks: output.documents.hooks.into_iter().map(Into::into).collect(),
        notes: output.notes,
    })
}

fn words(error: &TemplateError) -> String {
    error.to_string()
}

/// What templates see of the cluster.
async fn capabilities(cluster: &Cluster) -> Result<Capabilities, String> {
    let info = cluster
        .server_info()
        .await
        .map_err(|error| format!("kubernetes cluster unreachable: {}", chain_text(&error)))?;
    Ok(Capabilities {
        kube_version: KubeVersion {
            version: info.git_version.clone(),
            normalized: info.git_version.clone(),
            major: info.major.clone(),
            minor: info.minor.clone(),
        },
        api_versions: info.api_versions.clone(),
        ..Capabilities::default()
    })
}

/// Answers `lookup` from the thread that renders.
struct Bridge {
    cluster: Cluster,
    runtime: tokio::runtime::Handle,
}

impl Lookup for Bridge {
    fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Value, String> {
        let gvk = GroupVersionKind::new(api_version, kind);
        self.runtime
            .block_on(look_up(&self.cluster, &gvk, namespace, name))
    }
}

async fn look_up(
    cluster: &Cluster,
    gvk: &GroupVersionKind,
    namespace: &str,
    name: &str,
) -> Result<Value, String> {
    let resource = match cluster.resolve(gvk).await {
        Ok(resource) => resource,
        // A chart may ask for what the cluster does not know.
        Err(error) if error.is_no_match() => return Ok(json!({})),
        Err(error) => return Err(chain_text(&error)),
    };
    if name.is_empty() {
        let namespace = if resource.namespaced { namespace } else { "" };
        let items = cluster.list(&resource, namespace, "").await;
        let items = items.map_err(|error| chain_text(&error))?;
        return Ok(
            json!({ "apiVersion": gvk.api_version(), "kind": format!("{}List", gvk.kind),
            "metadata": {}, "items": items }),
        );
    }
    let at = Location {
        resource: &resource,
        namespace: if resource.namespaced { namespace } else { "" },
        name,
    };
    let found = cluster.get(&at).await.map_err(|error| chain_text(&error))?;
    Ok(found.unwrap_or_else(|| json!({})))
}
