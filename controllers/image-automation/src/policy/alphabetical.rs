//! The last in the order of bytes.

use api::image::Order;

use super::filter::Candidate;

/// Returns the candidate that comes last in ascending or in descending order.
pub(super) fn latest<'t>(candidates: &[Candidate<'t>], order: Order) -> Option<&'t str> {
    let by_value = |a: &&Candidate<'t>, b: &&Candidate<'t>| a.value.cmp(&b.value);
    let latest = match order {
        Order::Asc => candidates.iter().max_by(by_value),
        Order::Desc => candidates.iter().min_by(by_value),
    };
    latest.map(|candidate| candidate.tag)
}
