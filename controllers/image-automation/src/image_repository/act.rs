//! A scan.

use std::sync::Arc;
use std::time::Duration;

use api::{
    image::{ImageRepository, ScanResult},
    meta::Time,
};
use go::regexp::Regexp;
use jiff::Timestamp;
use kube::ResourceExt;
use runtime::{Change, Failure, Progress};

use super::{
    ImageRepositories, canonical, exclusions,
    plan::{Plan, Reason},
    report::Outcome,
};
use crate::tags;

/// How many tags a status shows.
const SHOWN: usize = 10;
/// How much longer a registry is left alone than it asks for.
const SPARE: Duration = Duration::from_secs(1);

impl ImageRepositories {
    pub(super) async fn scan(
        &self,
        object: &ImageRepository,
        plan: Plan,
        progress: &Progress,
    ) -> Result<Outcome, Failure> {
        let message = format!("scanning: {}", plan.reason.words());
        // Policies that wait for the tags are woken by Ready's coming back.
        let change = if plan.reason == Reason::NoTags {
            Change::default().condition("Ready", "Unknown", "Progressing", message.clone())
        } else {
            Change::default()
        };
        progress.changed(message, change).await?;
        let name = canonical(&plan.repository);
        let excluded = exclusions(object);
        let remote = self
            .registries
            .remote(plan.repository, plan.access)
            .map_err(|error| unread(&error))?
            .until(plan.deadline);
        let found = tokio::time::timeout_at(plan.deadline, remote.tags())
            .await
            .map_err(|_| {
                Failure::retry(
                    "ReadOperationFailed",
                    "scan failed: context deadline exceeded",
                )
            })?
            .map_err(|error| unread(&error))?;
        let kept = keep(found, &excluded).map_err(|words| {
            Failure::retry("ReadOperationFailed", format!("scan failed: {words}"))
        })?;
        let (store, namespace) = (
            Arc::clone(&self.tags),
            object.namespace().unwrap_or_default(),
        );
        let (of, image) = (object.name_any(), name.clone());
        let work = move || {
            let result = ScanResult {
                revision: Some(tags::revision(&kept)),
                tag_count: i64::try_from(kept.len()).unwrap_or(i64::MAX),
                scan_time: Some(Time(Timestamp::now())),
                latest_tags: kept.iter().take(SHOWN).cloned().collect(),
            };
            store.set(&namespace, &of, &kept).map(|()| result)
        };
        let result = match tokio::task::spawn_blocking(work).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => {
                let cause = runtime::failure::chain(&error);
                let words = format!("scan failed: failed to set tags for \"{image}\": {cause}");
                return Err(Failure::retry("ReadOperationFailed", words));
            }
            Err(error) => return Err(Failure::retry("Failed", error.to_string())),
        };
        Ok(Outcome::Scanned {
            canonical: name,
            excluded,
            result,
        })
    }
}

fn unread(error: &registry::Error) -> Failure {
    let words = format!("scan failed: {}", runtime::failure::chain(error));
    match error.retry_after() {
        // Coming back at the very moment, and all at once, would be refused again.
        Some(after) => {
            let spread = after.mul_f64(rand::random_range(1.0..1.2));
            Failure::wait(spread + SPARE, "ReadOperationFailed", words)
        }
        None => Failure::retry("ReadOperationFailed", words),
    }
}

/// Leaves out the excluded tags, and sorts the rest, greatest first.
///
/// # Errors
/// An expression that is none, in a sentence.
pub(super) fn keep(mut tags: Vec<String>, excluded: &[String]) -> Result<Vec<String>, String> {
    let mut expressions = Vec::with_capacity(excluded.len());
    for pattern in excluded {
        let expression = Regexp::new(pattern).map_err(|error| {
            format!(
                "failed to compile regex {pattern}: {}",
                runtime::failure::chain(&error)
            )
        })?;
        expressions.push(expression);
    }
    tags.retain(|tag| !expressions.iter().any(|e| e.is_match(tag.as_bytes())));
    tags.sort_unstable_by(|a, b| b.cmp(a));
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(tags: &[&str], excluded: &[&str]) -> Result<Vec<String>, String> {
        let own = |list: &[&str]| list.iter().map(|&t| t.to_owned()).collect::<Vec<_>>();
        keep(own(tags), &own(excluded))
    }

    /// covers: IA-013, IA-016, IA-017, IA-021, IA-022, IA-023, IA-024
    #[test]
    fn excluded_tags_are_left_out_and_the_rest_is_sorted() {
        assert_eq!(kept(&["a", "b", "c", "d"], &["[abc]"]).unwrap(), ["d"]);
        assert_eq!(
            kept(&["a", "b", "c", "d"], &["[a]", "[d]"]).unwrap(),
            ["c", "b"]
        );
        assert_eq!(
            kept(&["aaa", "bbb", "ccc", "ddd"], &["aaa|ccc"]).unwrap(),
            ["ddd", "bbb"]
        );
        let patterns = [r"^.*\-alpha$", r"^.*\.sig$"];
        assert_eq!(
            kept(&["0.1.0", "0.2.-alpha", "0.4.0.sig"], &patterns).unwrap(),
            ["0.1.0"]
        );
        let numbers = [
            "100", "73", "15", "-88", "101", "72", "15", "29", "16", "-91",
        ];
        assert_eq!(
            kept(&numbers, &[]).unwrap(),
            [
                "73", "72", "29", "16", "15", "15", "101", "100", "-91", "-88"
            ]
        );
        let error = kept(&["a"], &["[="]).unwrap_err();
        assert!(error.starts_with("failed to compile regex [=: "), "{error}");
    }
}
