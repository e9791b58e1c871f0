//! What a finished run says: status, conditions, events.

use api::source::HelmRepository;
use runtime::Report;

use super::LINK;
use super::act::Outcome;
use crate::conditions::{FETCH_FAILED, STORAGE_OPERATION_FAILED};
use crate::shelf::{Told, beside, in_storage, notes, up_to_date};

/// Maps an outcome to the status and the events.
pub(super) fn report(object: &HelmRepository, outcome: &Outcome) -> Report {
    let (artifact, url) = match outcome {
        Outcome::Nothing => return Report::default(),
        Outcome::Unchanged { artifact } => (artifact, beside(artifact, LINK)),
        Outcome::Stored { artifact, url } => (artifact, url.clone()),
    };
    let words = format!("stored artifact: revision '{}'", artifact.revision);
    let change = in_storage(artifact, "Succeeded", words).set("url", url);
    let status = object.status.as_ref();
    let unchanged = matches!(outcome, Outcome::Unchanged { .. });
    let told = Told {
        artifact,
        before: status.and_then(|status| status.artifact.as_ref()),
        failures: &[FETCH_FAILED, STORAGE_OPERATION_FAILED],
        reasons: ("NewArtifact", "Succeeded"),
        words: format!(
            "stored fetched index of {} from '{}'",
            size(artifact.size),
            net_http::without_credentials(&object.spec.url)
        ),
        unchanged: unchanged.then(|| up_to_date(artifact)),
    };
    Report {
        change,
        notes: notes(object, told),
        requeue: requeue(object),
    }
}

/// Without an interval, the index is read every minute.
fn requeue(object: &HelmRepository) -> Option<std::time::Duration> {
    let absent = object.spec.interval.is_none();
    absent.then_some(std::time::Duration::from_mins(1))
}

/// Prints a size in four digits: `size 30.88kB`.
fn size(bytes: Option<i64>) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let Some(bytes) = bytes else {
        return "unknown size".to_owned();
    };
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let (mut number, mut unit) = (bytes as f64, 0);
    while number >= 1000.0 && unit < UNITS.len() - 1 {
        number /= 1000.0;
        unit += 1;
    }
    format!("size {}{}", four_digits(number), UNITS[unit])
}

/// Prints a number below 1000 as Go's `%.4g` does.
fn four_digits(number: f64) -> String {
    let whole = format!("{}", number.trunc()).len();
    let text = format!("{number:.*}", 4_usize.saturating_sub(whole));
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: SC-147
    #[test]
    fn sizes_have_four_digits() {
        for (bytes, expected) in [
            (Some(300), "size 300B"),
            (Some(689), "size 689B"),
            (Some(30_876), "size 30.88kB"),
            (Some(1_000), "size 1kB"),
            (Some(44_040_192), "size 44.04MB"),
            (None, "unknown size"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }
}
