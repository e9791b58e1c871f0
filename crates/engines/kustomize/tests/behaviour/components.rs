//! Cases of `cases/components.txt`.

use super::check;

const TOPIC: &str = "components";

/// covers: KE-122
#[test]
fn a_component_sees_what_is_generated_and_not_yet_transformed() {
    check(TOPIC, "KE-122");
}

/// covers: KE-123
#[test]
fn a_components_prefix_is_on_what_was_there() {
    check(TOPIC, "KE-123");
}

/// covers: KE-124
#[test]
fn a_component_is_no_resource() {
    check(TOPIC, "KE-124");
}

/// covers: KE-125
#[test]
fn a_bases_order_is_not_asked_for() {
    check(TOPIC, "KE-125");
}

/// covers: KE-126
#[test]
fn in_the_order_of_the_list_if_nothing_is_said() {
    check(TOPIC, "KE-126");
}

/// covers: KE-126, KE-127
#[test]
fn by_kind_if_that_is_said() {
    check(TOPIC, "KE-126 KE-127");
}
