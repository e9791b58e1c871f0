//! What a HelmRelease would release, for those who ask before it does.

use std::sync::Arc;

use api::helm::HelmRelease;
use cluster::Cluster;
use helm::{chart::Chart, render::Release, template::PostRender};
use kube::Client;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{chart, perform::post_renderer, spec, values};
use crate::release::{
    objects,
    post_render::Passes,
    render::{self, Input},
};

/// What would be released.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    /// The objects with the labels and annotations that say whose they are; hooks and definitions of `crds/` are not
    /// among them.
    pub objects: Vec<Value>,
    /// Where objects go that name no namespace.
    pub namespace: String,
}

/// Renders a chart as the controller would, with the values that the cluster has. `revision` is that of the chart's source,
/// where its digest goes into the chart's version.
///
/// # Errors
/// A sentence that says what the controller would say.
pub async fn preview(
    client: &Client,
    object: &HelmRelease,
    mut chart: Chart,
    revision: Option<&str>,
) -> Result<Preview, String> {
    let upgrade = object.spec.upgrade.as_ref();
    if upgrade.and_then(|upgrade| upgrade.preserve_values) == Some(true) {
        return Err("its upgrades keep values of the release in place".to_owned());
    }
    if let Some(revision) = revision {
        let version = chart::mutate(&chart.metadata.version, revision, true)?.version;
        chart.metadata.version = version.unwrap_or(chart.metadata.version);
    }
    let history = object.status.as_ref().map(|status| &status.history);
    let last = history.and_then(|history| history.first());
    let (name, namespace) = (spec::release_name(object), spec::release_namespace(object));
    let skip_schema = match last {
        Some(_) => upgrade.and_then(|it| it.disable_schema_validation),
        None => (object.spec.install.as_ref()).and_then(|it| it.disable_schema_validation),
    };
    let input = Input {
        chart: Arc::new(chart),
        values: values::compose(client, object).await?,
        release: Release {
            name: name.clone(),
            namespace: namespace.clone(),
            revision: last.map_or(0, |last| last.version) + 1,
            is_upgrade: last.is_some(),
        },
        skip_schema: skip_schema.unwrap_or(false),
        post: Some(Box::new(post_renderer(object, Passes::Combined)) as Box<dyn PostRender + Send>),
    };
    let cluster = Cluster::new(client.clone());
    let rendering = render::render(&cluster, &Arc::new(Semaphore::new(1)), input).await?;
    let mut objects = objects::parse(rendering.manifest())?;
    for value in &mut objects {
        objects::mark(value, &name, &namespace);
    }
    Ok(Preview { objects, namespace })
}
