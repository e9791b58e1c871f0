//! Metadata of an event: cleaned when it comes, merged when it goes to an alert.
//!
//! Source: Flux RFC 0008; notification-controller v1.9.3 `internal/server/{cleanup_metadata,event_handlers}.go`.

use std::collections::BTreeMap;

use crate::event::{Event, SHARED_PREFIX};

/// Key of an alert's summary.
const SUMMARY: &str = "summary";

/// Keeps of an event's metadata what is meant for alerts: shared keys and those of the object's
/// group, but for checksums.
pub fn clean(event: &mut Event) {
    let own = format!("{}/", event.involved_object.group());
    let dropped = [format!("{own}checksum"), format!("{own}digest")];
    event.metadata.retain(|key, _| {
        (key.starts_with(SHARED_PREFIX) || key.starts_with(&own))
            && !dropped.iter().any(|d| d.eq_ignore_ascii_case(key))
    });
}

/// Removes the metadata that only tell events apart.
pub fn strip_internal(event: &mut Event) {
    let key = format!("{}/token", event.involved_object.group());
    event.metadata.remove(&key);
}

/// Where metadata come from, least to most telling.
const SOURCES: [&str; 4] = [
    "involved object annotations",
    "Alert object .spec.eventMetadata",
    "Alert object .spec.summary",
    "involved object controller metadata",
];

/// Keys that came from several sources, with those sources.
pub type Conflicts = BTreeMap<String, String>;

/// Merges an event's metadata with those of an alert, without prefixes. Later sources win.
#[must_use]
pub fn merge(
    event: &Event,
    alert: &BTreeMap<String, String>,
    summary: Option<&str>,
) -> (BTreeMap<String, String>, Conflicts) {
    let own = format!("{}/", event.involved_object.group());
    let stripped = |prefix: &str| -> BTreeMap<String, String> {
        let pairs = event.metadata.iter();
        pairs
            .filter_map(|(k, v)| Some((k.strip_prefix(prefix)?.to_owned(), v.clone())))
            .collect()
    };
    let summary = summary.filter(|s| !s.is_empty());
    let sources = [
        stripped(SHARED_PREFIX),
        alert.clone(),
        summary
            .map(|s| (SUMMARY.to_owned(), s.to_owned()))
            .into_iter()
            .collect(),
        stripped(&own),
    ];
    let mut merged = BTreeMap::new();
    let mut from: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (metadata, source) in sources.into_iter().zip(SOURCES) {
        for (key, value) in metadata {
            from.entry(key.clone()).or_default().push(source);
            merged.insert(key, value);
        }
    }
    let conflicts = from
        .into_iter()
        .filter(|(_, sources)| sources.len() > 1)
        .map(|(key, sources)| (key, sources.join(", ")))
        .collect();
    (merged, conflicts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn event(metadata: &[(&str, &str)]) -> Event {
        let mut event = crate::event::tests::sample("info");
        event.metadata = map(metadata);
        event
    }

    /// covers: NC-041, NC-042
    #[test]
    fn cleaning_keeps_shared_and_own_keys_without_checksums() {
        let mut got = event(&[
            ("event.toolkit.fluxcd.io/a", "1"),
            ("source.toolkit.fluxcd.io/aa/bb", "2"),
            ("source.toolkit.fluxcd.io/Checksum", "3"),
            ("source.toolkit.fluxcd.io/digest", "4"),
            ("kustomize.toolkit.fluxcd.io/x", "5"),
            ("plain", "6"),
        ]);
        clean(&mut got);
        let keys: Vec<_> = got.metadata.keys().map(String::as_str).collect();
        let expect = [
            "event.toolkit.fluxcd.io/a",
            "source.toolkit.fluxcd.io/aa/bb",
        ];
        assert_eq!(keys, expect);
        let mut none = event(&[]);
        clean(&mut none);
        assert!(none.metadata.is_empty());
    }

    /// covers: NC-049
    #[test]
    fn token_is_stripped_and_the_revision_stays() {
        let mut got = event(&[
            ("source.toolkit.fluxcd.io/token", "t"),
            ("source.toolkit.fluxcd.io/revision", "r"),
        ]);
        strip_internal(&mut got);
        assert_eq!(
            got.metadata,
            map(&[("source.toolkit.fluxcd.io/revision", "r")])
        );
    }

    /// covers: NC-043
    #[test]
    fn nothing_merged_with_nothing_is_nothing() {
        let (merged, conflicts) = merge(&event(&[("plain", "x")]), &map(&[]), None);
        assert!(merged.is_empty() && conflicts.is_empty());
    }

    /// covers: NC-044
    #[test]
    fn disjoint_sources_are_all_there() {
        let from = event(&[
            ("event.toolkit.fluxcd.io/a", "1"),
            ("source.toolkit.fluxcd.io/b", "2"),
        ]);
        let (merged, conflicts) = merge(&from, &map(&[("c", "3")]), Some("4"));
        let expect = map(&[("a", "1"), ("b", "2"), ("c", "3"), ("summary", "4")]);
        assert_eq!(merged, expect);
        assert!(conflicts.is_empty());
    }

    /// covers: NC-016, NC-017, NC-018
    #[test]
    fn alert_adds_its_summary_and_metadata_and_keys_without_prefix_vanish() {
        let from = event(&[("foo", "x"), ("summary", "y")]);
        let (merged, _) = merge(&from, &map(&[("env", "prod")]), Some("mine"));
        assert_eq!(merged, map(&[("env", "prod"), ("summary", "mine")]));
    }

    /// covers: NC-045, NC-046, NC-047, NC-048
    #[test]
    fn later_sources_win_and_conflicts_name_all_of_them() {
        const A: &str = "event.toolkit.fluxcd.io/summary";
        const C: &str = "source.toolkit.fluxcd.io/summary";
        let none = map(&[]);
        let alert = map(&[("summary", "metadata")]);
        for (event, alert, summary, wins, sources) in [
            (event(&[(A, "a")]), &none, Some("s"), "s", vec![0, 2]),
            (event(&[]), &alert, Some("s"), "s", vec![1, 2]),
            (event(&[(C, "c")]), &none, Some("s"), "c", vec![2, 3]),
            (
                event(&[(A, "a"), (C, "c")]),
                &alert,
                Some("s"),
                "c",
                vec![0, 1, 2, 3],
            ),
            (event(&[(A, "a")]), &alert, None, "metadata", vec![0, 1]),
            (event(&[(C, "c")]), &alert, None, "c", vec![1, 3]),
        ] {
            let (merged, conflicts) = merge(&event, alert, summary);
            assert_eq!(merged["summary"], wins);
            let names: Vec<_> = sources.into_iter().map(|n| SOURCES[n]).collect();
            assert_eq!(conflicts["summary"], names.join(", "));
        }
        let three = event(&[
            ("event.toolkit.fluxcd.io/a", "1"),
            ("event.toolkit.fluxcd.io/b", "1"),
            ("source.toolkit.fluxcd.io/c", "1"),
        ]);
        let (_, conflicts) = merge(&three, &map(&[("a", "2"), ("b", "2"), ("c", "2")]), None);
        assert_eq!(conflicts.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
