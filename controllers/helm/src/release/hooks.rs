//! Runs a release's hooks.

use cluster::chain_text;
use helm::{
    manifest::{Event, Hook},
    release::{Execution, Record},
};
use http::Request;
use kube::api::PropagationPolicy;

use super::{
    ActionError, Session, now,
    objects::{self, Unserved},
};

const BEFORE_CREATION: &str = "before-hook-creation";
const SUCCEEDED: &str = "hook-succeeded";
const FAILED: &str = "hook-failed";
/// How many lines of a hook's log are kept for an event.
const LOG_LINES: &str = "10";

/// Which hooks of an event run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection<'a> {
    /// When they run.
    pub event: Event,
    /// Only these, by name; empty for all.
    pub only: &'a [String],
    /// All but these, by name.
    pub except: &'a [String],
}

impl Selection<'_> {
    /// All hooks of an event.
    pub(crate) fn all(event: Event) -> Self {
        Self {
            event,
            only: &[],
            except: &[],
        }
    }

    /// Returns the hooks to run: by weight, then name; those alike keep the order of kinds.
    fn order(&self, record: &Record) -> Vec<usize> {
        let is_due = |hook: &Hook| {
            hook.events.contains(&self.event)
                && (self.only.is_empty() || self.only.contains(&hook.name))
                && !self.except.contains(&hook.name)
        };
        let hooks = record.hooks.iter().enumerate();
        let mut due: Vec<_> = hooks
            .filter(|(_, h)| is_due(&h.hook))
            .map(|(i, _)| i)
            .collect();
        due.sort_by(|a, b| {
            let (a, b) = (&record.hooks[*a].hook, &record.hooks[*b].hook);
            a.weight.cmp(&b.weight).then_with(|| a.name.cmp(&b.name))
        });
        due
    }
}

impl Session<'_> {
    /// Runs the hooks of an event, one after the other; the record learns how each went, and is
    /// stored before each.
    pub(crate) async fn run_hooks(
        &self,
        record: &mut Record,
        selection: Selection<'_>,
        server_side: bool,
    ) -> Result<(), ActionError> {
        let due = selection.order(record);
        for (place, index) in due.iter().copied().enumerate() {
            if let Err(error) = self
                .run_hook(record, index, selection.event, server_side)
                .await
            {
                // Those before it are done; what asks to be deleted then, is.
                if let ActionError::Failed(_) = error {
                    self.delete_hook(&record.hooks[index].hook.clone(), FAILED)
                        .await
                        .ok();
                    for done in due[..place].iter().copied() {
                        self.delete_hook(&record.hooks[done].hook.clone(), SUCCEEDED)
                            .await?;
                    }
                }
                return Err(error);
            }
        }
        for index in due.into_iter().rev() {
            let hook = record.hooks[index].hook.clone();
            self.tell_logs(&hook, SUCCEEDED).await;
            self.delete_hook(&hook, SUCCEEDED).await?;
        }
        Ok(())
    }

    async fn run_hook(
        &self,
        record: &mut Record,
        index: usize,
        event: Event,
        server_side: bool,
    ) -> Result<(), ActionError> {
        let policies = &mut record.hooks[index].hook.delete_policies;
        if policies.is_empty() {
            policies.push(BEFORE_CREATION.to_owned());
        }
        let hook = record.hooks[index].hook.clone();
        let (name, path) = (event.name(), &hook.path);
        self.delete_hook(&hook, BEFORE_CREATION).await?;
        let targets = objects::build(
            self.cluster,
            &hook.manifest,
            &self.namespace,
            Unserved::Refuse,
        )
        .await
        .map_err(|cause| {
            format!("unable to build kubernetes object for {name} hook {path}: {cause}")
        })?;
        self.log.say(format!("running {name} hook {}", hook.name));
        record.hooks[index].last_run = Execution {
            started_at: now(),
            completed_at: String::new(),
            phase: "Running".to_owned(),
        };
        self.record(record).await;
        let made = match self.create_all(&targets, server_side).await {
            Ok(made) => made,
            Err(cause) => {
                finish(record, index, "Failed");
                return Err(format!("warning: Hook {name} {path} failed: {cause}").into());
            }
        };
        match self.await_hooks(&made).await {
            Ok(()) => {
                finish(record, index, "Succeeded");
                Ok(())
            }
            Err(error) => {
                finish(record, index, "Failed");
                self.tell_logs(&hook, FAILED).await;
                Err(error)
            }
        }
    }

    /// Stores a record; a failure is only told, since what it tells of goes on.
    pub(crate) async fn record(&self, record: &Record) {
        if let Err(error) = self.storage.update(record).await {
            self.log
                .say(format!("failed to record the release: {error}"));
        }
    }

    /// Deletes a hook's objects where its policy says so, and waits until they are gone. Never
    /// definitions: everything of their kinds would go with them.
    async fn delete_hook(&self, hook: &Hook, policy: &str) -> Result<(), ActionError> {
        let wanted = hook.delete_policies.iter().any(|p| p == policy);
        if !wanted || hook.kind == "CustomResourceDefinition" {
            return Ok(());
        }
        let path = &hook.path;
        let targets = objects::build(
            self.cluster,
            &hook.manifest,
            &self.namespace,
            Unserved::Refuse,
        )
        .await
        .map_err(|cause| {
            format!("unable to build kubernetes object for deleting hook {path}: {cause}")
        })?;
        let mut existing = Vec::new();
        for target in &targets {
            match self.cluster.get(&target.location()).await {
                Ok(None) => {}
                Ok(Some(_)) => existing.push(target.clone()),
                Err(error) => return Err(chain_text(&error).into()),
            }
        }
        let errors = self
            .delete_all(&existing, &PropagationPolicy::Background)
            .await;
        if !errors.is_empty() {
            return Err(errors.join("; ").into());
        }
        self.await_gone(&existing).await
    }

    /// Adds the end of a hook's logs to what is told of the action, where its policy says so.
    async fn tell_logs(&self, hook: &Hook, policy: &str) {
        if !hook.output_log_policies.iter().any(|p| p == policy) {
            return;
        }
        for pod in self.pods_of(hook).await.unwrap_or_default() {
            match self.log_of(&pod).await {
                Ok(text) => text.lines().for_each(|line| self.log.say(line)),
                Err(cause) => self
                    .log
                    .say(format!("error outputting logs of {pod}: {cause}")),
            }
        }
    }

    async fn pods_of(&self, hook: &Hook) -> Result<Vec<String>, String> {
        if hook.kind == "Pod" {
            return Ok(vec![hook.name.clone()]);
        }
        if hook.kind != "Job" {
            return Ok(Vec::new());
        }
        let gvk = manifest::GroupVersionKind::new("v1", "Pod");
        let pods = self
            .cluster
            .resolve(&gvk)
            .await
            .map_err(|error| chain_text(&error))?;
        let labels = format!("job-name={}", hook.name);
        let list = self.cluster.list(&pods, &self.namespace, &labels).await;
        let list = list.map_err(|error| chain_text(&error))?;
        Ok(list
            .iter()
            .map(|pod| manifest::object::name(pod).to_owned())
            .collect())
    }

    async fn log_of(&self, pod: &str) -> Result<String, String> {
        let namespace = &self.namespace;
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/log?tailLines={LOG_LINES}");
        let request = Request::get(path)
            .body(Vec::new())
            .map_err(|error| error.to_string())?;
        let text = self.cluster.client().request_text(request).await;
        text.map_err(|error| runtime::failure::chain(&error))
    }
}

fn finish(record: &mut Record, index: usize, phase: &str) {
    let run = &mut record.hooks[index].last_run;
    run.completed_at = now();
    phase.clone_into(&mut run.phase);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(hooks: &[(&str, i64, Event)]) -> Record {
        let hook = |(name, weight, event): &(&str, i64, Event)| {
            Hook {
                name: (*name).to_owned(),
                kind: "Job".to_owned(),
                path: String::new(),
                manifest: String::new(),
                events: vec![*event],
                weight: *weight,
                delete_policies: Vec::new(),
                output_log_policies: Vec::new(),
            }
            .into()
        };
        Record {
            hooks: hooks.iter().map(hook).collect(),
            ..Record::default()
        }
    }

    #[test]
    fn hooks_run_by_weight_then_name() {
        let record = record(&[
            ("c", 5, Event::PreInstall),
            ("b", 0, Event::PreInstall),
            ("x", -9, Event::PostInstall),
            ("a", 0, Event::PreInstall),
        ]);
        assert_eq!(Selection::all(Event::PreInstall).order(&record), [3, 1, 0]);
    }

    /// covers: HC-114
    #[test]
    fn tests_are_chosen_by_name() {
        let record = record(&[
            ("a", 0, Event::Test),
            ("b", 0, Event::Test),
            ("c", 0, Event::Test),
        ]);
        let (only, except) = (["a".to_owned(), "b".to_owned()], ["b".to_owned()]);
        let selection = Selection {
            event: Event::Test,
            only: &only,
            except: &except,
        };
        assert_eq!(selection.order(&record), [0]);
    }
}
