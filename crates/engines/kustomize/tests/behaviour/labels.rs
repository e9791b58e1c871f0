//! Cases of `cases/labels.txt`.

use super::check;

const TOPIC: &str = "labels";

/// covers: KE-049
#[test]
fn common_labels_give_a_selector_to_a_service_that_has_none() {
    check(TOPIC, "KE-049");
}

/// covers: KE-050
#[test]
fn labels_without_flags_touch_metadata_alone() {
    check(TOPIC, "KE-050");
}

/// covers: KE-051
#[test]
fn template_labels_reach_volume_claim_templates() {
    check(TOPIC, "KE-051");
}

/// covers: KE-052
#[test]
fn a_network_policys_selector_only_where_it_has_labels() {
    check(TOPIC, "KE-052");
}

/// covers: KE-053
#[test]
fn affinity_and_spread_only_in_two_kinds_of_apps() {
    check(TOPIC, "KE-053");
}

/// covers: KE-054
#[test]
fn a_pod_has_no_template() {
    check(TOPIC, "KE-054");
}

/// covers: KE-055
#[test]
fn a_cron_jobs_jobs_are_labelled_too() {
    check(TOPIC, "KE-055");
}

/// covers: KE-056
#[test]
fn annotations_stay_out_of_volume_claim_templates() {
    check(TOPIC, "KE-056");
}

/// covers: KE-057
#[test]
fn labels_that_look_like_numbers_stay_text() {
    check(TOPIC, "KE-057");
}

/// covers: KE-058
#[test]
fn a_null_annotation_is_empty() {
    check(TOPIC, "KE-058");
}

/// covers: KE-059
#[test]
fn a_null_label_stays_null() {
    check(TOPIC, "KE-059");
}

/// covers: KE-060
#[test]
fn who_made_an_object_is_said_last_in_its_own_metadata_alone() {
    check(TOPIC, "KE-060");
}
