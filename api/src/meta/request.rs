//! What users ask for once, by annotation.

use kube::core::ObjectMeta;

use super::RECONCILE_REQUEST;

/// Returns the request for a run now, whether or not it was answered.
#[must_use]
pub fn requested_at(metadata: &ObjectMeta) -> Option<&str> {
    value(metadata, RECONCILE_REQUEST)
}

/// Says whether something is asked for that was not done yet: the annotation is new, and the same as the request for a run, so
/// that the two belong together.
///
/// `handled` is the value of the annotation that was acted on last.
///
/// Source: fluxcd/pkg `apis/meta` 1.x, annotations that go with a request.
#[must_use]
pub fn is_asked_for(metadata: &ObjectMeta, annotation: &str, handled: Option<&str>) -> bool {
    let asked = value(metadata, annotation);
    asked.is_some() && asked != handled && asked == requested_at(metadata)
}

fn value<'a>(metadata: &'a ObjectMeta, annotation: &str) -> Option<&'a str> {
    let annotations = metadata.annotations.as_ref()?;
    annotations.get(annotation).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::annotation::FORCE_REQUEST, *};

    fn asks(requested: Option<&str>, forced: Option<&str>) -> ObjectMeta {
        let pairs = [(RECONCILE_REQUEST, requested), (FORCE_REQUEST, forced)];
        let pairs = pairs
            .into_iter()
            .filter_map(|(key, value)| Some((key.into(), value?.into())));
        ObjectMeta {
            annotations: Some(pairs.collect()),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn an_annotation_counts_once_and_with_its_request() {
        let force = |requested, forced, handled| {
            is_asked_for(&asks(requested, forced), FORCE_REQUEST, handled)
        };
        assert!(force(Some("2"), Some("2"), None));
        assert!(force(Some("2"), Some("2"), Some("1")));
        assert!(!force(Some("2"), Some("2"), Some("2")));
        assert!(!force(Some("2"), Some("1"), None));
        assert!(!force(None, Some("1"), None));
        assert!(!force(Some("1"), None, None));
        assert!(!is_asked_for(&ObjectMeta::default(), FORCE_REQUEST, None));
    }

    proptest! {
        #[test]
        fn what_was_handled_is_asked_for_no_more(value in ".*", before in ".*") {
            let metadata = asks(Some(&value), Some(&value));
            prop_assert_eq!(requested_at(&metadata), Some(&*value));
            prop_assert!(!is_asked_for(&metadata, FORCE_REQUEST, Some(&value)));
            let asked = is_asked_for(&metadata, FORCE_REQUEST, Some(&before));
            prop_assert_eq!(asked, before != value);
        }
    }
}
