//! The last in the order of bytes.

use api::image::Order;

use super::filter::Candidate;

/// Returns the candidate that comes last in ascending or in descending order.
pub(super) fn latest<'t>(candidates: &[Candidate<'t>], order: Order) -> Option<&'t str> {
    let value = |c: &&Candidate<'t>| c.value.to_string();
    let latest = match order {
        Order::Asc => candidates.iter().max_by_key(value),
        Order::Desc => candidates.iter().min_by_key(value),
    };
    latest.map(|candidate| candidate.tag)
}
