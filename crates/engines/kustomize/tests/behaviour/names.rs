//! Cases of `cases/names.txt`.

use super::check;

const TOPIC: &str = "names";

/// covers: KE-035
#[test]
fn the_innermost_prefix_is_nearest_to_the_name() {
    check(TOPIC, "KE-035");
}

/// covers: KE-036
#[test]
fn three_kinds_keep_their_names() {
    check(TOPIC, "KE-036");
}

/// covers: KE-037
#[test]
fn references_to_what_is_not_built_or_not_renamed_stay() {
    check(TOPIC, "KE-037");
}

/// covers: KE-038
#[test]
fn volume_claim_templates_keep_their_names() {
    check(TOPIC, "KE-038");
}

/// covers: KE-039
#[test]
fn the_hash_comes_after_all_suffixes_and_pods_follow() {
    check(TOPIC, "KE-039");
}

/// covers: KE-040
#[test]
fn names_in_rules_follow_maps_secrets_and_volumes() {
    check(TOPIC, "KE-040");
}

/// covers: KE-041
#[test]
fn the_same_prefixes_decide_between_equal_names() {
    check(TOPIC, "KE-041");
}

/// covers: KE-042
#[test]
fn a_role_reference_names_kind_and_group() {
    check(TOPIC, "KE-042");
}

/// covers: KE-043
#[test]
fn an_ingress_class_is_not_followed() {
    check(TOPIC, "KE-043");
}

/// covers: KE-044
#[test]
fn what_an_autoscaler_scales_whatever_its_group() {
    check(TOPIC, "KE-044");
}

/// covers: KE-045
#[test]
fn an_annotation_with_the_own_name_stays() {
    check(TOPIC, "KE-045");
}

/// covers: KE-046
#[test]
fn a_replica_sets_service_account_stays() {
    check(TOPIC, "KE-046");
}

/// covers: KE-047
#[test]
fn references_in_custom_kinds_need_a_configuration() {
    check(TOPIC, "KE-047");
}

/// covers: KE-048
#[test]
fn a_service_accounts_pull_secrets_follow_its_secrets_stay() {
    check(TOPIC, "KE-048");
}
