//! How soon a source is looked at again whose changes somebody tells about.

use std::time::Duration;

use api::Reconciled;
use runtime::Report;

/// The interval that counts after a run that was asked for, as a Receiver does: whoever is told of every commit need not
/// look for them as often.
const AFTER_REQUEST: &str = "lockgate.dev/interval-after-request";

/// Puts off the next run where this one was asked for and the object allows it. A run at the interval finds what nobody
/// told of, and is followed by the next one at the interval until somebody asks again.
pub(crate) fn paced<K: Reconciled>(object: &K, report: Report) -> Report {
    let requeue = report.requeue.or_else(|| after_request(object));
    Report { requeue, ..report }
}

fn after_request<K: Reconciled>(object: &K) -> Option<Duration> {
    let meta = object.meta();
    let asked = api::meta::requested_at(meta)?;
    if object.last_handled_reconcile_at() == Some(asked) {
        return None;
    }
    let text = meta.annotations.as_ref()?.get(AFTER_REQUEST)?;
    let Ok(delay) = text.parse::<api::meta::Duration>() else {
        tracing::warn!(annotation = AFTER_REQUEST, text, "this is no duration");
        return None;
    };
    let (delay, interval) = (Duration::from(delay), Duration::from(object.interval()?));
    (delay > interval).then(|| spread(delay, meta.uid.as_deref().unwrap_or_default()))
}

/// Spreads a delay by a twentieth to either side, each object by its own part: one push may wake many.
fn spread(delay: Duration, uid: &str) -> Duration {
    let hash = uid.bytes().fold(0_u32, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(byte.into())
    });
    delay * (950 + hash % 101) / 1000
}

#[cfg(test)]
mod tests {
    use api::source::GitRepository;
    use serde_json::json;

    use super::*;

    fn next(asked: &str, handled: &str, longer: &str) -> Option<Duration> {
        let object = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": { "name": "app", "uid": "7", "annotations": {
                "reconcile.fluxcd.io/requestedAt": asked, AFTER_REQUEST: longer } },
            "spec": { "url": "https://git.example/app", "interval": "1m" },
            "status": { "lastHandledReconcileAt": handled },
        });
        let object: GitRepository = serde_json::from_value(object).unwrap();
        paced(&object, Report::default()).requeue
    }

    #[test]
    fn run_that_was_asked_for_puts_off_the_next_and_no_other() {
        let hour = Duration::from_hours(1);
        let put_off = next("b", "a", "1h").unwrap();
        assert!(put_off >= hour * 19 / 20 && put_off <= hour * 21 / 20);
        assert_eq!(next("b", "b", "1h"), None, "nobody asked for this run");
        assert_eq!(
            next("b", "a", "30s"),
            None,
            "never sooner than at the interval"
        );
        assert_eq!(next("b", "a", "often"), None);
    }

    #[test]
    fn objects_that_one_push_wakes_are_spread() {
        let minute = Duration::from_mins(1);
        let all: std::collections::BTreeSet<_> = (0..20)
            .map(|n| spread(minute, &format!("uid-{n}")))
            .collect();
        assert!(all.len() > 10, "{all:?}");
        assert!(
            all.iter()
                .all(|one| *one >= minute * 19 / 20 && *one <= minute * 21 / 20)
        );
    }
}
