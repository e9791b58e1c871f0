//! Renders a chart as a HelmRelease says, and installs or upgrades.

use std::sync::Arc;

use api::helm::{HelmRelease, PostRenderStrategy};
use helm::{release::ApplyMethod, render::Release, template::PostRender};
use serde_json::json;

use super::super::{act::Run, chart_object, spec};
use crate::{
    features,
    release::{
        ActionError, Method, Session, Waiting, install,
        post_render::{Passes, PostRenderer, Step},
        render::{self, Input},
        upgrade,
    },
};

impl Run<'_> {
    pub(super) async fn install(&self, session: &Session<'_>) -> Result<(), ActionError> {
        let install = self.object.spec.install.clone().unwrap_or_default();
        let on = |flag: Option<bool>| flag.unwrap_or(false);
        let by_default = !self.controller.features.enabled(features::HELM_3_DEFAULTS);
        let server_side = install.server_side_apply.unwrap_or(by_default);
        let last = session.claim(on(install.replace)).await?;
        let definitions = self.definitions()?;
        session
            .apply_crds(definitions, spec::crd_policy(install.crds), server_side)
            .await?;
        let skip_schema = on(install.disable_schema_validation);
        let rendering = self.render(1, false, skip_schema).await?;
        let options = install::Options {
            take_ownership: !on(install.disable_take_ownership),
            create_namespace: on(install.create_namespace)
                && self.object.spec.target_namespace.is_some(),
            method: Method {
                server_side,
                replace: false,
            },
            waiting: Waiting {
                no_hooks: on(install.disable_hooks),
                no_wait: on(install.disable_wait),
                no_jobs: on(install.disable_wait_for_jobs),
            },
        };
        session.install(rendering, last, options).await
    }

    pub(super) async fn upgrade(&self, session: &Session<'_>) -> Result<(), ActionError> {
        let given = self.object.spec.upgrade.clone().unwrap_or_default();
        let on = |flag: Option<bool>| flag.unwrap_or(false);
        let base = session.base().await?;
        let before = base.last.apply_method == ApplyMethod::ServerSide;
        let server_side = spec::server_side(given.server_side_apply).unwrap_or(before);
        let definitions = self.definitions()?;
        session
            .apply_crds(definitions, spec::crd_policy(given.crds), server_side)
            .await?;
        let skip_schema = on(given.disable_schema_validation);
        let reused = on(given.preserve_values).then_some(&base.current);
        let rendering = self.render_over(base.next, skip_schema, reused).await?;
        let method = Method {
            server_side,
            replace: on(given.force),
        };
        let options = upgrade::Options {
            take_ownership: !on(given.disable_take_ownership),
            clean_up: on(given.cleanup_on_fail),
            max_history: spec::max_history(self.object),
            waiting: Waiting {
                no_hooks: on(given.disable_hooks),
                no_wait: on(given.disable_wait),
                no_jobs: on(given.disable_wait_for_jobs),
            },
        };
        session.upgrade(rendering, base, method, options).await
    }

    async fn render(
        &self,
        revision: i64,
        is_upgrade: bool,
        skip_schema: bool,
    ) -> Result<render::Rendering, ActionError> {
        let input = self.input(revision, is_upgrade, skip_schema);
        let rendered = render::render(&self.cluster, &self.controller.processors, input).await;
        rendered.map_err(ActionError::Failed)
    }

    /// Renders an upgrade; over the values of the release in place where those are kept.
    async fn render_over(
        &self,
        revision: i64,
        skip_schema: bool,
        reused: Option<&helm::release::Record>,
    ) -> Result<render::Rendering, ActionError> {
        let Some(current) = reused else {
            return self.render(revision, true, skip_schema).await;
        };
        let mut input = self.input(revision, true, skip_schema);
        let defaults = current.chart["values"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let mut old = defaults;
        helm::values::overlay(&mut old, current.config.clone());
        Arc::make_mut(&mut input.chart).values = old;
        let mut values = current.config.clone();
        helm::values::overlay(&mut values, std::mem::take(&mut input.values));
        input.values = values;
        let rendered = render::render(&self.cluster, &self.controller.processors, input).await;
        rendered.map_err(ActionError::Failed)
    }

    fn input(&self, revision: i64, is_upgrade: bool, skip_schema: bool) -> Input {
        let by_default = if self.controller.features.enabled(features::HELM_3_DEFAULTS) {
            Passes::WithoutHooks
        } else {
            Passes::Combined
        };
        let post = post_renderer(self.object, by_default);
        Input {
            chart: Arc::clone(&self.chart),
            values: self.values.clone(),
            release: Release {
                name: spec::release_name(self.object),
                namespace: spec::release_namespace(self.object),
                revision,
                is_upgrade,
            },
            skip_schema,
            post: Some(Box::new(post) as Box<dyn PostRender + Send>),
        }
    }
}

/// Returns what changes the rendered objects of a release; `by_default` says which, where the release does not.
pub(in super::super) fn post_renderer(object: &HelmRelease, by_default: Passes) -> PostRenderer {
    let spec = &object.spec;
    let steps = spec
        .post_renderers
        .iter()
        .filter_map(|r| r.kustomize.as_ref());
    let steps = steps.map(|k| Step {
        patches: json!(k.all_patches()),
        images: json!(k.images),
    });
    let common = spec.common_metadata.clone().unwrap_or_default();
    PostRenderer {
        steps: steps.collect(),
        labels: common.labels,
        annotations: common.annotations,
        origin: chart_object::origin(object),
        passes: match spec.post_render_strategy {
            None => by_default,
            Some(PostRenderStrategy::Combined) => Passes::Combined,
            Some(PostRenderStrategy::Separate) => Passes::Separate,
            Some(PostRenderStrategy::NoHooks) => Passes::WithoutHooks,
        },
    }
}
