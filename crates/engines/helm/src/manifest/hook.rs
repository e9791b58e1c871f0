//! Hooks.

use super::head::Head;

pub(super) const ANNOTATION: &str = "helm.sh/hook";

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    /// Before anything is installed.
    PreInstall,
    /// After everything is installed.
    PostInstall,
    /// Before anything is deleted.
    PreDelete,
    /// After everything is deleted.
    PostDelete,
    /// Before an upgrade.
    PreUpgrade,
    /// After an upgrade.
    PostUpgrade,
    /// Before a rollback.
    PreRollback,
    /// After a rollback.
    PostRollback,
    /// When the release is tested.
    Test,
}

impl Event {
    /// All events.
    pub const ALL: [Self; 9] = [
        Self::PreInstall,
        Self::PostInstall,
        Self::PreDelete,
        Self::PostDelete,
        Self::PreUpgrade,
        Self::PostUpgrade,
        Self::PreRollback,
        Self::PostRollback,
        Self::Test,
    ];

    /// The name in annotations and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::PreInstall => "pre-install",
            Self::PostInstall => "post-install",
            Self::PreDelete => "pre-delete",
            Self::PostDelete => "post-delete",
            Self::PreUpgrade => "pre-upgrade",
            Self::PostUpgrade => "post-upgrade",
            Self::PreRollback => "pre-rollback",
            Self::PostRollback => "post-rollback",
            Self::Test => "test",
        }
    }

    /// Reads a name as annotations and records have it, in any case, with space around it.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        if text == "test-success" {
            return Some(Self::Test);
        }
        Self::ALL.into_iter().find(|event| event.name() == text)
    }
}

/// A document that runs at certain events instead of being installed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hook {
    /// The object's name.
    pub name: String,
    /// The object's kind.
    pub kind: String,
    /// The file it came from.
    pub path: String,
    /// The document.
    pub manifest: String,
    /// When it runs.
    pub events: Vec<Event>,
    /// Hooks of one event run by weight, then name.
    pub weight: i64,
    /// When the object is deleted; unknown words are kept.
    pub delete_policies: Vec<String>,
    /// When its logs are shown; unknown words are kept.
    pub output_log_policies: Vec<String>,
}

impl Hook {
    /// Reads a hook; one with an unknown event is none at all.
    pub(super) fn read(events: &str, head: &Head, path: &str, manifest: String) -> Option<Self> {
        let events = events
            .split(',')
            .map(Event::parse)
            .collect::<Option<Vec<_>>>()?;
        let weight = head.annotation("helm.sh/hook-weight").map_or(0, |w| {
            let digits = w.strip_prefix('+').unwrap_or(w);
            digits.parse().unwrap_or(0)
        });
        Some(Self {
            name: head.name.clone(),
            kind: head.kind.clone(),
            path: path.to_owned(),
            manifest,
            events,
            weight,
            delete_policies: words(head, "helm.sh/hook-delete-policy"),
            output_log_policies: words(head, "helm.sh/hook-output-log-policy"),
        })
    }
}

/// The hooks of an event in the order they run: by weight, then by name, then as they come.
pub fn hooks_for(hooks: &[Hook], event: Event) -> Vec<&Hook> {
    let mut found: Vec<&Hook> = hooks.iter().filter(|h| h.events.contains(&event)).collect();
    found.sort_by(|a, b| (a.weight, &a.name).cmp(&(b.weight, &b.name)));
    found
}

fn words(head: &Head, annotation: &str) -> Vec<String> {
    let list = head.annotation(annotation);
    list.map_or_else(Vec::new, |l| {
        l.split(',').map(|w| w.trim().to_lowercase()).collect()
    })
}
