//! The actions: Helm's, with what conditions and events say of them.

use std::sync::Arc;

use api::helm::{PostRenderStrategy, ReleaseAction};
use helm::{release::ApplyMethod, render::Release, template::PostRender};
use runtime::Note;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    act::{Facet, Run, Stop},
    chart_object,
    decide::Next,
    history,
    journal::{RELEASED, REMEDIATED, TESTED},
    spec,
};
use crate::{
    features,
    release::{
        ActionError, Method, Session, Waiting,
        crds::{self, Policy},
        install,
        objects::{self, Unserved},
        post_render::{Passes, PostRenderer, Step},
        render::{self, Input},
        storage::Written,
        upgrade,
    },
};

/// One of the two actions that release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Releasing {
    Install,
    Upgrade,
}

impl Releasing {
    fn word(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
        }
    }

    fn reason(self, succeeded: bool) -> &'static str {
        match (self, succeeded) {
            (Self::Install, true) => "InstallSucceeded",
            (Self::Install, false) => "InstallFailed",
            (Self::Upgrade, true) => "UpgradeSucceeded",
            (Self::Upgrade, false) => "UpgradeFailed",
        }
    }
}

impl Run<'_> {
    /// Carries an action out.
    pub(super) async fn perform(&mut self, next: Next) -> Result<(), Stop> {
        match next {
            Next::Install => self.release_by(Releasing::Install).await,
            Next::Upgrade | Next::Adopt => self.release_by(Releasing::Upgrade).await,
            Next::Test => self.test().await,
            Next::Unlock => self.unlock().await,
            Next::Correct => self.correct().await,
            Next::RollBack => self.roll_back().await,
            Next::Uninstall => self.uninstall_remedy().await,
            Next::Done | Next::Exhausted => Ok(()),
        }
    }

    async fn release_by(&mut self, how: Releasing) -> Result<(), Stop> {
        let status = &mut self.journal.status;
        status.last_attempted_release_action = Some(match how {
            Releasing::Install => ReleaseAction::Install,
            Releasing::Upgrade => ReleaseAction::Upgrade,
        });
        if how == Releasing::Install {
            status.history.clear();
        }
        self.journal.remove(TESTED);
        self.journal.remove(REMEDIATED);
        let started = Instant::now();
        let session = self.session(self.limit(how.word()));
        let result = match how {
            Releasing::Install => Box::pin(self.install(&session)).await,
            Releasing::Upgrade => Box::pin(self.upgrade(&session)).await,
        };
        let log = session.log;
        let took = api::meta::Duration::from(started.elapsed());
        self.journal.status.last_attempted_release_action_duration = Some(took);
        let written = self.storage.take_written();
        self.remember(&written, how).await;
        match result {
            Ok(()) => {
                self.succeeded(how);
                Ok(())
            }
            Err(ActionError::Superseded(by)) => Err(Stop::Superseded(by)),
            Err(ActionError::Failed(cause)) => {
                let message = self.failed(how, &cause, &log);
                if written.is_empty() {
                    return Err(Stop::Retry(message));
                }
                let status = &mut self.journal.status;
                let count = match how {
                    Releasing::Install => &mut status.install_failures,
                    Releasing::Upgrade => &mut status.upgrade_failures,
                };
                *count = Some(count.unwrap_or(0) + 1);
                Ok(())
            }
        }
    }

    /// Puts what was written into history and inventory.
    async fn remember(&mut self, written: &[Written], how: Releasing) {
        let status = &mut self.journal.status;
        let oci = status.last_attempted_revision_digest.clone();
        let algorithm = self.controller.digests;
        history::record_release(&mut status.history, written, how.word(), oci, algorithm);
        let newest = written.iter().max_by_key(|w| w.record.version);
        if let Some(Written { record, .. }) = newest {
            let manifest = record.manifest.clone();
            self.take_inventory(&manifest).await;
        }
    }

    /// Remembers the objects of a manifest, and the chart's definitions.
    pub(super) async fn take_inventory(&mut self, manifest: &str) {
        let namespace = spec::release_namespace(self.object);
        let mut targets = objects::build(&self.cluster, manifest, &namespace, Unserved::Skip)
            .await
            .unwrap_or_default();
        for definition in self.definitions().unwrap_or_default() {
            let text = definition.to_string();
            let built = objects::build(&self.cluster, &text, "", Unserved::Skip).await;
            targets.extend(built.unwrap_or_default());
        }
        self.set_inventory(&objects::inventory(&targets));
    }

    fn definitions(&self) -> Result<Vec<Value>, String> {
        let policy = match self.journal.status.last_attempted_release_action {
            Some(ReleaseAction::Upgrade) => self.object.spec.upgrade.as_ref().and_then(|u| u.crds),
            _ => self.object.spec.install.as_ref().and_then(|i| i.crds),
        };
        if spec::crd_policy(policy) == Policy::Skip || self.chart.crds().is_empty() {
            return Ok(Vec::new());
        }
        let mut chart = (*self.chart).clone();
        helm::values::process_dependencies(&mut chart, &self.values).map_err(|e| e.to_string())?;
        crds::read(&chart, &chart_object::origin(self.object))
    }

    fn succeeded(&mut self, how: Releasing) {
        let Some(latest) = self.journal.status.history.first().cloned() else {
            return;
        };
        let (full, chart) = (
            history::full_name(&latest),
            history::versioned_chart(&latest),
        );
        let word = how.word();
        let words = format!("Helm {word} succeeded for release {full} with chart {chart}");
        self.journal
            .set(RELEASED, "True", how.reason(true), words.clone());
        if spec::tests(self.object) && !history::was_tested(&latest) {
            let words = format!("Helm release {full} with chart {chart} is awaiting tests");
            self.journal.set(TESTED, "Unknown", "AwaitingTests", words);
        }
        if self.retry().is_some() {
            let status = &mut self.journal.status;
            (
                status.failures,
                status.install_failures,
                status.upgrade_failures,
            ) = (None, None, None);
        }
        self.observe_digests();
        self.journal.summarise(self.object);
        self.tell_of(&latest, Note::info(how.reason(true), words));
    }

    /// Emits an event about a release.
    pub(super) fn tell_of(&self, snapshot: &api::helm::Snapshot, note: Note) {
        let facet = Facet {
            revision: &snapshot.chart_version,
            token: &snapshot.config_digest,
            app_version: snapshot.app_version.as_deref(),
            oci_digest: snapshot.oci_digest.as_deref(),
        };
        self.progress.emit(facet.annotate(note));
    }

    /// Says that a release failed. Returns what was said.
    fn failed(&mut self, how: Releasing, cause: &str, log: &crate::release::Log) -> String {
        let (namespace, name) = (
            spec::release_namespace(self.object),
            spec::release_name(self.object),
        );
        let metadata = &self.chart.metadata;
        let words = format!(
            "Helm {} failed for release {namespace}/{name} with chart {}@{}: {}",
            how.word(),
            metadata.name,
            metadata.version,
            cause.trim()
        );
        self.journal.status.failures = Some(self.journal.status.failures.unwrap_or(0) + 1);
        self.journal
            .set(RELEASED, "False", how.reason(false), words.clone());
        self.journal.summarise(self.object);
        let facet = Facet {
            revision: &self.chart.metadata.version,
            token: &self.config_digest,
            app_version: Some(&self.chart.metadata.app_version),
            oci_digest: self
                .journal
                .status
                .last_attempted_revision_digest
                .as_deref(),
        };
        let note = Note::error(how.reason(false), log.under(&words));
        self.progress.emit(facet.annotate(note));
        words
    }

    async fn install(&self, session: &Session<'_>) -> Result<(), ActionError> {
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

    async fn upgrade(&self, session: &Session<'_>) -> Result<(), ActionError> {
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
            post: Some(Box::new(self.post_renderer()) as Box<dyn PostRender + Send>),
        }
    }

    fn post_renderer(&self) -> PostRenderer {
        let spec = &self.object.spec;
        let steps = spec
            .post_renderers
            .iter()
            .filter_map(|r| r.kustomize.as_ref());
        let steps = steps.map(|k| Step {
            patches: json!(k.all_patches()),
            images: json!(k.images),
        });
        let common = spec.common_metadata.clone().unwrap_or_default();
        let by_default = if self.controller.features.enabled(features::HELM_3_DEFAULTS) {
            Passes::WithoutHooks
        } else {
            Passes::Combined
        };
        PostRenderer {
            steps: steps.collect(),
            labels: common.labels,
            annotations: common.annotations,
            origin: chart_object::origin(self.object),
            passes: match spec.post_render_strategy {
                None => by_default,
                Some(PostRenderStrategy::Combined) => Passes::Combined,
                Some(PostRenderStrategy::Separate) => Passes::Separate,
                Some(PostRenderStrategy::NoHooks) => Passes::WithoutHooks,
            },
        }
    }

    async fn test(&mut self) -> Result<(), Stop> {
        let Some(latest) = self.journal.status.history.first().cloned() else {
            return Err(Stop::Retry(
                "no latest release: required for test".to_owned(),
            ));
        };
        let filters = self.object.spec.test.clone().unwrap_or_default().filters;
        let (except, only): (Vec<_>, Vec<_>) = filters
            .into_iter()
            .partition(|f| f.exclude.unwrap_or(false));
        let names =
            |list: Vec<api::helm::TestFilter>| list.into_iter().map(|f| f.name).collect::<Vec<_>>();
        let (except, only) = (names(except), names(only));
        let session = self.session(self.limit("test"));
        let result = session.test(&only, &except).await;
        let log = session.log;
        let written = self.storage.take_written();
        let is_chosen = |name: &str| {
            (only.is_empty() || only.iter().any(|o| o == name)) && !except.iter().any(|e| e == name)
        };
        history::refresh_latest(
            &mut self.journal.status.history,
            &written,
            self.controller.digests,
        );
        for Written { record, .. } in &written {
            if let Some(known) = self.journal.status.history.first_mut()
                && history::targets(known, record)
            {
                known.test_hooks = Some(history::test_hooks(record, is_chosen));
            }
        }
        let result = match result {
            Ok(version) if version != latest.version => Err(mismatch("tested", &latest, version)),
            Ok(_) => Ok(()),
            Err((_, ActionError::Superseded(by))) => return Err(Stop::Superseded(by)),
            Err((Some(version), _)) if version != latest.version => {
                Err(mismatch("tested", &latest, version))
            }
            Err((_, ActionError::Failed(cause))) => Err(cause),
        };
        match result {
            Ok(()) => self.tests_succeeded(),
            Err(cause) => return self.tests_failed(&cause, &log),
        }
        Ok(())
    }

    fn tests_succeeded(&mut self) {
        let Some(latest) = self.journal.status.history.first().cloned() else {
            return;
        };
        let (full, chart) = (
            history::full_name(&latest),
            history::versioned_chart(&latest),
        );
        let hooks = match latest
            .test_hooks
            .as_ref()
            .map_or(0, std::collections::BTreeMap::len)
        {
            0 => "no test hooks".to_owned(),
            1 => "1 test hook completed successfully".to_owned(),
            n => format!("{n} test hooks completed successfully"),
        };
        let words = format!("Helm test succeeded for release {full} with chart {chart}: {hooks}");
        self.journal
            .set(TESTED, "True", "TestSucceeded", words.clone());
        self.journal.summarise(self.object);
        self.tell_of(&latest, Note::info("TestSucceeded", words));
    }

    fn tests_failed(&mut self, cause: &str, log: &crate::release::Log) -> Result<(), Stop> {
        let Some(latest) = self.journal.status.history.first().cloned() else {
            return Err(Stop::Retry(cause.to_owned()));
        };
        let (full, chart) = (
            history::full_name(&latest),
            history::versioned_chart(&latest),
        );
        let cause = cause.trim();
        let words = format!("Helm test failed for release {full} with chart {chart}: {cause}");
        self.journal.status.failures = Some(self.journal.status.failures.unwrap_or(0) + 1);
        self.journal
            .set(TESTED, "False", "TestFailed", words.clone());
        let tested = history::was_tested(&latest);
        if tested && self.remedy().is_some_and(|r| !r.ignore_tests) {
            let status = &mut self.journal.status;
            let count = match status.last_attempted_release_action {
                Some(ReleaseAction::Upgrade) => &mut status.upgrade_failures,
                _ => &mut status.install_failures,
            };
            *count = Some(count.unwrap_or(0) + 1);
        }
        self.journal.summarise(self.object);
        self.tell_of(&latest, Note::error("TestFailed", log.under(&words)));
        if tested {
            Ok(())
        } else {
            Err(Stop::Retry(words))
        }
    }

    async fn unlock(&mut self) -> Result<(), Stop> {
        let Some(record) = self.locked.take() else {
            return Ok(());
        };
        let (namespace, name, version) = (
            record.namespace.clone(),
            record.name.clone(),
            record.version,
        );
        let status = record.status.clone();
        let metadata = record.chart_metadata();
        let text = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
        let chart = format!("{}@{}", text("name"), text("version"));
        let full = format!("{namespace}/{name}.v{version}");
        let session = self.session(self.limit("unlock"));
        let unlocked = session.unlock(record).await;
        let written = self.storage.take_written();
        let algorithm = self.controller.digests;
        history::refresh_latest(&mut self.journal.status.history, &written, algorithm);
        let (severity, words) = match &unlocked {
            Ok(()) => (
                runtime::Severity::Info,
                format!("Unlocked Helm release {full} with chart {chart} in {status} state"),
            ),
            Err(error) => (
                runtime::Severity::Error,
                format!(
                    "Unlock of Helm release {full} with chart {chart} in {status} state failed: {error}"
                ),
            ),
        };
        self.journal
            .set(RELEASED, "False", "PendingRelease", words.clone());
        self.journal.summarise(self.object);
        let facet = Facet {
            revision: &self.chart.metadata.version,
            token: &self.config_digest,
            app_version: None,
            oci_digest: None,
        };
        let note = Note::new(severity, "PendingRelease", words);
        self.progress.emit(facet.annotate(note));
        unlocked.map_err(|error| Stop::Retry(error.to_string()))
    }
}

/// Says that an action was about another revision than the one that is remembered.
pub(super) fn mismatch(done: &str, latest: &api::helm::Snapshot, version: i64) -> String {
    let (namespace, name) = (&latest.namespace, &latest.name);
    let full = history::full_name(latest);
    format!(
        "release mismatch: {done} release {namespace}/{name}.v{version} != current release {full}"
    )
}
