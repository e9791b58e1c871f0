//! A run at the Git server: look, fetch, edit, commit, push.

use api::{
    Reconciled as _,
    image::{GitSettings, ImageUpdateAutomation},
    meta::Time,
};
use git::{Author, Error, NewCommit, NewContent, Snapshot, Want};
use kube::ResourceExt;
use runtime::{Change, Failure, conditions};
use select::reference::{Choice, Wanted, choose};
use tokio::time::Instant;

use super::{
    Automations,
    plan::Plan,
    pull_request::{Wish, halves},
    report::{Outcome, Pushed},
};
use crate::{
    message::{self, Facts},
    setters::{self, Changed},
};

/// How often a run begins anew where somebody else pushed in between.
const ATTEMPTS: usize = 3;
const REQUEST_FAILED: &str = "PullRequestFailed";

/// A commit to push, and what it says.
struct Ready {
    commit: NewCommit,
    message: String,
    /// Title and text of the pull request.
    words: (String, String),
}

/// What looking at the files gave.
#[derive(Default)]
struct Edited {
    files: Vec<Changed>,
    unresolved: Vec<String>,
}

impl Automations {
    pub(super) async fn update(
        &self,
        object: &ImageUpdateAutomation,
        plan: Plan,
    ) -> Result<Outcome, Failure> {
        let _turn = self.turns.take(&plan.url, &plan.push.branch).await;
        let mut attempt = 1;
        loop {
            match self.once(object, &plan).await {
                // Somebody else pushed: their commit is what ours has to follow.
                Err(Trouble::Moved(_)) if attempt < ATTEMPTS => attempt += 1,
                Err(Trouble::Moved(words)) => {
                    let words =
                        format!("failed to update source: failed to push to remote: {words}");
                    return Err(Failure::retry("GitOperationFailed", words));
                }
                Err(Trouble::Failed(failure)) => return Err(failure),
                Ok(outcome) => return Ok(outcome),
            }
        }
    }

    async fn once(&self, object: &ImageUpdateAutomation, plan: &Plan) -> Result<Outcome, Trouble> {
        let deadline = Instant::now() + plan.timeout;
        let outcome = |revision, pushed, unresolved| Outcome {
            now: plan.now,
            chosen: plan.chosen.clone(),
            revision,
            pushed,
            unresolved,
        };
        let (choice, snapshot) = match self.checkout(plan, deadline).await? {
            Checkout::Unchanged => return Ok(outcome(None, None, Vec::new())),
            Checkout::Fetched(choice, snapshot) => (choice, *snapshot),
        };
        let base = choice.revision();
        let tip = (snapshot.id(), snapshot.message().unwrap_or_default());
        let (ready, unresolved) = edit(object, plan, snapshot).await?;
        let Some(ready) = ready else {
            let ready = conditions::find(object.conditions(), conditions::READY);
            // What was pushed then still waits for its pull request.
            if tip.0 != choice.commit() && ready.is_some_and(|r| r.reason == REQUEST_FAILED) {
                self.open_request(plan, &choice, (&tip.0, halves(&tip.1)))
                    .await?;
            }
            return Ok(outcome(Some(base), None, unresolved));
        };
        self.push(plan, &ready).await?;
        let words = ready.words.clone();
        self.open_request(plan, &choice, (&ready.commit.id, words))
            .await?;
        let revision = if plan.switches {
            base
        } else {
            format!("{}@sha1:{}", plan.push.branch, ready.commit.id)
        };
        let pushed = Pushed {
            commit: ready.commit.id,
            branch: plan.push.branch.clone(),
            refspec: plan.push.refspec.clone(),
            message: ready.message,
        };
        Ok(outcome(Some(revision), Some(pushed), unresolved))
    }

    async fn push(&self, plan: &Plan, ready: &Ready) -> Result<(), Trouble> {
        let deadline = Instant::now() + plan.timeout;
        let remote = &plan.access.remote;
        let pushed = self
            .git
            .push(remote, &ready.commit, &plan.push, deadline)
            .await;
        pushed.map_err(|error| {
            let words = said(plan, &error);
            match error {
                Error::Moved { .. } => Trouble::Moved(words),
                // The server looked at the branch itself, and found somebody else's commit.
                Error::Rejected { reason, .. } if is_race(&reason) => Trouble::Moved(words),
                _ => failed(format!(
                    "failed to update source: failed to push to remote: {words}"
                )),
            }
        })
    }

    /// Opens the pull request that is wished for. The commit is pushed already, and stays where this fails.
    async fn open_request(
        &self,
        plan: &Plan,
        choice: &Choice,
        (commit, (title, body)): (&str, (String, String)),
    ) -> Result<(), Trouble> {
        let Some(access) = &plan.forge else {
            return Ok(());
        };
        let of_choice = match choice {
            Choice::Tip(tip) => tip.label.clone(),
            Choice::Pinned(pinned) => pinned.label.clone().unwrap_or_default(),
        };
        let wish = Wish {
            head: plan.push.branch.clone(),
            base: access.request.base.clone().unwrap_or(of_choice),
            title,
            body,
        };
        let pushed = Change::default()
            .set("lastPushCommit", commit)
            .set("lastPushTime", Time(plan.now));
        let failed = |words: String| {
            let words = format!("failed to open the pull request: {words}");
            Trouble::Failed(Failure::retry(REQUEST_FAILED, words).with(pushed.clone()))
        };
        let client = self.clients.get(&access.http);
        let client = client.map_err(|error| failed(runtime::failure::chain(&error)))?;
        let opened = tokio::time::timeout(plan.timeout, access.forge.ensure(&client, &wish)).await;
        match opened {
            Ok(Ok(link)) => {
                tracing::info!(link, "pull request is open");
                Ok(())
            }
            Ok(Err(error)) => {
                let words = runtime::failure::chain(&error);
                Err(failed(plan.access.redact(&words)))
            }
            Err(_) => Err(failed("timed out".to_owned())),
        }
    }

    /// Fetches what a commit will follow, unless it is known that nothing would change.
    async fn checkout(&self, plan: &Plan, deadline: Instant) -> Result<Checkout, Trouble> {
        let remote = &plan.access.remote;
        let clone = |words: &dyn std::fmt::Display| {
            failed(format!(
                "failed to checkout source: unable to clone '{}': {words}",
                plan.url
            ))
        };
        let prefixes = prefixes(&plan.wanted, &plan.push.branch);
        let listing = self.git.list(remote, &prefixes, deadline);
        let listing = listing.await.map_err(|error| clone(&said(plan, &error)))?;
        if listing.refs.is_empty() {
            return Err(clone(&"remote repository is empty"));
        }
        let choice = choose(&plan.wanted, &listing.refs)
            .map_err(|error| clone(&runtime::failure::chain(&error)))?;
        if plan.known.as_deref() == Some(&choice.revision()) {
            return Ok(Checkout::Unchanged);
        }
        let push_branch = format!("refs/heads/{}", plan.push.branch);
        let there = listing.refs.iter().find(|each| each.name == push_branch);
        let want = match (there, &choice) {
            (Some(there), _) if plan.switches && plan.continues => Want::Listed {
                object: there.object.clone(),
                commit: there.object.clone(),
            },
            (_, Choice::Tip(tip)) => Want::Listed {
                object: tip.object.clone(),
                commit: tip.commit.clone(),
            },
            (_, Choice::Pinned(pinned)) => Want::Commit {
                commit: pinned.commit.clone(),
                branch: pinned.branch.clone(),
            },
        };
        let snapshot = self.git.fetch(remote, &listing, &want, deadline);
        let snapshot = snapshot.await.map_err(|error| clone(&said(plan, &error)))?;
        Ok(Checkout::Fetched(choice, Box::new(snapshot)))
    }
}

/// Whether a server refuses a push because somebody else was faster.
fn is_race(reason: &str) -> bool {
    [
        "fetch first",
        "non-fast-forward",
        "failed to update ref",
        "cannot lock ref",
    ]
    .iter()
    .any(|words| reason.contains(words))
}

enum Checkout {
    Unchanged,
    Fetched(Choice, Box<Snapshot>),
}

enum Trouble {
    /// The branch is not where it was when the run began.
    Moved(String),
    Failed(Failure),
}

fn failed(words: String) -> Trouble {
    Trouble::Failed(Failure::retry("GitOperationFailed", words))
}

/// An error in words, without what must not be shown.
fn said(plan: &Plan, error: &Error) -> String {
    plan.access.redact(&runtime::failure::chain(error))
}

/// What the server is asked for: the reference that is checked out, and the branch that is pushed to.
fn prefixes(wanted: &Wanted, push: &str) -> Vec<String> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let own = if given(&wanted.commit).is_some() {
        given(&wanted.branch).map(|branch| format!("refs/heads/{branch}"))
    } else if let Some(name) = given(&wanted.name) {
        Some(name)
    } else if let Some(tag) = given(&wanted.tag) {
        Some(format!("refs/tags/{tag}"))
    } else if given(&wanted.semver).is_some() {
        Some("refs/tags/".to_owned())
    } else {
        given(&wanted.branch).map(|branch| format!("refs/heads/{branch}"))
    };
    match own {
        Some(own) => vec![own, format!("refs/heads/{push}")],
        None => Vec::new(),
    }
}

/// Sets the marked fields and makes a commit of them, on a thread that may block.
async fn edit(
    object: &ImageUpdateAutomation,
    plan: &Plan,
    snapshot: Snapshot,
) -> Result<(Option<Ready>, Vec<String>), Trouble> {
    let namespace = object.namespace().unwrap_or_default();
    let path = object
        .spec
        .update
        .as_ref()
        .and_then(|update| update.path.clone());
    let path = path.unwrap_or_default();
    let chosen = plan.chosen.clone();
    let within = namespace.clone();
    let work = move || (look(&snapshot, &path, &within, &chosen), snapshot);
    let (edited, snapshot) = tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let Edited { files, unresolved } = edited?;
    if files.is_empty() {
        return Ok((None, unresolved));
    }
    let Some(settings) = &object.spec.git else {
        return Ok((None, unresolved));
    };
    let name = object.name_any();
    let facts = Facts {
        automation: (&namespace, &name),
        files: &files,
        values: Some(&settings.commit.message_template_values),
    };
    let template = settings.commit.message_template.as_deref();
    let message = message::render(template, &facts, plan.now, seed(plan));
    let message = message.map_err(|error| failed(format!("failed to update source: {error}")))?;
    let (author, contents) = (author(plan, settings), contents(&files));
    let commit = tokio::task::block_in_place(|| {
        let sign = plan
            .key
            .as_ref()
            .map(|key| move |bytes: &[u8]| key.sign(bytes).map_err(|error| error.to_string()));
        let sign = sign.as_ref().map(|sign| sign as git::Sign<'_>);
        snapshot.commit(&contents, &author, &message, sign)
    });
    let commit = commit.map_err(|error| {
        failed(format!(
            "failed to update source: {}",
            runtime::failure::chain(&error)
        ))
    })?;
    let ready = Ready {
        words: words(plan, &facts, &message)?,
        commit,
        message,
    };
    Ok((Some(ready), unresolved))
}

fn author(plan: &Plan, settings: &GitSettings) -> Author {
    let author = &settings.commit.author;
    Author {
        name: author.name.clone().unwrap_or_default(),
        email: author.email.clone(),
        seconds: plan.now.as_second(),
    }
}

fn contents(files: &[Changed]) -> Vec<NewContent> {
    let contents = files.iter().map(|file| NewContent {
        path: file.path.clone(),
        content: file.text.clone().into_bytes(),
    });
    contents.collect()
}

/// Title and text of the pull request: from templates of their own, or else from the message.
fn words(plan: &Plan, facts: &Facts<'_>, message: &str) -> Result<(String, String), Trouble> {
    let (mut title, mut body) = halves(message);
    let Some(access) = &plan.forge else {
        return Ok((title, body));
    };
    let render = |template: &str| {
        let text = message::render(Some(template), facts, plan.now, seed(plan));
        text.map_err(|error| failed(format!("failed to open the pull request: {error}")))
    };
    if let Some(template) = access
        .request
        .title_template
        .as_deref()
        .filter(|t| !t.is_empty())
    {
        title = render(template)?.trim().replace('\n', " ");
    }
    if let Some(template) = access
        .request
        .body_template
        .as_deref()
        .filter(|t| !t.is_empty())
    {
        body = render(template)?;
    }
    Ok((title, body))
}

/// Functions of templates that are random give the same for the same run.
fn seed(plan: &Plan) -> [u8; 32] {
    let mut seed = [0; 32];
    let nanos = plan.now.as_nanosecond().to_be_bytes();
    seed[..nanos.len()].copy_from_slice(&nanos);
    seed
}

/// Sets the marked fields of all files below a path.
fn look(
    snapshot: &Snapshot,
    path: &str,
    namespace: &str,
    chosen: &setters::Chosen,
) -> Result<Edited, Trouble> {
    let mut edited = Edited::default();
    let found = snapshot.files_below(
        path,
        &|path| setters::is_candidate(path),
        &mut |path, bytes| {
            let found = setters::set(path, bytes, namespace, chosen);
            edited.files.extend(found.changed);
            edited.unresolved.extend(found.unresolved);
        },
    );
    let update_failed = |words: String| {
        let words = format!("failed to apply policies: {words}");
        Trouble::Failed(Failure::retry("UpdateFailed", words))
    };
    match found {
        Ok(true) => Ok(edited),
        Ok(false) => Err(update_failed(format!(
            "walking path for files: lstat {path}: no such file or directory"
        ))),
        Err(error) => Err(update_failed(runtime::failure::chain(&error))),
    }
}
