//! Cases of `cases/replacements.txt`.

use super::check;

const TOPIC: &str = "replacements";

/// covers: KE-111
#[test]
fn a_lists_filter_is_an_expression_that_is_not_anchored() {
    check(TOPIC, "KE-111");
}

/// covers: KE-112
#[test]
fn a_target_keeps_its_type_a_field_that_is_made_takes_the_source_s() {
    check(TOPIC, "KE-112");
}

/// covers: KE-113
#[test]
fn any_reject_keeps_an_object_out_and_select_looks_at_every_name() {
    check(TOPIC, "KE-113");
}

/// covers: KE-114
#[test]
fn an_index_outside_puts_the_value_before_or_after() {
    check(TOPIC, "KE-114");
}

/// covers: KE-115
#[test]
fn into_a_text_that_holds_json_or_yaml() {
    check(TOPIC, "KE-115");
}

/// covers: KE-116
#[test]
fn a_source_without_value() {
    check(TOPIC, "KE-116");
}

/// covers: KE-117
#[test]
fn a_source_may_be_called_by_a_name_it_had() {
    check(TOPIC, "KE-117");
}

/// covers: KE-118
#[test]
fn a_variable_that_is_the_whole_text_keeps_its_type() {
    check(TOPIC, "KE-118");
}

/// covers: KE-119
#[test]
fn a_variable_nobody_uses() {
    check(TOPIC, "KE-119");
}

/// covers: KE-120
#[test]
fn two_dollars_stand_for_one() {
    check(TOPIC, "KE-120");
}

/// covers: KE-121
#[test]
fn the_path_for_a_cron_jobs_nfs_server_is_wrong() {
    check(TOPIC, "KE-121");
}
