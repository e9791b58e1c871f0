//! Cases of `cases/patches.txt`.

use super::check;

const TOPIC: &str = "patches";

/// covers: KE-071, KE-072
#[test]
fn new_and_merged_elements_come_first_in_the_patchs_order() {
    check(TOPIC, "KE-071 KE-072");
}

/// covers: KE-073
#[test]
fn lists_of_custom_kinds_are_replaced_maps_merge() {
    check(TOPIC, "KE-073");
}

/// covers: KE-074
#[test]
fn a_kind_newer_than_the_schema_is_a_custom_kind() {
    check(TOPIC, "KE-074");
}

/// covers: KE-075
#[test]
fn a_service_accounts_secrets_merge_its_pull_secrets_are_replaced() {
    check(TOPIC, "KE-075");
}

/// covers: KE-076
#[test]
fn tolerations_envfrom_args_and_command_are_replaced() {
    check(TOPIC, "KE-076");
}

/// covers: KE-077
#[test]
fn a_port_whose_protocol_only_one_side_names_keeps_its_fields() {
    check(TOPIC, "KE-077");
}

/// covers: KE-078
#[test]
fn one_port_of_two_protocols_is_two_elements() {
    check(TOPIC, "KE-078");
}

/// covers: KE-079
#[test]
fn directives_of_the_api_server_are_fields() {
    check(TOPIC, "KE-079");
}

/// covers: KE-080
#[test]
fn empty_lists_and_null() {
    check(TOPIC, "KE-080");
}

/// covers: KE-081
#[test]
fn an_emptydir_stays_beside_what_replaces_it() {
    check(TOPIC, "KE-081");
}

/// covers: KE-082
#[test]
fn deleting_what_is_not_there_adds_nothing() {
    check(TOPIC, "KE-082");
}

/// covers: KE-083
#[test]
fn a_lists_own_replace() {
    check(TOPIC, "KE-083");
}

/// covers: KE-084
#[test]
fn a_targeted_delete_takes_all_it_finds() {
    check(TOPIC, "KE-084");
}

/// covers: KE-085
#[test]
fn a_patch_changes_neither_namespace_nor_version() {
    check(TOPIC, "KE-085");
}

/// covers: KE-086
#[test]
fn targets_are_anchored_expressions_and_whole_selectors() {
    check(TOPIC, "KE-086");
}

/// covers: KE-087
#[test]
fn a_target_that_nothing_meets_is_nothing() {
    check(TOPIC, "KE-087");
}

/// covers: KE-088
#[test]
fn a_patch_without_target_that_two_meet_is_an_error() {
    check(TOPIC, "KE-088");
}

/// covers: KE-089
#[test]
fn annotations_are_always_there() {
    check(TOPIC, "KE-089");
}

/// covers: KE-090
#[test]
fn a_json_patch_sees_the_name_of_now() {
    check(TOPIC, "KE-090");
}

/// covers: KE-091
#[test]
fn references_follow_a_name_that_a_json_patch_gave() {
    check(TOPIC, "KE-091");
}

/// covers: KE-092
#[test]
fn several_patches_have_no_target_in_common() {
    check(TOPIC, "KE-092");
}

/// covers: KE-093
#[test]
fn an_empty_patch_file_is_nothing() {
    check(TOPIC, "KE-093");
}

/// covers: KE-094
#[test]
fn a_patchs_path_begins_at_its_kustomization() {
    check(TOPIC, "KE-094");
}

/// covers: KE-095
#[test]
fn old_json_patches_come_after_prefix_and_labels_and_name_the_first_name() {
    check(TOPIC, "KE-095");
}

/// covers: KE-096
#[test]
fn items_of_lists_are_patched() {
    check(TOPIC, "KE-096");
}
